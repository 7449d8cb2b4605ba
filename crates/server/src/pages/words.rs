//! Times and durations in the words that the pages use. English; operators who need another
//! language override the templates and show `iso` instead.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// `2026-03-12T09:00:00Z`, for the attribute `datetime`.
pub fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How `at` is said at `now`: relative within a week of either side, else the date (UTC).
pub fn moment(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second());
    let distance = seconds.saturating_abs();
    if distance < MINUTE {
        return "just now".into();
    }
    if distance >= 7 * DAY {
        return at.strftime("%-d %B %Y").to_string();
    }
    let amount = duration(distance);
    if seconds > 0 { format!("{amount} ago") } else { format!("in {amount}") }
}

/// A duration in its largest whole unit: "15 minutes", "1 hour", "30 days", "10 years".
pub fn duration(seconds: i64) -> String {
    let (amount, unit) = match seconds.saturating_abs() {
        // One year is 365 days: only from two on are years easier to read, and only whole ones.
        s if s >= 2 * YEAR && s % YEAR < DAY => (s / YEAR, "year"),
        s if s >= DAY => (s / DAY, "day"),
        s if s >= HOUR => (s / HOUR, "hour"),
        s if s >= MINUTE => (s / MINUTE, "minute"),
        s => (s, "second"),
    };
    if amount == 1 { format!("1 {unit}") } else { format!("{amount} {unit}s") }
}

/// `1284` as `1,284`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn moments_are_relative_within_a_week_and_dates_beyond() {
        let now = at(1_775_120_400);
        let said = |seconds_ago: i64| moment(now, at(now.as_second() - seconds_ago));
        assert_eq!(said(0), "just now");
        assert_eq!(said(60), "1 minute ago");
        assert_eq!(said(2 * HOUR + 59 * MINUTE), "2 hours ago");
        assert_eq!(said(6 * DAY), "6 days ago");
        assert_eq!(said(7 * DAY), "26 March 2026");
        assert_eq!(said(-3 * HOUR), "in 3 hours");
    }

    #[test]
    fn durations_use_the_largest_whole_unit() {
        assert_eq!(duration(1), "1 second");
        assert_eq!(duration(900), "15 minutes");
        assert_eq!(duration(3600), "1 hour");
        assert_eq!(duration(90 * DAY), "90 days");
        assert_eq!(duration(YEAR), "365 days");
        assert_eq!(duration(800 * DAY), "800 days");
        assert_eq!(duration(10 * YEAR), "10 years");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_284), "1,284");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn iso_is_utc_without_fractions() {
        assert_eq!(iso(at(1_775_120_400)), "2026-04-02T09:00:00Z");
    }
}
