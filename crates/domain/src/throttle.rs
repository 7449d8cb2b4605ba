//! How guessing is slowed down: a few free attempts, then waits that double. Counted before the
//! attempt is looked at, so that a hundred parallel guesses count as a hundred (attack X2).

use std::time::Duration;

use crate::time::Timestamp;

/// How much is free, and how long waits become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleRule {
    pub free_attempts: i64,
    pub first_wait: Duration,
    pub wait_max: Duration,
    /// Attempts are forgotten when there were none for this long.
    pub forget_after: Duration,
}

/// For one account: a person mistypes a few times.
pub const PER_ACCOUNT: ThrottleRule = ThrottleRule {
    free_attempts: 5,
    first_wait: Duration::from_secs(5),
    wait_max: Duration::from_secs(15 * 60),
    forget_after: Duration::from_secs(3600),
};

/// For one address, behind which there may be an office.
pub const PER_ADDRESS: ThrottleRule = ThrottleRule { free_attempts: 30, ..PER_ACCOUNT };

/// For one client id at one address: a misconfigured server retries in a loop.
pub const PER_CLIENT: ThrottleRule = ThrottleRule {
    free_attempts: 20,
    first_wait: Duration::from_secs(1),
    wait_max: Duration::from_secs(60),
    forget_after: Duration::from_secs(600),
};

/// Attempts under one key so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThrottleState {
    pub attempts: i64,
    pub last_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleOutcome {
    /// Go on, and store the counted attempt.
    Admitted(ThrottleState),
    /// Not looked at, not counted.
    Wait(Duration),
}

impl ThrottleState {
    pub fn attempt(self, rule: &ThrottleRule, now: Timestamp) -> ThrottleOutcome {
        let counted = if now > self.last_at.after(rule.forget_after) { 0 } else { self.attempts };
        let due = self.last_at.after(wait_after(counted, rule));
        if counted >= rule.free_attempts && now < due {
            return ThrottleOutcome::Wait(due.since(now));
        }
        ThrottleOutcome::Admitted(Self { attempts: counted.saturating_add(1), last_at: now })
    }
}

fn wait_after(attempts: i64, rule: &ThrottleRule) -> Duration {
    let doublings = attempts.saturating_sub(rule.free_attempts).clamp(0, 20);
    let factor = 1_u32.checked_shl(u32::try_from(doublings).unwrap_or(20)).unwrap_or(u32::MAX);
    rule.first_wait.saturating_mul(factor).min(rule.wait_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_attempts_are_free_then_waits_double_up_to_a_limit() {
        let mut state = ThrottleState::default();
        let mut now = Timestamp::from_seconds(1_000_000);
        for _ in 0..5 {
            let ThrottleOutcome::Admitted(next) = state.attempt(&PER_ACCOUNT, now) else {
                panic!("a free attempt was refused")
            };
            state = next;
        }
        let mut waits = Vec::new();
        for _ in 0..10 {
            let ThrottleOutcome::Wait(wait) = state.attempt(&PER_ACCOUNT, now) else {
                panic!("a sixth attempt at once was admitted")
            };
            waits.push(wait.as_secs());
            now = now.after(wait);
            let ThrottleOutcome::Admitted(next) = state.attempt(&PER_ACCOUNT, now) else {
                panic!("refused after the wait")
            };
            state = next;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
    }

    #[test]
    fn an_hour_of_quiet_forgets() {
        let state = ThrottleState { attempts: 50, last_at: Timestamp::from_seconds(0) };
        let later = Timestamp::from_seconds(3601);
        let fresh = ThrottleState { attempts: 1, last_at: later };
        assert_eq!(state.attempt(&PER_ACCOUNT, later), ThrottleOutcome::Admitted(fresh));
    }
}
