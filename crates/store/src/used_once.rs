//! Table `used_once`: the one home of everything that may be used once.

use domain::time::Timestamp;

use crate::{DbError, Tx, bind};

/// Use up `hash` of `kind`. `false`: it was used before.
pub async fn take(
    tx: &mut Tx<'_>,
    kind: &str,
    hash: &[u8],
    expires_at: Timestamp,
) -> Result<bool, DbError> {
    let inserted = tx
        .execute(
            "INSERT INTO used_once (kind, hash, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
            bind![kind, hash, expires_at],
        )
        .await?;
    Ok(inserted == 1)
}

/// Delete at most `limit` whose originals can no longer be presented.
pub async fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM used_once WHERE (kind, hash) IN \
         (SELECT kind, hash FROM used_once WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        bind![now, limit],
    )
    .await
}
