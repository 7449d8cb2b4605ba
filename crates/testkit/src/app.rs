//! An app that speaks the standard endpoints: builds its authorization request, trades codes and
//! tokens, calls the API.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use url::Url;

use crate::browser::{Browser, Page};

/// 43 characters of RFC 7636's alphabet. Tests need no secrecy.
pub const VERIFIER: &str = "a-test-code-verifier-of-exactly-43-letters0";

#[derive(Clone, Debug)]
pub struct TestApp {
    pub client: Client,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<String>,
    pub redirect_uri: String,
}

#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: Option<String>,
    pub scope: String,
    pub expires_in: u64,
}

/// A status and a JSON body.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl TestApp {
    pub fn new(issuer: &str, client_id: &str, secret: Option<&str>, redirect_uri: &str) -> Self {
        Self {
            client: Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: secret.map(str::to_owned),
            redirect_uri: redirect_uri.to_owned(),
        }
    }

    /// The address to which the app sends the user.
    pub fn authorize_url(&self, scope: &str, state: &str) -> Url {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let mut url = Url::parse(&format!("{}/oauth/authorize", self.issuer)).unwrap();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", scope),
            ("state", state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        url
    }

    /// Send the signed-in `browser` through authorization; it allows everything as it stands.
    pub async fn authorize(&self, browser: &Browser, scope: &str) -> String {
        let page = browser.open(self.authorize_url(scope, "test-state").as_str()).await;
        let page = self.allow(browser, page).await;
        assert_eq!(page.callback_parameter("state").as_deref(), Some("test-state"));
        assert_eq!(page.callback_parameter("iss").as_deref(), Some(self.issuer.as_str()));
        page.callback_parameter("code").unwrap_or_else(|| panic!("no code in {}", page.callback()))
    }

    /// Allow on the consent page, if there is one.
    pub async fn allow(&self, browser: &Browser, page: Page) -> Page {
        match page.left_to {
            Some(_) => page,
            None => browser.submit(&page.form("consent").set("decision", "allow")).await,
        }
    }

    /// Consent in `browser` and trade the code.
    pub async fn connect(&self, browser: &Browser, scope: &str) -> Tokens {
        let code = self.authorize(browser, scope).await;
        self.redeem(&code).await.tokens()
    }

    pub async fn redeem(&self, code: &str) -> Answer {
        let redirect_uri = self.redirect_uri.clone();
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub async fn token(&self, form: &[(&str, &str)]) -> Answer {
        self.post_form("/oauth/token", form).await
    }

    pub async fn revoke(&self, token: &str) -> Answer {
        self.post_form("/oauth/revoke", &[("token", token)]).await
    }

    pub async fn introspect(&self, token: &str) -> Answer {
        self.post_form("/oauth/introspect", &[("token", token)]).await
    }

    /// A form to an OAuth endpoint, with this app's client authentication.
    pub async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let request = self.client.post(format!("{}{path}", self.issuer));
        let mut form = form.to_vec();
        let request = match &self.client_secret {
            Some(secret) => request.basic_auth(&self.client_id, Some(secret)),
            None => {
                form.push(("client_id", &self.client_id));
                request
            }
        };
        answer(request.form(&form)).await
    }

    /// Call the API behind the gateway.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: Value) -> Answer {
        let url = format!("{}{path}", self.issuer);
        let request = self.client.request(method.clone(), url).bearer_auth(token);
        answer(if method == Method::GET { request } else { request.json(&body) }).await
    }
}

impl Answer {
    /// The tokens of a token answer.
    #[track_caller]
    pub fn tokens(&self) -> Tokens {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        Tokens {
            access: self.body["access_token"].as_str().expect("access_token").to_owned(),
            refresh: self.body["refresh_token"].as_str().map(str::to_owned),
            scope: self.body["scope"].as_str().expect("scope").to_owned(),
            expires_in: self.body["expires_in"].as_u64().expect("expires_in"),
        }
    }
}

/// Send a request and read whatever comes as JSON (`null` when it is something else).
pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}
