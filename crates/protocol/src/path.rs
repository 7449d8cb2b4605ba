//! Request paths, normalised once (RFC 3986 §6.2.2). What two programs could read differently is
//! refused; what comes out is matched *and* forwarded, so matcher and upstream see the same path
//! (attack G1).

use std::fmt;

use crate::params::hex_value;

/// Longest path that is read, in bytes.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// A path without query that has one reading. Starts with `/`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NormalPath(String);

/// Why a path is refused with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    #[error("the path does not start with a slash")]
    NotAbsolute,
    #[error("the path contains a backslash")]
    Backslash,
    #[error("the path contains a character that must be percent-encoded")]
    Character,
    #[error("a percent sign is not followed by two hexadecimal digits")]
    BadEscape,
    #[error("the path contains an encoded slash or backslash")]
    EncodedSlash,
    #[error("the path contains an encoded control character")]
    EncodedControl,
    #[error("the path is encoded twice")]
    DoubleEncoding,
    #[error("the encoded bytes of the path are not UTF-8")]
    NotUtf8,
    #[error("the path contains an empty segment (//)")]
    EmptySegment,
    #[error("the path contains a . or .. segment")]
    DotSegment,
}

impl NormalPath {
    pub fn parse(raw: &str) -> Result<Self, Ambiguous> {
        if raw.len() > PATH_BYTES_MAX {
            return Err(Ambiguous::TooLong);
        }
        if !raw.starts_with('/') {
            return Err(Ambiguous::NotAbsolute);
        }
        let normal = normalise_escapes(raw)?;
        check_double_encoding(&normal)?;
        if normal.contains("//") {
            return Err(Ambiguous::EmptySegment);
        }
        for segment in normal.split('/') {
            // Java containers cut `;…` off before they resolve dots: `/..;/` is `/../` to them.
            let name = segment.split(';').next().unwrap_or_default();
            let name = name.split("%3B").next().unwrap_or_default();
            if name == "." || name == ".." {
                return Err(Ambiguous::DotSegment);
            }
        }
        Ok(Self(normal))
    }

    /// Exactly what is matched and forwarded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between slashes; a trailing slash gives a last empty one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.get(1..).unwrap_or_default().split('/')
    }

    /// Whether the path is `prefix` or lies below it. `/v2` is not a prefix of `/v2beta`.
    pub fn is_under(&self, prefix: &Self) -> bool {
        let prefix = prefix.0.trim_end_matches('/');
        match self.0.strip_prefix(prefix) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl fmt::Display for NormalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NormalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Upper-cases escapes and decodes those of unreserved characters.
fn normalise_escapes(raw: &str) -> Result<String, Ambiguous> {
    let mut normal = String::with_capacity(raw.len());
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let value = match byte {
            b'%' => {
                let high = bytes.next().and_then(hex_value);
                let low = bytes.next().and_then(hex_value);
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(Ambiguous::BadEscape);
                };
                let value = high * 16 + low;
                push_escape(&mut normal, value)?;
                value
            }
            b'\\' => return Err(Ambiguous::Backslash),
            b'/' => {
                normal.push('/');
                byte
            }
            _ if is_pchar(byte) => {
                normal.push(char::from(byte));
                byte
            }
            _ => return Err(Ambiguous::Character),
        };
        decoded.push(value);
    }
    // Overlong forms such as %C0%AE (a dot to a careless decoder) are not UTF-8.
    if std::str::from_utf8(&decoded).is_err() {
        return Err(Ambiguous::NotUtf8);
    }
    Ok(normal)
}

fn push_escape(normal: &mut String, value: u8) -> Result<(), Ambiguous> {
    match value {
        b'/' | b'\\' => Err(Ambiguous::EncodedSlash),
        0x00..=0x1f | 0x7f => Err(Ambiguous::EncodedControl),
        _ if is_unreserved(value) => {
            normal.push(char::from(value));
            Ok(())
        }
        _ => {
            const HEX: [char; 16] =
                ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
            normal.push('%');
            normal.extend(HEX.get(usize::from(value >> 4)));
            normal.extend(HEX.get(usize::from(value & 0x0f)));
            Ok(())
        }
    }
}

/// `%25` before two hexadecimal digits would be another path to a program that decodes twice.
/// Looked for in the normal form, where `%25%32%66` has become `%252f`.
fn check_double_encoding(normal: &str) -> Result<(), Ambiguous> {
    for (at, _) in normal.match_indices("%25") {
        let mut next = normal.bytes().skip(at + 3).take(2).map(hex_value);
        if matches!((next.next(), next.next()), (Some(Some(_)), Some(Some(_)))) {
            return Err(Ambiguous::DoubleEncoding);
        }
    }
    Ok(())
}

/// RFC 3986 §2.3
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// RFC 3986 §3.3, without escapes
fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests;
