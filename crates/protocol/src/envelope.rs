//! The shape of the gateway's refusals: every API has its own error envelope, a JSON template.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::scope::ScopeSet;

/// Deepest nesting of a template.
const DEPTH_MAX: usize = 16;

/// Why the gateway refuses a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    MissingToken,
    InvalidToken,
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
    pub const ALL: [Self; 16] = [
        Self::MissingToken,
        Self::InvalidToken,
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
            Self::MissingToken | Self::InvalidToken => StatusCode::UNAUTHORIZED,
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
    template: Template,
    statuses: BTreeMap<RefusalKind, StatusCode>,
    codes: BTreeMap<RefusalKind, i64>,
    messages: BTreeMap<RefusalKind, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the template is not JSON: {0}")]
    NotJson(String),
    #[error("the template is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("the template has the unknown placeholder {{{{{0}}}}}")]
    UnknownPlaceholder(String),
    #[error("the template has a {{{{ without }}}} in {0:?}")]
    OpenPlaceholder(String),
    #[error("{0} is not an HTTP status between 200 and 599")]
    BadStatus(u16),
    #[error("the content type {0:?} cannot be sent as a header")]
    BadContentType(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Template {
    Constant(Value),
    /// The whole string is one placeholder: the JSON type of the value is kept.
    Whole(Placeholder),
    Text(Vec<Piece>),
    List(Vec<Template>),
    Object(Vec<(String, Template)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Message,
    Code,
    Status,
    Title,
    Error,
    MissingScopes,
}

impl Placeholder {
    fn parse(name: &str) -> Result<Self, EnvelopeError> {
        Ok(match name.trim() {
            "message" => Self::Message,
            "code" => Self::Code,
            "status" => Self::Status,
            "title" => Self::Title,
            "error" => Self::Error,
            "missing_scopes" => Self::MissingScopes,
            other => return Err(EnvelopeError::UnknownPlaceholder(other.to_owned())),
        })
    }
}

impl ErrorEnvelope {
    pub fn new(spec: EnvelopeSpec) -> Result<Self, EnvelopeError> {
        if http::HeaderValue::from_str(&spec.content_type).is_err() {
            return Err(EnvelopeError::BadContentType(spec.content_type));
        }
        let template: Value = serde_json::from_str(&spec.template)
            .map_err(|error| EnvelopeError::NotJson(error.to_string()))?;
        let mut statuses = BTreeMap::new();
        for (kind, status) in spec.statuses {
            let code = StatusCode::from_u16(status)
                .ok()
                .filter(|code| (200..600).contains(&code.as_u16()));
            statuses.insert(kind, code.ok_or(EnvelopeError::BadStatus(status))?);
        }
        Ok(Self {
            content_type: spec.content_type,
            template: Template::parse(&template, 0)?,
            statuses,
            codes: spec.codes,
            messages: spec.messages,
        })
    }

    /// RFC 9457 problem details, the default.
    pub fn problem_json() -> Self {
        Self::preset(
            "application/problem+json",
            &json!({
                "type": "about:blank",
                "title": "{{title}}",
                "status": "{{status}}",
                "detail": "{{message}}",
                "error": "{{error}}",
                "missing_scopes": "{{missing_scopes}}",
            }),
        )
    }

    /// Bitport's: `{"status":"error","data":null,"errors":[{"message","code"}]}`. Errors of the
    /// call itself come as HTTP 200 there; only a bad token is 401.
    pub fn bitport() -> Self {
        let mut envelope = Self::preset(
            "application/json",
            &json!({
                "status": "error",
                "data": null,
                "errors": [{ "message": "{{message}}", "code": "{{code}}" }],
            }),
        );
        for kind in [RefusalKind::NotFound, RefusalKind::MethodNotAllowed, RefusalKind::BadRequest]
        {
            envelope.statuses.insert(kind, StatusCode::OK);
        }
        for kind in [RefusalKind::MissingToken, RefusalKind::InvalidToken] {
            envelope.messages.insert(kind, "Unauthorized access".to_owned());
        }
        for kind in [RefusalKind::NotFound, RefusalKind::MethodNotAllowed] {
            envelope.messages.insert(kind, "Method not found".to_owned());
            envelope.codes.insert(kind, 404);
        }
        envelope
    }

    /// WhiteBIT's: `{"data":{"message":["…"]}}`.
    pub fn whitebit() -> Self {
        let mut envelope =
            Self::preset("application/json", &json!({ "data": { "message": ["{{message}}"] } }));
        for kind in [RefusalKind::MissingToken, RefusalKind::InvalidToken] {
            envelope.messages.insert(kind, "Unauthorized.".to_owned());
        }
        envelope
    }

    /// The named presets of configuration files.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "problem+json" => Some(Self::problem_json()),
            "bitport" => Some(Self::bitport()),
            "whitebit" => Some(Self::whitebit()),
            _ => None,
        }
    }

    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    pub fn status(&self, kind: RefusalKind) -> StatusCode {
        self.statuses.get(&kind).copied().unwrap_or(kind.status())
    }

    /// Always valid JSON: values are put into the parsed template, never into its text.
    pub fn render(&self, refusal: &Refusal<'_>) -> Rendered {
        let status = self.status(refusal.kind);
        let values = Values {
            message: self.messages.get(&refusal.kind).map_or(refusal.message, String::as_str),
            code: self
                .codes
                .get(&refusal.kind)
                .copied()
                .unwrap_or_else(|| refusal.kind.status().as_u16().into()),
            status,
            kind: refusal.kind,
            missing_scopes: refusal.missing_scopes,
        };
        Rendered {
            status,
            content_type: self.content_type.clone(),
            body: self.template.fill(&values).to_string(),
        }
    }

    fn preset(content_type: &str, template: &Value) -> Self {
        Self {
            content_type: content_type.to_owned(),
            // The presets are constants of this file and a test renders each; a template that
            // does not parse would be sent as it stands.
            template: Template::parse(template, 0)
                .unwrap_or_else(|_| Template::Constant(template.clone())),
            statuses: BTreeMap::new(),
            codes: BTreeMap::new(),
            messages: BTreeMap::new(),
        }
    }
}

struct Values<'a> {
    message: &'a str,
    code: i64,
    status: StatusCode,
    kind: RefusalKind,
    missing_scopes: Option<&'a ScopeSet>,
}

impl Values<'_> {
    /// `None` when this refusal has no such value.
    fn typed(&self, placeholder: Placeholder) -> Option<Value> {
        Some(match placeholder {
            Placeholder::Message => self.message.into(),
            Placeholder::Code => self.code.into(),
            Placeholder::Status => self.status.as_u16().into(),
            Placeholder::Title => self.kind.status().canonical_reason().unwrap_or("Error").into(),
            Placeholder::Error => self.kind.as_str().into(),
            Placeholder::MissingScopes => {
                self.missing_scopes?.iter().map(|scope| scope.as_str()).collect()
            }
        })
    }

    fn text(&self, placeholder: Placeholder) -> String {
        match (placeholder, self.typed(placeholder)) {
            (Placeholder::MissingScopes, _) => {
                self.missing_scopes.map(ScopeSet::to_string).unwrap_or_default()
            }
            (_, Some(Value::String(text))) => text,
            (_, Some(other)) => other.to_string(),
            (_, None) => String::new(),
        }
    }
}

impl Template {
    /// serde_json bounds the depth of what it parses, so this recursion is bounded too.
    fn parse(value: &Value, depth: usize) -> Result<Self, EnvelopeError> {
        if depth > DEPTH_MAX {
            return Err(EnvelopeError::TooDeep);
        }
        Ok(match value {
            Value::String(text) => Self::parse_text(text)?,
            Value::Array(items) => Self::List(
                items.iter().map(|item| Self::parse(item, depth + 1)).collect::<Result<_, _>>()?,
            ),
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, member)| Ok((name.clone(), Self::parse(member, depth + 1)?)))
                    .collect::<Result<_, EnvelopeError>>()?,
            ),
            other => Self::Constant(other.clone()),
        })
    }

    fn parse_text(text: &str) -> Result<Self, EnvelopeError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, tail) = after
                .split_once("}}")
                .ok_or_else(|| EnvelopeError::OpenPlaceholder(text.to_owned()))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Placeholder(Placeholder::parse(name)?));
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(match pieces.as_slice() {
            [] | [Piece::Text(_)] => Self::Constant(text.into()),
            [Piece::Placeholder(whole)] => Self::Whole(*whole),
            _ => Self::Text(pieces),
        })
    }

    fn fill(&self, values: &Values<'_>) -> Value {
        match self {
            Self::Constant(value) => value.clone(),
            Self::Whole(placeholder) => values.typed(*placeholder).unwrap_or(Value::Null),
            Self::Text(pieces) => Value::String(
                pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => text.clone(),
                        Piece::Placeholder(placeholder) => values.text(*placeholder),
                    })
                    .collect(),
            ),
            Self::List(items) => items.iter().map(|item| item.fill(values)).collect(),
            Self::Object(members) => {
                let mut filled = Map::new();
                for (name, member) in members {
                    // A member that is one placeholder without a value is left out.
                    let absent = matches!(member, Self::Whole(placeholder)
                        if values.typed(*placeholder).is_none());
                    if !absent {
                        filled.insert(name.clone(), member.fill(values));
                    }
                }
                Value::Object(filled)
            }
        }
    }
}

#[cfg(test)]
mod tests;
