//! Attack K3: the disk is full in the middle of a commit batch. No answered write is lost, and the
//! neighbours of the one that did not fit fail cleanly or succeed.

use domain::time::Timestamp;
use store::testing::TestDb;
use store::{Db, DbError, Tx, bind, used_once};

const LATER: Timestamp = Timestamp::from_seconds(9_000_000_000);

async fn leave_room_for(db: &Db, pages: i64) {
    let limit = async move |tx: &mut Tx<'_>| {
        let used: i64 = tx.query_one("PRAGMA page_count", bind![]).await?.take()?;
        // PRAGMA takes no parameters; a few sizes are enough.
        let sql = match used + pages {
            ..=60 => "PRAGMA max_page_count = 60",
            61..=80 => "PRAGMA max_page_count = 80",
            81..=100 => "PRAGMA max_page_count = 100",
            _ => "PRAGMA max_page_count = 140",
        };
        tx.query_one(sql, bind![]).await?.take::<i64>()
    };
    db.write(limit).await.unwrap();
}

async fn take(tx: &mut Tx<'_>, number: u32, bytes: usize) -> Result<bool, DbError> {
    let mut hash = number.to_be_bytes().to_vec();
    hash.resize(bytes, 0);
    used_once::take(tx, "form", &hash, LATER).await
}

async fn list(db: &Db) -> Vec<u32> {
    let read = async |tx: &mut Tx<'_>| {
        let rows = tx.query_all("SELECT hash FROM used_once", bind![]).await?;
        rows.into_iter().map(|mut row| row.take::<Vec<u8>>()).collect::<Result<Vec<_>, _>>()
    };
    let mut numbers: Vec<u32> = db
        .read(read)
        .await
        .unwrap()
        .iter()
        .map(|hash| u32::from_be_bytes(hash[..4].try_into().unwrap()))
        .collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k3_a_full_disk_fails_only_the_writes_that_do_not_fit() {
    let database = TestDb::sqlite();
    let db = database.open().await;
    leave_room_for(&db, 10).await;
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..60_u32 {
        let db = db.clone();
        writes.spawn(async move {
            // Every tenth is far too big for what is left.
            let bytes = if number % 10 == 9 { 2_000_000 } else { 10 };
            let write = async move |tx: &mut Tx<'_>| take(tx, number, bytes).await;
            (number, db.write(write).await)
        });
    }
    let mut answered = Vec::new();
    for (number, answer) in writes.join_all().await {
        match answer {
            Ok(true) => answered.push(number),
            Err(DbError::DiskFull(_)) => assert_eq!(number % 10, 9, "{number} would have fitted"),
            other => panic!("{number}: {other:?}"),
        }
    }
    answered.sort_unstable();
    assert_eq!(answered.len(), 54);
    assert_eq!(list(&db).await, answered);
    // What is answered is also there for whoever opens the file next.
    drop(db);
    assert_eq!(list(&database.open().await).await, answered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k3_a_closure_that_hides_a_full_disk_is_not_answered_as_done() {
    let database = TestDb::sqlite();
    let db = database.open().await;
    leave_room_for(&db, 10).await;
    let write = async |tx: &mut Tx<'_>| {
        take(tx, 1, 10).await?;
        let _ = take(tx, 2, 2_000_000).await;
        Ok::<_, DbError>(())
    };
    assert!(matches!(db.write(write).await, Err(DbError::DiskFull(_))));
    assert!(list(&db).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_there_is_room_again() {
    let database = TestDb::sqlite();
    let db = database.open().await;
    leave_room_for(&db, 10).await;
    let big = async |tx: &mut Tx<'_>| take(tx, 1, 200_000).await;
    assert!(matches!(db.write(big).await, Err(DbError::DiskFull(_))));
    let more = async |tx: &mut Tx<'_>| {
        tx.query_one("PRAGMA max_page_count = 100000", bind![]).await?.take::<i64>()
    };
    db.write(more).await.unwrap();
    assert_eq!(db.write(big).await, Ok(true));
}
