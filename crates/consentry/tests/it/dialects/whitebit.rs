//! WhiteBIT's OAuth on the wire, as its clients know it. Each test holds one fact.

use futures_util::future::join_all;
use serde_json::json;
use testkit::app::VERIFIER;
use testkit::{Browser, Demo, TestApp};

use super::seen::{
    Seen, authorize_url, call, callback_of, code_of, denied_callback_of, post, seen,
};
use crate::BINARY;
use crate::served::{CALLBACK, Site};
use crate::upstream::Upstream;

pub(super) const LOGIN: &str = "/auth/login";
pub(super) const TOKEN: &str = "/oauth2/token";
pub(super) const REFRESH: &str = "/oauth2/refresh_token";
const BALANCE: &str = "/api/v4/accounts/balances/spot";

/// The head of every answer of the token endpoints.
const JSON: &str = "cache-control: no-store\ncontent-type: application/json\n\n";
const NOT_AUTHORISED: &str = r#"{"data":{"message":["Invalid request"]}}"#;

/// A user and an app that was registered at WhiteBIT.
struct World {
    demo: Demo,
    user: Browser,
    app: TestApp,
}

async fn world() -> World {
    let demo = Demo::start(BINARY).await;
    let user = demo.exchange.signed_in("alice").await;
    let app = demo.exchange.app("whitebit-partner");
    World { demo, user, app }
}

/// Of the partner app, in order.
pub(super) fn registered_scopes(demo: &Demo) -> Vec<String> {
    let scopes = demo.exchange.json()["apps"]["whitebit-partner"]["scopes"].as_array().unwrap();
    let mut scopes: Vec<_> = scopes.iter().map(|one| one.as_str().unwrap().to_owned()).collect();
    scopes.sort_unstable();
    scopes
}

impl World {
    fn secret(&self) -> String {
        self.app.client_secret.clone().unwrap()
    }

    fn url(&self, more: &[(&str, &str)]) -> String {
        let query: Vec<_> =
            [("clientId", &*self.app.client_id)].iter().chain(more).copied().collect();
        authorize_url(&self.app, LOGIN, &query)
    }

    async fn code(&self) -> String {
        code_of(&self.app, &self.user, &self.url(&[])).await
    }

    /// The app's id and secret, and `more`.
    async fn post(&self, path: &str, more: &[(&str, &str)]) -> Seen {
        let secret = self.secret();
        let own = [("client_id", &*self.app.client_id), ("client_secret", &*secret)];
        post(&self.app, path, &own.iter().chain(more).copied().collect::<Vec<_>>()).await
    }

    /// The answer to every good request: all that the app is registered for.
    fn granted(&self) -> String {
        let scopes = registered_scopes(&self.demo).join(",");
        format!(
            "HTTP 200\n{JSON}{{\"data\":{{\"access_token\":\"ACCESS\",\"expires_in\":300,\
             \"refresh_token\":\"REFRESH\",\"scope\":\"{scopes}\",\"token_type\":\"Bearer\"}}}}"
        )
    }

    async fn tokens(&self) -> Seen {
        let code = self.code().await;
        self.post(TOKEN, &[("code", &*code)]).await
    }
}

#[tokio::test]
async fn whitebit_takes_client_id_in_camel_case_and_echoes_state_without_iss() {
    let world = world().await;
    let callback = callback_of(&world.app, &world.user, &world.url(&[("state", "S")])).await;
    assert_eq!(callback, "REDIRECT_URI?code=CODE&state=S");
    let callback = callback_of(&world.app, &world.user, &world.url(&[])).await;
    assert_eq!(callback, "REDIRECT_URI?code=CODE");
}

#[tokio::test]
async fn whitebit_tells_a_denial_to_the_registered_address() {
    let world = world().await;
    assert_eq!(
        denied_callback_of(&world.app, &world.user, &world.url(&[("state", "S")])).await,
        "REDIRECT_URI?error=access_denied&error_description=the+user+said+no&state=S"
    );
}

#[tokio::test]
async fn whitebit_sends_somebody_who_is_not_signed_in_to_the_authorization_page() {
    let world = world().await;
    let stranger = Browser::new(&world.app.issuer);
    let page = stranger.open(&world.url(&[])).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/sign-in"));
}

#[tokio::test]
async fn whitebit_shows_a_page_for_an_unknown_client_and_for_the_standards_spelling() {
    let world = world().await;
    for query in [[("clientId", "nobody")], [("client_id", &*world.app.client_id)]] {
        let page = world.user.open(&authorize_url(&world.app, LOGIN, &query)).await;
        assert_eq!((page.status.as_u16(), page.left_to), (400, None), "{query:?}");
    }
}

#[tokio::test]
async fn whitebit_grants_the_scopes_of_the_registration_whatever_is_asked() {
    let world = world().await;
    let url = world.url(&[("scope", "general"), ("response_type", "token")]);
    let code = code_of(&world.app, &world.user, &url).await;
    assert_eq!(world.post(TOKEN, &[("code", &*code)]).await.text, world.granted());
}

#[tokio::test]
async fn whitebit_answers_tokens_in_data_with_commas_between_scopes() {
    let world = world().await;
    assert_eq!(world.tokens().await.text, world.granted());
}

#[tokio::test]
async fn whitebit_takes_json_under_the_content_type_of_a_form_and_as_json() {
    let world = world().await;
    for content_type in ["application/x-www-form-urlencoded", "application/json"] {
        let body = json!({
            "client_id": world.app.client_id,
            "client_secret": world.secret(),
            "code": world.code().await,
        });
        let request = world.app.client.post(format!("{}{TOKEN}", world.app.issuer));
        let request = request.header("content-type", content_type).body(body.to_string());
        let first = seen(request).await;
        assert_eq!(first.text, world.granted(), "{content_type}");
        if content_type == "application/json" {
            continue;
        }
        let body = json!({
            "client_id": world.app.client_id,
            "client_secret": world.secret(),
            "token": first.at("/data/refresh_token"),
        });
        let request = world.app.client.post(format!("{}{REFRESH}", world.app.issuer));
        let request = request.header("content-type", content_type).body(body.to_string());
        assert_eq!(seen(request).await.text, world.granted());
    }
}

#[tokio::test]
async fn whitebit_answers_a_wrong_secret_with_401_and_invalid_request() {
    let world = world().await;
    let form = [
        ("client_id", &*world.app.client_id),
        ("client_secret", "wrong"),
        ("code", &*world.code().await),
    ];
    let answer = post(&world.app, TOKEN, &form).await;
    assert_eq!(answer.text, format!("HTTP 401\n{JSON}{NOT_AUTHORISED}"));
    let form = [form[0], form[1], ("token", "x")];
    let answer = post(&world.app, REFRESH, &form).await;
    assert_eq!(answer.text, format!("HTTP 401\n{JSON}{NOT_AUTHORISED}"));
}

#[tokio::test]
async fn whitebit_answers_a_wrong_and_a_used_code_with_401_and_invalid_request() {
    let world = world().await;
    let refused = format!("HTTP 401\n{JSON}{NOT_AUTHORISED}");
    assert_eq!(world.post(TOKEN, &[("code", "nonsense")]).await.text, refused);
    let code = world.code().await;
    assert_eq!(world.post(TOKEN, &[("code", &*code)]).await.text, world.granted());
    assert_eq!(world.post(TOKEN, &[("code", &*code)]).await.text, refused);
}

#[tokio::test]
async fn whitebit_answers_missing_fields_with_422_and_a_list_for_each() {
    let world = world().await;
    let required = |fields: &[&str]| {
        let fields: Vec<_> =
            fields.iter().map(|name| format!("\"{name}\":[\"validation.required\"]")).collect();
        let fields = fields.join(",");
        format!("HTTP 422\n{JSON}{{\"errors\":{{{fields}}},\"notification\":null}}")
    };
    let nothing = post(&world.app, TOKEN, &[]).await;
    assert_eq!(nothing.text, required(&["client_id", "client_secret", "code"]));
    assert_eq!(world.post(TOKEN, &[("code", "")]).await.text, required(&["code"]));
    let nothing = post(&world.app, REFRESH, &[]).await;
    assert_eq!(nothing.text, required(&["client_id", "client_secret", "token"]));
    assert_eq!(world.post(REFRESH, &[]).await.text, required(&["token"]));
}

#[tokio::test]
async fn whitebits_refresh_token_rotates() {
    let world = world().await;
    let first = world.tokens().await.at("/data/refresh_token");
    let answer = world.post(REFRESH, &[("token", &*first)]).await;
    assert_eq!(answer.text, world.granted());
    assert_ne!(answer.at("/data/refresh_token"), first);
    let token = answer.at("/data/access_token");
    let balance = call(&world.app, "POST", BALANCE, &format!("Bearer {token}")).await;
    assert_eq!(balance.status, 200, "{}", balance.text);
}

#[tokio::test]
async fn whitebit_answers_a_bad_refresh_token_with_400_and_invalid_token() {
    let answer = world().await.post(REFRESH, &[("token", "nonsense")]).await;
    assert_eq!(
        answer.text,
        format!("HTTP 400\n{JSON}{{\"data\":{{\"token\":[\"Invalid token.\"]}}}}")
    );
}

#[tokio::test]
async fn whitebit_takes_one_refresh_a_second_and_says_when_the_next() {
    let world = world().await;
    let token = world.tokens().await.at("/data/refresh_token");
    let field = [("token", &*token)];
    let answers = join_all((0..4).map(|_| world.post(REFRESH, &field))).await;
    assert!(
        answers.iter().any(|answer| answer.text == world.granted()),
        "the first one is admitted"
    );
    let too_many = answers.iter().find(|answer| answer.status == 429).expect("four at once");
    insta::assert_snapshot!(too_many.text, @r#"
    HTTP 429
    cache-control: no-store
    content-type: application/json
    retry-after: 1

    {"data":{"message":["too many requests, try again later"]}}
    "#);
}

#[tokio::test]
async fn whitebits_key_flow_takes_s256_and_an_exact_redirect_uri() {
    let world = world().await;
    let challenge = world.app.authorize_url("general", "s");
    let challenge = challenge.query_pairs().find(|(name, _)| name == "code_challenge").unwrap().1;
    let url = world.url(&[
        ("redirect_uri", &*world.app.redirect_uri),
        ("code_challenge", &*challenge),
        ("code_challenge_method", "S256"),
    ]);
    let code = code_of(&world.app, &world.user, &url).await;
    let without = world.post(TOKEN, &[("code", &*code)]).await;
    assert_eq!(without.status, 401, "attack P1: {}", without.text);
    let with = world.post(TOKEN, &[("code", &*code), ("code_verifier", VERIFIER)]).await;
    assert_eq!(with.text, world.granted());
    let other = format!("{}/", world.app.redirect_uri);
    let page = world.user.open(&world.url(&[("redirect_uri", &*other)])).await;
    assert_eq!((page.status.as_u16(), page.left_to), (400, None));
}

/// Two apps of the dialect: one may call from another network only, one has no list at all.
#[tokio::test]
async fn whitebit_refuses_an_address_that_is_not_on_the_list_and_an_app_without_a_list() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    site.also_config("dialects = [\"whitebit\"]");
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let alice = site.signed_in("alice@example.com").await;
    let whitebit = ["--dialect", "whitebit", "--redirect-uri", CALLBACK];
    let elsewhere = ["--address", "10.0.0.0/8"];
    let here = ["--address", "127.0.0.0/8", "--address", "::1/128"];
    for (name, network, expected) in
        [("elsewhere", &elsewhere[..], 401), ("unlisted", &[], 401), ("here", &here, 200)]
    {
        let app = site.create_app(name, "web", &[&whitebit, network].concat()).await;
        let url = authorize_url(&app, LOGIN, &[("clientId", &app.client_id)]);
        let code = code_of(&app, &alice, &url).await;
        let secret = app.client_secret.clone().unwrap();
        let own = [("client_id", &*app.client_id), ("client_secret", &*secret)];
        let answer = post(&app, TOKEN, &[own[0], own[1], ("code", &*code)]).await;
        assert_eq!(answer.status.as_u16(), expected, "{name}: {}", answer.text);
        if expected == 401 {
            assert_eq!(answer.text, format!("HTTP 401\n{JSON}{NOT_AUTHORISED}"), "{name}");
            let refresh = post(&app, REFRESH, &[own[0], own[1], ("token", "x")]).await;
            assert_eq!(refresh.text, format!("HTTP 401\n{JSON}{NOT_AUTHORISED}"), "{name}");
        }
    }
}

#[tokio::test]
async fn whitebits_api_answers_every_401_with_unauthorized() {
    let world = world().await;
    for header in ["", "Bearer nonsense", "Basic eDp5"] {
        let answer = call(&world.app, "POST", BALANCE, header).await;
        let (head, body) = answer.text.split_once("\n\n").unwrap();
        assert!(head.starts_with("HTTP 401\n"), "{header}: {head}");
        assert_eq!(body, r#"{"data":{"message":["Unauthorized."]}}"#, "{header}");
    }
}

#[tokio::test]
async fn whitebits_api_answers_a_missing_scope_in_its_envelope_with_403() {
    let world = world().await;
    let form = world.user.open(&world.url(&[])).await.form("consent").set("decision", "allow");
    let page = world.user.submit(&form.without("scope", "users.balances.read")).await;
    let code = page.callback_parameter("code").unwrap();
    let token = world.post(TOKEN, &[("code", &*code)]).await.at("/data/access_token");
    let answer = call(&world.app, "POST", BALANCE, &format!("Bearer {token}")).await;
    let (head, body) = answer.text.split_once("\n\n").unwrap();
    assert!(head.starts_with("HTTP 403\n") && head.contains("users.balances.read"), "{head}");
    insta::assert_snapshot!(body, @r#"{"data":{"message":["the access token lacks permissions: users.balances.read"]}}"#);
}

#[tokio::test]
async fn whitebits_api_takes_bearer_in_any_case() {
    let world = world().await;
    let token = world.tokens().await.at("/data/access_token");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let answer = call(&world.app, "POST", BALANCE, &format!("{scheme} {token}")).await;
        assert_eq!(answer.status, 200, "{scheme}: {}", answer.text);
    }
}

#[tokio::test]
async fn b1_a_token_without_a_scheme_is_taken_from_no_app_but_bitports() {
    let world = world().await;
    let token = world.tokens().await.at("/data/access_token");
    let answer = call(&world.app, "POST", BALANCE, &token).await;
    assert_eq!(answer.status, 401, "an app of WhiteBIT: {}", answer.text);
    let demo = Demo::start(BINARY).await;
    let bob = demo.drive.signed_in("bob").await;
    let app = demo.drive.app("web");
    // Of the same app that may do it with a token that Bitport's endpoint gave.
    let token = app.connect(&bob, "files.read").await.access;
    assert_eq!(call(&app, "GET", "/v2/cloud", &format!("Bearer {token}")).await.status, 200);
    let answer = call(&app, "GET", "/v2/cloud", &token).await;
    assert_eq!(answer.status, 401, "a token of the standard: {}", answer.text);
}
