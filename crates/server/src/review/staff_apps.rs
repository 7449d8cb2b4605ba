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
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{Section, StaffApp, StaffApps, UserReport};
use crate::provider::{Provider, Shared};
use crate::{app_news, view};

/// Apps on one page; whoever looks for another searches.
const SHOWN_MAX: usize = 100;
/// Reports that are looked through for the page.
const REPORTS_MAX: u32 = 500;
const REPORTS_PER_APP_MAX: usize = 5;
/// In characters.
const REASON_MAX: usize = 500;

pub async fn list(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Told(flash): Told,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let query = params.one("q")?.unwrap_or_default().trim().to_owned();
    let mut page = load(&provider, &user, query).await?;
    page.layout = page.layout.with_flash(flash);
    view::page(&provider, &page)
}

async fn load(
    provider: &Provider,
    user: &SignedInUser,
    query: String,
) -> Result<StaffApps, PageError> {
    let (now, wanted) = (provider.now(), query.to_lowercase());
    let read = async move |tx: &mut Tx<'_>| {
        let reports = audit::list_of_kind(tx, AuditKind::AppReported, REPORTS_MAX).await?;
        let mut found = apps::list_all(tx).await?;
        found.retain(|app| matches(app, &wanted));
        found.sort_by_key(|app| {
            let is_reported = reports.iter().any(|event| event.app_id == Some(app.id));
            (!is_reported, app.name.to_lowercase())
        });
        let mut shown = Vec::new();
        for app in found.into_iter().take(SHOWN_MAX) {
            let user_count = consents::count_given_to(tx, app.id).await?;
            let last_call_at = usage::last_call_of_app(tx, app.id).await?;
            let reports = reports.iter().filter(|event| event.app_id == Some(app.id));
            let reports = reports.take(REPORTS_PER_APP_MAX).filter_map(|e| user_report(e, now));
            shown.push(StaffApp {
                id: app.id.to_string(),
                status: display::app_status(&app),
                kind: display::app_kind(app.kind),
                reason: display::status_note(&app),
                user_count,
                last_call_at: last_call_at.map(|at| display::moment(now, at)),
                reports: reports.collect(),
                name: app.name,
                publisher: app.publisher,
                client_id: app.client_id,
            });
        }
        Ok::<_, PageError>(shown)
    };
    let apps = provider.store.db.read_long(read).await?;
    let layout = user.layout().in_section(Section::StaffApps);
    Ok(StaffApps { layout, query, apps, error: None })
}

fn user_report(event: &AuditEvent, now: Timestamp) -> Option<UserReport> {
    let text = report_text(event)?.to_owned();
    Some(UserReport { at: display::moment(now, event.at), text })
}

fn matches(app: &App, wanted: &str) -> bool {
    let texts = [&app.name, &app.publisher, &app.client_id];
    texts.into_iter().any(|text| text.to_lowercase().contains(wanted))
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
            let mut page = load(provider, user, String::new()).await?;
            page.error = Some((id.to_string(), error.to_owned()));
            return view::page_again(provider, &page);
        }
        let (by, now, kind) = (user.user.id, provider.now(), self.kind);
        let write = async move |tx: &mut Tx<'_>| {
            let app = apps::find(tx, id).await?.ok_or(PageError::NotFound)?;
            if kind == AuditKind::AppResumed && teams::role_for(tx, &app, by).await?.is_some() {
                let text = "You or your team registered this app. Somebody else has to resume it.";
                return Err(PageError::Forbidden(text.into()));
            }
            let app = switch(app, kind, &reason, now)
                .map_err(|error| PageError::Conflict(error.to_string().into()))?;
            apps::save(tx, &app).await?;
            changes::record(tx, Change::App(id)).await?;
            let event = AuditEvent::new(now, kind, AuditActor::User(by))
                .app(id)
                .address(address)
                .detail(json!({ "reason": reason }));
            audit::record(tx, &event).await?;
            app_news::switched(tx, &app, &reason, now).await?;
            Ok(())
        };
        provider.store.db.write(write).await?;
        Ok(self.done.redirect("/staff/apps").into_response())
    }
}

fn switch(app: App, kind: AuditKind, reason: &str, now: Timestamp) -> Result<App, AppError> {
    match kind {
        AuditKind::AppResumed => app.resume(now),
        _ => app.suspend(reason.to_owned(), now),
    }
}
