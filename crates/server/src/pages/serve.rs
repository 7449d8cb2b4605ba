//! `GET /assets/…`.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH};

use crate::provider::Shared;

/// The pages ask for each file with its version in the query, so an answer may be kept for good.
const CACHED_FOR_A_YEAR: &str = "public, max-age=31536000, immutable";

/// A style sheet, script or image of the pages.
pub async fn serve_asset(
    State(provider): State<Shared>,
    Path(path): Path<String>,
    request: HeaderMap,
) -> Response {
    let Some(asset) = provider.pages.asset(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let caching = [(CACHE_CONTROL, CACHED_FOR_A_YEAR.to_owned()), (ETAG, asset.etag.clone())];
    if request.get(IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == asset.etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, asset.content_type)], asset.body.to_vec()).into_response()
}
