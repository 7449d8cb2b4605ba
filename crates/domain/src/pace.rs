//! Whether somebody keeps to a rate, by the generic cell rate algorithm: one point in time is all
//! that is remembered.

use std::time::Duration;

use protocol::rate::Rate;

use crate::time::Timestamp;

/// How far ahead of its rate somebody is: when the request after all that were admitted is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    due: Timestamp,
}

impl Pace {
    /// The pace after one more request, or how long to wait.
    pub fn admit(self, rate: Rate, now: Timestamp) -> Result<Self, Duration> {
        let gap = rate.period / rate.requests.max(1);
        let burst = rate.period.saturating_sub(gap);
        let due = self.due.max(now);
        match due.since(now).checked_sub(burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(Self { due: due.after(gap) }),
        }
    }

    /// Nothing is left to remember.
    pub fn is_over(self, now: Timestamp) -> bool {
        self.due <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn one_per_second_is_one_per_second() {
        let rate = Rate { requests: 1, period: Duration::from_secs(1) };
        let pace = Pace::default().admit(rate, at(10_000)).unwrap();
        assert_eq!(pace.admit(rate, at(10_400)), Err(Duration::from_millis(600)));
        assert!(pace.admit(rate, at(11_000)).is_ok());
        assert!(pace.is_over(at(11_000)) && !pace.is_over(at(10_999)));
    }

    #[test]
    fn a_burst_is_as_large_as_the_period_allows_and_refills_evenly() {
        let rate = Rate { requests: 4, period: Duration::from_secs(2) };
        let mut pace = Pace::default();
        for _ in 0..4 {
            pace = pace.admit(rate, at(50_000)).unwrap();
        }
        assert_eq!(pace.admit(rate, at(50_000)), Err(Duration::from_millis(500)));
        let pace = pace.admit(rate, at(50_500)).unwrap();
        assert!(pace.admit(rate, at(50_900)).is_err());
    }
}
