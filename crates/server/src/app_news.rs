//! What developers, staff, users and servers hear about an app: messages by mail and events by
//! webhook, queued in the transaction of what they tell. Two jobs tell what no request causes.

use std::time::Duration;

use domain::app::{App, AppStatus};
use domain::id::AppId;
use domain::mail::{Mail, MailKind};
use domain::plan::Wish;
use domain::time::Timestamp;
use domain::webhook::Event;
use store::{DbError, Tx, apps, client_secrets, mails, suspension_notices, teams, webhooks};

use crate::provider::Provider;

/// Messages of one step of a job.
const STEP_MAX: i64 = 100;
/// Steps of one run.
const STEPS_MAX: usize = 20;
/// Days before its end on which the developer of a secret is told, the last first, and how often
/// that is then.
const SECRET_REMINDERS: [(u64, i64); 2] = [(1, 2), (7, 1)];
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Whoever answers for `app` is told by mail: its owner, or all owners of its team.
pub async fn tell_developers(
    tx: &mut Tx<'_>,
    app: &App,
    kind: MailKind,
    now: Timestamp,
) -> Result<(), DbError> {
    for owner in teams::list_owners_of(tx, app).await? {
        mails::queue(tx, &Mail::to_user(owner, kind.clone(), now)).await?;
    }
    Ok(())
}

async fn tell_staff(
    tx: &mut Tx<'_>,
    staff: &[String],
    kind: &MailKind,
    now: Timestamp,
) -> Result<(), DbError> {
    for address in staff {
        let mail = Mail::to_address(address.clone(), None, kind.clone(), now);
        mails::queue(tx, &mail).await?;
    }
    Ok(())
}

/// The name of an app and its id, as messages tell them.
fn told(app: &App) -> (String, String) {
    (app.name.clone(), app.id.to_string())
}

/// Staff decided. `decision`: `approved`, `changes_asked` or `rejected`.
pub async fn decided(
    tx: &mut Tx<'_>,
    app: &App,
    (decision, note): (&'static str, &str),
    now: Timestamp,
) -> Result<(), DbError> {
    let (name, app_id) = told(app);
    let (said, note) = (decision.to_owned(), note.to_owned());
    let kind = MailKind::AppDecided { app: name, app_id, decision: said, note: note.clone() };
    tell_developers(tx, app, kind, now).await?;
    let event = Event::ReviewDecided { decision, scopes: app.approved.clone(), note };
    webhooks::queue(tx, app.id, &event, now).await
}

/// Staff suspended the app, or let it go on.
pub async fn switched(
    tx: &mut Tx<'_>,
    app: &App,
    reason: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let ((name, app_id), reason) = (told(app), reason.to_owned());
    let (kind, event) = if matches!(app.status, AppStatus::Suspended { .. }) {
        suspension_notices::begin(tx, app.id, now).await?;
        let kind = MailKind::AppSuspended { app: name, app_id, reason: reason.clone() };
        (kind, Event::AppSuspended { reason })
    } else {
        suspension_notices::end(tx, app.id).await?;
        let kind = MailKind::AppResumed { app: name, app_id, reason: reason.clone() };
        (kind, Event::AppResumed { reason })
    };
    tell_developers(tx, app, kind, now).await?;
    webhooks::queue(tx, app.id, &event, now).await
}

/// What became of a plan or a perk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WishAnswer {
    Granted,
    Refused,
    /// By the operator; nobody had asked.
    Given,
}

/// Staff decided about a plan or a perk, or the operator gave one. Billing hears of it too.
pub async fn wish_decided(
    tx: &mut Tx<'_>,
    app: &App,
    (wish, title): (&Wish, &str),
    (answer, note): (WishAnswer, &str),
    now: Timestamp,
) -> Result<(), DbError> {
    let (decision, said) = match answer {
        WishAnswer::Granted => ("approved", "granted"),
        WishAnswer::Refused => ("rejected", "refused"),
        WishAnswer::Given => ("approved", "given"),
    };
    let ((name, app_id), note) = (told(app), note.to_owned());
    let (title, said) = (title.to_owned(), said.to_owned());
    let kind = MailKind::WishDecided {
        app: name,
        app_id,
        wish: title,
        decision: said,
        note: note.clone(),
    };
    tell_developers(tx, app, kind, now).await?;
    let event = match wish.clone() {
        Wish::Plan(plan) => Event::PlanDecided { plan, decision, note },
        Wish::Perk(perk) => Event::PerkDecided { perk, decision, note },
    };
    webhooks::queue(tx, app.id, &event, now).await
}

/// The app, or a change of it, has begun to wait for staff.
pub async fn submitted(
    tx: &mut Tx<'_>,
    app: &App,
    staff: &[String],
    now: Timestamp,
) -> Result<(), DbError> {
    let (name, app_id) = told(app);
    tell_staff(tx, staff, &MailKind::AppSubmitted { app: name, app_id }, now).await?;
    webhooks::queue(tx, app.id, &Event::AppSubmitted {}, now).await
}

pub async fn staff_wrote(tx: &mut Tx<'_>, app: &App, now: Timestamp) -> Result<(), DbError> {
    let (name, app_id) = told(app);
    tell_developers(tx, app, MailKind::StaffWrote { app: name, app_id }, now).await
}

pub async fn developer_wrote(
    tx: &mut Tx<'_>,
    app: &App,
    staff: &[String],
    now: Timestamp,
) -> Result<(), DbError> {
    let (name, app_id) = told(app);
    tell_staff(tx, staff, &MailKind::DeveloperWrote { app: name, app_id }, now).await
}

/// A job: tell developers of secrets that end soon, a week before and a day before.
pub async fn remind_of_secrets(provider: &Provider) -> Result<(), DbError> {
    let now = provider.now();
    for (days, count) in SECRET_REMINDERS {
        let until = now.after(DAY * u32::try_from(days).unwrap_or(u32::MAX));
        let list = async move |tx: &mut Tx<'_>| {
            client_secrets::list_ending(tx, (now, until), count, STEP_MAX).await
        };
        for _ in 0..STEPS_MAX {
            if provider.store.db.read(list).await?.is_empty() {
                break;
            }
            let tell = async move |tx: &mut Tx<'_>| {
                for secret in list(tx).await? {
                    client_secrets::save_told(tx, secret.id, count).await?;
                    let Some(app) = apps::find(tx, secret.app_id).await? else { continue };
                    let (name, app_id) = told(&app);
                    let ends_with = secret.hint.clone();
                    let kind = MailKind::SecretExpiring { app: name, app_id, ends_with, days };
                    tell_developers(tx, &app, kind, now).await?;
                    let event = Event::SecretExpiring {
                        secret: secret.id,
                        ends_with: secret.hint,
                        expires_at: secret.expires_at.unwrap_or(now).to_rfc3339(),
                    };
                    webhooks::queue(tx, app.id, &event, now).await?;
                }
                Ok::<_, DbError>(())
            };
            provider.store.db.write(tell).await?;
        }
    }
    Ok(())
}

/// A job: tell the users of apps that were suspended, some at a time.
pub async fn tell_users_of_suspensions(provider: &Provider) -> Result<(), DbError> {
    let now = provider.now();
    for _ in 0..STEPS_MAX {
        let next = async |tx: &mut Tx<'_>| suspension_notices::find_next(tx).await;
        if provider.store.db.read(next).await?.is_none() {
            break;
        }
        let tell = async move |tx: &mut Tx<'_>| {
            // Another node may have gone on meanwhile.
            match suspension_notices::find_next(tx).await? {
                Some((app, after)) => tell_users(tx, app, &after, now).await,
                None => Ok(()),
            }
        };
        provider.store.db.write(tell).await?;
    }
    Ok(())
}

async fn tell_users(
    tx: &mut Tx<'_>,
    id: AppId,
    after: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let app = apps::find(tx, id).await?;
    let app = app.filter(|app| matches!(app.status, AppStatus::Suspended { .. }));
    let Some(app) = app else { return suspension_notices::end(tx, id).await };
    let users = suspension_notices::list_users(tx, id, after, STEP_MAX).await?;
    for user in &users {
        let kind = MailKind::AppUnavailable { app: app.name.clone() };
        mails::queue(tx, &Mail::to_user(*user, kind, now)).await?;
    }
    match users.last() {
        Some(last) => suspension_notices::save_progress(tx, id, *last).await,
        None => suspension_notices::end(tx, id).await,
    }
}
