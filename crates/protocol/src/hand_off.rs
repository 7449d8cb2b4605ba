//! The signed hand-off to an operator's own login page: a request travels there, a return comes
//! back, both as JWTs under one shared secret. `docs/operator/sign-in.md` is its specification.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::identity::{Identity, seconds};
use crate::jose::{JwtError, SharedKey, SignError};
use crate::openid::known_error;

/// The `typ` of what we send.
pub const REQUEST_TYP: &str = "consentry-sign-in-request+jwt";
/// The `typ` of what comes back.
pub const RETURN_TYP: &str = "consentry-sign-in-return+jwt";
/// Neither may be good for longer than this.
pub const LIFETIME_SECONDS_MAX: i64 = 300;
/// How far the two clocks may be apart.
const SKEW_SECONDS: i64 = 30;

/// What a login page is asked.
#[derive(Clone, Debug, Serialize)]
pub struct SignInRequest<'a> {
    /// Us.
    pub iss: &'a str,
    /// The login page.
    pub aud: &'a str,
    /// The return must carry it.
    pub jti: &'a str,
    pub iat: i64,
    pub exp: i64,
    /// The only address to which the browser may be sent back.
    pub return_url: &'a str,
    /// Who probably wants to sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<&'a str>,
    /// The user must have proven who they are at most this many seconds ago; 0: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// Ways of signing in of which one is wanted, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr_values: Option<String>,
}

impl SignInRequest<'_> {
    pub fn sign(&self, key: &SharedKey) -> Result<String, SignError> {
        key.sign(REQUEST_TYP, self)
    }
}

/// What the return must be for.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedReturn<'a> {
    /// The login page.
    pub issuer: &'a str,
    /// Us.
    pub audience: &'a str,
    /// `jti` of the request.
    pub request: &'a str,
    pub now_seconds: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReturnError {
    #[error(transparent)]
    Token(#[from] JwtError),
    #[error("a claim is missing or has another form than it must have")]
    Malformed,
    #[error("the return is of another login page")]
    WrongIssuer,
    #[error("the return is for another server")]
    WrongAudience,
    #[error("the return answers another request")]
    OtherRequest,
    #[error("the return has expired")]
    Expired,
    #[error("the return was made in the future, or for longer than five minutes")]
    TooLong,
    /// The login page's word, for logs: see [`known_error`].
    #[error("the login page refused: {0}")]
    Refused(&'static str),
}

/// Whom the login page vouches for.
pub fn open_return(
    key: &SharedKey,
    token: &str,
    expected: &ExpectedReturn<'_>,
) -> Result<Identity, ReturnError> {
    let claims = key.verify(RETURN_TYP, token)?;
    check(&claims, expected)?;
    if let Some(error) = claims.get("error") {
        return Err(ReturnError::Refused(known_error(error.as_str().unwrap_or_default())));
    }
    Identity::read(&claims).ok_or(ReturnError::Malformed)
}

fn check(claims: &Map<String, Value>, expected: &ExpectedReturn<'_>) -> Result<(), ReturnError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let time = |name: &str| claims.get(name).and_then(seconds).ok_or(ReturnError::Malformed);
    if text("iss") != Some(expected.issuer) {
        return Err(ReturnError::WrongIssuer);
    }
    if text("aud") != Some(expected.audience) {
        return Err(ReturnError::WrongAudience);
    }
    if text("jti") != Some(expected.request) {
        return Err(ReturnError::OtherRequest);
    }
    let (iat, exp, now) = (time("iat")?, time("exp")?, expected.now_seconds);
    if exp <= now {
        return Err(ReturnError::Expired);
    }
    let lasts = exp.checked_sub(iat).ok_or(ReturnError::Malformed)?;
    if iat > now.saturating_add(SKEW_SECONDS) || lasts > LIFETIME_SECONDS_MAX {
        return Err(ReturnError::TooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
