//! Opening a database, and what is refused.

use store::testing::TestDb;
use store::{Db, DbError, Tx, bind, on_both};

fn reason(opened: Result<Db, DbError>) -> DbError {
    opened.expect_err("it must not open")
}

on_both! {
    async fn a_second_start_finds_what_the_first_wrote(database: TestDb) {
        let db = database.open().await;
        let insert = async |tx: &mut Tx<'_>| {
            let sql = "INSERT INTO changes (kind, row_id) VALUES ($1, $2) RETURNING position";
            tx.query_one(sql, bind!["keys", ""]).await?.take::<i64>()
        };
        let position = db.write(insert).await.unwrap();
        drop(db);
        let db = database.open().await;
        let last = async |tx: &mut Tx<'_>| store::changes::find_last_position(tx).await;
        assert_eq!(db.read(last).await, Ok(position));
    }

    async fn a_newer_schema_is_refused_and_the_message_says_what_to_do(database: TestDb) {
        let db = database.open().await;
        let newer = async |tx: &mut Tx<'_>| {
            let sql = "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)";
            tx.execute(sql, bind![999_i64, "from the future"]).await
        };
        db.write(newer).await.unwrap();
        drop(db);
        let error = reason(Db::open(&database.url).await);
        assert!(matches!(error, DbError::NewerSchema { found: 999, .. }), "{error}");
        assert!(error.to_string().contains("start the newer program"), "{error}");
    }
}

#[tokio::test]
async fn a_second_instance_on_the_same_file_is_refused() {
    let database = TestDb::sqlite();
    let first = database.open().await;
    let error = reason(Db::open(&database.url).await);
    assert!(matches!(error, DbError::InUse(_)), "{error}");
    assert!(error.to_string().contains("in use by another running Consentry"), "{error}");
    drop(first);
    database.open().await;
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_but_the_owner_can_read_what_is_made() {
    use std::os::unix::fs::PermissionsExt as _;
    let database = TestDb::sqlite();
    let db = database.open().await;
    let insert = async |tx: &mut Tx<'_>| {
        tx.execute("INSERT INTO changes (kind, row_id) VALUES ($1, $2)", bind!["keys", ""]).await
    };
    assert_eq!(db.write(insert).await, Ok(1));
    let folder = database.path().unwrap().parent().unwrap().to_owned();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
        names.push(name);
    }
    assert!(names.len() >= 4, "database, log, index, lock: {names:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let database = TestDb::sqlite();
    std::fs::write(database.path().unwrap(), "not a database, but long enough to look").unwrap();
    let error = reason(Db::open(&database.url).await);
    assert!(matches!(error, DbError::Corrupt(_)), "{error}");
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_named() {
    let error = reason(Db::open("sqlite:/nonexistent/consentry/test.db").await);
    assert!(error.to_string().contains("/nonexistent/consentry/test.db"), "{error}");
}

#[tokio::test]
async fn an_unknown_kind_of_database_is_refused() {
    let error = reason(Db::open("mysql://localhost/x").await);
    assert_eq!(error.to_string(), "the database URL is neither sqlite:PATH nor postgres://…");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    // Port 1 is privileged and unused.
    let error = reason(Db::open("postgres://nobody@127.0.0.1:1/nothing").await);
    assert!(matches!(error, DbError::Unavailable(_)), "{error}");
}

#[cfg(feature = "full-tests")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_goes_on_after_the_server_dropped_every_connection() {
    let database = TestDb::postgres().await;
    let db = database.open().await;
    let insert = async |tx: &mut Tx<'_>| {
        let sql = "INSERT INTO changes (kind, row_id) VALUES ($1, $2)";
        tx.execute(sql, bind!["keys", ""]).await
    };
    assert_eq!(db.write(insert).await, Ok(1));
    for _ in 0..5 {
        database.drop_connections().await;
        assert_eq!(db.write(insert).await, Ok(1));
        let count = async |tx: &mut Tx<'_>| {
            tx.query_one("SELECT COUNT(*) FROM changes", bind![]).await?.take::<i64>()
        };
        database.drop_connections().await;
        assert!(db.read(count).await.unwrap() >= 2);
    }
}
