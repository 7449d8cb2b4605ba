//! Rows of `partner_keys`, on both databases alike.

use std::time::Duration;

use domain::audit::AuditActor;
use domain::id::PartnerKeyId;
use domain::partner_key::{
    DisabledWhy, EndedWhy, KeyStatus, PartnerKey, Permission, SECRET_LOCK, SealedSecret,
    SecretState, UNUSED_MAX,
};
use store::testing::TestDb;
use store::{DbError, Tx, apps, on_both, partner_keys};

use crate::support::{Case, LATER, NOW, app, entropy, tx};

fn key(case: &Case, seed: u64) -> PartnerKey {
    let permission = |url: &str| Permission { group: "trading".to_owned(), url: url.to_owned() };
    PartnerKey {
        id: PartnerKeyId::random(&*entropy(seed)),
        public: format!("{seed:032x}"),
        user_id: case.user.id,
        app_id: case.app.id,
        secret: SealedSecret::from_stored(format!("sealed \u{1F511} {seed}")),
        secret_state: SecretState::Unread,
        permissions: [permission("/api/orders/{id}"), permission("/api/\"quoted\"")].into(),
        status: KeyStatus::Active,
        dialect: Some("whitebit".to_owned()),
        created_at: NOW,
        last_used_at: None,
    }
}

on_both! {
    async fn a_key_comes_back_as_it_was_stored_in_each_state(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 90).await;
        let until = NOW.after(SECRET_LOCK);
        let disabled = KeyStatus::Disabled { why: DisabledWhy::Unused, at: LATER };
        let plain = key(&case, 91);
        let states = [
            plain.clone(),
            PartnerKey { secret_state: SecretState::Locked { until }, ..plain.clone() },
            PartnerKey { secret_state: SecretState::Read { at: LATER }, ..plain.clone() },
            PartnerKey {
                status: disabled,
                secret: SealedSecret::forgotten(),
                permissions: [].into(),
                dialect: None,
                last_used_at: Some(LATER),
                ..plain
            },
        ];
        for stored in states {
            let expected = stored.clone();
            let found = tx!(db, async move |tx| {
                assert!(partner_keys::insert(tx, &stored).await?);
                let found = [
                    partner_keys::find(tx, stored.id).await?,
                    partner_keys::find_by_public(tx, &stored.public).await?,
                    partner_keys::find_of(tx, stored.user_id, stored.app_id).await?,
                    partner_keys::list_of_user(tx, stored.user_id).await?.pop(),
                    partner_keys::list_of_app(tx, stored.app_id, 1).await?.pop(),
                ];
                let (why, actor) = (EndedWhy::User, AuditActor::User(stored.user_id));
                assert!(partner_keys::end(tx, &stored, why, actor, NOW).await?);
                assert!(!partner_keys::end(tx, &stored, why, actor, NOW).await?);
                assert_eq!(partner_keys::find(tx, stored.id).await?, None);
                found
            });
            assert_eq!(found, std::array::from_fn(|_| Some(expected.clone())));
        }
    }

    async fn a_user_has_one_key_for_an_app(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 92).await;
        let (one, two) = (key(&case, 93), key(&case, 94));
        let (other, id) = (app(&*entropy(95), &case.user, "other"), case.user.id);
        let for_other = PartnerKey { app_id: other.id, ..two.clone() };
        let (app_id, expected) = (other.id, one.clone());
        let left = tx!(db, async move |tx| {
            assert!(partner_keys::insert(tx, &one).await?);
            assert!(!partner_keys::insert(tx, &two).await?);
            assert!(apps::insert(tx, &other).await?);
            assert!(partner_keys::insert(tx, &for_other).await?);
            assert_eq!(partner_keys::list_of_user(tx, id).await?.len(), 2);
            apps::delete(tx, app_id).await?;
            partner_keys::list_of_user(tx, id).await?
        });
        assert_eq!(left, [expected], "a key goes with its app");
    }

    async fn of_a_hundred_retrievals_at_once_one_tells_the_secret(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 96).await;
        let stored = key(&case, 97);
        let id = stored.id;
        tx!(db, async move |tx| { partner_keys::insert(tx, &stored).await? });
        let mut attempts = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let db = db.clone();
            attempts.spawn(async move {
                let find = async move |tx: &mut Tx<'_>| partner_keys::find(tx, id).await;
                let mut key: PartnerKey = db.read(find).await.unwrap().unwrap();
                let Ok(until) = key.lock_secret(NOW) else { return false };
                let lock =
                    async move |tx: &mut Tx<'_>| partner_keys::lock_secret(tx, id, until, NOW).await;
                if !db.write_one(lock).await.unwrap() {
                    return false;
                }
                let tell =
                    async move |tx: &mut Tx<'_>| partner_keys::tell_secret(tx, id, until, NOW).await;
                db.write(tell).await.unwrap()
            });
        }
        let told = attempts.join_all().await.into_iter().filter(|told| *told).count();
        assert_eq!(told, 1);
        let find = async move |tx: &mut Tx<'_>| partner_keys::find(tx, id).await;
        let found: PartnerKey = db.read(find).await.unwrap().unwrap();
        assert_eq!(found.secret_state, SecretState::Read { at: NOW });
    }

    async fn who_comes_back_with_an_old_lock_tells_nothing(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 98).await;
        let stored = key(&case, 99);
        let (old, late) = (NOW.after(SECRET_LOCK), NOW.after(SECRET_LOCK * 2));
        tx!(db, async move |tx| {
            let id = stored.id;
            partner_keys::insert(tx, &stored).await?;
            assert!(!partner_keys::tell_secret(tx, id, old, NOW).await?, "nobody has a lock");
            assert!(partner_keys::lock_secret(tx, id, old, NOW).await?);
            assert!(!partner_keys::lock_secret(tx, id, late, NOW).await?);
            assert!(partner_keys::lock_secret(tx, id, late, old).await?, "it is over");
            assert!(!partner_keys::tell_secret(tx, id, old, old).await?);
            assert!(partner_keys::tell_secret(tx, id, late, old).await?);
            assert!(!partner_keys::tell_secret(tx, id, late, old).await?);
            assert!(!partner_keys::lock_secret(tx, id, late, LATER).await?, "for ever");
        });
    }

    async fn only_what_was_not_used_for_too_long_is_disabled(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 100).await;
        let stored = key(&case, 101);
        let second = Duration::from_secs(1);
        tx!(db, async move |tx| {
            let id = stored.id;
            partner_keys::insert(tx, &stored).await?;
            partner_keys::note_use(tx, id, LATER).await?;
            partner_keys::note_use(tx, id, NOW).await?;
            let found = partner_keys::find(tx, id).await?.unwrap();
            assert_eq!(found.last_used_at, Some(LATER), "a late batch takes nothing back");
            let end = LATER.after(UNUSED_MAX);
            assert_eq!(partner_keys::disable_unused(tx, end.before(second), 10).await?, 0);
            assert_eq!(partner_keys::disable_unused(tx, end, 10).await?, 1);
            assert_eq!(partner_keys::disable_unused(tx, end, 10).await?, 0);
            let found = partner_keys::find(tx, id).await?.unwrap();
            let disabled = KeyStatus::Disabled { why: DisabledWhy::Unused, at: end };
            assert_eq!((found.status, found.secret), (disabled, SealedSecret::forgotten()));
            assert!(!partner_keys::lock_secret(tx, id, end.after(second), end).await?);
        });
    }
}
