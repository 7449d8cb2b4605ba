//! Table `audit`: append-only, each row chained to the one before it by hash, so that a row that
//! was changed or taken away shows.

use std::fmt::Display;
use std::net::IpAddr;

use aws_lc_rs::digest::{Context, SHA256};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::{AppId, UserId};

use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT position, at, kind, actor_kind, actor_id, app_id, user_id, consent_id, \
             grant_id, address, detail, hash FROM audit ",
            $rest
        )
    };
}

/// A stored event with its place in the chain.
#[derive(Clone, Debug)]
pub struct AuditRow {
    pub position: i64,
    pub event: AuditEvent,
    pub hash: [u8; 32],
}

/// Append. Part of the transaction of what it describes.
pub async fn record(tx: &mut Tx<'_>, event: &AuditEvent) -> Result<(), DbError> {
    let head = tx
        .query_opt("SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1", &[])
        .await?;
    let (position, previous) = match head {
        Some(mut row) => (row.next::<i64>()?.saturating_add(1), row.next::<[u8; 32]>()?),
        None => (1, [0; 32]),
    };
    let text = Texts::of(event);
    let hash = text.hash(&previous, position, event);
    tx.execute(
        "INSERT INTO audit (position, at, kind, actor_kind, actor_id, app_id, user_id, \
         consent_id, grant_id, address, detail, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        bind![
            position,
            event.at,
            event.kind.as_str(),
            text.actor_kind,
            text.actor_id.as_ref(),
            event.app_id,
            event.user_id,
            event.consent_id,
            event.grant_id,
            text.address.as_ref(),
            &text.detail,
            &hash,
        ],
    )
    .await?;
    Ok(())
}

/// What concerns `user` and `app`, newest first, at most `limit`.
pub async fn list_of(
    tx: &mut Tx<'_>,
    user: UserId,
    app: AppId,
    limit: i64,
) -> Result<Vec<AuditRow>, DbError> {
    let rows = tx
        .query_all(
            select!("WHERE user_id = $1 AND app_id = $2 ORDER BY position DESC LIMIT $3"),
            bind![user, app, limit],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// What concerns `app`, newest first, at most `limit`.
pub async fn list_of_app(
    tx: &mut Tx<'_>,
    app: AppId,
    limit: i64,
) -> Result<Vec<AuditRow>, DbError> {
    let rows = tx
        .query_all(
            select!("WHERE app_id = $1 ORDER BY position DESC LIMIT $2"),
            bind![app, limit],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// In order, after `position`, at most `limit`: how the whole trail is exported and verified.
pub async fn list(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Vec<AuditRow>, DbError> {
    let rows = tx
        .query_all(
            select!("WHERE position > $1 ORDER BY position LIMIT $2"),
            bind![after, limit],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Does `row` follow a row with the hash `previous`? The first row follows 32 zero bytes.
pub fn follows(row: &AuditRow, previous: &[u8; 32]) -> bool {
    Texts::of(&row.event).hash(previous, row.position, &row.event) == row.hash
}

/// The parts of an event as they are stored and hashed.
struct Texts {
    actor_kind: &'static str,
    actor_id: Option<String>,
    address: Option<String>,
    detail: String,
}

impl Texts {
    fn of(event: &AuditEvent) -> Self {
        let (actor_kind, actor_id) = match event.actor {
            AuditActor::User(id) => ("user", Some(id.to_string())),
            AuditActor::App(id) => ("app", Some(id.to_string())),
            AuditActor::System => ("system", None),
        };
        Self {
            actor_kind,
            actor_id,
            address: event.address.map(|address| address.to_string()),
            detail: event.detail.to_string(),
        }
    }

    /// Every part with its length in front, so that no two events hash alike.
    fn hash(&self, previous: &[u8; 32], position: i64, event: &AuditEvent) -> [u8; 32] {
        let optional = |id: Option<&dyn Display>| id.map(|id| id.to_string()).unwrap_or_default();
        let parts = [
            position.to_string(),
            event.at.as_millis().to_string(),
            event.kind.as_str().to_owned(),
            self.actor_kind.to_owned(),
            self.actor_id.clone().unwrap_or_default(),
            optional(event.app_id.as_ref().map(|id| id as &dyn Display)),
            optional(event.user_id.as_ref().map(|id| id as &dyn Display)),
            optional(event.consent_id.as_ref().map(|id| id as &dyn Display)),
            optional(event.grant_id.as_ref().map(|id| id as &dyn Display)),
            self.address.clone().unwrap_or_default(),
            self.detail.clone(),
        ];
        let mut context = Context::new(&SHA256);
        context.update(previous);
        for part in &parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut hash = [0; 32];
        hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }
}

fn read(mut row: Row) -> Result<AuditRow, DbError> {
    let position = row.next()?;
    let event = AuditEvent {
        at: row.next()?,
        kind: row.next_as("kind of event", |name: String| AuditKind::from_name(&name))?,
        actor: read_actor(&mut row)?,
        app_id: row.next()?,
        user_id: row.next()?,
        consent_id: row.next()?,
        grant_id: row.next()?,
        address: row
            .next::<Option<String>>()?
            .map(|text| text.parse::<IpAddr>().map_err(|_| unreadable("address")))
            .transpose()?,
        detail: row.next_as("detail", |text: String| serde_json::from_str(&text).ok())?,
    };
    Ok(AuditRow { position, event, hash: row.next()? })
}

fn read_actor(row: &mut Row) -> Result<AuditActor, DbError> {
    let (kind, id) = (row.next::<String>()?, row.next::<Option<String>>()?);
    let damaged = || unreadable("actor of an event");
    match (kind.as_str(), id) {
        ("user", Some(id)) => Ok(AuditActor::User(id.parse().map_err(|_| damaged())?)),
        ("app", Some(id)) => Ok(AuditActor::App(id.parse().map_err(|_| damaged())?)),
        ("system", None) => Ok(AuditActor::System),
        _ => Err(damaged()),
    }
}
