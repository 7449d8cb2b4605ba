//! The outbox of webhooks: written with its cause, taken once, kept for a while.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::grant::RevokeReason;
use domain::id::{AppId, EndpointId};
use domain::time::Timestamp;
use domain::webhook::{
    Attempt, DEAD_KEPT, DELIVERED_KEPT, Delivery, DeliveryState, Endpoint, EndpointOwner,
    EndpointStatus, Event, EventKind, FormerSecret, SealedSecret, WAITING_MAX,
};
use store::testing::TestDb;
use store::webhooks::GrantNews;
use store::{DbError, Tx, apps, client_secrets, on_both, suspension_notices, webhooks};

use crate::support::{Case, LATER, NOW, entropy, tx};

const LEASE: Duration = Duration::from_secs(60);

fn endpoint(seed: u64, owner: EndpointOwner) -> Endpoint {
    Endpoint {
        id: EndpointId::random(&*entropy(seed)),
        owner,
        url: "https://bot.example/ø?x=1".to_owned(),
        events: BTreeSet::from([EventKind::GrantRevoked, EventKind::AppSuspended]),
        secret: SealedSecret::from_text("cs_ws_one".to_owned()),
        former: None,
        status: EndpointStatus::Active,
        failing_since: None,
        created_at: NOW,
    }
}

fn of_app(seed: u64, app: AppId) -> Endpoint {
    endpoint(seed, EndpointOwner::App(app))
}

async fn suspended(tx: &mut Tx<'_>, app: AppId, now: Timestamp) -> Result<(), DbError> {
    let event = Event::AppSuspended { reason: "why “not”".to_owned() };
    webhooks::queue(tx, app, &event, now).await
}

on_both! {
    async fn an_endpoint_comes_back_as_it_was_and_the_app_knows_of_it(database: TestDb) {
        let db = database.open().await;
        let app = Case::insert(&db, 1).await.app.id;
        let first = of_app(1, app);
        let changed = Endpoint {
            url: "https://bot.example/b".to_owned(),
            events: BTreeSet::new(),
            secret: SealedSecret::from_text("cs_ws_two".to_owned()),
            former: Some(FormerSecret { secret: first.secret.clone(), until: LATER }),
            status: EndpointStatus::Disabled { at: LATER },
            failing_since: Some(NOW),
            ..first.clone()
        };
        let operator = endpoint(2, EndpointOwner::Operator("billing".to_owned()));
        let (one, two) = (first.clone(), changed.clone());
        let (found, saved, own, flags) = tx!(db, async move |tx| {
            let before = apps::find(tx, app).await?.unwrap();
            webhooks::insert(tx, &one).await?;
            webhooks::insert(tx, &operator).await?;
            let operators = webhooks::list_of_operator(tx).await?;
            assert_eq!(operators, std::slice::from_ref(&operator));
            let found = webhooks::find(tx, one.id).await?;
            webhooks::save(tx, &two).await?;
            // Saving the app as it was read before leaves the flag alone.
            apps::save(tx, &before).await?;
            let with = apps::find(tx, app).await?.unwrap();
            let saved = webhooks::list_of_app(tx, app).await?;
            webhooks::delete(tx, &two).await?;
            let own = webhooks::list_of_app(tx, app).await?;
            let without = apps::find(tx, app).await?.unwrap();
            let flags = [before, with, without].map(|app| app.has_webhooks);
            (found, saved, own, flags)
        });
        assert_eq!((found, saved, own), (Some(first), vec![changed], vec![]));
        assert_eq!(flags, [false, true, false]);
    }

    async fn an_event_waits_for_everyone_who_asked_and_for_nobody_else(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 2).await;
        let (app, grant) = (case.app.id, case.grant);
        let other = Case::insert(&db, 3).await.app.id;
        let deliveries = tx!(db, async move |tx| {
            suspended(tx, app, NOW).await?;
            webhooks::insert(tx, &of_app(1, app)).await?;
            webhooks::insert(tx, &of_app(2, other)).await?;
            let off = EndpointStatus::Disabled { at: NOW };
            webhooks::insert(tx, &Endpoint { status: off, ..of_app(3, app) }).await?;
            suspended(tx, app, NOW).await?;
            webhooks::queue_grant(tx, &grant, GrantNews::Created, NOW).await?;
            let news = GrantNews::Revoked(RevokeReason::User);
            webhooks::queue_grant(tx, &grant, news, LATER).await?;
            webhooks::list_deliveries(tx, app, false, i64::MAX, 10).await?
        });
        let kinds: Vec<_> = deliveries.iter().map(|one| one.event).collect();
        assert_eq!(kinds, [EventKind::GrantRevoked, EventKind::AppSuspended]);
        assert!(deliveries[1].body.contains("why “not”"), "{}", deliveries[1].body);
        assert_eq!(deliveries[1].state, DeliveryState::Waiting { next_attempt_at: NOW });
        assert_eq!(deliveries[0].created_at, LATER);
    }

    async fn a_message_is_taken_once_until_the_lease_ends(database: TestDb) {
        let db = database.open().await;
        let app = Case::insert(&db, 4).await.app.id;
        let hook = of_app(1, app);
        let id = hook.id;
        let taken = tx!(db, async move |tx| {
            webhooks::insert(tx, &hook).await?;
            assert_eq!(webhooks::list_waiting_endpoints(tx, "", 10).await?, []);
            suspended(tx, app, NOW).await?;
            suspended(tx, app, LATER).await?;
            assert!(!webhooks::is_any_due(tx, NOW.before(LEASE)).await?);
            assert!(webhooks::is_any_due(tx, NOW).await?);
            assert_eq!(webhooks::list_waiting_endpoints(tx, "", 10).await?, [id]);
            let behind = webhooks::list_waiting_endpoints(tx, &id.to_string(), 10).await?;
            assert_eq!(behind, []);
            let due = webhooks::list_due(tx, id, NOW, 10).await?;
            assert_eq!(due.len(), 1);
            let first = webhooks::take(tx, &due[0], LEASE, NOW).await?;
            let second = webhooks::take(tx, &due[0], LEASE, NOW).await?;
            assert_eq!(webhooks::list_due(tx, id, NOW, 10).await?, []);
            let again = webhooks::list_due(tx, id, NOW.after(LEASE), 10).await?;
            (first, second, again.len())
        });
        assert_eq!(taken, (true, false, 1));
    }

    async fn what_ended_is_kept_for_a_while_and_pages_go_on_where_they_ended(database: TestDb) {
        let db = database.open().await;
        let app = Case::insert(&db, 5).await.app.id;
        let attempt = Attempt {
            at: NOW,
            took_ms: u64::from(u32::MAX),
            status: Some(599),
            answer: "no\n<b>".to_owned(),
            error: None,
        };
        let silent = Attempt { status: None, error: Some("slow".to_owned()), ..attempt.clone() };
        let attempts = [silent.clone(), attempt.clone()];
        let (found, swept) = tx!(db, async move |tx| {
            webhooks::insert(tx, &of_app(1, app)).await?;
            for _ in 0..4 {
                suspended(tx, app, NOW).await?;
            }
            let mut all = webhooks::list_deliveries(tx, app, false, i64::MAX, 10).await?;
            all[0].state = DeliveryState::Delivered { at: NOW };
            all[1].state = DeliveryState::Dead { at: NOW };
            all[1].tries = 8;
            for one in &all {
                webhooks::save_delivery(tx, one).await?;
            }
            webhooks::record_attempt(tx, all[1].id, &attempt).await?;
            webhooks::record_attempt(tx, all[1].id, &silent).await?;
            webhooks::record_attempt(tx, i64::MAX, &silent).await?;
            let found = webhooks::list_attempts(tx, all[1].id, 10).await?;
            let page = webhooks::list_deliveries(tx, app, false, all[1].id, 1).await?;
            assert_eq!(page, [all[2].clone()]);
            let dead = webhooks::list_deliveries(tx, app, true, i64::MAX, 10).await?;
            assert_eq!(dead, [all[1].clone()]);
            assert_eq!(webhooks::find_delivery(tx, app, all[1].id).await?, dead.into_iter().next());
            let other = AppId::from_bytes([0; 16]);
            assert_eq!(webhooks::find_delivery(tx, other, all[1].id).await?, None);
            let mut swept = Vec::new();
            for after in [DELIVERED_KEPT.saturating_sub(LEASE), DELIVERED_KEPT, DEAD_KEPT] {
                webhooks::sweep(tx, NOW.after(after), 10).await?;
                let left = webhooks::list_deliveries(tx, app, false, i64::MAX, 10).await?;
                let is_waiting =
                    |one: &&Delivery| matches!(one.state, DeliveryState::Waiting { .. });
                swept.push((left.len(), left.iter().filter(is_waiting).count()));
            }
            (found, swept)
        });
        assert_eq!(found, attempts);
        assert_eq!(WAITING_MAX, DELIVERED_KEPT);
        // What waited a week is given up, and what was given up long ago is deleted.
        assert_eq!(swept, [(4, 2), (3, 0), (2, 0)]);
    }

    async fn users_of_a_suspended_app_are_told_in_steps_and_once(database: TestDb) {
        let db = database.open().await;
        let (case, other) = (Case::insert(&db, 6).await, Case::insert(&db, 7).await);
        let (app, user, quiet) = (case.app.id, case.user.id, other.app.id);
        tx!(db, async move |tx| {
            assert_eq!(suspension_notices::find_next(tx).await?, None);
            suspension_notices::begin(tx, app, NOW).await?;
            suspension_notices::begin(tx, quiet, LATER).await?;
            assert_eq!(suspension_notices::find_next(tx).await?, Some((app, String::new())));
            assert_eq!(suspension_notices::list_users(tx, app, "", 10).await?, [user]);
            suspension_notices::save_progress(tx, app, user).await?;
            let after = user.to_string();
            assert_eq!(suspension_notices::find_next(tx).await?, Some((app, after.clone())));
            assert_eq!(suspension_notices::list_users(tx, app, &after, 10).await?, []);
            suspension_notices::begin(tx, app, NOW).await?;
            assert_eq!(suspension_notices::find_next(tx).await?, Some((app, String::new())));
            suspension_notices::end(tx, app).await?;
            assert_eq!(suspension_notices::find_next(tx).await?, Some((quiet, String::new())));
        });
    }

    async fn a_secret_that_ends_soon_is_listed_until_its_developer_was_told(database: TestDb) {
        let db = database.open().await;
        let app = Case::insert(&db, 8).await.app.id;
        tx!(db, async move |tx| {
            let list = async |tx: &mut Tx<'_>, told| {
                client_secrets::list_ending(tx, (NOW, LATER), told, 10).await
            };
            for (seed, expires_at) in [(1, Some(LATER)), (2, None), (3, Some(NOW))] {
                let secret = domain::app::ClientSecret {
                    id: domain::id::CredentialId::random(&*entropy(seed)),
                    app_id: app,
                    mode: domain::grant::Mode::Live,
                    name: String::new(),
                    proof: domain::app::SecretProof::Mac([7; 32]),
                    hint: "abcd".to_owned(),
                    created_at: NOW,
                    last_used_at: None,
                    expires_at,
                };
                client_secrets::insert(tx, &secret).await?;
            }
            let ending = list(tx, 1).await?;
            assert_eq!(ending.len(), 1);
            client_secrets::save_told(tx, ending[0].id, 1).await?;
            assert_eq!((list(tx, 1).await?.len(), list(tx, 2).await?.len()), (0, 1));
        });
    }
}
