//! Points in time and the clock as a parameter. Durations are `std::time::Duration`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down, as JWT's NumericDate and RFC 7662 want them.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Time elapsed since `earlier`; zero when `earlier` lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        let elapsed = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_millis(elapsed.unsigned_abs())
    }

    /// `2026-04-02T09:00:00.123Z` (RFC 3339), for years of four digits.
    pub fn to_rfc3339(self) -> String {
        const DAY_MS: i64 = 24 * 3600 * 1000;
        let (days, ms) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS));
        // The calendar repeats every 400 years of 146097 days. Years are counted from 1 March, so
        // that a leap day is the last one; 719468 days lie between 0000-03-01 and 1970-01-01.
        let day = days.saturating_add(719_468);
        let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (day, month) = (day - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
        let year = year + era * 400 + i64::from(month <= 2);
        let (s, ms) = (ms / 1000, ms % 1000);
        let (hour, minute, second) = (s / 3600, s / 60 % 60, s % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The only source of "now". Tests advance one by hand.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_the_calendar_has_it() {
        let text = |seconds| Timestamp::from_seconds(seconds).to_rfc3339();
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(text(seconds), expected);
        }
        let with_ms = Timestamp::from_millis(1_775_120_400_007);
        assert_eq!(with_ms.to_rfc3339(), "2026-04-02T09:00:00.007Z");
    }
}
