//! The header `Range` (RFC 9110 §14.2): which bytes of a file an answer carries. Pure.

/// The bytes to send: `first..=last` of a file that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Whole,
    Part { first: u64, last: u64 },
    Unsatisfiable,
}

/// One range of a set: what it asks for may not be there.
enum Wanted {
    Part { first: u64, last: u64 },
    Nothing,
}

/// A header that is not understood is ignored and the whole file sent. Of a set, ranges that lie
/// outside the file are dropped (§14.1.1); if none is left there is no answer but 416, and if
/// several are, the whole file is sent: §14.2 allows that, and a multipart answer serves nobody.
pub(crate) fn read(header: Option<&str>, size: u64) -> Span {
    let Some((unit, set)) = header.and_then(|value| value.trim().split_once('=')) else {
        return Span::Whole;
    };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Span::Whole;
    }
    // Lists may have empty elements (§5.6.1.2).
    let ranges = set.split(',').map(str::trim).filter(|range| !range.is_empty());
    let mut found = None;
    for range in ranges {
        match (read_one(range, size), found) {
            (None, _) => return Span::Whole,
            (Some(Wanted::Part { first, last }), None | Some(Span::Unsatisfiable)) => {
                found = Some(Span::Part { first, last });
            }
            (Some(Wanted::Part { .. }), _) => found = Some(Span::Whole),
            (Some(Wanted::Nothing), None) => found = Some(Span::Unsatisfiable),
            (Some(Wanted::Nothing), _) => {}
        }
    }
    found.unwrap_or(Span::Whole)
}

/// `None`: not a range.
fn read_one(range: &str, size: u64) -> Option<Wanted> {
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    match (number(first), number(last)) {
        // The last bytes of the file: "-500".
        (None, Some(count)) if first.is_empty() => Some(match size.min(count) {
            0 => Wanted::Nothing,
            count => Wanted::Part { first: size - count, last: size - 1 },
        }),
        (Some(first), None) if last.is_empty() => Some(up_to_the_end(first, u64::MAX, size)),
        (Some(first), Some(last)) if first <= last => Some(up_to_the_end(first, last, size)),
        _ => None,
    }
}

fn up_to_the_end(first: u64, last: u64, size: u64) -> Wanted {
    if first >= size {
        return Wanted::Nothing;
    }
    Wanted::Part { first, last: last.min(size - 1) }
}

/// Digits only; more than fit in 64 bits are as good as the largest number.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}
