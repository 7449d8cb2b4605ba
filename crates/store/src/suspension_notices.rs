//! Table `suspension_notices`: apps whose users are being told that they were suspended, and how
//! far that has got. Written with the suspension; a job goes on from there in small steps.

use domain::id::{AppId, UserId};
use domain::time::Timestamp;

use crate::{DbError, Tx, bind};

/// The users of `app` are to be told, from the first on.
pub async fn begin(tx: &mut Tx<'_>, app: AppId, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO suspension_notices (app_id, after_user, created_at) VALUES ($1, '', $2) \
         ON CONFLICT (app_id) DO UPDATE SET after_user = '', created_at = EXCLUDED.created_at",
        bind![app, now],
    )
    .await?;
    Ok(())
}

/// Everyone was told, or it is not so any more.
pub async fn end(tx: &mut Tx<'_>, app: AppId) -> Result<(), DbError> {
    tx.execute("DELETE FROM suspension_notices WHERE app_id = $1", bind![app]).await?;
    Ok(())
}

/// An app whose users are not all told yet, and behind whom to go on.
pub async fn find_next(tx: &mut Tx<'_>) -> Result<Option<(AppId, String)>, DbError> {
    let sql =
        "SELECT app_id, after_user FROM suspension_notices ORDER BY created_at, app_id LIMIT 1";
    let row = tx.query_opt(sql, &[]).await?;
    row.map(|mut row| Ok((row.take()?, row.take()?))).transpose()
}

/// Users who have let `app` in, at most `limit` behind `after`.
pub async fn list_users(
    tx: &mut Tx<'_>,
    app: AppId,
    after: &str,
    limit: i64,
) -> Result<Vec<UserId>, DbError> {
    let rows = tx
        .query_all(
            "SELECT user_id FROM consents WHERE app_id = $1 AND user_id > $2 \
             AND withdrawn_at IS NULL ORDER BY user_id LIMIT $3",
            bind![app, after, limit],
        )
        .await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

pub async fn save_progress(tx: &mut Tx<'_>, app: AppId, after: UserId) -> Result<(), DbError> {
    tx.execute(
        "UPDATE suspension_notices SET after_user = $2 WHERE app_id = $1",
        bind![app, after],
    )
    .await?;
    Ok(())
}
