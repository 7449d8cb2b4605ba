//! Partner keys as the gateway sees them, and nonces that are accepted once: after a crash, on
//! another node, and from a hundred calls at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authority::Authority as _;
use domain::change::Change;
use domain::id::PartnerKeyId;
use domain::key_access::{KeyRefused, LiveKey};
use domain::nonce::{Moment, Nonce, NonceRefusal};
use domain::partner_key::{DisabledWhy, EndedWhy, PartnerKey, Permission};
use domain::time::{Clock as _, Timestamp};
use domain::usage::{Use, UsedBy};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use protocol::mac::Digest;
use protocol::signed_request::SignedRefusal as R;
use store::nonces::{self, Marks};
use store::testing::TestDb;
use store::{DbError, Store, Tx, apps, audit, changes, on_both, partner_keys, users};

use crate::support::{Case, NOW, TestClock, entropy, localhost, open_store, store_of, tx};

const URL: &str = "/api/v4/order/new";

/// A key, and its secret as the app knows it.
async fn insert_key(store: &Store, case: &Case, seed: u64) -> (PartnerKey, String) {
    let permission = Permission { group: "trade".to_owned(), url: URL.to_owned() };
    let ids = (case.user.id, case.app.id);
    let keyring = store.keyring();
    let permissions = BTreeSet::from([permission]);
    let key = PartnerKey::issue(&keyring, &*entropy(seed), ids, permissions, None, NOW).unwrap();
    let secret = key.secret.open(&keyring, key.id).unwrap().expose().to_owned();
    let row = key.clone();
    tx!(store.db, async move |tx| { assert!(partner_keys::insert(tx, &row).await?) });
    (key, secret)
}

async fn live(store: &Store, key: &PartnerKey) -> Option<LiveKey> {
    store.partner_key(&key.public).await.unwrap()
}

async fn take(store: &Store, key: PartnerKeyId, nonce: Nonce) -> Result<(), NonceRefusal> {
    store.use_nonce(key, nonce).await.unwrap()
}

fn moment(at: Timestamp) -> Nonce {
    Nonce::Moment(Moment { at, id: [1; 16], window: Duration::from_secs(5) })
}

on_both! {
    async fn a_key_signs_with_the_secret_that_was_told(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 1).await;
        let (key, secret) = insert_key(&store, &case, 2).await;
        for _ in 0..2 {
            let live = live(&store, &key).await.unwrap();
            let mac = protocol::mac::MacKey::new(secret.as_bytes()).sign(Digest::Sha512, b"x");
            assert!(live.secret.as_ref().unwrap().verify(Digest::Sha512, b"x", &mac));
            assert_eq!(live.check(localhost()), Ok(()));
            assert_eq!(live.check([8, 8, 8, 8].into()), Err(R::AddressNotAllowed));
            assert_eq!((live.app.id, live.user.id), (case.app.id, case.user.id));
        }
        assert!(store.partner_key("0123456789abcdef0123456789abcdef").await.unwrap().is_none());
        assert!(store.partner_key("").await.unwrap().is_none());
    }

    async fn what_ends_a_key_is_felt_by_the_next_look(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 1).await;
        let (key, _) = insert_key(&store, &case, 2).await;
        let why = async || live(&store, &key).await.unwrap().check(localhost()).err();
        assert_eq!(why().await, None);

        let app = case.app.clone().suspend("spam".to_owned(), NOW).unwrap();
        tx!(store.db, async move |tx| {
            apps::save(tx, &app).await?;
            changes::record(tx, Change::App(app.id)).await?;
        });
        assert_eq!(why().await, Some(R::NotActive));
        let (app, user) = (case.app.clone(), case.user.clone().block("fraud".to_owned(), NOW));
        tx!(store.db, async move |tx| {
            apps::save(tx, &app).await?;
            users::save(tx, &user).await?;
            changes::record(tx, Change::App(app.id)).await?;
            changes::record(tx, Change::User(user.id)).await?;
        });
        assert_eq!(why().await, Some(R::NotActive));
        let user = case.user.clone();
        tx!(store.db, async move |tx| {
            users::save(tx, &user).await?;
            changes::record(tx, Change::User(user.id)).await?;
        });
        assert_eq!(why().await, None);

        let seen = live(&store, &key).await.unwrap();
        let told = store.key_changed(&seen);
        let mut disabled = key.clone();
        disabled.disable(DisabledWhy::Unused, NOW).unwrap();
        tx!(store.db, async move |tx| { assert!(partner_keys::disable(tx, &disabled, NOW).await?) });
        assert_eq!(told.now_or_never(), Some(()));
        assert_eq!(why().await, Some(R::KeyDisabled));
        assert!(live(&store, &key).await.unwrap().secret.is_none());

        let ended = key.clone();
        tx!(store.db, async move |tx| {
            let actor = AuditActor::App(ended.app_id);
            assert!(partner_keys::end(tx, &ended, EndedWhy::App, actor, NOW).await?);
        });
        assert!(live(&store, &key).await.is_none());
    }

    async fn every_statement_about_nonces_does_what_it_says(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 1).await;
        let key = insert_key(&store, &case, 2).await.0;
        let id = key.id;
        let marks = async || store.db.read(async move |tx| nonces::find(tx, id).await).await.unwrap();
        assert_eq!(marks().await, Marks::NONE);
        let reserve = async |from, until| {
            tx!(store.db, async move |tx| { nonces::reserve(tx, id, from, until).await? })
        };
        assert!(reserve(0, 0).await);
        assert!(!reserve(0, 7).await);
        assert!(reserve(1, 9).await);
        assert!(!reserve(9, 10).await);
        assert_eq!(marks().await, Marks { increasing: 9, moments: i64::MIN });
        tx!(store.db, async move |tx| {
            nonces::reserve_moments(tx, id, 5).await?;
            nonces::reserve_moments(tx, id, 4).await?;
            nonces::give_back(tx, id, (8, 1)).await?;
            nonces::give_back_moments(tx, id, (4, 1)).await?;
        });
        assert_eq!(marks().await, Marks { increasing: 9, moments: 5 });
        tx!(store.db, async move |tx| {
            nonces::give_back(tx, id, (9, 3)).await?;
            nonces::give_back_moments(tx, id, (5, -7)).await?;
        });
        assert_eq!(marks().await, Marks { increasing: 3, moments: -7 });
        assert!(reserve(i64::MAX, i64::MAX).await);
        tx!(store.db, async move |tx| { nonces::reserve_moments(tx, id, i64::MAX).await? });
        assert_eq!(marks().await, Marks { increasing: i64::MAX, moments: i64::MAX });
        // They go with their key.
        tx!(store.db, async move |tx| {
            partner_keys::end(tx, &key, EndedWhy::User, AuditActor::System, NOW).await?
        });
        assert_eq!(marks().await, Marks::NONE);
    }

    async fn n1_a_hundred_equal_nonces_at_once_have_one_winner(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 1).await;
        let key = insert_key(&store, &case, 2).await.0.id;
        for nonce in [Nonce::Increasing(7), Nonce::Increasing(NOW.as_millis()), moment(NOW)] {
            let all = (0..100).map(|_| {
                let store = store.clone();
                tokio::spawn(async move { take(&store, key, nonce).await })
            });
            let winners = join_all(all).await.into_iter().filter(|one| one.as_ref().unwrap().is_ok());
            assert_eq!(winners.count(), 1, "{nonce:?}");
        }
    }

    async fn n1_a_nonce_is_refused_after_a_crash(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, Arc::clone(&clock), 1).await;
        let case = Case::insert(&store.db, 1).await;
        let key = insert_key(&store, &case, 2).await.0.id;
        let mut used = vec![Nonce::Increasing(3), moment(clock.now())];
        for nonce in &used {
            assert_eq!(take(&store, key, *nonce).await, Ok(()));
        }
        for _ in 0..100 {
            clock.advance(Duration::from_millis(50));
            for nonce in [Nonce::Increasing(clock.now().as_millis()), moment(clock.now())] {
                assert_eq!(take(&store, key, nonce).await, Ok(()));
                used.push(nonce);
            }
        }
        // Without a word of goodbye.
        drop(store);
        let store = open_store(&database.url, Arc::clone(&clock), 3).await;
        for nonce in &used {
            assert!(take(&store, key, *nonce).await.is_err(), "{nonce:?}");
        }
        // Time gets past whatever was reserved.
        clock.advance(Duration::from_secs(6));
        for nonce in [Nonce::Increasing(clock.now().as_millis()), moment(clock.now())] {
            assert_eq!(take(&store, key, nonce).await, Ok(()));
        }
    }

    async fn an_orderly_restart_refuses_nothing_new(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, Arc::clone(&clock), 1).await;
        let case = Case::insert(&store.db, 1).await;
        let key = insert_key(&store, &case, 2).await.0.id;
        for _ in 0..100 {
            clock.advance(Duration::from_millis(50));
            for nonce in [Nonce::Increasing(clock.now().as_millis()), moment(clock.now())] {
                assert_eq!(take(&store, key, nonce).await, Ok(()));
            }
        }
        store.close().await.unwrap();
        drop(store);
        let store = open_store(&database.url, Arc::clone(&clock), 3).await;
        let last = clock.now();
        for nonce in [Nonce::Increasing(last.as_millis()), moment(last)] {
            assert!(take(&store, key, nonce).await.is_err());
        }
        clock.advance(Duration::from_millis(1));
        for nonce in [Nonce::Increasing(clock.now().as_millis()), moment(clock.now())] {
            assert_eq!(take(&store, key, nonce).await, Ok(()));
        }
    }

    async fn a_use_is_a_sign_of_life_of_its_key(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 1).await;
        let (key, _) = insert_key(&store, &case, 2).await;
        let at = NOW.after(Duration::from_secs(60));
        for _ in 0..3 {
            store.account(Use {
                by: UsedBy::PartnerKey(key.id),
                app_id: case.app.id,
                user_id: Some(case.user.id),
                family: "orders".to_owned(),
                status: 200,
                address: localhost(),
                at,
            });
        }
        store.flush_usage().await.unwrap();
        let (id, user, app) = (key.id, case.user.id, case.app.id);
        let found = tx!(store.db, async move |tx| { partner_keys::find(tx, id).await? });
        assert_eq!(found.unwrap().last_used_at, Some(at));
        let uses = tx!(store.db, async move |tx| { store::usage::list_of(tx, user, app).await? });
        assert_eq!((uses[0].calls, uses[0].family.as_str()), (3, "orders"));
    }

    async fn a_flood_of_refusals_is_one_row_of_the_trail(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, Arc::clone(&clock), 1).await;
        let case = Case::insert(&store.db, 1).await;
        let (key, _) = insert_key(&store, &case, 2).await;
        let refuse = |why, count: u32| {
            for _ in 0..count {
                store.key_refused(KeyRefused {
                    key_id: key.id,
                    app_id: case.app.id,
                    user_id: case.user.id,
                    why,
                    address: localhost(),
                    at: clock.now(),
                });
            }
        };
        let counts = async || {
            store.flush_usage().await.unwrap();
            let list = async |tx: &mut Tx<'_>| {
                let kind = AuditKind::PartnerKeyRefused;
                audit::list_of_kind(tx, kind, 100).await
            };
            let rows = store.db.read(list).await.unwrap();
            let count = |event: &AuditEvent| event.detail["count"].as_u64().unwrap();
            let mut counts: Vec<u64> = rows.iter().map(count).collect();
            counts.sort_unstable();
            counts
        };
        refuse(R::NonceUsed, 1000);
        refuse(R::SignatureInvalid, 2);
        assert_eq!(counts().await, [2, 1000]);
        refuse(R::NonceUsed, 500);
        assert_eq!(counts().await, [2, 1000], "not yet");
        clock.advance(Duration::from_secs(601));
        assert_eq!(counts().await, [2, 500, 1000]);
        refuse(R::NonceUsed, 7);
        store.close().await.unwrap();
        assert_eq!(counts().await, [2, 7, 500, 1000]);
    }
}

/// 100 calls over ten seconds, as a trading bot makes them.
#[tokio::test]
async fn most_signed_requests_write_nothing() {
    let database = TestDb::sqlite();
    let clock = TestClock::at(NOW);
    let store = open_store(&database.url, Arc::clone(&clock), 1).await;
    let case = Case::insert(&store.db, 1).await;
    let key = insert_key(&store, &case, 2).await.0.id;
    let writes = async |nonce: fn(Timestamp) -> Nonce| {
        let before = store.db.commits();
        for _ in 0..1000 {
            clock.advance(Duration::from_millis(10));
            assert_eq!(take(&store, key, nonce(clock.now())).await, Ok(()));
        }
        store.db.commits() - before
    };
    // 2000 in all: a hundred exact ones while the pace is watched, then one in five seconds. The
    // audit trail is sealed meanwhile.
    let increasing = writes(|now| Nonce::Increasing(now.as_millis())).await;
    assert!(increasing < 120, "{increasing}");
    let moments = writes(moment).await;
    assert!(moments < 10, "{moments}");
}

#[cfg(feature = "full-tests")]
mod nodes {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn n1_a_nonce_is_refused_on_another_node() {
        let database = TestDb::postgres().await;
        let clock = TestClock::at(NOW);
        let here = open_store(&database.url, Arc::clone(&clock), 1).await;
        let there = open_store(&database.url, Arc::clone(&clock), 2).await;
        let case = Case::insert(&here.db, 1).await;
        let (key, _) = insert_key(&here, &case, 2).await;
        let mut nodes = [&here, &there];
        for call in 0..60 {
            clock.advance(Duration::from_millis(100));
            let now = clock.now();
            for nonce in [Nonce::Increasing(now.as_millis()), moment(now)] {
                assert_eq!(take(nodes[0], key.id, nonce).await, Ok(()), "call {call}");
                assert!(take(nodes[1], key.id, nonce).await.is_err(), "call {call}");
                assert!(take(nodes[0], key.id, nonce).await.is_err(), "call {call}");
            }
            nodes.reverse();
        }
        // What one node reserves, the other refuses for as long, and never accepts again.
        let all = (0..100).map(|at| {
            let store = nodes[at % 2].clone();
            let nonce = moment(clock.now().after(Duration::from_millis(1)));
            tokio::spawn(async move { take(&store, key.id, nonce).await })
        });
        let winners = join_all(all).await.into_iter().filter(|one| one.as_ref().unwrap().is_ok());
        assert_eq!(winners.count(), 1);
        here.close().await.unwrap();
        there.close().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_key_that_ended_on_one_node_is_refused_on_the_other() {
        let database = TestDb::postgres().await;
        let clock = TestClock::at(NOW);
        let here = open_store(&database.url, Arc::clone(&clock), 1).await;
        let there = open_store(&database.url, Arc::clone(&clock), 2).await;
        let case = Case::insert(&here.db, 1).await;
        let (key, _) = insert_key(&here, &case, 2).await;
        assert!(live(&there, &key).await.unwrap().check(localhost()).is_ok());
        let ended = key.clone();
        let end = async move |tx: &mut Tx<'_>| {
            let actor = AuditActor::User(ended.user_id);
            partner_keys::end(tx, &ended, EndedWhy::User, actor, NOW).await
        };
        assert!(here.db.write(end).await.unwrap_or_else(|error: DbError| panic!("{error}")));
        assert!(live(&there, &key).await.is_none());
    }
}
