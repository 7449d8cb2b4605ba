//! The context of a trace (W3C Trace Context, level 1): which requests belong together across
//! systems. Believed from trusted proxies only: a stranger must not choose what is traced.

use domain::entropy::{Entropy, random_bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Where a request stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace_id: [u8; 16],
    pub(super) parent: Option<[u8; 8]>,
    /// Of the request here.
    pub(super) span: [u8; 8],
    /// Of the call to the upstream, if it becomes one.
    pub(super) upstream_span: [u8; 8],
    /// Whether it is told to the collector.
    pub(super) sampled: bool,
}

impl Context {
    /// Go on with the trace of a trusted caller, or begin one if the request is `sampled`. One that
    /// is not costs nothing.
    pub(super) fn of(headers: &HeaderMap, entropy: &dyn Entropy, sampled: bool) -> Option<Self> {
        let given = headers.get(TRACEPARENT).and_then(|value| parse(value.to_str().ok()?));
        if given.is_none() && !sampled {
            return None;
        }
        let random = random_bytes::<32>(entropy);
        let part = |at: usize| -> [u8; 8] {
            random.get(at..at + 8).and_then(|part| part.try_into().ok()).unwrap_or([1; 8])
        };
        let (span, upstream_span) = (part(16), part(24));
        Some(match given {
            Some((trace_id, parent, sampled)) => {
                Self { trace_id, parent: Some(parent), span, upstream_span, sampled }
            }
            None => {
                let trace_id = (u128::from(u64::from_be_bytes(part(0))) << 64
                    | u128::from(u64::from_be_bytes(part(8))))
                .to_be_bytes();
                Self { trace_id, parent: None, span, upstream_span, sampled }
            }
        })
    }

    /// What the upstream is told.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let flags = u8::from(self.sampled);
        let (trace, span) = (hex(&self.trace_id), hex(&self.upstream_span));
        if let Ok(value) = HeaderValue::try_from(format!("00-{trace}-{span}-{flags:02x}")) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

/// What a stranger says of traces goes no further.
pub(super) fn remove(headers: &mut HeaderMap) {
    headers.remove(TRACEPARENT);
    headers.remove(TRACESTATE);
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// `00-TRACE-PARENT-FLAGS` (§3.2); later versions may have more behind.
fn parse(text: &str) -> Option<([u8; 16], [u8; 8], bool)> {
    let mut parts = text.trim().split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let [version] = bytes::<1>(version)?;
    let [flags] = bytes::<1>(flags)?;
    if version == 0xff || version == 0 && parts.next().is_some() {
        return None;
    }
    let (trace, parent) = (bytes::<16>(trace)?, bytes::<8>(parent)?);
    // All zeros stand for nothing (§3.2.2.3, §3.2.2.4).
    (trace != [0; 16] && parent != [0; 8]).then_some((trace, parent, flags & 1 == 1))
}

/// Lower-case hexadecimal digits of exactly `N` bytes.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(is_hex) {
        return None;
    }
    let mut out = [0; N];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEntropy;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_trace_goes_on_under_the_callers_id_and_decision() {
        let context = Context::of(&headers(GIVEN), &SystemEntropy, false).unwrap();
        assert_eq!(hex(&context.trace_id), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.parent.map(|span| hex(&span)).as_deref(), Some("b7ad6b7169203331"));
        assert!(context.sampled, "the caller traces it");
        let mut passed = headers(GIVEN);
        context.write(&mut passed);
        let written = passed.get(TRACEPARENT).unwrap().to_str().unwrap();
        let (trace, parent, sampled) = parse(written).unwrap();
        assert_eq!((trace, parent, sampled), (context.trace_id, context.upstream_span, true));
    }

    #[test]
    fn what_is_no_context_begins_a_trace() {
        for wrong in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            let context = Context::of(&headers(wrong), &SystemEntropy, true).unwrap();
            assert_eq!((context.parent, context.sampled), (None, true), "{wrong}");
            assert_eq!(Context::of(&headers(wrong), &SystemEntropy, false), None, "{wrong}");
        }
        assert!(parse("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more").is_some());
    }
}
