//! Everything that the drive can refuse, in Bitport's envelope. As on Bitport, an error of the API
//! is HTTP 200 with `status: error`; only a bad identity is 401. Signed links are no part of the
//! API and answer with the status that a download client understands.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use crate::assertion::AssertionError;
use crate::storage::StorageError;

#[derive(Debug)]
pub(crate) enum DriveError {
    Unauthorized,
    /// The text says which parameter is missing.
    Mandatory(&'static str),
    /// The text says which parameter is wrong and what it must be.
    Parameter(&'static str),
    TooManyTransfers,
    NoSuchTransfer,
    /// A zip without its later extensions has room for four gibibytes and 65,535 entries.
    TooLargeForZip,
    NoSuchFile,
    NoSuchFolder,
    NoSuchMethod,
    ForgedLink,
    ExpiredLink,
    /// The link is good and its file is gone.
    DeadLink,
    /// Ours, not the caller's. Logged, and opaque outside.
    Broken(StorageError),
    /// The gateway's keys cannot be fetched, so nobody can be recognised.
    Unavailable,
}

impl DriveError {
    fn answer(&self) -> (StatusCode, &'static str, u32) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized access", 401),
            Self::Mandatory(message) => (StatusCode::OK, message, 101),
            Self::Parameter(message) => (StatusCode::OK, message, 102),
            Self::TooManyTransfers => {
                (StatusCode::OK, "Too many transfers. Delete some of the list.", 103)
            }
            Self::NoSuchTransfer => (StatusCode::OK, "Transfer not found", 404),
            Self::TooLargeForZip => (StatusCode::OK, "The folder is too large for a zip", 104),
            Self::NoSuchFile => (StatusCode::OK, "File not found", 404),
            Self::NoSuchFolder => (StatusCode::OK, "Folder not found", 404),
            Self::NoSuchMethod => (StatusCode::OK, "Method not found", 404),
            Self::ForgedLink => (StatusCode::FORBIDDEN, "The link is not valid", 403),
            Self::ExpiredLink => (StatusCode::FORBIDDEN, "The link has expired", 403),
            Self::DeadLink => (StatusCode::NOT_FOUND, "File not found", 404),
            Self::Broken(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error", 500),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Temporarily unavailable", 503),
        }
    }
}

impl IntoResponse for DriveError {
    fn into_response(self) -> Response {
        if let Self::Broken(error) = &self {
            tracing::error!(%error, "the practice drive failed");
        }
        let (status, message, code) = self.answer();
        let errors = Some([Complaint { message, code }]);
        let body = Envelope { status: "error", data: None::<Value>, errors };
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1: a 401 names a scheme. The gateway is who must authenticate.
            let scheme = HeaderValue::from_static("ConsentryAssertion");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// Every answer, with its members in Bitport's order.
#[derive(Serialize)]
pub(crate) struct Envelope<T> {
    status: &'static str,
    data: Option<T>,
    errors: Option<[Complaint; 1]>,
}

#[derive(Serialize)]
pub(crate) struct Complaint {
    message: &'static str,
    code: u32,
}

/// `data` is a list, even of one, but where an object was chosen.
pub(crate) fn success(data: Vec<Value>) -> Json<Envelope<Value>> {
    success_of(data.into())
}

pub(crate) fn success_of(data: Value) -> Json<Envelope<Value>> {
    Json(Envelope { status: "success", data: Some(data), errors: None })
}

impl From<AssertionError> for DriveError {
    fn from(error: AssertionError) -> Self {
        match error {
            AssertionError::KeysUnreachable => Self::Unavailable,
            _ => {
                tracing::debug!(%error, "a call without a valid assertion");
                Self::Unauthorized
            }
        }
    }
}

impl From<StorageError> for DriveError {
    fn from(error: StorageError) -> Self {
        Self::Broken(error)
    }
}
