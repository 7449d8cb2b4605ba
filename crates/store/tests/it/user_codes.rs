//! Rows of `user_codes`, on both databases alike.

use std::time::Duration;

use domain::authentication::Methods;
use domain::grant::Mode;
use domain::id::{CodeId, SessionId};
use domain::user_code::{Allowed, AskingDevice, PollPace, UserCode, UserCodeStatus};
use store::testing::TestDb;
use store::user_codes::Macs;
use store::{DbError, Tx, apps, on_both, user_codes, users};

use crate::support::{Case, LATER, NOW, app, entropy, scopes, tx, user};

fn waiting(case: &Case, seed: u64) -> UserCode {
    UserCode {
        id: CodeId::random(&*entropy(seed)),
        app_id: case.app.id,
        mode: Mode::Test,
        dialect: None,
        asked: scopes("orders.create balances.read"),
        resources: vec!["https://a.example/\"".to_owned()],
        device: Some(AskingDevice {
            address: "2001:db8::7".parse().unwrap(),
            user_agent: "Box/1 \u{1F4FA}".to_owned(),
            pace: PollPace::FIRST,
        }),
        status: UserCodeStatus::Waiting,
        created_at: NOW,
        expires_at: LATER,
    }
}

fn allowed(case: &Case) -> Allowed {
    Allowed {
        user_id: case.user.id,
        consent_id: case.consent.id,
        consent_epoch: case.consent.epoch,
        scopes: scopes("balances.read"),
        session_id: SessionId::from_bytes([9; 16]),
        auth_time: NOW,
        methods: Methods::PASSKEY,
    }
}

fn macs(byte: u8) -> Macs {
    Macs { user_code: [byte; 16], device_code: Some([byte; 16]) }
}

on_both! {
    async fn a_code_comes_back_as_it_was_stored_whoever_asks(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 80).await;
        let of_device = waiting(&case, 81);
        let of_user = UserCode {
            dialect: Some("bitport".to_owned()),
            device: None,
            resources: Vec::new(),
            status: UserCodeStatus::Allowed(allowed(&case)),
            ..waiting(&case, 82)
        };
        let (one, two) = (of_device.clone(), of_user.clone());
        let found = tx!(db, async move |tx| {
            assert!(user_codes::insert(tx, &one, &macs(1)).await?);
            let same_letters = Macs { device_code: None, ..macs(1) };
            assert!(!user_codes::insert(tx, &two, &same_letters).await?, "the letters are taken");
            let of_user = Macs { user_code: [2; 16], device_code: None };
            assert!(user_codes::insert(tx, &two, &of_user).await?);
            let third = UserCode { id: CodeId::from_bytes([3; 16]), ..two.clone() };
            let of_user = Macs { user_code: [3; 16], device_code: None };
            assert!(user_codes::insert(tx, &third, &of_user).await?, "many have no device code");
            [
                user_codes::find(tx, one.id).await?,
                user_codes::find_by_user_code(tx, &[1; 16]).await?,
                user_codes::find_by_device_code(tx, &[1; 16]).await?,
                user_codes::find_by_user_code(tx, &[2; 16]).await?,
                user_codes::find_by_device_code(tx, &[2; 16]).await?,
            ]
        });
        let device = Some(of_device);
        assert_eq!(found, [device.clone(), device.clone(), device, Some(of_user), None]);
    }

    async fn a_code_is_decided_once(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 83).await;
        let (first, second) = (waiting(&case, 84), waiting(&case, 85));
        let (one, two, yes) = (first.clone(), second.clone(), allowed(&case));
        let pace = PollPace { interval: Duration::from_secs(10), polled_at: Some(LATER) };
        let (found_one, found_two) = tx!(db, async move |tx| {
            user_codes::insert(tx, &one, &macs(4)).await?;
            user_codes::insert(tx, &two, &macs(5)).await?;
            user_codes::save_pace(tx, one.id, pace).await?;
            assert!(user_codes::allow(tx, one.id, &yes).await?);
            assert!(!user_codes::allow(tx, one.id, &yes).await?);
            assert!(!user_codes::deny(tx, one.id).await?);
            user_codes::save_pace(tx, one.id, PollPace::FIRST).await?;
            assert!(user_codes::deny(tx, two.id).await?);
            assert!(!user_codes::allow(tx, two.id, &yes).await?);
            (user_codes::find(tx, one.id).await?, user_codes::find(tx, two.id).await?)
        });
        let device = first.device.clone().map(|device| AskingDevice { pace, ..device });
        let status = UserCodeStatus::Allowed(allowed(&case));
        assert_eq!(found_one, Some(UserCode { device, status, ..first }));
        assert_eq!(found_two, Some(UserCode { status: UserCodeStatus::Denied, ..second }));
    }

    async fn codes_go_with_their_time_and_their_app(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 86).await;
        let (one, id) = (waiting(&case, 87), case.app.id);
        let after = LATER.after(Duration::from_millis(1));
        let two = UserCode { expires_at: after, ..waiting(&case, 88) };
        tx!(db, async move |tx| {
            user_codes::insert(tx, &one, &macs(6)).await?;
            user_codes::insert(tx, &two, &macs(7)).await?;
            assert_eq!(user_codes::sweep(tx, NOW, 10).await?, 0);
            assert_eq!(user_codes::sweep(tx, LATER, 10).await?, 1);
            assert!(user_codes::find(tx, two.id).await?.is_some());
            apps::delete(tx, id).await?;
            assert!(user_codes::find(tx, two.id).await?.is_none());
        });
    }

    async fn an_app_is_found_by_its_id_or_a_part_of_its_name(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(89);
        let owner = user(&*entropy, "dev@example.com");
        let make = |client_id: &str, name: &str, dialect: Option<&str>| {
            let mut made = app(&*entropy, &owner, client_id);
            made.name = name.to_owned();
            made.dialect = dialect.map(str::to_owned);
            made
        };
        let apps_made = [
            make("7", "Living Room Player", Some("bitport")),
            make("42", "Player 7", Some("bitport")),
            make("43", "100% Player_", Some("other")),
            make("44", "Player of the standard", None),
        ];
        let stored = owner.clone();
        tx!(db, async move |tx| {
            users::insert(tx, &stored).await?;
            for app in &apps_made {
                apps::insert(tx, app).await?;
            }
        });
        for (text, found) in [
            ("7", vec!["7", "42"]),
            ("player", vec!["7", "42"]),
            ("LIVING room", vec!["7"]),
            ("42", vec!["42"]),
            ("%", vec![]),
            ("", vec![]),
            ("nothing", vec![]),
        ] {
            let rows =
                tx!(db, async move |tx| { apps::search_of_dialect(tx, "bitport", text, 10).await? });
            let ids: Vec<_> = rows.iter().map(|app| app.client_id.as_str()).collect();
            assert_eq!(ids, found, "{text}");
        }
    }
}
