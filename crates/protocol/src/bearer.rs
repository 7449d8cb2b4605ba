//! Bearer tokens at the API (RFC 6750): reading the header, and the challenge of a refusal.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::params::Params;
use crate::scope::ScopeSet;

/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// Answered with a bare challenge: no error code (RFC 6750 §3.1).
    #[error("no bearer token was sent")]
    Missing,
    #[error("more than one Authorization header was sent")]
    Several,
    #[error("the bearer token is not readable")]
    Malformed,
}

/// The token of the one `Authorization: Bearer` header.
pub fn token_from(headers: &HeaderMap) -> Result<&str, BearerError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(BearerError::Missing)?;
    if values.next().is_some() {
        return Err(BearerError::Several);
    }
    parse(value.as_bytes())
}

/// A token as it was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented<'a> {
    pub token: &'a str,
    /// It came without a scheme: good only in a dialect that takes that.
    pub is_bare: bool,
}

/// Like [`token_from`], but `Authorization: TOKEN` without a scheme is seen too.
pub fn presented_in(headers: &HeaderMap) -> Result<Presented<'_>, BearerError> {
    let strict = token_from(headers);
    if strict != Err(BearerError::Missing) {
        return strict.map(|token| Presented { token, is_bare: false });
    }
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .filter(|text| is_token(text))
        .map(|token| Presented { token, is_bare: true })
        .ok_or(BearerError::Missing)
}

/// Reads one header value. Another scheme counts as no bearer token.
pub fn parse(value: &[u8]) -> Result<&str, BearerError> {
    let value = std::str::from_utf8(value).map_err(|_| BearerError::Malformed)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(BearerError::Missing);
    }
    let token = token.trim_start_matches(' ');
    if is_token(token) { Ok(token) } else { Err(BearerError::Malformed) }
}

/// RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && text.len() <= TOKEN_BYTES_MAX && body.bytes().all(legal)
}

/// Whether a query carries a token, which is refused: it would be logged (attack X3).
pub fn query_carries_token(query: Option<&str>) -> bool {
    let Some(query) = query else { return false };
    match Params::parse(query.as_bytes()) {
        Ok(params) => params.contains("access_token"),
        // The upstream's own queries may be looser than ours; the plain spelling is still found.
        Err(_) => query.split('&').any(|pair| pair.split('=').next() == Some("access_token")),
    }
}

/// Error codes of RFC 6750 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BearerErrorCode {
    InvalidRequest,
    InvalidToken,
    InsufficientScope,
}

impl BearerErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

/// Builds `WWW-Authenticate: Bearer …`.
#[derive(Debug, Clone, Default)]
pub struct Challenge {
    attributes: Vec<(&'static str, String)>,
}

impl Challenge {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn realm(self, realm: &str) -> Self {
        self.with("realm", realm)
    }

    #[must_use]
    pub fn error(self, code: BearerErrorCode, description: &str) -> Self {
        self.with("error", code.as_str()).with("error_description", description)
    }

    /// All missing scopes at once: clients ask for exactly these and try again.
    #[must_use]
    pub fn scope(self, missing: &ScopeSet) -> Self {
        self.with("scope", &missing.to_string())
    }

    /// Address of the API's metadata (RFC 9728 §5.1).
    #[must_use]
    pub fn resource_metadata(self, url: &str) -> Self {
        self.with("resource_metadata", url)
    }

    pub fn to_header_value(&self) -> HeaderValue {
        let mut text = String::from("Bearer");
        for (index, (name, value)) in self.attributes.iter().enumerate() {
            text.push_str(if index == 0 { " " } else { ", " });
            text.push_str(name);
            text.push('=');
            push_quoted(&mut text, value);
        }
        // `push_quoted` leaves only visible ASCII, so the bare scheme is never needed; it is what
        // a client understands all the same.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.attributes.push((name, value.to_owned()));
        self
    }
}

/// RFC 9110 §5.6.4: quoted-string, with anything but visible ASCII and space replaced.
fn push_quoted(target: &mut String, value: &str) {
    target.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => target.extend(['\\', character]),
            ' '..='~' => target.push(character),
            _ => target.push('?'),
        }
    }
    target.push('"');
}

#[cfg(test)]
mod tests;
