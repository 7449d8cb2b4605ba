//! Table `app_counts`: what each app did, per hour and per day, added to in coarse batches.

use std::collections::HashMap;

use domain::active_users::ActiveUsers;
use domain::calendar::{day_of, month_of};
use domain::id::AppId;
use domain::request_log::Counts;
use domain::time::Timestamp;

use crate::sets::{loads, of_many};
use crate::value::Row;
use crate::{DbError, Tx, bind};

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    Hour,
    Day,
}

impl Span {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// What an app did in one hour or on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub from: Timestamp,
    pub counts: Counts,
    /// About so many.
    pub users: u64,
}

/// Add what happened in an hour to it and to its day. `users`: `None` where none are new. Returns
/// how many calls reached an API on that day.
pub async fn add(
    tx: &mut Tx<'_>,
    app: AppId,
    hour: Timestamp,
    counts: Counts,
    users: Option<&ActiveUsers>,
) -> Result<u64, DbError> {
    add_to(tx, (app, Span::Hour, hour), counts, users).await?;
    add_to(tx, (app, Span::Day, day_of(hour)), counts, users).await
}

async fn add_to(
    tx: &mut Tx<'_>,
    (app, span, from): (AppId, Span, Timestamp),
    counts: Counts,
    users: Option<&ActiveUsers>,
) -> Result<u64, DbError> {
    let passed = tx
        .query_one(
            "INSERT INTO app_counts (app_id, span, bucket, calls, passed, errors, tokens, \
             token_errors) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (app_id, span, bucket) DO UPDATE SET \
             calls = app_counts.calls + EXCLUDED.calls, \
             passed = app_counts.passed + EXCLUDED.passed, \
             errors = app_counts.errors + EXCLUDED.errors, \
             tokens = app_counts.tokens + EXCLUDED.tokens, \
             token_errors = app_counts.token_errors + EXCLUDED.token_errors RETURNING passed",
            bind![
                app,
                span.as_str(),
                from,
                int(counts.calls),
                int(counts.passed),
                int(counts.errors),
                int(counts.tokens),
                int(counts.token_errors),
            ],
        )
        .await?
        .take()?;
    if let Some(users) = users {
        let key = bind![app, span.as_str(), from];
        let sql = "SELECT users FROM app_counts WHERE app_id = $1 AND span = $2 AND bucket = $3";
        let mut merged = users.clone();
        if let Some(stored) = sketch(&mut tx.query_one(sql, key).await?)? {
            merged.merge(&stored);
        }
        let sql = "UPDATE app_counts SET users = $4 \
                   WHERE app_id = $1 AND span = $2 AND bucket = $3";
        tx.execute(sql, bind![app, span.as_str(), from, merged.as_bytes()]).await?;
    }
    Ok(passed)
}

/// Oldest first. Hours and days on which nothing happened have no row.
pub async fn list(
    tx: &mut Tx<'_>,
    app: AppId,
    span: Span,
    since: Timestamp,
) -> Result<Vec<Bucket>, DbError> {
    let rows = tx
        .query_all(
            "SELECT bucket, calls, passed, errors, tokens, token_errors, users FROM app_counts \
             WHERE app_id = $1 AND span = $2 AND bucket >= $3 ORDER BY bucket",
            bind![app, span.as_str(), since],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// What each of `apps` did since the beginning of an hour. Those that did nothing are left out.
pub async fn sums(
    tx: &mut Tx<'_>,
    apps: &[AppId],
    since: Timestamp,
) -> Result<HashMap<AppId, Counts>, DbError> {
    let sql = of_many!(
        "SELECT app_id, CAST(SUM(calls) AS BIGINT), CAST(SUM(passed) AS BIGINT), \
         CAST(SUM(errors) AS BIGINT), CAST(SUM(tokens) AS BIGINT), \
         CAST(SUM(token_errors) AS BIGINT) FROM app_counts WHERE app_id",
        "AND span = 'hour' AND bucket >= $51 GROUP BY app_id"
    );
    let mut sums = HashMap::new();
    for mut load in loads(apps) {
        load.push(since.into());
        for mut row in tx.query_all(sql, &load).await? {
            sums.insert(row.take()?, read_counts(&mut row)?);
        }
    }
    Ok(sums)
}

/// What happened since the beginning of an hour.
pub async fn sum(tx: &mut Tx<'_>, app: AppId, since: Timestamp) -> Result<Counts, DbError> {
    let mut row = tx
        .query_one(
            "SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT), \
             CAST(COALESCE(SUM(passed), 0) AS BIGINT), \
             CAST(COALESCE(SUM(errors), 0) AS BIGINT), \
             CAST(COALESCE(SUM(tokens), 0) AS BIGINT), \
             CAST(COALESCE(SUM(token_errors), 0) AS BIGINT) FROM app_counts \
             WHERE app_id = $1 AND span = 'hour' AND bucket >= $2",
            bind![app, since],
        )
        .await?;
    read_counts(&mut row)
}

/// Calls that reached an API this month before today, and today.
pub async fn passed(tx: &mut Tx<'_>, app: AppId, now: Timestamp) -> Result<(u64, u64), DbError> {
    let mut row = tx
        .query_one(
            "SELECT \
             CAST(COALESCE(SUM(CASE WHEN bucket < $3 THEN passed ELSE 0 END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(CASE WHEN bucket >= $3 THEN passed ELSE 0 END), 0) AS BIGINT) \
             FROM app_counts WHERE app_id = $1 AND span = 'day' AND bucket >= $2",
            bind![app, month_of(now), day_of(now)],
        )
        .await?;
    Ok((row.take()?, row.take()?))
}

/// Delete at most `limit` rows of hours, and as many of days, that began before these times.
pub async fn sweep(
    tx: &mut Tx<'_>,
    (hours, days): (Timestamp, Timestamp),
    limit: i64,
) -> Result<u64, DbError> {
    let mut swept = 0;
    for (span, before) in [(Span::Hour, hours), (Span::Day, days)] {
        let sql = "DELETE FROM app_counts WHERE (app_id, span, bucket) IN \
                   (SELECT app_id, span, bucket FROM app_counts \
                   WHERE span = $1 AND bucket < $2 LIMIT $3)";
        swept = tx.execute(sql, bind![span.as_str(), before, limit]).await?.max(swept);
    }
    Ok(swept)
}

fn read(mut row: Row) -> Result<Bucket, DbError> {
    Ok(Bucket {
        from: row.take()?,
        counts: read_counts(&mut row)?,
        users: sketch(&mut row)?.unwrap_or_default().count(),
    })
}

fn read_counts(row: &mut Row) -> Result<Counts, DbError> {
    Ok(Counts {
        calls: row.take()?,
        passed: row.take()?,
        errors: row.take()?,
        tokens: row.take()?,
        token_errors: row.take()?,
    })
}

/// None are counted yet, or these are they.
fn sketch(row: &mut Row) -> Result<Option<ActiveUsers>, DbError> {
    row.take_as("count of users", |bytes: Option<Vec<u8>>| match bytes {
        None => Some(None),
        Some(bytes) => ActiveUsers::from_bytes(&bytes).map(Some),
    })
}

fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
