//! How many requests of one kind are worked on at once. A few more wait for a moment; who comes
//! later is sent away at once, so that those who were let in are answered in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Longer than the dip that a checkpoint or a slow disk makes, shorter than clients wait.
const WAIT_MAX: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Gate {
    pub(super) class: &'static str,
    in_service_max: usize,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    shed: AtomicU64,
}

/// How full a gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GateStats {
    pub(super) in_service: usize,
    pub(super) in_service_max: usize,
    pub(super) waiting: usize,
    pub(super) shed: u64,
}

impl Gate {
    pub(super) fn new(class: &'static str, in_service_max: usize) -> Self {
        Self {
            class,
            in_service_max,
            places: Arc::new(Semaphore::new(in_service_max)),
            waiting: AtomicUsize::new(0),
            shed: AtomicU64::new(0),
        }
    }

    /// `None`: come back later. What is let in holds its place until the permit is dropped.
    pub(super) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let waiting = Waiting::among(&self.waiting);
        let place = match waiting.number < self.in_service_max {
            true => timeout(WAIT_MAX, Arc::clone(&self.places).acquire_owned()).await.ok(),
            false => None,
        };
        let place = place.and_then(Result::ok);
        if place.is_none() {
            self.shed.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    pub(super) fn stats(&self) -> GateStats {
        GateStats {
            in_service: self.in_service_max.saturating_sub(self.places.available_permits()),
            in_service_max: self.in_service_max,
            waiting: self.waiting.load(Ordering::Relaxed),
            shed: self.shed.load(Ordering::Relaxed),
        }
    }
}

/// Counted until it is dropped, also when the client goes.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    /// How many waited before.
    number: usize,
}

impl<'a> Waiting<'a> {
    fn among(count: &'a AtomicUsize) -> Self {
        Self { count, number: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_too_many_waits_for_a_moment_and_is_sent_away() {
        let gate = Gate::new("pages", 1);
        let first = gate.enter().await.unwrap();
        assert!(gate.enter().await.is_none(), "nobody went");
        let (second, ()) = tokio::join!(gate.enter(), async { drop(first) });
        assert!(second.is_some());
        let full = GateStats { in_service: 1, in_service_max: 1, waiting: 0, shed: 1 };
        assert_eq!(gate.stats(), full);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait() {
        let gate = Gate::new("tokens", 1);
        let _first = gate.enter().await.unwrap();
        let began = tokio::time::Instant::now();
        let at_once = async { (gate.enter().await.is_none(), began.elapsed()) };
        let (waited, (refused, after)) = tokio::join!(gate.enter(), at_once);
        assert!(waited.is_none() && refused);
        assert_eq!(after, Duration::ZERO, "the queue was full");
        assert_eq!(began.elapsed(), WAIT_MAX);
    }
}
