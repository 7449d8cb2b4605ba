//! Requests of apps: counted in memory, written when flushed, read by page; plans and wishes.

use std::time::Duration;

use domain::authority::Authority as _;
use domain::change::Change;
use domain::grant::Mode;
use domain::id::{AppId, PlanRequestId, UserId};
use domain::plan::{CallsSoFar, Decided, PlanRequest, Wish};
use domain::request_log::{Counts, Door, Request};
use domain::time::Timestamp;
use store::app_counts::Span;
use store::plan_requests::RequestFilter;
use store::request_log::Filter;
use store::testing::TestDb;
use store::{DbError, Tx, app_counts, apps, changes, on_both, plan_requests, request_log};

use crate::support::{Case, LATER, NOW, TestClock, open_store, scopes, tx};

fn call(app: AppId, user: UserId, status: u16, at: Timestamp) -> Request<'static> {
    Request {
        app_id: app,
        user_id: Some(user),
        mode: Some(Mode::Live),
        door: Door::Api { passed: status == 200 },
        is_proven: true,
        at,
        request_id: "r0",
        method: "GET",
        route: "/api/orders/{id}",
        status,
        reason: if status == 200 { "" } else { "scope" },
        detail: &(),
        latency: Duration::from_micros(1_500),
    }
}

on_both! {
    async fn requests_write_nothing_until_they_are_flushed(database: TestDb) {
        let store = open_store(&database.url, TestClock::at(NOW), 1).await;
        let case = Case::insert(&store.db, 60).await;
        let (app, user) = (case.app.id, case.user.id);
        let missing = scopes("orders.read orders.create");
        let commits = store.db.commits();
        for number in 0..40_i64 {
            let at = NOW.after(Duration::from_millis(number.unsigned_abs()));
            store.note_request(&Request { request_id: &format!("ok{number}"), ..call(app, user, 200, at) });
        }
        let at = NOW.after(Duration::from_secs(1));
        let refused = Request { request_id: "no", detail: &missing, ..call(app, user, 403, at) };
        store.note_request(&refused);
        store.note_request(&Request { door: Door::Token, ..call(app, user, 200, at) });
        assert!(store.db.commits() <= commits + 1, "nothing but the sealing of the audit trail");
        store.flush_usage().await.unwrap();
        let (listed, hours, days, sum) = tx!(store.db, async move |tx| {
            let all = Filter::all(NOW, LATER);
            (
                request_log::list(tx, app, &all, (LATER, ""), 100).await?,
                app_counts::list(tx, app, Span::Hour, NOW.before(Duration::from_secs(3600))).await?,
                app_counts::list(tx, app, Span::Day, NOW.before(Duration::from_secs(86_400))).await?,
                app_counts::sum(tx, app, NOW.before(Duration::from_secs(3600))).await?,
            )
        });
        assert_eq!(listed.len(), 31, "the refusal, and a sample of the others");
        assert_eq!(listed[0], refused.entry());
        assert_eq!(listed[0].detail, "orders.create orders.read");
        let counts = Counts { calls: 41, passed: 40, errors: 1, tokens: 1, token_errors: 0 };
        assert_eq!(sum, counts);
        assert_eq!((hours.len(), hours[0].counts, hours[0].users), (1, counts, 1));
        assert_eq!((days.len(), days[0].counts, days[0].users), (1, counts, 1));
    }

    async fn two_nodes_add_up_and_count_a_user_once(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, clock.clone(), 1).await;
        let case = Case::insert(&store.db, 61).await;
        let (app, user) = (case.app.id, case.user.id);
        store.note_request(&call(app, user, 200, NOW));
        store.flush_usage().await.unwrap();
        // What another node wrote meanwhile.
        let other = UserId::from_bytes([9; 16]);
        tx!(store.db, async move |tx| {
            let mut users = domain::active_users::ActiveUsers::default();
            users.note(user);
            users.note(other);
            let counts = Counts { calls: 5, passed: 5, ..Counts::default() };
            app_counts::add(tx, app, domain::calendar::hour_of(NOW), counts, Some(&users)).await?;
        });
        store.note_request(&call(app, user, 200, NOW));
        store.flush_usage().await.unwrap();
        let hours = tx!(store.db, async move |tx| {
            app_counts::list(tx, app, Span::Hour, NOW.before(Duration::from_secs(3600))).await?
        });
        assert_eq!((hours[0].counts.calls, hours[0].users), (7, 2));
    }

    async fn what_was_called_today_and_this_month_is_known_across_nodes_and_days(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, clock.clone(), 1).await;
        let case = Case::insert(&store.db, 62).await;
        let (app, user) = (case.app.id, case.user.id);
        store.note_request(&call(app, user, 200, NOW));
        store.note_request(&call(app, user, 403, NOW));
        let so_far = |today, this_month| CallsSoFar { today, this_month };
        assert_eq!(store.calls_so_far(app).await, so_far(1, 1));
        let elsewhere = Counts { passed: 7, calls: 7, ..Counts::default() };
        tx!(store.db, async move |tx| {
            app_counts::add(tx, app, domain::calendar::hour_of(NOW), elsewhere, None).await?;
        });
        assert_eq!(store.calls_so_far(app).await, so_far(1, 1), "not asked at every call");
        store.flush_usage().await.unwrap();
        assert_eq!(store.calls_so_far(app).await, so_far(8, 8), "a flush tells");
        store.note_request(&call(app, user, 200, NOW));
        assert_eq!(store.calls_so_far(app).await, so_far(9, 9));
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(store.calls_so_far(app).await, so_far(0, 9), "tomorrow");
        store.flush_usage().await.unwrap();
        drop(store);
        let fresh = open_store(&database.url, clock.clone(), 2).await;
        assert_eq!(fresh.calls_so_far(app).await, so_far(0, 9), "after a restart, from the rows");
        clock.advance(Duration::from_secs(31 * 86_400));
        assert_eq!(fresh.calls_so_far(app).await, so_far(0, 0), "next month");
    }

    async fn the_log_is_filtered_paged_and_swept(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, clock.clone(), 1).await;
        let case = Case::insert(&store.db, 63).await;
        let (app, user) = (case.app.id, case.user.id);
        for (id, status) in [("a", 200), ("b", 403), ("c", 403), ("d", 500)] {
            store.note_request(&Request { request_id: id, ..call(app, user, status, NOW) });
        }
        store.flush_usage().await.unwrap();
        let (first, second, refused, found, count) = tx!(store.db, async move |tx| {
            let all = Filter::all(NOW, LATER);
            let refused = Filter { statuses: (400, 499), reason: "scope".to_owned(), ..all.clone() };
            let other = Filter { route: "/other".to_owned(), ..all.clone() };
            assert!(request_log::list(tx, app, &other, (LATER, ""), 10).await?.is_empty());
            let first = request_log::list(tx, app, &all, (LATER, ""), 2).await?;
            let last = first.last().cloned().unwrap();
            let second = request_log::list(tx, app, &all, (last.at, &last.request_id), 9).await?;
            let refused = request_log::list(tx, app, &refused, (LATER, ""), 10).await?;
            let found = request_log::find(tx, app, "b").await?;
            (first, second, refused, found, request_log::count(tx, app, NOW).await?)
        });
        let ids = |entries: &[domain::request_log::Entry]| {
            entries.iter().map(|entry| entry.request_id.clone()).collect::<String>()
        };
        assert_eq!((ids(&first), ids(&second), ids(&refused)), ("dc".into(), "ba".into(), "cb".into()));
        assert_eq!((ids(&found), count), ("b".into(), 4));
        clock.advance(Duration::from_secs(100 * 86_400));
        store.sweep().await.unwrap();
        let left = async move |tx: &mut Tx<'_>| {
            let days = app_counts::list(tx, app, Span::Day, Timestamp::from_millis(0)).await?;
            Ok::<_, DbError>((request_log::count(tx, app, Timestamp::from_millis(0)).await?, days.len()))
        };
        assert_eq!(store.db.read(left).await, Ok((0, 0)));
    }

    async fn a_wish_waits_until_it_is_decided_once(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 64).await;
        let (app, user) = (case.app.id, case.user.id);
        let wish = |id, wish, asked_at| PlanRequest {
            id: PlanRequestId::from_bytes([id; 16]),
            app_id: app,
            asked_by: user,
            wish,
            reason: "We grow.".to_owned(),
            asked_at,
            decided: None,
        };
        let plan = wish(1, Wish::Plan("pro".to_owned()), NOW);
        let perk = wish(2, Wish::Perk("month".to_owned()), LATER);
        let (kept_plan, kept_perk) = (plan.clone(), perk.clone());
        let decided = Decided { at: LATER, by: user, is_granted: true, note: "Good.".to_owned() };
        let granted = PlanRequest { decided: Some(decided.clone()), ..perk.clone() };
        tx!(db, async move |tx| {
            let start = (Timestamp::from_millis(0), PlanRequestId::from_bytes([0; 16]));
            plan_requests::insert(tx, &plan).await?;
            plan_requests::insert(tx, &perk).await?;
            let waiting = plan_requests::list_waiting(tx, start, 10).await?;
            assert_eq!(waiting, [kept_plan.clone(), kept_perk.clone()]);
            let behind = plan_requests::list_waiting(tx, (NOW, kept_plan.id), 10).await?;
            assert_eq!(behind, std::slice::from_ref(&kept_perk));
            assert!(plan_requests::save_decision(tx, perk.id, &decided).await?);
            assert!(!plan_requests::save_decision(tx, perk.id, &decided).await?, "once");
            assert_eq!(plan_requests::find(tx, perk.id).await?, Some(granted.clone()));
            assert_eq!(plan_requests::list_perks(tx, app).await?, std::slice::from_ref(&granted));
            for (is_decided, app, found) in [
                (None, Some(app), 2), (Some(true), None, 1), (Some(false), Some(app), 1),
                (Some(false), None, 1), (None, Some(AppId::from_bytes([7; 16])), 0),
            ] {
                let filter = RequestFilter { is_decided, app };
                let listed = plan_requests::list(tx, filter, start, 10).await?;
                assert_eq!(listed.len(), found, "{filter:?}");
            }
            let all = plan_requests::list_of_app(tx, app, 10).await?;
            assert_eq!(all, [granted.clone(), kept_plan.clone()]);
            apps::save_plan(tx, app, Some("pro")).await?;
            changes::record(tx, Change::App(app)).await?;
            assert_eq!(apps::find(tx, app).await?.unwrap().plan.as_deref(), Some("pro"));
            apps::save(tx, &case.app).await?;
            let kept = apps::find(tx, app).await?.unwrap().plan;
            assert_eq!(kept.as_deref(), Some("pro"), "no other form takes it away");
        });
    }
}
