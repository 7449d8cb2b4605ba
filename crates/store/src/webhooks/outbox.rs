//! Deliveries: what waits, what arrived, what was given up, and each attempt.

use std::time::Duration;

use domain::id::{AppId, EndpointId};
use domain::time::Timestamp;
use domain::webhook::{
    Attempt, DEAD_KEPT, DELIVERED_KEPT, Delivery, DeliveryState, Endpoint, EndpointOwner,
    EventKind, WAITING_MAX,
};

use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, endpoint_id, event, body, state, tries, next_attempt_at, ended_at, \
             created_at FROM webhook_deliveries ",
            $rest
        )
    };
}

/// A delivery that is due, and the endpoint as it is now.
#[derive(Clone, Debug)]
pub struct Sendable {
    pub delivery: Delivery,
    pub endpoint: Endpoint,
}

pub(super) async fn insert(
    tx: &mut Tx<'_>,
    endpoint: &Endpoint,
    event: EventKind,
    body: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let app = match endpoint.owner {
        EndpointOwner::App(app) => Some(app),
        EndpointOwner::Operator(_) => None,
    };
    tx.execute(
        "INSERT INTO webhook_deliveries (endpoint_id, app_id, event, body, state, tries, \
         next_attempt_at, created_at) VALUES ($1, $2, $3, $4, 'waiting', 0, $5, $5)",
        bind![endpoint.id, app, event.name(), body, now],
    )
    .await?;
    Ok(())
}

pub async fn is_any_due(tx: &mut Tx<'_>, now: Timestamp) -> Result<bool, DbError> {
    let due = "SELECT CAST(COUNT(*) AS BIGINT) FROM \
         (SELECT id FROM webhook_deliveries WHERE next_attempt_at <= $1 LIMIT 1) AS due";
    tx.query_one(due, bind![now]).await?.take()
}

/// Endpoints behind `after` for which something waits, in order of their ids: a jump along the
/// index for each, however much waits.
pub async fn list_waiting_endpoints(
    tx: &mut Tx<'_>,
    after: &str,
    limit: usize,
) -> Result<Vec<EndpointId>, DbError> {
    let next = "SELECT endpoint_id FROM webhook_deliveries \
         WHERE endpoint_id > $1 AND next_attempt_at IS NOT NULL ORDER BY endpoint_id LIMIT 1";
    let (mut after, mut found) = (after.to_owned(), Vec::new());
    while found.len() < limit {
        let Some(mut row) = tx.query_opt(next, bind![&after]).await? else { break };
        let id: EndpointId = row.take()?;
        after = id.to_string();
        found.push(id);
    }
    Ok(found)
}

/// What is due for one endpoint, at most `limit`, the longest due first.
pub async fn list_due(
    tx: &mut Tx<'_>,
    endpoint: EndpointId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Delivery>, DbError> {
    let rows = tx
        .query_all(
            select!(
                "WHERE endpoint_id = $1 AND next_attempt_at <= $2 \
                 ORDER BY next_attempt_at, id LIMIT $3"
            ),
            bind![endpoint, now, limit],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Keep a due delivery from all others for the length of `lease`. `false`: somebody else has it.
pub async fn take(
    tx: &mut Tx<'_>,
    delivery: &Delivery,
    lease: Duration,
    now: Timestamp,
) -> Result<bool, DbError> {
    let DeliveryState::Waiting { next_attempt_at } = delivery.state else { return Ok(false) };
    let taken = tx
        .execute(
            "UPDATE webhook_deliveries SET next_attempt_at = $3 \
             WHERE id = $1 AND next_attempt_at = $2",
            bind![delivery.id, next_attempt_at, now.after(lease)],
        )
        .await?;
    Ok(taken == 1)
}

/// Where it stands. What is gone meanwhile stays gone.
pub async fn save_delivery(tx: &mut Tx<'_>, delivery: &Delivery) -> Result<(), DbError> {
    let (state, next_attempt_at, ended_at) = match delivery.state {
        DeliveryState::Waiting { next_attempt_at } => ("waiting", Some(next_attempt_at), None),
        DeliveryState::Delivered { at } => ("delivered", None, Some(at)),
        DeliveryState::Dead { at } => ("dead", None, Some(at)),
    };
    tx.execute(
        "UPDATE webhook_deliveries SET state = $2, tries = $3, next_attempt_at = $4, \
         ended_at = $5 WHERE id = $1",
        bind![delivery.id, state, int(delivery.tries), next_attempt_at, ended_at],
    )
    .await?;
    Ok(())
}

/// Remember an attempt, if its delivery is still there.
pub async fn record_attempt(
    tx: &mut Tx<'_>,
    delivery: i64,
    attempt: &Attempt,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO webhook_attempts (delivery_id, at, took_ms, status, answer, error) \
         SELECT id, CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), $5, $6 \
         FROM webhook_deliveries WHERE id = $1",
        bind![
            delivery,
            attempt.at,
            int(attempt.took_ms),
            attempt.status.map(i64::from),
            &attempt.answer,
            attempt.error.as_ref(),
        ],
    )
    .await?;
    Ok(())
}

/// The newest attempts of a delivery, newest first.
pub async fn list_attempts(
    tx: &mut Tx<'_>,
    delivery: i64,
    limit: i64,
) -> Result<Vec<Attempt>, DbError> {
    let rows = tx
        .query_all(
            "SELECT at, took_ms, status, answer, error FROM webhook_attempts \
             WHERE delivery_id = $1 ORDER BY id DESC LIMIT $2",
            bind![delivery, limit],
        )
        .await?;
    let read = |mut row: Row| {
        Ok(Attempt {
            at: row.take()?,
            took_ms: row.take()?,
            status: row.take_as("status of an answer", |status: Option<i64>| {
                status.map(|status| u16::try_from(status).ok()).map_or(Some(None), |s| s.map(Some))
            })?,
            answer: row.take()?,
            error: row.take()?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// A delivery of `app`; other people's do not exist.
pub async fn find_delivery(
    tx: &mut Tx<'_>,
    app: AppId,
    id: i64,
) -> Result<Option<Delivery>, DbError> {
    let row = tx.query_opt(select!("WHERE id = $1 AND app_id = $2"), bind![id, app]).await?;
    row.map(read).transpose()
}

/// What was sent or waits for the endpoints of `app`, newest first, from before the delivery
/// `before` on; `is_dead`: only what was given up.
pub async fn list_deliveries(
    tx: &mut Tx<'_>,
    app: AppId,
    is_dead: bool,
    before: i64,
    limit: i64,
) -> Result<Vec<Delivery>, DbError> {
    let rows = if is_dead {
        let sql =
            select!("WHERE app_id = $1 AND state = 'dead' AND id < $2 ORDER BY id DESC LIMIT $3");
        tx.query_all(sql, bind![app, before, limit]).await?
    } else {
        let sql = select!("WHERE app_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
        tx.query_all(sql, bind![app, before, limit]).await?
    };
    rows.into_iter().map(read).collect()
}

/// A delivery to an endpoint of the operator.
pub async fn find_delivery_of_operator(
    tx: &mut Tx<'_>,
    id: i64,
) -> Result<Option<Delivery>, DbError> {
    let row = tx.query_opt(select!("WHERE id = $1 AND app_id IS NULL"), bind![id]).await?;
    row.map(read).transpose()
}

/// As [`list_deliveries`], for the endpoints of the operator.
pub async fn list_deliveries_of_operator(
    tx: &mut Tx<'_>,
    is_dead: bool,
    before: i64,
    limit: i64,
) -> Result<Vec<Delivery>, DbError> {
    let sql = if is_dead {
        select!("WHERE app_id IS NULL AND state = 'dead' AND id < $1 ORDER BY id DESC LIMIT $2")
    } else {
        select!("WHERE app_id IS NULL AND id < $1 ORDER BY id DESC LIMIT $2")
    };
    let rows = tx.query_all(sql, bind![before, limit]).await?;
    rows.into_iter().map(read).collect()
}

/// Delete at most `limit` each of what arrived or was given up long ago, and give up what has
/// waited too long. How many rows at most one of these steps touched.
pub async fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    let mut most = 0;
    for (state, kept) in [("delivered", DELIVERED_KEPT), ("dead", DEAD_KEPT)] {
        let deleted = tx
            .execute(
                "DELETE FROM webhook_deliveries WHERE id IN \
                 (SELECT id FROM webhook_deliveries WHERE state = $1 AND ended_at <= $2 \
                 ORDER BY ended_at LIMIT $3)",
                bind![state, now.before(kept), limit],
            )
            .await?;
        most = most.max(deleted);
    }
    // Of paused endpoints: what is tried ends earlier by itself.
    let given_up = tx
        .execute(
            "UPDATE webhook_deliveries SET state = 'dead', next_attempt_at = NULL, \
             ended_at = $1 WHERE id IN (SELECT id FROM webhook_deliveries \
             WHERE next_attempt_at <= $2 ORDER BY next_attempt_at LIMIT $3)",
            bind![now, now.before(WAITING_MAX), limit],
        )
        .await?;
    Ok(most.max(given_up))
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read(mut row: Row) -> Result<Delivery, DbError> {
    let (id, endpoint_id) = (row.take()?, row.take()?);
    let event = row.take_as("kind of event", |name: String| EventKind::parse(&name))?;
    let (body, state): (String, String) = (row.take()?, row.take()?);
    let tries = row.take()?;
    let (next, ended): (Option<Timestamp>, Option<Timestamp>) = (row.take()?, row.take()?);
    let state = match (state.as_str(), next, ended) {
        ("waiting", Some(next_attempt_at), _) => DeliveryState::Waiting { next_attempt_at },
        ("delivered", _, Some(at)) => DeliveryState::Delivered { at },
        ("dead", _, Some(at)) => DeliveryState::Dead { at },
        _ => return Err(unreadable("state of a delivery")),
    };
    Ok(Delivery { id, endpoint_id, event, body, state, tries, created_at: row.take()? })
}
