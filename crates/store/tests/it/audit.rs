//! The audit trail shows every change to it.

use std::sync::Arc;
use std::time::Duration;

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::audit_chain::TrailCheck;
use domain::id::{AppId, ConsentId, GrantId, UserId};
use domain::keyring::{Keyring, MasterKey, SealingSecret, SigningEntry};
use domain::policy_summary::PolicySummary;
use domain::seal::KeyClass;
use domain::time::Timestamp;
use protocol::jose::SigningKey;
use protocol::jwk::Algorithm;
use serde_json::json;
use store::audit::TrailError;
use store::audit::search::{self, AuditFilter};
use store::testing::TestDb;
use store::{Db, DbError, Tx, audit, bind, on_both, policy_seen};

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

fn keyring() -> Arc<Keyring> {
    let now = Timestamp::default();
    let master = MasterKey::new([7; 32]);
    let secret = |kid, class| SealingSecret {
        kid,
        class,
        secret: [1; 32].into(),
        use_at: now,
        retire_at: None,
    };
    let secrets = vec![secret(1, KeyClass::Code), secret(2, KeyClass::LongLived)];
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let signing = vec![SigningEntry { key, use_at: now, retire_at: None }];
    Arc::new(Keyring::new("https://id.example", &master, secrets, signing, now).unwrap())
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

    async fn every_filter_finds_its_rows_newest_first_and_page_by_page(database: TestDb) {
        let db = database.open().await;
        record(&db, 0..4).await;
        let user = UserId::from_bytes([2; 16]);
        let app = AppId::from_bytes([1; 16]);
        let none = AuditFilter::default();
        let filters = [
            (none, vec![5, 4, 3, 2, 1]),
            (AuditFilter { kind: Some(AuditKind::KeysRotated), ..none }, vec![5]),
            (AuditFilter { user: Some(user), ..none }, vec![3]),
            (AuditFilter { actor: Some(AuditActor::User(user)), ..none }, vec![3]),
            (AuditFilter { actor: Some(AuditActor::System), ..none }, vec![5]),
            (AuditFilter { actor: Some(AuditActor::CommandLine { uid: None }), ..none }, vec![]),
            (AuditFilter { app: Some(app), ..none }, vec![4, 3, 2, 1]),
            (
                AuditFilter {
                    app: Some(app),
                    kind: Some(AuditKind::ConsentGiven),
                    ..none
                },
                vec![4, 3, 2, 1],
            ),
            (
                AuditFilter { consent: Some(ConsentId::from_bytes([2; 16])), ..none },
                vec![4, 3, 2, 1],
            ),
            (
                AuditFilter {
                    grant: Some(GrantId::from_bytes([3; 16])),
                    user: Some(user),
                    ..none
                },
                vec![3],
            ),
            (AuditFilter { from: Some(NOW), until: Some(NOW), ..none }, vec![]),
        ];
        for (filter, wanted) in filters {
            let wanted_by = format!("{filter:?}");
            let read = async move |tx: &mut Tx<'_>| search::page(tx, &filter, (0, i64::MAX), true, 10).await;
            let rows = db.read(read).await.unwrap();
            let found: Vec<_> = rows.iter().map(|row| row.position).collect();
            assert_eq!(found, wanted, "{wanted_by}");
        }
        let page = async |tx: &mut Tx<'_>| {
            search::page(tx, &AuditFilter::default(), (0, 4), true, 2).await
        };
        let rows = db.read(page).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.position).collect::<Vec<_>>(), [3, 2]);
    }

    async fn a_span_of_time_is_found_by_halving(database: TestDb) {
        let db = database.open().await;
        let at = |number: u64| NOW.after(Duration::from_secs(3600 * number));
        let write = async move |tx: &mut Tx<'_>| {
            for number in 0..50 {
                let event = AuditEvent { at: at(number), ..event(1) };
                audit::record(tx, &event).await?;
            }
            tx.execute("DELETE FROM audit WHERE position = 20", bind![]).await
        };
        db.write(write).await.unwrap();
        let filter = AuditFilter { from: Some(at(17)), until: Some(at(22)), ..AuditFilter::default() };
        let read = async move |tx: &mut Tx<'_>| search::page(tx, &filter, (0, i64::MAX), true, 10).await;
        let rows = db.read(read).await.unwrap();
        // Positions count from 1, and the one of hour 19 is gone.
        assert_eq!(rows.iter().map(|row| row.position).collect::<Vec<_>>(), [22, 21, 19, 18]);
    }

    async fn what_an_id_names_is_found(database: TestDb) {
        let db = database.open().await;
        record(&db, 0..1).await;
        let find = |id: &'static str| {
            db.read(async move |tx: &mut Tx<'_>| search::filter_of_id(tx, id).await)
        };
        let grant = find("03030303030303030303030303030303").await.unwrap().unwrap();
        assert_eq!(grant.grant, Some(GrantId::from_bytes([3; 16])));
        let app = find("01010101010101010101010101010101").await.unwrap().unwrap();
        assert_eq!(app.app, Some(AppId::from_bytes([1; 16])));
        assert!(find("0909").await.unwrap().is_none());
    }

    async fn a_checkpoint_shows_that_the_end_was_cut_off(database: TestDb) {
        let db = database.open().await;
        record(&db, 0..3).await;
        record(&db, 0..2).await;
        let keyring = keyring();
        let make = async |is_wanted: bool| {
            let keyring = keyring.clone();
            let make = async move |tx: &mut Tx<'_>| {
                audit::checkpoints::make(tx, &keyring, is_wanted, NOW).await
            };
            db.write_unchecked(make).await.unwrap()
        };
        let made = make(false).await.unwrap();
        assert_eq!((made.number, made.rows), (2, 7));
        assert!(make(true).await.is_none(), "nothing happened since");
        record(&db, 0..1).await;
        assert!(make(false).await.is_none(), "it is not time yet");
        assert_eq!(make(true).await.unwrap().rows, 9);
        let read = async |tx: &mut Tx<'_>| audit::checkpoints::list(tx, 0, 10).await;
        assert_eq!(db.read(read).await.unwrap().first(), Some(&made));
        let verify = async |tx: &mut Tx<'_>| {
            let newest = audit::verify(tx).await?.unwrap();
            audit::checkpoints::verify(tx, newest.as_ref()).await
        };
        assert_eq!(db.read(verify).await.unwrap(), Ok(2));
        let cut = async |tx: &mut Tx<'_>| {
            tx.execute("DELETE FROM audit WHERE seal = 3", bind![]).await?;
            tx.execute("DELETE FROM audit_seals WHERE number = 3", bind![]).await
        };
        db.write(cut).await.unwrap();
        let cut_off = TrailError::CutOff { found: 2, wanted: 3 };
        assert_eq!(db.read(verify).await.unwrap(), Err(cut_off));
        let copy = async |tx: &mut Tx<'_>| audit::list_sealed(tx, (0, 0), 100).await;
        let mut check = TrailCheck::new(vec![made], None).unwrap();
        for row in db.read(copy).await.unwrap() {
            check.add(&row).unwrap();
        }
        assert_eq!(check.finish().unwrap().proven_to, 2);
    }

    async fn a_change_of_the_config_is_told_once_and_what_it_was(database: TestDb) {
        let db = database.open().await;
        let scopes = |names: &[&str]| PolicySummary {
            scopes: names.iter().map(|name| ((*name).to_owned(), "Low".to_owned())).collect(),
            ..PolicySummary::default()
        };
        let look = |summary: PolicySummary| {
            db.write(async move |tx: &mut Tx<'_>| policy_seen::look(tx, &summary, NOW).await)
        };
        assert_eq!(look(scopes(&["read"])).await, Ok(true));
        assert_eq!(look(scopes(&["read"])).await, Ok(false));
        assert_eq!(look(scopes(&["read", "trade"])).await, Ok(true));
        let list = async |tx: &mut Tx<'_>| {
            audit::list_of_kind(tx, AuditKind::PolicyChanged, 10).await
        };
        let events = db.read(list).await.unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].detail["difference"]["scopes"]["added"], json!(["trade"]));
        assert_eq!(events[0].detail["before"], json!(scopes(&["read"]).hash()));
    }
}
