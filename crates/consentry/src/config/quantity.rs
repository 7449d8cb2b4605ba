//! Durations, sizes and rates as people write them: `10m`, `16MiB`, `100/1m`.

use std::time::Duration;

use domain::policy::Rate;

/// A number and the unit behind it.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim()))
}

pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    const HINT: &str = "Write a whole number with a unit: ms, s, m, h or d, such as \"10m\".";
    let (number, unit) = split(text.trim()).ok_or(HINT)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(HINT),
    };
    match number.checked_mul(millis) {
        Some(0) => Err("Nothing can last for no time."),
        // A hundred years: everything above is a slip, and sums with it would overflow somewhere.
        Some(total) if total <= 36_525 * 86_400_000 => Ok(Duration::from_millis(total)),
        _ => Err("That is more than a hundred years."),
    }
}

pub(super) fn bytes(text: &str) -> Result<u64, &'static str> {
    const HINT: &str = "Write a whole number of bytes, or with a unit: KiB, MiB or GiB.";
    let (number, unit) = split(text.trim()).ok_or(HINT)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(HINT),
    };
    number.checked_mul(factor).ok_or(HINT)
}

/// At least one.
pub(super) fn count(text: &str) -> Result<u32, &'static str> {
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("Write a whole number above 0."),
    }
}

pub(super) fn rate(text: &str) -> Result<Rate, &'static str> {
    const HINT: &str = "Write calls per period, such as \"100/1m\" or \"5/s\".";
    let (requests, period) = text.split_once('/').ok_or(HINT)?;
    let requests = requests.trim().parse().ok().filter(|requests| *requests > 0).ok_or(HINT)?;
    let period = period.trim();
    let period = if period.starts_with(|c: char| c.is_ascii_digit()) {
        duration(period)
    } else {
        duration(&format!("1{period}"))
    };
    Ok(Rate { requests, period: period.map_err(|_| HINT)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_an_end() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("30 d"), Ok(Duration::from_secs(30 * 86_400)));
        for wrong in ["10", "m", "", "1.5h", "-1s", "0s", "99999999d", "18446744073709551615d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_bytes_unless_they_say_otherwise() {
        assert_eq!(bytes("1024"), Ok(1024));
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert!(bytes("16 mb").is_err());
        assert!(bytes("18446744073709551615GiB").is_err());
    }

    #[test]
    fn a_rate_is_calls_per_period() {
        let minute = Duration::from_secs(60);
        assert_eq!(rate("100/1m"), Ok(Rate { requests: 100, period: minute }));
        assert_eq!(rate("100 / m"), Ok(Rate { requests: 100, period: minute }));
        for wrong in ["100", "0/s", "x/s", "5/"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
