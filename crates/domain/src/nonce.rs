//! Numbers used once by signed requests, and how one node judges them in memory without ever
//! accepting one twice. Pure. What a node may judge by itself is a *reserve*: a range that is noted
//! in the database as used before the first nonce of it is accepted. After a crash all of it counts
//! as used.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::time::Timestamp;

/// How far a reserve reaches beyond the nonce that asks for it, in the key's own time. After a
/// crash a key's requests are refused for this long at most.
pub const RESERVE: Duration = Duration::from_secs(5);
/// Moments are remembered this long. No window reaches farther back.
pub const KEPT: Duration = Duration::from_secs(60);
/// Moments of one key that are remembered at once.
pub const SEEN_MAX: usize = 50_000;

/// A nonce that is a time of day, but does not keep pace with it, is a counter that began there.
const DRIFT_MAX_MS: i64 = 500;
/// So long the pace is watched before anything is reserved ahead.
const WATCHED: Duration = Duration::from_secs(1);
/// Clocks of clients may be off by this much.
const OFF_MAX_MS: i64 = 24 * 3600 * 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonceRefusal {
    #[error("the nonce is not greater than the last one")]
    NotGreater,
    #[error("the nonce lies too far in the past")]
    TooEarly,
    #[error("the nonce lies too far in the future")]
    TooLate,
    #[error("the nonce was used")]
    Used,
    #[error("too many nonces in one window")]
    TooMany,
}

/// What to do about a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Accept,
    Refuse(NonceRefusal),
    /// Note in the database that everything up to here may be used; accept it if that succeeds.
    Reserve {
        until: i64,
    },
}

/// A nonce as a request presented it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonce {
    /// Greater than every earlier one of its key.
    Increasing(i64),
    /// Used once, near the time of day.
    Moment(Moment),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: Timestamp,
    /// Tells nonces of the same moment apart.
    pub id: [u8; 16],
    /// How far from now it may lie, either way. Not more than [`KEPT`].
    pub window: Duration,
}

/// The increasing nonces of one key, as one node sees them.
#[derive(Clone, Copy, Debug)]
pub struct Increasing {
    last: i64,
    until: i64,
    pace: Option<Pace>,
}

/// A key whose nonces are times of day.
#[derive(Clone, Copy, Debug)]
struct Pace {
    unit: Unit,
    /// How far the first nonce was from the clock.
    offset_ms: i64,
    since: Timestamp,
}

/// What a time of day may be counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Seconds, Self::Millis, Self::Micros, Self::Nanos];

    fn millis_of(self, nonce: i64) -> i64 {
        match self {
            Self::Seconds => nonce.saturating_mul(1000),
            Self::Millis => nonce,
            Self::Micros => nonce / 1000,
            Self::Nanos => nonce / 1_000_000,
        }
    }

    fn reserve(self) -> i64 {
        let millis = i64::try_from(RESERVE.as_millis()).unwrap_or_default();
        match self {
            Self::Seconds => millis / 1000,
            Self::Millis => millis,
            Self::Micros => millis * 1000,
            Self::Nanos => millis * 1_000_000,
        }
    }
}

impl Increasing {
    /// All nonces up to `mark` may have been used.
    pub fn after(mark: i64) -> Self {
        Self { last: mark, until: mark, pace: None }
    }

    /// `may_reserve`: no other node is asked about this key, so a reserve refuses nobody.
    pub fn judge(&mut self, nonce: i64, now: Timestamp, may_reserve: bool) -> Step {
        if nonce <= self.last {
            return Step::Refuse(NonceRefusal::NotGreater);
        }
        let ahead = self.follow(nonce, now);
        if nonce <= self.until {
            self.last = nonce;
            return Step::Accept;
        }
        let ahead = ahead.filter(|_| may_reserve).unwrap_or_default();
        Step::Reserve { until: nonce.saturating_add(ahead) }
    }

    /// The database has noted it.
    pub fn reserved(&mut self, nonce: i64, until: i64) {
        (self.last, self.until) = (nonce, until);
    }

    /// Another node, or this one before a crash, has got as far as `mark`.
    pub fn lost(&mut self, mark: i64) {
        let mark = mark.max(self.last);
        (self.last, self.until) = (mark, mark);
    }

    /// A reserve that is not used up, and what of it is: to be given back at an orderly end.
    pub fn spare(&self) -> Option<(i64, i64)> {
        (self.last < self.until).then_some((self.until, self.last))
    }

    /// How far to reserve ahead: only for nonces that have kept pace with the time of day, so that
    /// time alone gets past a lost reserve.
    fn follow(&mut self, nonce: i64, now: Timestamp) -> Option<i64> {
        let offset = |unit: Unit| unit.millis_of(nonce).saturating_sub(now.as_millis());
        let near = |unit: &Unit| offset(*unit).saturating_abs() <= OFF_MAX_MS;
        let unit = Unit::ALL.into_iter().find(near);
        let Some(unit) = unit else {
            self.pace = None;
            return None;
        };
        // Seconds are rounded by their client.
        let drift_max = if unit == Unit::Seconds { 1000 + DRIFT_MAX_MS } else { DRIFT_MAX_MS };
        match self.pace {
            Some(pace)
                if pace.unit == unit
                    && offset(unit).saturating_sub(pace.offset_ms).saturating_abs()
                        <= drift_max =>
            {
                (now.since(pace.since) >= WATCHED).then(|| unit.reserve())
            }
            _ => {
                self.pace = Some(Pace { unit, offset_ms: offset(unit), since: now });
                None
            }
        }
    }
}

/// The moments of one key, as one node sees them.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Everything up to here may have been used and is not remembered.
    floor: i64,
    until: i64,
    seen: BTreeSet<(i64, [u8; 16])>,
}

impl Moments {
    /// All moments up to `mark` may have been used.
    pub fn after(mark: i64) -> Self {
        Self { floor: mark, until: mark, seen: BTreeSet::new() }
    }

    pub fn judge(&mut self, moment: &Moment, now: Timestamp) -> Step {
        let Moment { at, id, window } = *moment;
        let window = window.min(KEPT);
        if at < now.before(window) {
            return Step::Refuse(NonceRefusal::TooEarly);
        }
        if at > now.after(window) {
            return Step::Refuse(NonceRefusal::TooLate);
        }
        self.forget_before(now.before(KEPT).as_millis());
        let at = at.as_millis();
        if at <= self.floor || self.seen.contains(&(at, id)) {
            return Step::Refuse(NonceRefusal::Used);
        }
        if self.seen.len() >= SEEN_MAX {
            return Step::Refuse(NonceRefusal::TooMany);
        }
        if at <= self.until {
            self.seen.insert((at, id));
            return Step::Accept;
        }
        let ahead = i64::try_from(RESERVE.as_millis()).unwrap_or_default();
        Step::Reserve { until: at.saturating_add(ahead) }
    }

    /// The database has noted all up to `until`.
    pub fn reserved(&mut self, moment: &Moment, until: i64) {
        self.until = self.until.max(until);
        self.used(moment);
    }

    /// The database has noted this one.
    pub fn used(&mut self, moment: &Moment) {
        self.seen.insert((moment.at.as_millis(), moment.id));
    }

    /// A reserve that is not used up, and what of it is.
    pub fn spare(&self) -> Option<(i64, i64)> {
        let last = self.seen.last().map_or(self.floor, |(at, _)| self.floor.max(*at));
        (last < self.until).then_some((self.until, last))
    }

    /// What is forgotten counts as used, whatever the clock says later.
    fn forget_before(&mut self, bound: i64) {
        if self.seen.first().is_some_and(|(at, _)| *at < bound) {
            self.seen = self.seen.split_off(&(bound, [0; 16]));
            self.floor = self.floor.max(bound.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests;
