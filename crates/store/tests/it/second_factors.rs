//! Rows of `totps`, `passkeys` and `recovery_codes`, on both databases alike.

use domain::id::{FactorId, UserId};
use domain::second_factor::{Passkey, Totp};
use store::testing::TestDb;
use store::{DbError, Tx, on_both, second_factors};

use crate::support::{Case, LATER, NOW, tx};

fn totp(user_id: UserId, id: u8) -> Totp {
    Totp {
        id: FactorId::from_bytes([id; 16]),
        user_id,
        name: "Phone \u{1F4F1}".to_owned(),
        secret: "cs_ts_sealed".to_owned(),
        last_step: i64::MIN,
        created_at: NOW,
        last_used_at: None,
    }
}

fn passkey(user_id: UserId, id: u8) -> Passkey {
    Passkey {
        id: FactorId::from_bytes([id; 16]),
        user_id,
        name: String::new(),
        credential_id: vec![0, 0xff, id],
        public_key: vec![0; 300],
        signature_count: u32::MAX.into(),
        created_at: NOW,
        last_used_at: Some(LATER),
    }
}

on_both! {
    async fn factors_come_back_as_they_were_stored_and_are_of_their_user_alone(database: TestDb) {
        let db = database.open().await;
        let (alice, bob) = (Case::insert(&db, 90).await, Case::insert(&db, 91).await);
        let (alice, bob) = (alice.user.id, bob.user.id);
        let (enrolled, of_bob) = tx!(db, async move |tx| {
            second_factors::insert_totp(tx, &totp(alice, 1)).await?;
            assert!(second_factors::insert_passkey(tx, &passkey(alice, 2)).await?);
            let same_device = Passkey { credential_id: vec![0, 0xff, 2], ..passkey(bob, 3) };
            assert!(!second_factors::insert_passkey(tx, &same_device).await?, "it is Alice's");
            let of_bob = second_factors::find_enrolled(tx, bob).await?;
            assert_eq!(second_factors::remove(tx, bob, totp(alice, 1).id).await?, None);
            (second_factors::find_enrolled(tx, alice).await?, of_bob)
        });
        assert!(of_bob.is_empty());
        assert_eq!(enrolled.passkeys, [passkey(alice, 2)]);
        let [app] = &enrolled.totps[..] else { panic!("{enrolled:?}") };
        let expected = totp(alice, 1);
        assert_eq!((&app.name, &app.secret), (&expected.name, &expected.secret));
        assert_eq!((app.last_step, app.created_at), (i64::MIN, NOW));
        assert_eq!((app.user_id, app.last_used_at), (alice, None));
    }

    async fn a_step_a_recovery_code_and_a_factor_go_once(database: TestDb) {
        let db = database.open().await;
        let alice = Case::insert(&db, 92).await.user.id;
        tx!(db, async move |tx| {
            second_factors::insert_totp(tx, &totp(alice, 1)).await?;
            second_factors::insert_passkey(tx, &passkey(alice, 2)).await?;
            let (app, key) = (totp(alice, 1).id, passkey(alice, 2).id);
            for (step, is_new) in [(7, true), (7, false), (6, false), (8, true)] {
                assert_eq!(second_factors::use_totp(tx, app, step, LATER).await?, is_new, "{step}");
            }
            second_factors::use_passkey(tx, key, 0, LATER).await?;
            let found = second_factors::find_passkey(tx, &[0, 0xff, 2]).await?.unwrap();
            assert_eq!((found.signature_count, found.last_used_at), (0, Some(LATER)));
            assert_eq!(second_factors::find_passkey(tx, &[]).await?, None);

            second_factors::replace_recovery_codes(tx, alice, &[[1; 16], [2; 16]], NOW).await?;
            assert!(second_factors::use_recovery_code(tx, alice, &[1; 16]).await?);
            assert!(!second_factors::use_recovery_code(tx, alice, &[1; 16]).await?);
            assert_eq!(second_factors::find_enrolled(tx, alice).await?.recovery_codes_left, 1);
            second_factors::replace_recovery_codes(tx, alice, &[[3; 16]], NOW).await?;
            assert!(!second_factors::use_recovery_code(tx, alice, &[2; 16]).await?);

            assert_eq!(second_factors::remove(tx, alice, key).await?, Some(String::new()));
            assert_eq!(second_factors::remove(tx, alice, key).await?, None);
            assert_eq!(second_factors::remove_all(tx, alice).await?, 1);
            let left = second_factors::find_enrolled(tx, alice).await?;
            assert!(left.is_empty() && left.recovery_codes_left == 0);
        });
    }
}
