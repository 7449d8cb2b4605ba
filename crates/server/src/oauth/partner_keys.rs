//! What an app asks about the key that a user let it have: is there one, what is its secret (once),
//! away with it. The operations know no wire format; [`standard`] answers in the standard's, and
//! `dialect::partner_keys` in that of a dialect.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::Response;
use domain::access::check_access;
use domain::app::App;
use domain::audit::{AuditActor, AuditKind};
use domain::authority::Authority as _;
use domain::key_terms::KeyTerms;
use domain::partner_key::{
    EndedWhy, KeySecret, PartnerKey, Permission, SecretRefusal, id_of_uuid, uuid_of,
};
use domain::seal::OpenError;
use domain::time::Timestamp;
use domain::user::User;
use http::request::Parts;
use protocol::bearer::token_from;
use protocol::partner_key::{KeyFailure, KeyInfo, KeyPermission, KeyUrl};
use protocol::scope::{ScopeName, ScopeSet};
use store::{DbError, Tx, audit, partner_keys};

use crate::address::ClientAddress;
use crate::noted::{Cause, Noted};
use crate::oauth::open;
use crate::provider::{Provider, Shared};

pub mod standard;

/// An app that shows an access token of a user: whose key it is about.
#[derive(Clone, Debug)]
pub struct KeyCall {
    app: Arc<App>,
    user: Arc<User>,
    scopes: ScopeSet,
    address: IpAddr,
}

/// What the app hears, and what the log says.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {cause}", .failure.as_str())]
pub struct KeyError {
    pub failure: KeyFailure,
    cause: String,
}

impl KeyError {
    fn new(failure: KeyFailure, cause: impl ToString) -> Self {
        Self { failure, cause: cause.to_string() }
    }

    /// For the line that the request gets in the log. Our own trouble gets one of its own.
    pub(crate) fn note(&self, response: &mut Response) {
        if matches!(self.failure, KeyFailure::TemporarilyUnavailable | KeyFailure::ServerError) {
            tracing::error!(error = %self, "a request about a partner key failed");
        }
        response.extensions_mut().insert(Cause(self.to_string()));
    }
}

impl From<KeyFailure> for KeyError {
    fn from(failure: KeyFailure) -> Self {
        Self::new(failure, failure.description())
    }
}

impl From<DbError> for KeyError {
    fn from(error: DbError) -> Self {
        let failure = match error.is_transient() {
            true => KeyFailure::TemporarilyUnavailable,
            false => KeyFailure::ServerError,
        };
        Self::new(failure, error)
    }
}

impl KeyCall {
    /// The token is looked at as the gateway would, for the API that it names. `dialect` is the
    /// endpoint's: tokens of other wire formats are refused (attack B1).
    pub(crate) async fn authenticate(
        provider: &Shared,
        parts: &mut Parts,
        dialect: Option<&str>,
    ) -> Result<Self, KeyError> {
        let refused =
            |cause: &dyn ToString| KeyError::new(KeyFailure::Unauthorized, cause.to_string());
        let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, provider).await;
        let token = token_from(&parts.headers).map_err(|error| refused(&error))?;
        let token =
            open::access_token(provider, token).await.map_err(|refusal| refused(&refusal))?;
        let rows = provider.store.live_rows(token.grant_id, token.token_id).await;
        let rows =
            rows.map_err(|error| KeyError::new(KeyFailure::TemporarilyUnavailable, error))?;
        let rows = rows.ok_or_else(|| refused(&"there is no such grant"))?;
        if rows.grant.dialect.as_deref() != dialect || !rows.app.speaks(dialect) {
            return Err(refused(&"a token of another wire format"));
        }
        let access = check_access(&token, &rows, &token.audience, Some(address), provider.now())
            .map_err(|refusal| refused(&refusal))?;
        let user = rows.user.ok_or_else(|| refused(&"the app acts for itself"))?;
        if let Some(noted) = parts.extensions.get::<Noted>() {
            noted.set_app(access.app.id);
            noted.set_grant(access.grant_id);
        }
        Ok(Self { app: access.app, user, scopes: access.scopes, address })
    }

    /// The operator's terms, if the token has the scope that this takes.
    fn allowed(
        &self,
        terms: Option<&KeyTerms>,
        scope: impl Fn(&KeyTerms) -> &ScopeName,
    ) -> Result<(), KeyError> {
        let terms = terms.ok_or(KeyFailure::NotFound)?;
        match self.scopes.contains(scope(terms).as_str()) {
            true => Ok(()),
            false => Err(KeyFailure::InsufficientScope.into()),
        }
    }

    /// The key that a path names, if it is one of this app and this user.
    fn own(&self, key: Option<PartnerKey>) -> Result<PartnerKey, KeyFailure> {
        let key = key.ok_or(KeyFailure::NotFound)?;
        let is_own = key.app_id == self.app.id && key.user_id == self.user.id;
        if is_own { Ok(key) } else { Err(KeyFailure::Forbidden) }
    }

    /// Is there a key, and what was it given?
    pub(crate) async fn info(&self, provider: &Provider) -> Result<KeyInfo, KeyError> {
        let policy = provider.policy();
        self.allowed(policy.partner_keys.as_ref(), |terms| &terms.read)?;
        let (user, app) = (self.user.id, self.app.id);
        let read = async move |tx: &mut Tx<'_>| partner_keys::find_of(tx, user, app).await;
        let Some(key) = provider.store.db.read(read).await? else { return Ok(KeyInfo::NONE) };
        let locale = self.user.locale.as_deref().unwrap_or_default();
        let terms = policy.partner_keys.as_ref();
        Ok(KeyInfo {
            exists: true,
            is_enabled: key.is_active(),
            external_id: Some(uuid_of(key.id)),
            public_key: Some(key.public.clone()),
            permissions: terms
                .map_or_else(Vec::new, |terms| self.told(terms, &key, locale, provider.now())),
        })
    }

    /// Everything that is offered, and what of it the user gave.
    fn told(
        &self,
        terms: &KeyTerms,
        key: &PartnerKey,
        locale: &str,
        now: Timestamp,
    ) -> Vec<KeyPermission> {
        let url = |permission: Permission| KeyUrl {
            enable: key.permissions.contains(&permission),
            url: permission.url,
        };
        let offered = terms.offered_to(&self.app, now).into_iter();
        let told = offered.map(|offered| KeyPermission {
            name: offered.group.name.clone(),
            title: offered.group.title.in_locale(locale).to_owned(),
            urls: offered.permissions().map(url).collect(),
        });
        told.collect()
    }

    /// The secret, to one caller, once. Whoever takes the lock opens it. That it was told is on
    /// disk before it is told: what a crash in between leaves is a key without a secret, which the
    /// app deletes.
    pub(crate) async fn secret(
        &self,
        provider: &Provider,
        id: &str,
    ) -> Result<KeySecret, KeyError> {
        self.allowed(provider.policy().partner_keys.as_ref(), |terms| &terms.read)?;
        let id = id_of_uuid(id).ok_or(KeyFailure::NotFound)?;
        let read = async move |tx: &mut Tx<'_>| partner_keys::find(tx, id).await;
        let mut key = self.own(provider.store.db.read(read).await?)?;
        let now = provider.now();
        let until = key.lock_secret(now).map_err(refusal)?;
        let lock = async move |tx: &mut Tx<'_>| partner_keys::lock_secret(tx, id, until, now).await;
        if !provider.store.db.write_one(lock).await? {
            return Err(KeyFailure::Locked.into());
        }
        let secret = open_secret(provider, &key).await?;
        let now = provider.now();
        key.tell_secret(until, now).map_err(refusal)?;
        let (actor, address) = (AuditActor::App(self.app.id), self.address);
        let tell = async move |tx: &mut Tx<'_>| {
            let is_told = partner_keys::tell_secret(tx, id, until, now).await?;
            if is_told {
                let kind = AuditKind::PartnerKeySecretRead;
                let event = partner_keys::event_of(tx, &key, kind, actor, None, now).await?;
                audit::record(tx, &event.address(address)).await?;
            }
            Ok::<_, DbError>(is_told)
        };
        match provider.store.db.write(tell).await? {
            true => Ok(secret),
            false => Err(KeyFailure::Locked.into()),
        }
    }

    /// The app wants its key no more. A disabled one is the user's to remove.
    pub(crate) async fn delete(&self, provider: &Provider, id: &str) -> Result<(), KeyError> {
        self.allowed(provider.policy().partner_keys.as_ref(), |terms| &terms.delete)?;
        let id = id_of_uuid(id).ok_or(KeyFailure::NotFound)?;
        let (this, now) = (self.clone(), provider.now());
        let actor = AuditActor::App(self.app.id);
        let delete = async move |tx: &mut Tx<'_>| {
            let key = match this.own(partner_keys::find(tx, id).await?) {
                Ok(key) if key.is_active() => key,
                Ok(_) => return Ok(Err(KeyFailure::NotFound)),
                Err(failure) => return Ok(Err(failure)),
            };
            partner_keys::end(tx, &key, EndedWhy::App, actor, now).await?;
            Ok::<_, DbError>(Ok(()))
        };
        Ok(provider.store.db.write(delete).await??)
    }
}

fn refusal(refusal: SecretRefusal) -> KeyFailure {
    match refusal {
        SecretRefusal::AlreadyRead => KeyFailure::SecretRead,
        SecretRefusal::Locked => KeyFailure::Locked,
        SecretRefusal::Disabled => KeyFailure::NotFound,
    }
}

async fn open_secret(provider: &Provider, key: &PartnerKey) -> Result<KeySecret, KeyError> {
    let opened = match key.secret.open(&provider.keyring(), key.id) {
        Err(OpenError::UnknownKey) => {
            provider.store.reload_keys().await;
            key.secret.open(&provider.keyring(), key.id)
        }
        other => other,
    };
    opened.map_err(|error| KeyError::new(KeyFailure::ServerError, error))
}
