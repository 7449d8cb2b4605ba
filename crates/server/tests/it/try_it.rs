//! The console: its requests go through the real router, and what it asks of an API is answered by
//! a double.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use domain::app::{App, AppKind, AppStatus, ClientSecret};
use domain::id::AppId;
use domain::policy::{Policy, RouteAccess, RouteRule};
use domain::user::User;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use protocol::route::RoutePattern;
use server::ClientAddress;
use server::outbound::{Call, Outbound, OutboundError, Reach, Reply};
use store::Tx;
use tower::ServiceExt as _;

use crate::harness::{ADDRESS, API, Answer, Browser, Client, ISSUER, TestApp, form_request};

/// What an API was asked.
struct Heard {
    method: Method,
    url: String,
    token: String,
    body: String,
}

type Said = (u16, Vec<(&'static str, &'static str)>, &'static str);

/// This issuer, by its own router, and an API that answers what it is told.
#[derive(Default)]
struct World {
    router: OnceLock<Router>,
    heard: Mutex<Vec<Heard>>,
    says: Mutex<Option<Said>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl Outbound for World {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Reply, OutboundError>> {
        assert_eq!(call.reach, Reach::Configured);
        assert!(call.url.as_str().starts_with(ISSUER), "{}", call.url);
        if call.url.path().starts_with("/api/") {
            let header = call.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap());
            self.heard.lock().unwrap().push(Heard {
                method: call.method.clone(),
                url: call.url.to_string(),
                token: header.unwrap_or_default().replace("Bearer ", ""),
                body: String::from_utf8(call.body.to_vec()).unwrap(),
            });
            let says = self.says.lock().unwrap().clone();
            return Box::pin(async move {
                let (status, headers, body) = says.ok_or(OutboundError::Timeout)?;
                let named = headers.into_iter().map(|(name, value)| {
                    (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
                });
                let status = StatusCode::from_u16(status).unwrap();
                Ok(Reply { status, headers: named.collect::<HeaderMap>(), body: body.into() })
            });
        }
        let mut request = Request::new(Body::from(call.body));
        *request.method_mut() = call.method;
        *request.uri_mut() = call.url.path().parse().unwrap();
        *request.headers_mut() = call.headers;
        request.extensions_mut().insert(ClientAddress(ADDRESS));
        Box::pin(async move {
            let router = self.router.get().unwrap().clone();
            let (head, body) = router.oneshot(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Ok(Reply { status: head.status, headers: head.headers, body })
        })
    }
}

fn with_routes(policy: &mut Policy) {
    policy.resources.truncate(1);
    let resource = &mut policy.resources[0];
    let mut add = |method: Method, path: &str, needs: &str| {
        let access = RouteAccess::AnyOf(vec![needs.parse().unwrap()]);
        let rule = RouteRule { access, family: "orders".to_owned(), pattern: path.to_owned() };
        resource.routes.insert(method, RoutePattern::parse(path).unwrap(), rule).unwrap();
    };
    add(Method::GET, "/api/orders/{id}", "orders.read");
    add(Method::POST, "/api/orders", "orders.create");
}

struct Bench {
    app: TestApp,
    world: Arc<World>,
    client: Client,
    dev: User,
}

impl Bench {
    async fn start(kind: AppKind, change: impl FnOnce(&mut App)) -> Self {
        let world = Arc::new(World::default());
        let app = TestApp::start_calling(Some(world.clone()), with_routes).await;
        world.router.set(server::router(app.provider.clone())).unwrap();
        let client = app.add_app("bot", kind, change).await;
        let find = async |tx: &mut Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
        let dev = app.write(find).await.unwrap();
        Self { app, world, client, dev }
    }

    async fn browser(&self) -> Browser<'_> {
        self.app.signed_in(&self.dev).await
    }

    fn path(&self) -> String {
        format!("/apps/{}/try", self.client.app.id)
    }

    async fn act(&self, browser: &Browser<'_>, run: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = browser.csrf();
        let fields = [&[("csrf", &*csrf), ("run", run)], fields].concat();
        browser.post(&self.path(), &fields).await
    }

    /// To the page on which the user is back with a code.
    async fn come_back(&self, browser: &Browser<'_>, scopes: &[&str]) -> Answer {
        let mut fields = vec![("do", "start")];
        fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
        let page = self.act(browser, "", &fields).await;
        let consent = browser.get(&visit(&page)).await;
        let allowed = browser.decide(&consent, "allow", scopes).await;
        let back = allowed.location().strip_prefix(ISSUER).unwrap().to_owned();
        browser.get(&back).await
    }

    /// To the page on which there are tokens.
    async fn tokens(&self, browser: &Browser<'_>, scopes: &[&str]) -> Answer {
        let back = self.come_back(browser, scopes).await;
        let page = self.act(browser, &back.hidden("run"), &[("do", "token")]).await;
        assert!(page.text().contains("id=\"call\""), "{}", page.text());
        page
    }

    fn says(&self, said: Said) {
        *self.world.says.lock().unwrap() = Some(said);
    }

    async fn secrets(&self) -> Vec<ClientSecret> {
        let id: AppId = self.client.app.id;
        let list = async move |tx: &mut Tx<'_>| store::client_secrets::list_of_app(tx, id).await;
        let all = self.app.write(list).await;
        all.into_iter().filter(|secret| secret.name == "Console").collect()
    }
}

/// Where the page sends the browser.
fn visit(page: &Answer) -> String {
    let text = page.text();
    let tag = text.split('<').find(|tag| tag.contains("id=\"visit\"")).unwrap_or_else(|| {
        panic!("no link in {text}");
    });
    let href = tag.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
    testkit::html::decode(href)
}

#[track_caller]
fn says(page: &Answer, words: &str) {
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(page.text().contains(words), "no “{words}” in {}", page.text());
}

fn in_review(app: &mut App) {
    app.status = AppStatus::InReview;
    app.approved = Default::default();
}

#[tokio::test]
async fn an_unapproved_app_goes_the_whole_way_and_its_call_is_refused_after_it() {
    let bench = Bench::start(AppKind::Web, in_review).await;
    let browser = bench.browser().await;
    let page = bench.tokens(&browser, &["balances.read", "orders.read"]).await;
    let text = page.text();
    assert!(text.contains("POST /oauth/token HTTP/1.1") && text.contains("curl -sS"), "{text}");
    assert!(text.contains("200 OK") && text.contains("&quot;expires_in&quot;"), "{text}");
    let call = [("endpoint", "get-api-orders-id"), ("path.id", "a/b c"), ("query", "x=1&y=%20")];
    bench.says((200, vec![("x-request-id", "r1")], "{\"id\":17}"));
    let fields = [&[("do", "call")], &call[..]].concat();
    let page = bench.act(&browser, &page.hidden("run"), &fields).await;
    says(&page, "x-request-id: r1");
    says(&page, "&quot;id&quot;: 17");
    {
        let heard = bench.world.heard.lock().unwrap();
        assert_eq!(heard[0].url, format!("{ISSUER}/api/orders/a%2Fb%20c?x=1&y=+"));
        assert!(heard[0].token.starts_with("cs_at_") && heard[0].body.is_empty());
        assert_eq!(heard[0].method, Method::GET);
    }
    let fields = [&[("do", "refresh")], &call[..]].concat();
    let page = bench.act(&browser, &page.hidden("run"), &fields).await;
    says(&page, "grant_type=refresh_token");
    let fields = [&[("do", "revoke")], &call[..]].concat();
    let page = bench.act(&browser, &page.hidden("run"), &fields).await;
    says(&page, "POST /oauth/revoke HTTP/1.1");
    says(&page, "Make the same call again");
    assert_eq!(page.text().matches("value=\"a/b c\"").count(), 1, "the call stays as it was");
    assert!(bench.app.live_grants(&bench.dev, &bench.client.app).await.is_empty());
    let challenge = vec![
        ("www-authenticate", "Bearer error=\"invalid_token\""),
        ("consentry-error-source", "client"),
    ];
    bench.says((401, challenge, "{}"));
    let fields = [&[("do", "call")], &call[..]].concat();
    let page = bench.act(&browser, &page.hidden("run"), &fields).await;
    says(&page, "The access has ended or was revoked");
}

#[tokio::test]
async fn tokens_and_secrets_are_shown_shortened_and_travel_sealed() {
    let bench = Bench::start(AppKind::Web, |_| {}).await;
    let browser = bench.browser().await;
    let page = bench.tokens(&browser, &["balances.read"]).await;
    let text = page.text();
    let (plain, secrets) = text.split_once("id=\"secrets\"").unwrap();
    let long = |text: &str, start: &str| {
        text.split(start).skip(1).any(|rest| {
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).count() > 40
        })
    };
    assert!(!long(plain, "cs_at_") && !long(plain, "cs_rt_") && !long(plain, "cs_ac_"), "{plain}");
    assert!(long(secrets, "cs_at_") && long(secrets, "cs_rt_"), "behind the reveal: {secrets}");
    // Nobody else's session opens it, nor the same person's for another app, nor later.
    let run = page.hidden("run");
    let again = bench.browser().await;
    let refused = bench.act(&again, &run, &[("do", "refresh")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let other = bench.app.add_app("other", AppKind::Web, |_| {}).await;
    let path = format!("/apps/{}/try", other.app.id);
    let csrf = browser.csrf();
    let fields = [("csrf", &*csrf), ("run", &*run), ("do", "refresh")];
    assert_eq!(browser.post(&path, &fields).await.status, StatusCode::BAD_REQUEST);
    bench.app.clock.advance(Duration::from_secs(3601));
    let late = bench.act(&browser, &run, &[("do", "refresh")]).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn f1_what_is_typed_never_leads_anywhere_but_to_the_endpoint() {
    let bench = Bench::start(AppKind::Native, |_| {}).await;
    let browser = bench.browser().await;
    let page = bench.tokens(&browser, &["orders.read", "balances.read"]).await;
    bench.says((200, vec![], "{}"));
    let run = page.hidden("run");
    for typed in ["..", ".", ""] {
        let fields =
            [("do", "call"), ("endpoint", "get-api-orders-id"), ("path.id", typed), ("query", "")];
        let page = bench.act(&browser, &run, &fields).await;
        says(&page, "path.id-error");
    }
    assert!(bench.world.heard.lock().unwrap().is_empty());
    for typed in ["//evil.example/x", "@evil.example", "%2e%2e", "x?y#z", "\\\\evil.example"] {
        let fields =
            [("do", "call"), ("endpoint", "get-api-orders-id"), ("path.id", typed), ("query", "#")];
        bench.act(&browser, &run, &fields).await;
        let heard = bench.world.heard.lock().unwrap().pop().unwrap();
        assert!(heard.url.starts_with(&format!("{API}/orders/")), "{}", heard.url);
        assert_eq!(heard.url.matches('/').count(), 5, "{}", heard.url);
    }
    // Not a route: the first one stands in its place.
    let fields = [("do", "call"), ("endpoint", "https://evil.example"), ("path.id", "1")];
    bench.act(&browser, &run, &fields).await;
    assert_eq!(bench.world.heard.lock().unwrap().pop().unwrap().url, format!("{API}/orders/1"));
}

#[tokio::test]
async fn a_wrong_body_stays_typed_and_a_good_one_is_sent() {
    let bench = Bench::start(AppKind::SinglePage, |_| {}).await;
    let browser = bench.browser().await;
    let page = bench.tokens(&browser, &["balances.read", "orders.create"]).await;
    let run = page.hidden("run");
    bench.says((201, vec![], "{}"));
    let send = async |body: &str| {
        let fields =
            [("do", "call"), ("endpoint", "post-api-orders"), ("query", ""), ("body", body)];
        bench.act(&browser, &run, &fields).await
    };
    let page = send("{\"side\": nope").await;
    says(&page, "This is not JSON");
    says(&page, "{&quot;side&quot;: nope");
    says(&send("{\"side\": \"buy\"}").await, "201 Created");
    let heard = bench.world.heard.lock().unwrap();
    assert_eq!((heard.len(), heard[0].body.as_str()), (1, "{\"side\": \"buy\"}"));
}

#[tokio::test]
async fn refusals_and_silence_are_explained() {
    let bench = Bench::start(AppKind::Native, |_| {}).await;
    let browser = bench.browser().await;
    let page = bench.tokens(&browser, &["balances.read"]).await;
    let run = page.hidden("run");
    says(&page, "The token lacks <code>orders.read</code>");
    says(&page, "no place for tests");
    let cases: [(Said, &str); 5] = [
        (
            (
                403,
                vec![
                    (
                        "www-authenticate",
                        "Bearer error=\"insufficient_scope\", scope=\"orders.read\"",
                    ),
                    ("consentry-error-source", "client"),
                ],
                "{}",
            ),
            "A scope is missing: orders.read",
        ),
        (
            (
                401,
                vec![
                    ("www-authenticate", "Bearer error=\"invalid_token\""),
                    ("consentry-error-source", "client"),
                ],
                "{}",
            ),
            "A test token was shown to a live API",
        ),
        ((502, vec![("consentry-error-source", "upstream")], ""), "The API could not be reached"),
        ((429, vec![("consentry-error-source", "client")], ""), "Too many calls in a short time"),
        ((404, vec![], "<b>nothing</b>"), "The API itself answered so"),
    ];
    let fields = [("do", "call"), ("endpoint", "get-api-orders-id"), ("path.id", "1")];
    for (said, words) in cases {
        bench.says(said);
        says(&bench.act(&browser, &run, &fields).await, words);
    }
    *bench.world.says.lock().unwrap() = None;
    says(&bench.act(&browser, &run, &fields).await, "no answer within 10 seconds");
}

#[tokio::test]
async fn r1_only_the_test_client_comes_back_to_the_console() {
    let bench = Bench::start(AppKind::Web, |_| {}).await;
    let browser = bench.browser().await;
    let uri = format!("{ISSUER}{}/return", bench.path());
    let live = bench.client.authorize_path(&[("redirect_uri", &uri)]);
    assert_eq!(browser.get(&live).await.status, StatusCode::BAD_REQUEST);
    let tests = Client { app: bench.client.app.clone().in_test_mode(), secret: None };
    let mine = tests.authorize_path(&[("redirect_uri", &uri)]);
    assert_eq!(browser.get(&mine).await.status, StatusCode::OK);
    let other = uri.replace(&bench.client.app.id.to_string(), &"0".repeat(32));
    let wrong = [format!("{uri}/"), format!("{uri}?x=1"), other];
    for wrong in wrong {
        let path = tests.authorize_path(&[("redirect_uri", &wrong)]);
        assert_eq!(browser.get(&path).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    // A request that names none still means the one that is registered.
    let none = browser.get(&tests.authorize_path(&[("redirect_uri", "")])).await;
    assert_eq!(none.status, StatusCode::OK, "{none:?}");
}

#[tokio::test]
async fn a_return_that_this_session_did_not_leave_for_is_refused() {
    let bench = Bench::start(AppKind::Web, |_| {}).await;
    let browser = bench.browser().await;
    let page = bench.act(&browser, "", &[("do", "start"), ("scope", "balances.read")]).await;
    let asked = url::Url::parse(&format!("{ISSUER}{}", visit(&page))).unwrap();
    let state = asked.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let back = |state: &str, iss: &str| {
        let fields = [("code", "cs_ac_x"), ("state", state), ("iss", iss)];
        format!("{}/return?{}", bench.path(), crate::harness::encode(&fields))
    };
    for path in [back("xyz", ISSUER), back(&state, "https://evil.example")] {
        assert_eq!(browser.get(&path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let elsewhere = bench.browser().await;
    assert_eq!(elsewhere.get(&back(&state, ISSUER)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(browser.get(&back(&state, ISSUER)).await.status, StatusCode::OK);
    let no = format!("{}/return?error=access_denied&state={state}&iss={ISSUER}", bench.path());
    says(&browser.get(&no).await, "The user said no");
}

#[tokio::test]
async fn the_consoles_own_secret_is_for_tests_ends_within_the_hour_and_is_one() {
    let bench = Bench::start(AppKind::Service, |_| {}).await;
    let browser = bench.browser().await;
    let fields = [("do", "start"), ("scope", "balances.read"), ("secret", "")];
    for _ in 0..2 {
        let page = bench.act(&browser, "", &fields).await;
        says(&page, "id=\"call\"");
        assert!(!page.text().contains("id=\"refresh\""), "a service has no refresh token");
    }
    let secrets = bench.secrets().await;
    assert_eq!(secrets.len(), 1, "the next one takes its place");
    let ends = bench.app.provider.now().after(Duration::from_secs(3600));
    assert_eq!(secrets[0].expires_at, Some(ends));
    assert_eq!(secrets[0].mode, domain::grant::Mode::Test);
    let wrong = [("do", "start"), ("scope", "balances.read"), ("secret", "not-a-secret")];
    let page = bench.act(&browser, "", &wrong).await;
    says(&page, "The client id or its secret is wrong");
    assert!(!page.text().contains("value=\"not-a-secret\""));
}

#[tokio::test]
async fn a_device_shows_a_code_and_waits_for_its_user() {
    let bench = Bench::start(AppKind::Device, |app| app.redirect_uris.clear()).await;
    let browser = bench.browser().await;
    let page = bench.act(&browser, "", &[("do", "start"), ("scope", "balances.read")]).await;
    says(&page, "POST /oauth/device_authorization HTTP/1.1");
    assert!(visit(&page).starts_with("/device?user_code="));
    let waits = bench.act(&browser, &page.hidden("run"), &[("do", "token")]).await;
    says(&waits, "The user has not decided yet");
    says(&waits, "id=\"user-code\"");
}

#[tokio::test]
async fn an_app_that_staff_suspended_and_one_of_a_dialect_have_no_console() {
    let bench = Bench::start(AppKind::Web, |_| {}).await;
    let browser = bench.browser().await;
    let nothing = bench.act(&browser, "", &[("do", "start")]).await;
    says(&nothing, "Tick at least one");
    let now = bench.app.provider.now();
    let suspended = bench.client.app.clone().suspend("Phishing".into(), now).unwrap();
    bench.app.save_app(suspended).await;
    says(&browser.get(&bench.path()).await, "Staff suspended this app");
    let start = bench.act(&browser, "", &[("do", "start"), ("scope", "balances.read")]).await;
    says(&start, "Staff suspended this app");
    let of_dialect = |app: &mut App| app.dialect = Some("bitport".into());
    let other = bench.app.add_app("other", AppKind::Web, of_dialect).await;
    let page = browser.get(&format!("/apps/{}/try", other.app.id)).await;
    says(&page, "speaks a dialect only");
    let stale = browser.send(form_request(&bench.path(), &[], &[("do", "start")])).await;
    assert_eq!(stale.status, StatusCode::BAD_REQUEST);
}
