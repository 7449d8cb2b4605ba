//! Hours, days and months in UTC, for counting. Pure arithmetic; nothing here knows time zones.

use crate::time::Timestamp;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The beginning of the hour.
pub const fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis().div_euclid(HOUR) * HOUR)
}

/// The beginning of the day.
pub const fn day_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(days(at) * DAY)
}

/// The beginning of the month.
pub const fn month_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis((days(at) - day_of_month(days(at))) * DAY)
}

/// The beginning of the next day.
pub const fn day_after(at: Timestamp) -> Timestamp {
    Timestamp::from_millis((days(at) + 1) * DAY)
}

/// The beginning of the next month.
pub const fn month_after(at: Timestamp) -> Timestamp {
    // No month has more than 31 days, and none fewer than 28.
    month_of(Timestamp::from_millis(month_of(at).as_millis() + 32 * DAY))
}

const fn days(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY)
}

/// Days since the first of the month. The proleptic Gregorian calendar in whole numbers: a year
/// begins in March, so that the leap day is its last, and months alternate in groups of five
/// (153 days).
const fn day_of_month(days_since_1970: i64) -> i64 {
    let day = (days_since_1970 + 719_468).rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    day_of_year - (153 * month + 2) / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days since 1970 of some dates, from a table.
    const DAYS: [(i64, i64, i64); 7] = [
        // day, first of its month, first of the next
        (0, 0, 31),
        (58, 31, 59),
        (11_016, 10_988, 11_017), // 29 February 2000
        (19_782, 19_754, 19_783), // 29 February 2024
        (20_781, 20_758, 20_788), // 24 November 2026
        (20_818, 20_788, 20_819), // 31 December 2026
        (-1, -31, 0),
    ];

    #[test]
    fn months_begin_where_the_calendar_says() {
        for (day, first, next) in DAYS {
            let at = Timestamp::from_millis(day * DAY + 12 * HOUR);
            assert_eq!(month_of(at).as_millis() / DAY, first, "{day}");
            assert_eq!(month_after(at).as_millis() / DAY, next, "{day}");
        }
    }

    #[test]
    fn hours_and_days_are_rounded_down_before_1970_too() {
        assert_eq!(hour_of(Timestamp::from_millis(HOUR + 1)).as_millis(), HOUR);
        assert_eq!(day_of(Timestamp::from_millis(-1)).as_millis(), -DAY);
        assert_eq!(day_after(Timestamp::from_millis(-1)).as_millis(), 0);
    }
}
