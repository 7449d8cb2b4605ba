//! Rows to test with, a clock and randomness that repeat.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use domain::app::{App, AppKind, AppLifetimes, AppStatus, Approval, ScopeRequest, Turn};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::condition::ReviewState;
use domain::consent::Consent;
use domain::entropy::Entropy;
use domain::grant::{Grant, GrantStatus, GrantSubject, Mode, RefreshState};
use domain::id::{AppId, AttemptId, GrantId, TokenId, UserId};
use domain::keyring::MasterKey;
use domain::password::PasswordHash;
use domain::time::{Clock, Timestamp};
use domain::user::{Role, User, UserStatus};
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use protocol::scope::{ScopeName, ScopeSet};
use store::testing::TestDb;
use store::{Db, DbError, Store, StoreConfig, Tuning, apps, consents, grants, users};

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_775_120_400);

/// A day later.
pub(crate) const LATER: Timestamp = Timestamp::from_seconds(1_775_120_400 + 86_400);

/// Run statements in one transaction.
macro_rules! tx {
    ($db:expr, async move |$tx:ident| $body:block) => {
        $db.write(async move |$tx: &mut Tx<'_>| Ok::<_, DbError>($body)).await.unwrap()
    };
}
pub(crate) use tx;

#[derive(Debug)]
pub(crate) struct TestClock(pub(crate) AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl TestClock {
    pub(crate) fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now.as_millis())))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// splitmix64: good enough to tell things apart.
#[derive(Debug)]
pub(crate) struct TestEntropy(pub(crate) AtomicU64);

impl Entropy for TestEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) fn entropy(seed: u64) -> Arc<TestEntropy> {
    Arc::new(TestEntropy(AtomicU64::new(seed)))
}

pub(crate) fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub(crate) fn user(entropy: &dyn Entropy, email: &str) -> User {
    User {
        id: UserId::random(entropy),
        email: email.to_owned(),
        name: "Ærø Ünal 🌊".to_owned(),
        password: Some(PasswordHash::from_phc("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".into())),
        roles: vec![Role::Developer, Role::Admin],
        status: UserStatus::Active,
        created_at: NOW,
        locale: None,
        email_verified_at: None,
    }
}

pub(crate) fn app(entropy: &dyn Entropy, owner: &User, client_id: &str) -> App {
    let uri = |text| RedirectUri::register(RedirectPolicy::Web, text).unwrap();
    App {
        id: AppId::random(entropy),
        mode: Mode::Live,
        client_id: client_id.to_owned(),
        kind: AppKind::Web,
        name: "Trading Bot".to_owned(),
        description: "Trades.\nA \"lot\".".to_owned(),
        homepage: Some("https://bot.example/".to_owned()),
        privacy_url: None,
        terms_url: Some(String::new()),
        owner: owner.id,
        team: None,
        publisher: "Northwind".to_owned(),
        logo: None,
        status: AppStatus::Live {
            since: NOW,
            approval: Approval::Reviewed { at: NOW, by: owner.id },
        },
        paused_at: None,
        redirect_uris: vec![uri("https://bot.example/back"), uri("https://bot.example/b?x=1")],
        requested: vec![ScopeRequest {
            scope: ScopeName::parse("orders.create").unwrap(),
            purpose: "to place orders".to_owned(),
            required: true,
        }],
        approved: scopes("orders.create balances.read"),
        service_scopes: ScopeSet::default(),
        addresses: vec!["127.0.0.1/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        lifetimes: AppLifetimes {
            access_token: Some(Duration::from_millis(1)),
            refresh_idle: None,
            grant_max: Some(Duration::from_secs(3600)),
        },
        rotates_refresh_tokens: true,
        optional_ticked: false,
        dialect: None,
        also_standard: false,
        keys: None,
        created_at: NOW,
        plan: None,
        proposed: None,
        turn: Turn::Staff,
        changed_at: NOW,
        has_webhooks: false,
        review: ReviewState::default(),
    }
}

pub(crate) fn grant(entropy: &dyn Entropy, consent: &Consent) -> Grant {
    Grant {
        id: GrantId::random(entropy),
        app_id: consent.app_id,
        subject: GrantSubject::User {
            user_id: consent.user_id,
            consent_id: consent.id,
            consent_epoch: consent.epoch,
        },
        scopes: consent.scopes.clone(),
        resources: vec!["https://api.example".to_owned()],
        mode: Mode::Live,
        dialect: None,
        session_id: None,
        auth_time: Some(NOW),
        acr: None,
        amr: None,
        key_binding: None,
        details_ref: None,
        device_address: None,
        code_id: None,
        attempt_id: AttemptId::random(entropy),
        refresh: Some(RefreshState::first(NOW)),
        status: GrantStatus::Live,
        created_at: NOW,
        last_used_at: NOW,
        expires_at: NOW.after(Duration::from_secs(365 * 86_400)),
        idle_expires_at: NOW.after(Duration::from_secs(30 * 86_400)),
    }
}

/// A user who has let an app in, and the grant that came of it.
pub(crate) struct Case {
    pub(crate) user: User,
    pub(crate) app: App,
    pub(crate) consent: Consent,
    pub(crate) grant: Grant,
    pub(crate) token: TokenId,
}

impl Case {
    pub(crate) async fn insert(db: &Db, seed: u64) -> Self {
        let entropy = entropy(seed);
        let user = user(&*entropy, &format!("alice{seed}@example.com"));
        let app = app(&*entropy, &user, &format!("bot-{seed}"));
        let both = scopes("orders.create balances.read");
        let consent = Consent::give(&*entropy, app.id, user.id, both.clone(), both, NOW);
        let grant = grant(&*entropy, &consent);
        let token = TokenId::random(&*entropy);
        let rows = (user.clone(), app.clone(), consent.clone(), grant.clone());
        db.write(async move |tx| {
            let (user, app, consent, grant) = &rows;
            assert!(users::insert(tx, user).await?);
            assert!(apps::insert(tx, app).await?);
            consents::save(tx, consent).await?;
            assert!(grants::insert(tx, grant).await?);
            Ok::<_, DbError>(())
        })
        .await
        .unwrap();
        Self { user, app, consent, grant, token }
    }
}

pub(crate) async fn open_store(url: &str, clock: Arc<TestClock>, seed: u64) -> Store {
    let tuning = Tuning { clock_skew_max: None, ..Tuning::default() };
    open_tuned(url, clock, seed, tuning).await
}

pub(crate) async fn open_tuned(
    url: &str,
    clock: Arc<dyn Clock>,
    seed: u64,
    tuning: Tuning,
) -> Store {
    loop {
        let config = StoreConfig {
            url: url.to_owned(),
            issuer: "https://id.example".to_owned(),
            master: MasterKey::new([7; 32]),
        };
        match Store::open_with(config, Arc::clone(&clock), entropy(seed), tuning).await {
            // A store that was dropped a moment ago: its tasks let go of the file one by one.
            Err(DbError::InUse(_)) => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

pub(crate) async fn store_of(database: &TestDb) -> Store {
    open_store(&database.url, TestClock::at(NOW), 1).await
}

pub(crate) fn localhost() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

/// What the trail says of a rotation by hand.
pub(crate) fn rotated() -> AuditEvent {
    AuditEvent::new(NOW, AuditKind::KeysRotated, AuditActor::CommandLine { uid: Some(1000) })
}
