//! What an app does on the wire: the authorization request, the token endpoint, API calls.
//! The standard as any client library speaks it.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT, WWW_AUTHENTICATE};
use axum::http::{Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use domain::entropy::random_alphanumeric;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::Part;
use super::calls::ApiCall;
use crate::system::SystemEntropy;

const ANSWER_BYTES_MAX: usize = 1 << 20;

/// An authorization request that the user is away on.
pub(super) struct Pending {
    state: String,
    verifier: String,
}

#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) scope: String,
    pub(super) expires_in: u64,
}

/// What a click led to, as the page shows it.
pub(super) struct Outcome {
    pub(super) did: String,
    pub(super) status: Option<StatusCode>,
    pub(super) challenge: Option<String>,
    pub(super) text: String,
    pub(super) tokens: Option<Tokens>,
}

impl Outcome {
    pub(super) fn failed(did: &str, text: impl Into<String>) -> Self {
        Self { did: did.to_owned(), status: None, challenge: None, text: text.into(), tokens: None }
    }
}

/// What a device holds while its user decides (RFC 8628 §3.2).
#[derive(Clone)]
pub(super) struct DeviceCodes {
    device_code: String,
    pub(super) user_code: String,
    pub(super) verification_uri: String,
    /// With the code in it, for a QR code.
    pub(super) verification_uri_complete: String,
}

impl DeviceCodes {
    fn read(text: &str) -> Option<Self> {
        let answer: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            device_code: text("device_code")?,
            user_code: text("user_code")?,
            verification_uri: text("verification_uri")?,
            verification_uri_complete: text("verification_uri_complete")?,
        })
    }
}

/// Where the user is sent, and what must come back.
pub(super) fn authorization(part: &Part, redirect_uri: &str) -> (Pending, String) {
    let pending = Pending {
        state: random_alphanumeric(&SystemEntropy, 22),
        verifier: random_alphanumeric(&SystemEntropy, 64),
    };
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, pending.verifier.as_bytes()));
    let scopes: Vec<&str> = part.app.script.scopes.iter().map(|scope| scope.name).collect();
    let query = Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", part.app.script.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &scopes.join(" ")),
            ("state", &pending.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    let address = format!("{}/oauth/authorize?{query}", part.issuer);
    (pending, address)
}

/// The code of an answer that really belongs to our request, and the verifier that goes with it;
/// `state` (RFC 6749 §10.12) and `iss` (RFC 9207 §2.4) are looked at first.
pub(super) fn code_of<'a>(
    part: &Part,
    pending: Option<&'a Pending>,
    answer: &'a HashMap<String, String>,
) -> Result<(&'a str, &'a str), String> {
    let value = |name: &str| answer.get(name).map(String::as_str);
    // Somebody tries the provider by hand, as the README's tour does: the code is theirs.
    let pending = pending.ok_or_else(|| match value("code") {
        Some(code) => format!("This app had asked for nothing. The code is yours to trade: {code}"),
        None => "This app had asked for nothing.".to_owned(),
    })?;
    if value("state") != Some(&pending.state) {
        return Err("The state is not the one that was sent.".to_owned());
    }
    if value("iss") != Some(&part.issuer) {
        return Err("The answer comes from another issuer.".to_owned());
    }
    if let Some(error) = value("error") {
        let why = value("error_description").unwrap_or_default();
        return Err(format!("{error}: {why}"));
    }
    let code = value("code").ok_or("There is no code.")?;
    Ok((code, &pending.verifier))
}

pub(super) struct Client(hyper_util::client::legacy::Client<HttpConnector, Body>);

impl Client {
    pub(super) fn new() -> Self {
        let builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        Self(builder.build_http())
    }

    pub(super) async fn redeem(
        &self,
        part: &Part,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
    ) -> Outcome {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        self.token(part, "Traded the code for tokens", &form).await
    }

    pub(super) async fn refresh(&self, part: &Part, token: &str) -> Outcome {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.token(part, "Traded the refresh token for new tokens", &form).await
    }

    pub(super) async fn client_credentials(&self, part: &Part) -> Outcome {
        let form = [("grant_type", "client_credentials")];
        self.token(part, "Asked for a token of its own", &form).await
    }

    /// RFC 8628 §3.1: codes for a user who decides elsewhere.
    pub(super) async fn device_codes(&self, part: &Part) -> (Outcome, Option<DeviceCodes>) {
        let scopes: Vec<&str> = part.app.script.scopes.iter().map(|scope| scope.name).collect();
        let form = [("scope", &*scopes.join(" "))];
        let did = "Asked for a code";
        let mut outcome = self.form(part, "/oauth/device_authorization", did, &form).await;
        let codes = DeviceCodes::read(&outcome.text);
        if codes.is_some() {
            outcome.text = "The app shows a code and waits.".to_owned();
        }
        (outcome, codes)
    }

    pub(super) async fn poll(&self, part: &Part, codes: &DeviceCodes) -> Outcome {
        let grant_type = protocol::token::DEVICE_CODE_GRANT;
        let form = [("grant_type", grant_type), ("device_code", &codes.device_code)];
        self.token(part, "Asked whether the user has decided", &form).await
    }

    /// What the user pasted, in the words of the provider's dialect.
    pub(super) async fn trade_user_code(&self, part: &Part, path: &str, code: &str) -> Outcome {
        let form = [("grant_type", "code"), ("code", code)];
        self.tokens(part, path, "Traded the code that was pasted", &form).await
    }

    async fn token(&self, part: &Part, did: &str, form: &[(&str, &str)]) -> Outcome {
        self.tokens(part, "/oauth/token", did, form).await
    }

    async fn tokens(&self, part: &Part, path: &str, did: &str, form: &[(&str, &str)]) -> Outcome {
        let mut outcome = self.form(part, path, did, form).await;
        outcome.tokens = read_tokens(&outcome);
        if outcome.tokens.is_some() {
            // Tokens are for the app's memory, not for a screen.
            outcome.text = "The app now holds an access token.".to_owned();
        }
        outcome
    }

    /// A form to an endpoint of the provider, with the app's client authentication.
    async fn form(&self, part: &Part, path: &str, did: &str, form: &[(&str, &str)]) -> Outcome {
        let mut form = form.to_vec();
        let mut request = Request::post(format!("{}{path}", part.issuer))
            .header(USER_AGENT, part.app.script.name)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match &part.app.client_secret {
            Some(secret) => {
                let pair = format!("{}:{secret}", part.app.script.client_id);
                request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
            }
            None => form.push(("client_id", part.app.script.client_id)),
        }
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(did, request.body(Body::from(body))).await
    }

    pub(super) async fn call(&self, part: &Part, call: &ApiCall, access: &str) -> Outcome {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", part.issuer, call.path))
            .header(AUTHORIZATION, format!("Bearer {access}"));
        if call.method != Method::GET {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let did = format!("{} {}", call.method, call.path);
        self.send(&did, request.body(Body::from(call.body))).await
    }

    async fn send(&self, did: &str, request: Result<Request<Body>, axum::http::Error>) -> Outcome {
        let request = match request {
            Ok(request) => request,
            Err(error) => return Outcome::failed(did, error.to_string()),
        };
        let answer = match self.0.request(request).await {
            Ok(answer) => answer,
            Err(error) => return Outcome::failed(did, error.to_string()),
        };
        let status = answer.status();
        let challenge = answer.headers().get(WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = match to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => error.to_string(),
        };
        let text = match serde_json::from_str::<Value>(&text) {
            Ok(json) => format!("{json:#}"),
            Err(_) => text,
        };
        Outcome { did: did.to_owned(), status: Some(status), challenge, text, tokens: None }
    }
}

fn read_tokens(outcome: &Outcome) -> Option<Tokens> {
    let answer: Value = serde_json::from_str(&outcome.text).ok()?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Tokens {
        access: text("access_token")?,
        refresh: text("refresh_token"),
        scope: text("scope").unwrap_or_default(),
        expires_in: answer.get("expires_in").and_then(Value::as_u64).unwrap_or_default(),
    })
}
