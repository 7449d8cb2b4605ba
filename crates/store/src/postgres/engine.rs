//! Connections to PostgreSQL and how a transaction runs on one: serializable, with bounded retries.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use domain::change::Change;
use tokio_postgres::{Client, Config, NoTls};

use super::workers::Workers;
use super::{PgTx, map_error};
use crate::db::Committed;
use crate::stats::PoolStats;
use crate::tx::TxKind;
use crate::{DbError, Tx, changes};

/// Facts, limits: 16 connections commit more per second than 1 or 64. Each thread has its share.
const CONNECTIONS_MAX: usize = 16;
/// Two cores are busy with encoding at most.
const WORKERS: usize = 2;
/// Until a connection is free or made.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often a transaction that lost against others, or whose connection was lost before the
/// commit, runs in all. More than there are connections in the pool.
const ATTEMPTS_MAX: u32 = 20;

pub(crate) struct Engine {
    /// One per thread: a connection whose reader runs on another one costs two more wake-ups for
    /// each statement.
    pools: Vec<Pool>,
    pub(crate) workers: Arc<Workers>,
    config: Config,
    commits: AtomicU64,
    retries: AtomicU64,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("postgres::Engine").finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) async fn open(url: &str) -> Result<Self, DbError> {
        let mut config: Config = url
            .parse()
            .map_err(|error| DbError::Setup(format!("the database URL is wrong: {error}")))?;
        if config.get_application_name().is_none() {
            config.application_name("consentry");
        }
        config
            .connect_timeout(WAIT_MAX)
            .keepalives_idle(Duration::from_secs(10))
            .tcp_user_timeout(Duration::from_secs(10));
        let workers = Arc::new(Workers::start(WORKERS)?);
        let first = config.clone();
        workers.run(move |_| async move { prepare_database(&first).await }).await??;
        let pools = make_pools(&config, CONNECTIONS_MAX)?;
        Ok(Self { pools, workers, config, commits: AtomicU64::new(0), retries: AtomicU64::new(0) })
    }

    /// The same database through connections of its own.
    pub(crate) fn with_own_connections(&self, connections_max: usize) -> Result<Self, DbError> {
        let pools = make_pools(&self.config, connections_max)?;
        let (workers, config) = (Arc::clone(&self.workers), self.config.clone());
        Ok(Self { pools, workers, config, commits: AtomicU64::new(0), retries: AtomicU64::new(0) })
    }

    /// How to connect, for whoever needs a bare connection.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn pool_stats(&self) -> PoolStats {
        let mut stats = PoolStats { max: 0, in_use: 0, waiting: 0 };
        for status in self.pools.iter().map(Pool::status) {
            stats.max += status.max_size;
            stats.in_use += status.size.saturating_sub(status.available);
            stats.waiting += status.waiting;
        }
        stats
    }

    async fn connection(&self, worker: usize) -> Result<Object, DbError> {
        let pool = self.pools.get(worker).ok_or_else(|| DbError::bug("no pool for a thread"))?;
        pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => match map_error(error) {
                DbError::Bug(text) => DbError::Unavailable(text),
                other => other,
            },
            PoolError::Timeout(TimeoutType::Wait) => {
                DbError::Busy("all connections are in use".to_owned())
            }
            other => DbError::Unavailable(other.to_string()),
        })
    }

    /// Run `closure` until it commits, returns an error of its own, or the retries are used up.
    /// `worker` is the thread that it runs on.
    pub(crate) async fn write<F, T, E>(
        &self,
        worker: usize,
        closure: &F,
        kind: TxKind,
    ) -> Result<Committed<T>, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
        E: From<DbError>,
    {
        let mut attempt = 1;
        loop {
            let retry = match self.attempt(worker, closure, kind).await {
                Attempt::Done(result) => return result,
                Attempt::Failed(error, can_retry) => match can_retry && attempt < ATTEMPTS_MAX {
                    true => error,
                    false => return Err(error.into()),
                },
            };
            // Spread the losers: no two that lose at once come back at once.
            let spread = self.retries.fetch_add(1, Ordering::Relaxed) % 16;
            tracing::debug!(error = %retry, attempt, "a transaction runs again");
            tokio::time::sleep(Duration::from_millis(u64::from(attempt) + spread)).await;
            attempt += 1;
        }
    }

    async fn attempt<F, T, E>(&self, worker: usize, closure: &F, kind: TxKind) -> Attempt<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
        E: From<DbError>,
    {
        let client = match self.connection(worker).await {
            Ok(client) => client,
            Err(error) => return Attempt::Failed(error, false),
        };
        let mut pg = PgTx::new(client, kind);
        let mut tx = Tx::postgres(&mut pg, kind);
        let result = closure(&mut tx).await;
        let (changes, failure) = (tx.take_changes(), tx.failure().cloned());
        drop(tx);
        if let Some(error) = failure {
            pg.roll_back().await;
            return match (&error, kind, result) {
                (DbError::Conflict(_), _, _) => Attempt::Failed(error, true),
                // Sent and not answered: it may have been done.
                (DbError::Unavailable(text), TxKind::Single, _) => {
                    Attempt::Failed(DbError::OutcomeUnknown(text.clone()), false)
                }
                // A connection from before the server was restarted: nothing was committed.
                (DbError::Unavailable(_), _, _) => Attempt::Failed(error, true),
                (_, _, Err(own)) => Attempt::Done(Err(own)),
                (_, _, Ok(_)) => Attempt::Failed(error, false),
            };
        }
        match result {
            Err(error) => {
                pg.roll_back().await;
                Attempt::Done(Err(error))
            }
            Ok(value) => match commit(&mut pg, &changes).await {
                Ok(position) => {
                    self.commits.fetch_add(1, Ordering::Relaxed);
                    Attempt::Done(Ok(Committed { value, changes, position }))
                }
                Err(error @ DbError::Conflict(_)) => {
                    pg.roll_back().await;
                    Attempt::Failed(error, true)
                }
                Err(error) => Attempt::Failed(error, false),
            },
        }
    }

    pub(crate) async fn read<F, T, E>(&self, worker: usize, closure: &F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
        E: From<DbError>,
    {
        // Every pooled connection may date from before the server was restarted.
        for attempt in 1..=ATTEMPTS_MAX {
            let mut pg = PgTx::new(self.connection(worker).await?, TxKind::Read);
            let mut tx = Tx::postgres(&mut pg, TxKind::Read);
            let result = closure(&mut tx).await;
            let failure = tx.failure().cloned();
            drop(tx);
            pg.end_read();
            match failure {
                Some(DbError::Unavailable(_) | DbError::Conflict(_)) if attempt < ATTEMPTS_MAX => {}
                Some(error) => return result.and(Err(error.into())),
                None => return result,
            }
        }
        Err(DbError::bug("unreachable end of a read").into())
    }
}

/// With its changes as the last thing, so that the lock on the feed is held as shortly as can be.
async fn commit(pg: &mut PgTx, changes: &[Change]) -> Result<Option<i64>, DbError> {
    let Some((last, others)) = changes.split_last() else {
        return pg.commit().await.map(|()| None);
    };
    for (place, change) in others.iter().enumerate() {
        let (sql, values) = changes::postgres_append(*change, place == 0);
        pg.query(sql, &values).await?;
    }
    let (sql, values) = changes::postgres_append(*last, others.is_empty());
    let mut rows = pg.query_and_commit(sql, &values).await?;
    let row = rows.pop().ok_or_else(|| DbError::bug("a change has no position"))?;
    changes::position_of(row).map(Some)
}

fn make_pools(config: &Config, connections_max: usize) -> Result<Vec<Pool>, DbError> {
    (0..WORKERS).map(|_| make_pool(config, connections_max.div_ceil(WORKERS))).collect()
}

fn make_pool(config: &Config, connections_max: usize) -> Result<Pool, DbError> {
    let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_config(config.clone(), NoTls, recycle))
        .max_size(connections_max)
        .wait_timeout(Some(WAIT_MAX))
        .create_timeout(Some(WAIT_MAX))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(DbError::bug)
}

enum Attempt<T, E> {
    Done(Result<Committed<T>, E>),
    /// Nothing was committed (or nobody knows); whether another attempt makes sense.
    Failed(DbError, bool),
}

/// A connection outside the pool.
pub(crate) async fn connect(config: &Config) -> Result<Client, DbError> {
    let (client, connection) = config.connect(NoTls).await.map_err(map_error)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a database connection ended");
        }
    });
    Ok(client)
}

/// Check that this server keeps its promises and bring the schema up to date.
async fn prepare_database(config: &Config) -> Result<(), DbError> {
    let mut client = connect(config).await?;
    let settings = [
        ("synchronous_commit", "off", "answers must be durable (invariant 2): set it to on"),
        ("fsync", "off", "answers must be durable (invariant 2): set it to on"),
        ("server_encoding", "SQL_ASCII", "create the database with ENCODING 'UTF8'"),
    ];
    for (name, unfit, what_to_do) in settings {
        let sql = format!("SHOW {name}");
        let row = client.query_one(&sql, &[]).await.map_err(map_error)?;
        let value: String = row.try_get(0).map_err(map_error)?;
        if value == unfit {
            return Err(DbError::Setup(format!(
                "the database server has {name}={value}; {what_to_do}"
            )));
        }
    }
    crate::migrate::postgres(&mut client).await
}
