//! HTTP Message Signatures (RFC 9421) with a shared secret, and the digest of a body that they
//! cover (RFC 9530): how an app signs a request in the standard's way. One signature,
//! `hmac-sha256`.

use std::borrow::Cow;
use std::fmt::Write as _;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

use crate::mac::{Digest, MacKey};

mod fields;

use fields::{Bare, Fields, FieldsError};

pub const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
pub const SIGNATURE: HeaderName = HeaderName::from_static("signature");
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Components of one signature.
const COMPONENTS_MAX: usize = 32;
/// Longest name of a key, and longest nonce.
const TEXT_BYTES_MAX: usize = 128;

/// What a signature must cover; besides, [`CONTENT_DIGEST`] where there is a body.
pub const REQUIRED: [&str; 4] = ["@method", "@authority", "@path", "@query"];

/// Why a signature is not looked at, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageSignatureError {
    #[error("Signature-Input and Signature must each be there once and readable: {0}")]
    Malformed(&'static str),
    #[error("one signature is expected, there are several")]
    Several,
    #[error("the signature has no {0}")]
    MissingParameter(&'static str),
    #[error("the algorithm of the signature must be hmac-sha256")]
    Algorithm,
    #[error("{0:?} cannot be part of a signature here")]
    UnknownComponent(String),
    #[error("the signature does not cover {0}")]
    NotCovered(&'static str),
    #[error("the signature is not valid")]
    Wrong,
    #[error("Content-Digest is not readable or names no known algorithm")]
    Digest,
    #[error("the body is not the one that was signed")]
    Body,
}

impl From<FieldsError> for MessageSignatureError {
    fn from(FieldsError(what): FieldsError) -> Self {
        Self::Malformed(what)
    }
}

/// The parts of a request that a signature may cover.
#[derive(Debug, Clone, Copy)]
pub struct SignedParts<'a> {
    pub method: &'a str,
    /// `https`
    pub scheme: &'a str,
    /// The host that was asked, with its port unless it is the scheme's own.
    pub authority: &'a str,
    /// In normal form.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

/// A signature as it was sent. Nothing is proven yet.
#[derive(Debug, Clone)]
pub struct MessageSignature {
    components: Vec<String>,
    /// `@signature-params`, in canonical form (RFC 9421 §2.3).
    params: String,
    /// Seconds since 1970.
    pub created: i64,
    pub expires: Option<i64>,
    nonce: Option<String>,
    pub key_id: String,
    mac: Vec<u8>,
}

impl MessageSignature {
    pub fn is_used_in(headers: &HeaderMap) -> bool {
        headers.contains_key(SIGNATURE_INPUT)
    }

    /// # Errors
    /// Everything about the two headers that is not as [`crate::message_signature`] says.
    pub fn read(headers: &HeaderMap) -> Result<Self, MessageSignatureError> {
        let input = joined(headers, &SIGNATURE_INPUT)
            .ok_or(MessageSignatureError::Malformed("Signature-Input is missing"))?;
        let signature = joined(headers, &SIGNATURE)
            .ok_or(MessageSignatureError::Malformed("Signature is missing"))?;
        let mut input = Fields::new(&input)?;
        let label = input.key()?.to_owned();
        input.take('=')?;
        let (components, parameters) = input.inner_list(COMPONENTS_MAX)?;
        if !input.is_over() {
            return Err(MessageSignatureError::Several);
        }
        let mut signature = Fields::new(&signature)?;
        if signature.key()? != label {
            return Err(MessageSignatureError::Malformed("the labels differ"));
        }
        signature.take('=')?;
        let mac = signature.bytes()?;
        if !signature.is_over() {
            return Err(MessageSignatureError::Several);
        }
        Self::from_parts(components, &parameters, mac)
    }

    fn from_parts(
        components: Vec<String>,
        parameters: &[(String, Bare)],
        mac: Vec<u8>,
    ) -> Result<Self, MessageSignatureError> {
        let find = |name: &str| parameters.iter().find(|(of, _)| of == name).map(|(_, bare)| bare);
        let number = |name: &'static str| match find(name) {
            None => Ok(None),
            Some(Bare::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(MessageSignatureError::Malformed("a time is a whole number")),
        };
        let text = |name: &'static str| match find(name) {
            None => Ok(None),
            Some(Bare::Text(text)) if !text.is_empty() && text.len() <= TEXT_BYTES_MAX => {
                Ok(Some(text.clone()))
            }
            Some(_) => Err(MessageSignatureError::Malformed("a text is empty or too long")),
        };
        // Optional in §2.3; here it may only say what is true anyway.
        match find("alg") {
            None => {}
            Some(Bare::Text(alg)) if alg == Digest::Sha256.as_str() => {}
            Some(_) => return Err(MessageSignatureError::Algorithm),
        }
        let missing = MessageSignatureError::MissingParameter;
        let params = canonical(&components, parameters);
        Ok(Self {
            created: number("created")?.ok_or(missing("created"))?,
            expires: number("expires")?,
            nonce: text("nonce")?,
            key_id: text("keyid")?.ok_or(missing("keyid"))?,
            components,
            params,
            mac,
        })
    }

    /// Whether it says and covers enough to stand for a request: its nonce. RFC 9421 §7.2.1: what
    /// is not covered can be altered; §7.2.2: what has no nonce can be sent again.
    pub fn complete(&self, has_body: bool) -> Result<&str, MessageSignatureError> {
        let covers = |name: &str| self.components.iter().any(|component| component == name);
        if let Some(missing) = REQUIRED.into_iter().find(|name| !covers(name)) {
            return Err(MessageSignatureError::NotCovered(missing));
        }
        if has_body && !covers(CONTENT_DIGEST.as_str()) {
            return Err(MessageSignatureError::NotCovered("content-digest"));
        }
        self.nonce.as_deref().ok_or(MessageSignatureError::MissingParameter("nonce"))
    }

    /// In constant time, for what [`MessageSignature::base`] gives.
    pub fn verify(
        &self,
        parts: &SignedParts<'_>,
        key: &MacKey,
    ) -> Result<(), MessageSignatureError> {
        let base = self.base(parts)?;
        match key.verify(Digest::Sha256, base.as_bytes(), &self.mac) {
            true => Ok(()),
            false => Err(MessageSignatureError::Wrong),
        }
    }

    /// RFC 9421 §2.5
    pub fn base(&self, parts: &SignedParts<'_>) -> Result<String, MessageSignatureError> {
        let mut base = String::with_capacity(512);
        for component in &self.components {
            let value = value_of(component, parts)?;
            let _ = writeln!(base, "\"{component}\": {value}");
        }
        let _ = write!(base, "\"@signature-params\": {}", self.params);
        Ok(base)
    }
}

/// RFC 9421 §2.1 and §2.2
fn value_of<'p>(
    component: &str,
    parts: &SignedParts<'p>,
) -> Result<Cow<'p, str>, MessageSignatureError> {
    let query = || format!("?{}", parts.query.unwrap_or_default());
    let target = || match parts.query {
        Some(query) => format!("{}?{query}", parts.path),
        None => parts.path.to_owned(),
    };
    let lower = |text: &'p str| match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    };
    let unknown = || MessageSignatureError::UnknownComponent(component.to_owned());
    Ok(match component {
        "@method" => parts.method.into(),
        "@authority" => lower(parts.authority),
        "@scheme" => parts.scheme.into(),
        "@path" => parts.path.into(),
        "@query" => query().into(),
        "@request-target" => target().into(),
        "@target-uri" => {
            format!("{}://{}{}", parts.scheme, lower(parts.authority), target()).into()
        }
        name if name.starts_with('@') => return Err(unknown()),
        name => {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unknown())?;
            joined(parts.headers, &name).ok_or_else(unknown)?
        }
    })
}

/// All values of a header, without white space around them.
fn joined<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Cow<'h, str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?.trim();
    let Some(second) = values.next() else { return Some(first.into()) };
    let mut all = first.to_owned();
    for value in std::iter::once(second).chain(values) {
        all.push_str(", ");
        all.push_str(value.to_str().ok()?.trim());
    }
    Some(all.into())
}

fn canonical(components: &[String], parameters: &[(String, Bare)]) -> String {
    let mut text = String::with_capacity(256);
    text.push('(');
    for (index, component) in components.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        let _ = write!(text, "{space}\"{component}\"");
    }
    text.push(')');
    for (name, bare) in parameters {
        let _ = match bare {
            Bare::Number(number) => write!(text, ";{name}={number}"),
            Bare::Text(value) => {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                write!(text, ";{name}=\"{value}\"")
            }
        };
    }
    text
}

/// RFC 9530 §2: every digest that we know must be the body's, and there must be one.
pub fn check_content_digest(headers: &HeaderMap, body: &[u8]) -> Result<(), MessageSignatureError> {
    let text = joined(headers, &CONTENT_DIGEST).ok_or(MessageSignatureError::Digest)?;
    let unreadable = |_| MessageSignatureError::Digest;
    let mut digests = Fields::new(&text).map_err(unreadable)?;
    let mut known = 0;
    loop {
        let algorithm = match digests.key().map_err(unreadable)? {
            "sha-256" => Some(&SHA256),
            "sha-512" => Some(&SHA512),
            _ => None,
        };
        digests.take('=').map_err(unreadable)?;
        let said = digests.bytes().map_err(unreadable)?;
        if let Some(algorithm) = algorithm {
            known += 1;
            verify_slices_are_equal(digest(algorithm, body).as_ref(), &said)
                .map_err(|_| MessageSignatureError::Body)?;
        }
        if digests.is_over() {
            break;
        }
        digests.next_member().map_err(unreadable)?;
    }
    if known > 0 { Ok(()) } else { Err(MessageSignatureError::Digest) }
}

/// The value of `Content-Digest` for a body.
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, body)))
}

#[cfg(test)]
mod tests;
