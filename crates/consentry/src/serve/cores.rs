//! Connections are served by one thread per core, each with a runtime of its own: a connection
//! stays where it is, with all that it waits for. Threads that take work from each other wake each
//! other for it, which cost a proxy a third of what it could do (docs/dev/performance.md).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::sync::mpsc;

/// A server of more cores is limited by other things.
const CORES_MAX: usize = 32;

type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Threads that end when this value does, and drop what they still serve then.
#[derive(Debug)]
pub(super) struct Cores(Vec<Core>);

#[derive(Debug)]
struct Core {
    new: mpsc::UnboundedSender<Connection>,
    open: Arc<AtomicUsize>,
}

impl Cores {
    /// As many as the process may use.
    pub(super) fn start() -> io::Result<Self> {
        let count = available_parallelism().map_or(1, usize::from).min(CORES_MAX);
        (0..count).map(|_| Core::start()).collect::<io::Result<_>>().map(Self)
    }

    /// Serve a connection to its end, on the thread that has the fewest. What belongs to a runtime
    /// (a socket, a timer) must be made inside of it.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let least = self.0.iter().min_by_key(|core| core.open.load(Ordering::Relaxed));
        let Some(core) = least else { return };
        let open = Open::among(&core.open);
        let counted = async move {
            connection.await;
            drop(open);
        };
        // Refused only by a thread that has ended, with the process.
        let _ = core.new.send(Box::pin(counted));
    }
}

impl Core {
    fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (new, mut connections) = mpsc::unbounded_channel::<Connection>();
        let serve = async move {
            while let Some(connection) = connections.recv().await {
                tokio::spawn(connection);
            }
        };
        std::thread::Builder::new()
            .name("connections".to_owned())
            .spawn(move || runtime.block_on(serve))?;
        Ok(Self { new, open: Arc::default() })
    }
}

/// One of the connections of a thread, until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn among(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;
    use std::thread::{ThreadId, current};

    use super::*;

    fn thread_of(cores: &Cores) -> (ThreadId, tokio::sync::oneshot::Sender<()>) {
        let (tell, told) = channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        cores.spawn(async move {
            let _ = tell.send(current().id());
            let _ = ended.await;
        });
        (told.recv().unwrap(), end)
    }

    #[test]
    fn connections_that_last_are_spread_over_all_threads() {
        let cores = Cores((0..3).map(|_| Core::start().unwrap()).collect());
        let held: Vec<_> = (0..6).map(|_| thread_of(&cores)).collect();
        let threads: HashSet<_> = held.iter().map(|(thread, _)| *thread).collect();
        assert_eq!(threads.len(), 3);
        assert!(cores.0.iter().all(|core| core.open.load(Ordering::Relaxed) == 2));
    }

    #[test]
    fn a_connection_that_panics_leaves_its_place() {
        let cores = Cores(vec![Core::start().unwrap()]);
        let (tell, told) = channel::<()>();
        cores.spawn(async move {
            let _tell = tell;
            std::panic::resume_unwind(Box::new("a bug"));
        });
        assert!(told.recv().is_err(), "it is over");
        // Its future is dropped before the thread takes the next one.
        drop(thread_of(&cores));
        assert!(cores.0.iter().all(|core| core.open.load(Ordering::Relaxed) <= 1));
    }
}
