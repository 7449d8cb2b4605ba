//! Every row comes back as it was stored, and every statement does what its name says, on both
//! databases alike.

use std::net::IpAddr;
use std::time::Duration;

use domain::app::{App, AppKeys, AppKind, AppStatus, Approval, ClientSecret, SecretProof, Turn};
use domain::app_message::AppMessage;
use domain::authentication::Methods;
use domain::condition::{BrandVerified, Conditions, ReviewState, ScopeCondition};
use domain::consent::Consent;
use domain::foreign_hash::ForeignHash;
use domain::grant::Mode;
use domain::id::{AppId, AppMessageId, CredentialId, SessionId, TokenId};
use domain::revision::Revision;
use domain::session::Session;
use domain::throttle::ThrottleState;
use domain::time::Timestamp;
use domain::usage::{Use, UsedBy};
use domain::user::{Role, User, UserStatus};
use store::nodes::Node;
use store::testing::TestDb;
use store::{
    DbError, Tx, app_messages, apps, client_secrets, consents, grants, nodes, on_both,
    revoked_tokens, sessions, throttles, usage, used_once, users,
};

use crate::support::{Case, LATER, NOW, app, entropy, localhost, scopes, tx, user};

fn same(a: &impl std::fmt::Debug, b: &impl std::fmt::Debug) {
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
}

on_both! {
    async fn a_user_comes_back_and_their_address_is_taken_whatever_its_case(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(1);
        let alice = user(&*entropy, " Alice@Example.COM");
        let mut twin = user(&*entropy, "alice@example.com");
        let wanted = alice.clone();
        tx!(db, async move |tx| {
            assert!(users::insert(tx, &alice).await?);
            assert!(!users::insert(tx, &twin).await?);
        });
        let found =
            tx!(db, async move |tx| { users::find_by_email(tx, "ALICE@example.com").await? });
        same(&found, &Some(wanted.clone()));
        twin = User {
            name: String::new(),
            password: None,
            roles: Vec::new(),
            status: UserStatus::Blocked { at: LATER, reason: "fraud".to_owned() },
            ..wanted.clone()
        };
        let blocked = twin.clone();
        tx!(db, async move |tx| { users::save(tx, &blocked).await? });
        same(&tx!(db, async move |tx| { users::find(tx, wanted.id).await? }), &Some(twin.clone()));
        same(&tx!(db, async move |tx| { users::list_all(tx).await? }), &vec![twin.clone()]);
        let admins = async |tx: &mut Tx<'_>| users::list_active_admins(tx).await;
        same(&db.read(admins).await.unwrap(), &Vec::<User>::new());
        let promoted = User { roles: vec![Role::Developer, Role::Admin], ..twin.unblock() };
        let saved = promoted.clone();
        tx!(db, async move |tx| { users::save(tx, &saved).await? });
        same(&db.read(admins).await.unwrap(), &vec![promoted.clone()]);
        let demoted = User { roles: vec![Role::Developer, Role::Reviewer], ..promoted };
        tx!(db, async move |tx| { users::save(tx, &demoted).await? });
        same(&db.read(admins).await.unwrap(), &Vec::<User>::new());
    }

    async fn an_app_comes_back_in_every_state(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(2);
        let owner = user(&*entropy, "dev@example.com");
        let first = app(&*entropy, &owner, "ΩΩ client/1");
        let (owner_row, app_row) = (owner.clone(), first.clone());
        tx!(db, async move |tx| {
            users::insert(tx, &owner_row).await?;
            assert!(apps::insert(tx, &app_row).await?);
            let namesake = App { id: AppId::from_bytes([9; 16]), ..app_row.clone() };
            assert!(!apps::insert(tx, &namesake).await?);
        });
        let found = tx!(db, async move |tx| { apps::find_by_client_id(tx, "ΩΩ client/1").await? });
        same(&found, &Some(first.clone()));
        let near = tx!(db, async move |tx| { apps::find_by_client_id(tx, "ωω client/1").await? });
        assert!(near.is_none(), "client ids are compared exactly");
        let reviewed = Approval::Reviewed { at: NOW, by: owner.id };
        for status in [
            AppStatus::InReview,
            AppStatus::Live { since: LATER, approval: Approval::Unreviewed },
            AppStatus::Rejected { at: LATER, note: "no".to_owned() },
            AppStatus::Suspended { at: LATER, reason: "spam".to_owned(), approval: reviewed },
            AppStatus::Retired { at: LATER, approval: reviewed },
            AppStatus::Live { since: NOW, approval: reviewed },
        ] {
            let changed = App {
                status,
                name: "Tradlng  B0t!".to_owned(),
                redirect_uris: Vec::new(),
                requested: Vec::new(),
                addresses: Vec::new(),
                service_scopes: scopes("a b c"),
                rotates_refresh_tokens: false,
                optional_ticked: true,
                proposed: Some(Revision { description: "Says\nmore".into(), ..first.revision() }),
                turn: Turn::Developer { asked_at: LATER, note: "Why?".to_owned() },
                changed_at: LATER,
                review: ReviewState {
                    conditions: Conditions::from([(
                        "a".parse().unwrap(),
                        ScopeCondition {
                            user_max: Some(7),
                            until: Some(LATER),
                            note: "Until spring.".to_owned(),
                            ..ScopeCondition::default()
                        },
                    )]),
                    due_again_at: Some(NOW),
                    reminded_at: Some(LATER),
                    brand: Some(BrandVerified { at: NOW, by: owner.id }),
                    assigned_to: Some(owner.id),
                },
                ..first.clone()
            };
            let save = changed.clone();
            tx!(db, async move |tx| { apps::save(tx, &save).await? });
            same(&tx!(db, async move |tx| { apps::find(tx, first.id).await? }), &Some(changed));
        }
        let of_owner = tx!(db, async move |tx| { apps::list_of_owner(tx, owner.id).await? });
        assert_eq!(of_owner.len(), 1);
        tx!(db, async move |tx| { apps::delete(tx, first.id).await? });
        assert!(tx!(db, async move |tx| { apps::find(tx, first.id).await? }).is_none());
    }

    async fn the_review_queue_holds_who_waits_and_who_asks_for_more(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(3);
        let owner = user(&*entropy, "dev@example.com");
        let content = app(&*entropy, &owner, "content");
        let new = app(&*entropy, &owner, "new");
        let new = App { status: AppStatus::InReview, changed_at: LATER, ..new };
        let more = app(&*entropy, &owner, "more");
        let approved = scopes("balances.read");
        let more = App { approved, changed_at: NOW.after(Duration::from_secs(1)), ..more };
        let service = app(&*entropy, &owner, "service");
        let service = App { kind: AppKind::Service, requested: Vec::new(), ..service };
        let better = app(&*entropy, &owner, "better");
        let proposed = Some(Revision { name: "Better".into(), ..better.revision() });
        let better = App { proposed, changed_at: NOW, ..better };
        let asked = Turn::Developer { asked_at: LATER, note: "Who are you?".into() };
        let status = AppStatus::InReview;
        let asked = App { status, turn: asked, ..app(&*entropy, &owner, "asked") };
        tx!(db, async move |tx| {
            users::insert(tx, &owner).await?;
            for app in [&content, &new, &more, &service, &better, &asked] {
                assert!(apps::insert(tx, app).await?);
            }
        });
        let beginning = (Timestamp::from_millis(i64::MIN), AppId::from_bytes([0; 16]));
        let waiting = tx!(db, async move |tx| { apps::list_for_review(tx, beginning, 9).await? });
        let ids: Vec<_> = waiting.iter().map(|app| app.client_id.as_str()).collect();
        assert_eq!(ids, ["better", "more", "new"]);
        assert_eq!(tx!(db, async move |tx| { apps::count_for_review(tx).await? }), 3);
        let after = (waiting[0].changed_at, waiting[0].id);
        let rest = tx!(db, async move |tx| { apps::list_for_review(tx, after, 1).await? });
        assert_eq!(rest[0].client_id, "more");
    }

    async fn what_was_written_about_an_app_is_read_in_its_order(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(5);
        let dev = user(&*entropy, "dev@example.com");
        let staff = user(&*entropy, "staff@example.com");
        let app = app(&*entropy, &dev, "bot");
        let (app_id, authors) = (app.id, [(dev.id, false), (staff.id, true), (dev.id, false)]);
        let texts = ["Why?", "“Because”\n\u{1f30a}", ""];
        let messages: Vec<_> = (0..).zip(authors.into_iter().zip(texts)).map(|(n, (author, text))| {
            AppMessage {
                id: AppMessageId::from_bytes([n; 16]),
                app_id,
                author_id: author.0,
                by_staff: author.1,
                text: text.to_owned(),
                written_at: if n == 0 { NOW } else { LATER },
            }
        }).collect();
        let (rows, staff_name) = (messages.clone(), staff.name.clone());
        tx!(db, async move |tx| {
            users::insert(tx, &dev).await?;
            users::insert(tx, &staff).await?;
            assert!(apps::insert(tx, &app).await?);
            for message in &rows {
                app_messages::insert(tx, message).await?;
            }
        });
        let list = async move |tx: &mut Tx<'_>| app_messages::list_of_app(tx, app_id, 2).await;
        let found = db.read(list).await.unwrap();
        let (found, names): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        assert_eq!(found, messages[1..]);
        assert_eq!(names, [staff_name.clone(), staff_name]);
        let listed = async |tx: &mut Tx<'_>| apps::list_with_question(tx, 9).await;
        assert_eq!(db.read(listed).await.unwrap(), []);
        tx!(db, async move |tx| { apps::save_question(tx, app_id, Some(LATER)).await? });
        let waiting = [(app_id, "Trading Bot".to_owned(), LATER)];
        assert_eq!(db.read(listed).await.unwrap(), waiting);
        tx!(db, async move |tx| { apps::save_question(tx, app_id, None).await? });
        assert_eq!(db.read(listed).await.unwrap(), []);
        for (since, count) in [(NOW, 2), (LATER, 1), (LATER.after(Duration::from_secs(1)), 0)] {
            let found = tx!(db, async move |tx| {
                app_messages::count_of_developer(tx, app_id, since).await?
            });
            assert_eq!(found, count);
        }
    }

    async fn deleting_an_app_takes_everything_of_it_along(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 4).await;
        let secret = secret(case.app.id);
        let id = secret.id;
        tx!(db, async move |tx| { client_secrets::insert(tx, &secret).await? });
        let (app, user) = (case.app.id, case.user.id);
        let gone = tx!(db, async move |tx| {
            apps::delete(tx, app).await?;
            (
                grants::find(tx, case.grant.id).await?,
                consents::find_of(tx, user, app, Mode::Live).await?,
                client_secrets::delete(tx, id).await?,
            )
        });
        assert_eq!(gone, (None, None, false));
    }

    async fn secrets_are_listed_oldest_first_and_remember_their_last_use(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 5).await;
        let app = case.app.id;
        let old = secret(app);
        let new = ClientSecret {
            id: CredentialId::from_bytes([0; 16]),
            created_at: LATER,
            expires_at: None,
            proof: SecretProof::Mac([0xff; 32]),
            ..old.clone()
        };
        let (a, b) = (new.clone(), old.clone());
        let listed = tx!(db, async move |tx| {
            client_secrets::insert(tx, &a).await?;
            client_secrets::insert(tx, &b).await?;
            client_secrets::touch(tx, b.id, LATER).await?;
            client_secrets::list_of_app(tx, app).await?
        });
        same(&listed, &vec![ClientSecret { last_used_at: Some(LATER), ..old.clone() }, new]);
        let removed = tx!(db, async move |tx| {
            (client_secrets::delete(tx, old.id).await?, client_secrets::delete(tx, old.id).await?)
        });
        assert_eq!(removed, (true, false));
    }

    async fn a_hash_of_another_system_gives_way_to_a_mac_exactly_once(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 21).await;
        let app = case.app.id;
        let hash = |text: &str| ForeignHash::from_text(text.to_owned());
        let (first, other) = (hash("$2b$12$abc/DEF."), hash("$2b$12$abc/DEF"));
        let old = ClientSecret {
            proof: SecretProof::Foreign(first.clone()),
            hint: String::new(),
            ..secret(app)
        };
        let (inserted, id) = (old.clone(), old.id);
        let (listed, done) = tx!(db, async move |tx| {
            client_secrets::insert(tx, &inserted).await?;
            let listed = client_secrets::list_of_app(tx, app).await?;
            let mut done = Vec::new();
            for (from, mac) in [(&other, [1; 32]), (&first, [2; 32]), (&first, [3; 32])] {
                done.push(client_secrets::upgrade(tx, id, from, &mac, "wxyz", LATER).await?);
            }
            (listed, done)
        });
        same(&listed, &vec![old.clone()]);
        assert_eq!(listed[0].proof, old.proof, "the whole text comes back");
        assert_eq!(done, [false, true, false]);
        let upgraded = ClientSecret {
            proof: SecretProof::Mac([2; 32]),
            hint: "wxyz".to_owned(),
            last_used_at: Some(LATER),
            ..old
        };
        same(&tx!(db, async move |tx| { client_secrets::list_of_app(tx, app).await? }), &vec![upgraded]);
    }

    async fn the_end_of_a_secret_is_set_and_taken_back(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 24).await;
        let row = ClientSecret { mode: Mode::Test, name: "Laptop".to_owned(), ..secret(case.app.id) };
        let (inserted, app) = (row.clone(), case.app.id);
        let (done, listed) = tx!(db, async move |tx| {
            client_secrets::insert(tx, &inserted).await?;
            let mut done = vec![client_secrets::save_end(tx, inserted.id, Some(NOW)).await?];
            done.push(client_secrets::save_end(tx, inserted.id, None).await?);
            let nobodys = CredentialId::from_bytes([9; 16]);
            done.push(client_secrets::save_end(tx, nobodys, Some(NOW)).await?);
            (done, client_secrets::list_of_app(tx, app).await?)
        });
        assert_eq!(done, [true, true, false]);
        same(&listed, &vec![ClientSecret { expires_at: None, ..row }]);
    }

    async fn a_consent_to_tests_is_another_row(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 25).await;
        let (user, app) = (case.user.id, case.app.id);
        let given = case.consent.clone();
        let asked = given.asked.clone();
        let tests = Consent::give(&*entropy(61), app, user, asked.clone(), asked, LATER);
        let tests = Consent { mode: Mode::Test, ..tests };
        let save = tests.clone();
        let found = tx!(db, async move |tx| {
            consents::save(tx, &save).await?;
            (
                consents::find_of(tx, user, app, Mode::Live).await?,
                consents::find_of(tx, user, app, Mode::Test).await?,
                consents::list_given_to(tx, app).await?.len(),
                consents::count_given_to(tx, app).await?,
            )
        });
        assert_eq!(found, (Some(given), Some(tests), 2, 1));
    }

    async fn an_app_in_tests_is_found_and_never_stored(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 26).await;
        let id = case.app.id;
        let paused = case.app.clone().pause(NOW).unwrap();
        let keys = Some(AppKeys::Pasted("{}".to_owned()));
        let changed = App { keys, ..paused };
        let saved = changed.clone();
        let found = tx!(db, async move |tx| {
            apps::save(tx, &saved).await?;
            (apps::find(tx, id).await?, apps::find_in_mode(tx, id, Mode::Test).await?)
        });
        same(&found.0, &Some(changed.clone()));
        same(&found.1, &Some(changed.clone().in_test_mode()));
        let in_tests = changed.in_test_mode();
        let refused = db.write(async move |tx| apps::save(tx, &in_tests).await).await;
        assert!(matches!(refused, Err(DbError::Corrupt(_))), "{refused:?}");
    }

    async fn a_consent_is_one_row_that_changes(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 6).await;
        let (user, app) = (case.user.id, case.app.id);
        let listed = tx!(db, async move |tx| {
            (
                consents::list_given_by(tx, user).await?,
                consents::list_given_to(tx, app).await?,
                consents::count_given_to(tx, app).await?,
            )
        });
        assert_eq!(listed, (vec![case.consent.clone()], vec![case.consent.clone()], 1));
        let withdrawn = case.consent.withdraw(&*entropy(60), LATER).unwrap();
        let save = withdrawn.clone();
        let found: (Option<Consent>, Option<Consent>, u64) = tx!(db, async move |tx| {
            consents::save(tx, &save).await?;
            (
                consents::find(tx, save.id).await?,
                consents::find_of(tx, user, app, Mode::Live).await?,
                consents::count_given_to(tx, app).await?,
            )
        });
        assert_eq!(found, (Some(withdrawn.clone()), Some(withdrawn), 0));
    }

    async fn sessions_are_found_touched_and_ended(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 13).await;
        let session = |id: u8, expires_at| Session {
            id: SessionId::from_bytes([id; 16]),
            user_id: case.user.id,
            auth_time: NOW,
            methods: Methods { otp: true, ..Methods::PASSWORD },
            second_factor_at: None,
            created_at: NOW,
            last_seen_at: NOW,
            expires_at,
            address: "2001:db8::1".parse::<IpAddr>().unwrap(),
            user_agent: "Mozilla/5.0 (\"x\")".to_owned(),
        };
        let rows = [session(1, LATER), session(2, NOW), session(3, LATER)];
        let user = case.user.id;
        let wanted = Session { last_seen_at: LATER, ..rows[0].clone() };
        let wanted = wanted.stepped_up(Methods::PASSKEY, LATER);
        let stepped_up = wanted.clone();
        let outcome = tx!(db, async move |tx| {
            for row in &rows {
                sessions::insert(tx, row).await?;
            }
            sessions::touch(tx, rows[0].id, LATER).await?;
            sessions::step_up(tx, &stepped_up).await?;
            let found = sessions::find(tx, rows[0].id).await?;
            let listed = sessions::list_of_user(tx, user).await?;
            assert_eq!(listed.len(), 3);
            same(&listed[0], found.as_ref().unwrap());
            let swept = sessions::sweep(tx, NOW, 10).await?;
            assert_eq!(sessions::delete_others(tx, user, Some(rows[2].id)).await?, 1);
            sessions::insert(tx, &rows[0]).await?;
            sessions::delete(tx, rows[2].id).await?;
            let gone = sessions::find(tx, rows[2].id).await?.is_none();
            (found, swept, gone, sessions::delete_of_user(tx, user).await?)
        });
        same(&outcome.0, &Some(wanted));
        assert_eq!((outcome.1, outcome.2, outcome.3), (1, true, 1));
    }

    async fn revoked_tokens_and_used_up_things_are_kept_until_they_expire(database: TestDb) {
        let db = database.open().await;
        let (soon, late) = (TokenId::from_bytes([1; 16]), TokenId::from_bytes([2; 16]));
        let outcome = tx!(db, async move |tx| {
            let first = revoked_tokens::insert(tx, soon, NOW).await?;
            let again = revoked_tokens::insert(tx, soon, LATER).await?;
            revoked_tokens::insert(tx, late, LATER).await?;
            let swept = revoked_tokens::sweep(tx, NOW, 10).await?;
            let left = (
                revoked_tokens::contains(tx, soon).await?,
                revoked_tokens::contains(tx, late).await?,
            );
            (first, again, swept, left)
        });
        assert_eq!(outcome, (true, false, 1, (false, true)));
        let outcome = tx!(db, async move |tx| {
            let first = used_once::take(tx, "form", b"h", NOW).await?;
            let again = used_once::take(tx, "form", b"h", NOW).await?;
            let other_kind = used_once::take(tx, "link", b"h", LATER).await?;
            let swept = used_once::sweep(tx, NOW, 10).await?;
            (first, again, other_kind, swept, used_once::take(tx, "link", b"h", LATER).await?)
        });
        assert_eq!(outcome, (true, false, true, 1, false));
    }

    async fn throttles_are_counted_cleared_and_swept(database: TestDb) {
        let db = database.open().await;
        let state = ThrottleState { attempts: 3, last_at: NOW };
        let outcome = tx!(db, async move |tx| {
            throttles::save(tx, "a", &ThrottleState::default(), NOW).await?;
            throttles::save(tx, "a", &state, NOW).await?;
            throttles::save(tx, "b", &state, LATER).await?;
            let found = throttles::find(tx, "a").await?;
            let swept = throttles::sweep(tx, NOW, 10).await?;
            throttles::clear(tx, "b").await?;
            (found, swept, throttles::find(tx, "b").await?)
        });
        assert_eq!(outcome, (Some(state), 1, None));
    }

    async fn calls_are_added_up_per_family(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 14).await;
        let call = |family: &str, status, at| Use {
            by: UsedBy::Grant(case.grant.id),
            app_id: case.app.id,
            user_id: Some(case.user.id),
            family: family.to_owned(),
            status,
            address: localhost(),
            at,
        };
        let first = [call("orders", 200, NOW), call("orders", 403, NOW), call("balance", 200, NOW)];
        let second = [call("orders", 200, LATER)];
        let (user, app, grant) = (case.user.id, case.app.id, case.grant.id);
        let (families, last, touched, swept) = tx!(db, async move |tx| {
            usage::add(tx, &first).await?;
            usage::add(tx, &second).await?;
            (
                usage::list_of(tx, user, app).await?,
                usage::last_call_of_app(tx, app).await?,
                grants::find(tx, grant).await?.map(|grant| grant.last_used_at),
                usage::sweep(tx, NOW, 10).await?,
            )
        });
        let counted: Vec<_> =
            families.iter().map(|f| (f.family.as_str(), f.calls, f.refused, f.last_at)).collect();
        assert_eq!(counted, [("orders", 3, 1, LATER), ("balance", 1, 0, NOW)]);
        assert_eq!((last, touched, swept), (Some(LATER), Some(LATER), 1));
    }

    async fn a_node_that_was_given_up_notices(database: TestDb) {
        let db = database.open().await;
        let (id, lease_ms) = ("a".to_owned(), 2000);
        let node = Node { id, position: 1, renewals: 1, lease_ms, clock_skew_ms: -5 };
        let renewed = Node { position: 9, renewals: 2, ..node.clone() };
        let outcome = tx!(db, async move |tx| {
            nodes::save(tx, &node).await?;
            let first = nodes::renew(tx, &renewed).await?;
            nodes::delete_silent(tx, &node).await?;
            let listed = nodes::list(tx).await?;
            nodes::delete_silent(tx, &renewed).await?;
            (first, listed == [renewed.clone()], nodes::renew(tx, &renewed).await?)
        });
        assert_eq!(outcome, (true, true, false));
    }
}

fn secret(app_id: AppId) -> ClientSecret {
    ClientSecret {
        id: CredentialId::from_bytes([8; 16]),
        app_id,
        mode: Mode::Live,
        name: "Server".to_owned(),
        proof: SecretProof::Mac([1; 32]),
        hint: "abcd".to_owned(),
        created_at: NOW,
        last_used_at: None,
        expires_at: Some(LATER),
    }
}
