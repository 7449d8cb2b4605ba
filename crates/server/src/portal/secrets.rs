//! Secrets of a confidential app: several at a time, so that a new one can be rolled out before
//! the old one ends, those for tests apart. A secret is shown once, in the answer that made it, and
//! what passes for the app outside of tests is made by people who have just proven who they are.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::app::{App, CLIENT_SECRETS_MAX, ClientSecret, SECRET_NAME_MAX, TEST_SECRETS_MAX};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::{Mode, RevokeReason};
use domain::id::CredentialId;
use domain::time::Timestamp;
use protocol::params::Params;
use serde_json::json;
use store::{DbError, Tx, audit, changes, client_secrets, grants};

use super::app_view::Typed;
use super::apps::{owned, secret_page, show_again};
use super::registration;
use crate::account::second_step::find_enrolled;
use crate::account::step_up::need_fresh;
use crate::actor::{AppOwner, SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::error::{PageError, form_query};
use crate::flash::Done;
use crate::pages::views::{AppTab, SecretError};
use crate::provider::{Provider, Shared};

/// How long a secret lives on beside its successor, in hours.
const OVERLAPS: [u64; 4] = [0, 1, 24, 7 * 24];

fn path_of(app: &App) -> String {
    AppTab::Credentials.path(&app.id.to_string())
}

/// Live credentials take a proof of a moment ago; what was typed comes back with the user.
pub(super) async fn prove(
    provider: &Provider,
    user: &SignedInUser,
    app: &App,
    name: &str,
) -> Result<(), PageError> {
    let enrolled = find_enrolled(provider, user.user.id).await?;
    let path = match name {
        "" => path_of(app),
        name => format!("{}?{}", path_of(app), form_query(&[("name", name)])),
    };
    need_fresh(user, &enrolled, &path, provider.now())
}

fn mode_of(params: &Params) -> Result<Mode, PageError> {
    match params.one("mode")? {
        None | Some("live") => Ok(Mode::Live),
        Some("test") => Ok(Mode::Test),
        Some(_) => Err(PageError::BadRequest("There is no such kind of secret.".into())),
    }
}

pub async fn create(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppOwner { user, app }: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    if !app.kind.is_confidential() {
        let text = "A public app cannot keep a secret. It proves itself with PKCE.";
        return Err(PageError::Conflict(text.into()));
    }
    let mode = mode_of(&form.params)?;
    let field = if mode == Mode::Live { "secret_name" } else { "test_secret_name" };
    let name = form.params.one(field)?.unwrap_or_default().trim().to_owned();
    if name.chars().count() > SECRET_NAME_MAX || name.chars().any(char::is_control) {
        let text = format!("Use at most {SECRET_NAME_MAX} characters, in one line.");
        return again(&provider, AppOwner { user, app }, (mode, name), text).await;
    }
    if mode == Mode::Live {
        prove(&provider, &user, &app, &name).await?;
    }
    let now = provider.now();
    let mut secret = registration::new_secret(app.id, &provider.keyring(), &*provider.entropy, now);
    secret.row = ClientSecret { mode, name: name.clone(), ..secret.row };
    let row = secret.row.clone();
    let event = AuditEvent::new(now, AuditKind::SecretCreated, AuditActor::User(user.user.id))
        .app(app.id)
        .address(address)
        .detail(json!({ "secret": row.id, "ends_with": row.hint, "mode": mode.as_str() }));
    let (id, owner) = (app.id, user.user.id);
    let write = async move |tx: &mut Tx<'_>| {
        owned(tx, id, owner).await?;
        let stands = client_secrets::list_of_app(tx, id).await?;
        if !registration::has_room_for_secret(&stands, mode) {
            return Ok(false);
        }
        client_secrets::insert(tx, &row).await?;
        changes::record(tx, Change::App(id)).await?;
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(true)
    };
    if !provider.store.db.write(write).await? {
        return again(&provider, AppOwner { user, app }, (mode, name), full(mode)).await;
    }
    secret_page(&provider, &user, app, secret, (false, None))
}

fn full(mode: Mode) -> String {
    match mode {
        Mode::Live => format!(
            "The app has {CLIENT_SECRETS_MAX} secrets already. Remove one that is not used."
        ),
        Mode::Test => format!("There are {TEST_SECRETS_MAX} for tests already. Remove one."),
    }
}

/// The page once more, with the name that was typed and what is wrong.
async fn again(
    provider: &Provider,
    owner: AppOwner,
    (mode, name): (Mode, String),
    text: String,
) -> Result<Response, PageError> {
    let (live, test) = match mode {
        Mode::Live => (name, String::new()),
        Mode::Test => (String::new(), name),
    };
    let typed = Typed {
        tab: AppTab::Credentials,
        secret_name: live,
        test_secret_name: test,
        secret_error: Some(SecretError { of: mode.as_str().to_owned(), text }),
        ..Typed::default()
    };
    show_again(provider, owner, typed).await
}

/// The same about one that is there.
async fn again_about(
    provider: &Provider,
    owner: AppOwner,
    secret: CredentialId,
    text: String,
) -> Result<Response, PageError> {
    let error = SecretError { of: secret.to_string(), text };
    let tab = AppTab::Credentials;
    let typed = Typed { tab, secret_error: Some(error), ..Typed::default() };
    show_again(provider, owner, typed).await
}

fn named(params: &Params) -> Result<CredentialId, PageError> {
    let secret = params.one("secret")?.and_then(|text| text.parse::<CredentialId>().ok());
    secret.ok_or(PageError::NotFound)
}

/// A new secret takes the place of another, which ends after the time that was chosen.
pub async fn roll(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppOwner { user, app }: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id = named(&form.params)?;
    let hours = form.params.one("overlap")?.and_then(|text| text.parse::<u64>().ok());
    let Some(hours) = hours.filter(|hours| OVERLAPS.contains(hours)) else {
        let text = "Choose how long the old secret goes on.".to_owned();
        return again_about(&provider, AppOwner { user, app }, id, text).await;
    };
    let now = provider.now();
    let app_id = app.id;
    let read = async move |tx: &mut Tx<'_>| client_secrets::list_of_app(tx, app_id).await;
    let stands: Vec<ClientSecret> = provider.store.db.read(read).await?;
    let old = stands.into_iter().find(|secret| secret.id == id).ok_or(PageError::NotFound)?;
    if old.mode == Mode::Live {
        prove(&provider, &user, &app, "").await?;
    }
    let mut secret = registration::new_secret(app.id, &provider.keyring(), &*provider.entropy, now);
    secret.row = ClientSecret { mode: old.mode, name: old.name.clone(), ..secret.row };
    let roll = Roll {
        row: secret.row.clone(),
        old_ends_at: (hours > 0).then(|| {
            let end = now.after(Duration::from_secs(hours * 3600));
            old.expires_at.map_or(end, |at| at.min(end))
        }),
        old: old.id,
        owner: user.user.id,
        address,
        now,
    };
    let old_ends_at = roll.old_ends_at;
    let write = async move |tx: &mut Tx<'_>| roll.write(tx).await;
    if !provider.store.db.write(write).await?? {
        let text = format!("{} To replace this one at once, let it end now.", full(old.mode));
        return again_about(&provider, AppOwner { user, app }, id, text).await;
    }
    secret_page(&provider, &user, app, secret, (false, old_ends_at))
}

#[derive(Clone)]
struct Roll {
    row: ClientSecret,
    old: CredentialId,
    /// `None`: it goes at once.
    old_ends_at: Option<Timestamp>,
    owner: domain::id::UserId,
    address: std::net::IpAddr,
    now: Timestamp,
}

impl Roll {
    /// `false`: there is no room for both.
    async fn write(&self, tx: &mut Tx<'_>) -> Result<Result<bool, PageError>, PageError> {
        let app = self.row.app_id;
        owned(tx, app, self.owner).await?;
        let stands = client_secrets::list_of_app(tx, app).await?;
        if !stands.iter().any(|secret| secret.id == self.old) {
            return Ok(Err(PageError::NotFound));
        }
        if self.old_ends_at.is_some() && !registration::has_room_for_secret(&stands, self.row.mode)
        {
            return Ok(Ok(false));
        }
        client_secrets::insert(tx, &self.row).await?;
        match self.old_ends_at {
            Some(at) => {
                client_secrets::save_end(tx, self.old, Some(at)).await?;
            }
            None => end(tx, self.old, self.now).await?,
        }
        changes::record(tx, Change::App(app)).await?;
        let actor = AuditActor::User(self.owner);
        let event = AuditEvent::new(self.now, AuditKind::SecretCreated, actor)
            .app(app)
            .address(self.address)
            .detail(json!({
                "secret": self.row.id,
                "ends_with": self.row.hint,
                "mode": self.row.mode.as_str(),
                "replaces": self.old,
                "old_ends_at": self.old_ends_at.map(Timestamp::as_seconds),
            }));
        audit::record(tx, &event).await?;
        Ok(Ok(true))
    }
}

/// Set, change or clear the day on which a secret ends by itself.
pub async fn set_end(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppOwner { user, app }: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id = named(&form.params)?;
    let (text, now) = (form.params.one("ends_on")?.unwrap_or_default().trim(), provider.now());
    let ends_at = match text {
        "" => None,
        text => match end_of_day(text).filter(|at| *at > now) {
            Some(at) => Some(at),
            None => {
                let text = "Choose a day to come, as 2027-01-31.".to_owned();
                return again_about(&provider, AppOwner { user, app }, id, text).await;
            }
        },
    };
    // An end that is taken back or put off lets the secret live longer.
    prove(&provider, &user, &app, "").await?;
    let (app_id, owner) = (app.id, user.user.id);
    let event = AuditEvent::new(now, AuditKind::SecretChanged, AuditActor::User(owner))
        .app(app_id)
        .address(address)
        .detail(json!({ "secret": id, "ends_at": ends_at.map(Timestamp::as_seconds) }));
    let write = async move |tx: &mut Tx<'_>| {
        owned(tx, app_id, owner).await?;
        let stands = client_secrets::list_of_app(tx, app_id).await?;
        // What has ended stays ended: whoever found it must not get it back.
        if !stands.iter().any(|secret| secret.id == id && secret.is_live(now)) {
            return Ok(Err(PageError::NotFound));
        }
        client_secrets::save_end(tx, id, ends_at).await?;
        changes::record(tx, Change::App(app_id)).await?;
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    let done = if ends_at.is_some() { Done::SecretEndSaved } else { Done::SecretStays };
    Ok(done.redirect(&path_of(&app)).into_response())
}

/// The last moment of a day, in UTC.
fn end_of_day(text: &str) -> Option<Timestamp> {
    let _: jiff::civil::Date = text.parse().ok()?;
    let begins: jiff::Timestamp = format!("{text}T00:00:00Z").parse().ok()?;
    Some(Timestamp::from_millis(begins.as_millisecond()).after(Duration::from_secs(24 * 3600)))
}

/// Delete a secret and end what the app got for itself with it.
pub(super) async fn end(
    tx: &mut Tx<'_>,
    secret: CredentialId,
    now: Timestamp,
) -> Result<(), DbError> {
    end_service_grants(tx, secret, now).await?;
    client_secrets::delete(tx, secret).await?;
    Ok(())
}

pub(super) async fn end_service_grants(
    tx: &mut Tx<'_>,
    credential: CredentialId,
    now: Timestamp,
) -> Result<(), DbError> {
    for grant in grants::list_live_of_credential(tx, credential, now).await? {
        grants::revoke(tx, grant.id, RevokeReason::App, now).await?;
        changes::record(tx, Change::Grant(grant.id)).await?;
    }
    Ok(())
}

pub async fn remove(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppOwner { user, app }: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let secret = named(&form.params)?;
    let (id, owner, now) = (app.id, user.user.id, provider.now());
    let event = AuditEvent::new(now, AuditKind::SecretRemoved, AuditActor::User(owner))
        .app(id)
        .address(address)
        .detail(json!({ "secret": secret }));
    let write = async move |tx: &mut Tx<'_>| {
        owned(tx, id, owner).await?;
        let secrets = client_secrets::list_of_app(tx, id).await?;
        if !secrets.iter().any(|known| known.id == secret) {
            return Ok(Err(PageError::NotFound));
        }
        end(tx, secret, now).await?;
        changes::record(tx, Change::App(id)).await?;
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::SecretRemoved.redirect(&path_of(&app)).into_response())
}
