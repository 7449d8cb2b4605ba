//! An authority whose rows, keys and clock a test changes by hand.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::access::LiveRows;
use domain::app::{App, AppKind, AppLifetimes, AppStatus, Approval, Turn};
use domain::authority::{Authority, Unverifiable};
use domain::condition::ReviewState;
use domain::consent::Consent;
use domain::entropy::Entropy;
use domain::grant::{Grant, GrantStatus, GrantSubject, Mode, RevokeReason};
use domain::id::{AppId, AttemptId, ConsentId, GrantId, PartnerKeyId, TokenId};
use domain::key_access::{KeyRefused, LiveKey};
use domain::keyring::{Keyring, MasterKey, SealingSecret, SigningEntry};
use domain::nonce::{Increasing, Moments, Nonce, NonceRefusal, Step};
use domain::plan::CallsSoFar;
use domain::request_log::{Door, Entry, Request};
use domain::seal::KeyClass;
use domain::time::{Clock, Timestamp};
use domain::usage::Use;
use domain::user::{User, UserStatus};
use protocol::jose::{Algorithm, SigningKey};
use protocol::scope::ScopeSet;

use crate::world::{API, APP, GRANT, ISSUER, START, TOKEN, USER, scopes};

#[derive(Debug)]
pub(crate) struct FakeClock(pub(crate) AtomicI64);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl FakeClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

#[derive(Debug, Default)]
pub(crate) struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}

/// Rows in memory.
#[derive(Clone)]
pub(crate) struct Fake(Arc<FakeState>);

pub(crate) struct FakeState {
    rows: Mutex<HashMap<GrantId, LiveRows>>,
    revoked: Mutex<HashSet<TokenId>>,
    pub(crate) unverifiable: AtomicBool,
    keyring: Mutex<Arc<Keyring>>,
    /// What a reload finds.
    pub(crate) next_keyring: Mutex<Option<Arc<Keyring>>>,
    pub(crate) reloads: AtomicUsize,
    pub(crate) row_reads: AtomicUsize,
    changes: tokio::sync::watch::Sender<()>,
    pub(crate) uses: Mutex<Vec<Use>>,
    /// What a developer would read.
    pub(crate) log: Mutex<Vec<Entry>>,
    pub(crate) so_far: Mutex<CallsSoFar>,
    keys: Mutex<HashMap<String, LiveKey>>,
    /// Increasing and moments, as one node judges them.
    nonces: Mutex<(Increasing, Moments)>,
    clock: Mutex<Option<Arc<FakeClock>>>,
    pub(crate) refused: Mutex<Vec<KeyRefused>>,
}

impl std::ops::Deref for Fake {
    type Target = FakeState;
    fn deref(&self) -> &FakeState {
        &self.0
    }
}

impl Authority for Fake {
    fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.lock().unwrap())
    }

    async fn reload_keys(&self) {
        self.reloads.fetch_add(1, Ordering::SeqCst);
        if let Some(next) = self.next_keyring.lock().unwrap().take() {
            *self.keyring.lock().unwrap() = next;
        }
    }

    async fn live_rows(
        &self,
        grant: GrantId,
        token: TokenId,
    ) -> Result<Option<LiveRows>, Unverifiable> {
        self.row_reads.fetch_add(1, Ordering::SeqCst);
        if self.unverifiable.load(Ordering::SeqCst) {
            return Err(Unverifiable { reason: "the change feed is cut".to_owned() });
        }
        let token_revoked = self.revoked.lock().unwrap().contains(&token);
        let rows = self.rows.lock().unwrap().get(&grant).cloned();
        Ok(rows.map(|rows| LiveRows { token_revoked, ..rows }))
    }

    fn changed(&self, _: &LiveRows, _: TokenId) -> impl Future<Output = ()> + Send + 'static {
        let mut changes = self.changes.subscribe();
        async move {
            let _ = changes.changed().await;
        }
    }

    async fn partner_key(&self, public: &str) -> Result<Option<LiveKey>, Unverifiable> {
        if self.unverifiable.load(Ordering::SeqCst) {
            return Err(Unverifiable { reason: "the change feed is cut".to_owned() });
        }
        Ok(self.keys.lock().unwrap().get(public).cloned())
    }

    fn key_changed(&self, _: &LiveKey) -> impl Future<Output = ()> + Send + 'static {
        let mut changes = self.changes.subscribe();
        async move {
            let _ = changes.changed().await;
        }
    }

    async fn use_nonce(
        &self,
        _: PartnerKeyId,
        nonce: Nonce,
    ) -> Result<Result<(), NonceRefusal>, Unverifiable> {
        let now = self.clock.lock().unwrap().as_ref().unwrap().now();
        let (increasing, moments) = &mut *self.nonces.lock().unwrap();
        let step = match &nonce {
            Nonce::Increasing(nonce) => increasing.judge(*nonce, now, false),
            Nonce::Moment(moment) => moments.judge(moment, now),
        };
        match (step, nonce) {
            (Step::Refuse(refusal), _) => return Ok(Err(refusal)),
            (Step::Accept, _) => {}
            (Step::Reserve { until }, Nonce::Increasing(nonce)) => {
                increasing.reserved(nonce, until);
            }
            (Step::Reserve { until }, Nonce::Moment(moment)) => moments.reserved(&moment, until),
        }
        Ok(Ok(()))
    }

    fn key_refused(&self, refused: KeyRefused) {
        self.refused.lock().unwrap().push(refused);
    }

    fn account(&self, usage: Use) {
        self.uses.lock().unwrap().push(usage);
    }

    fn note_request(&self, request: &Request<'_>) {
        self.log.lock().unwrap().push(request.entry());
        if request.door == (Door::Api { passed: true }) {
            let mut so_far = self.so_far.lock().unwrap();
            so_far.today += 1;
            so_far.this_month += 1;
        }
    }

    async fn calls_so_far(&self, _: AppId) -> CallsSoFar {
        *self.so_far.lock().unwrap()
    }
}

impl Fake {
    /// With the rows of one live grant.
    pub(crate) fn new() -> Self {
        Self(Arc::new(FakeState {
            rows: Mutex::new(HashMap::from([(GRANT, rows())])),
            revoked: Mutex::default(),
            unverifiable: AtomicBool::new(false),
            keyring: Mutex::new(keyring(ISSUER, 1)),
            next_keyring: Mutex::default(),
            reloads: AtomicUsize::new(0),
            row_reads: AtomicUsize::new(0),
            changes: tokio::sync::watch::Sender::new(()),
            uses: Mutex::default(),
            log: Mutex::default(),
            so_far: Mutex::default(),
            keys: Mutex::default(),
            nonces: Mutex::new((Increasing::after(-1), Moments::after(i64::MIN))),
            clock: Mutex::default(),
            refused: Mutex::default(),
        }))
    }

    /// Change the rows as another request would, and tell.
    pub(crate) fn change(&self, change: impl FnOnce(&mut LiveRows)) {
        change(self.rows.lock().unwrap().get_mut(&GRANT).unwrap());
        self.tell();
    }

    /// An event that concerns somebody, perhaps not the caller.
    pub(crate) fn tell(&self) {
        self.changes.send_replace(());
    }

    /// There is a key, by its public half.
    pub(crate) fn set_key(&self, public: &str, live: LiveKey, clock: &Arc<FakeClock>) {
        self.keys.lock().unwrap().insert(public.to_owned(), live);
        *self.clock.lock().unwrap() = Some(Arc::clone(clock));
        self.tell();
    }

    pub(crate) fn revoke_grant(&self) {
        self.change(|rows| {
            let at = Timestamp::from_millis(START);
            let status = GrantStatus::Revoked { at, reason: RevokeReason::User };
            rows.grant = Arc::new(Grant { status, ..(*rows.grant).clone() });
        });
    }

    pub(crate) fn revoke_token(&self) {
        self.revoked.lock().unwrap().insert(TOKEN);
        self.tell();
    }

    pub(crate) fn cut_feed(&self) {
        self.unverifiable.store(true, Ordering::SeqCst);
        self.tell();
    }

    pub(crate) fn remove_grant(&self) {
        self.rows.lock().unwrap().clear();
        self.tell();
    }

    pub(crate) fn uses(&self) -> Vec<Use> {
        self.uses.lock().unwrap().clone()
    }
}

/// Keys of `issuer`; another `number` gives other keys.
pub(crate) fn keyring(issuer: &str, number: u32) -> Arc<Keyring> {
    let master = MasterKey::new([7; 32]);
    let secret = |class, kid| SealingSecret {
        kid,
        class,
        secret: [u8::try_from(number).unwrap(); 32].into(),
        use_at: Timestamp::from_millis(0),
        retire_at: None,
    };
    let secrets =
        vec![secret(KeyClass::Code, number * 2), secret(KeyClass::LongLived, number * 2 + 1)];
    let signing = SigningEntry {
        key: SigningKey::generate(Algorithm::Es256).unwrap(),
        use_at: Timestamp::from_millis(0),
        retire_at: None,
    };
    let now = Timestamp::from_millis(START);
    Arc::new(Keyring::new(issuer, &master, secrets, vec![signing], now).unwrap())
}

const ALL: &str = "orders.read orders.create orders.cancel";

pub(crate) fn rows() -> LiveRows {
    let now = Timestamp::from_millis(START);
    let later = now.after(Duration::from_secs(86_400));
    let app = App {
        id: APP,
        mode: Mode::Live,
        client_id: "trading-bot".to_owned(),
        kind: AppKind::Web,
        name: "Trading bot".to_owned(),
        description: String::new(),
        homepage: None,
        privacy_url: None,
        terms_url: None,
        owner: USER,
        team: None,
        publisher: "Example".to_owned(),
        logo: None,
        status: AppStatus::Live { since: now, approval: Approval::Unreviewed },
        paused_at: None,
        redirect_uris: Vec::new(),
        requested: Vec::new(),
        approved: scopes(ALL),
        service_scopes: ScopeSet::default(),
        addresses: Vec::new(),
        lifetimes: AppLifetimes::default(),
        rotates_refresh_tokens: true,
        optional_ticked: false,
        dialect: None,
        also_standard: false,
        keys: None,
        created_at: now,
        plan: None,
        proposed: None,
        turn: Turn::Staff,
        changed_at: now,
        has_webhooks: false,
        review: ReviewState::default(),
    };
    let user = User {
        id: USER,
        email: "alice@example.com".to_owned(),
        name: "Alice".to_owned(),
        password: None,
        roles: Vec::new(),
        status: UserStatus::Active,
        created_at: now,
        locale: None,
        email_verified_at: None,
    };
    let mut consent =
        Consent::give(&CountingEntropy::default(), APP, USER, scopes(ALL), scopes(ALL), now);
    consent.id = ConsentId::from_bytes([5; 16]);
    let subject =
        GrantSubject::User { user_id: USER, consent_id: consent.id, consent_epoch: consent.epoch };
    let grant = Grant {
        id: GRANT,
        app_id: APP,
        subject,
        scopes: scopes(ALL),
        resources: vec![API.to_owned()],
        mode: Mode::Live,
        dialect: None,
        session_id: None,
        auth_time: None,
        acr: None,
        amr: None,
        key_binding: None,
        details_ref: None,
        device_address: None,
        code_id: None,
        attempt_id: AttemptId::from_bytes([6; 16]),
        refresh: None,
        status: GrantStatus::Live,
        created_at: now,
        last_used_at: now,
        expires_at: later,
        idle_expires_at: later,
    };
    LiveRows {
        grant: Arc::new(grant),
        app: Arc::new(app),
        user: Some(Arc::new(user)),
        consent: Some(Arc::new(consent)),
        token_revoked: false,
    }
}
