//! Table `revoked_tokens`: access tokens that were given back before they expired (RFC 7009).

use domain::id::TokenId;
use domain::time::Timestamp;

use crate::{DbError, Tx, bind};

/// `false`: it was on the list already.
pub async fn insert(
    tx: &mut Tx<'_>,
    token: TokenId,
    expires_at: Timestamp,
) -> Result<bool, DbError> {
    let inserted = tx
        .execute(
            "INSERT INTO revoked_tokens (token_id, expires_at) VALUES ($1, $2) \
             ON CONFLICT DO NOTHING",
            bind![token, expires_at],
        )
        .await?;
    Ok(inserted == 1)
}

pub async fn contains(tx: &mut Tx<'_>, token: TokenId) -> Result<bool, DbError> {
    let row = tx
        .query_opt("SELECT token_id FROM revoked_tokens WHERE token_id = $1", bind![token])
        .await?;
    Ok(row.is_some())
}

/// Every token of the list that has not expired: a node reads them once at start.
pub async fn list(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<(TokenId, Timestamp)>, DbError> {
    let rows = tx
        .query_all(
            "SELECT token_id, expires_at FROM revoked_tokens WHERE expires_at > $1",
            bind![now],
        )
        .await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}

/// Delete at most `limit` that have expired anyway.
pub async fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM revoked_tokens WHERE token_id IN (SELECT token_id FROM revoked_tokens \
         WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        bind![now, limit],
    )
    .await
}
