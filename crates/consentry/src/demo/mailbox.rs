//! The demo's mailbox: what the two providers would have sent, kept in memory for the page of the
//! practice app that shows it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::mail::{Letter, Post, Sending};

/// The oldest go first.
const KEPT_MAX: usize = 200;

/// A letter and who sent it.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) provider: &'static str,
    pub(super) letter: Letter,
}

/// Of both providers, newest first.
#[derive(Clone, Default)]
pub(super) struct Mailbox(Arc<Mutex<VecDeque<Received>>>);

impl Mailbox {
    pub(super) fn letters(&self) -> Vec<Received> {
        self.lock().iter().cloned().collect()
    }

    /// What one provider hands its letters to.
    pub(super) fn slot(&self, provider: &'static str) -> Arc<dyn Post> {
        Arc::new(Slot { mailbox: self.clone(), provider })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Slot {
    mailbox: Mailbox,
    provider: &'static str,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Post for Slot {
    fn send(&self, letter: Letter) -> Sending<'_> {
        let mut letters = self.mailbox.lock();
        letters.push_front(Received { provider: self.provider, letter });
        letters.truncate(KEPT_MAX);
        Box::pin(async { Ok(()) })
    }
}
