//! The change feed: rows in commit order that say which row is no longer what a cache may hold.

use domain::change::Change;
use domain::id::{AppId, ConsentId, GrantId, PartnerKeyId, TokenId, UserId};

use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind};

/// Nodes read all of it within their lease of seconds; so many rows are more than they can miss.
const KEPT_MAX: i64 = 100_000;
/// Rows read at once.
pub(crate) const PAGE_MAX: i64 = 1000;

/// Any number, the same in every Consentry.
const POSTGRES_LOCK: &str = "SELECT CAST(1 AS BIGINT) \
     FROM (SELECT pg_advisory_xact_lock(7164780563131364354)) AS held";
const POSTGRES_NOTIFY: &str =
    "SELECT CAST(1 AS BIGINT) FROM (SELECT pg_notify('consentry_changes', '')) AS sent";

/// Tell every cache, here and on other nodes, that a row has changed. Takes effect when the
/// transaction commits; the write is answered once no node acts on what was before.
pub async fn record(tx: &mut Tx<'_>, change: Change) -> Result<(), DbError> {
    tx.note_change(change);
    Ok(())
}

/// Write the rows of one transaction; the position of the last.
///
/// A sequence is not commit-ordered: a reader could see a later row, move on, and miss the earlier
/// one that commits afterwards (attack K1). The appends are rare, so they take turns: the lock is
/// held until the commit, which makes the order of numbers the order of commits.
pub(crate) async fn append(tx: &mut Tx<'_>, changes: &[Change]) -> Result<i64, DbError> {
    if tx.is_postgres() {
        tx.query_one(POSTGRES_LOCK, bind![]).await?;
    }
    let mut position = 0;
    for change in changes {
        let (kind, id) = name(*change);
        let insert = "INSERT INTO changes (kind, row_id) VALUES ($1, $2) RETURNING position";
        position = tx.query_one(insert, bind![kind, id]).await?.take()?;
    }
    if tx.is_postgres() {
        tx.query_one(POSTGRES_NOTIFY, bind![]).await?;
    }
    Ok(position)
}

/// At most 1000 changes after `position`, in commit order.
pub async fn list_after(tx: &mut Tx<'_>, position: i64) -> Result<Vec<(i64, Change)>, DbError> {
    let select = "SELECT position, kind, row_id FROM changes WHERE position > $1 \
         ORDER BY position LIMIT $2";
    let rows = tx.query_all(select, bind![position, PAGE_MAX]).await?;
    rows.into_iter().map(read).collect()
}

/// The position of the newest change; 0 when there was none yet.
pub async fn find_last_position(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    let select = "SELECT CAST(COALESCE(MAX(position), 0) AS BIGINT) FROM changes";
    tx.query_one(select, bind![]).await?.take()
}

/// What the database's clock says. Only PostgreSQL has one of its own.
pub(crate) async fn server_clock_ms(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
    tx.query_one(sql, bind![]).await?.take()
}

/// Delete what every node has read long ago.
pub async fn sweep(tx: &mut Tx<'_>) -> Result<u64, DbError> {
    let last = find_last_position(tx).await?;
    tx.execute("DELETE FROM changes WHERE position <= $1", bind![last - KEPT_MAX]).await
}

fn name(change: Change) -> (&'static str, String) {
    match change {
        Change::App(id) => ("app", id.to_string()),
        Change::User(id) => ("user", id.to_string()),
        Change::Consent(id) => ("consent", id.to_string()),
        Change::Grant(id) => ("grant", id.to_string()),
        Change::Token(id) => ("token", id.to_string()),
        Change::PartnerKey(id) => ("partner_key", id.to_string()),
        Change::Keys => ("keys", String::new()),
    }
}

fn read(mut row: Row) -> Result<(i64, Change), DbError> {
    let (position, kind, id): (i64, String, String) = (row.take()?, row.take()?, row.take()?);
    let change = match kind.as_str() {
        "app" => id.parse::<AppId>().map(Change::App),
        "user" => id.parse::<UserId>().map(Change::User),
        "consent" => id.parse::<ConsentId>().map(Change::Consent),
        "grant" => id.parse::<GrantId>().map(Change::Grant),
        "token" => id.parse::<TokenId>().map(Change::Token),
        "partner_key" => id.parse::<PartnerKeyId>().map(Change::PartnerKey),
        "keys" => Ok(Change::Keys),
        _ => return Err(unreadable("change")),
    };
    change.map(|change| (position, change)).map_err(|_| unreadable("change"))
}
