//! Redirect URIs: what may be registered, and when a presented one is the registered one.
//!
//! Comparison is exact text, no patterns, no decoding (RFC 9700 §4.1.3). So registration refuses
//! every spelling that a browser would read differently from what the text says.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::params::{Params, hex_value};

/// Longest redirect URI, in bytes.
pub const BYTES_MAX: usize = 2000;

/// Parameters that an authorization answer adds. A registered URI that has one already would give
/// the client two (attack R7).
const ANSWER_PARAMS: [&str; 6] =
    ["code", "state", "iss", "error", "error_description", "error_uri"];

/// Which kinds of URI an app may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectPolicy {
    /// Runs on a server or in a browser: https, or http on the developer's own machine.
    Web,
    /// Runs on the user's device: also custom schemes, and any port on a loopback address.
    Native,
}

/// A redirect URI that passed registration.
#[derive(Clone, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    policy: RedirectPolicy,
    destination: Destination,
}

/// Where the user is sent, as the consent page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The host with its port if it has one, or the custom scheme.
    pub host: String,
    pub kind: DestinationKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationKind {
    Https,
    /// A program on the user's own device.
    Loopback,
    /// An app on the user's own device that claims this scheme; another app may claim it too.
    CustomScheme,
}

/// Why a redirect URI cannot be registered, told to the developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    #[error("a redirect URI is missing")]
    Empty,
    #[error("the redirect URI is longer than {BYTES_MAX} characters")]
    TooLong,
    #[error("the redirect URI contains a space or a control character")]
    ControlOrSpace,
    #[error("the redirect URI must be ASCII; write an international host name as xn--…")]
    NotAscii,
    #[error("the redirect URI contains {0:?}, which a URI cannot contain")]
    IllegalCharacter(char),
    #[error("the redirect URI contains a backslash, which browsers read as a slash")]
    Backslash,
    #[error("the redirect URI contains a fragment (#…); remove it")]
    Fragment,
    #[error("the redirect URI is not absolute; it must start with https://")]
    NotAbsolute,
    #[error("{0}: addresses run or read something in the browser and cannot be a redirect URI")]
    DangerousScheme(String),
    #[error("http:// is allowed only for 127.0.0.1, [::1] and localhost; use https://")]
    NotHttps,
    #[error("only native apps may use a custom scheme; use https://")]
    CustomSchemeNotNative,
    #[error(
        "a custom scheme must be a domain name that you own, written backwards, \
         such as com.example.app (RFC 8252 §7.1)"
    )]
    CustomSchemeWithoutDot,
    #[error("the scheme and the host must be written in lower case")]
    UpperCase,
    #[error("the redirect URI contains a user name or password before the host; remove it")]
    UserInfo,
    #[error("the redirect URI has no host, or its host is not spelled the way browsers spell it")]
    BadHost,
    #[error(
        "the host of the redirect URI contains something that no host name has; \
         use letters, digits, - and ."
    )]
    HostCharacter,
    #[error("the redirect URI has a bad port, or names the port that its scheme has anyway")]
    BadPort,
    #[error("the redirect URI contains * , and patterns are not supported; write each URI out")]
    Pattern,
    #[error("the path contains . or .. segments, plain or encoded")]
    DotSegment,
    #[error("the path contains an empty segment (//)")]
    EmptySegment,
    #[error("the path contains an encoded slash, backslash, percent sign or control character")]
    EncodedDelimiter,
    #[error("a percent sign is not followed by two hexadecimal digits")]
    BadEscape,
    #[error("the query contains {0:?}, which the authorization answer adds itself")]
    AnswerParameter(String),
}

impl RedirectUri {
    /// Checks a URI that a developer wants to register, or that was registered before.
    pub fn register(policy: RedirectPolicy, text: &str) -> Result<Self, RedirectUriError> {
        check_characters(text)?;
        let (scheme, rest) = text.split_once(':').ok_or(RedirectUriError::NotAbsolute)?;
        check_scheme_name(scheme)?;
        let destination = match scheme {
            "https" | "http" => check_web(scheme, rest)?,
            _ => check_custom(policy, scheme, rest)?,
        };
        check_browser_agrees(text, scheme, rest)?;
        check_query(text)?;
        Ok(Self { text: text.to_owned(), policy, destination })
    }

    /// Whether a presented URI is this one: equal text, or, for a native app registered with
    /// `http://127.0.0.1` or `http://[::1]`, equal but for the port (RFC 8252 §7.3).
    pub fn matches(&self, presented: &str) -> bool {
        if self.text == presented {
            return true;
        }
        if self.policy != RedirectPolicy::Native {
            return false;
        }
        match (loopback_without_port(&self.text), loopback_without_port(presented)) {
            (Some(registered), Some(presented)) => registered == presented,
            _ => false,
        }
    }

    /// The presented URI as the one to redirect to, when it matches.
    pub fn resolve(&self, presented: &str) -> Option<Self> {
        if !self.matches(presented) {
            return None;
        }
        let mut resolved = self.clone();
        if resolved.text != presented {
            presented.clone_into(&mut resolved.text);
            let rest = presented.strip_prefix("http:").unwrap_or_default();
            authority(rest).clone_into(&mut resolved.destination.host);
        }
        Some(resolved)
    }

    /// The same, with the port free if it is a loopback address: for dialects only.
    #[must_use]
    pub fn at_any_loopback_port(&self) -> Self {
        Self { policy: RedirectPolicy::Native, ..self.clone() }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn policy(&self) -> RedirectPolicy {
        self.policy
    }

    pub fn destination(&self) -> &Destination {
        &self.destination
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

fn check_characters(text: &str) -> Result<(), RedirectUriError> {
    if text.is_empty() {
        return Err(RedirectUriError::Empty);
    }
    if text.len() > BYTES_MAX {
        return Err(RedirectUriError::TooLong);
    }
    for character in text.chars() {
        match character {
            c if c.is_control() || c.is_whitespace() => {
                return Err(RedirectUriError::ControlOrSpace);
            }
            c if !c.is_ascii() => return Err(RedirectUriError::NotAscii),
            '\\' => return Err(RedirectUriError::Backslash),
            '#' => return Err(RedirectUriError::Fragment),
            '*' => return Err(RedirectUriError::Pattern),
            // RFC 3986 §2: in no component. The apostrophe is legal there, but would end a quoted
            // attribute of a careless page and browsers encode it in a query.
            '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}' | '\'' => {
                return Err(RedirectUriError::IllegalCharacter(character));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_scheme_name(scheme: &str) -> Result<(), RedirectUriError> {
    // RFC 3986 §3.1
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(legal) {
        return Err(RedirectUriError::NotAbsolute);
    }
    let lower = scheme.to_ascii_lowercase();
    const DANGEROUS: [&str; 10] = [
        "javascript",
        "data",
        "vbscript",
        "file",
        "filesystem",
        "blob",
        "about",
        "view-source",
        "jar",
        "intent",
    ];
    if DANGEROUS.contains(&lower.as_str()) {
        return Err(RedirectUriError::DangerousScheme(lower));
    }
    if lower != scheme {
        return Err(RedirectUriError::UpperCase);
    }
    Ok(())
}

/// `rest` is what follows `https:` or `http:`.
fn check_web(scheme: &str, rest: &str) -> Result<Destination, RedirectUriError> {
    if !rest.starts_with("//") {
        return Err(RedirectUriError::BadHost);
    }
    let authority = authority(rest);
    if authority.contains('@') {
        return Err(RedirectUriError::UserInfo);
    }
    if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(RedirectUriError::UpperCase);
    }
    let (host, port) = split_port(authority).ok_or(RedirectUriError::BadPort)?;
    if host.split('.').any(str::is_empty) {
        return Err(RedirectUriError::BadHost);
    }
    // RFC 1123 §2.1. Browsers take more (`ok.com;x`, `ok.com!`), which no DNS has and whoever reads
    // the consent page could misread. An address in brackets is left to their comparison.
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if !host.starts_with('[') && !host.bytes().all(is_name_byte) {
        return Err(RedirectUriError::HostCharacter);
    }
    let default_port = if scheme == "https" { 443 } else { 80 };
    if port == Some(default_port) {
        return Err(RedirectUriError::BadPort);
    }
    let kind = match host {
        "127.0.0.1" | "[::1]" | "localhost" => DestinationKind::Loopback,
        _ if scheme == "https" => DestinationKind::Https,
        _ => return Err(RedirectUriError::NotHttps),
    };
    check_path(path_of(after_authority(rest)))?;
    Ok(Destination { host: authority.to_owned(), kind })
}

/// `rest` is what follows the scheme and its colon.
fn check_custom(
    policy: RedirectPolicy,
    scheme: &str,
    rest: &str,
) -> Result<Destination, RedirectUriError> {
    if policy != RedirectPolicy::Native {
        return Err(RedirectUriError::CustomSchemeNotNative);
    }
    let labels_are_full = scheme.split('.').all(|label| !label.is_empty());
    if !scheme.contains('.') || !labels_are_full {
        return Err(RedirectUriError::CustomSchemeWithoutDot);
    }
    if authority(rest).contains('@') {
        return Err(RedirectUriError::UserInfo);
    }
    check_path(path_of(after_authority(rest)))?;
    Ok(Destination { host: scheme.to_owned(), kind: DestinationKind::CustomScheme })
}

/// Whatever the other checks missed: a browser must read the text exactly as it is written.
fn check_browser_agrees(text: &str, scheme: &str, rest: &str) -> Result<(), RedirectUriError> {
    let read = Url::parse(text).map_err(|_| RedirectUriError::BadHost)?;
    let tail = after_authority(rest);
    // The one liberty: a web address without path gets its slash from the browser.
    let agrees = match scheme {
        "https" | "http" if !tail.starts_with('/') => {
            read.as_str() == format!("{scheme}://{}/{tail}", authority(rest))
        }
        _ => read.as_str() == text,
    };
    if agrees { Ok(()) } else { Err(RedirectUriError::BadHost) }
}

fn check_path(path: &str) -> Result<(), RedirectUriError> {
    check_escapes(path)?;
    let lower = path.to_ascii_lowercase();
    if path.starts_with("//") || path.get(1..).is_some_and(|tail| tail.contains("//")) {
        return Err(RedirectUriError::EmptySegment);
    }
    for segment in lower.split('/') {
        let name = segment.replace("%2e", ".").replace("%3b", ";");
        let name = name.split(';').next().unwrap_or_default();
        if name == "." || name == ".." {
            return Err(RedirectUriError::DotSegment);
        }
    }
    Ok(())
}

/// Escapes are well formed and hide no delimiter of the path (attack R3).
fn check_escapes(text: &str) -> Result<(), RedirectUriError> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            continue;
        }
        let high = bytes.next().and_then(hex_value);
        let low = bytes.next().and_then(hex_value);
        match (high, low) {
            (Some(high), Some(low)) => match high * 16 + low {
                b'/' | b'\\' | b'%' | 0x00..=0x1f | 0x7f => {
                    return Err(RedirectUriError::EncodedDelimiter);
                }
                _ => {}
            },
            _ => return Err(RedirectUriError::BadEscape),
        }
    }
    Ok(())
}

fn check_query(text: &str) -> Result<(), RedirectUriError> {
    let Some((_, query)) = text.split_once('?') else { return Ok(()) };
    let params = Params::parse(query.as_bytes()).map_err(|_| RedirectUriError::BadEscape)?;
    match ANSWER_PARAMS.iter().find(|name| params.contains(name)) {
        Some(name) => Err(RedirectUriError::AnswerParameter((*name).to_owned())),
        None => Ok(()),
    }
}

/// What stands between `//` and the next `/` or `?`; empty when there is no `//`.
fn authority(rest: &str) -> &str {
    let Some(rest) = rest.strip_prefix("//") else { return "" };
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// What follows the authority: path and query.
fn after_authority(rest: &str) -> &str {
    match rest.strip_prefix("//") {
        Some(inner) => inner.get(authority(rest).len()..).unwrap_or_default(),
        None => rest,
    }
}

fn path_of(path_and_query: &str) -> &str {
    path_and_query.split('?').next().unwrap_or_default()
}

/// Host and port of an authority without user info; `None` for a port that is not 1 to 65535 in
/// plain decimal.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = match authority.strip_prefix('[') {
        Some(inner) => inner.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, tail) = authority.split_at_checked(host_end)?;
    if tail.is_empty() {
        return Some((host, None));
    }
    let digits = tail.strip_prefix(':')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let port = digits.parse().ok().filter(|_| plain)?;
    Some((host, Some(port)))
}

/// The loopback address literal and everything after the port of an `http` URI; `None` for any
/// other URI. `localhost` is not here: it is a name, and names can be redirected (RFC 8252 §8.3).
fn loopback_without_port(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http:")?;
    let (host, _) = split_port(authority(rest))?;
    matches!(host, "127.0.0.1" | "[::1]").then(|| (host, after_authority(rest)))
}

#[cfg(test)]
mod tests;
