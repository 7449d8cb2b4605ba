//! The `Range` header (RFC 9110 §14): which bytes of a file an answer carries. Pure.

/// The bytes to send: `first..=last` of a file that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Whole,
    Part { first: u64, last: u64 },
    Unsatisfiable,
}

/// A header that is not understood, or asks for several ranges, is ignored and the whole file
/// sent: RFC 9110 §14.2 allows that, and a multipart answer serves nobody here.
pub(crate) fn read(header: Option<&str>, size: u64) -> Span {
    let Some(range) = header.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Span::Whole;
    };
    let Some((first, last)) = range.split_once('-') else {
        return Span::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    match (number(first), number(last)) {
        // The last bytes of the file: "-500".
        (None, Some(count)) if first.is_empty() => match size.min(count) {
            0 => Span::Unsatisfiable,
            count => Span::Part { first: size - count, last: size - 1 },
        },
        (Some(first), None) if last.is_empty() => up_to_the_end(first, u64::MAX, size),
        (Some(first), Some(last)) if first <= last => up_to_the_end(first, last, size),
        _ => Span::Whole,
    }
}

fn up_to_the_end(first: u64, last: u64, size: u64) -> Span {
    if first >= size {
        return Span::Unsatisfiable;
    }
    Span::Part { first, last: last.min(size - 1) }
}

/// Digits only; more than fit in 64 bits are as good as the largest number.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}
