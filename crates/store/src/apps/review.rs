//! The columns of `apps` that staff care for: conditions, what is due again, whom nobody uses, who
//! takes care of it. What the small jobs look for is found by indexes.

use domain::app::App;
use domain::condition::{BrandVerified, Conditions, ReviewState};
use domain::id::{AppId, UserId};
use domain::time::Timestamp;

use super::columns::{json, of_json};
use crate::value::Row;
use crate::{DbError, Tx, bind};

pub(super) async fn save(tx: &mut Tx<'_>, app: &App) -> Result<(), DbError> {
    let ReviewState { conditions, due_again_at, reminded_at, brand, assigned_to } = &app.review;
    let conditions = (!conditions.is_empty()).then(|| json(conditions)).transpose()?;
    tx.execute(
        "UPDATE apps SET conditions = $2, condition_ends_at = $3, due_again_at = $4, \
         reminded_at = $5, brand_verified_at = $6, brand_verified_by = $7, assigned_to = $8 \
         WHERE id = $1",
        bind![
            app.id,
            conditions,
            app.condition_ends_at(),
            *due_again_at,
            *reminded_at,
            brand.map(|brand| brand.at),
            brand.map(|brand| brand.by),
            *assigned_to,
        ],
    )
    .await?;
    Ok(())
}

pub(super) fn read(row: &mut Row) -> Result<ReviewState, DbError> {
    let conditions: Option<String> = row.take()?;
    let conditions = conditions.map(|text| of_json::<Conditions>(&text)).transpose()?;
    Ok(ReviewState {
        conditions: conditions.unwrap_or_default(),
        due_again_at: row.take()?,
        reminded_at: row.take()?,
        brand: match (row.take()?, row.take()?) {
            (Some(at), Some(by)) => Some(BrandVerified { at, by }),
            _ => None,
        },
        assigned_to: row.take()?,
    })
}

/// Who takes care of it. Not part of what is decided: a decision made meanwhile stays good.
pub async fn assign(tx: &mut Tx<'_>, id: AppId, to: Option<UserId>) -> Result<(), DbError> {
    tx.execute("UPDATE apps SET assigned_to = $2 WHERE id = $1", bind![id, to]).await?;
    Ok(())
}

/// Apps of which an approval of a scope has ended, at most `limit`.
pub async fn list_with_ended_approval(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<AppId>, DbError> {
    let sql = "SELECT id FROM apps WHERE condition_ends_at <= $1 \
               ORDER BY condition_ends_at, id LIMIT $2";
    ids(tx.query_all(sql, bind![now, limit]).await?)
}

/// Live apps that staff looked at last before `reviewed_before` and that do not wait for anybody,
/// at most `limit`.
pub async fn list_to_look_at_again(
    tx: &mut Tx<'_>,
    reviewed_before: Timestamp,
    limit: i64,
) -> Result<Vec<AppId>, DbError> {
    let sql = "SELECT id FROM apps WHERE status = 'live' AND reviewed_at <= $1 \
               AND awaits IS NULL ORDER BY reviewed_at, id LIMIT $2";
    ids(tx.query_all(sql, bind![reviewed_before, limit]).await?)
}

/// Live apps in the order of their ids, behind `after`, at most `limit`.
pub async fn list_live_ids(
    tx: &mut Tx<'_>,
    after: AppId,
    limit: i64,
) -> Result<Vec<AppId>, DbError> {
    let sql = "SELECT id FROM apps WHERE status = 'live' AND id > $1 ORDER BY id LIMIT $2";
    ids(tx.query_all(sql, bind![after, limit]).await?)
}

fn ids(rows: Vec<Row>) -> Result<Vec<AppId>, DbError> {
    rows.into_iter().map(|mut row| row.take()).collect()
}
