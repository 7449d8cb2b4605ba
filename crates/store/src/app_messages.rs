//! Table `app_messages`: what developers and staff wrote to each other about an app.

use domain::app_message::AppMessage;
use domain::id::AppId;
use domain::time::Timestamp;

use crate::value::Row;
use crate::{DbError, Tx, bind};

pub async fn insert(tx: &mut Tx<'_>, message: &AppMessage) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO app_messages (id, app_id, author_id, by_staff, text, written_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        bind![
            message.id,
            message.app_id,
            message.author_id,
            message.by_staff,
            &message.text,
            message.written_at,
        ],
    )
    .await?;
    Ok(())
}

/// The newest `limit` with their authors' names, oldest first.
pub async fn list_of_app(
    tx: &mut Tx<'_>,
    app: AppId,
    limit: u32,
) -> Result<Vec<(AppMessage, String)>, DbError> {
    let rows = tx
        .query_all(
            "SELECT m.id, m.app_id, m.author_id, m.by_staff, m.text, m.written_at, u.name \
             FROM app_messages m JOIN users u ON u.id = m.author_id \
             WHERE m.app_id = $1 ORDER BY m.written_at DESC, m.id DESC LIMIT $2",
            bind![app, i64::from(limit)],
        )
        .await?;
    rows.into_iter().rev().map(read).collect()
}

/// At most `limit` older than `before` (when it was written, and its id), the newest first.
pub async fn list_page_of_app(
    tx: &mut Tx<'_>,
    app: AppId,
    before: (Timestamp, &str),
    limit: i64,
) -> Result<Vec<(AppMessage, String)>, DbError> {
    let rows = tx
        .query_all(
            "SELECT m.id, m.app_id, m.author_id, m.by_staff, m.text, m.written_at, u.name \
             FROM app_messages m JOIN users u ON u.id = m.author_id \
             WHERE m.app_id = $1 AND (m.written_at < $2 OR (m.written_at = $2 AND m.id < $3)) \
             ORDER BY m.written_at DESC, m.id DESC LIMIT $4",
            bind![app, before.0, before.1, limit],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// How many a developer wrote about `app` since then.
pub async fn count_of_developer(
    tx: &mut Tx<'_>,
    app: AppId,
    since: Timestamp,
) -> Result<u64, DbError> {
    let sql = "SELECT COUNT(*) FROM app_messages \
               WHERE app_id = $1 AND by_staff = $2 AND written_at >= $3";
    tx.query_one(sql, bind![app, false, since]).await?.take()
}

fn read(mut row: Row) -> Result<(AppMessage, String), DbError> {
    let message = AppMessage {
        id: row.take()?,
        app_id: row.take()?,
        author_id: row.take()?,
        by_staff: row.take()?,
        text: row.take()?,
        written_at: row.take()?,
    };
    Ok((message, row.take()?))
}
