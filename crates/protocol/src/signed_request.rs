//! Requests that prove themselves with a signature by a key pair instead of a token, as a dialect
//! writes them: header names, members of the body and answers are data of its file. What is alike
//! in all of them: the payload is the body in base64, and a MAC over the payload's text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::de::{self, Deserializer as _, IgnoredAny, MapAccess, Visitor};

use crate::mac::{MAC_BYTES_MAX, MacKey};
use crate::template::{Placeholder, Slot, Template};

pub use crate::mac::Digest;

/// Longest name of a key that is looked at.
const KEY_BYTES_MAX: usize = 128;

/// How signed requests look. Made from a dialect file by `consentry::config`, which checks it.
#[derive(Debug, Clone)]
pub struct SignedForm {
    pub key_header: HeaderName,
    pub payload_header: HeaderName,
    pub signature_header: HeaderName,
    pub digest: Digest,
    pub encoding: Encoding,
    /// The signature does not cover the method, so there is only one.
    pub method: Method,
    pub members: Members,
    /// How far from now the nonce of a window may lie, either way.
    pub window: Duration,
    pub refusals: SignedRefusals,
}

/// How the signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Hex,
    Base64,
}

impl Encoding {
    pub const ALL: [Self; 2] = [Self::Hex, Self::Base64];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }
}

/// What the members of the body are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// The path that is called.
    pub request: String,
    pub nonce: String,
    /// A truth value: the nonce is a time of day in milliseconds, near now and used once. `None`:
    /// nonces increase.
    pub window: Option<String>,
}

/// Why a signed request is not let through, as dialect files name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignedRefusal {
    /// The header with the payload is not there.
    PayloadMissing,
    /// It is not the body, or the body is not an object of JSON that can be read.
    PayloadInvalid,
    /// No signature, a wrong one, or one by a key that does not exist.
    SignatureInvalid,
    RequestMissing,
    /// Signed for another path, or with a query, which no signature covers.
    RequestMismatch,
    NonceMissing,
    /// It is not greater than the last one, or was used.
    NonceUsed,
    NonceEarly,
    NonceLate,
    /// The member that asks for a window is no truth value.
    WindowInvalid,
    KeyDisabled,
    /// The app or the user may do nothing.
    NotActive,
    AddressNotAllowed,
    /// The user did not allow this endpoint, or the app is not approved for it.
    NotPermitted,
}

impl SignedRefusal {
    pub const ALL: [Self; 14] = [
        Self::PayloadMissing,
        Self::PayloadInvalid,
        Self::SignatureInvalid,
        Self::RequestMissing,
        Self::RequestMismatch,
        Self::NonceMissing,
        Self::NonceUsed,
        Self::NonceEarly,
        Self::NonceLate,
        Self::WindowInvalid,
        Self::KeyDisabled,
        Self::NotActive,
        Self::AddressNotAllowed,
        Self::NotPermitted,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PayloadMissing => "payload_missing",
            Self::PayloadInvalid => "payload_invalid",
            Self::SignatureInvalid => "signature_invalid",
            Self::RequestMissing => "request_missing",
            Self::RequestMismatch => "request_mismatch",
            Self::NonceMissing => "nonce_missing",
            Self::NonceUsed => "nonce_used",
            Self::NonceEarly => "nonce_early",
            Self::NonceLate => "nonce_late",
            Self::WindowInvalid => "window_invalid",
            Self::KeyDisabled => "key_disabled",
            Self::NotActive => "not_active",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::NotPermitted => "not_permitted",
        }
    }

    /// For the app's developer, where a dialect has no words of its own.
    pub const fn words(self) -> &'static str {
        match self {
            Self::PayloadMissing => "the payload is missing",
            Self::PayloadInvalid => "the signed content is not the body, or cannot be read",
            Self::SignatureInvalid => "the signature is not valid",
            Self::RequestMissing => "the signed content does not name the request",
            Self::RequestMismatch => "the signature is for another request",
            Self::NonceMissing => "the nonce is missing or is no whole number",
            Self::NonceUsed => "the nonce was used, or is not greater than the last one",
            Self::NonceEarly => "the nonce lies too far in the past",
            Self::NonceLate => "the nonce lies too far in the future",
            Self::WindowInvalid => "whether the nonce has a window must be true or false",
            Self::KeyDisabled => "the key is disabled",
            Self::NotActive => "the app or the user of the key is not active",
            Self::AddressNotAllowed => "this app may not call from this address",
            Self::NotPermitted => "the key may not call this endpoint",
        }
    }
}

impl fmt::Display for SignedRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for SignedRefusal {}

/// How refusals are answered.
#[derive(Debug, Clone)]
pub struct SignedRefusals {
    pub template: Template<SignedWord>,
    pub status: StatusCode,
    /// Where it is another one.
    pub statuses: BTreeMap<SignedRefusal, StatusCode>,
    /// `{{message}}`, in place of ours.
    pub messages: BTreeMap<SignedRefusal, String>,
}

/// Placeholders of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedWord {
    Message,
    Error,
    Status,
}

impl Placeholder for SignedWord {
    const ALL: &'static [(&'static str, Self)] =
        &[("message", Self::Message), ("error", Self::Error), ("status", Self::Status)];
}

/// What the headers of a signed request say. Nothing is proven yet.
#[derive(Debug, Clone, Copy)]
pub struct SignedHeaders<'a> {
    /// The public half of a key.
    pub key: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What the signed body says of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub nonce: i64,
    /// The nonce is a time of day in milliseconds.
    pub has_window: bool,
}

impl SignedForm {
    /// A published client names its key in every request, also in those that carry a token.
    pub fn is_used_in(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(&self.payload_header)
            || headers.contains_key(&self.signature_header)
            || headers.contains_key(&self.key_header) && !headers.contains_key(AUTHORIZATION)
    }

    pub fn headers(&self) -> [&HeaderName; 3] {
        [&self.key_header, &self.payload_header, &self.signature_header]
    }

    pub fn read_headers<'a>(
        &self,
        headers: &'a HeaderMap,
    ) -> Result<SignedHeaders<'a>, SignedRefusal> {
        let one = |name: &HeaderName| {
            let mut values = headers.get_all(name).iter();
            let first = values.next().map(HeaderValue::to_str);
            match (first, values.next()) {
                (None, _) => Ok(None),
                (Some(Ok(text)), None) => Ok(Some(text)),
                // Two programs could read two different ones.
                _ => Err(()),
            }
        };
        let payload = one(&self.payload_header).map_err(|()| SignedRefusal::PayloadInvalid)?;
        let payload = payload.ok_or(SignedRefusal::PayloadMissing)?;
        let unproven = SignedRefusal::SignatureInvalid;
        let (Ok(Some(key)), Ok(Some(signature))) =
            (one(&self.key_header), one(&self.signature_header))
        else {
            return Err(unproven);
        };
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(unproven);
        }
        Ok(SignedHeaders { key, payload, signature })
    }

    /// In constant time.
    pub fn verify(&self, signed: &SignedHeaders<'_>, key: &MacKey) -> Result<(), SignedRefusal> {
        let mut bytes = [0; MAC_BYTES_MAX];
        let text = signed.signature.as_bytes();
        let mac = match self.encoding {
            Encoding::Hex => decode_hex(text, &mut bytes),
            Encoding::Base64 => {
                STANDARD.decode_slice(text, &mut bytes).ok().and_then(|length| bytes.get(..length))
            }
        };
        let is_good =
            mac.is_some_and(|mac| key.verify(self.digest, signed.payload.as_bytes(), mac));
        if is_good { Ok(()) } else { Err(SignedRefusal::SignatureInvalid) }
    }

    /// What the body says, once it is known to be the payload. `path` is the one that was matched.
    pub fn read_body(&self, body: &[u8], path: &str) -> Result<Said, SignedRefusal> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let read = reader.deserialize_map(BodyVisitor(&self.members));
        let read = read.and_then(|said| reader.end().map(|()| said));
        let Raw { request, nonce, window } = read.map_err(|_| SignedRefusal::PayloadInvalid)?;
        let request = match request {
            Some(Scalar::Text(request)) if !request.is_empty() => request,
            _ => return Err(SignedRefusal::RequestMissing),
        };
        if request != path {
            return Err(SignedRefusal::RequestMismatch);
        }
        let nonce = match nonce {
            Some(Scalar::Number(nonce)) => Some(nonce),
            Some(Scalar::Text(text)) => whole_number(&text),
            _ => None,
        };
        let has_window = match window {
            None | Some(Scalar::Null) => false,
            Some(Scalar::Truth(truth)) => truth,
            Some(_) => return Err(SignedRefusal::WindowInvalid),
        };
        Ok(Said { nonce: nonce.ok_or(SignedRefusal::NonceMissing)?, has_window })
    }

    /// Status and compact JSON.
    pub fn render(&self, refusal: SignedRefusal) -> (StatusCode, String) {
        let SignedRefusals { template, status, statuses, messages } = &self.refusals;
        let status = statuses.get(&refusal).copied().unwrap_or(*status);
        let body = template.render(|word| {
            Some(match word {
                SignedWord::Message => {
                    let message = messages.get(&refusal);
                    Slot::Text(message.map_or(refusal.words(), String::as_str).into())
                }
                SignedWord::Error => Slot::Text(refusal.as_str().into()),
                SignedWord::Status => Slot::Number(status.as_u16().into()),
            })
        });
        (status, body)
    }
}

impl SignedHeaders<'_> {
    /// Whether the payload is `body`, in the one spelling of base64. Compared piece by piece, so
    /// that the body is not there twice.
    pub fn carry(&self, body: &[u8]) -> Result<(), SignedRefusal> {
        const PIECE: usize = 1024;
        let mut decoded = [0; PIECE / 4 * 3];
        let mut rest = body;
        for piece in self.payload.as_bytes().chunks(PIECE) {
            let length = STANDARD.decode_slice(piece, &mut decoded).ok();
            let part = length.and_then(|length| decoded.get(..length));
            rest = part
                .and_then(|part| rest.strip_prefix(part))
                .ok_or(SignedRefusal::PayloadInvalid)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(SignedRefusal::PayloadInvalid) }
    }
}

/// Digits alone: what `i64` would also read (`+1`, `-1`) is no nonce.
fn whole_number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn decode_hex<'b>(text: &[u8], bytes: &'b mut [u8; MAC_BYTES_MAX]) -> Option<&'b [u8]> {
    let length = text.len() / 2;
    if !text.len().is_multiple_of(2) || length > MAC_BYTES_MAX {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = crate::params::hex_value(*high)? * 16 + crate::params::hex_value(*low)?;
    }
    bytes.get(..length)
}

/// The three members, as they were sent.
#[derive(Default)]
struct Raw<'de> {
    request: Option<Scalar<'de>>,
    nonce: Option<Scalar<'de>>,
    window: Option<Scalar<'de>>,
}

enum Scalar<'de> {
    Text(Cow<'de, str>),
    /// Not below zero.
    Number(i64),
    Truth(bool),
    Null,
    Other,
}

struct BodyVisitor<'m>(&'m Members);

/// Reads one object and skips what it does not know, at any depth without recursion (attack X1).
/// A member that is there twice is refused: the upstream could read the other one.
impl<'de> Visitor<'de> for BodyVisitor<'_> {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Raw<'de>, A::Error> {
        let Members { request, nonce, window } = self.0;
        let mut raw = Raw::default();
        while let Some(Text(name)) = members.next_key()? {
            let slot = match &*name {
                name if name == request => &mut raw.request,
                name if name == nonce => &mut raw.nonce,
                name if Some(name) == window.as_deref() => &mut raw.window,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(members.next_value()?).is_some() {
                return Err(de::Error::custom("a member is there twice"));
            }
        }
        Ok(raw)
    }
}

/// Borrowed where it has no escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> de::Deserialize<'de> for Text<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Ok(Self(text)),
            _ => Err(de::Error::custom("a name is a text")),
        }
    }
}

impl<'de> de::Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

/// Lists and objects are refused by the default methods.
impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true, false or null")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(i64::try_from(number).map_or(Scalar::Other, Scalar::Number))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Truth(truth))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }
}

#[cfg(test)]
mod tests;
