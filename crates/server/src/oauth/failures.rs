//! Failed client authentications that this node has seen. The counts are rows and hold for all
//! nodes; knowing which names have one spares a look-up for all the others, which is every token
//! request of an honest app. A node hears of a row at its own first failure.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::throttle::{PER_CLIENT, ThrottleState};
use domain::time::Timestamp;

/// More are not told apart: then every request looks its row up.
const KEPT_MAX: usize = 50_000;

#[derive(Debug, Default)]
pub struct SeenFailures(Mutex<HashMap<String, ThrottleState>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    None,
    State(ThrottleState),
    /// Too many to know.
    Unclear,
}

impl SeenFailures {
    pub(super) fn of(&self, key: &str) -> Seen {
        let seen = self.lock();
        match seen.get(key) {
            Some(state) => Seen::State(*state),
            None if seen.len() >= KEPT_MAX => Seen::Unclear,
            None => Seen::None,
        }
    }

    pub(super) fn note(&self, key: &str, state: ThrottleState, now: Timestamp) {
        let mut seen = self.lock();
        if seen.len() >= KEPT_MAX {
            seen.retain(|_, state| now <= state.last_at.after(PER_CLIENT.forget_after));
        }
        if seen.len() < KEPT_MAX || seen.contains_key(key) {
            seen.insert(key.to_owned(), state);
        }
    }

    pub(super) fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ThrottleState>> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x2_when_there_are_too_many_every_name_is_looked_up() {
        let seen = SeenFailures::default();
        let state = ThrottleState { attempts: 1, last_at: Timestamp::from_seconds(100) };
        assert_eq!(seen.of("a"), Seen::None);
        for number in 0..KEPT_MAX {
            seen.note(&number.to_string(), state, state.last_at);
        }
        seen.note("a", state, state.last_at);
        assert_eq!((seen.of("a"), seen.of("0")), (Seen::Unclear, Seen::State(state)));
        let later = state.last_at.after(PER_CLIENT.forget_after * 2);
        seen.note("a", ThrottleState { last_at: later, ..state }, later);
        assert_eq!(seen.of("0"), Seen::None, "what is forgotten makes room");
        seen.forget("a");
        assert_eq!(seen.of("a"), Seen::None);
    }
}
