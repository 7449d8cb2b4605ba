//! What can go wrong in the admin API, as RFC 9457 says it: `application/problem+json` with a
//! `type` that stays what it is, and a pointer (RFC 6901) to each field that is wrong.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use domain::admin_token::AdminScope;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use serde_json::json;
use store::DbError;

use super::schema::wire;
use crate::error::PageError;

/// In front of the name of each kind of problem.
pub const TYPE_PREFIX: &str = "urn:consentry:problem:";
/// After how long what is down for the moment may be asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal $status:literal,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemKind { $($(#[doc = $doc])+ $name,)+ }

        impl ProblemKind {
            pub const ALL: &[ProblemKind] = &[$(ProblemKind::$name,)+];

            pub const fn name(self) -> &'static str {
                match self { $(ProblemKind::$name => $text,)+ }
            }

            /// When it comes, in a sentence: what the reference says.
            pub const fn text(self) -> &'static str {
                match self { $(ProblemKind::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            pub fn status(self) -> StatusCode {
                let status = match self { $(ProblemKind::$name => $status,)+ };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    };
}

kinds! {
    /// The request cannot be read, or a field of it is wrong; `errors` says which.
    Invalid = "invalid-request" 400,
    /// The cursor is of another list, of other filters, or damaged. Begin without one.
    Cursor = "invalid-cursor" 400,
    /// No token was sent, or one that is unknown, expired or revoked.
    Unauthorized = "unauthorized" 401,
    /// The token lacks the scope that `scope` names.
    Scope = "insufficient-scope" 403,
    /// Not for whoever asks, whatever the scopes.
    Forbidden = "forbidden" 403,
    /// There is no such thing, or no such address.
    NotFound = "not-found" 404,
    /// The address does not know this method.
    Method = "method-not-allowed" 405,
    /// The thing is in a state in which this cannot be done, or it exists already.
    Conflict = "conflict" 409,
    /// A request with this idempotency key is being carried out. Ask again in a moment.
    InProgress = "request-in-progress" 409,
    /// A request with this idempotency key broke off: look whether it was done, then take another
    /// key.
    OutcomeUnknown = "outcome-unknown" 409,
    /// The thing is no longer what `If-Match` names. Read it again.
    Stale = "precondition-failed" 412,
    /// The body is larger than the address takes.
    TooLarge = "body-too-large" 413,
    /// The body is not JSON, or not said to be.
    MediaType = "unsupported-media-type" 415,
    /// The idempotency key was used for another request.
    KeyReused = "idempotency-key-reused" 422,
    /// Nothing was imported, as `errors` names what is wrong with some of the entries.
    ImportRefused = "import-refused" 422,
    /// `If-Match` is missing: the ETag of what you have read, or `*`.
    MatchNeeded = "precondition-required" 428,
    /// Too many wrong tokens from this address.
    Throttled = "too-many-attempts" 429,
    /// The mistake is ours, and it was logged.
    Internal = "internal-error" 500,
    /// The database does not answer, or too much is going on. Nothing was changed.
    Unavailable = "unavailable" 503,
}

wire! {
    /// What is wrong with one field.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
    pub struct FieldError {
        /// Where in the body it is (RFC 6901): `/redirect_uris`.
        pub pointer: String,
        /// What is wrong, for people.
        pub detail: String,
    }

    /// An error (RFC 9457), as `application/problem+json`.
    #[derive(Clone, Debug, Serialize)]
    pub struct ProblemDocument {
        /// Which kind of problem it is. Decide by it and by nothing else.
        pub r#type: String,
        /// The kind in a few words.
        pub title: String,
        /// The status of the answer.
        pub status: u32,
        /// What happened, for people.
        pub detail: String,
        /// Each field that is wrong.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub errors: Option<Vec<FieldError>>,
        /// The scope that the token lacks.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub scope: Option<AdminScope>,
        /// Under which the request is logged, as in `X-Request-Id`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub request_id: Option<String>,
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    pub kind: ProblemKind,
    /// Of our own mistakes, what the log says; the answer does not repeat it.
    pub detail: String,
    pub errors: Vec<FieldError>,
    pub scope: Option<AdminScope>,
    pub wait: Option<Duration>,
}

impl Problem {
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), scope: None, wait: None }
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::NotFound, detail)
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Conflict, detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Forbidden, detail)
    }

    /// Every mistake at once, each as `field: what is wrong`.
    pub fn invalid(mistakes: &[String]) -> Self {
        let detail = match mistakes {
            [one] => one.clone(),
            many => format!("{} mistakes\n  {}", many.len(), many.join("\n  ")),
        };
        let errors = mistakes.iter().filter_map(|mistake| field_error(mistake)).collect();
        Self { errors, ..Self::new(ProblemKind::Invalid, detail) }
    }

    pub fn one_invalid(field: &str, what: &str) -> Self {
        Self::invalid(&[format!("{field}: {what}")])
    }

    pub fn lacks(scope: AdminScope) -> Self {
        let detail = format!("the token lacks the scope {scope}");
        Self { scope: Some(scope), ..Self::new(ProblemKind::Scope, detail) }
    }

    /// Whether it answers the request, as against a failure of ours.
    pub fn is_refusal(&self) -> bool {
        !self.kind.status().is_server_error()
    }

    fn document(&self) -> ProblemDocument {
        let detail = match self.kind {
            ProblemKind::Internal => "The mistake is ours and was logged.".to_owned(),
            _ => self.detail.clone(),
        };
        ProblemDocument {
            r#type: format!("{TYPE_PREFIX}{}", self.kind.name()),
            title: self.kind.name().replace('-', " "),
            status: self.kind.status().as_u16().into(),
            detail,
            errors: (!self.errors.is_empty()).then(|| self.errors.clone()),
            scope: self.scope,
            request_id: None,
        }
    }
}

/// `redirect_uris: what` becomes a pointer and a sentence.
fn field_error(mistake: &str) -> Option<FieldError> {
    let (field, detail) = mistake.split_once(": ")?;
    let is_name = field.bytes().all(|b| b.is_ascii_lowercase() || b"_/0123456789".contains(&b));
    is_name.then(|| FieldError { pointer: format!("/{field}"), detail: detail.to_owned() })
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        if let DbError::OutcomeUnknown(_) = &error {
            let text = format!("it may have been done or not, look: {error}");
            return Self::new(ProblemKind::OutcomeUnknown, text);
        }
        let transient = error.is_transient();
        let kind = if transient { ProblemKind::Unavailable } else { ProblemKind::Internal };
        let detail = match kind {
            ProblemKind::Unavailable => format!("the database does not answer: {error}"),
            _ => format!("internal error: {error}"),
        };
        Self::new(kind, detail)
    }
}

/// What functions of the pages refuse.
impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        let kind = match &error {
            PageError::NotFound => ProblemKind::NotFound,
            PageError::Forbidden(_) => ProblemKind::Forbidden,
            PageError::Conflict(_) => ProblemKind::Conflict,
            PageError::BadRequest(_) | PageError::StaleForm => ProblemKind::Invalid,
            PageError::Unavailable(_) | PageError::Busy => ProblemKind::Unavailable,
            PageError::Throttled { .. } => ProblemKind::Throttled,
            _ => ProblemKind::Internal,
        };
        let detail = match &error {
            PageError::Forbidden(text)
            | PageError::Conflict(text)
            | PageError::BadRequest(text) => text.clone().into_owned(),
            other => other.to_string(),
        };
        Self::new(kind, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if !self.is_refusal() {
            tracing::error!(error = %self, "a request to the admin API failed");
        }
        let body = json!(self.document()).to_string();
        let mut response = (self.kind.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        // RFC 9110 §11.6.1: a 401 says how to do better; RFC 6750 §3.1 names the scope.
        let challenge = match (self.kind, self.scope) {
            (ProblemKind::Unauthorized, _) => Some("Bearer realm=\"consentry-admin\"".to_owned()),
            (ProblemKind::Scope, Some(scope)) => Some(format!(
                "Bearer realm=\"consentry-admin\", error=\"insufficient_scope\", scope=\"{scope}\""
            )),
            _ => None,
        };
        if let Some(value) = challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        let wait = match self.kind {
            ProblemKind::Unavailable => Some(AGAIN_AFTER),
            ProblemKind::InProgress => Some(Duration::from_secs(1)),
            _ => self.wait,
        };
        if let Some(wait) = wait {
            headers.insert(RETRY_AFTER, wait.as_secs().max(1).into());
        }
        response.extensions_mut().insert(self);
        response
    }
}
