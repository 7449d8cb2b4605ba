//! What pages read about many apps at once, and how apps are found by their names.

use std::net::Ipv4Addr;

use domain::app::{App, AppStatus};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::{AppId, UserId};
use domain::request_log::Counts;
use domain::time::Timestamp;
use domain::usage::{Use, UsedBy};
use store::testing::TestDb;
use store::{DbError, Tx, app_counts, apps, audit, bind, consents, on_both, usage, users};

use crate::support::{Case, LATER, NOW, TestClock, app, entropy, open_store, tx};

/// More than one statement asks for.
const NOBODYS: u8 = 60;

fn named(seed: u64, owner: &Case, name: &str) -> App {
    let app = app(&*entropy(seed), &owner.user, &format!("client-{seed}"));
    App { name: name.to_owned(), ..app }
}

on_both! {
    async fn many_apps_are_asked_for_at_once_and_each_has_its_own_numbers(database: TestDb) {
        let db = database.open().await;
        let (busy, idle) = (Case::insert(&db, 1).await, Case::insert(&db, 2).await);
        let nobodys = (0..NOBODYS).map(|n| AppId::from_bytes([n; 16]));
        let ids: Vec<_> = nobodys.chain([busy.app.id, idle.app.id]).collect();
        let people = (0..NOBODYS).map(|n| UserId::from_bytes([n; 16]));
        let people: Vec<_> = people.chain([busy.user.id, idle.user.id]).collect();
        let withdrawn = idle.consent.withdraw(&*entropy(3), LATER).unwrap();
        let (app, other) = (busy.app.id, idle.app.id);
        let call = |at| Use {
            by: UsedBy::Grant(busy.grant.id),
            app_id: app,
            user_id: Some(busy.user.id),
            family: "orders".to_owned(),
            at,
            status: 200,
            address: Ipv4Addr::LOCALHOST.into(),
        };
        let uses = [call(NOW), call(LATER)];
        let counted = Counts { calls: 3, passed: 2, errors: 1, tokens: 5, token_errors: 4 };
        let report = AuditEvent::new(NOW, AuditKind::AppReported, AuditActor::System).app(app);
        let approval = AuditEvent::new(NOW, AuditKind::AppApproved, AuditActor::System).app(app);
        let (users, calls, sums, reports, found) = tx!(db, async move |tx| {
            consents::save(tx, &withdrawn).await?;
            usage::add(tx, &uses).await?;
            app_counts::add(tx, app, NOW, counted, None).await?;
            app_counts::add(tx, other, Timestamp::from_millis(0), counted, None).await?;
            for event in [&report, &approval, &report] {
                audit::record(tx, event).await?;
            }
            (
                consents::count_given_to_each(tx, &ids).await?,
                usage::last_calls_of(tx, &ids).await?,
                app_counts::sums(tx, &ids, NOW).await?,
                audit::count_reports_about(tx, &ids).await?,
                users::list_of(tx, &people).await?,
            )
        });
        assert_eq!(users, [(app, 1)].into());
        assert_eq!(calls, [(app, LATER)].into());
        assert_eq!(sums, [(app, counted)].into());
        assert_eq!(reports, [(app, 2)].into());
        let mut found: Vec<_> = found.into_iter().map(|user| user.id).collect();
        found.sort_by_key(|id| *id != busy.user.id);
        assert_eq!(found, [busy.user.id, idle.user.id]);
        let both = tx!(db, async move |tx| { apps::list_of_ids(tx, &[other, app, other]).await? });
        let mut both: Vec<_> = both.into_iter().map(|app| app.id).collect();
        both.sort_by_key(|id| *id != app);
        assert_eq!(both, [app, other]);
        let (reports, decisions, nothing) = tx!(db, async move |tx| {
            let kinds = [AuditKind::AppApproved, AuditKind::AppReported];
            (
                audit::list_reports_about(tx, app, 1).await?,
                audit::list_of_app_and_kinds(tx, app, &kinds, 2).await?,
                audit::list_of_app_and_kinds(tx, app, &[], 2).await?,
            )
        });
        assert_eq!(reports.iter().map(|event| event.kind).collect::<Vec<_>>(), [AuditKind::AppReported]);
        assert_eq!(decisions.iter().map(|row| row.position).collect::<Vec<_>>(), [3, 2]);
        assert!(nothing.is_empty());
        let none = tx!(db, async move |tx| { consents::count_given_to_each(tx, &[]).await? });
        assert!(none.is_empty());
    }

    async fn live_apps_are_found_by_what_their_names_read_like(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 1).await;
        let waiting = App { status: AppStatus::InReview, ..named(2, &case, "Trading Bot") };
        let renamed = App { name: "Chart Wall".to_owned(), ..case.app.clone() };
        let other = named(3, &case, "Trаdlng  B0t!");
        let wanted = other.id;
        let found = tx!(db, async move |tx| {
            apps::insert(tx, &waiting).await?;
            apps::insert(tx, &other).await?;
            apps::save(tx, &renamed).await?;
            apps::list_live_reading_like(tx, &["trading-bot", "Nobody"]).await?
        });
        assert_eq!(found, [(wanted, "Trаdlng  B0t!".to_owned())]);
    }

    async fn apps_are_listed_in_the_order_of_names_and_found_by_a_part(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 1).await;
        let mut rest = [
            named(2, &case, "Äpfel 100%"),
            named(3, &case, "apple"),
            App { publisher: "Ärger GmbH".to_owned(), ..named(4, &case, "Apple") },
            // Reads like “Zbaskets”, and is sorted as it is written.
            named(5, &case, "2 Baskets"),
        ];
        rest.sort_by_key(|app| app.id.to_string());
        tx!(db, async move |tx| {
            for app in &rest {
                apps::insert(tx, app).await?;
            }
        });
        let list = async |text: &'static str, after, limit| {
            tx!(db, async move |tx| { apps::list_by_name(tx, text, after, limit).await? })
        };
        let all = list("", None, 9).await;
        let names: Vec<_> = all.iter().map(|app| app.name.to_lowercase()).collect();
        assert_eq!(names, ["2 baskets", "apple", "apple", "trading bot", "äpfel 100%"]);
        let mut after = None;
        for app in &all {
            let page = list("", after, 1).await;
            assert_eq!(page.iter().map(|app| app.id).collect::<Vec<_>>(), [app.id]);
            after = Some(app.id);
        }
        assert!(list("", after, 1).await.is_empty());
        let count = async |text| list(text, None, 9).await.len();
        for (text, found) in [
            ("APPLE", 2), ("äPFEL", 1), ("ärger", 1), ("northwind", 4), ("CLIENT-3", 1), ("bot-1", 1),
            ("0%", 1), ("_", 0), ("zzz", 0),
        ] {
            assert_eq!(count(text).await, found, "{text}");
        }
        let gone = AppId::from_bytes([9; 16]);
        assert_eq!(list("", Some(gone), 9).await.len(), 5, "an app that is gone: from the first on");
    }

    async fn apps_from_before_they_were_found_by_name_are_found_after_a_sweep(database: TestDb) {
        let store = open_store(&database.url, TestClock::at(NOW), 1).await;
        let case = Case::insert(&store.db, 1).await;
        let find = async || {
            tx!(store.db, async move |tx| {
                (
                    apps::list_live_reading_like(tx, &["trading bot"]).await?.len(),
                    apps::list_by_name(tx, "northw", None, 9).await?.len(),
                )
            })
        };
        tx!(store.db, async move |tx| {
            let sql = "UPDATE apps SET skeleton = NULL, search_text = NULL WHERE id = $1";
            tx.execute(sql, bind![case.app.id]).await?;
        });
        assert_eq!(find().await, (0, 0));
        store.sweep().await.unwrap();
        assert_eq!(find().await, (1, 1));
    }
}
