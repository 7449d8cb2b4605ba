//! The change feed: rows in commit order that say which row is no longer what a cache may hold.

use domain::change::Change;
use domain::id::{AppId, ConsentId, GrantId, PartnerKeyId, TokenId, UserId};

use crate::value::{Row, Value, unreadable};
use crate::{DbError, Tx, bind};

/// Nodes read all of it within their lease of seconds; so many rows are more than they can miss.
const KEPT_MAX: i64 = 100_000;
/// Rows read at once.
pub(crate) const PAGE_MAX: i64 = 1000;

/// Takes the lock, which is any number, the same in every Consentry; tells the other nodes when it
/// commits; appends. In one statement, whose position is drawn once the lock is there.
const POSTGRES_FIRST: &str = "WITH held AS MATERIALIZED \
     (SELECT CAST(pg_advisory_xact_lock(7164780563131364354) AS TEXT)), \
     told AS MATERIALIZED (SELECT CAST(pg_notify('consentry_changes', '') AS TEXT)) \
     INSERT INTO changes (kind, row_id) SELECT CAST($1 AS TEXT), CAST($2 AS TEXT) \
     FROM held, told RETURNING position";
const INSERT: &str = "INSERT INTO changes (kind, row_id) VALUES ($1, $2) RETURNING position";

/// Tell every cache, here and on other nodes, that a row has changed. Takes effect when the
/// transaction commits; the write is answered once no node acts on what was before.
pub async fn record(tx: &mut Tx<'_>, change: Change) -> Result<(), DbError> {
    tx.note_change(change);
    Ok(())
}

/// Write the rows of one transaction, on SQLite.
pub(crate) async fn append(tx: &mut Tx<'_>, changes: &[Change]) -> Result<(), DbError> {
    for change in changes {
        let (kind, id) = name(*change);
        tx.query_one(INSERT, bind![kind, id]).await?;
    }
    Ok(())
}

/// How one change of a transaction is appended on PostgreSQL.
///
/// A sequence is not commit-ordered: a reader could see a later row, move on, and miss the earlier
/// one that commits afterwards (attack K1). The appends are rare, so they take turns: the lock is
/// held until the commit, which makes the order of numbers the order of commits.
pub(crate) fn postgres_append(
    change: Change,
    is_first: bool,
) -> (&'static str, [Value<'static>; 2]) {
    let (kind, id) = name(change);
    (if is_first { POSTGRES_FIRST } else { INSERT }, [kind.into(), id.into()])
}

/// Of the row that an append returns.
pub(crate) fn position_of(mut row: Row) -> Result<i64, DbError> {
    row.take()
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
