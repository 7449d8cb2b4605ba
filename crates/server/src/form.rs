//! Form bodies, read within bounds and only under their own content type.

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use protocol::params::{BYTES_MAX, COUNT_MAX, Params, ParamsError};
use url::form_urlencoded;

use crate::multipart;

/// Why a body is not a form that we read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("the body must be sent as application/x-www-form-urlencoded")]
    ContentType,
    #[error("the body is longer than {BYTES_MAX} bytes, or was cut short")]
    Unreadable,
    #[error("the file is too large, or the form was cut short")]
    Upload,
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

/// What is taken of a file before it is looked at; more is cut off the connection.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Read a form that may bring one file: as `multipart/form-data`, or without one as any other. A
/// file input that was left empty brings none.
pub async fn read_upload(
    headers: &HeaderMap,
    body: Body,
) -> Result<(Params, Option<Bytes>), FormError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(boundary) = content_type.and_then(multipart::boundary) else {
        return Ok((read(headers, body).await?, None));
    };
    let limit = FILE_BYTES_MAX + BYTES_MAX;
    let body = to_bytes(body, limit).await.map_err(|_| FormError::Upload)?;
    let parts = multipart::parse(&body, boundary, COUNT_MAX).map_err(|_| FormError::Upload)?;
    let mut fields = form_urlencoded::Serializer::new(String::new());
    let mut file = None;
    for part in parts {
        if part.is_file {
            file = (!part.bytes.is_empty()).then(|| body.slice_ref(part.bytes)).or(file);
        } else {
            let value = std::str::from_utf8(part.bytes).map_err(|_| FormError::Upload)?;
            fields.append_pair(part.name, value);
        }
    }
    Ok((Params::parse(fields.finish().as_bytes())?, file))
}
