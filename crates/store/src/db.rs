//! The one handle through which everything is read and written. Which database it is, callers never
//! learn.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use domain::change::Change;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::sqlite::{Answer, Job, poll_once, run_ready};
use crate::stats::{PoolStats, WriterStats};
use crate::tx::TxKind;
use crate::{DbError, Tx, postgres, sqlite};

/// A database. Cheap to clone; closes when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Db {
    engine: Arc<Engine>,
    observer: Observer,
}

#[derive(Debug)]
enum Engine {
    Sqlite(sqlite::Engine),
    Postgres(Arc<postgres::Engine>),
}

/// What a transaction yields once it is durable.
#[derive(Debug)]
pub(crate) struct Committed<T> {
    pub(crate) value: T,
    pub(crate) changes: Vec<Change>,
    /// Where its last change stands in the feed.
    pub(crate) position: Option<i64>,
}

/// Learns of changes after they are durable and before they are answered.
pub(crate) trait CommitObserver: Send + Sync {
    fn committed(&self, changes: &[Change]);

    /// Resolves when no other node acts on what was before `position`.
    fn settled(&self, position: i64) -> BoxFuture<'static, ()>;
}

/// Filled by [`crate::Live`], which in turn holds the database: weak, so that both can end.
#[derive(Clone, Default)]
pub(crate) struct Observer(Arc<OnceLock<Weak<dyn CommitObserver>>>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl Observer {
    pub(crate) fn find(&self) -> Option<Arc<dyn CommitObserver>> {
        self.0.get().and_then(Weak::upgrade)
    }
}

impl Db {
    /// Open `sqlite:PATH` (created if absent) or `postgres://…` and bring its schema up to date.
    ///
    /// # Errors
    /// Another process holds the SQLite file; the server cannot be reached or does not keep commits
    /// durable; the schema is newer than this program.
    pub async fn open(url: &str) -> Result<Self, DbError> {
        let observer = Observer::default();
        let engine = if let Some(path) = sqlite_path(url) {
            let observer = observer.clone();
            let open = move || sqlite::Engine::open(&path, observer);
            let opened = tokio::task::spawn_blocking(open).await;
            Engine::Sqlite(opened.map_err(DbError::bug)??)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Engine::Postgres(Arc::new(postgres::Engine::open(url).await?))
        } else {
            return Err(DbError::Setup(
                "the database URL is neither sqlite:PATH nor postgres://…".to_owned(),
            ));
        };
        Ok(Self { engine: Arc::new(engine), observer })
    }

    /// Run `closure` in a transaction and answer when it is durable and, if it recorded changes,
    /// when no node acts on what was before.
    ///
    /// `Err` rolls everything back and is for infrastructure and bugs: what must stand, such as the
    /// revocation and the audit row of a refused request, is returned in `Ok`. The closure may run
    /// more than once, and must await nothing but `tx`. It runs to its end even if the caller goes.
    pub async fn write<F, T, E>(&self, closure: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.run_write(closure, TxKind::Write).await
    }

    /// As [`Db::write`], for a closure that runs exactly one statement, such as a compare-and-swap:
    /// on PostgreSQL it saves two round trips. It cannot record changes.
    pub async fn write_one<F, T, E>(&self, closure: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.run_write(closure, TxKind::Single).await
    }

    /// As [`Db::write`], for a closure whose own statements keep two of it apart. On PostgreSQL
    /// (READ COMMITTED) it neither runs again because of what others do, nor makes them run again.
    pub async fn write_unchecked<F, T, E>(&self, closure: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.run_write(closure, TxKind::Unchecked).await
    }

    async fn run_write<F, T, E>(&self, closure: F, kind: TxKind) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        match &*self.engine {
            Engine::Sqlite(engine) => {
                let (answer, answered) = oneshot::channel();
                let job = Closure { closure, kind, result: None, answer };
                engine.writer.submit(Box::new(job))?;
                answered.await.map_err(|_| DbError::bug("the writer gave no answer"))?
            }
            Engine::Postgres(engine) => {
                let (engine, observer) = (Arc::clone(engine), self.observer.clone());
                let workers = Arc::clone(&engine.workers);
                let run = move |worker| async move {
                    let committed = engine.write(worker, &closure, kind).await?;
                    if let Some(observer) = observer.find() {
                        observer.committed(&committed.changes);
                        if let Some(position) = committed.position {
                            observer.settled(position).await;
                        }
                    }
                    Ok(committed.value)
                };
                workers.run(run).await?
            }
        }
    }

    /// Run `closure` on one snapshot. It cannot write.
    pub async fn read<F, T, E>(&self, closure: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        match &*self.engine {
            // Inline: a look-up takes microseconds, a thread hop more.
            Engine::Sqlite(engine) => engine.read(|tx| read_ready(&closure, tx))?,
            Engine::Postgres(engine) => {
                let engine = Arc::clone(engine);
                let workers = Arc::clone(&engine.workers);
                workers
                    .run(move |worker| async move { engine.read(worker, &closure).await })
                    .await?
            }
        }
    }

    /// As [`Db::read`], for what may take milliseconds: long lists, exports.
    pub async fn read_long<F, T, E>(&self, closure: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        if let Engine::Postgres(_) = &*self.engine {
            return self.read(closure).await;
        }
        let engine = Arc::clone(&self.engine);
        let read = move || match &*engine {
            Engine::Sqlite(engine) => engine.read(|tx| read_ready(&closure, tx))?,
            Engine::Postgres(_) => Err(DbError::bug("the database changed its kind").into()),
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| DbError::bug("a read panicked"))?
    }

    /// Transactions committed so far: with group commit, fewer than writes.
    pub fn commits(&self) -> u64 {
        match &*self.engine {
            Engine::Sqlite(engine) => engine.writer.commits(),
            Engine::Postgres(engine) => engine.commits(),
        }
    }

    /// Writes that wait for their turn on SQLite.
    pub fn queued(&self) -> usize {
        match &*self.engine {
            Engine::Sqlite(engine) => engine.writer.queued(),
            Engine::Postgres(_) => 0,
        }
    }

    pub(crate) fn writer_stats(&self) -> Option<WriterStats> {
        match &*self.engine {
            Engine::Sqlite(engine) => Some(engine.writer.stats()),
            Engine::Postgres(_) => None,
        }
    }

    pub(crate) fn pool_stats(&self) -> Option<PoolStats> {
        match &*self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(engine) => Some(engine.pool_stats()),
        }
    }

    /// The same PostgreSQL through connections of its own, and how to connect to it; `None` on
    /// SQLite.
    pub(crate) fn with_own_connections(
        &self,
        connections_max: usize,
    ) -> Result<Option<(Self, tokio_postgres::Config)>, DbError> {
        let Engine::Postgres(engine) = &*self.engine else { return Ok(None) };
        let config = engine.config().clone();
        let own = Arc::new(engine.with_own_connections(connections_max)?);
        let db = Self { engine: Arc::new(Engine::Postgres(own)), observer: Observer::default() };
        Ok(Some((db, config)))
    }

    pub(crate) fn observe(&self, observer: Weak<dyn CommitObserver>) {
        self.observer.0.get_or_init(|| observer);
    }
}

/// `sqlite:PATH`, also with the slashes of a URL.
fn sqlite_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
}

fn not_ready() -> DbError {
    DbError::bug("a transaction panicked, or awaited something else than itself")
}

fn read_ready<F, T, E>(closure: &F, tx: sqlite::SqliteTx<'_>) -> Result<T, E>
where
    F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    E: From<DbError>,
{
    let mut tx = Tx::sqlite(tx, TxKind::Read);
    let result = run_ready(|| poll_once(closure(&mut tx))).ok_or_else(not_ready)?;
    match tx.failure() {
        Some(failure) => result.and(Err(failure.clone().into())),
        None => result,
    }
}

/// A write on its way to the SQLite writer and back.
struct Closure<F, T, E> {
    closure: F,
    kind: TxKind,
    result: Option<Result<T, E>>,
    answer: Answer<T, E>,
}

impl<F, T, E> Job for Closure<F, T, E>
where
    F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<DbError> + Send,
{
    fn kind(&self) -> TxKind {
        self.kind
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let run = async {
            let result = (self.closure)(tx).await;
            if result.is_ok() {
                tx.flush_changes().await?;
            }
            result
        };
        let mut result = run_ready(|| poll_once(run)).unwrap_or_else(|| Err(not_ready().into()));
        if let Some(failure) = tx.failure()
            && result.is_ok()
        {
            result = Err(failure.clone().into());
        }
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn answer(self: Box<Self>, committed: Result<(), DbError>) {
        let unanswered = || Err(DbError::bug("a closure did not run").into());
        let result = match committed {
            Ok(()) => self.result.unwrap_or_else(unanswered),
            Err(error) => Err(error.into()),
        };
        // A caller that is gone does not listen.
        let _ = self.answer.send(result);
    }
}
