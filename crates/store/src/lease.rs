//! For how long this node may be sure of what it knows. On PostgreSQL it is renewed by reading the
//! change feed; when it runs out, the node stops accepting tokens (fails closed). Measured on the
//! monotonic clock, so that no clock needs to agree with another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::authority::Unverifiable;
use tokio::sync::Notify;
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Lease {
    base: Instant,
    /// Nanoseconds after `base`; [`u64::MAX`]: for ever, the only node there is.
    valid_until: AtomicU64,
    /// Why it is not renewed.
    trouble: Mutex<Option<String>>,
    pub(crate) renewed: Notify,
}

impl Lease {
    pub(crate) fn for_ever() -> Self {
        Self::until(u64::MAX)
    }

    /// Not valid before the first renewal.
    pub(crate) fn none_yet() -> Self {
        Self::until(0)
    }

    fn until(valid_until: u64) -> Self {
        Self {
            base: Instant::now(),
            valid_until: AtomicU64::new(valid_until),
            trouble: Mutex::default(),
            renewed: Notify::new(),
        }
    }

    /// Valid for `lease` from `read_at`, the moment before the feed was read.
    pub(crate) fn renew(&self, read_at: Instant, lease: Duration) {
        let until = (read_at + lease).saturating_duration_since(self.base).as_nanos();
        self.valid_until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::SeqCst);
        self.set_trouble(None);
        self.renewed.notify_one();
    }

    /// This node is leaving.
    pub(crate) fn end(&self) {
        self.valid_until.store(0, Ordering::SeqCst);
        self.set_trouble(Some("it is shutting down".to_owned()));
    }

    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(crate) fn is_valid(&self) -> bool {
        !self.remaining().is_zero()
    }

    pub(crate) fn remaining(&self) -> Duration {
        let until = self.valid_until.load(Ordering::SeqCst);
        let now = u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(until.saturating_sub(now))
    }

    /// Since `lease` before its end, the moment for which it was renewed.
    pub(crate) fn age(&self, lease: Duration) -> Duration {
        let until = Duration::from_nanos(self.valid_until.load(Ordering::SeqCst));
        (self.base.elapsed() + lease).saturating_sub(until)
    }

    pub(crate) fn check(&self) -> Result<(), Unverifiable> {
        if self.is_valid() {
            return Ok(());
        }
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reason = trouble.unwrap_or_else(|| "it does not hear of changes in time".to_owned());
        Err(Unverifiable { reason: format!("this node is cut off from the change feed: {reason}") })
    }
}
