//! All apps, for staff: find one, suspend it, let it go on. Both are felt by the app's next call.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use domain::app::{App, AppError};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::AppId;
use domain::time::Timestamp;
use protocol::params::Params;
use serde_json::json;
use store::{Tx, apps, audit, changes, consents, teams, usage};

use super::flags::report_text;
use crate::actor::{Reviewer, SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::display;
use crate::error::{PageError, form_query};
use crate::flash::{Done, Told};
use crate::pages::views::{Section, StaffApp, StaffApps, UserReport};
use crate::provider::{Provider, Shared};
use crate::{app_news, view};

/// Apps on one page.
const SHOWN_MAX: usize = 50;
/// Reports that are looked through for the page.
const REPORTS_MAX: u32 = 500;
/// Apps above the list, because users reported them last.
const REPORTED_MAX: usize = 20;
const REPORTS_PER_APP_MAX: usize = 5;
/// In characters.
const REASON_MAX: usize = 500;

/// `?after=` goes on behind the last app of the page before.
pub async fn list(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Told(flash): Told,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let query = params.one("q")?.unwrap_or_default().trim().to_owned();
    let after = params.one("after")?.and_then(|id| id.parse().ok());
    let mut page = load(&provider, &user, query, after).await?;
    page.layout = page.layout.with_flash(flash);
    view::page(&provider, &page)
}

async fn load(
    provider: &Provider,
    user: &SignedInUser,
    query: String,
    after: Option<AppId>,
) -> Result<StaffApps, PageError> {
    let (now, wanted) = (provider.now(), query.clone());
    let read = async move |tx: &mut Tx<'_>| {
        let reports = audit::list_of_kind(tx, AuditKind::AppReported, REPORTS_MAX).await?;
        let reported = match wanted.is_empty() && after.is_none() {
            true => reported_last(tx, &reports).await?,
            false => Vec::new(),
        };
        let limit = i64::try_from(SHOWN_MAX + 1).unwrap_or(i64::MAX);
        let mut found = apps::list_by_name(tx, &wanted, after, limit).await?;
        let is_more = found.len() > SHOWN_MAX;
        found.truncate(SHOWN_MAX);
        let last = found.last().filter(|_| is_more).map(|app| app.id);
        found.retain(|app| !reported.iter().any(|other| other.id == app.id));
        let reported = rows(tx, reported, &reports, now).await?;
        Ok::<_, PageError>((reported, rows(tx, found, &reports, now).await?, last))
    };
    let (reported, apps, last) = provider.store.db.read_long(read).await?;
    let layout = user.layout().in_section(Section::StaffApps);
    let next = last.map(|id| {
        let pairs = [("q", query.as_str()), ("after", &id.to_string())];
        format!("/staff/apps?{}", form_query(&pairs))
    });
    Ok(StaffApps { layout, query, reported, apps, next, error: None })
}

/// Each app once, the newest report first.
async fn reported_last(tx: &mut Tx<'_>, reports: &[AuditEvent]) -> Result<Vec<App>, PageError> {
    let mut ids: Vec<AppId> = Vec::new();
    for id in reports.iter().filter_map(|event| event.app_id) {
        if ids.len() < REPORTED_MAX && !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut found = apps::list_of_ids(tx, &ids).await?;
    found.sort_by_key(|app| ids.iter().position(|id| *id == app.id));
    Ok(found)
}

async fn rows(
    tx: &mut Tx<'_>,
    found: Vec<App>,
    reports: &[AuditEvent],
    now: Timestamp,
) -> Result<Vec<StaffApp>, PageError> {
    let ids: Vec<AppId> = found.iter().map(|app| app.id).collect();
    let users = consents::count_given_to_each(tx, &ids).await?;
    let last_calls = usage::last_calls_of(tx, &ids).await?;
    let row = |app: App| {
        let own = reports.iter().filter(|event| event.app_id == Some(app.id));
        let own = own.take(REPORTS_PER_APP_MAX).filter_map(|event| user_report(event, now));
        StaffApp {
            id: app.id.to_string(),
            status: display::app_status(&app),
            kind: display::app_kind(app.kind),
            reason: display::status_note(&app),
            user_count: users.get(&app.id).copied().unwrap_or_default(),
            last_call_at: last_calls.get(&app.id).map(|at| display::moment(now, *at)),
            reports: own.collect(),
            name: app.name,
            publisher: app.publisher,
            client_id: app.client_id,
        }
    };
    Ok(found.into_iter().map(row).collect())
}

fn user_report(event: &AuditEvent, now: Timestamp) -> Option<UserReport> {
    let text = report_text(event)?.to_owned();
    Some(UserReport { at: display::moment(now, event.at), text })
}

pub async fn suspend(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let step = Step { kind: AuditKind::AppSuspended, done: Done::AppSuspended };
    step.take(&provider, &user, address, &id, &form.params).await
}

/// Let a suspended app go on. Not one's own: that would be approving it.
pub async fn resume(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let step = Step { kind: AuditKind::AppResumed, done: Done::AppResumed };
    step.take(&provider, &user, address, &id, &form.params).await
}

struct Step {
    kind: AuditKind,
    done: Done,
}

impl Step {
    async fn take(
        self,
        provider: &Provider,
        user: &SignedInUser,
        address: std::net::IpAddr,
        id: &str,
        params: &Params,
    ) -> Result<Response, PageError> {
        let id: AppId = id.parse().map_err(|_| PageError::NotFound)?;
        let reason = params.one("reason")?.unwrap_or_default().trim().to_owned();
        let error = match reason.chars().count() {
            0 => Some("Say why; the developer reads it."),
            length if length > REASON_MAX => Some("Use at most 500 characters."),
            _ => None,
        };
        if let Some(error) = error {
            // The app may be on any page of the list: alone it is found.
            let find = async move |tx: &mut Tx<'_>| apps::find(tx, id).await;
            let app = provider.store.db.read(find).await?.ok_or(PageError::NotFound)?;
            let mut page = load(provider, user, app.client_id, None).await?;
            page.error = Some((id.to_string(), error.to_owned()));
            return view::page_again(provider, &page);
        }
        let (by, now, kind) = (user.user.id, provider.now(), self.kind);
        let write = async move |tx: &mut Tx<'_>| {
            let Some(app) = apps::find(tx, id).await? else { return Ok(Err(PageError::NotFound)) };
            if kind == AuditKind::AppResumed && teams::role_for(tx, &app, by).await?.is_some() {
                let text = "You or your team registered this app. Somebody else has to resume it.";
                return Ok(Err(PageError::Forbidden(text.into())));
            }
            let app = match switch(app, kind, &reason, now) {
                Ok(app) => app,
                Err(error) => return Ok(Err(PageError::Conflict(error.to_string().into()))),
            };
            apps::save(tx, &app).await?;
            changes::record(tx, Change::App(id)).await?;
            let event = AuditEvent::new(now, kind, AuditActor::User(by))
                .app(id)
                .address(address)
                .detail(json!({ "reason": reason }));
            audit::record(tx, &event).await?;
            app_news::switched(tx, &app, &reason, now).await?;
            Ok::<_, PageError>(Ok(()))
        };
        provider.store.db.write(write).await??;
        Ok(self.done.redirect("/staff/apps").into_response())
    }
}

fn switch(app: App, kind: AuditKind, reason: &str, now: Timestamp) -> Result<App, AppError> {
    match kind {
        AuditKind::AppResumed => app.resume(now),
        _ => app.suspend(reason.to_owned(), now),
    }
}
