//! Apps for the command line. What the operator creates is live at once; the operator has looked.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use domain::app::{App, AppError, AppKind, AppStatus, ClientSecret, ScopeRequest};
use domain::audit::AuditKind;
use domain::change::Change;
use domain::policy::Policy;
use domain::time::Timestamp;
use domain::user::User;
use http::StatusCode;
use ipnet::IpNet;
use protocol::redirect_uri::RedirectUri;
use protocol::scope::{ScopeName, ScopeSet};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Tx, apps, audit, changes, client_secrets, users};

use super::error::{Body, ControlError};
use super::operator::Operator;
use crate::pages::views::AppFormErrors;
use crate::portal::form::{self, About, Draft};
use crate::portal::registration::{self, Standing};
use crate::provider::{Provider, Shared};

/// On the wire a client id is at most this long.
const CLIENT_ID_MAX: usize = 100;
/// Shorter ones can be guessed.
const SECRET_MIN: usize = 16;

/// What the operator says about a new app. Everything but name, kind and owner can be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApp {
    pub name: String,
    pub kind: AppKind,
    /// The e-mail address of its developer.
    pub owner: String,
    #[serde(default)]
    pub description: String,
    pub homepage: Option<String>,
    pub publisher: Option<String>,
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Scope and what the app needs it for.
    #[serde(default)]
    pub scopes: BTreeMap<ScopeName, String>,
    /// Those of `scopes` that the app cannot work without.
    #[serde(default)]
    pub required: ScopeSet,
    /// What it may do for itself, by client credentials.
    #[serde(default)]
    pub service_scopes: ScopeSet,
    /// Where it may call from; empty: from anywhere.
    #[serde(default)]
    pub addresses: Vec<IpNet>,
    /// The dialect whose endpoints it uses.
    pub dialect: Option<String>,
    /// With a dialect: the standard endpoints too.
    #[serde(default)]
    pub also_standard: bool,
    /// Chosen instead of made up, for apps that move here from elsewhere.
    pub client_id: Option<String>,
    pub client_secret: Option<String>,
}

/// An app as the command line shows it. Never a secret, but in the answer that made it.
#[derive(Clone, Debug, Serialize)]
pub struct AppRecord {
    pub client_id: String,
    pub name: String,
    pub kind: AppKind,
    pub status: &'static str,
    /// Why it was rejected or suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub owner: String,
    pub redirect_uris: Vec<String>,
    pub scopes_requested: ScopeSet,
    pub scopes_approved: ScopeSet,
    pub service_scopes: ScopeSet,
    pub addresses: Vec<IpNet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct AppList {
    pub apps: Vec<AppRecord>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Reason {
    #[serde(default)]
    pub reason: String,
}

pub async fn list(State(provider): State<Shared>) -> Result<Json<AppList>, ControlError> {
    let read = async move |tx: &mut Tx<'_>| {
        let mut records = Vec::new();
        for app in apps::list_all(tx).await? {
            records.push(record(tx, app).await?);
        }
        Ok::<_, ControlError>(records)
    };
    Ok(Json(AppList { apps: provider.store.db.read_long(read).await? }))
}

pub async fn show(
    State(provider): State<Shared>,
    Path(client_id): Path<String>,
) -> Result<Json<AppRecord>, ControlError> {
    let read = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        record(tx, app).await
    };
    Ok(Json(provider.store.db.read(read).await?))
}

pub async fn create(
    State(provider): State<Shared>,
    operator: Operator,
    Body(new): Body<NewApp>,
) -> Result<(StatusCode, Json<AppRecord>), ControlError> {
    Ok((StatusCode::CREATED, Json(register_by(&provider, operator, new).await?)))
}

/// Register an app that the program brings itself.
pub async fn register(provider: &Provider, new: NewApp) -> Result<AppRecord, ControlError> {
    register_by(provider, Operator::program(), new).await
}

/// Register an app as the operator. The answer holds its secret, if it has one, for the only time.
async fn register_by(
    provider: &Provider,
    operator: Operator,
    new: NewApp,
) -> Result<AppRecord, ControlError> {
    let policy = provider.policy();
    let draft = match check(&new, &policy) {
        Ok(draft) => draft,
        Err(mut mistakes) => {
            let owner = new.owner.clone();
            let find = async move |tx: &mut Tx<'_>| users::find_by_email(tx, &owner).await;
            if provider.store.db.read(find).await?.is_none() {
                mistakes.push(format!("owner: {}", unknown_user(&new.owner)));
            }
            return Err(ControlError::invalid(&mistakes));
        }
    };
    let (now, entropy) = (provider.now(), provider.entropy.clone());
    let (keyring, given) = (provider.keyring(), new.client_secret.clone());
    let secret = draft
        .kind
        .is_confidential()
        .then(|| given.unwrap_or_else(|| registration::random_secret(&*entropy)));
    let shown = secret.clone();
    let write = async move |tx: &mut Tx<'_>| {
        let owner = users::find_by_email(tx, &new.owner).await?;
        let owner = owner.ok_or_else(|| unknown_user(&new.owner))?;
        let app = operators_app(&new, draft.clone(), &owner, &*entropy, now);
        if !apps::insert(tx, &app).await? {
            let text = format!("there is an app with the client id {} already", app.client_id);
            return Err(ControlError::Conflict(text));
        }
        if let Some(text) = &secret {
            let row: ClientSecret =
                registration::secret_row(app.id, text, &keyring, &*entropy, now);
            client_secrets::insert(tx, &row).await?;
        }
        let detail = json!({ "name": app.name, "client_id": app.client_id });
        let event = operator.event(now, AuditKind::AppCreated, detail).app(app.id).user(owner.id);
        audit::record(tx, &event).await?;
        record(tx, app).await
    };
    let record = provider.store.db.write(write).await?;
    Ok(AppRecord { client_secret: shown, ..record })
}

fn operators_app(
    new: &NewApp,
    draft: Draft,
    owner: &User,
    entropy: &dyn domain::entropy::Entropy,
    now: Timestamp,
) -> App {
    let app = registration::new_app(draft, owner, Standing::Unreviewed, entropy, now);
    let service_scopes = match (app.kind, new.service_scopes.is_empty()) {
        (AppKind::Service, true) => app.approved.clone(),
        _ => new.service_scopes.clone(),
    };
    App {
        client_id: new.client_id.clone().unwrap_or(app.client_id),
        publisher: new.publisher.clone().unwrap_or(app.publisher),
        addresses: new.addresses.clone(),
        also_standard: app.dialect.is_some() && new.also_standard,
        service_scopes,
        ..app
    }
}

/// The rules of the pages; every mistake at once.
fn check(new: &NewApp, policy: &Policy) -> Result<Draft, Vec<String>> {
    let name = new.name.trim().to_owned();
    let mut mistakes = Vec::new();
    mistakes.extend(form::name_error(&name).map(|error| format!("name: {error}")));
    let homepage = new.homepage.as_deref().and_then(form::url_error);
    mistakes.extend(homepage.map(|error| format!("homepage: {error}")));
    let redirect_uris = check_redirect_uris(new, &mut mistakes);
    check_scopes(new, policy, &mut mistakes);
    let dialect = new.dialect.as_deref().and_then(|name| policy.dialect(name));
    let wire = dialect.and_then(|dialect| form::wire_error(dialect, new.kind));
    mistakes.extend(wire.map(|error| format!("dialect: {error}")));
    let unknown = new.dialect.as_deref().filter(|name| policy.dialect(name).is_none());
    mistakes.extend(
        unknown.map(|name| format!("dialect: {name} is not among the `dialects` of the config")),
    );
    check_credentials(new, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let request = |(scope, purpose): (&ScopeName, &String)| ScopeRequest {
        scope: scope.clone(),
        purpose: purpose.clone(),
        required: new.required.contains(scope.as_str()),
    };
    Ok(Draft {
        about: About {
            name,
            description: new.description.trim().to_owned(),
            homepage: new.homepage.clone(),
            privacy_url: None,
            terms_url: None,
        },
        kind: new.kind,
        dialect: new.dialect.clone(),
        redirect_uris,
        requested: new.scopes.iter().map(request).collect(),
    })
}

fn check_redirect_uris(new: &NewApp, mistakes: &mut Vec<String>) -> Vec<RedirectUri> {
    let mut errors = AppFormErrors::default();
    let text = new.redirect_uris.join("\n");
    let uris = form::check_redirect_uris(new.kind, &text, &mut errors);
    let lines = errors.redirect_lines.iter();
    mistakes.extend(lines.map(|bad| format!("redirect_uris: {}: {}", bad.uri, bad.reason)));
    mistakes.extend(errors.redirect_uris.map(|error| format!("redirect_uris: {error}")));
    uris
}

fn check_scopes(new: &NewApp, policy: &Policy, mistakes: &mut Vec<String>) {
    let names: ScopeSet = new.scopes.keys().cloned().collect();
    let asked = names.union(&new.required).union(&new.service_scopes);
    let unknown = asked.difference(&policy.scope_names());
    let unknown = unknown.iter();
    mistakes.extend(unknown.map(|name| format!("scopes: {name} is not a scope of this provider")));
    let extra = asked.difference(&names);
    let extra = extra.iter();
    mistakes.extend(extra.map(|name| format!("scopes: {name} is not among the app's scopes")));
    if !new.service_scopes.is_empty() && !new.kind.is_confidential() {
        mistakes.push("service_scopes: a public app has no client credentials".to_owned());
    }
}

fn check_credentials(new: &NewApp, mistakes: &mut Vec<String>) {
    // RFC 6749 Appendix A.1 and A.2 allow VSCHAR; a colon or a space would be read in three
    // different ways in HTTP Basic.
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if let Some(id) = &new.client_id
        && (id.is_empty() || id.len() > CLIENT_ID_MAX || !plain(id))
    {
        mistakes.push(format!(
            "client_id: use 1 to {CLIENT_ID_MAX} visible ASCII characters, no colon"
        ));
    }
    match &new.client_secret {
        Some(_) if !new.kind.is_confidential() => {
            mistakes.push("client_secret: a public app has none".to_owned());
        }
        Some(secret) if secret.len() < SECRET_MIN || !plain(secret) => mistakes
            .push(format!("client_secret: use at least {SECRET_MIN} visible ASCII characters")),
        _ => {}
    }
}

pub async fn suspend(
    State(provider): State<Shared>,
    operator: Operator,
    Path(client_id): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<AppRecord>, ControlError> {
    let said = reason.clone();
    let suspend = move |app: App, now| app.suspend(said.clone(), now);
    switch(&provider, operator, client_id, (AuditKind::AppSuspended, reason), suspend).await
}

/// Let a suspended app go on.
pub async fn resume(
    State(provider): State<Shared>,
    operator: Operator,
    Path(client_id): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<AppRecord>, ControlError> {
    switch(&provider, operator, client_id, (AuditKind::AppResumed, reason), App::resume).await
}

/// Write what `change` makes of the app, felt by its next call.
async fn switch(
    provider: &Provider,
    operator: Operator,
    client_id: String,
    (kind, reason): (AuditKind, String),
    change: impl Fn(App, Timestamp) -> Result<App, AppError> + Send + Sync + 'static,
) -> Result<Json<AppRecord>, ControlError> {
    let now = provider.now();
    let write = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        let app = change(app, now).map_err(|error| ControlError::Conflict(error.to_string()))?;
        apps::save(tx, &app).await?;
        changes::record(tx, Change::App(app.id)).await?;
        let event = operator.event(now, kind, json!({ "reason": reason })).app(app.id);
        audit::record(tx, &event).await?;
        record(tx, app).await
    };
    Ok(Json(provider.store.db.write(write).await?))
}

async fn named(tx: &mut Tx<'_>, client_id: &str) -> Result<App, ControlError> {
    let found = apps::find_by_client_id(tx, client_id).await?;
    found.ok_or_else(|| ControlError::NotFound(format!("there is no app {client_id}")))
}

pub(super) fn unknown_user(email: &str) -> ControlError {
    ControlError::NotFound(format!("there is no user {email}"))
}

async fn record(tx: &mut Tx<'_>, app: App) -> Result<AppRecord, ControlError> {
    let owner = users::find(tx, app.owner).await?;
    let (status, reason) = match app.status {
        AppStatus::InReview => ("in_review", None),
        AppStatus::Live { .. } => ("live", None),
        AppStatus::Rejected { note, .. } => ("rejected", Some(note)),
        AppStatus::Suspended { reason, .. } => ("suspended", Some(reason)),
        AppStatus::Retired { .. } => ("retired", None),
    };
    Ok(AppRecord {
        scopes_requested: app.requested.iter().map(|request| request.scope.clone()).collect(),
        client_id: app.client_id,
        name: app.name,
        kind: app.kind,
        status,
        reason,
        owner: owner.map(|user| user.email).unwrap_or_default(),
        redirect_uris: app.redirect_uris.iter().map(ToString::to_string).collect(),
        scopes_approved: app.approved,
        service_scopes: app.service_scopes,
        addresses: app.addresses,
        dialect: app.dialect,
        created_at: super::rfc3339(app.created_at),
        client_secret: None,
    })
}
