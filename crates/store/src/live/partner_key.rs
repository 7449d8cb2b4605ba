//! The rows behind the public half of a partner key, cached under the same feed as all others.

use std::sync::{Arc, OnceLock};

use domain::app::App;
use domain::authority::Unverifiable;
use domain::change::Change;
use domain::grant::Mode;
use domain::key_access::LiveKey;
use domain::partner_key::PartnerKey;
use domain::user::User;
use protocol::mac::MacKey;

use super::{Behind, Event, Live};
use crate::{DbError, Tx, partner_keys};

/// A key, and its secret once it was opened: once per row that is kept.
pub(crate) struct KnownKey {
    pub(crate) key: Arc<PartnerKey>,
    pub(crate) secret: OnceLock<Arc<MacKey>>,
}

pub(crate) struct KeyRows {
    pub(crate) known: Arc<KnownKey>,
    pub(crate) app: Arc<App>,
    pub(crate) user: Arc<User>,
}

impl Live {
    pub(crate) async fn partner_key(&self, public: &str) -> Result<Option<KeyRows>, Unverifiable> {
        self.lease.check()?;
        let rows = self.read_key(public).await;
        // As for tokens: the moment that counts is now.
        self.lease.check()?;
        rows.map_err(|error| Unverifiable { reason: error.to_string() })
    }

    async fn read_key(&self, public: &str) -> Result<Option<KeyRows>, DbError> {
        let (names, keys) = (&self.caches.key_names, &self.caches.partner_keys);
        let cached = names.find(public).and_then(|id| keys.find(&id));
        let known = match cached {
            Some(known) => known,
            None => match self.fetch_key(public).await? {
                Some(known) => known,
                None => return Ok(None),
            },
        };
        // Keys are for the real thing only.
        let ids = ((known.key.app_id, Mode::Live), Some(known.key.user_id), None);
        let Behind { app: Some(app), user: Some(user), .. } = self.read_behind(ids).await? else {
            return Ok(None);
        };
        Ok(Some(KeyRows { known, app, user }))
    }

    async fn fetch_key(&self, public: &str) -> Result<Option<Arc<KnownKey>>, DbError> {
        let (names, keys) = (&self.caches.key_names, &self.caches.partner_keys);
        // Which shard a key's row is in is known once its id is: what was read before is then read
        // again under a ticket.
        let wanted = public.to_owned();
        let find = async move |tx: &mut Tx<'_>| partner_keys::find_by_public(tx, &wanted).await;
        let id = match names.find(public) {
            Some(id) => id,
            None => {
                let ticket = names.ticket(public);
                let Some(key) = self.db.read(find).await? else { return Ok(None) };
                names.insert(ticket, public.to_owned(), key.id);
                key.id
            }
        };
        let ticket = keys.ticket(&id);
        let read = async move |tx: &mut Tx<'_>| partner_keys::find(tx, id).await;
        let Some(key) = self.db.read(read).await? else { return Ok(None) };
        let known = Arc::new(KnownKey { key: Arc::new(key), secret: OnceLock::new() });
        keys.insert(ticket, id, Arc::clone(&known));
        Ok(Some(known))
    }

    /// As [`Live::changed`].
    pub(crate) fn key_changed(&self, key: &LiveKey) -> impl Future<Output = ()> + Send + use<> {
        let mut events = self.events.subscribe();
        let (key_id, app_id, user_id) = (key.key.id, key.app.id, key.user.id);
        let concerns = move |change| match change {
            Change::PartnerKey(id) => id == key_id,
            Change::App(id) => id == app_id,
            Change::User(id) => id == user_id,
            _ => false,
        };
        async move {
            loop {
                match events.recv().await {
                    Ok(Event::Changed(change)) if !concerns(change) => {}
                    _ => return,
                }
            }
        }
    }
}
