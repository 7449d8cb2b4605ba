//! An OpenID provider with one user and a real key, which does what a test tells it: answers in
//! process, or listens on a port of this machine.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::jose::{Algorithm, SigningKey};
use protocol::pkce::{CodeChallenge, CodeVerifier};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::{Url, form_urlencoded};

pub const CLIENT_ID: &str = "consentry";
pub const CLIENT_SECRET: &str = "a secret between two servers";

type Change = Box<dyn Fn(&mut Value) + Send>;

pub struct IdentityProvider {
    pub issuer: String,
    state: Mutex<Behaviour>,
}

/// How it behaves. Everything may be changed while it runs.
pub struct Behaviour {
    /// Claims about its user, in the ID token.
    pub user: Value,
    /// Claims that only UserInfo tells.
    pub user_info: Option<Value>,
    pub key: SigningKey,
    /// Keys that it publishes, if other ones than `key`.
    pub published: Option<Vec<Value>>,
    /// The last touch to each ID token before it is signed.
    pub change: Option<Change>,
    /// Instead of the ID token that it would give.
    pub id_token: Option<String>,
    /// In its authorization answers.
    pub iss: Option<String>,
    /// It refuses to sign anyone in, with this error.
    pub refuses: Option<String>,
    /// It does not answer.
    pub is_down: bool,
    /// Paths that were asked, in order.
    pub asked: Vec<String>,
    /// Authorization requests whose codes are not traded yet.
    codes: HashMap<String, HashMap<String, String>>,
}

impl fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityProvider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl IdentityProvider {
    pub fn new(issuer: &str) -> Self {
        let user = json!({
            "sub": "user-1", "email": "ada@example.com", "email_verified": true,
            "name": "Ada Lovelace", "locale": "en-GB", "amr": ["pwd"],
        });
        let state = Behaviour {
            user,
            user_info: None,
            key: SigningKey::generate(Algorithm::Es256).unwrap(),
            published: None,
            change: None,
            id_token: None,
            iss: Some(issuer.to_owned()),
            refuses: None,
            is_down: false,
            asked: Vec::new(),
            codes: HashMap::new(),
        };
        Self { issuer: issuer.to_owned(), state: Mutex::new(state) }
    }

    /// Listen on a free port of this machine.
    pub async fn listen() -> Arc<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let own = Arc::new(Self::new(&issuer));
        let router = axum::Router::new().fallback(serve).with_state(own.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        own
    }

    pub fn state(&self) -> MutexGuard<'_, Behaviour> {
        self.state.lock().unwrap()
    }

    /// Its user arrives with an authorization request and signs in: where the browser goes next.
    pub fn sign_in(&self, request: &str) -> Url {
        let request = Url::parse(request).unwrap();
        assert!(request.as_str().starts_with(&format!("{}/authorize?", self.issuer)), "{request}");
        let asked: HashMap<String, String> = request.query_pairs().into_owned().collect();
        let mut back = Url::parse(&asked["redirect_uri"]).unwrap();
        let mut state = self.state();
        let mut query = back.query_pairs_mut();
        query.append_pair("state", &asked["state"]);
        if let Some(iss) = &state.iss {
            query.append_pair("iss", iss);
        }
        match &state.refuses {
            Some(error) => query.append_pair("error", error),
            None => {
                let code = format!("code-{}", state.codes.len());
                query.append_pair("code", &code);
                state.codes.insert(code, asked);
                &mut query
            }
        };
        drop(query);
        back
    }

    /// Status and body; `None`: no answer at all.
    pub fn answer(
        &self,
        url: &str,
        authorization: Option<&str>,
        body: &str,
        now: i64,
    ) -> Option<(u16, String)> {
        let path = url.strip_prefix(&self.issuer)?.to_owned();
        self.state().asked.push(path.clone());
        let state = self.state();
        if state.is_down {
            return None;
        }
        let (status, answer) = match path.as_str() {
            "/.well-known/openid-configuration" => (200, self.document()),
            "/jwks" => {
                let own = || vec![serde_json::to_value(state.key.public_jwk()).unwrap()];
                (200, json!({ "keys": state.published.clone().unwrap_or_else(own) }))
            }
            "/userinfo" if authorization == Some("Bearer user-token") => {
                (200, state.user_info.clone().unwrap_or(Value::Null))
            }
            "/token" => {
                drop(state);
                self.token(authorization, body, now)
            }
            _ => (404, Value::Null),
        };
        Some((status, answer.to_string()))
    }

    fn document(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn token(&self, authorization: Option<&str>, body: &str, now: i64) -> (u16, Value) {
        let form: HashMap<String, String> =
            form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let secret = CLIENT_SECRET.replace(' ', "+");
        let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{secret}")));
        if authorization != Some(&basic) {
            return (401, json!({ "error": "invalid_client" }));
        }
        let mut state = self.state();
        let Some(asked) = state.codes.remove(&form["code"]) else {
            return (400, json!({ "error": "invalid_grant" }));
        };
        let verifier = CodeVerifier::parse(&form["code_verifier"]).unwrap();
        let challenge = CodeChallenge::parse(&asked["code_challenge"]).unwrap();
        if !challenge.matches(&verifier) || asked["redirect_uri"] != form["redirect_uri"] {
            return (400, json!({ "error": "invalid_grant" }));
        }
        let mut claims = state.user.clone();
        for (name, value) in [
            ("iss", json!(self.issuer)),
            ("aud", json!(asked["client_id"])),
            ("nonce", json!(asked["nonce"])),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
        ] {
            claims[name] = value;
        }
        if asked.get("prompt").is_some_and(|prompt| prompt == "login") {
            claims["auth_time"] = json!(now);
        }
        if let Some(change) = &state.change {
            change(&mut claims);
        }
        let signed = || state.key.sign("JWT", &claims).unwrap();
        let id_token = state.id_token.clone().unwrap_or_else(signed);
        (200, json!({ "id_token": id_token, "access_token": "user-token", "token_type": "Bearer" }))
    }
}

async fn serve(State(provider): State<Arc<IdentityProvider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let url = format!("{}{}", provider.issuer, parts.uri);
    if parts.uri.path() == "/authorize" {
        let back = provider.sign_in(&url);
        let response = Response::builder().status(303).header(header::LOCATION, back.as_str());
        return response.body(Body::empty()).unwrap();
    }
    let body = to_bytes(body, 64 * 1024).await.unwrap();
    let authorization = parts.headers.get(header::AUTHORIZATION).map(|v| v.to_str().unwrap());
    let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = i64::try_from(since_epoch.as_secs()).unwrap();
    let answer = provider.answer(&url, authorization, std::str::from_utf8(&body).unwrap(), now);
    let (status, body) = answer.unwrap_or((503, String::new()));
    Response::builder().status(status).body(Body::from(body)).unwrap()
}
