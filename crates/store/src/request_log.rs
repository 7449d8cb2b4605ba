//! Table `request_log`: some of the requests of each app, for its developer.

use domain::grant::Mode;
use domain::id::AppId;
use domain::request_log::Entry;
use domain::time::Timestamp;

use crate::value::Row;
use crate::{DbError, Tx, bind};

/// Which requests of an app. What is empty does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub since: Timestamp,
    pub until: Timestamp,
    /// From, to and including.
    pub statuses: (u16, u16),
    pub reason: String,
    pub method: String,
    pub route: String,
}

impl Filter {
    pub fn all(since: Timestamp, until: Timestamp) -> Self {
        Self {
            since,
            until,
            statuses: (0, 999),
            reason: String::new(),
            method: String::new(),
            route: String::new(),
        }
    }
}

/// `ON CONFLICT`: a batch whose commit was in doubt is written again.
pub(crate) async fn insert(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO request_log (app_id, at, request_id, method, route, status, reason, detail, \
         latency_us, mode, user_mark) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT DO NOTHING",
        bind![
            entry.app_id,
            entry.at,
            &entry.request_id,
            &entry.method,
            &entry.route,
            i64::from(entry.status),
            &entry.reason,
            &entry.detail,
            i64::try_from(entry.latency.as_micros()).unwrap_or(i64::MAX),
            mode_name(entry.mode),
            &entry.user_mark,
        ],
    )
    .await?;
    Ok(())
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT app_id, at, request_id, method, route, status, reason, detail, latency_us, \
             mode, user_mark FROM request_log WHERE app_id = $1 AND ",
            $rest
        )
    };
}

/// Newest first, at most `limit` that come behind `after` (time and request id).
pub async fn list(
    tx: &mut Tx<'_>,
    app: AppId,
    filter: &Filter,
    after: (Timestamp, &str),
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    let rows = tx
        .query_all(
            select!(
                "at >= $2 AND at <= $3 AND (at < $3 OR request_id < $4) AND at <= $5 \
                 AND status >= $6 AND status <= $7 AND ($8 = '' OR reason = $8) \
                 AND ($9 = '' OR method = $9) AND ($10 = '' OR route = $10) \
                 ORDER BY at DESC, request_id DESC LIMIT $11"
            ),
            bind![
                app,
                filter.since,
                after.0,
                after.1,
                filter.until,
                i64::from(filter.statuses.0),
                i64::from(filter.statuses.1),
                &filter.reason,
                &filter.method,
                &filter.route,
                limit,
            ],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// By the id that the answer had.
pub async fn find(tx: &mut Tx<'_>, app: AppId, request_id: &str) -> Result<Vec<Entry>, DbError> {
    let sql = select!("request_id = $2 ORDER BY at DESC LIMIT 20");
    let rows = tx.query_all(sql, bind![app, request_id]).await?;
    rows.into_iter().map(read).collect()
}

/// How many are remembered since then.
pub async fn count(tx: &mut Tx<'_>, app: AppId, since: Timestamp) -> Result<u64, DbError> {
    let sql = "SELECT COUNT(*) FROM request_log WHERE app_id = $1 AND at >= $2";
    tx.query_one(sql, bind![app, since]).await?.take()
}

/// Delete at most `limit` rows that are older.
pub async fn sweep(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM request_log WHERE (app_id, at, request_id) IN \
         (SELECT app_id, at, request_id FROM request_log WHERE at < $1 LIMIT $2)",
        bind![before, limit],
    )
    .await
}

const fn mode_name(mode: Option<Mode>) -> &'static str {
    match mode {
        Some(Mode::Live) => "live",
        Some(Mode::Test) => "test",
        None => "",
    }
}

fn read(mut row: Row) -> Result<Entry, DbError> {
    Ok(Entry {
        app_id: row.take()?,
        at: row.take()?,
        request_id: row.take()?,
        method: row.take()?,
        route: row.take()?,
        status: row.take_as("status", |status: i64| u16::try_from(status).ok())?,
        reason: row.take()?,
        detail: row.take()?,
        latency: std::time::Duration::from_micros(row.take()?),
        mode: row.take_as("mode", |mode: String| match mode.as_str() {
            "live" => Some(Some(Mode::Live)),
            "test" => Some(Some(Mode::Test)),
            "" => Some(None),
            _ => None,
        })?,
        user_mark: row.take()?,
    })
}
