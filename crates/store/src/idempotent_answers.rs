//! Table `idempotent_answers`: what a request with an idempotency key was answered. Whoever inserts
//! the row carries the request out; everybody else waits for the answer or gets it again.

use domain::time::Timestamp;

use crate::{DbError, Tx, bind};

/// A request that came before under the same key of the same actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub request_hash: [u8; 32],
    /// Sealed; `None`: it runs, or broke off.
    pub answer: Option<String>,
    pub begun_at: Timestamp,
}

/// `false`: the key is in use. One whose time is over is free again.
pub async fn claim(
    tx: &mut Tx<'_>,
    (actor, key): (&str, &str),
    request_hash: &[u8; 32],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, DbError> {
    let claimed = tx
        .execute(
            "INSERT INTO idempotent_answers (actor, key, request_hash, answer, begun_at, \
             expires_at) VALUES ($1, $2, $3, NULL, $4, $5) ON CONFLICT (actor, key) DO UPDATE SET \
             request_hash = EXCLUDED.request_hash, answer = NULL, begun_at = EXCLUDED.begun_at, \
             expires_at = EXCLUDED.expires_at WHERE idempotent_answers.expires_at <= $4",
            bind![actor, key, request_hash, now, expires_at],
        )
        .await?;
    Ok(claimed == 1)
}

pub async fn find(tx: &mut Tx<'_>, (actor, key): (&str, &str)) -> Result<Option<Earlier>, DbError> {
    let row = tx
        .query_opt(
            "SELECT request_hash, answer, begun_at FROM idempotent_answers \
             WHERE actor = $1 AND key = $2",
            bind![actor, key],
        )
        .await?;
    let read = |mut row: crate::Row| {
        Ok(Earlier { request_hash: row.take()?, answer: row.take()?, begun_at: row.take()? })
    };
    row.map(read).transpose()
}

pub async fn save_answer(
    tx: &mut Tx<'_>,
    (actor, key): (&str, &str),
    answer: &str,
) -> Result<(), DbError> {
    let sql = "UPDATE idempotent_answers SET answer = $3 WHERE actor = $1 AND key = $2";
    tx.execute(sql, bind![actor, key, answer]).await?;
    Ok(())
}

/// Nothing was done: the key is free again.
pub async fn release(tx: &mut Tx<'_>, (actor, key): (&str, &str)) -> Result<(), DbError> {
    let sql = "DELETE FROM idempotent_answers WHERE actor = $1 AND key = $2";
    tx.execute(sql, bind![actor, key]).await?;
    Ok(())
}

/// Delete at most `limit` whose time is over.
pub async fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM idempotent_answers WHERE (actor, key) IN (SELECT actor, key \
         FROM idempotent_answers WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        bind![now, limit],
    )
    .await
}
