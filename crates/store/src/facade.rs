//! The store of one provider: the database, its keys, and what tokens mean right now. The gateway
//! sees it as an [`Authority`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::access::LiveRows;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::audit_chain::Checkpoint;
use domain::authority::{Authority, Unverifiable};
use domain::change::Change;
use domain::entropy::{Entropy, random_alphanumeric};
use domain::grant::{Grant, Mode, RefreshState};
use domain::id::{AppId, ConsentId, CredentialId, GrantId, UserId};
use domain::keyring::{Keyring, MasterKey};
use domain::policy::Policy;
use domain::policy_summary::PolicySummary;
use domain::request_log::{DAYS_KEPT, HOURS_KEPT, LOG_KEPT};
use domain::seal::OpenError;
use domain::time::{Clock, Timestamp};
use domain::user_code::USER_CODES_KEPT;
use protocol::mac::MacKey;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::feed::{Cluster, watch_lease};
use crate::live::{Client, CodeRows, KnownKey, Live, Tuning};
use crate::requests::Requests;
use crate::signed::{Nonces, Refusals};
use crate::stats::Stats;
use crate::usage::Batch;
use crate::{
    Db, DbError, Tx, app_counts, apps, audit, changes, grants, idempotent_answers, keys, mails,
    partner_keys, policy_seen, request_log, revoked_tokens, sessions, teams, throttles, usage,
    used_once, user_codes, webhooks,
};

mod authority;

/// How often new rows of the audit trail are sealed.
const SEAL_EVERY: Duration = Duration::from_secs(1);
/// An unknown key id triggers one reload in this time.
const RELOAD_EVERY: Duration = Duration::from_secs(1);
/// Rows of one table that one sweep deletes at once.
const SWEEP_ROWS: i64 = 500;
/// Each takes a message and a row of the audit trail.
const KEYS_AT_ONCE: i64 = 50;
/// How often one sweep goes on while there is a full load of rows.
const SWEEP_ROUNDS_MAX: usize = 20;
/// A grant's row outlives it by a wide margin: a code or token of it that comes late is recognised.
const GRANTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Counts of calls that nobody adds to any more.
const USAGE_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// For the feed and for waiting on other nodes.
const FEED_CONNECTIONS: usize = 4;

/// What a store is opened with.
#[derive(Debug)]
pub struct StoreConfig {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: String,
    pub issuer: String,
    pub master: MasterKey,
}

/// Cheap to clone. The database closes when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    pub db: Db,
    shared: Arc<Shared>,
}

struct Shared {
    live: Arc<Live>,
    keyring: Arc<Keys>,
    entropy: Arc<dyn Entropy>,
    usage: Mutex<Batch>,
    requests: Requests,
    nonces: Nonces,
    refusals: Refusals,
    /// Where the sweep of grants goes on.
    sweep_after: Mutex<String>,
    /// Aborted with the last clone.
    tasks: Mutex<JoinSet<()>>,
}

struct Keys {
    issuer: String,
    master: MasterKey,
    current: ArcSwap<Keyring>,
    reloaded_at: tokio::sync::Mutex<Option<Instant>>,
}

impl Keys {
    async fn reload(&self, db: &Db, now: Timestamp) -> Result<(), DbError> {
        self.current.store(Arc::new(load_keys(db, &self.issuer, &self.master, now).await?));
        Ok(())
    }
}

async fn load_keys(
    db: &Db,
    issuer: &str,
    master: &MasterKey,
    now: Timestamp,
) -> Result<Keyring, DbError> {
    let (issuer, master) = (issuer.to_owned(), master.clone());
    db.read(async move |tx| keys::load(tx, &issuer, &master, now).await).await
}

async fn ensure_keys(
    db: &Db,
    master: &MasterKey,
    entropy: &Arc<dyn Entropy>,
    now: Timestamp,
) -> Result<bool, DbError> {
    let (master, entropy) = (master.clone(), Arc::clone(entropy));
    let ensure = async move |tx: &mut Tx<'_>| {
        let is_first = !keys::any(tx).await?;
        let made = keys::ensure(tx, &master, &*entropy, now).await?;
        if made {
            changes::record(tx, Change::Keys).await?;
            if !is_first {
                let event = AuditEvent::new(now, AuditKind::KeysMade, AuditActor::System);
                audit::record(tx, &event).await?;
            }
        }
        Ok(made)
    };
    db.write(ensure).await
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("db", &self.db).finish_non_exhaustive()
    }
}

impl Store {
    /// Open the database, bring its schema up to date, make the first keys, join the other nodes.
    ///
    /// # Errors
    /// As [`Db::open`]; also a master key that is not this database's.
    pub async fn open(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, DbError> {
        Self::open_with(config, clock, entropy, Tuning::default()).await
    }

    pub async fn open_with(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        tuning: Tuning,
    ) -> Result<Self, DbError> {
        let StoreConfig { url, issuer, master } = config;
        let db = Db::open(&url).await?;
        let now = clock.now();
        ensure_keys(&db, &master, &entropy, now).await?;
        let keyring = load_keys(&db, &issuer, &master, now).await?;
        let own = db.with_own_connections(FEED_CONNECTIONS)?;
        let feed = own.map(|(feed_db, pg_config)| {
            let node_id = random_alphanumeric(&*entropy, 16);
            (Arc::new(Cluster::new(node_id, feed_db, tuning)), pg_config)
        });
        let cluster = feed.as_ref().map(|(cluster, _)| Arc::clone(cluster));
        let live = Arc::new(Live::new(db.clone(), clock, cluster));
        let observer: std::sync::Weak<Live> = Arc::downgrade(&live);
        db.observe(observer);
        let keyring = Arc::new(Keys {
            issuer,
            master,
            current: ArcSwap::from_pointee(keyring),
            reloaded_at: tokio::sync::Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(follow_keys(Arc::clone(&live), Arc::clone(&keyring)));
        tasks.spawn(seal_audit(Arc::clone(&live), Arc::clone(&keyring)));
        if let Some((cluster, pg_config)) = feed {
            tasks.spawn(Arc::clone(&cluster).listen(pg_config));
            tasks.spawn(cluster.follow(Arc::clone(&live)));
            // Ready to accept tokens when it returns, if the feed can be read.
            let first = live.lease.renewed.notified();
            let _ = tokio::time::timeout(tuning.lease, first).await;
            tasks.spawn(watch_lease(Arc::clone(&live)));
        }
        let shared = Shared {
            live,
            keyring,
            entropy,
            usage: Mutex::default(),
            requests: Requests::default(),
            nonces: Nonces::default(),
            refusals: Refusals::default(),
            sweep_after: Mutex::default(),
            tasks: Mutex::new(tasks),
        };
        Ok(Self { db, shared: Arc::new(shared) })
    }

    pub fn keyring(&self) -> Arc<Keyring> {
        self.shared.keyring.current.load_full()
    }

    /// Whether this node may accept tokens, and if not, why.
    pub fn ready(&self) -> Result<(), Unverifiable> {
        self.shared.live.lease.check()
    }

    /// The app of a client id, with its secrets.
    pub async fn client(&self, client_id: &str) -> Result<Option<Client>, DbError> {
        self.shared.live.client(client_id).await
    }

    /// The last use of a secret of `app` was written.
    pub fn forget_secrets(&self, app: AppId, mode: Mode) {
        self.shared.live.forget_secrets(app, mode);
    }

    /// The rows behind a grant. Cached; `is_fresh`: the grant as the database has it now.
    pub async fn grant_rows(
        &self,
        grant: GrantId,
        is_fresh: bool,
    ) -> Result<Option<LiveRows>, DbError> {
        self.shared.live.grant_rows(grant, is_fresh).await
    }

    /// The grant of an app that acts for itself with `credential`.
    pub async fn service_grant(
        &self,
        credential: CredentialId,
        mode: Mode,
    ) -> Result<Option<Arc<Grant>>, DbError> {
        self.shared.live.service_grant(credential, mode).await
    }

    /// The rows that an authorization code names.
    pub async fn code_rows(
        &self,
        app: (AppId, Mode),
        user: UserId,
        consent: ConsentId,
    ) -> Result<CodeRows, DbError> {
        self.shared.live.code_rows(app, user, consent).await
    }

    /// A refresh token of `grant` becomes the next one: one compare-and-swap. `false`: the grant is
    /// not what it was; read it again.
    pub async fn rotate(
        &self,
        grant: &Arc<Grant>,
        to: RefreshState,
        idle_expires_at: Timestamp,
    ) -> Result<bool, DbError> {
        self.shared.live.rotate(grant, to, idle_expires_at).await
    }

    /// Whether this machine's clock agrees with the database's, and if not, what to do.
    pub fn clock_agrees(&self) -> Result<(), DbError> {
        self.shared.live.cluster.as_ref().map_or(Ok(()), |cluster| cluster.check_clock())
    }

    /// What there is to measure.
    pub fn stats(&self) -> Stats {
        let live = &self.shared.live;
        Stats {
            commits: self.db.commits(),
            writer: self.db.writer_stats(),
            pool: self.db.pool_stats(),
            caches: live.cache_stats(),
            lease: live.lease_stats(),
            usage_batch: lock(&self.shared.usage).len(),
            watched_calls: live.watched_calls(),
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.live.clock.now()
    }

    /// Make the keys that are due. Call it now and then.
    pub async fn rotate_due_keys(&self) -> Result<(), DbError> {
        let (keys, now) = (&self.shared.keyring, self.now());
        ensure_keys(&self.db, &keys.master, &self.shared.entropy, now).await?;
        // Even if nothing was made: another key may have come into use.
        keys.reload(&self.db, now).await
    }

    /// Make the next key of every kind now, as the operator asks. `event` says who it was.
    pub async fn rotate_keys(&self, event: AuditEvent) -> Result<(), DbError> {
        let (keys, now) = (&self.shared.keyring, self.now());
        let (master, entropy) = (keys.master.clone(), Arc::clone(&self.shared.entropy));
        let rotate = async move |tx: &mut Tx<'_>| {
            keys::rotate(tx, &master, &*entropy, now).await?;
            audit::record(tx, &event).await?;
            changes::record(tx, Change::Keys).await
        };
        self.db.write(rotate).await?;
        keys.reload(&self.db, now).await
    }

    /// Seal what was recorded up to now, so that a copy of the trail has it in a block.
    pub async fn seal_audit(&self) -> Result<(), DbError> {
        seal_rows(&self.db).await
    }

    /// Seal and sign what was recorded up to now. `None`: there is nothing in the trail.
    pub async fn audit_checkpoint(&self) -> Result<Option<Checkpoint>, DbError> {
        seal_rows(&self.db).await?;
        make_checkpoint(&self.db, self.keyring(), true, self.now()).await?;
        self.db.read(async |tx| audit::checkpoints::newest(tx).await).await
    }

    /// The config as it is now; the trail tells if it is another one than before.
    pub async fn look_at_policy(&self, policy: &Policy) -> Result<bool, DbError> {
        let (summary, now) = (PolicySummary::of(policy), self.now());
        let look = async move |tx: &mut Tx<'_>| policy_seen::look(tx, &summary, now).await;
        self.db.write(look).await
    }

    /// Write the calls that were counted in memory. Call it every few seconds: a crash loses what
    /// came since.
    pub async fn flush_usage(&self) -> Result<(), DbError> {
        let refusals = self.shared.refusals.flush(&self.db, self.now(), false).await;
        let calls = self.flush_calls().await;
        let requests = self.shared.requests.flush(&self.db, self.now()).await;
        refusals.and(calls).and(requests)
    }

    async fn flush_calls(&self) -> Result<(), DbError> {
        let batch = std::mem::take(&mut *lock(&self.shared.usage));
        let mut result = Ok(());
        for part in batch.into_parts() {
            if result.is_ok() {
                let stored = part.clone();
                result = self.db.write(async move |tx| stored.store(tx).await).await;
            }
            if result.is_err() {
                lock(&self.shared.usage).merge(part);
            }
        }
        result
    }

    /// Delete what means nothing any more, a little at a time. Call it now and then.
    pub async fn sweep(&self) -> Result<(), DbError> {
        let now = self.now();
        self.shared.nonces.sweep(now);
        let counts_kept = (now.before(HOURS_KEPT), now.before(DAYS_KEPT));
        for _ in 0..SWEEP_ROUNDS_MAX {
            let sweep = async move |tx: &mut Tx<'_>| {
                let swept = [
                    used_once::sweep(tx, now, SWEEP_ROWS).await?,
                    revoked_tokens::sweep(tx, now, SWEEP_ROWS).await?,
                    sessions::sweep(tx, now, SWEEP_ROWS).await?,
                    throttles::sweep(tx, now, SWEEP_ROWS).await?,
                    user_codes::sweep(tx, now.before(USER_CODES_KEPT), SWEEP_ROWS).await?,
                    usage::sweep(tx, now.before(USAGE_KEPT), SWEEP_ROWS).await?,
                    mails::sweep(tx, now, SWEEP_ROWS).await?,
                    idempotent_answers::sweep(tx, now, SWEEP_ROWS).await?,
                    teams::sweep(tx, now, SWEEP_ROWS).await?,
                    request_log::sweep(tx, now.before(LOG_KEPT), SWEEP_ROWS).await?,
                    app_counts::sweep(tx, counts_kept, SWEEP_ROWS).await?,
                    webhooks::sweep(tx, now, SWEEP_ROWS).await?,
                    apps::fill_in(tx, SWEEP_ROWS).await?,
                ];
                Ok::<_, DbError>(swept.iter().any(|rows| *rows == SWEEP_ROWS.unsigned_abs()))
            };
            let is_more = self.db.write(sweep).await?;
            self.sweep_grants(now).await?;
            if !is_more {
                break;
            }
        }
        self.db.write(async |tx| changes::sweep(tx).await.map(drop)).await
    }

    /// Disable partner keys that were not used for too long. Call it now and then.
    pub async fn disable_unused_keys(&self) -> Result<(), DbError> {
        let now = self.now();
        for _ in 0..SWEEP_ROUNDS_MAX {
            let disable = async move |tx: &mut Tx<'_>| {
                partner_keys::disable_unused(tx, now, KEYS_AT_ONCE).await
            };
            if self.db.write(disable).await? < KEYS_AT_ONCE.unsigned_abs() {
                break;
            }
        }
        Ok(())
    }

    async fn sweep_grants(&self, now: Timestamp) -> Result<(), DbError> {
        let after = lock(&self.shared.sweep_after).clone();
        let sweep = async move |tx: &mut Tx<'_>| {
            grants::sweep(tx, &after, now.before(GRANTS_KEPT), SWEEP_ROWS).await
        };
        let next = self.db.write(sweep).await?;
        *lock(&self.shared.sweep_after) = next.unwrap_or_default();
        Ok(())
    }

    /// Once for each row that is kept. Another node may have sealed it with a key that is new to
    /// this one: worth one reload.
    async fn open_secret(&self, known: &KnownKey) -> Result<Arc<MacKey>, Unverifiable> {
        if let Some(secret) = known.secret.get() {
            return Ok(Arc::clone(secret));
        }
        let open = || known.key.secret.open(&self.keyring(), known.key.id);
        let mut opened = open();
        if matches!(opened, Err(OpenError::UnknownKey)) {
            self.reload_keys().await;
            opened = open();
        }
        let secret = opened.map_err(|error| Unverifiable { reason: error.to_string() })?;
        let secret = Arc::new(MacKey::new(secret.expose().as_bytes()));
        Ok(Arc::clone(known.secret.get_or_init(|| secret)))
    }

    /// Write what is only in memory and leave the other nodes. Accepts no tokens afterwards where
    /// there are others.
    pub async fn close(&self) -> Result<(), DbError> {
        let mut tasks = std::mem::take(&mut *lock(&self.shared.tasks));
        tasks.shutdown().await;
        // What fails keeps nothing else from being done.
        let given_back = self.shared.nonces.give_back(&self.db).await;
        let refusals = self.shared.refusals.flush(&self.db, self.now(), true).await;
        let calls = self.flush_calls().await;
        let requests = self.shared.requests.flush(&self.db, self.now()).await;
        let sealed = self.db.write_unchecked(async |tx| audit::seal(tx).await.map(drop)).await;
        let goodbye = match &self.shared.live.cluster {
            Some(cluster) => {
                self.shared.live.lease.end();
                cluster.say_goodbye().await
            }
            None => Ok(()),
        };
        given_back.and(refusals).and(calls).and(requests).and(sealed).and(goodbye)
    }
}

async fn follow_keys(live: Arc<Live>, keys: Arc<Keys>) {
    loop {
        live.keys_changed.notified().await;
        if let Err(error) = keys.reload(&live.db, live.clock.now()).await {
            // An unknown key id will make somebody try again.
            tracing::error!(%error, "the keys could not be read again");
        }
    }
}

async fn seal_audit(live: Arc<Live>, keys: Arc<Keys>) {
    let mut ticks = interval(SEAL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = seal_rows(&live.db).await {
            tracing::warn!(%error, "the audit trail could not be sealed; tried again");
            continue;
        }
        let (keyring, now) = (keys.current.load_full(), live.clock.now());
        match make_checkpoint(&live.db, keyring, false, now).await {
            Ok(None) => {}
            // Also where the logs go nobody who changes the trail can reach it any more.
            Ok(Some(Checkpoint { number, rows, hash, key_id, .. })) => {
                tracing::info!(block = number, rows, hash, key_id, "audit checkpoint");
            }
            Err(error) => tracing::warn!(%error, "no audit checkpoint was made; tried again"),
        }
    }
}

/// As long as there are full blocks.
async fn seal_rows(db: &Db) -> Result<(), DbError> {
    while db.write_unchecked(async |tx| audit::seal(tx).await).await? {}
    Ok(())
}

async fn make_checkpoint(
    db: &Db,
    keyring: Arc<Keyring>,
    is_wanted: bool,
    now: Timestamp,
) -> Result<Option<Checkpoint>, DbError> {
    let make =
        async move |tx: &mut Tx<'_>| audit::checkpoints::make(tx, &keyring, is_wanted, now).await;
    db.write_unchecked(make).await
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
