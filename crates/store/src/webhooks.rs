//! Tables `webhook_endpoints` and `webhook_deliveries`: where somebody wants to hear of events, and
//! what is on its way there. [`queue`] is called in the transaction of what happened; a job sends
//! what is due.

use std::collections::BTreeSet;

use domain::app::App;
use domain::grant::{Grant, RevokeReason};
use domain::id::{AppId, EndpointId};
use domain::time::Timestamp;
use domain::webhook::{
    AboutApp, Endpoint, EndpointOwner, EndpointStatus, Event, EventKind, FormerSecret,
    SealedSecret, ToldGrant,
};

use crate::value::{Row, unreadable};
use crate::{DbError, Tx, apps, bind, changes};

mod outbox;

pub use outbox::{
    Sendable, find_delivery, find_delivery_of_operator, is_any_due, list_attempts, list_deliveries,
    list_deliveries_of_operator, list_due, list_waiting_endpoints, record_attempt, save_delivery,
    sweep, take,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, app_id, name, url, events, secret, former_secret, former_until, status, \
             status_at, failing_since, created_at FROM webhook_endpoints ",
            $rest
        )
    };
}

/// What happened to a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantNews {
    Created,
    Changed,
    Revoked(RevokeReason),
}

/// Let everyone hear who asked for such events of this app. Call it in the transaction of what
/// happened. An app nobody listens to costs one look at an index; where the row of the app is
/// known, [`App::has_webhooks`] saves that.
pub async fn queue(
    tx: &mut Tx<'_>,
    app: AppId,
    event: &Event,
    now: Timestamp,
) -> Result<(), DbError> {
    let kind = event.kind();
    let mut listening = Vec::new();
    if kind.is_for_apps() {
        listening.extend(list_of_app(tx, app).await?);
    }
    if kind.is_for_operators() {
        listening.extend(list_of_operator(tx).await?);
    }
    listening.retain(|endpoint| endpoint.hears(kind));
    if listening.is_empty() {
        return Ok(());
    }
    // It may be deleted in this transaction.
    let Some(app) = apps::find(tx, app).await? else { return Ok(()) };
    let body = body(&app, event, now);
    for endpoint in listening {
        outbox::insert(tx, &endpoint, kind, &body, now).await?;
    }
    Ok(())
}

/// Send the test event to one endpoint, whatever it asked to hear.
pub async fn queue_test(
    tx: &mut Tx<'_>,
    app: &App,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<(), DbError> {
    let event = Event::Test {};
    outbox::insert(tx, endpoint, event.kind(), &body(app, &event, now), now).await
}

fn body(app: &App, event: &Event, now: Timestamp) -> String {
    event.body(&AboutApp { client_id: &app.client_id, name: &app.name }, now)
}

/// Tell the app of `grant` what happened to it.
pub async fn queue_grant(
    tx: &mut Tx<'_>,
    grant: &Grant,
    news: GrantNews,
    now: Timestamp,
) -> Result<(), DbError> {
    let Some(told) = ToldGrant::of(grant) else { return Ok(()) };
    let event = match news {
        GrantNews::Created => Event::GrantCreated(told),
        GrantNews::Changed => Event::GrantChanged(told),
        GrantNews::Revoked(reason) => Event::grant_revoked(told, reason),
    };
    queue(tx, grant.app_id, &event, now).await
}

/// A new endpoint.
pub async fn insert(tx: &mut Tx<'_>, endpoint: &Endpoint) -> Result<(), DbError> {
    let (app, name) = match &endpoint.owner {
        EndpointOwner::App(app) => (Some(*app), None),
        EndpointOwner::Operator(name) => (None, Some(name)),
    };
    let former = endpoint.former.as_ref();
    let (status, status_at) = status_columns(endpoint);
    tx.execute(
        "INSERT INTO webhook_endpoints (id, app_id, name, url, events, secret, former_secret, \
         former_until, status, status_at, failing_since, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        bind![
            endpoint.id,
            app,
            name,
            &endpoint.url,
            names(&endpoint.events),
            endpoint.secret.as_text(),
            former.map(|former| former.secret.as_text()),
            former.map(|former| former.until),
            status,
            status_at,
            endpoint.failing_since,
            endpoint.created_at,
        ],
    )
    .await?;
    note_app(tx, endpoint).await
}

/// Everything but id, owner and time of creation.
pub async fn save(tx: &mut Tx<'_>, endpoint: &Endpoint) -> Result<(), DbError> {
    let former = endpoint.former.as_ref();
    let (status, status_at) = status_columns(endpoint);
    tx.execute(
        "UPDATE webhook_endpoints SET url = $2, events = $3, secret = $4, former_secret = $5, \
         former_until = $6, status = $7, status_at = $8, failing_since = $9 WHERE id = $1",
        bind![
            endpoint.id,
            &endpoint.url,
            names(&endpoint.events),
            endpoint.secret.as_text(),
            former.map(|former| former.secret.as_text()),
            former.map(|former| former.until),
            status,
            status_at,
            endpoint.failing_since,
        ],
    )
    .await?;
    Ok(())
}

/// With everything on its way there.
pub async fn delete(tx: &mut Tx<'_>, endpoint: &Endpoint) -> Result<(), DbError> {
    tx.execute("DELETE FROM webhook_endpoints WHERE id = $1", bind![endpoint.id]).await?;
    note_app(tx, endpoint).await
}

/// Keep [`App::has_webhooks`] true.
async fn note_app(tx: &mut Tx<'_>, endpoint: &Endpoint) -> Result<(), DbError> {
    let EndpointOwner::App(app) = endpoint.owner else { return Ok(()) };
    tx.execute(
        "UPDATE apps SET has_webhooks = CASE WHEN EXISTS \
         (SELECT 1 FROM webhook_endpoints e WHERE e.app_id = apps.id) THEN 1 ELSE 0 END \
         WHERE id = $1",
        bind![app],
    )
    .await?;
    changes::record(tx, domain::change::Change::App(app)).await
}

pub async fn find(tx: &mut Tx<'_>, id: EndpointId) -> Result<Option<Endpoint>, DbError> {
    let row = tx.query_opt(select!("WHERE id = $1"), bind![id]).await?;
    row.map(read).transpose()
}

/// Oldest first.
pub async fn list_of_app(tx: &mut Tx<'_>, app: AppId) -> Result<Vec<Endpoint>, DbError> {
    let rows =
        tx.query_all(select!("WHERE app_id = $1 ORDER BY created_at, id"), bind![app]).await?;
    rows.into_iter().map(read).collect()
}

/// Those of the config.
pub async fn list_of_operator(tx: &mut Tx<'_>) -> Result<Vec<Endpoint>, DbError> {
    let rows = tx.query_all(select!("WHERE name IS NOT NULL ORDER BY name"), &[]).await?;
    rows.into_iter().map(read).collect()
}

fn names(events: &BTreeSet<EventKind>) -> String {
    events.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" ")
}

fn status_columns(endpoint: &Endpoint) -> (&'static str, Timestamp) {
    match endpoint.status {
        EndpointStatus::Active => ("active", endpoint.created_at),
        EndpointStatus::Paused => ("paused", endpoint.created_at),
        EndpointStatus::Disabled { at } => ("disabled", at),
    }
}

fn read(mut row: Row) -> Result<Endpoint, DbError> {
    let id = row.take()?;
    let owner = match (row.take::<Option<AppId>>()?, row.take::<Option<String>>()?) {
        (Some(app), None) => EndpointOwner::App(app),
        (None, Some(name)) => EndpointOwner::Operator(name),
        _ => return Err(unreadable("owner of a webhook")),
    };
    let url = row.take()?;
    let events: String = row.take()?;
    let secret = SealedSecret::from_text(row.take()?);
    let former = match (row.take::<Option<String>>()?, row.take()?) {
        (Some(text), Some(until)) => {
            Some(FormerSecret { secret: SealedSecret::from_text(text), until })
        }
        _ => None,
    };
    let (status, status_at): (String, Timestamp) = (row.take()?, row.take()?);
    let status = match status.as_str() {
        "active" => EndpointStatus::Active,
        "paused" => EndpointStatus::Paused,
        "disabled" => EndpointStatus::Disabled { at: status_at },
        _ => return Err(unreadable("status of a webhook")),
    };
    Ok(Endpoint {
        id,
        owner,
        url,
        // A kind that this version no longer has is heard by nobody.
        events: events.split(' ').filter_map(EventKind::parse).collect(),
        secret,
        former,
        status,
        failing_since: row.take()?,
        created_at: row.take()?,
    })
}
