//! OAuth client libraries that people really use, unmodified, through the standard endpoints. The
//! programs around those of other languages are in `tests/clients`, whose README is the contract.

use std::path::PathBuf;
use std::process::Stdio;

use oauth2::basic::BasicClient;
use oauth2::{
    AccessToken, AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, HttpRequest, HttpResponse, IntrospectionUrl, PkceCodeChallenge,
    RedirectUrl, RevocationUrl, Scope, StandardDeviceAuthorizationResponse, StandardRevocableToken,
    TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Browser, Demo, TestApp};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use crate::BINARY;

const BALANCE: &str = "/api/v4/trade-account/balance";

/// What `cargo xtask test` set up.
#[expect(clippy::disallowed_methods, reason = "these variables are for the tests alone")]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`"))
}

/// A library and the program around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Oauth4webapi,
    Authlib,
    XOauth2,
}

/// A program around a client. What it says and hears is told in `tests/clients/README.md`.
#[derive(Debug)]
pub(crate) struct Program(Command);

impl Program {
    pub(crate) fn python(script: &str) -> Self {
        Self::script("CONSENTRY_TEST_PYTHON", script)
    }

    pub(crate) fn ccxt(script: &str) -> Self {
        Self::script("CONSENTRY_TEST_PYTHON_CCXT", script)
    }

    pub(crate) fn node(script: &str) -> Self {
        // The script looks its library up there.
        variable("CONSENTRY_TEST_NODE_DIR");
        Self::script("CONSENTRY_TEST_NODE", script)
    }

    pub(crate) fn compiled(program: &str) -> Self {
        Self(Command::new(program))
    }

    fn script(interpreter: &str, script: &str) -> Self {
        let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let mut command = Command::new(variable(interpreter));
        command.arg(scripts.join(script));
        Self(command)
    }

    /// Run it as `app`, let `user` allow what it asks for, and return what it found.
    pub(crate) async fn run(mut self, config: &Value, app: &TestApp, user: &Browser) -> Value {
        let mut child = self
            .0
            .arg(config.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let asked = self.next_line(&mut lines).await;
        let url = asked["authorize_url"].as_str().unwrap_or_else(|| panic!("{self:?}: {asked}"));
        let page = user.open(url).await;
        let callback = app.allow(user, page).await.callback();
        let mut input = child.stdin.take().unwrap();
        input.write_all(format!("{callback}\n").as_bytes()).await.unwrap();
        let found = self.next_line(&mut lines).await;
        assert_eq!(found["ok"], true, "{self:?}: {found}");
        assert!(child.wait().await.unwrap().success(), "{self:?}");
        found
    }

    /// Run it without a user, and return what it found.
    pub(crate) async fn report(mut self, config: &Value) -> Value {
        let output = self.0.arg(config.to_string()).kill_on_drop(true).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let last = text.lines().last().unwrap_or_else(|| panic!("{self:?} ended without a word"));
        let found: Value = serde_json::from_str(last).unwrap();
        assert_eq!(found["ok"], true, "{self:?}: {found}");
        found
    }

    async fn next_line(&self, lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
        let line = lines.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("{self:?} ended without a word"));
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{self:?} said {line}: {e}"))
    }
}

impl Library {
    fn program(self) -> Program {
        match self {
            Self::Oauth4webapi => Program::node("oauth4webapi.mjs"),
            Self::Authlib => Program::python("authlib_client.py"),
            Self::XOauth2 => Program::compiled(&variable("CONSENTRY_TEST_GO_CLIENT")),
        }
    }

    /// Run the program as `app`, let `user` allow what it asks for, and return what it found.
    async fn run(self, app: &TestApp, user: &Browser, more: Value) -> Value {
        let mut config = json!({
            "issuer": app.issuer,
            "client_id": app.client_id,
            "redirect_uri": app.redirect_uri,
            "api": balance_of(app),
        });
        if let Some(secret) = &app.client_secret {
            config["client_secret"] = json!(secret);
        }
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        self.program().run(&config, app, user).await
    }
}

/// The call that every client makes.
fn balance_of(app: &TestApp) -> Value {
    json!({ "url": format!("{}{BALANCE}", app.issuer), "method": "POST", "body": {} })
}

fn words(scope: &Value) -> Vec<&str> {
    let mut words: Vec<&str> = scope.as_str().expect("a scope").split(' ').collect();
    words.sort_unstable();
    words
}

/// Both calls went through, the refresh rotated, and a revoked token is refused.
fn assert_connected(library: Library, app: &TestApp, found: &Value) {
    let calls = found["calls"].as_array().expect("calls");
    assert_eq!(calls.len(), 2, "{library:?}: {found}");
    for call in calls {
        assert_eq!(call["status"], 200, "{library:?}: {found}");
        assert!(call["body"]["USDT"].is_object(), "{library:?}: {found}");
    }
    assert_eq!(found["rotated"], true, "{library:?}: {found}");
    if library == Library::XOauth2 {
        // It can neither revoke nor ask.
        return;
    }
    assert_eq!(found["revoked"], true, "{library:?}: {found}");
    assert_eq!(found["after_revoke"]["status"], 401, "{library:?}: {found}");
    assert!(found["after_revoke"].to_string().contains("invalid_token"), "{library:?}: {found}");
    let introspected = match app.client_secret {
        Some(_) => json!({ "before": true, "after": false }),
        None => Value::Null,
    };
    assert_eq!(found["introspected"], introspected, "{library:?}: {found}");
}

async fn works_as_every_kind_of_app(library: Library) {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;

    let tracker = demo.exchange.app("portfolio-tracker");
    let wanted = json!({ "scopes": ["balances.read", "orders.read"] });
    let found = library.run(&tracker, &alice, wanted).await;
    assert_eq!(words(&found["scope"]), ["balances.read", "orders.read"], "{library:?}");
    assert_connected(library, &tracker, &found);

    let mut mobile = demo.exchange.app("mobile");
    assert!(mobile.client_secret.is_none());
    mobile.redirect_uri = "http://127.0.0.1:51234/callback".to_owned();
    let found = library.run(&mobile, &alice, json!({ "scopes": ["balances.read"] })).await;
    assert_eq!(words(&found["scope"]), ["balances.read"], "{library:?}");
    assert_connected(library, &mobile, &found);

    let enterprise = demo.exchange.app("enterprise");
    let own = json!({ "scopes": ["orders.read", "balances.read"], "api": balance_of(&enterprise) });
    let wanted = json!({ "scopes": ["balances.read"], "client_credentials": own });
    let found = library.run(&enterprise, &alice, wanted).await;
    assert_connected(library, &enterprise, &found);
    let own = &found["client_credentials"];
    assert_eq!(words(&own["scope"]), ["balances.read", "orders.read"], "{library:?}");
    assert_eq!(own["status"], 200, "{library:?}: {found}");
}

#[tokio::test]
async fn the_javascript_library_oauth4webapi_works_as_every_kind_of_app() {
    works_as_every_kind_of_app(Library::Oauth4webapi).await;
}

#[tokio::test]
async fn the_python_library_authlib_works_as_every_kind_of_app() {
    works_as_every_kind_of_app(Library::Authlib).await;
}

#[tokio::test]
async fn the_go_library_x_oauth2_works_as_every_kind_of_app() {
    works_as_every_kind_of_app(Library::XOauth2).await;
}

/// The HTTP client of the Rust library. It insists on https for revocation (RFC 7009 §2), also on
/// loopback: this stands where a proxy would end TLS.
struct Loopback(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Loopback {
    type Error = oauth2::HttpClientError<reqwest::Error>;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, Self::Error>> + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut request = reqwest::Request::try_from(request).map_err(Box::new)?;
            request.url_mut().set_scheme("http").unwrap();
            let response = self.0.execute(request).await.map_err(Box::new)?;
            let mut answer = http::Response::builder().status(response.status());
            for (name, value) in response.headers() {
                answer = answer.header(name, value);
            }
            let body = response.bytes().await.map_err(Box::new)?;
            answer.body(body.to_vec()).map_err(oauth2::HttpClientError::Http)
        })
    }
}

async fn balance_status(app: &TestApp, token: &AccessToken) -> StatusCode {
    app.call(Method::POST, BALANCE, token.secret(), json!({})).await.status
}

/// The code flow, a refresh and a revocation by the Rust library.
async fn connects_with_the_rust_library(app: &TestApp, user: &Browser) {
    let http = Loopback(app.client.clone());
    let endpoint = |path: &str| format!("{}{path}", app.issuer);
    let secure_revocation = endpoint("/oauth/revoke").replacen("http:", "https:", 1);
    let mut client = BasicClient::new(ClientId::new(app.client_id.clone()))
        .set_auth_uri(AuthUrl::new(endpoint("/oauth/authorize")).unwrap())
        .set_token_uri(TokenUrl::new(endpoint("/oauth/token")).unwrap())
        .set_revocation_url(RevocationUrl::new(secure_revocation).unwrap())
        .set_introspection_url(IntrospectionUrl::new(endpoint("/oauth/introspect")).unwrap())
        .set_redirect_uri(RedirectUrl::new(app.redirect_uri.clone()).unwrap());
    if let Some(secret) = &app.client_secret {
        client = client.set_client_secret(ClientSecret::new(secret.clone()));
    }

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scope(Scope::new("balances.read".into()))
        .add_scope(Scope::new("orders.read".into()))
        .set_pkce_challenge(challenge)
        .url();
    let page = app.allow(user, user.open(url.as_str()).await).await;
    assert_eq!(page.callback_parameter("state").as_ref(), Some(state.secret()));
    let code = AuthorizationCode::new(page.callback_parameter("code").expect("a code"));
    let exchange = client.exchange_code(code).set_pkce_verifier(verifier);
    let first = exchange.request_async(&http).await.unwrap();
    assert_eq!(first.scopes().expect("scopes").len(), 2);
    assert!(first.expires_in().is_some());
    assert_eq!(balance_status(app, first.access_token()).await, StatusCode::OK);

    let refresh = first.refresh_token().expect("a refresh token");
    let second = client.exchange_refresh_token(refresh).request_async(&http).await.unwrap();
    let next = second.refresh_token().expect("another refresh token").clone();
    assert_ne!(next.secret(), refresh.secret());
    assert_eq!(balance_status(app, second.access_token()).await, StatusCode::OK);
    let is_active = async || {
        let question = client.introspect(second.access_token());
        question.request_async(&http).await.unwrap().active()
    };
    if app.client_secret.is_some() {
        assert!(is_active().await);
    }

    let revocable = StandardRevocableToken::RefreshToken(next);
    client.revoke_token(revocable).unwrap().request_async(&http).await.unwrap();
    assert_eq!(balance_status(app, second.access_token()).await, StatusCode::UNAUTHORIZED);
    if app.client_secret.is_some() {
        assert!(!is_active().await);
    }
}

#[tokio::test]
async fn the_rust_library_oauth2_works_as_every_kind_of_app() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    connects_with_the_rust_library(&demo.exchange.app("portfolio-tracker"), &alice).await;
    let mut mobile = demo.exchange.app("mobile");
    mobile.redirect_uri = "http://127.0.0.1:51234/callback".to_owned();
    connects_with_the_rust_library(&mobile, &alice).await;

    let enterprise = demo.exchange.app("enterprise");
    let token_url = format!("{}/oauth/token", enterprise.issuer);
    let client = BasicClient::new(ClientId::new(enterprise.client_id.clone()))
        .set_client_secret(ClientSecret::new(enterprise.client_secret.clone().unwrap()))
        .set_token_uri(TokenUrl::new(token_url).unwrap());
    let asked = client.exchange_client_credentials().add_scope(Scope::new("balances.read".into()));
    let own = asked.request_async(&Loopback(enterprise.client.clone())).await.unwrap();
    assert!(own.refresh_token().is_none(), "RFC 6749 §4.4.3");
    assert_eq!(balance_status(&enterprise, own.access_token()).await, StatusCode::OK);
}

#[tokio::test]
async fn the_rust_library_oauth2_connects_a_device() {
    let demo = Demo::start(BINARY).await;
    let bob = demo.drive.signed_in("bob").await;
    let device = demo.drive.app("device");
    let at = |path: &str| format!("{}{path}", device.issuer);
    let client = BasicClient::new(ClientId::new(device.client_id.clone()))
        .set_client_secret(ClientSecret::new(device.client_secret.clone().unwrap()))
        .set_device_authorization_url(
            DeviceAuthorizationUrl::new(at("/oauth/device_authorization")).unwrap(),
        )
        .set_token_uri(TokenUrl::new(at("/oauth/token")).unwrap());
    let http = Loopback(device.client.clone());
    let asked = client.exchange_device_code().add_scope(Scope::new("files.read".into()));
    let details: StandardDeviceAuthorizationResponse = asked.request_async(&http).await.unwrap();
    let (user, code) = (&bob, details.user_code().secret());
    // What it would sleep for, its user takes to decide.
    let decide = async move |_| {
        let form = user.open("/device").await.form("device").set("user_code", code);
        let page = user.submit(&form).await;
        let page = user.submit(&page.form("confirm-device").set("decision", "mine")).await;
        user.submit(&page.form("consent").set("decision", "allow")).await;
    };
    let polling = client.exchange_device_access_token(&details);
    let tokens = polling.request_async(&http, decide, None).await.unwrap();
    assert!(tokens.refresh_token().is_some());
    let token = tokens.access_token().secret();
    let cloud = device.call(Method::GET, "/v2/cloud", token, Value::Null).await;
    assert_eq!(cloud.body["status"], "success", "{}", cloud.body);
}
