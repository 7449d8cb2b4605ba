//! Changes of an app by its developer. What staff look at (name, redirect URIs, scopes) follows the
//! operator's registration policy; the rest holds at once.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::app::{App, AppError, AppLifetimes, AppStatus, ScopeRequest};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::policy;
use domain::time::Timestamp;
use protocol::params::Params;
use protocol::redirect_uri::RedirectUri;
use protocol::scope::ScopeName;
use serde_json::{Value, json};
use store::{Tx, apps, audit, changes};

use super::app_view::{Typed, days, form_of, lifetimes_of, minutes, written_addresses};
use super::apps::{owned, path_of, show_again};
use super::form::{self, About};
use super::registration::Standing;
use crate::actor::{AppOwner, SignedForm};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::Done;
use crate::pages::views::{AppForm, AppFormErrors, Lifetimes};
use crate::provider::{Provider, Shared};

/// A change that is ready to be written: how the app looks after it, and what the audit says.
struct Changed {
    app: App,
    detail: Value,
    done: Done,
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
        return again(&provider, owner, typed, errors).await;
    }
    let standing = Standing::of(&provider.policy(), &owner.user.user);
    let change = move |app, now| change_about(app, about.clone(), standing, now);
    write(&provider, owner, address, change).await
}

/// What was typed about the app, with the lists that its other forms hold.
fn with_lists_of(as_it_stands: AppForm, typed: AppForm) -> AppForm {
    let AppForm { redirect_uris, addresses, scopes, .. } = as_it_stands;
    AppForm { redirect_uris, addresses, scopes, ..typed }
}

fn change_about(
    mut app: App,
    about: About,
    standing: Standing,
    now: Timestamp,
) -> Result<Changed, AppError> {
    let mut fields = Vec::new();
    let mut note = |field: &str, before: &str, after: &str| {
        if before != after {
            fields.push(json!({ "field": field, "before": before, "after": after }));
        }
    };
    note("Name", &app.name, &about.name);
    note("Description", &app.description, &about.description);
    let text = |url: &Option<String>| url.clone().unwrap_or_default();
    note("Homepage", &text(&app.homepage), &text(&about.homepage));
    note("Privacy policy", &text(&app.privacy_url), &text(&about.privacy_url));
    note("Terms of service", &text(&app.terms_url), &text(&about.terms_url));
    let is_renamed = app.name != about.name;
    app.name = about.name;
    app.description = about.description;
    app.homepage = about.homepage;
    app.privacy_url = about.privacy_url;
    app.terms_url = about.terms_url;
    // A rejected app goes back to review whatever was changed: that is how a developer answers.
    let answers = !fields.is_empty() && matches!(app.status, AppStatus::Rejected { .. });
    let (app, done) = match is_renamed || answers {
        true => look_again(app, standing, now)?,
        false => (App { changed_at: now, ..app }, Done::AppSaved),
    };
    Ok(Changed { app, detail: json!({ "changes": fields }), done })
}

/// The app after a change of what staff look at.
fn look_again(app: App, standing: Standing, now: Timestamp) -> Result<(App, Done), AppError> {
    let app = match standing {
        Standing::Reviewed => app.reopen_review(now)?,
        Standing::Unreviewed => app.change_unreviewed(now)?,
    };
    let done = if app.is_live() { Done::AppSaved } else { Done::AppToReview };
    Ok((app, done))
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
        return again(&provider, owner, typed, errors).await;
    }
    let standing = Standing::of(&provider.policy(), &owner.user.user);
    let change = move |app, now| change_redirect_uris(app, uris.clone(), standing, now);
    write(&provider, owner, address, change).await
}

fn change_redirect_uris(
    mut app: App,
    uris: Vec<RedirectUri>,
    standing: Standing,
    now: Timestamp,
) -> Result<Changed, AppError> {
    let lines =
        |uris: &[RedirectUri]| uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>().join("\n");
    let (before, after) = (lines(&app.redirect_uris), lines(&uris));
    if before == after {
        return Ok(Changed { app, detail: json!({ "changes": [] }), done: Done::AppSaved });
    }
    app.redirect_uris = uris;
    let (app, done) = look_again(app, standing, now)?;
    let fields = json!([{ "field": "Redirect URIs", "before": before, "after": after }]);
    Ok(Changed { app, detail: json!({ "changes": fields }), done })
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
        return again(&provider, owner, typed, errors).await;
    }
    let change = move |app: App, _| {
        let (before, after) = (written_addresses(&app.addresses), written_addresses(&networks));
        let fields = json!([{ "field": "Addresses", "before": before, "after": after }]);
        // Not `changed_at`: staff decide nothing about it.
        let app = App { addresses: networks.clone(), ..app };
        Ok(Changed { app, detail: json!({ "changes": fields }), done: Done::AppSaved })
    };
    write(&provider, owner, address, change).await
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
        return again(&provider, owner, AppForm { scopes, ..as_it_stands }, errors).await;
    }
    let standing = Standing::of(&policy, &owner.user.user);
    let change = move |app, now| ask_for(app, requests.clone(), standing, now);
    write(&provider, owner, address, change).await
}

fn ask_for(
    app: App,
    requests: Vec<ScopeRequest>,
    standing: Standing,
    now: Timestamp,
) -> Result<Changed, AppError> {
    let names: Vec<_> = requests.iter().map(|request| request.scope.clone()).collect();
    let mut app = app.request_scopes(requests, now)?;
    let mut done = if app.is_live() { Done::ScopesRequested } else { Done::AppToReview };
    if app.is_live() && standing == Standing::Unreviewed {
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
    write(&provider, owner, address, change).await
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
        let typed = Typed { lifetimes: Some(read), ..Typed::default() };
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
    write(&provider, owner, address, change).await
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
    form: AppForm,
    errors: AppFormErrors,
) -> Result<Response, PageError> {
    show_again(provider, owner, Typed { form: Some(form), errors, lifetimes: None }).await
}

/// Write what `change` makes of the app as it stands then.
async fn write(
    provider: &Provider,
    owner: AppOwner,
    address: std::net::IpAddr,
    change: impl Fn(App, Timestamp) -> Result<Changed, AppError> + Send + Sync + 'static,
) -> Result<Response, PageError> {
    let (id, user, now) = (owner.app.id, owner.user.user.id, provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        let app = owned(tx, id, user).await?;
        let changed = change(app, now).map_err(conflict)?;
        apps::save(tx, &changed.app).await?;
        changes::record(tx, Change::App(id)).await?;
        let event = AuditEvent::new(now, AuditKind::AppChanged, AuditActor::User(user))
            .app(id)
            .address(address)
            .detail(changed.detail);
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(changed.done)
    };
    let done = provider.store.db.write(write).await?;
    Ok(done.redirect(&path_of(id)).into_response())
}

fn conflict(error: AppError) -> PageError {
    PageError::Conflict(error.to_string().into())
}
