//! Several nodes on one PostgreSQL. Attack K1: events out of commit order, a node cut from the
//! feed.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use domain::access::{AccessRefusal, grant_scopes};
use domain::authority::Authority as _;
use domain::change::Change;
use domain::grant::RevokeReason;
use domain::id::GrantId;
use domain::seal::Purpose;
use domain::time::Timestamp;
use store::nodes::Node;
use store::testing::TestDb;
use store::{Db, DbError, Store, Tuning, Tx, changes, grants, nodes};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::NoTls;

use crate::support::{Case, NOW, TestClock, entropy, open_store, open_tuned, rotated};

async fn revoke(db: &Db, id: GrantId) {
    let write = async move |tx: &mut Tx<'_>| {
        grants::revoke(tx, id, RevokeReason::User, NOW).await?;
        changes::record(tx, Change::Grant(id)).await
    };
    db.write(write).await.unwrap();
}

async fn refusal(store: &Store, case: &Case) -> Option<AccessRefusal> {
    let rows = store.live_rows(case.grant.id, case.token).await.unwrap().unwrap();
    grant_scopes(&rows, NOW).err()
}

/// A wire to the database that can be cut and mended.
struct Wire {
    url: String,
    intact: watch::Sender<bool>,
}

impl Wire {
    async fn to(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (before, rest) = rest.split_once('@').unwrap();
        let (target, after) = rest.split_once('/').unwrap();
        let target = target.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let (intact, watched) = watch::channel(true);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let (target, mut watched) = (target.clone(), watched.clone());
                if !*watched.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(&target).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = watched.wait_for(|intact| !intact) => {}
                    }
                });
            }
        });
        Self { url: format!("{scheme}://{before}@{own}/{after}"), intact }
    }

    fn cut(&self) {
        self.intact.send_replace(false);
    }

    fn mend(&self) {
        self.intact.send_replace(true);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_revokes_the_other_refuses_at_once() {
    let database = TestDb::postgres().await;
    let a = open_store(&database.url, TestClock::at(NOW), 1).await;
    let b = open_store(&database.url, TestClock::at(NOW), 2).await;
    for seed in 0..20 {
        let case = Case::insert(&a.db, 100 + seed).await;
        assert_eq!(refusal(&b, &case).await, None);
        revoke(&a.db, case.grant.id).await;
        assert_eq!(refusal(&b, &case).await, Some(AccessRefusal::GrantEnded));
        assert_eq!(refusal(&a, &case).await, Some(AccessRefusal::GrantEnded));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_call_on_another_node_is_told() {
    let database = TestDb::postgres().await;
    let a = open_store(&database.url, TestClock::at(NOW), 1).await;
    let b = open_store(&database.url, TestClock::at(NOW), 2).await;
    let case = Case::insert(&a.db, 1).await;
    let rows = b.live_rows(case.grant.id, case.token).await.unwrap().unwrap();
    let changed = b.changed(&rows, case.token);
    revoke(&a.db, case.grant.id).await;
    changed.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k1_a_node_that_is_cut_off_fails_closed_before_the_revocation_is_answered() {
    let database = TestDb::postgres().await;
    let wire = Wire::to(&database.url).await;
    let a = open_store(&database.url, TestClock::at(NOW), 1).await;
    let b = open_store(&wire.url, TestClock::at(NOW), 2).await;
    let case = Case::insert(&a.db, 1).await;
    assert_eq!(refusal(&b, &case).await, None);
    let rows = b.live_rows(case.grant.id, case.token).await.unwrap().unwrap();
    let open_call = b.changed(&rows, case.token);
    wire.cut();
    let began = Instant::now();
    revoke(&a.db, case.grant.id).await;
    // Answered within the lease and its margin, and by then B accepts nothing.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let refused = b.live_rows(case.grant.id, case.token).await.unwrap_err();
    assert!(refused.to_string().contains("cut off from the change feed"), "{refused}");
    assert_eq!(b.ready().unwrap_err(), refused);
    open_call.await;
    // The next one need not wait: the silent node was given up.
    let other = Case::insert(&a.db, 2).await;
    let began = Instant::now();
    revoke(&a.db, other.grant.id).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    wire.mend();
    while b.ready().is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(refusal(&b, &case).await, Some(AccessRefusal::GrantEnded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k1_the_feed_never_shows_a_later_change_before_an_earlier_one() {
    let database = TestDb::postgres().await;
    let db = database.open().await;
    // One transaction has written its change and hangs before its commit.
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN").await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(7164780563131364354)";
    client.batch_execute(lock).await.unwrap();
    let first = GrantId::from_bytes([1; 16]);
    let insert = format!("INSERT INTO changes (kind, row_id) VALUES ('grant', '{first}')");
    client.batch_execute(&insert).await.unwrap();
    // A second one comes along: it must not overtake.
    let second = GrantId::from_bytes([2; 16]);
    let write = async move |tx: &mut Tx<'_>| changes::record(tx, Change::Grant(second)).await;
    let later = tokio::spawn({
        let db = db.clone();
        async move { db.write(write).await }
    });
    let waits = "SELECT COUNT(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND NOT l.granted \
         AND a.application_name = current_setting('application_name')";
    // On a connection of its own: a transaction sees the same activity to its end.
    let (observer, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    while observer.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
    let list = async |tx: &mut Tx<'_>| changes::list_after(tx, 0).await;
    assert_eq!(db.read(list).await, Ok(Vec::new()));
    client.batch_execute("COMMIT").await.unwrap();
    later.await.unwrap().unwrap();
    let seen: Vec<Change> = db.read(list).await.unwrap().into_iter().map(|(_, c)| c).collect();
    assert_eq!(seen, [Change::Grant(first), Change::Grant(second)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_killed_is_given_up_without_anyone_waiting() {
    let database = TestDb::postgres().await;
    let a = open_store(&database.url, TestClock::at(NOW), 1).await;
    let lease_ms = 100;
    let dead = Node { id: "dead".to_owned(), position: 0, renewals: 1, lease_ms, clock_skew_ms: 0 };
    a.db.write(async move |tx| nodes::save(tx, &dead).await).await.unwrap();
    let count = async |tx: &mut Tx<'_>| Ok::<_, DbError>(nodes::list(tx).await?.len());
    while a.db.read(count).await.unwrap() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(a.ready().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_closes_says_goodbye() {
    let database = TestDb::postgres().await;
    let a = open_store(&database.url, TestClock::at(NOW), 1).await;
    let b = open_store(&database.url, TestClock::at(NOW), 2).await;
    b.close().await.unwrap();
    assert!(b.ready().is_err());
    let count = async |tx: &mut Tx<'_>| Ok::<_, DbError>(nodes::list(tx).await?.len());
    assert_eq!(a.db.read(count).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_clock_is_off_accepts_nothing_and_says_so() {
    let database = TestDb::postgres().await;
    // The year 2001.
    let clock =
        Arc::new(TestClock(AtomicI64::new(Timestamp::from_seconds(1_000_000_000).as_millis())));
    let store = open_tuned(&database.url, clock, 1, Tuning::default()).await;
    let reason = store.ready().unwrap_err().to_string();
    assert!(reason.contains("the clock of this machine is"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_sealed_with_another_nodes_new_key_opens_after_one_reload() {
    let database = TestDb::postgres().await;
    let a = open_store(&database.url, TestClock::at(NOW), 1).await;
    let b = open_store(&database.url, TestClock::at(NOW), 2).await;
    a.rotate_keys(rotated()).await.unwrap();
    let sealed = a.keyring().seal_bytes(Purpose::Access, b"x", &*entropy(3)).unwrap();
    b.reload_keys().await;
    assert_eq!(b.keyring().open_bytes(Purpose::Access, &sealed), Ok(b"x".to_vec()));
}
