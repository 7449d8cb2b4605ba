//! Who keeps to which rate, in memory: the rates of dialects count per node and start anew with it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::pace::Pace;
use domain::policy::Rate;
use domain::time::Timestamp;

/// More at once share one pace: made-up client ids must not fill the memory.
const KEPT_MAX: usize = 50_000;
/// The pace of everyone beyond that.
const OVERFLOW: &str = "";

#[derive(Debug, Default)]
pub struct Paces(Mutex<HashMap<String, Pace>>);

impl Paces {
    /// Would one more request be admitted? Nothing is counted.
    pub fn check(&self, key: &str, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = paces.get(if is_shared(&paces, key) { OVERFLOW } else { key });
        let pace = pace.copied().unwrap_or_default();
        pace.admit(rate, now).map(|_| ())
    }

    /// Count one request, or say how long to wait.
    pub fn admit(&self, key: &str, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_shared(&paces, key) {
            paces.retain(|_, pace| !pace.is_over(now));
        }
        let key = if is_shared(&paces, key) { OVERFLOW } else { key };
        let pace = paces.entry(key.to_owned()).or_default();
        *pace = pace.admit(rate, now)?;
        Ok(())
    }
}

/// Has `key` no pace of its own, and is there no room for one?
fn is_shared(paces: &HashMap<String, Pace>, key: &str) -> bool {
    paces.len() >= KEPT_MAX && !paces.contains_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x2_made_up_names_share_one_pace_when_there_are_too_many() {
        let (paces, now) = (Paces::default(), Timestamp::from_seconds(1_000));
        let rate = Rate { requests: 1, period: Duration::from_secs(60) };
        for number in 0..KEPT_MAX {
            assert!(paces.admit(&number.to_string(), rate, now).is_ok());
        }
        assert!(paces.check("one more", rate, now).is_ok());
        assert!(paces.admit("one more", rate, now).is_ok());
        assert!(paces.check("and another", rate, now).is_err());
        assert!(paces.admit("and another", rate, now).is_err());
        assert!(paces.admit("0", rate, now).is_err());
        let later = now.after(Duration::from_secs(61));
        assert!(paces.admit("and another", rate, later).is_ok(), "what is over is forgotten");
    }

    #[test]
    fn x2_a_newcomer_does_not_wait_for_made_up_names_once_there_is_room_again() {
        let (paces, now) = (Paces::default(), Timestamp::from_seconds(1_000));
        let slow = Rate { requests: 1, period: Duration::from_secs(3600) };
        let quick = Rate { requests: 1, period: Duration::from_secs(60) };
        for number in 0..KEPT_MAX {
            assert!(paces.admit(&number.to_string(), quick, now).is_ok());
        }
        assert!(paces.admit("made up", slow, now).is_ok());
        let later = now.after(Duration::from_secs(61));
        // The names that filled the memory go, the pace that many shared stays.
        assert!(paces.admit("somebody", quick, later).is_ok());
        assert!(paces.check("newcomer", quick, later).is_ok());
    }
}
