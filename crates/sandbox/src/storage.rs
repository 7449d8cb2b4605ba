//! One SQLite file with one worker thread that owns its connection. Every job is a transaction of
//! its own: committed, and on disk, before its answer is sent. Knows nothing of either API.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

use rusqlite::{Connection, Transaction};
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait for the worker; callers beyond that wait for room.
const WAITING_JOBS_MAX: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("the practice database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the practice database holds an unreadable {0}")]
    Corrupt(&'static str),
    #[error("the practice database has schema version {found}; this program knows {known}")]
    Newer { found: i64, known: i64 },
    #[error("the worker of the practice database could not start: {0}")]
    Start(#[from] std::io::Error),
    #[error("the worker of the practice database has stopped or its job failed")]
    Stopped,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

#[derive(Clone)]
pub(crate) struct Database {
    jobs: mpsc::Sender<Job>,
}

impl Database {
    /// Opens or creates the file, lets `prepare` bring its schema up to date, starts the worker.
    /// The worker ends when the last clone of the handle is dropped.
    pub(crate) fn open(
        path: &Path,
        prepare: impl FnOnce(&Transaction<'_>) -> Result<(), StorageError>,
    ) -> Result<Self, StorageError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Durable before answered: NORMAL would lose commits at a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let tx = connection.transaction()?;
        prepare(&tx)?;
        tx.commit()?;

        let (jobs, mut inbox) = mpsc::channel::<Job>(WAITING_JOBS_MAX);
        thread::Builder::new().name("practice-db".to_owned()).spawn(move || {
            while let Some(job) = inbox.blocking_recv() {
                // A job that panics drops its transaction, which rolls back; the caller sees
                // `Stopped` and the next job finds a sound connection.
                if catch_unwind(AssertUnwindSafe(|| job(&mut connection))).is_err() {
                    tracing::error!("a job of the practice database panicked");
                }
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs `job` in a transaction: committed when it returns `Ok`, undone when it returns `Err`.
    /// A caller that goes away while it waits changes nothing about the outcome.
    pub(crate) async fn run<T, E>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work: Job = Box::new(move |connection| {
            // The caller may have gone; its work is done or undone all the same.
            let _ = answer.send(in_transaction(connection, job));
        });
        self.jobs.send(work).await.map_err(|_| StorageError::Stopped)?;
        answered.await.map_err(|_| StorageError::Stopped)?
    }
}

fn in_transaction<T, E: From<StorageError>>(
    connection: &mut Connection,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let tx = connection.transaction().map_err(StorageError::from)?;
    let value = job(&tx)?;
    tx.commit().map_err(StorageError::from)?;
    Ok(value)
}

/// Creates the schema in a fresh file and says whether it was fresh; refuses one from the future.
/// A file of an older version starts afresh: nobody's practice money is worth a migration.
pub(crate) fn migrate(tx: &Transaction<'_>, schema: &str) -> Result<bool, StorageError> {
    const KNOWN: i64 = 2;
    let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        KNOWN => Ok(false),
        ..KNOWN => {
            drop_tables(tx)?;
            tx.execute_batch(schema)?;
            tx.pragma_update(None, "user_version", KNOWN)?;
            Ok(true)
        }
        _ => Err(StorageError::Newer { found, known: KNOWN }),
    }
}

fn drop_tables(tx: &Transaction<'_>) -> Result<(), StorageError> {
    // Newest first: a table refers only to older ones.
    let sql = "SELECT name FROM sqlite_schema
        WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid DESC";
    let mut statement = tx.prepare(sql)?;
    let names: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for name in names {
        tx.execute_batch(&format!("DROP TABLE \"{name}\""))?;
    }
    Ok(())
}
