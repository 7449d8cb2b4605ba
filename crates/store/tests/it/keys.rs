//! Keys: made once, found again, rotated without losing what they sealed.

use std::time::Duration;

use domain::authority::Authority as _;
use domain::keyring::MasterKey;
use domain::seal::{OpenError, Purpose};
use store::testing::TestDb;
use store::{DbError, Store, StoreConfig, Tuning, on_both};

use crate::support::{NOW, TestClock, entropy, open_store, rotated};

on_both! {
    async fn keys_outlive_a_restart_and_a_rotation(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, clock.clone(), 1).await;
        let random = entropy(5);
        let seal = |store: &Store, text: &[u8]| {
            store.keyring().seal_bytes(Purpose::Refresh, text, &*random).unwrap()
        };
        let before = seal(&store, b"before");
        store.rotate_keys(rotated()).await.unwrap();
        let after = seal(&store, b"after");
        let code = store.keyring().seal_bytes(Purpose::Code, b"code", &*random).unwrap();
        store.close().await.unwrap();
        drop(store);
        clock.advance(Duration::from_secs(2 * 86_400));
        let store = open_store(&database.url, clock.clone(), 2).await;
        let open = |text: &str| store.keyring().open_bytes(Purpose::Refresh, text);
        assert_eq!(open(&before), Ok(b"before".to_vec()));
        assert_eq!(open(&after), Ok(b"after".to_vec()));
        // Code keys rotate daily and die soon after.
        store.rotate_due_keys().await.unwrap();
        clock.advance(Duration::from_secs(3600));
        store.rotate_due_keys().await.unwrap();
        let old_code = store.keyring().open_bytes(Purpose::Code, &code);
        assert_eq!(old_code, Err(OpenError::UnknownKey));
    }

    async fn another_master_key_is_refused_and_the_message_says_why(database: TestDb) {
        let clock = TestClock::at(NOW);
        let store = open_store(&database.url, clock.clone(), 1).await;
        store.close().await.unwrap();
        drop(store);
        let config = StoreConfig {
            url: database.url.clone(),
            issuer: "https://id.example".to_owned(),
            master: MasterKey::new([8; 32]),
        };
        let opened = Store::open_with(config, clock, entropy(3), Tuning::default()).await;
        let error = opened.expect_err("it must not open");
        assert!(matches!(error, DbError::Setup(_)), "{error}");
        assert!(error.to_string().contains("another master key"), "{error}");
    }

    async fn an_unknown_key_is_looked_for_once_a_second(database: TestDb) {
        let store = open_store(&database.url, TestClock::at(NOW), 1).await;
        let before = std::sync::Arc::as_ptr(&store.keyring());
        store.reload_keys().await;
        let reloaded = store.keyring();
        assert_ne!(before, std::sync::Arc::as_ptr(&reloaded));
        store.reload_keys().await;
        // Twice within a second: the second did not ask the database.
        assert!(std::sync::Arc::ptr_eq(&reloaded, &store.keyring()));
    }
}
