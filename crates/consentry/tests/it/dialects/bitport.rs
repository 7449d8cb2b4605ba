//! Bitport's OAuth on the wire, as its clients know it. Each test holds one fact.

use testkit::{Browser, Demo, TestApp};

use super::seen::{
    Seen, authorize_url, call, callback_of, code_of, denied_callback_of, post, seen,
};
use crate::BINARY;
use crate::revocation::connected_path;
use crate::served::Site;
use crate::upstream::Upstream;

pub(super) const AUTHORIZE: &str = "/v2/oauth2/authorize";
pub(super) const TOKEN: &str = "/v2/oauth2/access-token";

/// A user and an app that was registered at Bitport.
struct World {
    demo: Demo,
    user: Browser,
    app: TestApp,
}

async fn world() -> World {
    let demo = Demo::start(BINARY).await;
    let user = demo.drive.signed_in("bob").await;
    let app = demo.drive.app("web");
    World { demo, user, app }
}

impl World {
    fn secret(&self) -> String {
        self.app.client_secret.clone().unwrap()
    }

    /// The request of most clients: no redirect URI, no state.
    fn shortest_url(&self) -> String {
        let query = [("response_type", "code"), ("client_id", &*self.app.client_id)];
        authorize_url(&self.app, AUTHORIZE, &query)
    }

    async fn code(&self) -> String {
        code_of(&self.app, &self.user, &self.shortest_url()).await
    }

    async fn redeem(&self, code: &str, secret: &str) -> Seen {
        let form = [
            ("client_id", &*self.app.client_id),
            ("client_secret", secret),
            ("grant_type", "authorization_code"),
            ("code", code),
        ];
        post(&self.app, TOKEN, &form).await
    }

    async fn token(&self) -> String {
        let code = self.code().await;
        self.redeem(&code, &self.secret()).await.at("/access_token")
    }
}

/// Every failure has this head: HTTP 200, bare JSON.
fn failure(description: &str) -> String {
    format!(
        "HTTP 200\ncache-control: no-store\ncontent-type: application/json\n\n\
         {{\"error\":\"invalid_parameter\",\"error_description\":\"{description}\"}}"
    )
}

#[tokio::test]
async fn bitport_sends_the_code_to_the_registered_address_when_none_is_named() {
    let world = world().await;
    let callback = callback_of(&world.app, &world.user, &world.shortest_url()).await;
    assert_eq!(callback, "REDIRECT_URI?code=CODE");
}

#[tokio::test]
async fn bitport_takes_the_registered_redirect_uri_and_echoes_state_without_iss() {
    let world = world().await;
    let query = [
        ("response_type", "code"),
        ("client_id", &*world.app.client_id),
        ("redirect_uri", &*world.app.redirect_uri),
        ("state", "a b&c"),
    ];
    let url = authorize_url(&world.app, AUTHORIZE, &query);
    let callback = callback_of(&world.app, &world.user, &url).await;
    assert_eq!(callback, "REDIRECT_URI?code=CODE&state=a+b%26c");
}

#[tokio::test]
async fn bitport_tells_a_denial_with_error_description_and_state() {
    let world = world().await;
    let query = [("client_id", &*world.app.client_id), ("state", "s")];
    let url = authorize_url(&world.app, AUTHORIZE, &query);
    assert_eq!(
        denied_callback_of(&world.app, &world.user, &url).await,
        "REDIRECT_URI?error=access_denied&error_description=the+user+said+no&state=s"
    );
}

#[tokio::test]
async fn bitport_redirects_to_no_address_that_is_not_registered() {
    let world = world().await;
    let query = [
        ("response_type", "code"),
        ("client_id", &*world.app.client_id),
        ("redirect_uri", "https://evil.example/"),
    ];
    let page = world.user.open(&authorize_url(&world.app, AUTHORIZE, &query)).await;
    assert_eq!((page.status.as_u16(), page.left_to), (400, None));
}

/// Native clients of Bitport listen on a port that was free when they started.
#[tokio::test]
async fn b1_any_loopback_port_is_bitports_alone() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    site.also_config("dialects = [\"bitport\"]");
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("bob@example.com", None).await;
    let user = site.signed_in("bob@example.com").await;
    let words = ["--dialect", "bitport", "--also-standard"];
    let words = [&words[..], &["--redirect-uri", "http://127.0.0.1:8123/back"]].concat();
    let mut app = site.create_app("Command Line", "web", &words).await;
    app.redirect_uri = "http://127.0.0.1:51234/back".to_owned();
    let query = [("client_id", &*app.client_id), ("redirect_uri", &*app.redirect_uri)];
    let url = authorize_url(&app, AUTHORIZE, &query);
    assert_eq!(callback_of(&app, &user, &url).await, "REDIRECT_URI?code=CODE");
    for other in ["http://127.0.0.2:8123/back", "http://127.0.0.1:8123/other"] {
        let query = [("client_id", &*app.client_id), ("redirect_uri", other)];
        let page = user.open(&authorize_url(&app, AUTHORIZE, &query)).await;
        assert_eq!((page.status.as_u16(), page.left_to), (400, None), "{other}");
    }
    // The same app at the standard endpoint: its port is the registered one.
    let page = user.open(app.authorize_url("items.read", "s").as_str()).await;
    assert_eq!((page.status.as_u16(), page.left_to), (400, None));
}

#[tokio::test]
async fn bitport_answers_tokens_bare_for_ten_years_with_the_scope_full() {
    let world = world().await;
    let answer = world.redeem(&world.code().await, &world.secret()).await;
    insta::assert_snapshot!(answer.text, @r#"
    HTTP 200
    cache-control: no-store
    content-type: application/json

    {"access_token":"ACCESS","expires_in":315360000,"token_type":"bearer","scope":"full"}
    "#);
    let seconds = answer.body["expires_in"].as_i64().unwrap();
    assert!(i32::try_from(seconds).is_ok(), "clients read a 32-bit number");
}

#[tokio::test]
async fn bitport_takes_http_basic_from_libraries_that_try_it_first() {
    let world = world().await;
    let form = [("grant_type", "authorization_code"), ("code", &*world.code().await)];
    let request = world.app.client.post(format!("{}{TOKEN}", world.app.issuer)).form(&form);
    let answer = seen(request.basic_auth(&world.app.client_id, Some(world.secret()))).await;
    assert_eq!(answer.body["scope"], "full", "{}", answer.text);
}

#[tokio::test]
async fn bitport_answers_a_wrong_secret_with_200_and_invalid_parameter() {
    let world = world().await;
    let code = world.code().await;
    assert_eq!(world.redeem(&code, "wrong").await.text, failure("Invalid Client Secret"));
    let form = [("client_id", "1"), ("client_secret", "x"), ("code", &*code)];
    let form = form.into_iter().chain([("grant_type", "authorization_code")]).collect::<Vec<_>>();
    let unknown = post(&world.app, TOKEN, &form).await;
    assert_eq!(unknown.text, failure("Invalid Client Secret"), "an unknown app looks the same");
    // RFC 6749 §4.1.2: whoever was refused has not used the code up.
    world.redeem(&code, &world.secret()).await.at("/access_token");
}

#[tokio::test]
async fn bitport_answers_a_wrong_and_a_used_code_with_200_and_invalid_parameter() {
    let world = world().await;
    let wrong = world.redeem("nonsense", &world.secret()).await;
    assert_eq!(wrong.text, failure("the code is not valid"));
    let code = world.code().await;
    let token = world.redeem(&code, &world.secret()).await.at("/access_token");
    let used = world.redeem(&code, &world.secret()).await;
    assert_eq!(used.text, failure("the code was already used"));
    let call = call(&world.app, "GET", "/v2/me", &format!("Bearer {token}")).await;
    assert_eq!(call.status, 401, "attack C1: what the code gave is gone");
}

#[tokio::test]
async fn bitport_answers_missing_fields_and_other_grant_types_with_200_and_invalid_parameter() {
    let world = world().await;
    let (id, secret) = (("client_id", &*world.app.client_id), world.secret());
    let secret = ("client_secret", &*secret);
    let code_of_a_device = [id, secret, ("grant_type", "password"), ("code", "x")];
    let answer = post(&world.app, TOKEN, &code_of_a_device).await;
    assert_eq!(answer.text, failure("the grant type is not one of this endpoint's"));
    let answer = post(&world.app, TOKEN, &[id, secret, ("code", "x")]).await;
    assert_eq!(answer.text, failure("grant_type is missing"));
    let without_code = [id, secret, ("grant_type", "authorization_code")];
    assert_eq!(post(&world.app, TOKEN, &without_code).await.text, failure("code is missing"));
    let without_secret = [id, ("grant_type", "authorization_code"), ("code", "x")];
    let answer = post(&world.app, TOKEN, &without_secret).await;
    assert_eq!(answer.text, failure("Invalid Client Secret"));
}

#[tokio::test]
async fn bitport_has_no_token_for_get() {
    let world = world().await;
    let answer = call(&world.app, "GET", TOKEN, "").await;
    insta::assert_snapshot!(answer.text, @r"
    HTTP 405
    allow: POST,OPTIONS
    cache-control: no-store
    ");
}

#[tokio::test]
async fn bitports_api_takes_bearer_in_any_case_and_no_scheme_at_all() {
    let world = world().await;
    let code = world.code().await;
    let answer = world.redeem(&code, &world.secret()).await;
    let token = answer.at("/access_token");
    let verbatim = format!("{} {token}", answer.at("/token_type"));
    for header in [format!("Bearer {token}"), verbatim, token.clone()] {
        let me = call(&world.app, "GET", "/v2/me", &header).await;
        assert_eq!(me.body["status"], "success", "{header}: {}", me.text);
    }
}

#[tokio::test]
async fn bitports_api_answers_a_bad_token_with_401_in_its_envelope() {
    let world = world().await;
    for header in ["", "Bearer nonsense", "nonsense", "Basic eDp5"] {
        let answer = call(&world.app, "GET", "/v2/me", header).await;
        let (head, body) = answer.text.split_once("\n\n").unwrap();
        assert!(head.starts_with("HTTP 401\n"), "{header}: {head}");
        assert_eq!(
            body,
            r#"{"status":"error","data":null,"errors":[{"message":"Unauthorized access","code":401}]}"#,
            "{header}"
        );
    }
}

#[tokio::test]
async fn bitports_api_answers_an_unknown_method_with_200_and_code_404() {
    let world = world().await;
    let token = world.token().await;
    for (method, path) in [("GET", "/v2/no-such-thing"), ("PATCH", "/v2/me")] {
        let answer = call(&world.app, method, path, &format!("Bearer {token}")).await;
        let (head, body) = answer.text.split_once("\n\n").unwrap();
        assert!(head.starts_with("HTTP 200\n"), "{path}: {head}");
        assert_eq!(
            body,
            r#"{"status":"error","data":null,"errors":[{"message":"Method not found","code":404}]}"#,
            "{path}"
        );
    }
}

#[tokio::test]
async fn bitports_api_answers_what_the_user_left_out_in_its_envelope_with_403() {
    let world = world().await;
    let form = world.user.open(&world.shortest_url()).await.form("consent");
    let scopes: Vec<String> = form.values("scope").into_iter().map(str::to_owned).collect();
    let form = scopes.iter().fold(form, |form, scope| form.without("scope", scope));
    let page = world.user.submit(&form.set("decision", "allow")).await;
    let code = page.callback_parameter("code").unwrap();
    let token = world.redeem(&code, &world.secret()).await.at("/access_token");
    let answer = call(&world.app, "GET", "/v2/me", &format!("Bearer {token}")).await;
    let (head, body) = answer.text.split_once("\n\n").unwrap();
    assert!(head.starts_with("HTTP 403\n") && head.contains("insufficient_scope"), "{head}");
    insta::assert_snapshot!(body, @r#"{"status":"error","data":null,"errors":[{"message":"the access token lacks permissions: account.read","code":403}]}"#);
}

#[tokio::test]
async fn a_ten_year_token_of_bitport_that_the_user_revokes_is_refused_on_the_next_call() {
    let world = world().await;
    let token = world.token().await;
    let me = async || call(&world.app, "GET", "/v2/me", &format!("Bearer {token}")).await;
    assert_eq!(me().await.body["status"], "success");
    let page = world.user.open(&connected_path(&world.user).await).await;
    world.user.submit(&page.form("revoke")).await;
    assert_eq!(me().await.body["errors"][0]["code"], 401);
}

#[tokio::test]
async fn bitports_developer_pages_lead_to_ours() {
    let demo = Demo::start(BINARY).await;
    let app = demo.drive.app("web");
    for (from, to) in [
        ("/api/create-application", "/apps/new?wire=bitport"),
        ("/api/list-of-applications", "/apps"),
    ] {
        let answer = call(&app, "GET", from, "").await;
        assert_eq!(answer.text, format!("HTTP 303\ncache-control: no-store\nlocation: {to}\n\n"));
    }
    let developer = demo.drive.signed_in("dev").await;
    let page = developer.open("/api/create-application").await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/apps/new"));
    let page = developer.open("/api/list-of-applications").await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/apps"));
}

#[tokio::test]
async fn bitports_apps_have_numbers_for_ids() {
    let world = world().await;
    for app in world.demo.drive.json()["apps"].as_object().unwrap().values() {
        let id = app["client_id"].as_str().unwrap();
        let is_bitports = app["dialect"] == "bitport";
        assert!(!is_bitports || id.parse::<u32>().is_ok(), "{id}");
    }
}
