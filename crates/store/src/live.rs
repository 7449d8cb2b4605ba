//! What tokens mean right now: bounded caches in front of the rows, kept true by the change feed,
//! and word of changes for calls that are still open.

use std::sync::Arc;
use std::time::Duration;

use domain::access::LiveRows;
use domain::app::{App, ClientSecret};
use domain::authority::Unverifiable;
use domain::change::Change;
use domain::consent::Consent;
use domain::grant::{Grant, GrantStatus, Mode};
use domain::id::{AppId, ConsentId, CredentialId, GrantId, PartnerKeyId, TokenId, UserId};
use domain::time::{Clock, Timestamp};
use domain::user::User;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, broadcast};

use crate::cache::Cache;
use crate::db::CommitObserver;
use crate::feed::Cluster;
use crate::lease::Lease;
use crate::stats::{CacheStats, LeaseStats};
use crate::{Db, DbError, apps, consents, grants, revoked_tokens, users};

mod known;
mod partner_key;

pub use known::{Client, CodeRows};
pub(crate) use partner_key::{KeyRows, KnownKey};

/// About 1 KiB a grant: 100 MiB at most.
const GRANTS_MAX: usize = 100_000;
const CONSENTS_MAX: usize = 100_000;
const USERS_MAX: usize = 100_000;
const APPS_MAX: usize = 10_000;
const PARTNER_KEYS_MAX: usize = 100_000;
/// Whether a token is on the revoked list: a few bytes each.
const TOKENS_MAX: usize = 500_000;
/// Changes that an open call may lag behind before it is told to look for itself.
const EVENTS_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Changed(Change),
    /// This node can no longer be sure of anything.
    Doubt,
}

pub(crate) struct Live {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lease: Lease,
    /// The other nodes; `None` on SQLite, where there are none.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// Somebody rotated the keys.
    pub(crate) keys_changed: Notify,
    caches: Caches,
    events: broadcast::Sender<Event>,
}

struct Caches {
    grants: Cache<GrantId, Arc<Grant>>,
    consents: Cache<ConsentId, Arc<Consent>>,
    apps: Cache<(AppId, Mode), Arc<App>>,
    users: Cache<UserId, Arc<User>>,
    revoked: Cache<TokenId, bool>,
    /// Never another app's while the app is there.
    client_ids: Cache<String, (AppId, Mode)>,
    /// Go with their app.
    secrets: Cache<(AppId, Mode), Arc<[ClientSecret]>>,
    /// Never another grant's while the grant is there.
    service_grants: Cache<(CredentialId, Mode), GrantId>,
    /// By the public half. Never another key's.
    key_names: Cache<String, PartnerKeyId>,
    partner_keys: Cache<PartnerKeyId, Arc<KnownKey>>,
}

/// The rows that a grant leads to, by name.
type BehindIds = ((AppId, Mode), Option<UserId>, Option<ConsentId>);

/// The rows that a grant leads to.
struct Behind {
    app: Option<Arc<App>>,
    user: Option<Arc<User>>,
    consent: Option<Arc<Consent>>,
}

impl Live {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>, cluster: Option<Arc<Cluster>>) -> Self {
        let caches = Caches {
            grants: Cache::new(GRANTS_MAX),
            consents: Cache::new(CONSENTS_MAX),
            apps: Cache::new(APPS_MAX),
            users: Cache::new(USERS_MAX),
            revoked: Cache::new(TOKENS_MAX),
            client_ids: Cache::new(APPS_MAX),
            secrets: Cache::new(APPS_MAX),
            service_grants: Cache::new(APPS_MAX),
            key_names: Cache::new(PARTNER_KEYS_MAX),
            partner_keys: Cache::new(PARTNER_KEYS_MAX),
        };
        let lease = if cluster.is_some() { Lease::none_yet() } else { Lease::for_ever() };
        let (events, _) = broadcast::channel(EVENTS_MAX);
        Self { db, clock, lease, cluster, keys_changed: Notify::new(), caches, events }
    }

    pub(crate) async fn rows(
        &self,
        grant: GrantId,
        token: TokenId,
    ) -> Result<Option<LiveRows>, Unverifiable> {
        self.lease.check()?;
        let rows = self.read_rows(grant, token).await;
        // The moment that counts is now: had the lease run out meanwhile, the rows may be old.
        self.lease.check()?;
        rows.map_err(|error| Unverifiable { reason: error.to_string() })
    }

    async fn read_rows(
        &self,
        grant_id: GrantId,
        token_id: TokenId,
    ) -> Result<Option<LiveRows>, DbError> {
        let Some((grant, token_revoked)) = self.read_grant(grant_id, token_id).await? else {
            return Ok(None);
        };
        let ids = ((grant.app_id, grant.mode), grant.user_id(), grant.consent_id());
        let Behind { app, user, consent } = self.read_behind(ids).await?;
        let Some(app) = app else { return Ok(None) };
        Ok(Some(LiveRows { grant, app, user, consent, token_revoked }))
    }

    /// The grant, and whether the token itself is on the revoked list: one read when one is
    /// missing.
    async fn read_grant(
        &self,
        grant_id: GrantId,
        token_id: TokenId,
    ) -> Result<Option<(Arc<Grant>, bool)>, DbError> {
        let Caches { grants: cached_grants, revoked: cached_tokens, .. } = &self.caches;
        let now = self.clock.now();
        let grant =
            cached_grants.find(&grant_id).filter(|grant| !may_have_been_prolonged(grant, now));
        if let (Some(grant), Some(revoked)) = (grant, cached_tokens.find(&token_id)) {
            return Ok(Some((grant, revoked)));
        }
        let tickets = (cached_grants.ticket(&grant_id), cached_tokens.ticket(&token_id));
        let read = async move |tx: &mut crate::Tx<'_>| {
            let Some(grant) = grants::find(tx, grant_id).await? else { return Ok(None) };
            Ok::<_, DbError>(Some((grant, revoked_tokens::contains(tx, token_id).await?)))
        };
        let Some((grant, revoked)) = self.db.read(read).await? else { return Ok(None) };
        let grant = Arc::new(grant);
        cached_grants.insert(tickets.0, grant_id, Arc::clone(&grant));
        cached_tokens.insert(tickets.1, token_id, revoked);
        Ok(Some((grant, revoked)))
    }

    async fn read_behind(&self, ids: BehindIds) -> Result<Behind, DbError> {
        let Caches { apps: cached_apps, users: cached_users, consents: cached_consents, .. } =
            &self.caches;
        let (app_ids, user_id, consent_id) = ids;
        let cached = Behind {
            app: cached_apps.find(&app_ids),
            user: user_id.and_then(|id| cached_users.find(&id)),
            consent: consent_id.and_then(|id| cached_consents.find(&id)),
        };
        let is_complete = cached.app.is_some()
            && cached.user.is_some() == user_id.is_some()
            && cached.consent.is_some() == consent_id.is_some();
        if is_complete {
            return Ok(cached);
        }
        let tickets = (
            cached_apps.ticket(&app_ids),
            user_id.and_then(|id| cached_users.ticket(&id)),
            consent_id.and_then(|id| cached_consents.ticket(&id)),
        );
        let found = self.find_behind(ids).await?;
        if let Some(app) = &found.app {
            cached_apps.insert(tickets.0, app_ids, Arc::clone(app));
        }
        if let Some(user) = &found.user {
            cached_users.insert(tickets.1, user.id, Arc::clone(user));
        }
        if let Some(consent) = &found.consent {
            cached_consents.insert(tickets.2, consent.id, Arc::clone(consent));
        }
        Ok(found)
    }

    /// As the database has it now.
    async fn find_behind(&self, ids: BehindIds) -> Result<Behind, DbError> {
        let ((app_id, mode), user_id, consent_id) = ids;
        let read = async move |tx: &mut crate::Tx<'_>| {
            let app = apps::find_in_mode(tx, app_id, mode).await?.map(Arc::new);
            let user = match user_id {
                Some(id) => users::find(tx, id).await?.map(Arc::new),
                None => None,
            };
            let consent = match consent_id {
                Some(id) => consents::find(tx, id).await?.map(Arc::new),
                None => None,
            };
            Ok::<_, DbError>(Behind { app, user, consent })
        };
        self.db.read(read).await
    }

    /// Resolves when `rows` or the token may no longer be what they are. Listens from the call on,
    /// not from the first poll.
    pub(crate) fn changed(
        &self,
        rows: &LiveRows,
        token: TokenId,
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut events = self.events.subscribe();
        let grant = &rows.grant;
        let (grant_id, app_id) = (grant.id, grant.app_id);
        let (user_id, consent_id) = (grant.user_id(), grant.consent_id());
        let concerns = move |change| match change {
            Change::Grant(id) => id == grant_id,
            Change::App(id) => id == app_id,
            Change::User(id) => Some(id) == user_id,
            Change::Consent(id) => Some(id) == consent_id,
            Change::Token(id) => id == token,
            Change::PartnerKey(_) | Change::Keys => false,
        };
        async move {
            loop {
                match events.recv().await {
                    Ok(Event::Changed(change)) if !concerns(change) => {}
                    // Also when some were missed, or nobody tells any more: look again.
                    _ => return,
                }
            }
        }
    }

    pub(crate) fn apply(&self, change: Change) {
        match change {
            Change::App(id) => {
                for key in [(id, Mode::Live), (id, Mode::Test)] {
                    self.caches.apps.forget(&key);
                    self.caches.secrets.forget(&key);
                }
            }
            Change::User(id) => self.caches.users.forget(&id),
            Change::Consent(id) => self.caches.consents.forget(&id),
            Change::Grant(id) => self.caches.grants.forget(&id),
            Change::Token(id) => self.caches.revoked.forget(&id),
            Change::PartnerKey(id) => self.caches.partner_keys.forget(&id),
            Change::Keys => self.keys_changed.notify_one(),
        }
        self.tell(Event::Changed(change));
    }

    /// This node may have missed changes.
    pub(crate) fn forget_all(&self) {
        self.caches.grants.forget_all();
        self.caches.consents.forget_all();
        self.caches.apps.forget_all();
        self.caches.users.forget_all();
        self.caches.revoked.forget_all();
        self.caches.client_ids.forget_all();
        self.caches.secrets.forget_all();
        self.caches.service_grants.forget_all();
        self.caches.key_names.forget_all();
        self.caches.partner_keys.forget_all();
        self.keys_changed.notify_one();
        self.tell(Event::Doubt);
    }

    pub(crate) fn cache_stats(&self) -> Vec<CacheStats> {
        let caches = &self.caches;
        vec![
            caches.grants.stats("grants"),
            caches.consents.stats("consents"),
            caches.apps.stats("apps"),
            caches.users.stats("users"),
            caches.revoked.stats("revoked_tokens"),
            caches.client_ids.stats("client_ids"),
            caches.secrets.stats("client_secrets"),
            caches.service_grants.stats("service_grants"),
            caches.partner_keys.stats("partner_keys"),
        ]
    }

    pub(crate) fn lease_stats(&self) -> LeaseStats {
        let cluster = self.cluster.as_ref();
        LeaseStats {
            is_valid: self.lease.is_valid(),
            feed_age: cluster.map(|cluster| self.lease.age(cluster.lease())),
            clock_skew_ms: cluster.map_or(0, |cluster| cluster.clock_skew_ms()),
        }
    }

    /// Whether no other node answers requests, as far as this one has heard: a few seconds ago.
    pub(crate) fn is_alone(&self) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.is_alone())
    }

    /// Open calls that listen for changes.
    pub(crate) fn watched_calls(&self) -> usize {
        self.events.receiver_count()
    }

    pub(crate) fn tell(&self, event: Event) {
        // Nobody listens: no call is open.
        let _ = self.events.send(event);
    }
}

/// A refresh prolongs a grant without an event: what looks lapsed is read again before it is
/// believed.
fn may_have_been_prolonged(grant: &Grant, now: Timestamp) -> bool {
    grant.status == GrantStatus::Live && !grant.is_live(now)
}

impl CommitObserver for Live {
    fn committed(&self, changes: &[Change]) {
        changes.iter().for_each(|change| self.apply(*change));
    }

    fn settled(&self, position: i64) -> BoxFuture<'static, ()> {
        match &self.cluster {
            Some(cluster) => Arc::clone(cluster).settle(position).boxed(),
            None => std::future::ready(()).boxed(),
        }
    }
}

/// How a node keeps up with the others. The defaults are for production.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// A node that has not read the feed for this long stops accepting tokens. Also how long an
    /// answer to a revocation waits at most for a node that does not answer.
    pub lease: Duration,
    /// How often it reads the feed without being told to.
    pub poll: Duration,
    /// A node whose clock is farther from the database's stops accepting tokens: it would misjudge
    /// what has expired. `None`: not checked, for tests with a clock of their own.
    pub clock_skew_max: Option<Duration>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(2),
            poll: Duration::from_millis(500),
            clock_skew_max: Some(Duration::from_secs(10)),
        }
    }
}
