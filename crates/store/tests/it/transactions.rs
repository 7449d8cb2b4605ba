//! What a transaction promises, whatever the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::throttle::ThrottleState;
use domain::time::Timestamp;
use store::testing::TestDb;
use store::{Db, DbError, Tx, bind, on_both, throttles, used_once};

const LATER: Timestamp = Timestamp::from_seconds(9_000_000_000);

async fn count_up(tx: &mut Tx<'_>, key: &str) -> Result<i64, DbError> {
    let state = throttles::find(tx, key).await?.unwrap_or_default();
    let next = ThrottleState { attempts: state.attempts + 1, last_at: LATER };
    throttles::save(tx, key, &next, LATER).await?;
    Ok(next.attempts)
}

async fn counted(db: &Db, key: &'static str) -> i64 {
    let read = async move |tx: &mut Tx<'_>| throttles::find(tx, key).await;
    db.read(read).await.unwrap().map_or(0, |state| state.attempts)
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum OwnError {
    #[error("no")]
    No,
    #[error(transparent)]
    Db(#[from] DbError),
}

on_both! {
    async fn what_was_written_is_there(database: TestDb) {
        let db = database.open().await;
        assert_eq!(db.write(async |tx| count_up(tx, "a").await).await, Ok(1));
        assert_eq!(counted(&db, "a").await, 1);
    }

    async fn an_error_undoes_everything_and_reaches_the_caller(database: TestDb) {
        let db = database.open().await;
        let write = async |tx: &mut Tx<'_>| {
            count_up(tx, "a").await?;
            Err::<(), _>(OwnError::No)
        };
        assert_eq!(db.write(write).await, Err(OwnError::No));
        assert_eq!(counted(&db, "a").await, 0);
    }

    async fn a_failed_statement_cannot_be_shrugged_off(database: TestDb) {
        let db = database.open().await;
        let write = async |tx: &mut Tx<'_>| {
            count_up(tx, "a").await?;
            let _ = tx.execute("INSERT INTO throttles (key) VALUES ($1)", bind!["b"]).await;
            Ok::<_, DbError>(())
        };
        assert!(matches!(db.write(write).await, Err(DbError::Bug(_))));
        assert_eq!(counted(&db, "a").await, 0);
    }

    async fn a_panic_is_answered_and_the_next_write_is_served(database: TestDb) {
        let db = database.open().await;
        let write = async |tx: &mut Tx<'_>| {
            count_up(tx, "a").await?;
            panic!("a bug in a closure");
            #[expect(unreachable_code, reason = "it says which type the closure would give")]
            Ok::<(), DbError>(())
        };
        assert!(matches!(db.write(write).await, Err(DbError::Bug(_))));
        assert_eq!(counted(&db, "a").await, 0);
        assert_eq!(db.write(async |tx| count_up(tx, "a").await).await, Ok(1));
    }

    async fn parallel_read_and_write_transactions_lose_nothing(database: TestDb) {
        let db = database.open().await;
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move {
                    for _ in 0..10 {
                        let write = async |tx: &mut Tx<'_>| count_up(tx, "a").await;
                        // What runs out of retries is told so, and tries again.
                        while let Err(error) = db.write(write).await {
                            assert!(matches!(error, DbError::Conflict(_)), "{error}");
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(counted(&db, "a").await, 40);
    }

    async fn only_one_of_many_takes_what_may_be_used_once(database: TestDb) {
        let db = database.open().await;
        let takers: Vec<_> = (0..12)
            .map(|_| {
                let db = db.clone();
                let take =
                    async |tx: &mut Tx<'_>| used_once::take(tx, "form", &[1, 2], LATER).await;
                tokio::spawn(async move { db.write(take).await.unwrap() })
            })
            .collect();
        let mut taken = 0;
        for taker in takers {
            taken += u32::from(taker.await.unwrap());
        }
        assert_eq!(taken, 1);
    }

    async fn a_write_goes_on_when_its_caller_is_gone(database: TestDb) {
        let db = database.open().await;
        let (started, is_started) = std::sync::mpsc::channel();
        let writing = tokio::spawn({
            let db = db.clone();
            async move {
                let write = async move |tx: &mut Tx<'_>| {
                    let _ = started.send(());
                    count_up(tx, "a").await
                };
                db.write(write).await
            }
        });
        tokio::task::spawn_blocking(move || is_started.recv()).await.unwrap().unwrap();
        writing.abort();
        let _ = writing.await;
        let done = async {
            while counted(&db, "a").await == 0 {
                tokio::task::yield_now().await;
            }
        };
        let patience = std::time::Duration::from_secs(20);
        tokio::time::timeout(patience, done).await.expect("the write is done");
    }

    async fn a_read_cannot_write(database: TestDb) {
        let db = database.open().await;
        let read = async |tx: &mut Tx<'_>| count_up(tx, "a").await;
        assert!(matches!(db.read(read).await, Err(DbError::Bug(_))));
        let returning = async |tx: &mut Tx<'_>| {
            let sql = "INSERT INTO changes (kind, row_id) VALUES ($1, $2) RETURNING position";
            tx.query_opt(sql, bind!["keys", ""]).await.map(drop)
        };
        assert!(db.read(returning).await.is_err());
        assert_eq!(counted(&db, "a").await, 0);
    }

    async fn a_read_sees_one_moment(database: TestDb) {
        let db = database.open().await;
        let (to_writer, from_reader) = std::sync::mpsc::channel();
        let (to_reader, from_writer) = std::sync::mpsc::channel();
        let from_writer = std::sync::Mutex::new(from_writer);
        let reading = tokio::spawn({
            let db = db.clone();
            async move {
                let read = async move |tx: &mut Tx<'_>| {
                    let before = throttles::find(tx, "a").await?;
                    to_writer.send(()).unwrap();
                    from_writer.lock().unwrap().recv().unwrap();
                    Ok::<_, DbError>((before, throttles::find(tx, "a").await?))
                };
                db.read_long(read).await.unwrap()
            }
        });
        tokio::task::spawn_blocking(move || from_reader.recv()).await.unwrap().unwrap();
        db.write(async |tx| count_up(tx, "a").await).await.unwrap();
        to_reader.send(()).unwrap();
        assert_eq!(reading.await.unwrap(), (None, None));
    }

    async fn a_single_write_is_a_single_statement(database: TestDb) {
        let db = database.open().await;
        let one = async |tx: &mut Tx<'_>| used_once::take(tx, "form", b"x", LATER).await;
        assert_eq!(db.write_one(one).await, Ok(true));
        assert_eq!(db.write_one(one).await, Ok(false));
        let two = async |tx: &mut Tx<'_>| count_up(tx, "a").await;
        assert!(matches!(db.write_one(two).await, Err(DbError::Bug(_))));
        assert_eq!(counted(&db, "a").await, 0);
    }

    async fn values_at_their_limits_come_back_unchanged(database: TestDb) {
        let db = database.open().await;
        let texts = ["", " ", "'; DROP TABLE users; --", "ß→𝄞", "$1 ?2 %s", "a\u{fffd}b"];
        for text in texts {
            for number in [i64::MIN, -1, 0, 1, i64::MAX] {
                let write = async move |tx: &mut Tx<'_>| {
                    let state =
                        ThrottleState { attempts: number, last_at: Timestamp::from_millis(number) };
                    throttles::save(tx, text, &state, Timestamp::from_millis(number)).await?;
                    Ok::<_, DbError>(throttles::find(tx, text).await? == Some(state))
                };
                assert_eq!(db.write(write).await, Ok(true), "{text:?} {number}");
            }
        }
        for bytes in [vec![], vec![0], vec![0xff; 3000]] {
            let sql = "INSERT INTO used_once (kind, hash, expires_at) VALUES ($1, $2, $3) \
                 RETURNING hash";
            let sent = bytes.clone();
            let write = async move |tx: &mut Tx<'_>| {
                tx.query_one(sql, bind!["k", &sent, 0_i64]).await?.take::<Vec<u8>>()
            };
            assert_eq!(db.write(write).await, Ok(bytes));
        }
    }

    async fn a_nul_in_a_text_neither_fails_nor_matches(database: TestDb) {
        let db = database.open().await;
        db.write(async |tx| count_up(tx, "a").await).await.unwrap();
        let read = async |tx: &mut Tx<'_>| throttles::find(tx, "a\0").await;
        assert_eq!(db.read(read).await, Ok(None));
        assert_eq!(db.write(async |tx| count_up(tx, "a\0").await).await, Ok(1));
    }

    async fn texts_sort_by_their_bytes(database: TestDb) {
        let db = database.open().await;
        let write = async |tx: &mut Tx<'_>| {
            for key in ["b", "B", "a", "_", "é", "A"] {
                count_up(tx, key).await?;
            }
            let rows = tx.query_all("SELECT key FROM throttles ORDER BY key", bind![]).await?;
            rows.into_iter().map(|mut row| row.take()).collect::<Result<Vec<String>, _>>()
        };
        let expected = ["A", "B", "_", "a", "b", "é"].map(str::to_owned).to_vec();
        assert_eq!(db.write(write).await, Ok(expected));
    }

    async fn parameters_are_bound_by_their_number_not_their_order(database: TestDb) {
        let db = database.open().await;
        let write = async |tx: &mut Tx<'_>| {
            let sql = "INSERT INTO throttles (expires_at, last_at, attempts, key) \
                 VALUES ($4, $3, $2, $1)";
            tx.execute(sql, bind!["k", 2_i64, 3_i64, 4_i64]).await?;
            let sql = "SELECT attempts, last_at, expires_at FROM throttles \
                 WHERE CAST($2 AS BIGINT) = 7 AND key = $1";
            let mut row = tx.query_one(sql, bind!["k", 7_i64]).await?;
            Ok::<_, DbError>((row.take::<i64>()?, row.take::<i64>()?, row.take::<i64>()?))
        };
        assert_eq!(db.write(write).await, Ok((2, 3, 4)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writes_share_one_commit_on_sqlite() {
    let database = TestDb::sqlite();
    let db = database.open().await;
    // While this one holds the writer, the others queue up behind it.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let (started, is_started) = std::sync::mpsc::channel();
    let hold = async move |_: &mut Tx<'_>| {
        started.send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
        Ok::<_, DbError>(())
    };
    let holder = tokio::spawn({
        let db = db.clone();
        async move { db.write(hold).await }
    });
    tokio::task::spawn_blocking(move || is_started.recv()).await.unwrap().unwrap();
    let ran = Arc::new(AtomicU32::new(0));
    let mut writes = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (db, ran) = (db.clone(), Arc::clone(&ran));
        writes.spawn(async move {
            let write = async move |tx: &mut Tx<'_>| {
                ran.fetch_add(1, Ordering::SeqCst);
                count_up(tx, "a").await
            };
            db.write(write).await.unwrap()
        });
    }
    // Each task gets as far as its place in the queue.
    while db.queued() < 64 {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    holder.await.unwrap().unwrap();
    let mut answers: Vec<i64> = writes.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, (1..=64).collect::<Vec<_>>());
    assert_eq!(ran.load(Ordering::SeqCst), 64);
    assert_eq!(db.commits(), 2, "one for the holder, one for all that queued behind it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_refused_at_once_when_too_many_wait_on_sqlite() {
    let database = TestDb::sqlite();
    let db = database.open().await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let (started, is_started) = std::sync::mpsc::channel();
    let hold = async move |_: &mut Tx<'_>| {
        started.send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
        Ok::<_, DbError>(())
    };
    let holder = tokio::spawn({
        let db = db.clone();
        async move { db.write(hold).await }
    });
    tokio::task::spawn_blocking(move || is_started.recv()).await.unwrap().unwrap();
    let mut writes = tokio::task::JoinSet::new();
    for _ in 0..2_000 {
        let db = db.clone();
        writes.spawn(async move { db.write(async |tx| count_up(tx, "a").await).await });
    }
    // The refused ones end while the writer is still held.
    let mut refused = 0;
    while refused < 2_000 - 1_024 {
        let answer = writes.join_next().await.unwrap().unwrap();
        assert!(matches!(answer, Err(DbError::Busy(_))), "{answer:?}");
        assert!(answer.unwrap_err().is_transient());
        refused += 1;
    }
    release.send(()).unwrap();
    holder.await.unwrap().unwrap();
    let kept = writes.join_all().await;
    assert!(kept.iter().all(Result::is_ok));
    assert_eq!(counted(&db, "a").await, 1_024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_that_fails_in_a_batch_undoes_only_itself() {
    let database = TestDb::sqlite();
    let db = database.open().await;
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..40 {
        let db = db.clone();
        writes.spawn(async move {
            let write = async move |tx: &mut Tx<'_>| {
                count_up(tx, "a").await?;
                if number % 4 == 0 { Err(OwnError::No) } else { Ok(()) }
            };
            db.write(write).await.is_ok()
        });
    }
    let kept = writes.join_all().await.into_iter().filter(|kept| *kept).count();
    assert_eq!(kept, 30);
    assert_eq!(counted(&db, "a").await, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_wrote_nothing_makes_no_neighbour_run_again() {
    let database = TestDb::sqlite();
    let db = database.open().await;
    let runs = Arc::new(AtomicU32::new(0));
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (db, runs) = (db.clone(), Arc::clone(&runs));
        writes.spawn(async move {
            let write = async move |tx: &mut Tx<'_>| {
                runs.fetch_add(1, Ordering::Relaxed);
                if number % 4 == 0 {
                    return Err(OwnError::No);
                }
                Ok(count_up(tx, "a").await?)
            };
            db.write(write).await.is_ok()
        });
    }
    let kept = writes.join_all().await.into_iter().filter(|kept| *kept).count();
    assert_eq!((kept, counted(&db, "a").await), (30, 30));
    assert_eq!(runs.load(Ordering::Relaxed), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_that_awaits_something_else_is_undone_on_sqlite() {
    let database = TestDb::sqlite();
    let db = database.open().await;
    let write = async |tx: &mut Tx<'_>| {
        count_up(tx, "a").await?;
        tokio::task::yield_now().await;
        Ok::<_, DbError>(())
    };
    assert!(matches!(db.write(write).await, Err(DbError::Bug(_))));
    assert_eq!(counted(&db, "a").await, 0);
}
