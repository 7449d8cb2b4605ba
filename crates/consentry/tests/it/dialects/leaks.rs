//! Attack B1 from both sides: what a dialect lets go holds at its endpoints and for its apps alone.
//! One provider with two invented dialects and apps of each, of both worlds and of the standard.

use reqwest::StatusCode;
use serde_json::json;
use testkit::app::VERIFIER;
use testkit::{Browser, TestApp, Tokens};

use super::acme::{self, Acme};
use super::seen::{Seen, authorize_url, code_of, post, seen};
use crate::served::{CALLBACK, Server, Site};
use crate::upstream::Upstream;

/// Answers everything with 200, as some did.
const OLDEN: &str = r#"
name = "olden"
relax = ["pkce", "redirect_uri_repeat", "loopback_port", "bare_token"]

[lifetimes]
access_token = "1d"
refresh_token = "30d"
grant = "365d"

[authorize]
path = "/olden/ask"
defaults = { response_type = "code" }
parameters = { client_id = "who", redirect_uri = "back", state = "state" }

[[token]]
path = "/olden/code"
grant = "authorization_code"
basic = true
rate = { failures = "3/1h" }
parameters = { client_id = "who", client_secret = "word", code = "code" }
answer = { template = '{"token": "{{access_token}}", "again": "{{refresh_token}}"}' }
error = [{ status = 200, template = '{"sorry": "{{error}}"}' }]

[[token]]
path = "/olden/again"
grant = "refresh_token"
parameters = { client_id = "who", client_secret = "word", refresh_token = "again" }
answer = { template = '{"token": "{{access_token}}", "again": "{{refresh_token}}"}' }
error = [{ status = 200, template = '{"sorry": "{{error}}"}' }]
"#;

struct World {
    site: Site,
    user: Browser,
    _server: Server,
    _upstream: Upstream,
}

async fn world() -> World {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    std::fs::write(site.path("acme.toml"), acme::file()).unwrap();
    std::fs::write(site.path("olden.toml"), OLDEN).unwrap();
    site.also_config("dialects = [\"./acme.toml\", \"./olden.toml\"]");
    let server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let user = site.signed_in("alice@example.com").await;
    World { site, user, _server: server, _upstream: upstream }
}

impl World {
    /// A web app of this dialect (`""`: of the standard alone).
    async fn app(&self, dialect: &str, more: &[&str]) -> TestApp {
        let dialect = if dialect.is_empty() { vec![] } else { vec!["--dialect", dialect] };
        let words = [&dialect[..], &["--redirect-uri", CALLBACK], more].concat();
        self.site.create_app("Some App", "web", &words).await
    }

    /// An app of Acme that the standard endpoints know too.
    async fn app_of_both(&self) -> TestApp {
        self.app("acme", &["--also-standard"]).await
    }
}

/// An app at the endpoints of the dialect `olden`.
struct Olden<'a>(&'a TestApp);

impl Olden<'_> {
    async fn code(&self, user: &Browser) -> String {
        let url = authorize_url(self.0, "/olden/ask", &[("who", &*self.0.client_id)]);
        code_of(self.0, user, &url).await
    }

    async fn post(&self, path: &str, more: (&str, &str)) -> Seen {
        let secret = self.0.client_secret.clone().unwrap();
        let form = [("who", &*self.0.client_id), ("word", &*secret), more];
        post(self.0, path, &form).await
    }

    async fn tokens(&self, user: &Browser) -> Tokens {
        let code = self.code(user).await;
        let answer = self.post("/olden/code", ("code", &code)).await;
        Tokens {
            access: answer.at("/token"),
            refresh: Some(answer.at("/again")),
            scope: String::new(),
            expires_in: 0,
        }
    }
}

#[track_caller]
fn assert_refused(answer: &Seen, status: u16, why: &str) {
    let said = format!("{}", answer.body);
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert!(said.contains(why), "{}", answer.text);
}

#[tokio::test]
async fn b1_a_dialects_code_is_refused_at_the_standard_token_endpoint() {
    let world = world().await;
    let app = world.app_of_both().await;
    let acme = Acme(&app);
    let code = acme.code(&world.user, &[]).await;
    let refused = app.redeem(&code).await;
    assert_eq!((refused.status, refused.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
    let bare = app.token(&[("grant_type", "authorization_code"), ("code", &code)]).await;
    assert_eq!(bare.error(), "invalid_grant");
    // What was refused elsewhere is still good where it belongs.
    acme.redeem(&code).await.at("/key/text");
}

#[tokio::test]
async fn b1_a_code_of_the_standard_is_refused_at_a_dialects_token_endpoint() {
    let world = world().await;
    let app = world.app_of_both().await;
    let code = app.authorize(&world.user, "items.read").await;
    let proof = [("want", "first_key"), ("ticket", &*code), ("proof", VERIFIER)];
    assert_refused(&Acme(&app).post(&proof).await, 400, "invalid_grant");
    assert_refused(&Acme(&app).redeem(&code).await, 400, "invalid_grant");
    app.redeem(&code).await.tokens();
}

#[tokio::test]
async fn b1_a_dialects_refresh_token_is_refused_at_the_standard_token_endpoint_and_the_reverse() {
    let world = world().await;
    let app = world.app_of_both().await;
    let acme = Acme(&app);
    let of_acme = acme.tokens(&world.user).await.at("/renewal");
    let of_standard = app.connect(&world.user, "items.read").await.refresh.unwrap();
    assert_eq!(app.refresh(&of_acme).await.error(), "invalid_grant");
    assert_refused(&acme.renew(&of_standard).await, 400, "invalid_grant");
    // Neither was used up, and neither grant was taken for stolen.
    acme.renew(&of_acme).await.at("/key/text");
    app.refresh(&of_standard).await.tokens();
}

#[tokio::test]
async fn b1_no_code_or_refresh_token_of_one_dialect_works_at_the_endpoints_of_another() {
    let world = world().await;
    let (of_acme, of_olden) = (world.app("acme", &[]).await, world.app("olden", &[]).await);
    let (acme, olden) = (Acme(&of_acme), Olden(&of_olden));
    let ticket = acme.code(&world.user, &[]).await;
    let code = olden.code(&world.user).await;
    assert_refused(&acme.redeem(&code).await, 400, "invalid_grant");
    assert_refused(&olden.post("/olden/code", ("code", &ticket)).await, 200, "invalid_grant");
    let renewal = acme.redeem(&ticket).await.at("/renewal");
    let again = olden.post("/olden/code", ("code", &code)).await.at("/again");
    assert_refused(&acme.renew(&again).await, 400, "invalid_grant");
    assert_refused(&olden.post("/olden/again", ("again", &renewal)).await, 200, "invalid_grant");
    acme.renew(&renewal).await.at("/key/text");
    olden.post("/olden/again", ("again", &again)).await.at("/token");
}

#[tokio::test]
async fn b1_an_app_is_a_stranger_at_the_endpoints_of_a_dialect_it_is_not_registered_for() {
    let world = world().await;
    let standard = world.app("", &[]).await;
    let of_olden = world.app("olden", &["--also-standard"]).await;
    for app in [&standard, &of_olden] {
        let (acme, id) = (Acme(app), [("app", &*app.client_id), ("back_to", CALLBACK)]);
        let page = world.user.open(&authorize_url(app, "/connect/start", &id)).await;
        assert_eq!((page.status.as_u16(), page.left_to), (400, None), "a page, no redirect");
        let refused = acme.redeem("whatever").await;
        assert_refused(&refused, 403, "stranger");
        assert_eq!(refused.body.as_object().unwrap().len(), 2, "{}", refused.text);
        assert_refused(&acme.renew("whatever").await, 403, "stranger");
    }
    let of_acme = world.app("acme", &[]).await;
    let url = authorize_url(&of_acme, "/olden/ask", &[("who", &of_acme.client_id)]);
    let page = world.user.open(&url).await;
    assert_eq!((page.status.as_u16(), page.left_to), (400, None), "a page, no redirect");
    let refused = Olden(&of_acme).post("/olden/code", ("code", "whatever")).await;
    assert_refused(&refused, 200, r#"{"sorry":"invalid_client"}"#);
}

#[tokio::test]
async fn b1_an_app_of_a_dialect_alone_is_a_stranger_at_the_standard_endpoints() {
    let world = world().await;
    let app = world.app("acme", &[]).await;
    let page = world.user.open(app.authorize_url("items.read", "s").as_str()).await;
    assert_eq!((page.status.as_u16(), page.left_to), (400, None), "a page, no redirect");
    let tokens = Acme(&app).tokens(&world.user).await;
    assert_eq!(app.refresh(&tokens.at("/renewal")).await.error(), "invalid_client");
    let own = app.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!((own.status, own.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
}

#[tokio::test]
async fn b1_an_app_of_both_meets_the_strict_rules_at_the_standard_endpoints() {
    let world = world().await;
    let app = world.app_of_both().await;
    let query = [
        ("response_type", "code"),
        ("client_id", &*app.client_id),
        ("redirect_uri", CALLBACK),
        ("state", "s"),
    ];
    let page = world.user.open(&authorize_url(&app, "/oauth/authorize", &query)).await;
    assert_eq!(page.callback_parameter("error").as_deref(), Some("invalid_request"), "no PKCE");
    assert_eq!(page.callback_parameter("iss").as_deref(), Some(&*app.issuer));
    let code = app.authorize(&world.user, "items.read").await;
    let proof =
        [("grant_type", "authorization_code"), ("code", &*code), ("code_verifier", VERIFIER)];
    assert_eq!(app.token(&proof).await.error(), "invalid_grant", "redirect_uri is not repeated");
    let body = json!({ "grant_type": "authorization_code" });
    let request = app.client.post(format!("{}/oauth/token", app.issuer)).json(&body);
    assert_eq!(seen(request).await.status, 400, "JSON is for dialects");
    app.redeem(&code).await.tokens();
}

#[tokio::test]
async fn b1_a_public_app_needs_pkce_where_its_dialect_lets_it_go() {
    let world = world().await;
    let words = ["--dialect", "acme", "--redirect-uri", "http://127.0.0.1/back"];
    let app = world.site.create_app("Pocket Umbrella", "native", &words).await;
    let acme = Acme(&app);
    let page = world.user.open(&acme.url(&[("echo", "s")])).await;
    assert_eq!(page.callback_parameter("error").as_deref(), Some("invalid_request"));
    assert_eq!(page.callback_parameter("state").as_deref(), Some("s"));
    let challenge = app.authorize_url("", "");
    let challenge = challenge.query_pairs().find(|(name, _)| name == "code_challenge").unwrap().1;
    let proof = [("proof", &*challenge), ("proof_method", "S256")];
    let code = acme.code(&world.user, &proof).await;
    let want = [("want", "first_key"), ("ticket", &*code)];
    let shown = |secret: &str, proof: &str| {
        let mut body = json!({ "app": app.client_id, "ticket": code, "want": "first_key" });
        for (name, value) in [("password", secret), ("proof", proof)] {
            if !value.is_empty() {
                body[name] = value.into();
            }
        }
        body
    };
    assert_refused(&acme.post(&want).await, 400, "invalid_grant");
    let wrong = "a-code-verifier-that-the-app-has-never-hashed";
    assert_refused(&acme.send(&shown("", wrong)).await, 400, "invalid_grant");
    // A public app has no secret: one that is shown is not right, whatever it is.
    assert_refused(&acme.send(&shown("none", VERIFIER)).await, 403, "stranger");
    acme.send(&shown("", VERIFIER)).await.at("/key/text");
}

#[tokio::test]
async fn b1_tokens_of_a_dialect_open_nothing_once_it_is_not_served_any_more() {
    let World { site, user, mut _server, _upstream } = world().await;
    let words = ["--dialect", "acme", "--also-standard", "--redirect-uri", CALLBACK];
    let app = site.create_app("Some App", "web", &words).await;
    let tokens = Acme(&app).tokens(&user).await;
    let of_standard = app.connect(&user, "items.read").await.access;
    assert_eq!(site.status("/api/items", &tokens.at("/key/text")).await, StatusCode::OK);
    _server.signal("TERM").await;
    _server.wait().await;
    site.change_config("\"./acme.toml\", ", "");
    let _server = site.serve().await;
    let status = site.status("/api/items", &tokens.at("/key/text")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.status("/api/items", &of_standard).await, StatusCode::OK);
    assert_eq!(Acme(&app).renew(&tokens.at("/renewal")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn m1_a_dialect_that_relaxes_iss_sends_none_and_one_that_does_not_sends_it() {
    let world = world().await;
    let both = world.app_of_both().await;
    let page = world.user.open(&Acme(&both).url(&[])).await;
    let page = both.allow(&world.user, page).await;
    assert_eq!(page.callback_parameter("iss"), None);
    // The same app at the standard endpoint, and an app of the other dialect.
    both.authorize(&world.user, "items.read").await;
    let olden = world.app("olden", &[]).await;
    let page =
        world.user.open(&authorize_url(&olden, "/olden/ask", &[("who", &olden.client_id)])).await;
    let denied = world.user.submit(&page.form("consent").set("decision", "deny")).await;
    assert_eq!(denied.callback_parameter("iss").as_deref(), Some(&*olden.issuer));
}

#[tokio::test]
async fn x4_a_dialect_looks_at_http_basic_only_where_its_file_says_so() {
    let world = world().await;
    let acme = world.app("acme", &[]).await;
    let body = json!({ "want": "first_key", "ticket": "x" });
    let request = acme.client.post(format!("{}/connect/keys", acme.issuer)).json(&body);
    let answer = seen(request.basic_auth(&acme.client_id, acme.client_secret.clone())).await;
    assert_refused(&answer, 400, "incomplete");
    let olden = world.app("olden", &[]).await;
    let basic = async |id: &str, form: &[(&str, &str)]| {
        let request = olden.client.post(format!("{}/olden/code", olden.issuer)).form(form);
        seen(request.basic_auth(id, olden.client_secret.clone())).await
    };
    let code = Olden(&olden).code(&world.user).await;
    // Two ways at once that do not agree, and credentials in the address.
    let other = [("who", &*acme.client_id), ("word", "x"), ("code", &*code)];
    assert_refused(&basic(&olden.client_id, &other).await, 200, "invalid_request");
    let secret = olden.client_secret.clone().unwrap();
    let in_address = [("client_id", &*olden.client_id), ("client_secret", &*secret)];
    let address = authorize_url(&olden, "/olden/code", &in_address);
    let request = olden.client.post(address).form(&[("code", &*code)]);
    assert_refused(&seen(request).await, 200, "invalid_request");
    basic(&olden.client_id, &[("code", &*code)]).await.at("/token");
}

#[tokio::test]
async fn x4_r7_doubled_fields_and_other_bodies_are_refused_in_the_dialects_words() {
    let world = world().await;
    let acme = world.app("acme", &[]).await;
    let send = async |content_type: &str, body: &str| {
        let request = acme.client.post(format!("{}/connect/keys", acme.issuer));
        seen(request.header("content-type", content_type).body(body.to_owned())).await
    };
    let doubled = r#"{"app":"a","app":"b","password":"p","want":"first_key","ticket":"x"}"#;
    assert_refused(&send("application/json", doubled).await, 400, "invalid_request");
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", "app=a&password=p&want=first_key"),
        ("text/plain", "{}"),
        ("application/json", r#"{"app":["a"]}"#),
        ("application/json", r#"{"app":{"a":{}}}"#),
        ("application/json", "[[[["),
        ("application/json", ""),
    ] {
        assert_refused(&send(content_type, body).await, 400, "invalid_request");
    }
    let url = authorize_url(&acme, "/connect/start", &[("app", &acme.client_id), ("app", "b")]);
    let page = world.user.open(&url).await;
    assert_eq!((page.status.as_u16(), page.left_to), (400, None), "a page, no redirect");
}

#[tokio::test]
async fn x2_a_dialect_that_answers_failures_with_200_still_stops_whoever_guesses() {
    let world = world().await;
    let app = world.app("olden", &[]).await;
    let guess = async |word: &str| {
        post(&app, "/olden/code", &[("who", &app.client_id), ("word", word), ("code", "x")]).await
    };
    for word in ["a", "b", "c"] {
        assert_refused(&guess(word).await, 200, "invalid_client");
    }
    // Its file lets three failures an hour pass; after that nothing is looked at.
    let stopped = guess(&app.client_secret.clone().unwrap()).await;
    assert_refused(&stopped, 200, "slow_down");
    assert!(stopped.text.contains("\nretry-after: "), "{}", stopped.text);
    let other = world.app("olden", &[]).await;
    Olden(&other).tokens(&world.user).await;
}
