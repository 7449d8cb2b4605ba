//! The review queue: apps that wait for staff, and the decision per scope. A decision names the
//! state of the app that the reviewer saw; if the developer changed it since, they look again.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use domain::app::{App, AppError};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::{AppId, UserId};
use domain::policy::Policy;
use domain::time::Timestamp;
use protocol::params::Params;
use protocol::scope::{ScopeName, ScopeSet};
use serde_json::{Value, json};
use store::{DbError, Tx, apps, audit, changes, consents};

use super::flags::{Surroundings, flags};
use crate::actor::{Reviewer, SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::display;
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{FieldChange, QueueEntry, ReviewApp, ReviewQueue, ReviewScope, Section};
use crate::provider::{Provider, Shared};
use crate::view;

/// Audit entries of one app that a review looks at.
const HISTORY_MAX: u32 = 200;
/// Of a note or a condition, in characters.
const NOTE_MAX: usize = 1000;

pub async fn list(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let (now, policy) = (provider.now(), provider.policy());
    let read = async move |tx: &mut Tx<'_>| {
        let mut entries = Vec::new();
        for app in apps::list_for_review(tx).await? {
            let candidate = Candidate::load(tx, app).await?;
            entries.push(candidate.entry(&policy, now));
        }
        Ok::<_, PageError>(entries)
    };
    let entries = provider.store.db.read_long(read).await?;
    let layout = user.layout().in_section(Section::Review).with_flash(flash);
    view::page(&provider, &ReviewQueue { layout, entries })
}

pub async fn show(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let candidate = load(&provider, parse_id(&id)?).await?;
    let page = candidate.page(&user, &provider.policy(), provider.now());
    view::page(&provider, &page)
}

async fn load(provider: &Provider, id: AppId) -> Result<Candidate, PageError> {
    let read = async move |tx: &mut Tx<'_>| {
        let app = apps::find(tx, id).await?.filter(App::awaits_review);
        let app = app.ok_or(PageError::NotFound)?;
        Ok::<_, PageError>(Candidate::load(tx, app).await?)
    };
    provider.store.db.read(read).await
}

/// Approve what is ticked, or reject.
pub async fn decide(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let candidate = load(&provider, parse_id(&id)?).await?;
    if candidate.app.owner == user.user.id {
        let text = "You registered this app yourself. Somebody else has to decide.";
        return Err(PageError::Forbidden(text.into()));
    }
    let verdict = Verdict::read(&form.params, &candidate.app)?;
    let (id, by, now) = (candidate.app.id, user.user.id, provider.now());
    if let Some(error) = verdict.error(&candidate.app) {
        let mut page = candidate.page(&user, &provider.policy(), now);
        verdict.show_again(&mut page, error);
        return view::page_again(&provider, &page);
    }
    let write = async move |tx: &mut Tx<'_>| {
        let app = apps::find(tx, id).await?.ok_or(PageError::NotFound)?;
        if app.changed_at.as_millis().to_string() != verdict.revision {
            let text = "The developer changed the app since you opened it. Look at it again.";
            return Err(PageError::Conflict(text.into()));
        }
        let (app, event) = verdict
            .apply(app, by, now)
            .map_err(|error| PageError::Conflict(error.to_string().into()))?;
        apps::save(tx, &app).await?;
        changes::record(tx, Change::App(id)).await?;
        audit::record(tx, &event.address(address)).await?;
        Ok(if verdict.approve { Done::AppApproved } else { Done::AppRejected })
    };
    let done = provider.store.db.write(write).await?;
    Ok(done.redirect("/staff/review").into_response())
}

/// What the reviewer decided.
struct Verdict {
    approve: bool,
    scopes: ScopeSet,
    conditions: BTreeMap<ScopeName, String>,
    note: String,
    revision: String,
}

impl Verdict {
    fn read(params: &Params, app: &App) -> Result<Self, PageError> {
        let approve = match params.one("decision")? {
            Some("approve") => true,
            Some("reject") => false,
            _ => return Err(PageError::BadRequest("The form carries no decision.".into())),
        };
        let ticked: Vec<_> = params.all("scope").collect();
        let mut conditions = BTreeMap::new();
        for scope in &app.requested_scopes() {
            let text = params.one(&format!("condition.{scope}"))?.unwrap_or_default().trim();
            if !text.is_empty() {
                conditions.insert(scope.clone(), text.to_owned());
            }
        }
        let is_ticked = |scope: &&ScopeName| ticked.contains(&scope.as_str());
        Ok(Self {
            approve,
            scopes: app.requested_scopes().iter().filter(is_ticked).cloned().collect(),
            conditions,
            note: params.one("note")?.unwrap_or_default().trim().to_owned(),
            revision: params.one("revision")?.unwrap_or_default().to_owned(),
        })
    }

    fn error(&self, app: &App) -> Option<&'static str> {
        let texts = self.conditions.values().chain([&self.note]);
        if texts.into_iter().any(|text| text.chars().count() > NOTE_MAX) {
            return Some("Use at most 1000 characters for a note or a condition.");
        }
        if !self.approve && self.note.is_empty() {
            return Some("Write a note to the developer to reject.");
        }
        let asks = !app.requested.is_empty();
        (self.approve && asks && self.scopes.is_empty())
            .then_some("Tick at least one scope, or reject the app.")
    }

    fn show_again(self, page: &mut ReviewApp, error: &str) {
        for scope in &mut page.scopes {
            scope.approve = self.scopes.contains(&scope.id);
            let typed = ScopeName::parse(&scope.id).ok().and_then(|s| self.conditions.get(&s));
            scope.condition = typed.cloned().unwrap_or_default();
        }
        page.note = self.note;
        page.error = Some(error.to_owned());
    }

    /// The app after the decision and what the audit says. `portal::app_view` reads it back.
    fn apply(&self, app: App, by: UserId, now: Timestamp) -> Result<(App, AuditEvent), AppError> {
        let kept = match (self.approve, app.is_live()) {
            (true, _) => self.scopes.clone(),
            // Of a live app only the request for more is rejected.
            (false, true) => app.approved.clone(),
            (false, false) => ScopeSet::new(),
        };
        let refused = app.requested_scopes().difference(&kept);
        let said = |scopes: &ScopeSet, otherwise: &str| -> Value {
            let text = |scope: &ScopeName| {
                self.conditions.get(scope).map_or(otherwise, String::as_str).to_owned()
            };
            scopes.iter().map(|scope| (scope.to_string(), Value::String(text(scope)))).collect()
        };
        let conditions: ScopeSet =
            self.conditions.keys().filter(|s| kept.contains(s.as_str())).cloned().collect();
        let detail = json!({
            "approved": kept,
            "conditions": said(&conditions, ""),
            "refused": said(&refused, &self.note),
            "note": self.note,
        });
        let kind = if self.approve { AuditKind::AppApproved } else { AuditKind::AppRejected };
        let app = match (self.approve, app.is_live()) {
            (true, _) => app.approve(&self.scopes, by, now)?,
            (false, true) => app.refuse_pending(now)?,
            (false, false) => app.reject(self.note.clone(), now)?,
        };
        let event = AuditEvent::new(now, kind, AuditActor::User(by)).app(app.id).detail(detail);
        Ok((app, event))
    }
}

/// An app that waits, with what a reviewer compares it with.
struct Candidate {
    app: App,
    /// Newest first.
    history: Vec<AuditEvent>,
    live_names: Vec<String>,
    user_count: u64,
}

impl Candidate {
    async fn load(tx: &mut Tx<'_>, app: App) -> Result<Self, DbError> {
        let live = apps::list_live_names(tx).await?;
        Ok(Self {
            history: audit::list_of_app(tx, app.id, HISTORY_MAX).await?,
            live_names: live.into_iter().filter(|(id, _)| *id != app.id).map(|(_, n)| n).collect(),
            user_count: consents::count_given_to(tx, app.id).await?,
            app,
        })
    }

    fn flags(&self, policy: &Policy) -> Vec<crate::pages::views::RiskFlag> {
        let is_report = |event: &&AuditEvent| event.kind == AuditKind::AppReported;
        let reports: Vec<_> = self.history.iter().filter(is_report).cloned().collect();
        let around = Surroundings { policy, live_names: &self.live_names, reports: &reports };
        flags(&self.app, &around)
    }

    fn entry(&self, policy: &Policy, now: Timestamp) -> QueueEntry {
        let asked = match self.app.is_live() {
            true => self.app.pending_scopes().len(),
            false => self.app.requested.len(),
        };
        QueueEntry {
            id: self.app.id.to_string(),
            name: self.app.name.clone(),
            publisher: self.app.publisher.clone(),
            kind: display::app_kind(self.app.kind),
            is_change: self.was_approved(),
            waiting_since: display::moment(now, self.app.changed_at),
            scope_count: asked as u64,
            flags: self.flags(policy),
        }
    }

    fn was_approved(&self) -> bool {
        self.app.is_live() || !self.app.approved.is_empty()
    }

    fn page(&self, user: &SignedInUser, policy: &Policy, now: Timestamp) -> ReviewApp {
        let app = &self.app;
        ReviewApp {
            layout: user.layout().in_section(Section::Review),
            id: app.id.to_string(),
            revision: app.changed_at.as_millis().to_string(),
            name: app.name.clone(),
            publisher: app.publisher.clone(),
            kind: display::app_kind(app.kind),
            client_id: app.client_id.clone(),
            description: app.description.clone(),
            homepage: app.homepage.clone(),
            privacy_url: app.privacy_url.clone(),
            terms_url: app.terms_url.clone(),
            redirect_uris: app.redirect_uris.iter().map(ToString::to_string).collect(),
            waiting_since: display::moment(now, app.changed_at),
            user_count: self.user_count,
            flags: self.flags(policy),
            scopes: self.scopes(policy),
            changes: self.changes(),
            note: String::new(),
            error: None,
        }
    }

    fn scopes(&self, policy: &Policy) -> Vec<ReviewScope> {
        let one = |request: &domain::app::ScopeRequest| {
            let words = display::scope(policy, &request.scope);
            ReviewScope {
                id: request.scope.to_string(),
                kind: words.kind,
                tier: words.tier,
                text: words.text,
                purpose: Some(request.purpose.clone()).filter(|text| !text.is_empty()),
                required: request.required,
                new: self.was_approved() && !self.app.approved.contains(request.scope.as_str()),
                approve: true,
                condition: String::new(),
            }
        };
        self.app.requested.iter().map(one).collect()
    }

    /// What the developer changed since the last approval: each field as it was then and is now.
    fn changes(&self) -> Vec<FieldChange> {
        if !self.was_approved() {
            return Vec::new();
        }
        let is_approval = |event: &&AuditEvent| event.kind == AuditKind::AppApproved;
        let since: Vec<_> = self.history.iter().take_while(|event| !is_approval(event)).collect();
        let mut fields: Vec<FieldChange> = Vec::new();
        for change in since.iter().rev().filter_map(|event| event.detail.get("changes")) {
            for change in change.as_array().into_iter().flatten().filter_map(field_change) {
                match fields.iter_mut().find(|known| known.field == change.field) {
                    Some(known) => known.after = change.after,
                    None => fields.push(change),
                }
            }
        }
        fields.retain(|change| change.before != change.after);
        fields
    }
}

fn field_change(value: &Value) -> Option<FieldChange> {
    let text = |name: &str| value.get(name).and_then(|text| text.as_str()).map(str::to_owned);
    Some(FieldChange { field: text("field")?, before: text("before")?, after: text("after")? })
}

fn parse_id(text: &str) -> Result<AppId, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}
