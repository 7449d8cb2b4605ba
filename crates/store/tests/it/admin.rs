//! What the admin API keeps, and the pages of its lists, on both databases alike.

use std::time::Duration;

use domain::admin_token::{AdminScope, AdminToken};
use domain::app::{App, AppKind, AppStatus};
use domain::app_message::AppMessage;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::{AdminTokenId, AppMessageId};
use domain::mail::{Mail, MailKind};
use domain::user::{Role, User, UserStatus};
use store::apps::AppFilter;
use store::audit::search::{self, AuditFilter};
use store::testing::TestDb;
use store::users::UserFilter;
use store::{
    DbError, Tx, admin_tokens, app_messages, apps, audit, consents, idempotent_answers, mails,
    on_both, users,
};

use crate::support::{Case, LATER, NOW, app, entropy, store_of, tx, user};

fn token(id: u8) -> AdminToken {
    AdminToken {
        id: AdminTokenId::from_bytes([id; 16]),
        name: "Deploy “β”".to_owned(),
        scopes: vec![AdminScope::AppsRead, AdminScope::AuditRead],
        user_id: None,
        created_by: "cli:1000".to_owned(),
        created_at: NOW,
        expires_at: LATER,
        last_used_at: None,
        revoked_at: None,
    }
}

async fn event(tx: &mut Tx<'_>, event: AuditEvent) -> Result<(), DbError> {
    audit::record(tx, &event).await
}

on_both! {
    async fn a_token_is_found_by_its_mac_and_revoked_once(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 1).await;
        let first = AdminToken { user_id: Some(case.user.id), ..token(1) };
        let second = token(2);
        let (one, two) = (first.clone(), second.clone());
        tx!(db, async move |tx| {
            admin_tokens::insert(tx, &one, &[1; 32]).await?;
            admin_tokens::insert(tx, &two, &[2; 32]).await?;
        });
        let found = tx!(db, async move |tx| { admin_tokens::find_by_mac(tx, &[1; 32]).await? });
        assert_eq!(found, Some(first.clone()));
        let none = tx!(db, async move |tx| { admin_tokens::find_by_mac(tx, &[3; 32]).await? });
        assert_eq!(none, None);
        let id = first.id;
        for revoked in [true, false] {
            let done = tx!(db, async move |tx| { admin_tokens::revoke(tx, id, LATER).await? });
            assert_eq!(done, revoked);
        }
        tx!(db, async move |tx| { admin_tokens::touch(tx, id, NOW).await? });
        let after = id.to_string();
        let (known, next) = tx!(db, async move |tx| {
            (admin_tokens::find(tx, id).await?, admin_tokens::list(tx, &after, 9).await?)
        });
        let revoked = Some(LATER);
        let changed = AdminToken { last_used_at: Some(NOW), revoked_at: revoked, ..first };
        assert_eq!((known, next), (Some(changed), vec![second]));
    }

    async fn a_key_of_a_request_is_claimed_once_until_its_time_is_over(database: TestDb) {
        let db = database.open().await;
        let claim = async |actor: &'static str, hash: [u8; 32], now, until| {
            tx!(db, async move |tx| {
                idempotent_answers::claim(tx, (actor, "k"), &hash, now, until).await?
            })
        };
        let find = async || {
            tx!(db, async move |tx| { idempotent_answers::find(tx, ("a", "k")).await? })
        };
        assert!(claim("a", [1; 32], NOW, LATER).await);
        assert!(!claim("a", [2; 32], NOW, LATER).await);
        assert!(claim("b", [1; 32], NOW, LATER).await, "another actor");
        let earlier = find().await.unwrap();
        assert_eq!((earlier.request_hash, earlier.answer), ([1; 32], None));
        tx!(db, async move |tx| {
            idempotent_answers::save_answer(tx, ("a", "k"), "sealed").await?
        });
        assert_eq!(find().await.unwrap().answer.as_deref(), Some("sealed"));
        let end = LATER.after(Duration::from_secs(60));
        assert!(claim("a", [3; 32], LATER, end).await, "its time is over");
        let again = find().await.unwrap();
        assert_eq!((again.request_hash, again.answer, again.begun_at), ([3; 32], None, LATER));
        tx!(db, async move |tx| { idempotent_answers::release(tx, ("a", "k")).await? });
        assert_eq!(find().await, None);
        let swept = tx!(db, async move |tx| { idempotent_answers::sweep(tx, LATER, 9).await? });
        assert_eq!(swept, 1);
    }

    async fn pages_of_apps_and_users_hold_what_was_asked_for(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(3);
        let owner = user(&*entropy, "dev@example.com");
        let blocked = User {
            roles: vec![Role::Reviewer],
            status: UserStatus::Blocked { at: NOW, reason: String::new() },
            ..user(&*entropy, "ZOE_%@example.com")
        };
        let apps = [
            App { name: "Ledger".into(), ..app(&*entropy, &owner, "a") },
            App { status: AppStatus::InReview, ..app(&*entropy, &owner, "b") },
            App { kind: AppKind::Service, dialect: Some("acme".into()),
                  ..app(&*entropy, &blocked, "c") },
        ];
        let (one, two, owner_id) = (owner.clone(), blocked.clone(), owner.id);
        tx!(db, async move |tx| {
            assert!(users::insert(tx, &one).await? && users::insert(tx, &two).await?);
            for app in &apps {
                assert!(apps::insert(tx, app).await?);
            }
        });
        let any = AppFilter::default;
        for (filter, after, limit, wanted) in [
            (any(), "", 9, "a b c"),
            (any(), "", 2, "a b"),
            (any(), "a", 9, "b c"),
            (AppFilter { status: Some("live"), ..any() }, "", 9, "a c"),
            (AppFilter { kind: Some(AppKind::Service), ..any() }, "", 9, "c"),
            (AppFilter { owner: Some(owner_id), ..any() }, "", 9, "a b"),
            (AppFilter { dialect: Some("acme".into()), ..any() }, "", 9, "c"),
            (AppFilter { waits: true, ..any() }, "", 9, "b"),
            (AppFilter { text: Some("LEDG%".into()), ..any() }, "", 9, "a"),
            (AppFilter { text: Some("c".into()), ..any() }, "", 9, "c"),
            (AppFilter { text: Some("%".into()), ..any() }, "", 9, ""),
        ] {
            let asked = format!("{filter:?} {after} {limit}");
            let found = tx!(db, async move |tx| {
                apps::list_page(tx, &filter, after, limit).await?
            });
            let ids: Vec<_> = found.iter().map(|app| app.client_id.as_str()).collect();
            assert_eq!(ids.join(" "), wanted, "{asked}");
        }
        let any = UserFilter::default;
        for (filter, after, wanted) in [
            (any(), "", "dev@example.com ZOE_%@example.com"),
            (any(), "dev@example.com", "ZOE_%@example.com"),
            (UserFilter { role: Some(Role::Admin), ..any() }, "", "dev@example.com"),
            (UserFilter { blocked: Some(true), ..any() }, "", "ZOE_%@example.com"),
            (UserFilter { blocked: Some(false), ..any() }, "", "dev@example.com"),
            (UserFilter { email: Some("Zoe_%".into()), ..any() }, "", "ZOE_%@example.com"),
            (UserFilter { email: Some("%".into()), ..any() }, "", ""),
        ] {
            let found =
                tx!(db, async move |tx| { users::list_page(tx, &filter, after, 9).await? });
            let emails: Vec<_> = found.iter().map(|user| user.email.as_str()).collect();
            assert_eq!(emails.join(" "), wanted);
        }
    }

    async fn a_page_of_the_trail_holds_what_was_asked_for_in_either_order(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 4).await;
        let (app, user, id) = (case.app.id, case.user.id, AdminTokenId::from_bytes([7; 16]));
        tx!(db, async move |tx| {
            let new = |at, kind| AuditEvent::new(at, kind, AuditActor::AdminToken(id));
            event(tx, new(NOW, AuditKind::AppCreated).app(app)).await?;
            event(tx, new(NOW, AuditKind::UserCreated).user(user)).await?;
            event(tx, new(LATER, AuditKind::AppSuspended).app(app).user(user)).await?;
            event(tx, new(LATER, AuditKind::AppSuspended)).await?;
        });
        let any = AuditFilter::default;
        let all = (i64::MIN, i64::MAX);
        let (created, suspended) = (AuditKind::AppCreated, AuditKind::AppSuspended);
        for (filter, between, newest, limit, wanted) in [
            (any(), all, false, 9, &[1, 2, 3, 4][..]),
            (any(), all, true, 2, &[4, 3]),
            (any(), (i64::MIN, 3), true, 9, &[2, 1]),
            (any(), (2, i64::MAX), false, 9, &[3, 4]),
            (AuditFilter { app: Some(app), ..any() }, all, true, 9, &[3, 1]),
            (AuditFilter { app: Some(app), kind: Some(created), ..any() }, all, true, 9, &[1]),
            (AuditFilter { app: Some(app), user: Some(user), ..any() }, all, true, 9, &[3]),
            (AuditFilter { user: Some(user), ..any() }, all, false, 9, &[2, 3]),
            (AuditFilter { user: Some(user), kind: Some(suspended), ..any() }, all, true, 9, &[3]),
            (AuditFilter { kind: Some(suspended), ..any() }, all, true, 9, &[4, 3]),
            (AuditFilter { from: Some(LATER), ..any() }, all, false, 9, &[3, 4]),
            (AuditFilter { until: Some(LATER), ..any() }, all, true, 9, &[2, 1]),
            (AuditFilter { from: Some(LATER), until: Some(LATER), ..any() }, all, true, 9, &[]),
            (AuditFilter { from: Some(LATER.after(Duration::from_secs(9000))), ..any() }, all, true, 9, &[]),
        ] {
            let found = tx!(db, async move |tx| {
                search::page(tx, &filter, between, newest, limit).await?
            });
            let positions: Vec<_> = found.iter().map(|row| row.position).collect();
            assert_eq!(positions, wanted, "{filter:?} {between:?} {newest}");
            let by = found.iter().all(|row| row.event.actor == AuditActor::AdminToken(id));
            assert!(by, "{found:?}");
        }
    }

    async fn pages_of_consents_messages_mails_and_keys_go_on_where_they_ended(database: TestDb) {
        let store = store_of(&database).await;
        let db = store.db.clone();
        let case = Case::insert(&db, 5).await;
        let (app, user, consent) = (case.app.id, case.user.id, case.consent.id.to_string());
        let message = |id: u8, at| AppMessage {
            id: AppMessageId::from_bytes([id; 16]),
            app_id: app,
            author_id: user,
            by_staff: true,
            text: id.to_string(),
            written_at: at,
        };
        let written = [message(1, NOW), message(2, NOW), message(3, LATER)];
        tx!(db, async move |tx| {
            for message in &written {
                app_messages::insert(tx, message).await?;
            }
            for address in ["a@example.com", "b@example.com"] {
                let mail = Mail::to_address(address.to_owned(), None, MailKind::Test, NOW);
                mails::queue(tx, &mail).await?;
            }
        });
        for (after, count) in [(String::new(), 1), (consent, 0)] {
            let (of_user, of_app) = tx!(db, async move |tx| {
                (
                    consents::list_page_of_user(tx, user, &after, 9).await?,
                    consents::list_page_of_app(tx, app, &after, 9).await?,
                )
            });
            assert_eq!((of_user.len(), of_app.len()), (count, count));
        }
        let after = AppMessageId::from_bytes([2; 16]).to_string();
        let (first, rest) = tx!(db, async move |tx| {
            (
                app_messages::list_page_of_app(tx, app, (LATER, "g"), 2).await?,
                app_messages::list_page_of_app(tx, app, (NOW, &after), 9).await?,
            )
        });
        let texts = |page: &[(AppMessage, String)]| -> Vec<String> {
            page.iter().map(|(message, _)| message.text.clone()).collect()
        };
        assert_eq!((texts(&first), texts(&rest)), (vec!["3".into(), "2".into()], vec!["1".into()]));
        let page = tx!(db, async move |tx| { mails::list_page(tx, i64::MAX, 1).await? });
        let before = page[0].id;
        let rest = tx!(db, async move |tx| { mails::list_page(tx, before, 9).await? });
        let addresses: Vec<_> = page.iter().chain(&rest).map(|mail| &*mail.address).collect();
        assert_eq!(addresses, ["b@example.com", "a@example.com"]);
        let keys = tx!(db, async move |tx| { store::keys::list_records(tx).await? });
        assert!(keys.iter().any(|key| key.class == "seal_code") && keys.len() == 5, "{keys:?}");
    }
}
