//! What a token means right now, on one node. Attack K1: a revocation races a cache fill.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use domain::access::{AccessRefusal, LiveRows, grant_scopes};
use domain::authority::Authority as _;
use domain::change::Change;
use domain::grant::{GrantStatus, RefreshState, RevokeReason};
use domain::id::{GrantId, TokenId};
use domain::usage::{Use, UsedBy};
use futures_util::FutureExt as _;
use store::testing::TestDb;
use store::{
    Db, DbError, Store, Tx, apps, changes, consents, grants, on_both, revoked_tokens, usage, users,
};

use crate::support::{Case, NOW, TestClock, localhost, open_store, scopes, store_of};

async fn rows(store: &Store, case: &Case) -> LiveRows {
    store.live_rows(case.grant.id, case.token).await.unwrap().expect("there is a grant")
}

async fn revoke(db: &Db, id: GrantId) {
    let write = async move |tx: &mut Tx<'_>| {
        grants::revoke(tx, id, RevokeReason::User, NOW).await?;
        changes::record(tx, Change::Grant(id)).await
    };
    db.write(write).await.unwrap();
}

on_both! {
    async fn a_live_grant_may_do_what_all_its_rows_allow(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 1).await;
        for _ in 0..2 {
            let rows = rows(&store, &case).await;
            assert_eq!(grant_scopes(&rows, NOW), Ok(scopes("orders.create balances.read")));
            assert!(!rows.token_revoked);
        }
    }

    async fn what_is_taken_back_is_felt_by_the_next_look(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 2).await;
        assert!(grant_scopes(&rows(&store, &case).await, NOW).is_ok());

        let app = case.app.clone().suspend("spam".to_owned(), NOW).unwrap();
        let write = async move |tx: &mut Tx<'_>| {
            apps::save(tx, &app).await?;
            changes::record(tx, Change::App(app.id)).await
        };
        store.db.write(write).await.unwrap();
        let refused = grant_scopes(&rows(&store, &case).await, NOW);
        assert_eq!(refused, Err(AccessRefusal::AppNotLive));

        let (app, user) = (case.app.clone(), case.user.clone().block("fraud".to_owned(), NOW));
        let write = async move |tx: &mut Tx<'_>| {
            apps::save(tx, &app).await?;
            users::save(tx, &user).await?;
            changes::record(tx, Change::App(app.id)).await?;
            changes::record(tx, Change::User(user.id)).await
        };
        store.db.write(write).await.unwrap();
        let refused = grant_scopes(&rows(&store, &case).await, NOW);
        assert_eq!(refused, Err(AccessRefusal::UserBlocked));

        let user = case.user.clone();
        let consent = case.consent.clone().withdraw(&*crate::support::entropy(9), NOW).unwrap();
        let write = async move |tx: &mut Tx<'_>| {
            users::save(tx, &user).await?;
            consents::save(tx, &consent).await?;
            changes::record(tx, Change::User(user.id)).await?;
            changes::record(tx, Change::Consent(consent.id)).await
        };
        store.db.write(write).await.unwrap();
        let refused = grant_scopes(&rows(&store, &case).await, NOW);
        assert_eq!(refused, Err(AccessRefusal::ConsentWithdrawn));

        revoke(&store.db, case.grant.id).await;
        let refused = grant_scopes(&rows(&store, &case).await, NOW);
        assert_eq!(refused, Err(AccessRefusal::GrantEnded));
    }

    async fn one_revoked_token_leaves_the_others_of_its_grant(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 3).await;
        let (given_back, other) = (case.token, TokenId::from_bytes([9; 16]));
        assert!(!rows(&store, &case).await.token_revoked);
        let write = async move |tx: &mut Tx<'_>| {
            revoked_tokens::insert(tx, given_back, NOW).await?;
            changes::record(tx, Change::Token(given_back)).await
        };
        store.db.write(write).await.unwrap();
        assert!(rows(&store, &case).await.token_revoked);
        let others = store.live_rows(case.grant.id, other).await.unwrap().unwrap();
        assert!(!others.token_revoked);
    }

    async fn an_unknown_grant_and_a_deleted_app_have_no_rows(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 4).await;
        let nobody = GrantId::from_bytes([0; 16]);
        assert!(store.live_rows(nobody, case.token).await.unwrap().is_none());
        rows(&store, &case).await;
        let app = case.app.id;
        let write = async move |tx: &mut Tx<'_>| {
            apps::delete(tx, app).await?;
            changes::record(tx, Change::App(app)).await
        };
        store.db.write(write).await.unwrap();
        assert!(store.live_rows(case.grant.id, case.token).await.unwrap().is_none());
    }

    async fn k1_after_the_answer_no_reader_ever_sees_the_grant_live(database: TestDb) {
        let store = store_of(&database).await;
        let case = Arc::new(Case::insert(&store.db, 5).await);
        for round in 0..30_u8 {
            let grant = domain::grant::Grant {
                id: GrantId::from_bytes([round; 16]),
                ..case.grant.clone()
            };
            let id = grant.id;
            store.db.write(async move |tx| grants::insert(tx, &grant).await).await.unwrap();
            let answered = Arc::new(AtomicBool::new(false));
            let looks = Arc::new(AtomicU64::new(0));
            let mut readers = tokio::task::JoinSet::new();
            for reader in 0..4_u8 {
                let (store, answered, looks) =
                    (store.clone(), Arc::clone(&answered), Arc::clone(&looks));
                readers.spawn(async move {
                    // Tokens of their own, so that there are fills all the time.
                    for number in 0..=u8::MAX {
                        let mut bytes = [round; 16];
                        (bytes[0], bytes[1]) = (reader, number);
                        let token = TokenId::from_bytes(bytes);
                        let after_the_answer = answered.load(Ordering::SeqCst);
                        let rows = store.live_rows(id, token).await.unwrap().unwrap();
                        looks.fetch_add(1, Ordering::SeqCst);
                        let is_live = rows.grant.status == GrantStatus::Live;
                        assert!(!(after_the_answer && is_live), "accepted after the answer");
                        if after_the_answer {
                            return;
                        }
                    }
                });
            }
            while looks.load(Ordering::SeqCst) < 20 {
                tokio::task::yield_now().await;
            }
            revoke(&store.db, id).await;
            answered.store(true, Ordering::SeqCst);
            readers.join_all().await;
            let rows = store.live_rows(id, case.token).await.unwrap().unwrap();
            assert!(matches!(rows.grant.status, GrantStatus::Revoked { .. }));
        }
    }

    async fn an_open_call_hears_of_its_own_rows_and_of_no_others(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 6).await;
        let other = Case::insert(&store.db, 7).await;
        let watched = rows(&store, &case).await;
        let mut changed = Box::pin(store.changed(&watched, case.token));
        revoke(&store.db, other.grant.id).await;
        assert!((&mut changed).now_or_never().is_none());
        revoke(&store.db, case.grant.id).await;
        changed.await;
    }

    async fn a_grant_that_was_refreshed_does_not_lapse_in_the_cache(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, clock.clone(), 1).await;
        let case = Case::insert(&store.db, 8).await;
        rows(&store, &case).await;
        clock.advance(Duration::from_secs(29 * 86_400));
        let (id, now) = (case.grant.id, NOW.after(Duration::from_secs(29 * 86_400)));
        let to = RefreshState { generation: 2, parent: Some(1), rotated_at: now };
        let ends = now.after(Duration::from_secs(30 * 86_400));
        let from = RefreshState::first(NOW);
        let rotate = async move |tx: &mut Tx<'_>| grants::rotate(tx, id, &from, &to, ends).await;
        assert_eq!(store.db.write_one(rotate).await, Ok(true));
        clock.advance(Duration::from_secs(2 * 86_400));
        let later = now.after(Duration::from_secs(2 * 86_400));
        assert!(grant_scopes(&rows(&store, &case).await, later).is_ok());
    }

    async fn calls_are_counted_in_memory_and_stored_when_flushed(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 9).await;
        let commits = store.db.commits();
        for status in [200, 200, 429] {
            store.account(Use {
                by: UsedBy::Grant(case.grant.id),
                app_id: case.app.id,
                user_id: Some(case.user.id),
                family: "orders".to_owned(),
                status,
                address: localhost(),
                at: NOW,
            });
        }
        assert!(store.db.commits() <= commits + 1, "nothing but the sealing of the audit trail");
        store.flush_usage().await.unwrap();
        let (user, app) = (case.user.id, case.app.id);
        let list = async move |tx: &mut Tx<'_>| usage::list_of(tx, user, app).await;
        let families = store.db.read(list).await.unwrap();
        assert_eq!(families.iter().map(|f| (f.calls, f.refused)).collect::<Vec<_>>(), [(3, 1)]);
    }

    async fn many_counted_calls_let_other_writes_through_between_them(database: TestDb) {
        let store = store_of(&database).await;
        let case = Case::insert(&store.db, 9).await;
        for n in 0..600 {
            store.account(Use {
                by: UsedBy::Grant(case.grant.id),
                app_id: case.app.id,
                user_id: Some(case.user.id),
                family: format!("family {n}"),
                status: 200,
                address: localhost(),
                at: NOW,
            });
        }
        let commits = store.db.commits();
        store.flush_usage().await.unwrap();
        assert!(store.db.commits() >= commits + 3, "one transaction would hold all others up");
        let (user, app) = (case.user.id, case.app.id);
        let list = async move |tx: &mut Tx<'_>| usage::list_of(tx, user, app).await;
        assert_eq!(store.db.read(list).await.unwrap().len(), 600);
    }

    async fn the_sweep_runs_through_all_tables(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, clock.clone(), 1).await;
        let case = Case::insert(&store.db, 10).await;
        let token = case.token;
        let write = async move |tx: &mut Tx<'_>| revoked_tokens::insert(tx, token, NOW).await;
        assert_eq!(store.db.write(write).await, Ok(true));
        clock.advance(Duration::from_secs(400 * 86_400));
        store.sweep().await.unwrap();
        let grant = case.grant.id;
        let left = async move |tx: &mut Tx<'_>| {
            let revoked = revoked_tokens::contains(tx, token).await?;
            Ok::<_, DbError>((revoked, grants::find(tx, grant).await?.is_some()))
        };
        assert_eq!(store.db.read(left).await, Ok((false, false)));
    }
}
