//! Rows of `grants`, on both databases alike.

use std::time::Duration;

use domain::grant::{Grant, GrantStatus, GrantSubject, Mode, RefreshState, RevokeReason};
use domain::id::{AttemptId, CodeId, CredentialId, GrantId, SessionId};
use domain::time::Timestamp;
use store::testing::TestDb;
use store::{DbError, Tx, grants, on_both};

use crate::support::{Case, LATER, NOW, entropy, grant, scopes, tx};

on_both! {
    async fn a_grant_comes_back_with_all_its_columns(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 7).await;
        let entropy = entropy(70);
        let full = Grant {
            resources: vec!["https://a.example".to_owned(), "https://b.example/\"".to_owned()],
            mode: Mode::Test,
            dialect: Some("whitebit".to_owned()),
            session_id: Some(SessionId::random(&*entropy)),
            auth_time: Some(NOW),
            acr: Some("1".to_owned()),
            amr: Some("pwd".to_owned()),
            key_binding: Some(vec![0, 255]),
            details_ref: Some("ref".to_owned()),
            device_address: Some("2001:db8::7".parse().unwrap()),
            code_id: Some(CodeId::random(&*entropy)),
            refresh: Some(RefreshState {
                generation: i64::MAX,
                parent: Some(i64::MAX - 1),
                rotated_at: LATER,
            }),
            status: GrantStatus::Revoked { at: LATER, reason: RevokeReason::RefreshTheft },
            ..grant(&*entropy, &case.consent)
        };
        let bare = Grant {
            subject: GrantSubject::Service { credential_id: CredentialId::random(&*entropy) },
            scopes: scopes(""),
            resources: Vec::new(),
            refresh: None,
            ..grant(&*entropy, &case.consent)
        };
        for wanted in [full, bare] {
            let row = wanted.clone();
            // The same code again: the primary key makes it single-use.
            let again = Grant { attempt_id: AttemptId::from_bytes([0; 16]), ..row.clone() };
            let (first, second, found) = tx!(db, async move |tx| {
                (
                    grants::insert(tx, &row).await?,
                    grants::insert(tx, &again).await?,
                    grants::find(tx, row.id).await?,
                )
            });
            assert!(first && !second);
            assert_eq!(found, Some(wanted));
        }
    }

    async fn a_refresh_rotates_once_and_never_a_revoked_grant(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 8).await;
        let id = case.grant.id;
        let from = RefreshState::first(NOW);
        let to = RefreshState { generation: 2, parent: Some(1), rotated_at: LATER };
        let rotate = async move |tx: &mut Tx<'_>| grants::rotate(tx, id, &from, &to, LATER).await;
        assert_eq!(db.write_one(rotate).await, Ok(true));
        assert_eq!(db.write_one(rotate).await, Ok(false));
        let found = tx!(db, async move |tx| { grants::find(tx, id).await? }).unwrap();
        assert_eq!(found.refresh, Some(to));
        assert_eq!((found.idle_expires_at, found.last_used_at), (LATER, LATER));
        let next = RefreshState { generation: 3, parent: Some(2), rotated_at: LATER };
        let outcome = tx!(db, async move |tx| {
            (
                grants::revoke(tx, id, RevokeReason::User, LATER).await?,
                grants::revoke(tx, id, RevokeReason::Staff, LATER).await?,
                grants::rotate(tx, id, &to, &next, LATER).await?,
                grants::find(tx, id).await?.map(|grant| grant.status),
            )
        });
        let revoked = GrantStatus::Revoked { at: LATER, reason: RevokeReason::User };
        assert_eq!(outcome, (true, false, false, Some(revoked)));
    }

    async fn of_parallel_rotations_one_wins(database: TestDb) {
        let db = database.open().await;
        let id = Case::insert(&db, 9).await.grant.id;
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..12 {
            let db = db.clone();
            calls.spawn(async move {
                let from = RefreshState::first(NOW);
                let rotated_at = Timestamp::from_millis(number);
                let to = RefreshState { generation: 2, parent: Some(1), rotated_at };
                let rotate =
                    async move |tx: &mut Tx<'_>| grants::rotate(tx, id, &from, &to, LATER).await;
                db.write_one(rotate).await.unwrap()
            });
        }
        assert_eq!(calls.join_all().await.into_iter().filter(|won| *won).count(), 1);
    }

    async fn live_grants_are_listed_without_those_that_ended(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 10).await;
        let (user, app, consent) = (case.user.id, case.app.id, case.consent.clone());
        let credential = CredentialId::from_bytes([3; 16]);
        let entropy = entropy(100);
        let make = || grant(&*entropy, &consent);
        let used = Grant { last_used_at: LATER, created_at: LATER, ..make() };
        let rows = [
            used.clone(),
            Grant { expires_at: NOW, ..make() },
            Grant { idle_expires_at: NOW, ..make() },
            make().revoke(RevokeReason::App, NOW),
            Grant { subject: GrantSubject::Service { credential_id: credential }, ..make() },
        ];
        let service = rows[4].id;
        let consent_id = case.consent.id;
        let listed = tx!(db, async move |tx| {
            for row in &rows {
                assert!(grants::insert(tx, row).await?);
            }
            (
                grants::list_live_of(tx, user, app, NOW).await?,
                grants::list_live_of_consent(tx, consent_id, NOW).await?,
                grants::list_live_of_credential(tx, credential, NOW).await?,
                grants::find_of_credential(tx, credential, Mode::Live).await?,
                grants::find_of_credential(tx, credential, Mode::Test).await?,
                grants::list_last_uses_of(tx, (user, app, Mode::Live), NOW).await?,
            )
        });
        let ids = |grants: &[Grant]| grants.iter().map(|grant| grant.id).collect::<Vec<_>>();
        // Longest unused first; newest first.
        assert_eq!(ids(&listed.0), [case.grant.id, used.id]);
        assert_eq!(ids(&listed.1), [used.id, case.grant.id]);
        assert_eq!(ids(&listed.2), [service]);
        assert_eq!((listed.3.map(|grant| grant.id), listed.4), (Some(service), None));
        let uses = listed.0.iter().map(|grant| (grant.last_used_at, grant.id));
        let as_set = |uses: Vec<_>| uses.into_iter().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(as_set(listed.5), as_set(uses.collect()));
    }

    async fn a_grant_can_be_narrowed_renewed_and_touched(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 11).await;
        let id = case.grant.id;
        let narrowed = tx!(db, async move |tx| {
            grants::set_scopes(tx, id, &scopes("balances.read")).await?;
            grants::touch(tx, id, LATER).await?;
            grants::touch(tx, id, NOW).await?;
            grants::find(tx, id).await?
        });
        let narrow =
            Grant { scopes: scopes("balances.read"), last_used_at: LATER, ..case.grant.clone() };
        assert_eq!(narrowed, Some(narrow.clone()));
        let resources = vec!["r".to_owned()];
        let renewed = Grant {
            scopes: scopes("x"),
            resources: resources.clone(),
            last_used_at: NOW,
            expires_at: LATER,
            idle_expires_at: LATER,
            ..narrow
        };
        let found = tx!(db, async move |tx| {
            assert!(grants::renew_service(tx, id, &scopes("x"), &resources, NOW, LATER).await?);
            grants::find(tx, id).await?
        });
        assert_eq!(found, Some(renewed.clone()));
        let saved = renewed.revoke(RevokeReason::Staff, LATER);
        let row = saved.clone();
        let found = tx!(db, async move |tx| {
            grants::save(tx, &row).await?;
            grants::find(tx, id).await?
        });
        assert_eq!(found, Some(saved));
    }

    async fn a_revoked_service_grant_does_not_come_back(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 13).await;
        let id = case.grant.id;
        let revoked = case.grant.clone().revoke(RevokeReason::Staff, NOW);
        let (was_renewed, found, deleted) = tx!(db, async move |tx| {
            grants::revoke(tx, id, RevokeReason::Staff, NOW).await?;
            let wanted = scopes("x");
            let was_renewed = grants::renew_service(tx, id, &wanted, &[], NOW, LATER).await?;
            let found = grants::find(tx, id).await?;
            grants::delete(tx, id).await?;
            (was_renewed, found, grants::find(tx, id).await?)
        });
        assert_eq!((was_renewed, found, deleted), (false, Some(revoked), None));
    }

    async fn the_sweep_deletes_what_ended_long_ago_and_nothing_else(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 12).await;
        let entropy = entropy(120);
        let consent = case.consent.clone();
        let ended = NOW.before(Duration::from_secs(1));
        let mut kept = vec![case.grant.id];
        let mut rows = Vec::new();
        for number in 0..20 {
            let row = grant(&*entropy, &consent);
            rows.push(match number % 4 {
                0 => Grant { expires_at: ended, ..row },
                1 => Grant { idle_expires_at: ended, ..row },
                2 => row.revoke(RevokeReason::User, ended),
                _ => {
                    kept.push(row.id);
                    row
                }
            });
        }
        let left = tx!(db, async move |tx| {
            for row in &rows {
                grants::insert(tx, row).await?;
            }
            let (mut after, mut rounds) = (String::new(), 0);
            while let Some(next) = grants::sweep(tx, &after, NOW, 6).await? {
                (after, rounds) = (next, rounds + 1);
            }
            assert_eq!(rounds, 3);
            let all = [&rows[..], std::slice::from_ref(&case.grant)].concat();
            let mut left = Vec::new();
            for row in all {
                left.extend(grants::find(tx, row.id).await?.map(|grant| grant.id));
            }
            left
        });
        kept.sort_unstable();
        let mut left: Vec<GrantId> = left;
        left.sort_unstable();
        assert_eq!(left, kept);
    }
}
