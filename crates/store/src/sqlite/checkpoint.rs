//! Writing the log back into the database file, off the commit path: the automatic checkpoint would
//! add 9 to 18 ms to the slowest commits (facts: limits).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;
use tokio::sync::mpsc::WeakSender;

use super::writer::Message;
use super::{connect, map_error};
use crate::DbError;

/// From so many pages (16 MiB) on the log is written back beside the writer, which does not notice.
/// Pages that changed several times meanwhile are written once: at a quarter of this, writing back
/// took a seventh of the time of redeeming codes.
const LOG_PAGES: i32 = 4096;
/// Under constant load the log cannot start over beside the writer: from so many pages (64 MiB) on
/// the writer takes a short break for it.
const LOG_PAGES_MAX: i32 = 16_384;

/// The writer's end: tells the checkpointing thread that the log has grown.
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    log_pages: Arc<AtomicI32>,
}

impl Checkpointer {
    /// Watches the log through `connection`, which is the writer's.
    pub(super) fn start(
        path: &Path,
        connection: &mut Connection,
        writer: WeakSender<Message>,
    ) -> Result<Self, DbError> {
        let log_pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&log_pages);
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(hook)).map_err(map_error)?;
        let own = connect(path)?;
        let thread =
            CheckpointThread { connection: own, log_pages: Arc::clone(&log_pages), writer };
        // One wake-up waiting is enough.
        let (wake, woken) = sync_channel(1);
        std::thread::Builder::new()
            .name("sqlite-checkpoint".to_owned())
            .spawn(move || thread.serve(&woken))
            .map_err(DbError::bug)?;
        Ok(Self { wake, log_pages })
    }

    pub(super) fn committed(&self) {
        if self.log_pages.load(Ordering::Relaxed) >= LOG_PAGES {
            // Full: it is awake already. Closed: the process is ending.
            let _ = self.wake.try_send(());
        }
    }

    /// On the writer's connection, between two batches: most of the log is written back already.
    pub(super) fn restart_log(&self, connection: &Connection) {
        checkpoint(connection, "PRAGMA wal_checkpoint(RESTART)");
        self.log_pages.store(0, Ordering::Relaxed);
    }
}

struct CheckpointThread {
    connection: Connection,
    log_pages: Arc<AtomicI32>,
    writer: WeakSender<Message>,
}

impl CheckpointThread {
    /// Ends when the writer does.
    fn serve(self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            if self.log_pages.load(Ordering::Relaxed) < LOG_PAGES {
                continue;
            }
            checkpoint(&self.connection, "PRAGMA wal_checkpoint(PASSIVE)");
            if self.log_pages.load(Ordering::Relaxed) > LOG_PAGES_MAX
                && let Some(writer) = self.writer.upgrade()
            {
                // A full queue means that a later look asks again.
                let _ = writer.try_send(Message::Checkpoint);
            }
        }
    }
}

fn checkpoint(connection: &Connection, sql: &str) {
    if let Err(error) = connection.query_row(sql, [], |_| Ok(())).map_err(map_error) {
        tracing::warn!(%error, "the log could not be written back; it is tried again");
    }
}
