//! The audit trail for whoever must show it to somebody: every event in order, signed checkpoints, and
//! whether the trail is whole.

use axum::Json;
use axum::extract::{Query, State};
use domain::audit_chain::{Checkpoint, hexadecimal};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::audit::checkpoints;
use store::{Tx, audit};

use super::error::ControlError;
use crate::provider::Shared;

/// Events in one answer.
const PAGE_MAX: u32 = 10_000;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Events after this position; 0 for the first page.
    #[serde(default)]
    after: i64,
    /// With it, `after` is a position in this block: events come block by block, as a copy is
    /// checked, and those that are in none yet are left out.
    block: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Events {
    pub events: Vec<Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Checkpoints {
    pub checkpoints: Vec<Checkpoint>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    pub blocks: i64,
    /// Of the newest block. Kept elsewhere, it proves later that nothing up to it was rewritten.
    pub hash: String,
    pub checkpoints: u64,
}

pub async fn list(
    State(provider): State<Shared>,
    Query(page): Query<Page>,
) -> Result<Json<Events>, ControlError> {
    if page.block == Some(0) && page.after == 0 {
        // The copy begins: what was recorded before it is in it.
        provider.store.seal_audit().await?;
    }
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, ControlError>(match page.block {
            Some(block) => audit::list_sealed(tx, (block, page.after), PAGE_MAX).await?,
            None => audit::list(tx, page.after, PAGE_MAX).await?,
        })
    };
    let rows = provider.store.db.read_long(read).await?;
    let events = rows.iter().map(|row| row.exported(&super::rfc3339(row.event.at)));
    Ok(Json(Events { events: events.collect() }))
}

/// Behind a block; 0 for the first page.
pub async fn list_checkpoints(
    State(provider): State<Shared>,
    Query(page): Query<Page>,
) -> Result<Json<Checkpoints>, ControlError> {
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, ControlError>(checkpoints::list(tx, page.after, PAGE_MAX).await?)
    };
    Ok(Json(Checkpoints { checkpoints: provider.store.db.read_long(read).await? }))
}

/// Sign what is there now.
pub async fn make_checkpoint(
    State(provider): State<Shared>,
) -> Result<Json<Option<Checkpoint>>, ControlError> {
    Ok(Json(provider.store.audit_checkpoint().await?))
}

pub async fn verify(State(provider): State<Shared>) -> Result<Json<Verified>, ControlError> {
    let read = async move |tx: &mut Tx<'_>| {
        let newest = match audit::verify(tx).await? {
            Ok(newest) => newest,
            Err(error) => return Ok(Err(error)),
        };
        let checked = checkpoints::verify(tx, newest.as_ref()).await?;
        Ok::<_, ControlError>(checked.map(|count| (newest, count)))
    };
    let verified = provider.store.db.read_long(read).await?;
    let (newest, checkpoints) =
        verified.map_err(|error| ControlError::Conflict(error.to_string()))?;
    Ok(Json(Verified {
        blocks: newest.as_ref().map_or(0, |seal| seal.number),
        hash: newest.map(|seal| hexadecimal(&seal.hash)).unwrap_or_default(),
        checkpoints,
    }))
}
