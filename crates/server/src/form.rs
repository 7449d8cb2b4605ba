//! Form bodies, read within bounds and only under their own content type.

use axum::body::{Body, to_bytes};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use protocol::params::{BYTES_MAX, Params, ParamsError};

/// Why a body is not a form that we read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("the body must be sent as application/x-www-form-urlencoded")]
    ContentType,
    #[error("the body is longer than {BYTES_MAX} bytes, or was cut short")]
    Unreadable,
    #[error(transparent)]
    Params(#[from] ParamsError),
}

/// Read a form body of at most [`BYTES_MAX`] bytes.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Params, FormError> {
    // Before anything is refused: a connection that is closed with unread bytes is reset, and the
    // refusal can be lost on the way.
    let bytes = to_bytes(body, BYTES_MAX).await.map_err(|_| FormError::Unreadable)?;
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let one = types.next().and_then(|value| value.to_str().ok()).ok_or(FormError::ContentType)?;
    let essence = one.split(';').next().unwrap_or_default().trim();
    if types.next().is_some() || !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(FormError::ContentType);
    }
    Ok(Params::parse(&bytes)?)
}
