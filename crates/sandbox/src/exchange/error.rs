//! Everything that the exchange can refuse, in WhiteBIT's V4 envelope: 422 for what was sent
//! wrongly, 400 for what was sent well and cannot be done.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::book::TooLarge;
use crate::assertion::AssertionError;
use crate::storage::StorageError;

/// Codes of the V4 envelope.
pub(crate) mod code {
    pub(crate) const INVALID_ARGUMENT: u32 = 1;
    pub(crate) const ORDER_NOT_FOUND: u32 = 2;
    pub(crate) const TRANSFER: u32 = 3;
    pub(crate) const INVALID_PAYLOAD: u32 = 9;
    pub(crate) const NOT_ENOUGH_BALANCE: u32 = 10;
    pub(crate) const NOT_ENOUGH_LIQUIDITY: u32 = 11;
    pub(crate) const FIELD: u32 = 30;
    pub(crate) const MARKET: u32 = 31;
    pub(crate) const AMOUNT: u32 = 32;
    pub(crate) const PRICE: u32 = 33;
    pub(crate) const CLIENT_ORDER_ID: u32 = 36;
}

#[derive(Debug)]
pub(crate) enum ApiError {
    Unauthorized,
    /// The body is not a JSON object that can be read.
    Payload {
        status: StatusCode,
        reason: &'static str,
    },
    /// Fields of the body are missing or wrong: all of them at once.
    Invalid(Faults),
    /// The request makes sense, and the state of the exchange does not allow it.
    Refused {
        code: u32,
        field: &'static str,
        message: &'static str,
    },
    /// The same for transfers and conversions, which V4 answers with 422.
    NotCovered {
        code: u32,
        field: &'static str,
        message: String,
    },
    NoSuchPath,
    NoSuchMethod,
    /// Ours, not the caller's. Logged, and opaque outside.
    Broken(StorageError),
    /// The gateway's keys cannot be fetched, so nobody can be recognised.
    Unavailable,
}

/// What is wrong with the fields of a body.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    codes: Vec<u32>,
    fields: BTreeMap<&'static str, Vec<String>>,
}

impl Faults {
    pub(crate) fn add(&mut self, code: u32, field: &'static str, message: impl Into<String>) {
        self.codes.push(code);
        self.fields.entry(field).or_default().push(message.into());
    }

    pub(crate) fn one(code: u32, field: &'static str, message: impl Into<String>) -> ApiError {
        let mut faults = Self::default();
        faults.add(code, field, message);
        ApiError::Invalid(faults)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// A code of its own only when every fault has it; otherwise the general one.
    fn code(&self) -> u32 {
        match self.codes.as_slice() {
            [first, rest @ ..] if rest.iter().all(|code| code == first) => *first,
            _ => code::FIELD,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Unauthorized => {
                let body = json!({ "data": { "message": ["Unauthorized."] } });
                let mut response = (StatusCode::UNAUTHORIZED, Json(body)).into_response();
                // RFC 9110 §11.6.1: a 401 names a scheme. The gateway is who must authenticate.
                let scheme = HeaderValue::from_static("ConsentryAssertion");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
                return response;
            }
            Self::Payload { status, reason } => {
                let errors = json!({ "body": [reason] });
                (status, envelope(code::INVALID_PAYLOAD, "Invalid payload.", errors))
            }
            Self::Invalid(faults) => {
                let errors = json!(faults.fields);
                let body = envelope(faults.code(), "Validation failed", errors);
                (StatusCode::UNPROCESSABLE_ENTITY, body)
            }
            Self::Refused { code, field, message } => {
                let errors = json!({ field: [message] });
                (StatusCode::BAD_REQUEST, envelope(code, "Inner validation failed", errors))
            }
            Self::NotCovered { code, field, message } => {
                let body = envelope(code, "Inner validation failed", json!({ field: [message] }));
                (StatusCode::UNPROCESSABLE_ENTITY, body)
            }
            Self::NoSuchPath => (StatusCode::NOT_FOUND, envelope(0, "Not found.", json!({}))),
            Self::NoSuchMethod => {
                (StatusCode::METHOD_NOT_ALLOWED, envelope(0, "Method not allowed.", json!({})))
            }
            Self::Broken(error) => {
                tracing::error!(%error, "the practice exchange failed");
                let body = envelope(0, "Internal error.", json!({}));
                (StatusCode::INTERNAL_SERVER_ERROR, body)
            }
            Self::Unavailable => {
                let body = envelope(0, "Service temporarily unavailable.", json!({}));
                (StatusCode::SERVICE_UNAVAILABLE, body)
            }
        };
        (status, Json(body)).into_response()
    }
}

fn envelope(code: u32, message: &str, errors: Value) -> Value {
    json!({ "code": code, "message": message, "errors": errors })
}

impl From<AssertionError> for ApiError {
    fn from(error: AssertionError) -> Self {
        match error {
            AssertionError::KeysUnreachable => Self::Unavailable,
            _ => {
                // What exactly is wrong helps the operator, and an attacker: log it, do not say it.
                tracing::debug!(%error, "a call without a valid assertion");
                Self::Unauthorized
            }
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self::Broken(error)
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(StorageError::Sqlite(error))
    }
}

impl From<TooLarge> for ApiError {
    fn from(_: TooLarge) -> Self {
        Self::Refused {
            code: code::INVALID_ARGUMENT,
            field: "amount",
            message: "Invalid argument.",
        }
    }
}
