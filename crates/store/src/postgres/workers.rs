//! Threads on which transactions run. A transaction that has begun goes on when its caller is gone,
//! as on SQLite; and its closure need not be `Send` once it runs, which `AsyncFn` cannot promise.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::DbError;

type Task = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

#[derive(Debug)]
pub(crate) struct Workers {
    threads: Vec<mpsc::UnboundedSender<Task>>,
    next: AtomicUsize,
}

impl Workers {
    pub(super) fn start(count: usize) -> Result<Self, DbError> {
        let threads = (0..count).map(|_| start_thread()).collect::<Result<_, _>>()?;
        Ok(Self { threads, next: AtomicUsize::new(0) })
    }

    /// Run the future that `make` makes to its end, whether or not anyone waits for it. `make` is
    /// told which thread it runs on.
    pub(crate) async fn run<T, F>(
        &self,
        make: impl FnOnce(usize) -> F + Send + 'static,
    ) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let index = turn.checked_rem(self.threads.len()).unwrap_or_default();
        let task: Task = Box::new(move || {
            Box::pin(async move {
                // A caller that is gone does not listen.
                let _ = answer.send(make(index).await);
            })
        });
        let thread = self.threads.get(index);
        let sent = thread.is_some_and(|thread| thread.send(task).is_ok());
        if !sent {
            return Err(DbError::Unavailable("the database threads have stopped".to_owned()));
        }
        answered.await.map_err(|_| DbError::bug("a transaction panicked"))
    }
}

/// The thread ends when its sender is dropped and the last transaction on it has ended.
fn start_thread() -> Result<mpsc::UnboundedSender<Task>, DbError> {
    let (sender, mut tasks) = mpsc::unbounded_channel::<Task>();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DbError::bug)?;
    let serve = move || {
        let local = LocalSet::new();
        local.block_on(&runtime, async move {
            while let Some(task) = tasks.recv().await {
                tokio::task::spawn_local(task());
            }
        });
        runtime.block_on(local);
    };
    std::thread::Builder::new()
        .name("postgres-worker".to_owned())
        .spawn(serve)
        .map_err(DbError::bug)?;
    Ok(sender)
}
