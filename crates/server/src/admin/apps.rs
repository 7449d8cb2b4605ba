//! Apps. What the operator creates or changes holds at once; the operator has looked.

use axum::Json;
use axum::extract::{Path, State};
use domain::app::{App, AppError, AppStatus};
use domain::audit::AuditKind;
use domain::change::Change;
use domain::grant::RevokeReason;
use domain::time::Timestamp;
use http::StatusCode;
use serde_json::json;
use store::apps::AppFilter;
use store::{Tx, apps, audit, changes, consents, teams, users};

use super::actor::Admin;
use super::body::{Asks, Body, MergePatch};
use super::page::{Asked, Page, query};
use super::problem::Problem;
use super::users::find_user;
use super::version::{Created, Found, IfMatch, Versioned};
use super::{rfc3339, write};
use crate::account::taking_back::TakingBack;
use crate::app_news;
use crate::pages::views::AppForm;
use crate::portal::changes::told;
use crate::portal::form;
use crate::provider::{Provider, Shared};

mod creation;
pub mod wire;

pub use creation::register;
use creation::register_by;
pub use wire::{AppQuery, AppRecord, AppSettings, NewApp, Reason, Status, TeamRecord};

query!(AppQuery);

impl Versioned for AppRecord {}

pub async fn list(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<AppQuery>,
) -> Result<Json<Page<AppRecord>>, Problem> {
    let asked: Asked<String> = Asked::of(&provider, "apps", &query)?;
    let (after, fetch) = (asked.after.clone().unwrap_or_default(), asked.fetch);
    let read = async move |tx: &mut Tx<'_>| {
        let owner = match &query.owner {
            Some(owner) => Some(find_user(tx, owner).await?.id),
            None => None,
        };
        let filter = AppFilter {
            status: query.status.map(Status::as_str),
            kind: query.kind,
            owner,
            dialect: query.dialect.clone(),
            waits: query.awaits_review == Some(true),
            text: query.q.clone(),
        };
        let mut records = Vec::new();
        for app in apps::list_page(tx, &filter, &after, fetch).await? {
            records.push(record(tx, app).await?);
        }
        Ok::<_, Problem>(records)
    };
    let records = provider.store.db.read_long(read).await?;
    asked.page(&provider, records, |record| record.client_id.clone(), |record| record)
}

pub async fn show(
    State(provider): State<Shared>,
    _: Admin,
    Path(client_id): Path<String>,
) -> Result<Found<AppRecord>, Problem> {
    let read = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        record(tx, app).await
    };
    Ok(Found(provider.store.db.read(read).await?))
}

pub async fn create(
    State(provider): State<Shared>,
    admin: Admin,
    Body(new): Body<NewApp>,
) -> Result<Created<AppRecord>, Problem> {
    let record = register_by(&provider, admin, new).await?;
    Ok(Created(location("apps", &record.client_id), record))
}

/// Where a thing is, its name encoded.
pub(super) fn location(list: &str, name: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("{}/{list}/{}", super::PREFIX, name.replace('+', "%20"))
}

/// Change what it says of itself and where it may be. What a developer proposed goes on waiting.
pub async fn change(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Found<AppRecord>, Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        admin.may_favour(tx, &app).await?;
        if_match.check(&record(tx, app.clone()).await?.etag())?;
        let settings = patch.apply(&settings(&app))?;
        let changed = check_settings(settings, &app)?;
        let changes_told: Vec<_> = app.revision().changes(&changed.revision());
        let changes_told: Vec<_> = changes_told.iter().map(told).collect();
        let detail = json!({
            "changes": changes_told, "addresses": changed.addresses, "publisher": changed.publisher,
        });
        let app = App { changed_at: now, ..changed };
        apps::save(tx, &app).await?;
        changes::record(tx, Change::App(app.id)).await?;
        audit::record(tx, &admin.event(now, AuditKind::AppChanged, detail).app(app.id)).await?;
        record(tx, app).await
    };
    Ok(Found(write(&provider, work).await?))
}

fn settings(app: &App) -> AppSettings {
    AppSettings {
        name: app.name.clone(),
        description: app.description.clone(),
        publisher: app.publisher.clone(),
        homepage: app.homepage.clone(),
        privacy_url: app.privacy_url.clone(),
        terms_url: app.terms_url.clone(),
        redirect_uris: app.redirect_uris.iter().map(ToString::to_string).collect(),
        addresses: app.addresses.clone(),
    }
}

/// The app as the settings want it, by the rules of the pages.
fn check_settings(settings: AppSettings, app: &App) -> Result<App, Problem> {
    let typed = AppForm {
        name: settings.name,
        description: settings.description,
        homepage: settings.homepage.unwrap_or_default(),
        privacy_url: settings.privacy_url.unwrap_or_default(),
        terms_url: settings.terms_url.unwrap_or_default(),
        ..AppForm::blank()
    };
    let (about, mut errors) = form::check_about(&typed);
    let lines = settings.redirect_uris.join("\n");
    let redirect_uris = form::check_redirect_uris(app.kind, &lines, &mut errors);
    let publisher = settings.publisher.trim().to_owned();
    let publisher_error = form::name_error(&publisher).filter(|_| publisher != app.publisher);
    let mut mistakes: Vec<String> = [
        ("name", errors.name),
        ("description", errors.description),
        ("publisher", publisher_error.map(str::to_owned)),
        ("homepage", errors.homepage),
        ("privacy_url", errors.privacy_url),
        ("terms_url", errors.terms_url),
        ("redirect_uris", errors.redirect_uris),
    ]
    .into_iter()
    .filter_map(|(field, error)| error.map(|error| format!("{field}: {error}")))
    .collect();
    let lines = errors.redirect_lines.iter();
    mistakes.extend(lines.map(|bad| format!("redirect_uris: {}: {}", bad.uri, bad.reason)));
    match mistakes.is_empty() {
        false => Err(Problem::invalid(&mistakes)),
        true => {
            let mut changed = app.clone().with_revision(about.revision(redirect_uris, app.logo));
            // What was verified is that the name is this publisher's.
            changed.review.brand = changed.review.brand.filter(|_| publisher == app.publisher);
            Ok(App { publisher, addresses: settings.addresses, ..changed })
        }
    }
}

pub async fn delete(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let (now, entropy) = (provider.now(), provider.entropy.clone());
    let back = TakingBack {
        actor: admin.actor(),
        reason: RevokeReason::Staff,
        address: admin.address(),
        now,
    };
    let work = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        if_match.check(&record(tx, app.clone()).await?.etag())?;
        let given = consents::list_given_to(tx, app.id).await?;
        let detail = json!({ "name": app.name, "client_id": app.client_id, "users": given.len() });
        for consent in given {
            back.withdraw(tx, consent, &*entropy).await?;
        }
        apps::delete(tx, app.id).await?;
        changes::record(tx, Change::App(app.id)).await?;
        audit::record(tx, &admin.event(now, AuditKind::AppDeleted, detail).app(app.id)).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    write(&provider, work).await
}

pub async fn suspend(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
    if_match: IfMatch,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Found<AppRecord>, Problem> {
    let said = reason.clone();
    let suspend = move |app: App, now| app.suspend(said.clone(), now);
    let step = (AuditKind::AppSuspended, reason);
    switch(&provider, admin, client_id, if_match, step, suspend).await
}

/// Let a suspended app go on.
pub async fn resume(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
    if_match: IfMatch,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Found<AppRecord>, Problem> {
    let step = (AuditKind::AppResumed, reason);
    switch(&provider, admin, client_id, if_match, step, App::resume).await
}

/// Write what `change` makes of the app, felt by its next call.
async fn switch(
    provider: &Provider,
    admin: Admin,
    client_id: String,
    if_match: IfMatch,
    (kind, reason): (AuditKind, String),
    change: impl Fn(App, Timestamp) -> Result<App, AppError> + Send + Sync + 'static,
) -> Result<Found<AppRecord>, Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        if kind == AuditKind::AppResumed {
            admin.may_favour(tx, &app).await?;
        }
        if_match.check(&record(tx, app.clone()).await?.etag())?;
        let app = change(app, now).map_err(|error| Problem::conflict(error.to_string()))?;
        apps::save(tx, &app).await?;
        changes::record(tx, Change::App(app.id)).await?;
        let event = admin.event(now, kind, json!({ "reason": reason })).app(app.id);
        audit::record(tx, &event).await?;
        app_news::switched(tx, &app, &reason, now).await?;
        record(tx, app).await
    };
    Ok(Found(write(provider, work).await?))
}

pub(super) async fn named(tx: &mut Tx<'_>, client_id: &str) -> Result<App, Problem> {
    let found = apps::find_by_client_id(tx, client_id).await?;
    found.ok_or_else(|| Problem::not_found(format!("there is no app {client_id}")))
}

pub(super) async fn record(tx: &mut Tx<'_>, app: App) -> Result<AppRecord, Problem> {
    let owner = users::find(tx, app.owner).await?;
    let team = match app.team {
        Some(id) => teams::find(tx, id).await?,
        None => None,
    };
    let assigned_to = match app.review.assigned_to {
        Some(id) => users::find(tx, id).await?,
        None => None,
    };
    let (awaits_review, test_client_id) = (app.awaits_review(), app.test_client_id());
    let retired_at = match app.status {
        AppStatus::Retired { at, .. } => Some(rfc3339(at)),
        _ => None,
    };
    let (status, reason) = match app.status {
        AppStatus::InReview => (Status::InReview, None),
        AppStatus::Live { .. } => (Status::Live, None),
        AppStatus::Rejected { note, .. } => (Status::Rejected, Some(note)),
        AppStatus::Suspended { reason, .. } => (Status::Suspended, Some(reason)),
        AppStatus::Retired { .. } => (Status::Retired, None),
    };
    Ok(AppRecord {
        id: app.id,
        scopes_requested: app.requested.iter().map(|request| request.scope.clone()).collect(),
        client_id: app.client_id,
        name: app.name,
        kind: app.kind,
        status,
        reason,
        awaits_review,
        paused: app.paused_at.is_some(),
        owner: owner.map(|user| user.email).unwrap_or_default(),
        team: team.map(|team| TeamRecord { id: team.id, name: team.name }),
        assigned_to: assigned_to.map(|user| user.email),
        brand_verified: app.review.brand.is_some(),
        due_again_at: app.review.due_again_at.map(rfc3339),
        reminded_at: app.review.reminded_at.map(rfc3339),
        retired_at,
        plan: app.plan,
        test_client_id,
        publisher: app.publisher,
        description: app.description,
        homepage: app.homepage,
        privacy_url: app.privacy_url,
        terms_url: app.terms_url,
        redirect_uris: app.redirect_uris.iter().map(ToString::to_string).collect(),
        scopes_approved: app.approved,
        service_scopes: app.service_scopes,
        addresses: app.addresses,
        dialect: app.dialect,
        created_at: rfc3339(app.created_at),
        changed_at: rfc3339(app.changed_at),
        revision: app.changed_at.as_millis(),
        client_secret: None,
    })
}
