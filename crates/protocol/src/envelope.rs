//! The shape of the gateway's refusals: every API has its own error envelope, a JSON template.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::scope::ScopeSet;
use crate::template::{Placeholder, Slot, Template, TemplateError};

const PROBLEM_JSON: &str = r#"{
    "type": "about:blank",
    "title": "{{title}}",
    "status": "{{status}}",
    "detail": "{{message}}",
    "error": "{{error}}",
    "missing_scopes": "{{missing_scopes}}"
}"#;

/// Why the gateway refuses a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    MissingToken,
    InvalidToken,
    /// A signed request that does not hold.
    InvalidSignature,
    InsufficientScope,
    /// The caller's address is not on the app's list.
    AddressNotAllowed,
    NotFound,
    MethodNotAllowed,
    RateLimited,
    BadRequest,
    PayloadTooLarge,
    UriTooLong,
    HeadersTooLarge,
    RequestTimeout,
    /// The upstream cannot be reached or broke off.
    UpstreamUnavailable,
    UpstreamTimeout,
    /// The gateway itself cannot decide now: it fails closed.
    Unavailable,
    Internal,
}

impl RefusalKind {
    pub const ALL: [Self; 17] = [
        Self::MissingToken,
        Self::InvalidToken,
        Self::InvalidSignature,
        Self::InsufficientScope,
        Self::AddressNotAllowed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RateLimited,
        Self::BadRequest,
        Self::PayloadTooLarge,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::RequestTimeout,
        Self::UpstreamUnavailable,
        Self::UpstreamTimeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The status that HTTP has for it; an envelope may say another.
    pub fn status(self) -> StatusCode {
        match self {
            Self::MissingToken | Self::InvalidToken | Self::InvalidSignature => {
                StatusCode::UNAUTHORIZED
            }
            Self::InsufficientScope | Self::AddressNotAllowed => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UpstreamUnavailable => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The word of `{{error}}` and of configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::InvalidToken => "invalid_token",
            Self::InvalidSignature => "invalid_signature",
            Self::InsufficientScope => "insufficient_scope",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RateLimited => "rate_limited",
            Self::BadRequest => "bad_request",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// One refusal, to be written in an envelope.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    pub kind: RefusalKind,
    /// For the app's developer; an envelope may have its own text for the kind.
    pub message: &'a str,
    /// All scopes that the token lacks, for `InsufficientScope`.
    pub missing_scopes: Option<&'a ScopeSet>,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub status: StatusCode,
    pub content_type: String,
    pub body: String,
}

/// An envelope as configuration says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeSpec {
    #[serde(default = "json_type")]
    pub content_type: String,
    /// JSON text whose string values hold `{{message}}`, `{{code}}`, `{{status}}`, `{{title}}`,
    /// `{{error}}` and `{{missing_scopes}}`.
    pub template: String,
    /// HTTP status per kind, where it differs from HTTP's own.
    #[serde(default)]
    pub statuses: BTreeMap<RefusalKind, u16>,
    /// `{{code}}` per kind; without one it is the status of HTTP for the kind.
    #[serde(default)]
    pub codes: BTreeMap<RefusalKind, i64>,
    /// `{{message}}` per kind, in place of the gateway's.
    #[serde(default)]
    pub messages: BTreeMap<RefusalKind, String>,
}

fn json_type() -> String {
    "application/json".to_owned()
}

/// An envelope that was checked and is ready to render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEnvelope {
    content_type: String,
    template: Template<Word>,
    statuses: BTreeMap<RefusalKind, StatusCode>,
    codes: BTreeMap<RefusalKind, i64>,
    messages: BTreeMap<RefusalKind, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("{0} is not an HTTP status between 200 and 599")]
    BadStatus(u16),
    #[error("the content type {0:?} cannot be sent as a header")]
    BadContentType(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Message,
    Code,
    Status,
    Title,
    Error,
    MissingScopes,
}

impl Placeholder for Word {
    const ALL: &'static [(&'static str, Self)] = &[
        ("message", Self::Message),
        ("code", Self::Code),
        ("status", Self::Status),
        ("title", Self::Title),
        ("error", Self::Error),
        ("missing_scopes", Self::MissingScopes),
    ];
}

impl ErrorEnvelope {
    pub fn new(spec: EnvelopeSpec) -> Result<Self, EnvelopeError> {
        if http::HeaderValue::from_str(&spec.content_type).is_err() {
            return Err(EnvelopeError::BadContentType(spec.content_type));
        }
        let mut statuses = BTreeMap::new();
        for (kind, status) in spec.statuses {
            let code = StatusCode::from_u16(status)
                .ok()
                .filter(|code| (200..600).contains(&code.as_u16()));
            statuses.insert(kind, code.ok_or(EnvelopeError::BadStatus(status))?);
        }
        Ok(Self {
            content_type: spec.content_type,
            template: Template::parse(&spec.template)?,
            statuses,
            codes: spec.codes,
            messages: spec.messages,
        })
    }

    /// RFC 9457 problem details, the default.
    pub fn problem_json() -> Self {
        #[expect(clippy::expect_used, reason = "a constant of this file, which a test renders")]
        let template = Template::parse(PROBLEM_JSON).expect("the constant is a template");
        Self {
            content_type: "application/problem+json".to_owned(),
            template,
            statuses: BTreeMap::new(),
            codes: BTreeMap::new(),
            messages: BTreeMap::new(),
        }
    }

    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    pub fn status(&self, kind: RefusalKind) -> StatusCode {
        self.statuses.get(&kind).copied().unwrap_or(kind.status())
    }

    pub fn render(&self, refusal: &Refusal<'_>) -> Rendered {
        let Refusal { kind, message, missing_scopes } = *refusal;
        let status = self.status(kind);
        let value = |word| {
            Some(match word {
                Word::Message => {
                    Slot::Text(self.messages.get(&kind).map_or(message, String::as_str).into())
                }
                Word::Code => Slot::Number(
                    self.codes.get(&kind).copied().unwrap_or_else(|| kind.status().as_u16().into()),
                ),
                Word::Status => Slot::Number(status.as_u16().into()),
                Word::Title => {
                    Slot::Text(kind.status().canonical_reason().unwrap_or("Error").into())
                }
                Word::Error => Slot::Text(kind.as_str().into()),
                Word::MissingScopes => {
                    Slot::List(missing_scopes?.iter().map(|scope| scope.as_str().into()).collect())
                }
            })
        };
        let body = self.template.render(value);
        Rendered { status, content_type: self.content_type.clone(), body }
    }
}

#[cfg(test)]
mod tests;
