//! JSON answers for apps: RFC 6749 §5 bodies, readable by browser apps of any origin. Nothing is
//! sent with cookies here, so `Access-Control-Allow-Origin: *` gives nobody anything.

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE,
    HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, StatusCode};
use protocol::error::OAuthError;
use store::DbError;

use crate::noted::Cause;

/// After how long a client may try again when the database was away, or when too many wait.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Why an app gets no tokens: its own mistake, or our trouble.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("too many requests wait for the check of a secret")]
    Busy,
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl TokenError {
    /// For the line that the request gets in the log.
    pub(crate) fn note(&self, response: &mut Response) {
        response.extensions_mut().insert(Cause(self.to_string()));
    }

    /// What the app hears. The cause stays with us; what is our own trouble is logged here, once.
    pub fn to_oauth(&self) -> OAuthError {
        match self {
            Self::OAuth(error) => error.clone(),
            Self::Db(error) if error.is_transient() => {
                tracing::error!(%error, "token request failed");
                OAuthError::temporarily_unavailable(RETRY_AFTER_SECONDS)
            }
            Self::Busy => {
                tracing::warn!(error = %self, "token request refused");
                OAuthError::temporarily_unavailable(RETRY_AFTER_SECONDS)
            }
            Self::Db(_) | Self::Internal(_) => {
                tracing::error!(error = %self, "token request failed");
                OAuthError::server_error()
            }
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let mut response = error(&self.to_oauth());
        self.note(&mut response);
        response
    }
}

/// A refusal of somebody who tried HTTP Basic, who is told so (RFC 6749 §5.2). Nobody else gets the
/// challenge: a browser would open its own password window.
#[derive(Clone, Debug)]
pub struct Unauthenticated {
    pub error: TokenError,
    pub used_basic: bool,
}

impl IntoResponse for Unauthenticated {
    fn into_response(self) -> Response {
        let oauth = self.error.to_oauth();
        let mut response = error(&oauth);
        if let Some(challenge) = oauth.www_authenticate().filter(|_| self.used_basic) {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        self.error.note(&mut response);
        response
    }
}

fn error(error: &OAuthError) -> Response {
    let mut response = json(error.status(), error.to_json());
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// A JSON text that nobody may keep.
pub fn json(status: StatusCode, body: String) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    allow_any_origin(headers);
    response
}

/// A public document: the same for everyone, kept for some minutes.
pub fn document(body: String) -> Response {
    let mut response = json(StatusCode::OK, body);
    let headers = response.headers_mut();
    headers.remove(PRAGMA);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

/// The answer without a body, for apps in browsers too.
pub fn empty(status: StatusCode) -> Response {
    let mut response = status.into_response();
    allow_any_origin(response.headers_mut());
    response
}

/// What a browser asks before it sends a request of an app from another origin.
pub fn preflight() -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    let allowed = "authorization, content-type, accept, dpop, mcp-protocol-version";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    response
}

fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let readable = "www-authenticate, retry-after, x-request-id";
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(readable));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t9_a_database_that_is_away_is_503_and_nobody_hears_why() {
        let away = [
            DbError::Unavailable("secret path".to_owned()),
            DbError::DiskFull("secret path".to_owned()),
            DbError::OutcomeUnknown("secret path".to_owned()),
        ];
        for error in away {
            let oauth = TokenError::from(error.clone()).to_oauth();
            assert!(!oauth.to_json().contains("secret"));
            let response = TokenError::from(error).into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "5");
            assert_eq!(oauth.kind().as_str(), "temporarily_unavailable");
        }
        let bug = TokenError::from(DbError::Bug("secret path".to_owned()));
        assert!(!bug.to_oauth().to_json().contains("secret"));
        assert_eq!(bug.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
