//! From what was decided to a dialect's answers.

use std::borrow::Cow;

use http::StatusCode;

use crate::error::{OAuthError, OAuthErrorKind};
use crate::scope::ScopeSet;
use crate::template::{Placeholder, Slot, Template};

use super::request::DecodeError;
use super::{Body, TokenEndpoint};

/// How tokens are handed over.
#[derive(Debug, Clone)]
pub struct TokenAnswer {
    pub body: Body<TokenWord>,
    /// The word in `{{token_type}}`.
    pub token_type: String,
    /// Between the scopes of `{{scope}}`.
    pub scope_separator: char,
}

/// Placeholders of a token answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenWord {
    AccessToken,
    /// Seconds.
    ExpiresIn,
    RefreshToken,
    Scope,
    Scopes,
    TokenType,
}

impl Placeholder for TokenWord {
    const ALL: &'static [(&'static str, Self)] = &[
        ("access_token", Self::AccessToken),
        ("expires_in", Self::ExpiresIn),
        ("refresh_token", Self::RefreshToken),
        ("scope", Self::Scope),
        ("scopes", Self::Scopes),
        ("token_type", Self::TokenType),
    ];
}

/// Tokens, before anybody says in which wire format.
#[derive(Clone, Copy)]
pub struct Tokens<'a> {
    pub access_token: &'a str,
    pub expires_in_seconds: u64,
    pub refresh_token: Option<&'a str>,
    pub scopes: &'a ScopeSet,
}

/// What a refusal is about, as dialect files name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    MissingParameter,
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
    SlowDown,
    TemporarilyUnavailable,
    ServerError,
}

impl Failure {
    pub const ALL: [Self; 10] = [
        Self::MissingParameter,
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::SlowDown,
        Self::TemporarilyUnavailable,
        Self::ServerError,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingParameter => "missing_parameter",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::SlowDown => "slow_down",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    pub fn of(error: &OAuthError) -> Self {
        match error.kind() {
            OAuthErrorKind::InvalidClient => Self::InvalidClient,
            // A dialect has no device codes; a refusal of one would be one of a grant.
            OAuthErrorKind::InvalidGrant
            | OAuthErrorKind::AuthorizationPending
            | OAuthErrorKind::PollTooFast
            | OAuthErrorKind::AccessDenied
            | OAuthErrorKind::ExpiredToken => Self::InvalidGrant,
            OAuthErrorKind::UnauthorizedClient => Self::UnauthorizedClient,
            OAuthErrorKind::UnsupportedGrantType => Self::UnsupportedGrantType,
            OAuthErrorKind::InvalidScope => Self::InvalidScope,
            OAuthErrorKind::SlowDown { .. } => Self::SlowDown,
            OAuthErrorKind::TemporarilyUnavailable { .. } => Self::TemporarilyUnavailable,
            OAuthErrorKind::ServerError => Self::ServerError,
            OAuthErrorKind::InvalidRequest
            | OAuthErrorKind::InvalidTarget
            | OAuthErrorKind::UnsupportedTokenType => Self::InvalidRequest,
        }
    }
}

/// How some refusals are answered.
#[derive(Debug, Clone)]
pub struct ErrorRule {
    /// Empty: all of them.
    pub when: Vec<Failure>,
    /// `None`: HTTP's own for the failure.
    pub status: Option<StatusCode>,
    pub template: Template<ErrorWord>,
}

/// Placeholders of an error answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorWord {
    Error,
    Description,
    Status,
    /// Own names of missing parameters.
    Missing,
}

impl Placeholder for ErrorWord {
    const ALL: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("description", Self::Description),
        ("status", Self::Status),
        ("missing", Self::Missing),
    ];
}

/// What is sent, as `application/json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedAnswer {
    pub status: StatusCode,
    pub body: String,
    /// The value of `Retry-After`.
    pub retry_after_seconds: Option<u32>,
}

impl TokenEndpoint {
    pub fn granted(&self, tokens: Tokens<'_>) -> RenderedAnswer {
        let TokenAnswer { body: (status, template), token_type, scope_separator } = &self.answer;
        let body = template.render(|word| {
            Some(match word {
                TokenWord::AccessToken => Slot::Text(tokens.access_token.into()),
                TokenWord::ExpiresIn => {
                    Slot::Number(i64::try_from(tokens.expires_in_seconds).unwrap_or(i64::MAX))
                }
                TokenWord::RefreshToken => Slot::Text(tokens.refresh_token?.into()),
                TokenWord::Scope => {
                    let names: Vec<&str> = tokens.scopes.iter().map(|name| name.as_str()).collect();
                    Slot::Text(names.join(scope_separator.encode_utf8(&mut [0; 4])).into())
                }
                TokenWord::Scopes => {
                    Slot::List(tokens.scopes.iter().map(|name| name.as_str().into()).collect())
                }
                TokenWord::TokenType => Slot::Text(token_type.as_str().into()),
            })
        });
        RenderedAnswer { status: *status, body, retry_after_seconds: None }
    }

    pub fn refused(&self, error: &OAuthError) -> RenderedAnswer {
        self.render_error(Failure::of(error), error, &[])
    }

    /// What was sent does not make a request.
    pub fn not_understood(&self, error: &DecodeError) -> RenderedAnswer {
        match error {
            DecodeError::Missing(names) => {
                let oauth = OAuthError::invalid_request(error.to_string());
                self.render_error(Failure::MissingParameter, &oauth, names)
            }
            DecodeError::GrantType => self
                .refused(&OAuthError::new(OAuthErrorKind::UnsupportedGrantType, error.to_string())),
            other => self.refused(&OAuthError::invalid_request(other.to_string())),
        }
    }

    fn render_error(
        &self,
        failure: Failure,
        error: &OAuthError,
        missing: &[String],
    ) -> RenderedAnswer {
        let fits = |rule: &&ErrorRule| rule.when.is_empty() || rule.when.contains(&failure);
        let rule = self.errors.iter().find(fits);
        let status = rule.and_then(|rule| rule.status).unwrap_or_else(|| error.status());
        let retry_after_seconds = error.retry_after_seconds();
        // A checked dialect has a rule for everything.
        let Some(rule) = rule else {
            return RenderedAnswer { status, body: error.to_json(), retry_after_seconds };
        };
        let body = rule.template.render(|word| {
            Some(match word {
                ErrorWord::Error => Slot::Text(error.kind().as_str().into()),
                ErrorWord::Description => Slot::Text(error.description().into()),
                ErrorWord::Status => Slot::Number(status.as_u16().into()),
                ErrorWord::Missing => {
                    Slot::List(missing.iter().map(|name| Cow::Borrowed(name.as_str())).collect())
                }
            })
        });
        RenderedAnswer { status, body, retry_after_seconds }
    }
}
