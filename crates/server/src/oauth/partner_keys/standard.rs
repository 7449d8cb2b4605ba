//! `/oauth/partner-keys/…` in the words of the standard: bearer tokens and their challenges
//! (RFC 6750 §3), errors as JSON.

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::partner_key::KeySecret;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use protocol::bearer::{BearerErrorCode, Challenge};
use protocol::partner_key::KeyFailure;
use zeroize::Zeroizing;

use super::{KeyCall, KeyError};
use crate::oauth::answer;
use crate::provider::Shared;

impl FromRequestParts<Shared> for KeyCall {
    type Rejection = KeyError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, KeyError> {
        Self::authenticate(provider, parts, None).await
    }
}

impl IntoResponse for KeyError {
    fn into_response(self) -> Response {
        let failure = self.failure;
        let mut response = answer::json(failure.status(), failure.to_json());
        let code = match failure {
            KeyFailure::Unauthorized => Some(BearerErrorCode::InvalidToken),
            KeyFailure::InsufficientScope => Some(BearerErrorCode::InsufficientScope),
            _ => None,
        };
        if let Some(code) = code {
            let challenge = Challenge::new().error(code, failure.description());
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.to_header_value());
        }
        if let Some(seconds) = failure.retry_after_seconds() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        self.note(&mut response);
        response
    }
}

/// `GET /oauth/partner-keys/info`
pub async fn info(State(provider): State<Shared>, call: KeyCall) -> Result<Response, KeyError> {
    let info = call.info(&provider).await?;
    let body = serde_json::to_string(&info)
        .map_err(|error| KeyError::new(KeyFailure::ServerError, error))?;
    Ok(answer::json(StatusCode::OK, body))
}

/// `GET /oauth/partner-keys/{id}/secret`
pub async fn secret(
    State(provider): State<Shared>,
    call: KeyCall,
    Path(id): Path<String>,
) -> Result<Response, KeyError> {
    let secret = call.secret(&provider, &id).await?;
    let quoted = quoted(&secret);
    // At its full length from the start: growing would leave copies behind.
    let mut body = Zeroizing::new(String::with_capacity(quoted.len() + 16));
    for part in ["{\"secret\":", &quoted, "}"] {
        body.push_str(part);
    }
    Ok(tell(StatusCode::OK, body))
}

/// `DELETE /oauth/partner-keys/{id}`
pub async fn delete(
    State(provider): State<Shared>,
    call: KeyCall,
    Path(id): Path<String>,
) -> Result<Response, KeyError> {
    call.delete(&provider, &id).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// As a JSON string: hexadecimal digits need no escapes.
pub(crate) fn quoted(secret: &KeySecret) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(secret.expose().len() + 2));
    for part in ["\"", secret.expose(), "\""] {
        text.push_str(part);
    }
    text
}

/// JSON with a secret in it, overwritten once it is sent. `no-store`, as all of ours.
pub(crate) fn tell(status: StatusCode, body: Zeroizing<String>) -> Response {
    let mut response = answer::json(status, String::new());
    *response.body_mut() = Body::from(Bytes::from_owner(body));
    response
}
