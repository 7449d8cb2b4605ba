//! Liveness and readiness. Not ready says why, for the person who looks at the probe.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;

use store::{DbError, Tx, changes};

use crate::provider::{Provider, Shared};

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
    let reason = unfit(&provider).await.err();
    let status = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Readiness { ready: reason.is_none(), reason }))
}

async fn unfit(provider: &Provider) -> Result<(), String> {
    provider.store.ready().map_err(|error| error.to_string())?;
    let ask = async |tx: &mut Tx<'_>| changes::find_last_position(tx).await;
    provider.store.db.read(ask).await.map(drop).map_err(|error: DbError| error.to_string())
}
