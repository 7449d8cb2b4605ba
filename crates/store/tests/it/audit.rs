//! The audit trail shows every change to it.

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::{AppId, ConsentId, GrantId, UserId};
use serde_json::json;
use store::audit::TrailError;
use store::testing::TestDb;
use store::{Db, DbError, Tx, audit, bind, on_both};

use crate::support::{NOW, localhost};

fn event(number: u8) -> AuditEvent {
    let user = UserId::from_bytes([number; 16]);
    AuditEvent::new(NOW, AuditKind::ConsentGiven, AuditActor::User(user))
        .app(AppId::from_bytes([1; 16]))
        .consent(ConsentId::from_bytes([2; 16]))
        .grant(GrantId::from_bytes([3; 16]))
        .address(localhost())
        .detail(json!({ "scopes": ["a", "b"], "n": number, "text": "é\"\\\u{0}" }))
}

async fn record(db: &Db, numbers: std::ops::Range<u8>) {
    let write = async move |tx: &mut Tx<'_>| {
        for number in numbers.clone() {
            audit::record(tx, &event(number)).await?;
        }
        let system = AuditEvent::new(NOW, AuditKind::KeysRotated, AuditActor::System);
        audit::record(tx, &system).await
    };
    db.write(write).await.unwrap();
    assert_eq!(db.write(async |tx| audit::seal(tx).await).await, Ok(true));
}

async fn tamper(db: &Db, sql: &'static str) -> Result<(), TrailError> {
    db.write(async move |tx| tx.execute(sql, bind![]).await).await.unwrap();
    verify(db).await.map(drop)
}

async fn verify(db: &Db) -> Result<u64, TrailError> {
    let seal = db.read(async |tx| audit::verify(tx).await).await.unwrap()?;
    Ok(seal.map_or(0, |seal| seal.number.unsigned_abs()))
}

on_both! {
    async fn every_kind_of_actor_comes_back_and_is_sealed(database: TestDb) {
        let db = database.open().await;
        let uids = [None, Some(0), Some(u32::MAX)].map(|uid| AuditActor::CommandLine { uid });
        let ids = [
            AuditActor::User(UserId::from_bytes([1; 16])),
            AuditActor::App(AppId::from_bytes([2; 16])),
            AuditActor::System,
        ];
        let actors = [uids, ids].concat();
        let wanted = actors.clone();
        let write = async move |tx: &mut Tx<'_>| {
            for actor in &actors {
                audit::record(tx, &AuditEvent::new(NOW, AuditKind::KeysRotated, *actor)).await?;
            }
            audit::seal(tx).await?;
            audit::list(tx, 0, 10).await
        };
        let found: Vec<_> = db.write(write).await.unwrap().iter().map(|r| r.event.actor).collect();
        assert_eq!(found, wanted);
        assert_eq!(verify(&db).await, Ok(1));
        let somebody_else = "UPDATE audit SET actor_id = '1' WHERE actor_id = '0'";
        assert_eq!(tamper(&db, somebody_else).await, Err(TrailError::ChangedBlock(1)));
    }

    async fn events_come_back_as_they_were_recorded(database: TestDb) {
        let db = database.open().await;
        record(&db, 0..3).await;
        let list = async |tx: &mut Tx<'_>| {
            Ok::<_, DbError>((
                audit::list_of_app(tx, AppId::from_bytes([1; 16]), 2).await?,
                audit::list_of_consent(tx, ConsentId::from_bytes([2; 16]), 10).await?,
                audit::list_of_user(tx, UserId::from_bytes([1; 16]), 10).await?,
                audit::list_of_kind(tx, AuditKind::KeysRotated, 10).await?,
                audit::list(tx, 0, 100).await?,
            ))
        };
        let (of_app, of_consent, of_user, of_kind, all) = db.read(list).await.unwrap();
        let shown = |events: &[AuditEvent]| format!("{events:?}");
        assert_eq!(shown(&of_app), shown(&[event(2), event(1)]));
        assert_eq!(shown(&of_consent), shown(&[event(2), event(1), event(0)]));
        assert_eq!(shown(&of_user), shown(&[event(1)]));
        assert_eq!(of_kind.len(), 1);
        assert_eq!(all.iter().map(|row| row.seal).collect::<Vec<_>>(), [Some(1); 4]);
    }

    async fn an_untouched_trail_verifies_and_grows(database: TestDb) {
        let db = database.open().await;
        assert_eq!(verify(&db).await, Ok(0));
        assert_eq!(db.write(async |tx| audit::seal(tx).await).await, Ok(false));
        record(&db, 0..3).await;
        record(&db, 3..4).await;
        assert_eq!(verify(&db).await, Ok(2));
    }

    async fn sealers_at_once_make_one_chain(database: TestDb) {
        let db = database.open().await;
        let write = async |tx: &mut Tx<'_>| audit::record(tx, &event(1)).await;
        for _ in 0..5 {
            db.write(write).await.unwrap();
            let seal = || db.write_unchecked(async |tx| audit::seal(tx).await);
            let (a, b, c, recorded) = tokio::join!(seal(), seal(), seal(), db.write(write));
            recorded.unwrap();
            assert!(a.unwrap() | b.unwrap() | c.unwrap());
        }
        db.write_unchecked(async |tx| audit::seal(tx).await).await.unwrap();
        verify(&db).await.unwrap();
        let list = async |tx: &mut Tx<'_>| audit::list(tx, 0, 100).await;
        let rows = db.read(list).await.unwrap();
        assert_eq!(rows.len(), 10);
        assert!(rows.iter().all(|row| row.seal.is_some()));
    }

    async fn a_changed_row_shows(database: TestDb) {
        let db = database.open().await;
        record(&db, 0..3).await;
        let changed = "UPDATE audit SET address = '10.0.0.1' WHERE position = 2";
        assert_eq!(tamper(&db, changed).await, Err(TrailError::ChangedBlock(1)));
    }

    async fn a_row_taken_away_shows(database: TestDb) {
        let db = database.open().await;
        record(&db, 0..3).await;
        record(&db, 0..3).await;
        let taken = "DELETE FROM audit WHERE position = 6";
        assert_eq!(tamper(&db, taken).await, Err(TrailError::ChangedBlock(2)));
    }

    async fn a_block_taken_away_shows(database: TestDb) {
        let db = database.open().await;
        for _ in 0..3 {
            record(&db, 0..1).await;
        }
        db.write(async |tx| tx.execute("DELETE FROM audit WHERE seal = 2", bind![]).await)
            .await
            .unwrap();
        let taken = "DELETE FROM audit_seals WHERE number = 2";
        assert_eq!(tamper(&db, taken).await, Err(TrailError::MissingBlock(2)));
    }
}
