//! Table `plan_requests`: plans and perks that developers asked for, and what staff decided.

use domain::id::{AppId, PlanRequestId};
use domain::plan::{Decided, PlanRequest, Wish};
use domain::time::Timestamp;

use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, app_id, asked_by, kind, name, reason, asked_at, decided_at, decided_by, \
             is_granted, note FROM plan_requests WHERE ",
            $rest
        )
    };
}

pub async fn insert(tx: &mut Tx<'_>, request: &PlanRequest) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO plan_requests (id, app_id, asked_by, kind, name, reason, asked_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        bind![
            request.id,
            request.app_id,
            request.asked_by,
            request.wish.kind(),
            request.wish.name(),
            &request.reason,
            request.asked_at,
        ],
    )
    .await?;
    Ok(())
}

/// What staff decided. `false`: somebody has decided already.
pub async fn save_decision(
    tx: &mut Tx<'_>,
    id: PlanRequestId,
    decided: &Decided,
) -> Result<bool, DbError> {
    let saved = tx
        .execute(
            "UPDATE plan_requests SET decided_at = $2, decided_by = $3, is_granted = $4, \
             note = $5 WHERE id = $1 AND decided_at IS NULL",
            bind![id, decided.at, decided.by, decided.is_granted, &decided.note],
        )
        .await?;
    Ok(saved == 1)
}

pub async fn find(tx: &mut Tx<'_>, id: PlanRequestId) -> Result<Option<PlanRequest>, DbError> {
    let row = tx.query_opt(select!("id = $1"), bind![id]).await?;
    row.map(read).transpose()
}

/// Newest first.
pub async fn list_of_app(
    tx: &mut Tx<'_>,
    app: AppId,
    limit: i64,
) -> Result<Vec<PlanRequest>, DbError> {
    let sql = select!("app_id = $1 ORDER BY asked_at DESC, id LIMIT $2");
    let rows = tx.query_all(sql, bind![app, limit]).await?;
    rows.into_iter().map(read).collect()
}

/// Perks that the app was given.
pub async fn list_perks(tx: &mut Tx<'_>, app: AppId) -> Result<Vec<PlanRequest>, DbError> {
    let sql = select!(
        "app_id = $1 AND kind = 'perk' AND is_granted = 1 ORDER BY decided_at DESC, id LIMIT 100"
    );
    let rows = tx.query_all(sql, bind![app]).await?;
    rows.into_iter().map(read).collect()
}

/// What waits for staff, at most `limit` behind `after` (when it was asked, and its id); whoever
/// waits longest first.
pub async fn list_waiting(
    tx: &mut Tx<'_>,
    after: (Timestamp, PlanRequestId),
    limit: i64,
) -> Result<Vec<PlanRequest>, DbError> {
    let sql = select!(
        "decided_at IS NULL AND (asked_at > $1 OR (asked_at = $1 AND id > $2)) \
         ORDER BY asked_at, id LIMIT $3"
    );
    let rows = tx.query_all(sql, bind![after.0, after.1, limit]).await?;
    rows.into_iter().map(read).collect()
}

/// Which requests a list has. What is empty does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    pub is_decided: Option<bool>,
    pub app: Option<AppId>,
}

/// At most `limit` behind `after` (when it was asked, and its id), the oldest first.
pub async fn list(
    tx: &mut Tx<'_>,
    filter: RequestFilter,
    after: (Timestamp, PlanRequestId),
    limit: i64,
) -> Result<Vec<PlanRequest>, DbError> {
    if filter == (RequestFilter { is_decided: Some(false), app: None }) {
        return list_waiting(tx, after, limit).await;
    }
    let sql = select!(
        "(asked_at > $1 OR (asked_at = $1 AND id > $2)) \
         AND (CAST($3 AS BIGINT) IS NULL OR (decided_at IS NOT NULL) = ($3 = 1)) \
         AND (CAST($4 AS TEXT) IS NULL OR app_id = $4) ORDER BY asked_at, id LIMIT $5"
    );
    let is_decided = filter.is_decided.map(i64::from);
    let rows = tx.query_all(sql, bind![after.0, after.1, is_decided, filter.app, limit]).await?;
    rows.into_iter().map(read).collect()
}

fn read(mut row: Row) -> Result<PlanRequest, DbError> {
    let (id, app_id, asked_by) = (row.take()?, row.take()?, row.take()?);
    let (kind, name): (String, String) = (row.take()?, row.take()?);
    let wish = Wish::of(&kind, name).ok_or_else(|| unreadable("wish of a developer"))?;
    let (reason, asked_at) = (row.take()?, row.take()?);
    let (at, by): (Option<Timestamp>, Option<_>) = (row.take()?, row.take()?);
    let (is_granted, note): (Option<bool>, Option<String>) = (row.take()?, row.take()?);
    let decided = at.zip(by).map(|(at, by)| Decided {
        at,
        by,
        is_granted: is_granted.unwrap_or_default(),
        note: note.unwrap_or_default(),
    });
    Ok(PlanRequest { id, app_id, asked_by, wish, reason, asked_at, decided })
}
