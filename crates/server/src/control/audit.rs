//! The audit trail for whoever must show it to somebody: every event in order, and whether the
//! trail is whole.

use axum::Json;
use axum::extract::{Query, State};
use domain::audit::AuditActor;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::audit::AuditRow;
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
}

#[derive(Clone, Debug, Serialize)]
pub struct Events {
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Event {
    pub position: i64,
    pub at: String,
    pub kind: &'static str,
    /// `user:ID`, `app:ID`, `cli:UID` (a command, by the user of the machine) or `system`.
    pub actor: String,
    pub app_id: Option<String>,
    pub user_id: Option<String>,
    pub consent_id: Option<String>,
    pub grant_id: Option<String>,
    pub address: Option<String>,
    pub detail: Value,
    /// The block whose hash covers it; `null` for about a second.
    pub block: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    pub blocks: i64,
    /// Of the newest block. Kept elsewhere, it proves later that nothing up to it was rewritten.
    pub hash: String,
}

pub async fn list(
    State(provider): State<Shared>,
    Query(page): Query<Page>,
) -> Result<Json<Events>, ControlError> {
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, ControlError>(audit::list(tx, page.after, PAGE_MAX).await?)
    };
    let rows = provider.store.db.read_long(read).await?;
    Ok(Json(Events { events: rows.into_iter().map(event).collect() }))
}

pub async fn verify(State(provider): State<Shared>) -> Result<Json<Verified>, ControlError> {
    let read = async move |tx: &mut Tx<'_>| Ok::<_, ControlError>(audit::verify(tx).await?);
    let newest = provider.store.db.read_long(read).await?;
    let newest = newest.map_err(|error| ControlError::Conflict(error.to_string()))?;
    Ok(Json(match newest {
        None => Verified { blocks: 0, hash: String::new() },
        Some(seal) => Verified {
            blocks: seal.number,
            hash: seal.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        },
    }))
}

fn event(row: AuditRow) -> Event {
    let AuditRow { position, event, seal } = row;
    Event {
        position,
        at: super::rfc3339(event.at),
        kind: event.kind.as_str(),
        actor: match event.actor {
            AuditActor::User(id) => format!("user:{id}"),
            AuditActor::App(id) => format!("app:{id}"),
            AuditActor::CommandLine { uid: Some(uid) } => format!("cli:{uid}"),
            AuditActor::CommandLine { uid: None } => "cli".to_owned(),
            AuditActor::System => "system".to_owned(),
        },
        app_id: event.app_id.map(|id| id.to_string()),
        user_id: event.user_id.map(|id| id.to_string()),
        consent_id: event.consent_id.map(|id| id.to_string()),
        grant_id: event.grant_id.map(|id| id.to_string()),
        address: event.address.map(|address| address.to_string()),
        detail: event.detail,
        block: seal,
    }
}
