//! What the store tells of itself: plain numbers, read when somebody asks. Whoever asks gives them
//! names; nothing here knows how metrics are written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One look at everything.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Transactions committed so far.
    pub commits: u64,
    /// On SQLite.
    pub writer: Option<WriterStats>,
    /// On PostgreSQL.
    pub pool: Option<PoolStats>,
    pub caches: Vec<CacheStats>,
    pub lease: LeaseStats,
    /// Kinds of calls that wait to be written down.
    pub usage_batch: usize,
    /// Open calls that would be cut by a revocation.
    pub watched_calls: usize,
}

/// The queue of writes on SQLite, and how many of them one commit took.
#[derive(Clone, Debug)]
pub struct WriterStats {
    pub queued: usize,
    pub queue_max: usize,
    /// Writes that were refused because the queue was full.
    pub refused: u64,
    /// Commits of at most as many closures as [`BATCH_BOUNDS`] says, not added up.
    pub batches: [u64; BATCH_BOUNDS.len()],
    /// Closures in all of them.
    pub closures: u64,
}

/// The connections to PostgreSQL.
#[derive(Clone, Copy, Debug)]
pub struct PoolStats {
    pub max: usize,
    pub in_use: usize,
    /// Callers without one.
    pub waiting: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct CacheStats {
    pub name: &'static str,
    pub rows: usize,
    pub hits: u64,
    pub misses: u64,
}

/// How well this node keeps up with the others.
#[derive(Clone, Copy, Debug)]
pub struct LeaseStats {
    pub is_valid: bool,
    /// Since the change feed was last read to its end; `None` on SQLite, where there is none.
    pub feed_age: Option<Duration>,
    /// How far this clock is ahead of the database's.
    pub clock_skew_ms: i64,
}

/// Closures per commit, for counting.
pub const BATCH_BOUNDS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Counts of the writer thread.
#[derive(Debug, Default)]
pub(crate) struct WriterCounts {
    pub(crate) commits: AtomicU64,
    pub(crate) refused: AtomicU64,
    batches: [AtomicU64; BATCH_BOUNDS.len()],
    closures: AtomicU64,
}

impl WriterCounts {
    pub(crate) fn committed(&self, closures: usize) {
        let closures = closures as u64;
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.closures.fetch_add(closures, Ordering::Relaxed);
        let bounds = BATCH_BOUNDS.iter().zip(&self.batches);
        // The largest bound is the largest batch.
        if let Some((_, count)) = bounds.into_iter().find(|(bound, _)| closures <= **bound) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn stats(&self, queued: usize, queue_max: usize) -> WriterStats {
        WriterStats {
            queued,
            queue_max,
            refused: self.refused.load(Ordering::Relaxed),
            batches: self.batches.each_ref().map(|count| count.load(Ordering::Relaxed)),
            closures: self.closures.load(Ordering::Relaxed),
        }
    }
}
