//! How guessing is slowed down. Attempts are counted before they are looked at, so that a hundred
//! parallel guesses count as a hundred (attack X2). Two rules: waits that double, for what one
//! person does, and a steady number per hour, for what many people share.

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

/// For one account from one network, or on one device: a person mistypes a few times.
pub const PER_ACCOUNT: ThrottleRule = ThrottleRule {
    free_attempts: 5,
    first_wait: Duration::from_secs(5),
    wait_max: Duration::from_secs(15 * 60),
    forget_after: Duration::from_secs(3600),
};

/// For one client id at one address: a misconfigured server retries in a loop.
pub const PER_CLIENT: ThrottleRule = ThrottleRule {
    free_attempts: 20,
    first_wait: Duration::from_secs(1),
    wait_max: Duration::from_secs(60),
    forget_after: Duration::from_secs(600),
};

/// So many attempts, and one more each time this long has passed, whatever else happens: nobody
/// can make the others wait longer than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SteadyRule {
    pub attempts_max: i64,
    pub one_more_every: Duration,
}

/// For one address, behind which there may be an office.
pub const PER_ADDRESS: SteadyRule =
    SteadyRule { attempts_max: 30, one_more_every: Duration::from_secs(120) };

/// For one account from everywhere, against guessing from many networks at once: a hundred, as NIST
/// SP 800-63B §5.2.2 allows, then twelve an hour.
pub const PER_ACCOUNT_EVERYWHERE: SteadyRule =
    SteadyRule { attempts_max: 100, one_more_every: Duration::from_secs(300) };

/// Codes of one account's second factor, from everywhere, by whoever has the password: two dozen,
/// then four an hour. With three of a million codes good at any moment, a year of guessing finds
/// one in ten times (RFC 6238 §5.2 leaves the limit to us). Passkeys are not kept out by it.
pub const SECOND_FACTOR_EVERYWHERE: SteadyRule =
    SteadyRule { attempts_max: 24, one_more_every: Duration::from_secs(900) };

/// User codes that one user types: two letters wrong is common, twenty codes are not.
pub const USER_CODES_PER_USER: SteadyRule =
    SteadyRule { attempts_max: 10, one_more_every: Duration::from_secs(60) };

/// User codes that one app shows from all its devices together. With 34 bits in a code, what is
/// left after a day of guessing is one chance in millions per code that is alive.
pub const USER_CODES_PER_APP: SteadyRule =
    SteadyRule { attempts_max: 300, one_more_every: Duration::from_secs(20) };

/// Messages that strangers can have sent to one address: enough for a person who looks in the wrong
/// mailbox, too few to annoy anybody.
pub const MAILS_PER_ADDRESS: SteadyRule =
    SteadyRule { attempts_max: 4, one_more_every: Duration::from_secs(15 * 60) };

/// Messages to webhooks of one app that somebody asks for by hand: enough for trying one out, too
/// few to trouble whoever is called.
pub const WEBHOOKS_BY_HAND: SteadyRule =
    SteadyRule { attempts_max: 10, one_more_every: Duration::from_secs(6) };

/// Attempts under one key so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThrottleState {
    pub attempts: i64,
    /// Of the last attempt; under a [`SteadyRule`], when the last one was forgotten.
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

    pub fn attempt_steadily(self, rule: &SteadyRule, now: Timestamp) -> ThrottleOutcome {
        let state = self.forget(rule, now);
        if state.attempts >= rule.attempts_max {
            return ThrottleOutcome::Wait(state.last_at.after(rule.one_more_every).since(now));
        }
        ThrottleOutcome::Admitted(Self { attempts: state.attempts.saturating_add(1), ..state })
    }

    fn forget(self, rule: &SteadyRule, now: Timestamp) -> Self {
        let every = rule.one_more_every.as_millis().max(1);
        let forgotten = now.since(self.last_at).as_millis() / every;
        match u32::try_from(forgotten) {
            Ok(count) if i64::from(count) < self.attempts => Self {
                attempts: self.attempts.saturating_sub(i64::from(count)),
                last_at: self.last_at.after(rule.one_more_every.saturating_mul(count)),
            },
            _ => Self { attempts: 0, last_at: now },
        }
    }

    /// The attempt was none: whoever it was knew the secret.
    #[must_use]
    pub fn give_back(self) -> Self {
        Self { attempts: self.attempts.saturating_sub(1).max(0), ..self }
    }

    /// When nothing is left of it.
    pub fn forgotten_at(self, rule: &SteadyRule) -> Timestamp {
        let count = u32::try_from(self.attempts).unwrap_or(u32::MAX);
        self.last_at.after(rule.one_more_every.saturating_mul(count))
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

    const STEADY: SteadyRule =
        SteadyRule { attempts_max: 3, one_more_every: Duration::from_secs(60) };

    fn admitted(outcome: ThrottleOutcome) -> ThrottleState {
        match outcome {
            ThrottleOutcome::Admitted(state) => state,
            ThrottleOutcome::Wait(wait) => panic!("refused for {wait:?}"),
        }
    }

    #[test]
    fn a_steady_limit_forgets_one_attempt_at_a_time_however_many_more_come() {
        let mut state = ThrottleState::default();
        let start = Timestamp::from_seconds(1_000_000);
        let at = |seconds| start.after(Duration::from_secs(seconds));
        for _ in 0..3 {
            state = admitted(state.attempt_steadily(&STEADY, start));
        }
        let wait = |seconds| ThrottleOutcome::Wait(Duration::from_secs(seconds));
        assert_eq!(state.attempt_steadily(&STEADY, start), wait(60));
        assert_eq!(state.attempt_steadily(&STEADY, at(45)), wait(15));
        // Attempts that come too early do not make it longer, and half a minute is not lost.
        state = admitted(state.attempt_steadily(&STEADY, at(90)));
        assert_eq!(state.attempt_steadily(&STEADY, at(90)), wait(30));
        state = admitted(state.attempt_steadily(&STEADY, at(120)));
        assert_eq!(state.attempt_steadily(&STEADY, at(120)), wait(60));
        assert_eq!(state.forgotten_at(&STEADY), at(300));
        let fresh = ThrottleState { attempts: 1, last_at: at(300) };
        assert_eq!(admitted(state.attempt_steadily(&STEADY, at(300))), fresh);
    }

    #[test]
    fn an_attempt_that_is_given_back_was_none() {
        let now = Timestamp::from_seconds(1_000_000);
        let mut state = ThrottleState::default();
        for _ in 0..100 {
            state = admitted(state.attempt_steadily(&STEADY, now)).give_back();
        }
        assert_eq!(state, ThrottleState { attempts: 0, last_at: now });
        assert_eq!(state.give_back(), state, "never below none");
    }
}
