//! What the policy asks of time: approvals that end go back to staff, live apps are looked at
//! again, apps that nobody uses are reminded and then retired. Each run does a little; what is due
//! is in the rows, so a crash loses nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::app::{App, AppStatus};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::AppId;
use domain::mail::MailKind;
use domain::time::Timestamp;
use serde_json::{Value, json};
use store::{DbError, Tx, apps, audit, changes, consents, usage};

use crate::app_news;
use crate::provider::Provider;

/// Apps in one transaction.
const AT_ONCE: i64 = 50;
/// Transactions in one run.
const ROUNDS_MAX: usize = 20;

/// Where the look at unused apps goes on.
#[derive(Debug)]
pub struct Unused(Mutex<AppId>);

impl Default for Unused {
    fn default() -> Self {
        Self(Mutex::new(AppId::from_bytes([0; 16])))
    }
}

/// Everything that is due. Call it every minute or so.
pub async fn run(provider: &Provider, unused: &Unused) -> Result<(), DbError> {
    let (now, review) = (provider.now(), provider.policy().review.clone());
    for _ in 0..ROUNDS_MAX {
        let end = async move |tx: &mut Tx<'_>| end_approvals(tx, now).await;
        if provider.store.db.write(end).await? < AT_ONCE.unsigned_abs() {
            break;
        }
    }
    if let Some(after) = review.again_after {
        let mark = async move |tx: &mut Tx<'_>| mark_due(tx, now, after).await;
        provider.store.db.write(mark).await?;
    }
    if let Some(after) = review.unused_after {
        let from = *unused.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = async move |tx: &mut Tx<'_>| look_for_unused(tx, from, after, now).await;
        let next = provider.store.db.write(look).await?;
        *unused.0.lock().unwrap_or_else(PoisonError::into_inner) =
            next.unwrap_or(AppId::from_bytes([0; 16]));
    }
    Ok(())
}

async fn save(
    tx: &mut Tx<'_>,
    app: &App,
    kind: AuditKind,
    detail: Value,
    now: Timestamp,
) -> Result<(), DbError> {
    apps::save(tx, app).await?;
    changes::record(tx, Change::App(app.id)).await?;
    let event = AuditEvent::new(now, kind, AuditActor::System).app(app.id).detail(detail);
    audit::record(tx, &event).await
}

async fn end_approvals(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, DbError> {
    let due = apps::review::list_with_ended_approval(tx, now, AT_ONCE).await?;
    let count = due.len() as u64;
    for id in due {
        let Some(app) = apps::find(tx, id).await? else { continue };
        let conditions = app.review.conditions.clone();
        if let Some((app, ended)) = app.end_approvals(now) {
            let detail = json!({ "ended": ended, "conditions": conditions });
            save(tx, &app, AuditKind::AppApprovalEnded, detail, now).await?;
        }
    }
    Ok(count)
}

async fn mark_due(tx: &mut Tx<'_>, now: Timestamp, after: Duration) -> Result<(), DbError> {
    for id in apps::review::list_to_look_at_again(tx, now.before(after), AT_ONCE).await? {
        let app = apps::find(tx, id).await?;
        if let Some(Ok(app)) = app.map(|app| app.mark_due_again(now)) {
            save(tx, &app, AuditKind::AppDueAgain, Value::Null, now).await?;
        }
    }
    Ok(())
}

/// Where to go on; `None`: all were looked at.
async fn look_for_unused(
    tx: &mut Tx<'_>,
    from: AppId,
    after: Duration,
    now: Timestamp,
) -> Result<Option<AppId>, DbError> {
    let ids = apps::review::list_live_ids(tx, from, AT_ONCE).await?;
    let next = ids.last().copied().filter(|_| ids.len() as u64 == AT_ONCE.unsigned_abs());
    for id in ids {
        if let Some(app) = apps::find(tx, id).await? {
            look_at(tx, app, after, now).await?;
        }
    }
    Ok(next)
}

async fn look_at(
    tx: &mut Tx<'_>,
    app: App,
    after: Duration,
    now: Timestamp,
) -> Result<(), DbError> {
    let AppStatus::Live { since, .. } = app.status else { return Ok(()) };
    let used_since = async |tx: &mut Tx<'_>, at: Timestamp| {
        Ok::<_, DbError>(
            since >= at
                || usage::any_since(tx, app.id, at).await?
                || consents::any_since(tx, app.id, at).await?,
        )
    };
    let days = after.as_secs() / (24 * 3600);
    match app.review.reminded_at {
        None if !used_since(tx, now.before(after)).await? => {
            let Ok(app) = app.remind_unused(now) else { return Ok(()) };
            tell(tx, &app, days, false, now).await?;
            save(tx, &app, AuditKind::AppReminded, json!({ "unused_days": days }), now).await
        }
        Some(reminded_at) if used_since(tx, reminded_at).await? => {
            apps::save(tx, &app.used_again()).await
        }
        Some(reminded_at) if now >= reminded_at.after(after) => {
            let Ok(app) = app.retire(now) else { return Ok(()) };
            tell(tx, &app, days, true, now).await?;
            save(tx, &app, AuditKind::AppRetired, json!({ "unused_days": days }), now).await
        }
        _ => Ok(()),
    }
}

async fn tell(
    tx: &mut Tx<'_>,
    app: &App,
    days: u64,
    is_retired: bool,
    now: Timestamp,
) -> Result<(), DbError> {
    let kind =
        MailKind::AppUnused { app: app.name.clone(), id: app.id.to_string(), days, is_retired };
    app_news::tell_developers(tx, app, kind, now).await
}
