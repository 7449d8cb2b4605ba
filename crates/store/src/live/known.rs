//! What the token endpoints ask for again and again: a client with its secrets, the rows behind a
//! grant or a code. The same caches as for calls, under the same feed; a node that cannot be sure
//! of them reads the database.

use std::hash::Hash;
use std::sync::Arc;

use domain::access::LiveRows;
use domain::app::{App, ClientSecret};
use domain::consent::Consent;
use domain::grant::{Grant, Mode, RefreshState};
use domain::id::{AppId, ConsentId, CredentialId, GrantId, UserId};
use domain::time::Timestamp;
use domain::user::User;

use super::{Behind, Live, may_have_been_prolonged};
use crate::cache::{Cache, Ticket};
use crate::{DbError, Tx, apps, client_secrets, grants};

/// An app and what it proves itself with.
#[derive(Clone, Debug)]
pub struct Client {
    pub app: Arc<App>,
    /// Of the app's mode; the expired ones too.
    pub secrets: Arc<[ClientSecret]>,
}

/// The rows that an authorization code names.
#[derive(Clone, Debug)]
pub struct CodeRows {
    pub app: Option<Arc<App>>,
    pub user: Option<Arc<User>>,
    pub consent: Option<Arc<Consent>>,
}

impl Live {
    pub(crate) async fn client(&self, client_id: &str) -> Result<Option<Client>, DbError> {
        let names = &self.caches.client_ids;
        if let Some(ids) = names.find(client_id).filter(|_| self.is_sure())
            && let Some(client) = self.client_of_app(ids).await?
        {
            return Ok(Some(client));
        }
        // Unknown, or its app was deleted and the name may be another's now.
        let ticket = self.leave(names, client_id);
        let wanted = client_id.to_owned();
        let read = async move |tx: &mut Tx<'_>| apps::find_id_by_client_id(tx, &wanted).await;
        let Some(ids) = self.db.read(read).await? else { return Ok(None) };
        names.insert(ticket, client_id.to_owned(), ids);
        self.client_of_app(ids).await
    }

    async fn client_of_app(&self, ids: (AppId, Mode)) -> Result<Option<Client>, DbError> {
        let (known_apps, known_secrets) = (&self.caches.apps, &self.caches.secrets);
        if self.is_sure()
            && let (Some(app), Some(secrets)) = (known_apps.find(&ids), known_secrets.find(&ids))
        {
            return Ok(Some(Client { app, secrets }));
        }
        let tickets = (self.leave(known_apps, &ids), self.leave(known_secrets, &ids));
        let read = async move |tx: &mut Tx<'_>| {
            let (id, mode) = ids;
            let Some(app) = apps::find_in_mode(tx, id, mode).await? else { return Ok(None) };
            let mut secrets = client_secrets::list_of_app(tx, id).await?;
            secrets.retain(|secret| secret.mode == mode);
            Ok::<_, DbError>(Some((app, secrets)))
        };
        let Some((app, secrets)) = self.db.read(read).await? else { return Ok(None) };
        let client = Client { app: Arc::new(app), secrets: secrets.into() };
        known_apps.insert(tickets.0, ids, Arc::clone(&client.app));
        known_secrets.insert(tickets.1, ids, Arc::clone(&client.secrets));
        Ok(Some(client))
    }

    /// The last use of a secret was noted, of which no other node needs to hear.
    pub(crate) fn forget_secrets(&self, app_id: AppId, mode: Mode) {
        self.caches.secrets.forget(&(app_id, mode));
    }

    /// The rows behind a grant; `is_fresh`: the grant itself as the database has it now.
    pub(crate) async fn grant_rows(
        &self,
        grant_id: GrantId,
        is_fresh: bool,
    ) -> Result<Option<LiveRows>, DbError> {
        let Some(grant) = self.grant(grant_id, is_fresh).await? else { return Ok(None) };
        let Behind { app, user, consent } = self.behind(&grant).await?;
        let Some(app) = app else { return Ok(None) };
        Ok(Some(LiveRows { grant, app, user, consent, token_revoked: false }))
    }

    async fn grant(&self, id: GrantId, is_fresh: bool) -> Result<Option<Arc<Grant>>, DbError> {
        let known = &self.caches.grants;
        let now = self.clock.now();
        let cached = known.find(&id).filter(|grant| !may_have_been_prolonged(grant, now));
        if let Some(grant) = cached.filter(|_| !is_fresh && self.is_sure()) {
            return Ok(Some(grant));
        }
        let ticket = self.leave(known, &id);
        let read = async move |tx: &mut Tx<'_>| grants::find(tx, id).await;
        let Some(grant) = self.db.read(read).await? else { return Ok(None) };
        let grant = Arc::new(grant);
        known.insert(ticket, id, Arc::clone(&grant));
        Ok(Some(grant))
    }

    /// The grant of an app that acts for itself.
    pub(crate) async fn service_grant(
        &self,
        credential: CredentialId,
        mode: Mode,
    ) -> Result<Option<Arc<Grant>>, DbError> {
        let known = &self.caches.service_grants;
        if let Some(id) = known.find(&(credential, mode)).filter(|_| self.is_sure())
            && let Some(grant) = self.grant(id, false).await?
        {
            return Ok(Some(grant));
        }
        let ticket = self.leave(known, &(credential, mode));
        let read =
            async move |tx: &mut Tx<'_>| grants::find_of_credential(tx, credential, mode).await;
        let Some(grant) = self.db.read(read).await? else { return Ok(None) };
        known.insert(ticket, (credential, mode), grant.id);
        Ok(Some(Arc::new(grant)))
    }

    pub(crate) async fn code_rows(
        &self,
        app: (AppId, Mode),
        user_id: UserId,
        consent_id: ConsentId,
    ) -> Result<CodeRows, DbError> {
        let ids = (app, Some(user_id), Some(consent_id));
        let found = match self.is_sure() {
            true => self.read_behind(ids).await?,
            false => self.find_behind(ids).await?,
        };
        Ok(CodeRows { app: found.app, user: found.user, consent: found.consent })
    }

    async fn behind(&self, grant: &Grant) -> Result<Behind, DbError> {
        let ids = ((grant.app_id, grant.mode), grant.user_id(), grant.consent_id());
        match self.is_sure() {
            true => self.read_behind(ids).await,
            false => self.find_behind(ids).await,
        }
    }

    /// One compare-and-swap; what is cached moves along. `false`: somebody else was faster, or the
    /// grant was revoked.
    pub(crate) async fn rotate(
        &self,
        grant: &Arc<Grant>,
        to: RefreshState,
        idle_expires_at: Timestamp,
    ) -> Result<bool, DbError> {
        let Some(from) = grant.refresh else { return Ok(false) };
        let (id, known) = (grant.id, &self.caches.grants);
        let ticket = self.leave(known, &id);
        let write =
            async move |tx: &mut Tx<'_>| grants::rotate(tx, id, &from, &to, idle_expires_at).await;
        let swapped = match self.db.write_one(write).await {
            // Reading again tells: if it went through, what was presented is the parent now.
            Err(DbError::OutcomeUnknown(_)) => false,
            other => other?,
        };
        if swapped {
            let refresh = Some(to);
            let last_used_at = to.rotated_at;
            let rotated = Grant { refresh, last_used_at, idle_expires_at, ..(**grant).clone() };
            known.insert(ticket, id, Arc::new(rotated));
        }
        Ok(swapped)
    }

    /// Leave to keep what is read from now on: only while this node hears of every change.
    fn leave<K, V, Q>(&self, cache: &Cache<K, V>, key: &Q) -> Option<Ticket>
    where
        K: Eq + Hash,
        V: Clone,
        Q: Hash + ?Sized,
    {
        cache.ticket(key).filter(|_| self.is_sure())
    }

    /// Whether the caches can be believed.
    fn is_sure(&self) -> bool {
        self.lease.check().is_ok()
    }
}
