//! The words between us and an OpenID provider that signs users in for us: its discovery document,
//! our authorization request, its answers, and the rules of its ID token (OpenID Connect Core
//! §3.1.3.7). We are its client.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::{Host, Url};

use crate::identity::{Identity, seconds};
use crate::params::{Duplicate, Params};
use crate::secret::Secret;

/// How far the two clocks may be apart.
const SKEW_SECONDS: i64 = 60;
/// An ID token comes straight from the token endpoint; an older one was kept by somebody.
const AGE_SECONDS_MAX: i64 = 600;

/// Where the discovery document of `issuer` is (OpenID Connect Discovery §4.1).
pub fn discovery_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// What a provider says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderDocument {
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    pub userinfo_endpoint: Option<Url>,
    /// Its authorization answers always carry `iss` (RFC 9207 §3).
    pub always_sends_iss: bool,
    pub client_auth: ClientAuth,
}

/// How we prove to its token endpoint who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    Basic,
    Post,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("the discovery document is no JSON object with the members it needs")]
    Malformed,
    #[error("the discovery document is of another issuer")]
    WrongIssuer,
    #[error("the discovery document names an address that is not https")]
    NotHttps,
}

#[derive(Deserialize)]
struct RawDocument {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl ProviderDocument {
    /// `issuer` is from the config; the document must say the same (Discovery §4.3). With an issuer
    /// on this machine, without TLS, its endpoints may be so too.
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, DocumentError> {
        let raw: RawDocument =
            serde_json::from_slice(document).map_err(|_| DocumentError::Malformed)?;
        if raw.issuer != issuer {
            return Err(DocumentError::WrongIssuer);
        }
        let may_be_plain = Url::parse(issuer).is_ok_and(|url| is_plain_loopback(&url));
        let endpoint = |text: &str| {
            let url = Url::parse(text).map_err(|_| DocumentError::Malformed)?;
            let is_safe = url.scheme() == "https" || (may_be_plain && is_plain_loopback(&url));
            is_safe.then_some(url).ok_or(DocumentError::NotHttps)
        };
        let methods = raw.token_endpoint_auth_methods_supported.unwrap_or_default();
        let speaks = |name: &str| methods.iter().any(|method| method == name);
        // Without the member, Basic (Discovery §3).
        let only_post = speaks("client_secret_post") && !speaks("client_secret_basic");
        Ok(Self {
            authorization_endpoint: endpoint(&raw.authorization_endpoint)?,
            token_endpoint: endpoint(&raw.token_endpoint)?,
            jwks_uri: endpoint(&raw.jwks_uri)?,
            userinfo_endpoint: raw.userinfo_endpoint.as_deref().map(endpoint).transpose()?,
            always_sends_iss: raw.authorization_response_iss_parameter_supported,
            client_auth: if only_post { ClientAuth::Post } else { ClientAuth::Basic },
        })
    }

    /// Where the browser goes to sign in.
    pub fn authorization_url(&self, asked: &AskedSignIn<'_>) -> String {
        let mut url = self.authorization_endpoint.clone();
        let mut query = url.query_pairs_mut();
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", asked.client_id),
            ("redirect_uri", asked.redirect_uri),
            ("scope", asked.scopes),
            ("state", asked.state),
            ("nonce", asked.nonce),
            ("code_challenge", asked.code_challenge),
            ("code_challenge_method", "S256"),
        ]);
        if let Some(hint) = asked.login_hint {
            query.append_pair("login_hint", hint);
        }
        if let Some(seconds) = asked.max_age {
            query.append_pair("max_age", &seconds.to_string());
        }
        if asked.prompt_login {
            query.append_pair("prompt", "login");
        }
        if let Some(values) = asked.acr_values.filter(|values| !values.is_empty()) {
            query.append_pair("acr_values", values);
        }
        drop(query);
        url.into()
    }
}

/// Plain http to this machine itself.
pub fn is_plain_loopback(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && is_loopback
}

/// An authorization request of ours (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy)]
pub struct AskedSignIn<'a> {
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    pub scopes: &'a str,
    pub state: &'a str,
    pub nonce: &'a str,
    pub code_challenge: &'a str,
    pub login_hint: Option<&'a str>,
    pub max_age: Option<u32>,
    pub prompt_login: bool,
    pub acr_values: Option<&'a str>,
}

/// What the browser brings back.
#[derive(Clone, PartialEq, Eq)]
pub enum SignInAnswer {
    Code(String),
    /// The provider's word, for logs: see [`known_error`].
    Refused(&'static str),
}

/// Without the code.
impl fmt::Debug for SignInAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(_) => f.write_str("Code(…)"),
            Self::Refused(word) => f.debug_tuple("Refused").field(word).finish(),
        }
    }
}

/// The error codes of RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, OpenID Connect Core §3.1.2.6 and
/// OpenID Connect Core Unmet Authentication Requirements.
const KNOWN_ERRORS: [&str; 22] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "insufficient_scope",
    "interaction_required",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_scope",
    "invalid_token",
    "login_required",
    "registration_not_supported",
    "request_not_supported",
    "request_uri_not_supported",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unmet_authentication_requirements",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// The error that somebody tells us, in words that may be logged. Any other text could be
/// anything: whoever holds the browser writes the query.
pub fn known_error(word: &str) -> &'static str {
    KNOWN_ERRORS.into_iter().find(|known| *known == word).unwrap_or("another error")
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error(transparent)]
    Duplicate(#[from] Duplicate),
    #[error("the answer has neither a code nor an error")]
    Malformed,
    #[error("the answer is of another issuer")]
    WrongIssuer,
}

impl SignInAnswer {
    /// RFC 9207 §2.4: an `iss` must be the issuer's, and must be there if the issuer says that it
    /// always is (attack M1).
    pub fn read(
        params: &Params,
        issuer: &str,
        always_sends_iss: bool,
    ) -> Result<Self, AnswerError> {
        match params.one("iss")? {
            Some(iss) if iss != issuer => return Err(AnswerError::WrongIssuer),
            None if always_sends_iss => return Err(AnswerError::WrongIssuer),
            _ => {}
        }
        match (params.one("code")?, params.one("error")?) {
            (Some(code), None) => Ok(Self::Code(code.to_owned())),
            (None, Some(error)) => Ok(Self::Refused(known_error(error))),
            _ => Err(AnswerError::Malformed),
        }
    }
}

/// The body and the `Authorization` of our token request. Public clients have no secret.
pub fn token_request(
    how: ClientAuth,
    client: (&str, Option<&Secret>),
    code: &str,
    redirect_uri: &str,
    verifier: &str,
) -> (String, Option<Secret>) {
    let (id, secret) = client;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    ]);
    let authorization = match (how, secret) {
        (ClientAuth::Basic, Some(secret)) => {
            // RFC 6749 §2.3.1: both halves are form-encoded first.
            let encode =
                |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(id), encode(secret.expose()));
            Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
        }
        (ClientAuth::Post, Some(secret)) => {
            form.append_pair("client_id", id).append_pair("client_secret", secret.expose());
            None
        }
        (_, None) => {
            form.append_pair("client_id", id);
            None
        }
    };
    (form.finish(), authorization)
}

/// What we need of its token answer.
#[derive(Deserialize)]
pub struct TokenAnswer {
    pub id_token: String,
    pub access_token: Option<String>,
}

/// What an ID token must be for.
#[derive(Clone, Copy)]
pub struct ExpectedIdToken<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    /// `max_age` was asked, so `auth_time` must be there.
    pub needs_auth_time: bool,
    pub now_seconds: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    #[error("a claim is missing or has another form than it must have")]
    Malformed,
    #[error("the ID token is of another issuer")]
    WrongIssuer,
    #[error("the ID token is for another client")]
    WrongAudience,
    #[error("the ID token answers another request")]
    WrongNonce,
    #[error("the ID token has expired")]
    Expired,
    #[error("the ID token was issued in the future or long ago")]
    WrongTime,
}

/// Whom a verified ID token is about (OpenID Connect Core §3.1.3.7).
pub fn check_id_token(
    claims: &Map<String, Value>,
    expected: &ExpectedIdToken<'_>,
) -> Result<Identity, IdTokenError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(IdTokenError::WrongIssuer);
    }
    // We trust no other audience, so there must be none (§3.1.3.7, 3).
    let is_for_us = match claims.get("aud") {
        Some(Value::String(one)) => one == expected.client_id,
        Some(Value::Array(many)) => matches!(&many[..], [one] if one == expected.client_id),
        _ => false,
    };
    let azp_is_us = claims.get("azp").is_none_or(|azp| azp == expected.client_id);
    if !is_for_us || !azp_is_us {
        return Err(IdTokenError::WrongAudience);
    }
    if text("nonce") != Some(expected.nonce) {
        return Err(IdTokenError::WrongNonce);
    }
    let time = |name: &str| claims.get(name).and_then(seconds).ok_or(IdTokenError::Malformed);
    let (exp, iat, now) = (time("exp")?, time("iat")?, expected.now_seconds);
    if exp <= now.saturating_sub(SKEW_SECONDS) {
        return Err(IdTokenError::Expired);
    }
    let earliest = now.saturating_sub(AGE_SECONDS_MAX);
    if iat > now.saturating_add(SKEW_SECONDS) || iat < earliest {
        return Err(IdTokenError::WrongTime);
    }
    if expected.needs_auth_time {
        time("auth_time")?;
    }
    Identity::read(claims).ok_or(IdTokenError::Malformed)
}

#[cfg(test)]
mod tests;
