//! Lines of the log as JSON, one object each. There is one for every request, so they are written
//! straight into one text: the serializer that comes with `tracing-subscriber` took as long for a
//! line as an answer takes (docs/dev/performance.md).

use std::fmt::{self, Write as _};

use domain::time::{Clock, Timestamp};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::system::SystemClock;

/// Longer than most lines.
const LINE_BYTES: usize = 512;

/// Formats events; spans, of which there are none here, are not told.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        out.write_str(&line_of(event, SystemClock.now()))
    }
}

fn line_of(event: &Event<'_>, now: Timestamp) -> String {
    let meta = event.metadata();
    let mut line = Line { text: String::with_capacity(LINE_BYTES), target: None };
    line.text.push_str("{\"timestamp\":\"");
    push_time(&mut line.text, now);
    line.text.push_str("\",\"level\":\"");
    line.text.push_str(meta.level().as_str());
    line.text.push('"');
    event.record(&mut line);
    let Line { mut text, target } = line;
    text.push_str(",\"target\":\"");
    push_escaped(&mut text, target.as_deref().unwrap_or(meta.target()));
    text.push_str("\"}\n");
    text
}

/// A line to which fields are added.
struct Line {
    text: String,
    /// Of a library that logs with the crate `log`, whose events all have the same one otherwise.
    target: Option<String>,
}

impl Line {
    /// `false`: what would follow is not wanted.
    fn begin(&mut self, field: &Field) -> bool {
        let name = field.name();
        if name.starts_with("log.") {
            return false;
        }
        self.text.push_str(",\"");
        push_escaped(&mut self.text, name.strip_prefix("r#").unwrap_or(name));
        self.text.push_str("\":");
        true
    }

    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        if self.begin(field) {
            // Writing into a text does not fail.
            let _ = write!(self.text, "{value}");
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        } else if self.begin(field) {
            self.text.push('"');
            push_escaped(&mut self.text, value);
            self.text.push('"');
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.begin(field) {
            self.text.push('"');
            let _ = write!(Escaped(&mut self.text), "{value:?}");
            self.text.push('"');
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        match value.is_finite() {
            true => self.bare(field, value),
            false => self.bare(field, "null"),
        }
    }
}

/// The inside of a JSON string.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

/// RFC 8259 §7: quotes, backslashes and control characters; nothing else needs to be escaped.
fn push_escaped(out: &mut String, text: &str) {
    let needs_escape = |c: char| matches!(c, '"' | '\\' | '\0'..='\x1f');
    if !text.bytes().any(|byte| needs_escape(char::from(byte))) {
        return out.push_str(text);
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if needs_escape(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// RFC 3339, in UTC, to the millisecond.
fn push_time(out: &mut String, at: Timestamp) {
    let (days, millis) = (at.as_millis().div_euclid(DAY_MS), at.as_millis().rem_euclid(DAY_MS));
    let (year, month, day) = date_of(days);
    for (value, digits, mark) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (millis / 3_600_000, 2, ':'),
        (millis / 60_000 % 60, 2, ':'),
        (millis / 1000 % 60, 2, '.'),
        (millis % 1000, 3, 'Z'),
    ] {
        push_digits(out, value, digits);
        out.push(mark);
    }
}

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The last `count` digits of `value`.
fn push_digits(out: &mut String, value: i64, count: u32) {
    for place in (0..count).rev() {
        let digit = value / 10_i64.pow(place) % 10;
        out.push(u32::try_from(digit).ok().and_then(|d| char::from_digit(d, 10)).unwrap_or('?'));
    }
}

/// Year, month and day of a day counted from 1970-01-01. A year of this count begins in March, so
/// that the leap day is its last; 400 of them always have as many days.
fn date_of(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    use super::*;

    struct Keep(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Keep {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let at = Timestamp::from_millis(1_709_210_096_007);
            self.0.lock().unwrap().push(line_of(event, at));
        }
    }

    fn lines(log: impl FnOnce()) -> Vec<Value> {
        let kept = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Keep(Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, log);
        let kept = kept.lock().unwrap();
        kept.iter()
            .map(|line| serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn a_line_says_when_and_what_as_one_json_object() {
        let found = lines(|| {
            tracing::warn!(target: "a::b", status = 200_u64, left = -1_i64, is = true, part = 0.5,
                nan = f64::NAN, none = None::<u64>, some = Some("x"), shown = %'y', "said");
        });
        let wanted = json!({
            "timestamp": "2024-02-29T12:34:56.007Z", "level": "WARN", "message": "said",
            "status": 200, "left": -1, "is": true, "part": 0.5, "nan": null, "some": "x",
            "shown": "y", "target": "a::b",
        });
        assert_eq!(found, [wanted]);
    }

    #[test]
    fn what_somebody_sent_cannot_end_a_line_or_begin_a_field() {
        let nasty = "a\",\"level\":\"x\\\n\r\t\u{0}\u{1f}\u{7f}é\u{2028}";
        let found = lines(|| tracing::info!(text = nasty, debugged = ?nasty, "{nasty}"));
        let found = found.first().unwrap();
        assert_eq!(found.get("text").unwrap(), nasty);
        assert_eq!(found.get("message").unwrap(), nasty);
        assert_eq!(*found.get("debugged").unwrap(), format!("{nasty:?}"));
        assert_eq!(found.get("level").unwrap(), "INFO");
    }

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
            (20_781, (2026, 11, 24)),
        ] {
            assert_eq!(date_of(days), date);
        }
    }
}
