//! `GET /.well-known/jwks.json` (RFC 7517): the next, the current and the retiring public keys of
//! JWT access tokens and of the gateway's assertions.

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::oauth::answer;
use crate::provider::Shared;

pub async fn show(State(provider): State<Shared>) -> Response {
    answer::document(json!(provider.keyring().jwks()).to_string())
}
