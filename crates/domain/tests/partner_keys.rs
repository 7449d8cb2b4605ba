//! What may happen to a partner key, and what it may do.

#![expect(clippy::unwrap_used, reason = "tests assert by panicking")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::app::{App, AppKind, AppLifetimes, AppStatus, Approval, Turn};
use domain::condition::ReviewState;
use domain::entropy::Entropy;
use domain::grant::Mode;
use domain::id::{AppId, PartnerKeyId, UserId};
use domain::key_terms::{Endpoint, KeyTerms, PermissionGroup, Translated};
use domain::keyring::{Keyring, MasterKey, SealingSecret};
use domain::partner_key::{
    DisabledWhy, IssueRefusal, KeyStatus, NotActive, PARTNER_KEYS_MAX, PartnerKey, Permission,
    SECRET_LOCK, SecretRefusal, SecretState, UNUSED_MAX, id_of_uuid, may_issue, uuid_of,
};
use domain::policy::{RouteAccess, RouteRule};
use domain::seal::{KeyClass, OpenError};
use domain::time::Timestamp;
use zeroize::Zeroizing;

const NOW: Timestamp = Timestamp::from_seconds(1_775_120_400);
const ALICE: UserId = UserId::from_bytes([1; 16]);
const BOT: AppId = AppId::from_bytes([2; 16]);

#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) {
        for byte in out {
            *byte = self.0.fetch_add(1, Ordering::Relaxed) as u8;
        }
    }
}

fn keyring() -> Keyring {
    let key = |kid, class| SealingSecret {
        kid,
        class,
        secret: Zeroizing::new([3; 32]),
        use_at: Timestamp::default(),
        retire_at: None,
    };
    let secrets = vec![key(1, KeyClass::LongLived), key(2, KeyClass::Code)];
    Keyring::new("https://a.example", &MasterKey::new([7; 32]), secrets, Vec::new(), NOW).unwrap()
}

fn permission(group: &str, url: &str) -> Permission {
    Permission { group: group.to_owned(), url: url.to_owned() }
}

fn key_of(app: AppId) -> PartnerKey {
    let entropy = Counting::default();
    let permissions = [permission("trading", "/new"), permission("gone", "/old")].into();
    PartnerKey::issue(&keyring(), &entropy, (ALICE, app), permissions, None, NOW).unwrap()
}

fn after(duration: Duration) -> Timestamp {
    NOW.after(duration)
}

#[test]
fn a_secret_opens_for_its_own_key_alone() {
    let key = key_of(BOT);
    let secret = key.secret.open(&keyring(), key.id).unwrap();
    assert_eq!(secret.expose().len(), 64);
    assert!(secret.expose().bytes().all(|byte| byte.is_ascii_hexdigit()));
    let other = PartnerKeyId::from_bytes([9; 16]);
    assert_eq!(key.secret.open(&keyring(), other).err(), Some(OpenError::Invalid), "swapped rows");
    assert!(!key.secret.as_stored().contains(secret.expose()));
    let printed = format!("{key:?} {secret:?}");
    assert!(!printed.contains(secret.expose()) && !printed.contains(key.secret.as_stored()));
    assert_eq!(key.public.len(), 32);
}

#[test]
fn the_secret_is_told_to_one_caller_once() {
    let mut key = key_of(BOT);
    let until = key.lock_secret(NOW).unwrap();
    assert_eq!(key.lock_secret(after(Duration::from_secs(1))), Err(SecretRefusal::Locked));
    let mut late = key.clone();
    let second = late.lock_secret(until).unwrap();
    assert_ne!(second, until, "a lock is known by its end");
    assert_eq!(late.tell_secret(until, until), Err(SecretRefusal::Locked));
    assert_eq!(late.tell_secret(second, until), Ok(()));
    assert_eq!(late.secret_state, SecretState::Read { at: until });
    assert_eq!(late.tell_secret(second, until), Err(SecretRefusal::AlreadyRead));
    assert_eq!(late.lock_secret(after(SECRET_LOCK * 10)), Err(SecretRefusal::AlreadyRead));
    assert_eq!(key_of(BOT).tell_secret(until, NOW), Err(SecretRefusal::Locked), "without a lock");
}

#[test]
fn a_disabled_key_has_no_secret_and_ends_no_second_time() {
    let mut key = key_of(BOT);
    let until = key.lock_secret(NOW).unwrap();
    key.disable(DisabledWhy::Unused, NOW).unwrap();
    assert_eq!(key.disable(DisabledWhy::Unused, NOW), Err(NotActive));
    assert_eq!(key.tell_secret(until, NOW), Err(SecretRefusal::Disabled));
    assert_eq!(key.lock_secret(NOW), Err(SecretRefusal::Disabled));
    assert_eq!(key.secret.open(&keyring(), key.id).err(), Some(OpenError::Invalid));
    assert_eq!(key.status, KeyStatus::Disabled { why: DisabledWhy::Unused, at: NOW });
}

#[test]
fn fourteen_days_are_counted_from_the_last_use() {
    let mut key = key_of(BOT);
    let millisecond = Duration::from_millis(1);
    assert!(!key.is_unused_too_long(after(UNUSED_MAX - millisecond)));
    assert!(key.is_unused_too_long(after(UNUSED_MAX)));
    key.last_used_at = Some(after(UNUSED_MAX));
    assert!(!key.is_unused_too_long(after(UNUSED_MAX * 2 - millisecond)));
    assert!(key.is_unused_too_long(after(UNUSED_MAX * 2)));
}

#[test]
fn a_user_has_one_key_for_an_app_and_fifty_in_all() {
    let other = |number: u8| key_of(AppId::from_bytes([100 + number; 16]));
    let many: Vec<_> = (0..50).map(other).collect();
    assert_eq!(may_issue(&many[..PARTNER_KEYS_MAX - 1], BOT), Ok(()));
    assert_eq!(may_issue(&many, BOT), Err(IssueRefusal::TooMany));
    assert_eq!(may_issue([&key_of(BOT)], BOT), Err(IssueRefusal::ActiveExists));
    let mut disabled = key_of(BOT);
    disabled.disable(DisabledWhy::Unused, NOW).unwrap();
    assert_eq!(may_issue([&disabled], BOT), Err(IssueRefusal::DisabledExists));
}

#[test]
fn an_id_on_the_wire_is_a_uuid_and_has_one_spelling() {
    let key = key_of(BOT);
    let text = uuid_of(key.id);
    assert_eq!(id_of_uuid(&text), Some(key.id));
    // RFC 9562 §5.4
    assert_eq!(text.as_bytes()[14], b'4', "{text}");
    assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
    let known =
        PartnerKeyId::from_bytes(0x550e_8400_e29b_41d4_a716_4466_5544_0000_u128.to_be_bytes());
    assert_eq!(uuid_of(known), "550e8400-e29b-41d4-a716-446655440000");
    for other in [&text.to_uppercase(), &text.replace('-', ""), &format!("{text}0"), "", "x"] {
        assert_eq!(id_of_uuid(other), None, "{other}");
    }
}

fn app(approved: &str) -> App {
    App {
        id: BOT,
        mode: Mode::Live,
        client_id: "bot".into(),
        kind: AppKind::Web,
        name: "Bot".into(),
        description: String::new(),
        homepage: None,
        privacy_url: None,
        terms_url: None,
        owner: ALICE,
        team: None,
        publisher: String::new(),
        logo: None,
        status: AppStatus::Live { since: NOW, approval: Approval::Unreviewed },
        paused_at: None,
        redirect_uris: Vec::new(),
        requested: Vec::new(),
        approved: approved.parse().unwrap(),
        service_scopes: "".parse().unwrap(),
        addresses: Vec::new(),
        lifetimes: AppLifetimes::default(),
        rotates_refresh_tokens: true,
        optional_ticked: true,
        dialect: None,
        also_standard: false,
        keys: None,
        plan: None,
        proposed: None,
        turn: Turn::Staff,
        created_at: NOW,
        changed_at: NOW,
        has_webhooks: false,
        review: ReviewState::default(),
    }
}

fn access(scopes: &str) -> RouteAccess {
    RouteAccess::AnyOf(vec![scopes.parse().unwrap()])
}

fn terms() -> KeyTerms {
    let endpoint =
        |url: &str, scope: &str| Endpoint { url: url.to_owned(), access: vec![access(scope)] };
    let title = Translated {
        text: "Trading".to_owned(),
        by_language: BTreeMap::from([("de".to_owned(), "Handel".to_owned())]),
    };
    KeyTerms {
        create: "keys.create".parse().unwrap(),
        read: "keys.read".parse().unwrap(),
        delete: "keys.delete".parse().unwrap(),
        access_token: Duration::from_secs(60),
        groups: vec![PermissionGroup {
            name: "trading".to_owned(),
            title,
            moves_money: false,
            endpoints: vec![endpoint("/new", "orders.create"), endpoint("/list", "orders.read")],
        }],
    }
}

#[test]
fn a_key_may_do_what_its_user_picked_and_its_app_is_approved_for() {
    let route = |pattern: &str, scope: &str| RouteRule {
        access: access(scope),
        family: String::new(),
        pattern: pattern.to_owned(),
    };
    let (terms, key) = (terms(), key_of(BOT));
    let full = app("keys.create orders.create orders.read");
    assert!(terms.permits(&key, &full, &route("/new", "orders.create"), NOW));
    assert!(!terms.permits(&key, &full, &route("/list", "orders.read"), NOW), "not picked");
    assert!(!terms.permits(&key, &full, &route("/old", "orders.read"), NOW), "its group is gone");
    let narrowed = app("keys.create orders.read");
    assert!(
        !terms.permits(&key, &narrowed, &route("/new", "orders.create"), NOW),
        "taken from the app"
    );
    let without = app("orders.create orders.read");
    assert!(
        !terms.permits(&key, &without, &route("/new", "orders.create"), NOW),
        "no keys any more"
    );
    let mut disabled = key;
    disabled.disable(DisabledWhy::Unused, NOW).unwrap();
    assert!(!terms.permits(&disabled, &full, &route("/new", "orders.create"), NOW));
}

#[test]
fn an_app_is_offered_what_it_is_approved_for() {
    let terms = terms();
    let urls = |approved: &str| -> Vec<String> {
        let offered = terms.offered_to(&app(approved), NOW);
        offered.iter().flat_map(|one| one.permissions()).map(|one| one.url).collect()
    };
    assert_eq!(urls("orders.create orders.read"), ["/new", "/list"]);
    assert_eq!(urls("orders.read"), ["/list"]);
    assert!(terms.offered_to(&app("other"), NOW).is_empty());
}

#[test]
fn a_title_is_told_in_the_language_of_a_locale() {
    let title = &terms().groups[0].title;
    for (locale, text) in
        [("de", "Handel"), ("de-AT", "Handel"), ("fr", "Trading"), ("", "Trading")]
    {
        assert_eq!(title.in_locale(locale), text, "{locale}");
    }
}
