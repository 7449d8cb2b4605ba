//! What the gateway sees of the store.

use std::sync::Arc;

use domain::access::LiveRows;
use domain::authority::{Authority, Unverifiable};
use domain::id::{AppId, GrantId, PartnerKeyId, TokenId};
use domain::key_access::{KeyRefused, LiveKey};
use domain::keyring::Keyring;
use domain::nonce::{Nonce, NonceRefusal};
use domain::plan::CallsSoFar;
use domain::request_log::Request;
use domain::usage::Use;
use tokio::time::Instant;

use super::{RELOAD_EVERY, Store, lock};
use crate::live::KeyRows;
use crate::{Tx, app_counts};

impl Authority for Store {
    fn keyring(&self) -> Arc<Keyring> {
        Self::keyring(self)
    }

    async fn reload_keys(&self) {
        let keys = &self.shared.keyring;
        let mut reloaded_at = keys.reloaded_at.lock().await;
        if reloaded_at.is_some_and(|at| at.elapsed() < RELOAD_EVERY) {
            return;
        }
        // Also after a failure: the database is not asked by everyone at once.
        *reloaded_at = Some(Instant::now());
        if let Err(error) = keys.reload(&self.db, self.now()).await {
            tracing::error!(%error, "the keys could not be read again");
        }
    }

    async fn live_rows(
        &self,
        grant: GrantId,
        token: TokenId,
    ) -> Result<Option<LiveRows>, Unverifiable> {
        self.shared.live.rows(grant, token).await
    }

    fn changed(
        &self,
        rows: &LiveRows,
        token: TokenId,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.shared.live.changed(rows, token)
    }

    async fn partner_key(&self, public: &str) -> Result<Option<LiveKey>, Unverifiable> {
        let Some(rows) = self.shared.live.partner_key(public).await? else { return Ok(None) };
        let KeyRows { known, app, user } = rows;
        let secret = match known.key.is_active() {
            true => Some(self.open_secret(&known).await?),
            false => None,
        };
        Ok(Some(LiveKey { key: Arc::clone(&known.key), secret, app, user }))
    }

    fn key_changed(&self, key: &LiveKey) -> impl Future<Output = ()> + Send + 'static {
        self.shared.live.key_changed(key)
    }

    async fn use_nonce(
        &self,
        key: PartnerKeyId,
        nonce: Nonce,
    ) -> Result<Result<(), NonceRefusal>, Unverifiable> {
        let taken = self.shared.nonces.take(&self.shared.live, key, nonce).await;
        taken.map_err(|error| Unverifiable { reason: error.to_string() })
    }

    fn key_refused(&self, refused: KeyRefused) {
        self.shared.refusals.add(refused);
    }

    fn account(&self, usage: Use) {
        lock(&self.shared.usage).add(usage);
    }

    fn note_request(&self, request: &Request<'_>) {
        self.shared.requests.note(request);
    }

    async fn calls_so_far(&self, app: AppId) -> CallsSoFar {
        let (requests, now) = (&self.shared.requests, self.now());
        if let Some(known) = requests.so_far(app, now) {
            return known;
        }
        let read = async move |tx: &mut Tx<'_>| app_counts::passed(tx, app, now).await;
        let stored = self.db.read(read).await;
        if let Err(error) = &stored {
            tracing::warn!(%error, "the calls of an app could not be read; its quota waits");
        }
        requests.learn(app, stored.ok(), now)
    }
}
