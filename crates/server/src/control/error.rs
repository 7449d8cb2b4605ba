//! What can go wrong on the control socket, as the command line reads it:
//! `{"error": CODE, "message": SENTENCE}`.

use axum::Json;
use axum::extract::FromRequest;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use store::DbError;

#[derive(Clone, Debug, thiserror::Error)]
pub enum ControlError {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    /// It is not in a state in which this can be done, or exists already.
    #[error("{0}")]
    Conflict(String),
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    #[error("internal error: {0}")]
    Internal(String),
}

impl ControlError {
    /// Every mistake at once, one a line.
    pub(super) fn invalid(mistakes: &[String]) -> Self {
        match mistakes {
            [one] => Self::Invalid(one.clone()),
            many => Self::Invalid(format!("{} mistakes\n  {}", many.len(), many.join("\n  "))),
        }
    }

    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl From<DbError> for ControlError {
    fn from(error: DbError) -> Self {
        if error.is_transient() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.to_string())
        }
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        if status.is_server_error() {
            tracing::error!(error = %self, "a control request failed");
        }
        (status, Json(json!({ "error": code, "message": self.to_string() }))).into_response()
    }
}

/// A JSON body; a bad one is told like every other error.
pub struct Body<T>(pub T);

impl<T, S> FromRequest<S> for Body<T>
where
    Json<T>: FromRequest<S, Rejection = JsonRejection>,
    S: Send + Sync,
{
    type Rejection = ControlError;

    async fn from_request(
        request: axum::extract::Request,
        state: &S,
    ) -> Result<Self, ControlError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(error) => Err(ControlError::Invalid(error.body_text())),
        }
    }
}
