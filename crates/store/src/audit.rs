//! Table `audit`: append-only. Rows are written in the transaction of what they describe, and
//! sealed in blocks about a second later: the hash of a block covers its rows and the hash of the
//! block before, so that a row that was changed, added or taken away shows.
//!
//! Chaining row by row inside each transaction would make all writers wait for one another, or on
//! PostgreSQL fail and run again, for the sake of that second.

use std::collections::HashMap;
use std::net::IpAddr;

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::audit_chain::block_hash;
pub use domain::audit_chain::{AuditRow, Seal, TrailError};
use domain::id::{AppId, ConsentId, UserId};

pub mod checkpoints;
pub mod search;

use crate::sets::{loads, of_many};
use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind};

macro_rules! select {
    ($rest:expr) => {
        concat!(
            "SELECT position, at, kind, actor_kind, actor_id, app_id, user_id, consent_id, \
             grant_id, address, detail, seal FROM audit ",
            $rest
        )
    };
}

/// Rows in one block at most.
const BLOCK_MAX: i64 = 1000;

/// Append. Part of the transaction of what it describes.
pub async fn record(tx: &mut Tx<'_>, event: &AuditEvent) -> Result<(), DbError> {
    let (actor_kind, actor_id) = event.actor.texts();
    tx.execute(
        "INSERT INTO audit (at, kind, actor_kind, actor_id, app_id, user_id, consent_id, \
         grant_id, address, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        bind![
            event.at,
            event.kind.as_str(),
            actor_kind,
            actor_id,
            event.app_id,
            event.user_id,
            event.consent_id,
            event.grant_id,
            event.address.map(|address| address.to_string()),
            event.detail.to_string(),
        ],
    )
    .await?;
    Ok(())
}

/// What concerns `consent`, newest first, at most `limit`.
pub async fn list_of_consent(
    tx: &mut Tx<'_>,
    consent: ConsentId,
    limit: u32,
) -> Result<Vec<AuditEvent>, DbError> {
    let sql = select!("WHERE consent_id = $1 ORDER BY position DESC LIMIT $2");
    events(tx.query_all(sql, bind![consent, i64::from(limit)]).await?)
}

/// What concerns `app`, newest first, at most `limit`.
pub async fn list_of_app(
    tx: &mut Tx<'_>,
    app: AppId,
    limit: u32,
) -> Result<Vec<AuditEvent>, DbError> {
    let sql = select!("WHERE app_id = $1 ORDER BY position DESC LIMIT $2");
    events(tx.query_all(sql, bind![app, i64::from(limit)]).await?)
}

/// What users reported about `app`, newest first, at most `limit`.
pub async fn list_reports_about(
    tx: &mut Tx<'_>,
    app: AppId,
    limit: u32,
) -> Result<Vec<AuditEvent>, DbError> {
    // The second condition is the index's: SQLite wants to read it word for word.
    let sql = select!(
        "WHERE app_id = $1 AND kind = 'app.reported' AND kind <> 'grant.created' \
         ORDER BY position DESC LIMIT $2"
    );
    events(tx.query_all(sql, bind![app, i64::from(limit)]).await?)
}

/// How many reports there are about each of `apps`. Those without any are left out.
pub async fn count_reports_about(
    tx: &mut Tx<'_>,
    apps: &[AppId],
) -> Result<HashMap<AppId, u64>, DbError> {
    let sql = of_many!(
        "SELECT app_id, COUNT(*) FROM audit WHERE kind = 'app.reported' \
         AND kind <> 'grant.created' AND app_id",
        "GROUP BY app_id"
    );
    let mut counts = HashMap::new();
    for load in loads(apps) {
        for mut row in tx.query_all(sql, &load).await? {
            counts.insert(row.take()?, row.take()?);
        }
    }
    Ok(counts)
}

/// Which of `apps` somebody else had before.
pub async fn list_transferred(tx: &mut Tx<'_>, apps: &[AppId]) -> Result<Vec<AppId>, DbError> {
    let sql = of_many!(
        "SELECT app_id FROM audit WHERE kind = 'app.transferred' AND kind <> 'grant.created' \
         AND app_id",
        "GROUP BY app_id"
    );
    let mut found = Vec::new();
    for load in loads(apps) {
        for mut row in tx.query_all(sql, &load).await? {
            found.push(row.take()?);
        }
    }
    Ok(found)
}

/// What is of one of `kinds` (at most 50, not `grant.created`) and concerns `app`, newest first, at
/// most `limit`.
pub async fn list_of_app_and_kinds(
    tx: &mut Tx<'_>,
    app: AppId,
    kinds: &[AuditKind],
    limit: u32,
) -> Result<Vec<AuditRow>, DbError> {
    let sql = select!(of_many!(
        "WHERE app_id = $51 AND kind <> 'grant.created' AND kind",
        "ORDER BY position DESC LIMIT $52"
    ));
    let names: Vec<&'static str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let Some(mut values) = loads(&names).into_iter().next() else { return Ok(Vec::new()) };
    values.extend([app.into(), i64::from(limit).into()]);
    tx.query_all(sql, &values).await?.into_iter().map(read).collect()
}

/// What concerns `user`, newest first, at most `limit`.
pub async fn list_of_user(
    tx: &mut Tx<'_>,
    user: UserId,
    limit: u32,
) -> Result<Vec<AuditEvent>, DbError> {
    let sql = select!("WHERE user_id = $1 ORDER BY position DESC LIMIT $2");
    events(tx.query_all(sql, bind![user, i64::from(limit)]).await?)
}

/// What is of one kind, newest first, at most `limit`.
pub async fn list_of_kind(
    tx: &mut Tx<'_>,
    kind: AuditKind,
    limit: u32,
) -> Result<Vec<AuditEvent>, DbError> {
    // With `kind = $1` PostgreSQL would go through all events for a kind that is rare.
    let sql = select!("WHERE kind >= $1 AND kind <= $1 ORDER BY kind DESC, position DESC LIMIT $2");
    events(tx.query_all(sql, bind![kind.as_str(), i64::from(limit)]).await?)
}

/// In order, after `position`, at most `limit`: how the whole trail is exported.
pub async fn list(tx: &mut Tx<'_>, after: i64, limit: u32) -> Result<Vec<AuditRow>, DbError> {
    let sql = select!("WHERE position > $1 ORDER BY position LIMIT $2");
    let rows = tx.query_all(sql, bind![after, i64::from(limit)]).await?;
    rows.into_iter().map(read).collect()
}

/// In the order in which blocks are made of them, behind `after` (a block and a position in it), at
/// most `limit`: how the trail leaves the system so that a copy can be checked.
pub async fn list_sealed(
    tx: &mut Tx<'_>,
    after: (i64, i64),
    limit: u32,
) -> Result<Vec<AuditRow>, DbError> {
    let sql = select!(
        "WHERE seal >= $1 AND (seal > $1 OR position > $2) ORDER BY seal, position LIMIT $3"
    );
    let rows = tx.query_all(sql, bind![after.0, after.1, i64::from(limit)]).await?;
    rows.into_iter().map(read).collect()
}

pub async fn find(tx: &mut Tx<'_>, position: i64) -> Result<Option<AuditRow>, DbError> {
    let row = tx.query_opt(select!("WHERE position = $1"), bind![position]).await?;
    row.map(read).transpose()
}

/// Seal the rows that are not sealed yet. `false`: there was nothing to do. Meant for
/// [`crate::Db::write_unchecked`]: it reads where everybody writes.
pub async fn seal(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    let sql = "SELECT position FROM audit WHERE seal IS NULL LIMIT 1";
    if tx.query_opt(sql, bind![]).await?.is_none() {
        return Ok(false);
    }
    let sql = "SELECT number, row_count, hash FROM audit_seals ORDER BY number DESC LIMIT 1";
    let previous = tx.query_opt(sql, bind![]).await?.map(read_seal).transpose()?;
    let number = previous.as_ref().map_or(1, |seal| seal.number.saturating_add(1));
    let previous = previous.map_or([0; 32], |seal| seal.hash);
    // Taken first: whoever else would make this block waits, and then has nothing to do.
    let take = "INSERT INTO audit_seals (number, row_count, hash) VALUES ($1, 0, $2) \
                ON CONFLICT DO NOTHING";
    if tx.execute(take, bind![number, &previous]).await? == 0 {
        return Ok(false);
    }
    // Rows may be committed at any moment: the block is made of what was marked, nothing else.
    let mark = "UPDATE audit SET seal = $1 WHERE position IN \
                (SELECT position FROM audit WHERE seal IS NULL ORDER BY position LIMIT $2)";
    tx.execute(mark, bind![number, BLOCK_MAX]).await?;
    let sql = select!("WHERE seal = $1 ORDER BY position");
    let rows = tx.query_all(sql, bind![number]).await?;
    let rows: Vec<AuditRow> = rows.into_iter().map(read).collect::<Result<_, _>>()?;
    let count = i64::try_from(rows.len()).map_err(DbError::bug)?;
    let hash = block_hash(&previous, &rows);
    let fill = "UPDATE audit_seals SET row_count = $2, hash = $3 WHERE number = $1";
    tx.execute(fill, bind![number, count, &hash]).await?;
    Ok(true)
}

/// Recompute every block from the first on. The newest seal: whoever keeps it elsewhere can tell
/// later that nothing up to it was rewritten.
pub async fn verify(tx: &mut Tx<'_>) -> Result<Result<Option<Seal>, TrailError>, DbError> {
    let mut newest: Option<Seal> = None;
    loop {
        let number = newest.as_ref().map_or(1, |seal| seal.number.saturating_add(1));
        let sql = select!("WHERE seal = $1 ORDER BY position");
        let rows = tx.query_all(sql, bind![number]).await?;
        let rows: Vec<AuditRow> = rows.into_iter().map(read).collect::<Result<_, _>>()?;
        let sql = "SELECT number, row_count, hash FROM audit_seals WHERE number = $1";
        let Some(seal) = tx.query_opt(sql, bind![number]).await? else {
            let later = "SELECT COUNT(*) FROM audit_seals WHERE number > $1";
            let later: u64 = tx.query_one(later, bind![number]).await?.take()?;
            return match rows.is_empty() && later == 0 {
                true => Ok(Ok(newest)),
                false => Ok(Err(TrailError::MissingBlock(number))),
            };
        };
        let seal = read_seal(seal)?;
        let expected = block_hash(newest.as_ref().map_or(&[0; 32], |seal| &seal.hash), &rows);
        if seal.hash != expected || seal.row_count != rows.len() as u64 {
            return Ok(Err(TrailError::ChangedBlock(number)));
        }
        newest = Some(seal);
    }
}

fn events(rows: Vec<Row>) -> Result<Vec<AuditEvent>, DbError> {
    rows.into_iter().map(|row| Ok(read(row)?.event)).collect()
}

fn read(mut row: Row) -> Result<AuditRow, DbError> {
    let position = row.take()?;
    let event = AuditEvent {
        at: row.take()?,
        kind: row.take_as("kind of event", |name: String| AuditKind::from_name(&name))?,
        actor: {
            let (kind, id) = (row.take::<String>()?, row.take()?);
            AuditActor::from_texts(&kind, id).ok_or_else(|| unreadable("actor of an event"))?
        },
        app_id: row.take()?,
        user_id: row.take()?,
        consent_id: row.take()?,
        grant_id: row.take()?,
        address: row.take_as("address", |text: Option<String>| match text {
            None => Some(None),
            Some(text) => text.parse::<IpAddr>().ok().map(Some),
        })?,
        detail: row.take_as("detail", |text: String| serde_json::from_str(&text).ok())?,
    };
    Ok(AuditRow { position, event, seal: row.take()? })
}

fn read_seal(mut row: Row) -> Result<Seal, DbError> {
    Ok(Seal { number: row.take()?, row_count: row.take()?, hash: row.take()? })
}
