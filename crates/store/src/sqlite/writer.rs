//! The one thread that writes. Closures queue up and run one after the other, one `COMMIT` makes
//! all of them durable, and only then are they answered (architecture, invariants 2 and 3). One
//! that fails after it wrote takes the batch back with it: it runs again alone, and its neighbours
//! without it.

use std::fs::File;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use domain::change::Change;
use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpointer;
use super::{SqliteTx, control};
use crate::db::Observer;
use crate::stats::{WriterCounts, WriterStats};
use crate::tx::TxKind;
use crate::{DbError, Tx};

/// Closures per commit. More gain little (facts: 64 rows in one commit take 0.76 ms) and make the
/// first of them wait.
const BATCH_MAX: usize = 64;
/// Closures that wait. Whoever comes later is told so at once: a queue this long is a tenth of a
/// second, and a longer one would only make everybody late.
const QUEUE_MAX: usize = 1024;

pub(crate) enum Message {
    Job(Box<dyn Job>),
    /// The log has become long: write it back before the next batch.
    Checkpoint,
}

/// A closure with the place its answer goes.
pub(crate) trait Job: Send {
    fn kind(&self) -> TxKind;
    /// Run it once. `false`: undo what it did. It may be run again.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// The transaction ended: send the answer.
    fn answer(self: Box<Self>, committed: Result<(), DbError>);
}

#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Message>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counts: Arc<WriterCounts>,
}

impl Writer {
    pub(super) fn start(
        path: &Path,
        mut connection: Connection,
        lock: File,
        observer: Observer,
    ) -> Result<Self, DbError> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let counts = Arc::new(WriterCounts::default());
        let checkpointer = Checkpointer::start(path, &mut connection, queue.downgrade())?;
        let mut thread = WriterThread {
            connection,
            checkpointer,
            counts: Arc::clone(&counts),
            observer,
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || thread.serve(jobs))
            .map_err(DbError::bug)?;
        Ok(Self { queue: Some(queue), thread: Mutex::new(Some(thread)), counts })
    }

    pub(crate) fn submit(&self, job: Box<dyn Job>) -> Result<(), DbError> {
        let gone = || DbError::Unavailable("the writer has stopped".to_owned());
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.try_send(Message::Job(job)).map_err(|error| match error {
            TrySendError::Closed(_) => gone(),
            TrySendError::Full(_) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                DbError::Busy(format!("{QUEUE_MAX} writes wait already"))
            }
        })
    }

    /// Closures in the queue.
    pub(crate) fn queued(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Transactions committed so far.
    pub(crate) fn commits(&self) -> u64 {
        self.counts.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn stats(&self) -> WriterStats {
        self.counts.stats(self.queued(), QUEUE_MAX)
    }
}

impl Drop for Writer {
    /// Finish what is queued and close the file, so that whoever opens it next finds it free.
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the SQLite writer thread panicked");
        }
    }
}

struct WriterThread {
    connection: Connection,
    checkpointer: Checkpointer,
    counts: Arc<WriterCounts>,
    observer: Observer,
    _lock: File,
}

/// Why a batch did not commit.
enum Failure {
    /// The closure at this place does not want what it did to stand. Everything was rolled back.
    Unwanted(usize),
    /// Everything was rolled back: the closures can run again, one by one.
    RolledBack(DbError),
    /// The commit itself failed in a way that leaves open what is on disk.
    Unknown(DbError),
}

impl WriterThread {
    fn serve(&mut self, mut jobs: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while let Some(message) = jobs.blocking_recv() {
            let mut next = Some(message);
            while let Some(message) = next {
                match message {
                    Message::Job(job) => batch.push(job),
                    Message::Checkpoint => self.checkpointer.restart_log(&self.connection),
                }
                next = if batch.len() < BATCH_MAX { jobs.try_recv().ok() } else { None };
            }
            if !batch.is_empty() {
                self.run(std::mem::take(&mut batch));
                self.checkpointer.committed();
            }
        }
    }

    fn run(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        match self.attempt(&mut jobs) {
            Ok(changes) => {
                self.counts.committed(jobs.len());
                if !changes.is_empty()
                    && let Some(observer) = self.observer.find()
                {
                    observer.committed(&changes);
                }
                jobs.into_iter().for_each(|job| job.answer(Ok(())));
            }
            // Alone it has nothing to undo but its own, and its answer is its own error.
            Err(Failure::Unwanted(_)) if jobs.len() == 1 => {
                jobs.into_iter().for_each(|job| job.answer(Ok(())));
            }
            // Rare: what refuses a request does so before it writes, or commits. In order, each at
            // most once more for each that fails.
            Err(Failure::Unwanted(place)) => {
                let mut after = jobs.split_off(place);
                let behind = after.split_off(after.len().min(1));
                for part in [jobs, after, behind] {
                    if !part.is_empty() {
                        self.run(part);
                    }
                }
            }
            // A full disk rolls back the whole batch, not only the closure that met it (attack K3).
            // Alone, each of its neighbours may still fit.
            Err(Failure::RolledBack(_)) if jobs.len() > 1 => {
                jobs.into_iter().for_each(|job| self.run(vec![job]));
            }
            Err(Failure::RolledBack(error) | Failure::Unknown(error)) => {
                tracing::error!(%error, closures = jobs.len(), "a commit batch failed");
                jobs.into_iter().for_each(|job| job.answer(Err(error.clone())));
            }
        }
    }

    fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Change>, Failure> {
        control(&self.connection, "BEGIN IMMEDIATE").map_err(Failure::RolledBack)?;
        let mut all_changes = Vec::new();
        for (place, job) in jobs.iter_mut().enumerate() {
            match self.run_one(&mut **job) {
                Ok(Some(changes)) => all_changes.extend(changes),
                Ok(None) => {
                    self.roll_back();
                    return Err(Failure::Unwanted(place));
                }
                Err(error) => {
                    self.roll_back();
                    return Err(Failure::RolledBack(error));
                }
            }
        }
        match control(&self.connection, "COMMIT") {
            Ok(()) => Ok(all_changes),
            Err(error @ DbError::Unavailable(_)) => {
                // A failed sync: the log may hold the commit or not, and will say so at the next
                // start. Trying again could find the sync "done" while the pages are lost.
                self.roll_back();
                Err(Failure::Unknown(DbError::OutcomeUnknown(error.to_string())))
            }
            Err(error) => {
                self.roll_back();
                Err(Failure::RolledBack(error))
            }
        }
    }

    /// Its changes; `None`: what it did must not stand. If it did nothing, there is nothing to
    /// undo.
    fn run_one(&mut self, job: &mut dyn Job) -> Result<Option<Vec<Change>>, DbError> {
        let rows_changed = self.connection.total_changes();
        let mut tx = Tx::sqlite(SqliteTx { connection: &mut self.connection }, job.kind());
        let keep = job.run(&mut tx);
        let (changes, failure) = (tx.take_changes(), tx.failure().cloned());
        if self.connection.is_autocommit() {
            let ended = || DbError::bug("a closure ended the transaction");
            return Err(failure.unwrap_or_else(ended));
        }
        if !keep && failure.is_none() && self.connection.total_changes() == rows_changed {
            return Ok(Some(Vec::new()));
        }
        Ok(keep.then_some(changes))
    }

    fn roll_back(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = control(&self.connection, "ROLLBACK")
        {
            tracing::error!(%error, "a rollback failed");
        }
    }
}

/// Run a future that is always ready. One that is not awaits something else than the transaction,
/// which a write must not (invariant 3). `None`: it was not ready, or it panicked.
pub(crate) fn run_ready<T>(future: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(future)).unwrap_or_default()
}

/// Poll `future` once.
pub(crate) fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Where the answer of a write goes.
pub(crate) type Answer<T, E> = oneshot::Sender<Result<T, E>>;
