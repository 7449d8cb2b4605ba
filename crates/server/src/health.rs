//! Liveness and readiness. Not ready says which part is not and why, for the person who looks at
//! the probe.

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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ready: Vec<NotReady>,
}

/// One part that keeps this node from serving.
#[derive(Clone, Debug, Serialize)]
pub struct NotReady {
    /// `lease`, `clock` or `database`.
    pub part: &'static str,
    pub reason: String,
}

/// This node may act on what it knows (its lease is valid), its clock is right, and the database
/// answers.
pub async fn ready(State(provider): State<Shared>) -> (StatusCode, Json<Readiness>) {
    let not_ready = unfit(&provider).await;
    let ready = not_ready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, not_ready }))
}

async fn unfit(provider: &Provider) -> Vec<NotReady> {
    let store = &provider.store;
    let ask = async |tx: &mut Tx<'_>| changes::find_last_position(tx).await;
    let parts = [
        ("lease", store.ready().map_err(|error| error.to_string())),
        ("clock", store.clock_agrees().map_err(|error| error.to_string())),
        (
            "database",
            store.db.read(ask).await.map(drop).map_err(|error: DbError| error.to_string()),
        ),
    ];
    let unfit = |(part, state): (&'static str, Result<(), String>)| {
        state.err().map(|reason| NotReady { part, reason })
    };
    parts.into_iter().filter_map(unfit).collect()
}
