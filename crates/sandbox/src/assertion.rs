//! The gateway's word on who calls: the header `Consentry-Assertion` carries a short-lived compact
//! JWS (RFC 7515). This is all that an upstream must check; it needs nothing else of Consentry.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::jwks::{Algorithm, KeyCache, NoKey};

pub const ASSERTION_HEADER: &str = "consentry-assertion";
/// The explicit type (RFC 8725 §3.11) that keeps other tokens of the same issuer out.
pub const ASSERTION_TYPE: &str = "consentry-assertion+jwt";

const ASSERTION_BYTES_MAX: usize = 8_192;
/// "Short-lived" is checked, not hoped for.
const LIFETIME_SECONDS_MAX: i64 = 300;
/// How far the gateway's clock may run ahead of ours.
const SKEW_SECONDS_MAX: i64 = 5;

/// What a valid assertion says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The user whose data is asked for.
    pub subject: String,
    pub client_id: String,
    pub scopes: Vec<String>,
    pub grant_id: Option<String>,
    /// Seconds since the Unix epoch.
    pub expires_at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    #[error("the call carries no assertion")]
    Missing,
    #[error("the call carries more than one assertion")]
    Repeated,
    #[error("the assertion is longer than {ASSERTION_BYTES_MAX} bytes")]
    TooLong,
    #[error("the assertion is not a compact JWS with the expected header and claims")]
    Malformed,
    #[error("the assertion is signed with a key that is not published")]
    UnknownKey,
    #[error("the assertion's signature does not hold")]
    BadSignature,
    #[error("the assertion has expired")]
    Expired,
    #[error("the assertion is from the future or lives too long")]
    BadLifetime,
    #[error("the assertion comes from another issuer")]
    WrongIssuer,
    #[error("the assertion is meant for another API")]
    WrongAudience,
    #[error("the gateway's keys cannot be fetched")]
    KeysUnreachable,
}

/// Checks assertions of one issuer for one API. Cheap to clone; the clones share their keys.
#[derive(Clone)]
pub struct AssertionVerifier {
    inner: Arc<Inner>,
}

struct Inner {
    issuer: String,
    audience: String,
    keys: KeyCache,
}

/// RFC 7515 §4: with every other parameter refused, there is no `crit`, `jwk`, `jku` or `x5u` that
/// could change what is verified or with which key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Algorithm,
    typ: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    // One string: an assertion for several APIs could be replayed by one of them at another.
    aud: String,
    exp: i64,
    iat: i64,
    client_id: String,
    scope: String,
    grant_id: Option<String>,
}

impl AssertionVerifier {
    /// `jwks_source` gives the text of the issuer's JWKS whenever the verifier needs it: at the
    /// first call, every few minutes, and for an unknown key id, at most every five seconds.
    pub fn new<S, F, E>(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        jwks_source: S,
    ) -> Self
    where
        S: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<String, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let source = Box::new(move || {
            let fetching = jwks_source();
            let text: crate::jwks::Fetch =
                Box::pin(async move { fetching.await.map_err(|error| error.to_string()) });
            text
        });
        let keys = KeyCache::new(source);
        let inner = Inner { issuer: issuer.into(), audience: audience.into(), keys };
        Self { inner: Arc::new(inner) }
    }

    /// Verifies the assertion among `headers` at `now` (Unix milliseconds).
    pub async fn verify(&self, headers: &HeaderMap, now: i64) -> Result<Assertion, AssertionError> {
        let mut values = headers.get_all(ASSERTION_HEADER).iter();
        let value = values.next().ok_or(AssertionError::Missing)?;
        if values.next().is_some() {
            return Err(AssertionError::Repeated);
        }
        if value.len() > ASSERTION_BYTES_MAX {
            return Err(AssertionError::TooLong);
        }
        let token = value.to_str().map_err(|_| AssertionError::Malformed)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(AssertionError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(AssertionError::Malformed)?;

        let header: Header = decode(header)?;
        if header.typ != ASSERTION_TYPE {
            return Err(AssertionError::Malformed);
        }
        let signature =
            BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| AssertionError::Malformed)?;
        let key = self.inner.keys.find(&header.kid, header.alg, now).await?;
        if !key.verifies(signed.as_bytes(), &signature) {
            return Err(AssertionError::BadSignature);
        }
        self.accept(decode(payload)?, now.div_euclid(1000))
    }

    /// The claims of an assertion whose signature holds, at `now` in seconds.
    fn accept(&self, claims: Claims, now: i64) -> Result<Assertion, AssertionError> {
        if claims.iss != self.inner.issuer {
            return Err(AssertionError::WrongIssuer);
        }
        if claims.aud != self.inner.audience {
            return Err(AssertionError::WrongAudience);
        }
        if now >= claims.exp {
            return Err(AssertionError::Expired);
        }
        let from_the_future = claims.iat > now.saturating_add(SKEW_SECONDS_MAX);
        if from_the_future || claims.exp.saturating_sub(claims.iat) > LIFETIME_SECONDS_MAX {
            return Err(AssertionError::BadLifetime);
        }
        if claims.sub.is_empty() || claims.client_id.is_empty() {
            return Err(AssertionError::Malformed);
        }
        Ok(Assertion {
            subject: claims.sub,
            client_id: claims.client_id,
            scopes: claims.scope.split_ascii_whitespace().map(str::to_owned).collect(),
            grant_id: claims.grant_id,
            expires_at: claims.exp,
        })
    }
}

impl From<NoKey> for AssertionError {
    fn from(missing: NoKey) -> Self {
        match missing {
            NoKey::Unknown => Self::UnknownKey,
            NoKey::Unreachable => Self::KeysUnreachable,
        }
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, AssertionError> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| AssertionError::Malformed)?;
    // A struct also reads from an array; RFC 7515 §4 wants an object.
    if json.first() != Some(&b'{') {
        return Err(AssertionError::Malformed);
    }
    serde_json::from_slice(&json).map_err(|_| AssertionError::Malformed)
}

/// Who calls, as a handler's parameter. Without a valid assertion there is no caller, and the
/// refusal is written in the API's own envelope.
pub(crate) struct Caller(pub(crate) Assertion);
