//! What a developer sees and may do before and besides approval: the request log with its reasons,
//! tests on practice data, plans with quotas and places. From outside, against `consentry serve`.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use testkit::app::Answer;
use testkit::html::{decode, tags};
use testkit::{Browser, TestApp, Tokens};

use crate::dialects::seen::{Seen, authorize_url, code_of, post};
use crate::served::{CALLBACK, Server, Site, until};
use crate::upstream::Upstream;

/// What `Site` has, and what a test wants to see besides.
const ROUTE: &str = "scopes = [\"items.read\"]\n";

/// The page of the developer's only app.
async fn app_path(dev: &Browser) -> String {
    let html = dev.open("/apps").await.html;
    let mut ids = html.split("href=\"/apps/").skip(1).filter_map(|part| part.split('"').next());
    let id = ids.find(|id| id.len() == 32).unwrap_or_else(|| panic!("no app on:\n{html}"));
    format!("/apps/{id}")
}

/// The text of the element with this id.
fn text_of(html: &str, id: &str) -> String {
    let all = tags(html);
    let found = all.iter().find(|tag| tag.attribute("id") == Some(id));
    found.unwrap_or_else(|| panic!("no {id} in:\n{html}")).text.trim().to_owned()
}

async fn table(dev: &Browser, path: &str) -> Vec<csv::StringRecord> {
    let text = dev.open(path).await.html;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap()).collect()
}

/// The row of the request whose answer this was: status, reason and detail.
fn logged<'a>(rows: &'a [csv::StringRecord], answer: &Answer) -> (&'a str, &'a str, &'a str) {
    let id = match answer.header("consentry-request-id") {
        "" => answer.header("x-request-id"),
        id => id,
    };
    let row = rows.iter().find(|row| &row[7] == id);
    let row = row.unwrap_or_else(|| panic!("{id} ({}) is not in {rows:?}", answer.status));
    (&row[3], &row[4], &row[5])
}

#[tokio::test]
async fn a_developer_reads_why_each_call_was_refused() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    // A name that a spreadsheet would take for a formula.
    site.change_config(
        ROUTE,
        "scopes = [\"items.read\"]\n[[resource.route]]\nmethod = \"POST\"\npath = \"/api/{*rest}\"\n\
         scopes = [\"+items.write\"]\n[[scope]]\nname = \"+items.write\"\ntext = \"change them\"\n",
    );
    site.change_config(
        "[[resource.route]]\nmethod = \"GET\"",
        "[resource.rate]\nper_app = \"4/1h\"\n\n[[resource.route]]\nmethod = \"GET\"",
    );
    site.also_config("[lifetimes]\naccess_token = \"5s\"");
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let more = ["--redirect-uri", CALLBACK, "--scope", "+items.write=To add some"];
    let app = site.create_app("Item Bot", "web", &more).await;
    let alice = site.signed_in("alice@example.com").await;
    let call = async |method, token: &str| app.call(method, "/api/items", token, Value::Null).await;

    let first = app.connect(&alice, "items.read").await;
    let good = call(Method::GET, &first.access).await;
    assert_eq!(good.status, StatusCode::OK);
    let fresh = app.refresh(first.refresh.as_deref().unwrap()).await.tokens();
    let forbidden = call(Method::POST, &fresh.access).await;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN, "{}", forbidden.body);
    until("the token expires", async || {
        (app.introspect(&fresh.access).await.body["active"] == false).then_some(())
    })
    .await;
    let expired = call(Method::GET, &fresh.access).await;
    assert_eq!(expired.status, StatusCode::UNAUTHORIZED);
    assert_eq!(call(Method::GET, "cs_at_garbage").await.status, StatusCode::UNAUTHORIZED);
    let limited = until("the limit is reached", async || {
        let fresh = app.connect(&alice, "items.read").await;
        let answer = call(Method::GET, &fresh.access).await;
        (answer.status == StatusCode::TOO_MANY_REQUESTS).then_some(answer)
    })
    .await;
    let nobody = TestApp { client_secret: Some("wrong".to_owned()), ..app.clone() };
    let wrong_secret = nobody.refresh("x").await;
    assert_eq!(wrong_secret.error(), "invalid_client");

    let dev = site.signed_in("dev@example.com").await;
    let path = app_path(&dev).await;
    let page = until("the last refusal is on the page", async || {
        let page = dev.open(&format!("{path}/requests")).await.html;
        page.contains("<p class=\"why\">The client id or its secret is wrong").then_some(page)
    })
    .await;
    let rows = table(&dev, &format!("{path}/requests.csv")).await;
    let expected = [
        (&good, ("200", "", "")),
        // The apostrophe keeps a spreadsheet from calculating.
        (&forbidden, ("403", "A scope is missing", "'+items.write")),
        (&expired, ("401", "The access token had expired: refresh it", "")),
        (&limited, ("429", "Too many calls in a short time: wait as Retry-After says", "")),
        (
            &wrong_secret,
            ("401", "The client id or its secret is wrong", "client authentication failed"),
        ),
    ];
    for (answer, words) in expected {
        assert_eq!(logged(&rows, answer), words);
        let why = format!("<p class=\"why\">{}", words.1);
        assert!(page.contains(&why), "{words:?}: {page}");
    }
    assert!(decode(&page).contains("A scope is missing: <code>+items.write</code>"), "{page}");
    for secret in ["cs_at_garbage", "alice@example.com", first.access.as_str()] {
        assert!(!page.contains(secret) && !format!("{rows:?}").contains(secret), "{secret}");
    }

    let filtered = table(&dev, &format!("{path}/requests.csv?status=429")).await;
    assert!(filtered.len() >= 2 && filtered[1..].iter().all(|row| &row[3] == "429"));
    assert_usage_counts(&dev, &path, &rows[1..]).await;
}

/// The page and the table of the app's use say the same as the list, of which so few requests left
/// nothing out.
async fn assert_usage_counts(dev: &Browser, path: &str, listed: &[csv::StringRecord]) {
    let usage = table(dev, &format!("{path}/usage.csv")).await;
    let sum = |column: usize| -> u64 {
        let hours = usage.iter().filter(|row| &row[0] == "hour");
        hours.map(|row| row[column].parse::<u64>().unwrap()).sum()
    };
    let calls: Vec<_> = listed.iter().filter(|row| &row[2] != "/oauth/token").collect();
    assert_eq!(sum(2), calls.len() as u64, "calls: {usage:?}");
    let failed = calls.iter().filter(|row| !row[3].starts_with('2')).count();
    assert_eq!(sum(3), failed as u64, "errors: {usage:?}");
    assert!(sum(5) >= 2 && sum(6) == 1, "tokens issued and refused: {usage:?}");
    let page = dev.open(&format!("{path}/usage")).await.html;
    assert!(page.contains(&format!("Calls: {} from", calls.len())), "{page}");
}

/// An app that waits for review, and two APIs: one with a place for tests and one without.
struct Waiting {
    site: Site,
    _server: Server,
    real: Upstream,
    practice: Upstream,
    dev: Browser,
    live: TestApp,
    test: TestApp,
}

impl Waiting {
    async fn of(wire: &str) -> Self {
        let (real, practice) = (Upstream::start().await, Upstream::start().await);
        let site = Site::new(&real.url);
        site.also_config("registration = \"review\"\ndialects = [\"bitport\"]");
        site.change_config(
            "path_prefix = \"/api\"",
            &format!("path_prefix = \"/api\"\ntest_upstream = \"{}\"", practice.url),
        );
        let other = "\n[[resource]]\npath_prefix = \"/other\"\n[resource.upstream]\nurl = \"URL\"\n\
                     [[resource.route]]\nmethod = \"GET\"\npath = \"/other/{*rest}\"\n";
        let other = format!("{}{ROUTE}", other.replace("URL", &real.url));
        site.change_config(ROUTE, &format!("{ROUTE}{other}"));
        let server = site.serve().await;
        site.add_user("dev@example.com", Some("developer")).await;
        site.add_user("alice@example.com", None).await;
        let dev = site.signed_in("dev@example.com").await;
        let form = dev.open("/apps/new?view=all").await.form("new-app");
        let form = form.set("name", "Item Bot").set("description", "Shows your items.");
        let form = form.set("kind", "web").set("wire", wire).set("redirect_uris", CALLBACK);
        let form = form.add("scope", "items.read").set("purpose.items.read", "To show your items.");
        let page = dev.submit(&form.set("go", "register")).await.html;
        let app = |html: &str| {
            let secret = text_of(html, "client-secret");
            TestApp::new(&site.issuer, &text_of(html, "client-id"), Some(&secret), CALLBACK)
        };
        let live = app(&page);
        let credentials = format!("{}/credentials", app_path(&dev).await);
        let page = dev.open(&credentials).await;
        let test = app(&dev.submit(&page.form("add-test-secret")).await.html);
        assert!(test.client_id.starts_with("test_"), "{}", test.client_id);
        assert_eq!(text_of(&page.html, "test-client-id"), test.client_id);
        Self { site, _server: server, real, practice, dev, live, test }
    }

    /// Calls that the real API and the practice API have had.
    fn reached(&self) -> (usize, usize) {
        let count = |upstream: &Upstream| upstream.heads.lock().unwrap().len();
        (count(&self.real), count(&self.practice))
    }
}

#[tokio::test]
async fn an_app_in_review_is_tried_by_its_developer_on_practice_data_alone() {
    let world = Waiting::of("standard").await;
    let (dev, test) = (&world.dev, &world.test);
    let tokens: Tokens = test.connect(dev, "items.read").await;
    let got = test.call(Method::GET, "/api/items", &tokens.access, Value::Null).await;
    assert_eq!((got.status, world.reached()), (StatusCode::OK, (0, 1)));
    let head = world.practice.heads.lock().unwrap()[0].to_lowercase();
    assert!(head.contains("consentry-mode: test"), "{head}");
    let renewed = test.refresh(tokens.refresh.as_deref().unwrap()).await.tokens();
    let got = test.call(Method::GET, "/api/items", &renewed.access, Value::Null).await;
    assert_eq!((got.status, world.reached()), (StatusCode::OK, (0, 2)));

    let mut url = test.authorize_url("items.read", "s");
    url.query_pairs_mut().append_pair("resource", &format!("{}/other", test.issuer));
    let page = dev.open(url.as_str()).await;
    let code = test.allow(dev, page).await.callback_parameter("code").expect("a code");
    let token = test.redeem(&code).await.tokens().access;
    let refused = test.call(Method::GET, "/other/items", &token, Value::Null).await;
    assert_eq!((refused.status, world.reached()), (StatusCode::UNAUTHORIZED, (0, 2)));
    assert!(refused.header("www-authenticate").contains("no place for tests"), "{refused:?}");
    let elsewhere = test.call(Method::GET, "/other/items", &tokens.access, Value::Null).await;
    assert_eq!((elsewhere.status, world.reached()), (StatusCode::UNAUTHORIZED, (0, 2)));
}

#[tokio::test]
async fn nobody_but_its_developer_lets_a_test_in_and_the_live_app_waits() {
    let world = Waiting::of("standard").await;
    let alice = world.site.signed_in("alice@example.com").await;
    let page = alice.open(world.test.authorize_url("items.read", "s").as_str()).await;
    assert_eq!((page.left_to, page.status), (None, StatusCode::BAD_REQUEST), "{}", page.html);
    assert!(page.html.contains("only its developers can do that"), "{}", page.html);
    for user in [&alice, &world.dev] {
        let page = user.open(world.live.authorize_url("items.read", "s").as_str()).await;
        assert_eq!((page.left_to, page.status), (None, StatusCode::BAD_REQUEST), "{}", page.html);
        assert!(page.html.contains("is not live"), "{}", page.html);
    }

    // Neither id takes the other's secret, nor a code of the other.
    let (live, test) = (&world.live, &world.test);
    let swapped = |of: &TestApp, secret: &TestApp| TestApp {
        client_secret: secret.client_secret.clone(),
        ..of.clone()
    };
    let code = test.authorize(&world.dev, "items.read").await;
    for wrong in [swapped(test, live), swapped(live, test)] {
        assert_eq!(wrong.redeem(&code).await.error(), "invalid_client", "{}", wrong.client_id);
    }
    let answer = live.redeem(&code).await;
    assert_ne!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(world.reached(), (0, 0));
}

#[tokio::test]
async fn a_dialects_endpoints_know_the_test_client_id_too() {
    let world = Waiting::of("bitport").await;
    let test = &world.test;
    let authorize = "/v2/oauth2/authorize";
    let url = |app: &TestApp| {
        let query = [("response_type", "code"), ("client_id", &*app.client_id)];
        authorize_url(app, authorize, &query)
    };
    let redeem = async |app: &TestApp, code: &str| -> Seen {
        let secret = app.client_secret.clone().unwrap();
        let own = [("client_id", &*app.client_id), ("client_secret", &*secret)];
        let grant = [("grant_type", "authorization_code"), ("code", code)];
        post(app, "/v2/oauth2/access-token", &[own, grant].concat()).await
    };
    let token = redeem(test, &code_of(test, &world.dev, &url(test)).await).await;
    let token = token.at("/access_token");
    let got = test.call(Method::GET, "/api/items", &token, Value::Null).await;
    assert_eq!((got.status, world.reached()), (StatusCode::OK, (0, 1)));
    let refused = test.call(Method::GET, "/other/items", &token, Value::Null).await;
    assert_eq!((refused.status, world.reached()), (StatusCode::UNAUTHORIZED, (0, 1)));

    let alice = world.site.signed_in("alice@example.com").await;
    let page = alice.open(&url(test)).await;
    assert_eq!((page.left_to, page.status), (None, StatusCode::BAD_REQUEST), "{}", page.html);
    let page = world.dev.open(&url(&world.live)).await;
    assert_eq!((page.left_to, page.status), (None, StatusCode::BAD_REQUEST), "{}", page.html);
    let code = code_of(test, &world.dev, &url(test)).await;
    let mixed = redeem(&world.live, &code).await;
    assert!(mixed.body["access_token"].is_null(), "{}", mixed.text);
}

const PLANS: &str = r#"[[plans]]
name = "tiny"
title = "Tiny"
text = "To look around."
default = true
calls_per_day = 3
users_max = 2
[[plans]]
name = "grow"
title = "Grow"
text = "For many users."
"#;

#[tokio::test]
async fn a_plan_that_is_used_up_refuses_calls_in_the_apis_envelope_and_shows_on_the_usage_page() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    site.also_config(PLANS);
    site.change_config("path_prefix = \"/api\"", "path_prefix = \"/api\"\nenvelope = \"whitebit\"");
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let app = site.add_app("Item Bot").await;
    let alice = site.signed_in("alice@example.com").await;
    let token = app.connect(&alice, "items.read").await.access;
    let call = async || app.call(Method::GET, "/api/items", &token, Value::Null).await;
    for number in 1..=3 {
        assert_eq!(call().await.status, StatusCode::OK, "call {number} of three");
    }
    let refused = call().await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.body);
    let said = refused.body["data"]["message"][0].as_str().expect("WhiteBIT's envelope");
    assert!(said.contains("plan") && said.contains("quota"), "{said}");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=24 * 3600).contains(&wait), "until the day is over: {wait}");
    assert_eq!(upstream.heads.lock().unwrap().len(), 3, "the API had no more");

    let dev = site.signed_in("dev@example.com").await;
    let path = app_path(&dev).await;
    let page = until("the page shows that it is used up", async || {
        let page = dev.open(&format!("{path}/usage")).await.html;
        page.contains("3 of 3").then_some(page)
    })
    .await;
    assert!(page.contains("Used up") && page.contains("1 of 2"), "{page}");
    let rows = table(&dev, &format!("{path}/requests.csv")).await;
    assert_eq!(logged(&rows, &refused), ("429", "The calls of the plan are used up", ""));
    assert_eq!(call().await.status, StatusCode::TOO_MANY_REQUESTS, "also after it was written");
}

#[tokio::test]
async fn the_user_for_whom_an_app_has_no_place_reads_so_and_the_others_go_on() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    site.also_config(PLANS);
    let _server = site.serve().await;
    let users = ["alice@example.com", "bob@example.com", "carol@example.com"];
    site.add_user("dev@example.com", Some("developer")).await;
    for email in users {
        site.add_user(email, None).await;
    }
    let app = site.add_app("Item Bot").await;
    let [alice, bob, carol] = users.map(|email| site.signed_in(email));
    let (alice, bob, carol) = (alice.await, bob.await, carol.await);
    let token = app.connect(&alice, "items.read").await.access;
    // Bob's page is open already when Carol takes the last place.
    let before = bob.open(app.authorize_url("items.read", "s").as_str()).await;
    app.connect(&carol, "items.read").await;
    let pressed = bob.submit(&before.form("consent").set("decision", "allow")).await;
    let opened = bob.open(app.authorize_url("items.read", "s").as_str()).await;
    for page in [pressed, opened] {
        assert_eq!((page.left_to, page.status), (None, StatusCode::BAD_REQUEST), "{}", page.html);
        let said = "Item Bot has as many users as it may have";
        assert!(page.html.contains(said) && page.html.contains("Nothing was changed"));
    }
    assert!(bob.open("/connected").await.html.contains("id=\"empty\""), "nothing was kept");

    assert_eq!(site.status("/api/items", &token).await, StatusCode::OK, "who is in stays in");
    app.connect(&alice, "items.read").await;
    let dev = site.signed_in("dev@example.com").await;
    let page = dev.open(&format!("{}/usage", app_path(&dev).await)).await.html;
    assert!(page.contains("2 of 2"), "{page}");
    // A place that becomes free is Bob's.
    let page = carol.open(&crate::revocation::connected_path(&carol).await).await;
    carol.submit(&page.form("revoke")).await;
    app.connect(&bob, "items.read").await;
}
