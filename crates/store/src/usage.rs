//! Table `usage_of_grants`: what apps did, per grant and endpoint family, in coarse batches.

use std::net::IpAddr;

use domain::id::{AppId, GrantId, UserId};
use domain::time::Timestamp;

use crate::value::Row;
use crate::{DbError, Tx, bind};

/// Calls of one grant to one family since the last batch, or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub grant_id: GrantId,
    pub family: String,
    pub app_id: AppId,
    pub user_id: Option<UserId>,
    pub calls: i64,
    /// Calls among them that were refused (4xx of ours).
    pub refused: i64,
    pub last_at: Timestamp,
    pub last_address: IpAddr,
}

/// Add a batch to what is stored.
pub async fn add(tx: &mut Tx<'_>, batch: &[Usage]) -> Result<(), DbError> {
    for usage in batch {
        tx.execute(
            "INSERT INTO usage_of_grants (grant_id, family, app_id, user_id, calls, refused, \
             last_at, last_address) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (grant_id, family) DO UPDATE SET \
             calls = usage_of_grants.calls + EXCLUDED.calls, \
             refused = usage_of_grants.refused + EXCLUDED.refused, \
             last_at = EXCLUDED.last_at, last_address = EXCLUDED.last_address",
            bind![
                usage.grant_id,
                &usage.family,
                usage.app_id,
                usage.user_id,
                usage.calls,
                usage.refused,
                usage.last_at,
                usage.last_address.to_string(),
            ],
        )
        .await?;
    }
    Ok(())
}

/// What `app` did for `user`, last used first.
pub async fn list_of(
    tx: &mut Tx<'_>,
    user: UserId,
    app: AppId,
) -> Result<Vec<Usage>, DbError> {
    let rows = tx
        .query_all(
            "SELECT grant_id, family, app_id, user_id, calls, refused, last_at, last_address \
             FROM usage_of_grants WHERE user_id = $1 AND app_id = $2 \
             ORDER BY last_at DESC, grant_id, family",
            bind![user, app],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// When `app` last called anything for anyone.
pub async fn last_call_of_app(
    tx: &mut Tx<'_>,
    app: AppId,
) -> Result<Option<Timestamp>, DbError> {
    let sql = "SELECT MAX(last_at) FROM usage_of_grants WHERE app_id = $1";
    tx.query_one(sql, bind![app]).await?.next()
}

/// Delete at most `limit` rows that were not added to since `before`.
pub async fn sweep(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM usage_of_grants WHERE (grant_id, family) IN \
         (SELECT grant_id, family FROM usage_of_grants WHERE last_at <= $1 LIMIT $2)",
        bind![before, limit],
    )
    .await
}

fn read(mut row: Row) -> Result<Usage, DbError> {
    Ok(Usage {
        grant_id: row.next()?,
        family: row.next()?,
        app_id: row.next()?,
        user_id: row.next()?,
        calls: row.next()?,
        refused: row.next()?,
        last_at: row.next()?,
        last_address: row.next_as("address", |text: String| text.parse().ok())?,
    })
}
