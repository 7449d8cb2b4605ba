//! Table `throttles`: counted attempts. The rule is `domain::throttle`.

use domain::throttle::ThrottleState;
use domain::time::Timestamp;

use crate::{DbError, Tx, bind};

pub async fn find(tx: &mut Tx<'_>, key: &str) -> Result<Option<ThrottleState>, DbError> {
    let row =
        tx.query_opt("SELECT attempts, last_at FROM throttles WHERE key = $1", bind![key]).await?;
    row.map(|mut row| Ok(ThrottleState { attempts: row.take()?, last_at: row.take()? })).transpose()
}

/// `expires_at`: from when on the row means nothing any more and is swept.
pub async fn save(
    tx: &mut Tx<'_>,
    key: &str,
    state: &ThrottleState,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO throttles (key, attempts, last_at, expires_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (key) DO UPDATE SET attempts = EXCLUDED.attempts, \
         last_at = EXCLUDED.last_at, expires_at = EXCLUDED.expires_at",
        bind![key, state.attempts, state.last_at, expires_at],
    )
    .await?;
    Ok(())
}

pub async fn clear(tx: &mut Tx<'_>, key: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM throttles WHERE key = $1", bind![key]).await?;
    Ok(())
}

/// Delete at most `limit` that mean nothing any more.
pub async fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM throttles WHERE key IN \
         (SELECT key FROM throttles WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        bind![now, limit],
    )
    .await
}
