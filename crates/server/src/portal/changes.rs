//! Changes of an app by its developer. What staff look at (scopes, and the fields that the operator
//! names) waits while the approved state stays live; the rest holds at once.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::app::{App, AppError, AppLifetimes, ScopeRequest};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::policy;
use domain::revision::{FieldChange, Revised, Revision, RevisionField};
use domain::time::Timestamp;
use protocol::params::Params;
use protocol::scope::ScopeName;
use serde_json::{Value, json};
use store::{Tx, apps, audit, changes};

use super::app_view::{Typed, days, form_of, lifetimes_of, minutes, written_addresses};
use super::apps::{owned, show_again};
use super::form;
use super::registration::Standing;
use crate::actor::{AppOwner, SignedForm};
use crate::address::ClientAddress;
use crate::app_news;
use crate::error::PageError;
use crate::flash::Done;
use crate::pages::views::{AppForm, AppFormErrors, AppTab, Lifetimes};
use crate::provider::{Provider, Shared};

/// A change that is ready to be written: how the app looks after it, and what the audit says.
pub(super) struct Changed {
    pub(super) app: App,
    pub(super) detail: Value,
    pub(super) done: Done,
}

pub async fn details(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let as_it_stands = form_of(&owner.app, &provider.policy());
    let typed = form::read(&form.params, Vec::new())?;
    let typed = AppForm { kind: as_it_stands.kind, ..with_lists_of(as_it_stands, typed) };
    let (about, mut errors) = form::check_about(&typed);
    // A name that the operator gave may stay.
    if about.name != owner.app.name && errors.name.is_none() {
        errors.name = form::imitation_error(&about.name, provider.pages.brand_name());
    }
    if !form::is_clean(&errors) {
        return again(&provider, owner, AppTab::Settings, typed, errors).await;
    }
    let rules = Rules::of(&provider, &owner);
    let change = move |app: App, now| {
        let latest = app.latest_revision();
        let to = about.clone().revision(latest.redirect_uris, latest.logo);
        rules.revise(app, to, now)
    };
    write(&provider, owner, address, AppTab::Settings, change).await
}

/// What was typed about the app, with the lists that its other forms hold.
fn with_lists_of(as_it_stands: AppForm, typed: AppForm) -> AppForm {
    let AppForm { redirect_uris, addresses, scopes, .. } = as_it_stands;
    AppForm { redirect_uris, addresses, scopes, ..typed }
}

/// What a change goes by: the operator's rules for this developer.
pub(super) struct Rules {
    standing: Standing,
    reviewed: Vec<RevisionField>,
}

impl Rules {
    pub(super) fn of(provider: &Provider, owner: &AppOwner) -> Self {
        let policy = provider.policy();
        Self {
            standing: Standing::of(&policy, &owner.user.user),
            reviewed: policy.reviewed.clone(),
        }
    }

    pub(super) fn revise(
        &self,
        app: App,
        to: Revision,
        now: Timestamp,
    ) -> Result<Changed, AppError> {
        let changes: Vec<_> = app.latest_revision().changes(&to).iter().map(told).collect();
        let (app, revised) = match self.standing {
            Standing::Reviewed => app.revise(to, &self.reviewed, now)?,
            Standing::Unreviewed => app.revise_unreviewed(to, &self.reviewed, now)?,
        };
        let done = match revised {
            Revised::AtOnce => Done::AppSaved,
            Revised::WithTheApp => Done::AppToReview,
            Revised::WhileLive => Done::RevisionToReview,
        };
        Ok(Changed { app, detail: json!({ "changes": changes }), done })
    }
}

/// As the audit trail keeps it.
pub(crate) fn told(change: &FieldChange) -> Value {
    json!({ "field": change.field.name(), "before": change.before, "after": change.after })
}

pub async fn redirect_uris(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let text = form.params.one("redirect_uris")?.unwrap_or_default();
    let mut errors = AppFormErrors::default();
    let uris = form::check_redirect_uris(owner.app.kind, text, &mut errors);
    if !form::is_clean(&errors) {
        let as_it_stands = form_of(&owner.app, &provider.policy());
        let typed = AppForm { redirect_uris: text.to_owned(), ..as_it_stands };
        return again(&provider, owner, AppTab::Settings, typed, errors).await;
    }
    let rules = Rules::of(&provider, &owner);
    let change = move |app: App, now| {
        let to = Revision { redirect_uris: uris.clone(), ..app.latest_revision() };
        rules.revise(app, to, now)
    };
    write(&provider, owner, address, AppTab::Settings, change).await
}

/// Take back what waits for review.
pub async fn withdraw_proposal(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    _form: SignedForm,
) -> Result<Response, PageError> {
    let change = |app: App, now| {
        let (from, to) = (app.latest_revision(), app.revision());
        let changes: Vec<_> = from.changes(&to).iter().map(told).collect();
        let detail = json!({ "changes": changes });
        Ok(Changed { app: app.withdraw_proposal(now), detail, done: Done::ProposalWithdrawn })
    };
    write(&provider, owner, address, AppTab::Overview, change).await
}

/// Where the app may call from. Nobody but the app's own servers feels it, so nobody reviews it.
pub async fn addresses(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let text = form.params.one("addresses")?.unwrap_or_default();
    let mut errors = AppFormErrors::default();
    let networks = form::check_addresses(text, &mut errors);
    if !form::is_clean(&errors) {
        let as_it_stands = form_of(&owner.app, &provider.policy());
        let typed = AppForm { addresses: text.to_owned(), ..as_it_stands };
        return again(&provider, owner, AppTab::Settings, typed, errors).await;
    }
    let change = move |app: App, _| {
        let (before, after) = (written_addresses(&app.addresses), written_addresses(&networks));
        let fields = json!([{ "field": "Addresses", "before": before, "after": after }]);
        // Not `changed_at`: staff decide nothing about it.
        let app = App { addresses: networks.clone(), ..app };
        Ok(Changed { app, detail: json!({ "changes": fields }), done: Done::AppSaved })
    };
    write(&provider, owner, address, AppTab::Settings, change).await
}

/// Ask for more scopes.
pub async fn request_scopes(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let policy = provider.policy();
    let as_it_stands = form_of(&owner.app, &policy);
    let offered = form::offered_scopes(&policy, &owner.app.requested_scopes());
    let mut scopes = form::read_scopes(&form.params, offered)?;
    let mut errors = AppFormErrors::default();
    let requests = form::check_scopes(&mut scopes, &mut errors);
    if requests.is_empty() && errors.scopes.is_none() {
        errors.scopes = Some("Tick at least one scope.".to_owned());
    }
    if !form::is_clean(&errors) {
        let typed = AppForm { scopes, ..as_it_stands };
        return again(&provider, owner, AppTab::Scopes, typed, errors).await;
    }
    let standing = Standing::of(&policy, &owner.user.user);
    let change = move |app, now| {
        let mut changed = ask_for(app, requests.clone(), standing, now)?;
        changed.app = policy.approve_unseen(changed.app, now);
        if changed.app.is_admitted() && changed.app.pending_scopes().is_empty() {
            changed.done = Done::AppSaved;
        }
        Ok(changed)
    };
    write(&provider, owner, address, AppTab::Scopes, change).await
}

fn ask_for(
    app: App,
    requests: Vec<ScopeRequest>,
    standing: Standing,
    now: Timestamp,
) -> Result<Changed, AppError> {
    let names: Vec<_> = requests.iter().map(|request| request.scope.clone()).collect();
    let mut app = app.request_scopes(requests, now)?;
    let mut done = if app.is_admitted() { Done::ScopesRequested } else { Done::AppToReview };
    if app.is_admitted() && standing == Standing::Unreviewed {
        app.approved.extend(names.iter().cloned());
        app = app.change_unreviewed(now)?;
        done = Done::AppSaved;
    }
    Ok(Changed { app, detail: json!({ "scopes_requested": names }), done })
}

/// Give a scope up. Felt by the next call of every user's grant.
pub async fn remove_scope(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let scope = form.params.one("scope")?.and_then(|name| ScopeName::parse(name).ok());
    let scope = scope.ok_or(PageError::BadRequest("No scope was named.".into()))?;
    let change = move |app: App, now| {
        let detail = json!({ "scopes_removed": [scope] });
        Ok(Changed { app: app.drop_scope(&scope, now), detail, done: Done::ScopeRemoved })
    };
    write(&provider, owner, address, AppTab::Scopes, change).await
}

pub async fn lifetimes(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let policy = provider.policy();
    let read = read_lifetimes(&form.params, lifetimes_of(&owner.app, &policy))?;
    if read.error.is_some() {
        let tab = AppTab::Settings;
        let typed = Typed { tab, lifetimes: Some(read), ..Typed::default() };
        return show_again(&provider, owner, typed).await;
    }
    let defaults = policy.lifetimes_of(owner.app.main_dialect());
    let wish = wish_for(&read, defaults, owner.app.lifetimes);
    let detail = json!({
        "access_minutes": read.access_minutes, "refresh_days": read.refresh_days,
    });
    let change = move |app: App, _| {
        let app = App { lifetimes: wish, ..app };
        Ok(Changed { app, detail: detail.clone(), done: Done::AppSaved })
    };
    write(&provider, owner, address, AppTab::Settings, change).await
}

/// What was typed, with an error when it is no number or too large.
fn read_lifetimes(params: &Params, stands: Lifetimes) -> Result<Lifetimes, PageError> {
    let number = |name: &str| -> Result<u64, PageError> {
        Ok(params.one(name)?.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    };
    let (access_minutes, refresh_days) = (number("access_minutes")?, number("refresh_days")?);
    let error = if !(1..=stands.access_minutes_max).contains(&access_minutes) {
        Some(format!("Choose 1 to {} minutes.", stands.access_minutes_max))
    } else if !(1..=stands.refresh_days_max).contains(&refresh_days) {
        Some(format!("Choose 1 to {} days.", stands.refresh_days_max))
    } else {
        None
    };
    Ok(Lifetimes { access_minutes, refresh_days, error, ..stands })
}

/// The operator's default is no wish: the app follows when the operator changes it.
fn wish_for(read: &Lifetimes, defaults: policy::Lifetimes, stands: AppLifetimes) -> AppLifetimes {
    let policy::Lifetimes { access_token, refresh_idle, .. } = defaults;
    let wish = |chosen: u64, default: u64, unit: u64| {
        (chosen != default).then(|| Duration::from_secs(chosen.saturating_mul(unit)))
    };
    AppLifetimes {
        access_token: wish(read.access_minutes, minutes(access_token), 60),
        refresh_idle: wish(read.refresh_days, days(refresh_idle), 24 * 3600),
        ..stands
    }
}

async fn again(
    provider: &Provider,
    owner: AppOwner,
    tab: AppTab,
    form: AppForm,
    errors: AppFormErrors,
) -> Result<Response, PageError> {
    show_again(provider, owner, Typed { tab, form: Some(form), errors, ..Typed::default() }).await
}

/// Write what `change` makes of the app as it stands then.
pub(super) async fn write(
    provider: &Provider,
    owner: AppOwner,
    address: std::net::IpAddr,
    tab: AppTab,
    change: impl Fn(App, Timestamp) -> Result<Changed, AppError> + Send + Sync + 'static,
) -> Result<Response, PageError> {
    let (id, user, now) = (owner.app.id, owner.user.user.id, provider.now());
    let policy = provider.policy();
    let write = async move |tx: &mut Tx<'_>| {
        let app = owned(tx, id, user).await?;
        // Nothing is written yet, so a refusal is no reason for a rollback.
        let waited = app.awaits_review();
        let changed = match change(app, now) {
            Ok(changed) => changed,
            Err(refusal) => return Ok(Err(conflict(refusal))),
        };
        apps::save(tx, &changed.app).await?;
        changes::record(tx, Change::App(id)).await?;
        let event = AuditEvent::new(now, AuditKind::AppChanged, AuditActor::User(user))
            .app(id)
            .address(address)
            .detail(changed.detail);
        audit::record(tx, &event).await?;
        if !waited && changed.app.awaits_review() {
            app_news::submitted(tx, &changed.app, &policy.review_mail, now).await?;
        }
        Ok::<_, PageError>(Ok(changed.done))
    };
    let done = provider.store.db.write(write).await??;
    Ok(done.redirect(&tab.path(&id.to_string())).into_response())
}

fn conflict(error: AppError) -> PageError {
    PageError::Conflict(error.to_string().into())
}
