//! Errors of the token, revocation and introspection endpoints (RFC 6749 §5.2, RFC 8707 §2).

use std::borrow::Cow;

use http::StatusCode;
use serde_json::json;

use crate::client_auth::ClientAuthError;
use crate::params::{Duplicate, ParamsError};

/// What went wrong, in the RFC's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OAuthErrorKind {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
    /// RFC 8707 §2
    InvalidTarget,
    /// RFC 7009 §2.2.1
    UnsupportedTokenType,
    /// RFC 8628 §3.5: the user has not decided yet.
    AuthorizationPending,
    /// RFC 8628 §3.5: the same, and the device asks too often.
    PollTooFast,
    /// RFC 8628 §3.5: the user said no.
    AccessDenied,
    /// RFC 8628 §3.5
    ExpiredToken,
    /// Too many attempts: HTTP 429 with `Retry-After`.
    SlowDown {
        retry_after_seconds: u32,
    },
    /// The store or a dependency is away; nothing was changed.
    TemporarilyUnavailable {
        retry_after_seconds: u32,
    },
    ServerError,
}

/// An answer of the token endpoint that is not a token. The description is for the developer of
/// the client and never carries an internal cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {description}", kind.as_str())]
pub struct OAuthError {
    kind: OAuthErrorKind,
    description: Cow<'static, str>,
}

impl OAuthErrorKind {
    /// Every kind; the waits of two of them are examples.
    pub const ALL: [Self; 15] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::InvalidTarget,
        Self::UnsupportedTokenType,
        Self::AuthorizationPending,
        Self::PollTooFast,
        Self::AccessDenied,
        Self::ExpiredToken,
        Self::SlowDown { retry_after_seconds: 60 },
        Self::TemporarilyUnavailable { retry_after_seconds: 5 },
        Self::ServerError,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::AuthorizationPending => "authorization_pending",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::PollTooFast | Self::SlowDown { .. } => "slow_down",
            Self::TemporarilyUnavailable { .. } => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

impl OAuthError {
    pub fn new(kind: OAuthErrorKind, description: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, description: legal_description(description.into()) }
    }

    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthErrorKind::InvalidRequest, description)
    }

    /// One text for every cause: whether the client exists is not told (attack X2).
    pub fn invalid_client() -> Self {
        Self::new(OAuthErrorKind::InvalidClient, "client authentication failed")
    }

    pub fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthErrorKind::InvalidGrant, description)
    }

    pub fn unauthorized_client(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthErrorKind::UnauthorizedClient, description)
    }

    pub fn unsupported_grant_type() -> Self {
        Self::new(
            OAuthErrorKind::UnsupportedGrantType,
            "grant_type must be authorization_code, refresh_token, client_credentials or \
             urn:ietf:params:oauth:grant-type:device_code",
        )
    }

    pub fn invalid_scope(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthErrorKind::InvalidScope, description)
    }

    pub fn invalid_target(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthErrorKind::InvalidTarget, description)
    }

    pub fn authorization_pending() -> Self {
        Self::new(OAuthErrorKind::AuthorizationPending, "the user has not decided yet")
    }

    pub fn poll_too_fast() -> Self {
        Self::new(
            OAuthErrorKind::PollTooFast,
            "wait five seconds longer between two requests from now on",
        )
    }

    pub fn access_denied() -> Self {
        Self::new(OAuthErrorKind::AccessDenied, "the user said no")
    }

    pub fn expired_token() -> Self {
        Self::new(OAuthErrorKind::ExpiredToken, "the device code has expired; ask for another one")
    }

    pub fn slow_down(retry_after_seconds: u32) -> Self {
        Self::new(
            OAuthErrorKind::SlowDown { retry_after_seconds },
            "too many requests, try again later",
        )
    }

    pub fn temporarily_unavailable(retry_after_seconds: u32) -> Self {
        Self::new(
            OAuthErrorKind::TemporarilyUnavailable { retry_after_seconds },
            "nothing was changed, try again later",
        )
    }

    pub fn server_error() -> Self {
        Self::new(OAuthErrorKind::ServerError, "the server could not answer this request")
    }

    pub fn kind(&self) -> OAuthErrorKind {
        self.kind
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    pub fn status(&self) -> StatusCode {
        match self.kind {
            OAuthErrorKind::InvalidClient => StatusCode::UNAUTHORIZED,
            OAuthErrorKind::SlowDown { .. } => StatusCode::TOO_MANY_REQUESTS,
            OAuthErrorKind::TemporarilyUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            OAuthErrorKind::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The value of `Retry-After`, where there is one.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self.kind {
            OAuthErrorKind::SlowDown { retry_after_seconds }
            | OAuthErrorKind::TemporarilyUnavailable { retry_after_seconds } => {
                Some(retry_after_seconds)
            }
            _ => None,
        }
    }

    /// The challenge that a 401 must carry (RFC 9110 §11.6.1, RFC 6749 §5.2).
    pub fn www_authenticate(&self) -> Option<&'static str> {
        (self.kind == OAuthErrorKind::InvalidClient).then_some("Basic realm=\"oauth\"")
    }

    /// The body of RFC 6749 §5.2 as compact JSON.
    pub fn to_json(&self) -> String {
        json!({ "error": self.kind.as_str(), "error_description": self.description }).to_string()
    }
}

impl From<Duplicate> for OAuthError {
    fn from(duplicate: Duplicate) -> Self {
        Self::invalid_request(duplicate.to_string())
    }
}

impl From<ParamsError> for OAuthError {
    fn from(error: ParamsError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

impl From<ClientAuthError> for OAuthError {
    fn from(error: ClientAuthError) -> Self {
        match error {
            // RFC 6749 §5.2: also for a method that is not supported.
            ClientAuthError::Missing | ClientAuthError::Unreadable | ClientAuthError::Assertion => {
                Self::invalid_client()
            }
            other => Self::invalid_request(other.to_string()),
        }
    }
}

/// RFC 6749 §5.2: only %x20-21 / %x23-5B / %x5D-7E; anything else becomes an apostrophe or a
/// question mark, so text from a request cannot leave the description.
pub(crate) fn legal_description(text: Cow<'static, str>) -> Cow<'static, str> {
    let legal = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    if text.chars().all(legal) {
        return text;
    }
    let replace = |c| match c {
        '"' => '\'',
        c if legal(c) => c,
        _ => '?',
    };
    Cow::Owned(text.chars().map(replace).collect())
}

#[cfg(test)]
mod tests;
