//! Liveness and readiness. Not ready says why, for the person who looks at the probe.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;

use crate::provider::Shared;

/// The process answers.
pub async fn live() -> &'static str {
    "ok\n"
}

#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The database answers, and this node may still act on what it knows (its lease is valid).
pub async fn ready(State(provider): State<Shared>) -> (StatusCode, Json<Readiness>) {
    let reason = provider.store.ready().err().map(|error| error.to_string());
    let status = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Readiness { ready: reason.is_none(), reason }))
}
