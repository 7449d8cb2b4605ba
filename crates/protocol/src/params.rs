//! `application/x-www-form-urlencoded` parameters, from a query or a form body, decoded strictly:
//! a wrong escape, bad UTF-8, a NUL or too much of anything is refused before anybody looks inside.

use std::borrow::Cow;

/// Longest query or form body that is read, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;
/// Most parameters in one request.
pub const COUNT_MAX: usize = 200;
/// Longest parameter name, in decoded bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest parameter value, in decoded bytes.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;

/// The parameters of one request, in order, duplicates kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    #[error("the request has more than {BYTES_MAX} bytes of parameters")]
    TooLong,
    #[error("the request has more than {COUNT_MAX} parameters")]
    TooMany,
    #[error("a parameter name is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    #[error("a parameter value is longer than {VALUE_BYTES_MAX} bytes")]
    ValueTooLong,
    #[error("a parameter has a percent sign that two hexadecimal digits do not follow")]
    BadEscape,
    #[error("a parameter is not UTF-8")]
    NotUtf8,
    #[error("a parameter contains a NUL character")]
    Nul,
}

/// A known parameter came more than once (RFC 6749 §3.1 forbids it).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the parameter {name} was sent more than once")]
pub struct Duplicate {
    pub name: String,
}

impl Params {
    /// Reads a query string (without `?`) or a form body.
    pub fn parse(raw: &[u8]) -> Result<Self, ParamsError> {
        if raw.len() > BYTES_MAX {
            return Err(ParamsError::TooLong);
        }
        let mut pairs = Vec::new();
        for piece in raw.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()) {
            let mut halves = piece.splitn(2, |byte| *byte == b'=');
            let name = form_decode(halves.next().unwrap_or_default())?;
            let value = form_decode(halves.next().unwrap_or_default())?;
            push(&mut pairs, name, value)?;
        }
        Ok(Self { pairs })
    }

    /// Parameters that came in another form than form encoding (a dialect's JSON body). The same
    /// bounds hold.
    pub fn from_pairs<N, V>(given: impl IntoIterator<Item = (N, V)>) -> Result<Self, ParamsError>
    where
        N: Into<String>,
        V: Into<String>,
    {
        let mut pairs = Vec::new();
        let mut bytes: usize = 0;
        for (name, value) in given {
            let (name, value) = (name.into(), value.into());
            bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
            if bytes > BYTES_MAX {
                return Err(ParamsError::TooLong);
            }
            push(&mut pairs, name, value)?;
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter that may come once. An empty value counts as absent, but not as
    /// absent for the count: `state=&state=x` is still a duplicate (RFC 6749 §3.1).
    pub fn one(&self, name: &str) -> Result<Option<&str>, Duplicate> {
        let mut values = self.named(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Duplicate { name: name.to_owned() });
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// All non-empty values of a parameter that may come several times (`resource`, RFC 8707 §2).
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.named(name).filter(|value| !value.is_empty())
    }

    /// Whether the parameter was sent at all, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    /// Every pair as it came, for page forms with lists and check boxes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Names only: values are codes, secrets and passwords.
impl std::fmt::Debug for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

fn push(pairs: &mut Vec<(String, String)>, name: String, value: String) -> Result<(), ParamsError> {
    if pairs.len() == COUNT_MAX {
        return Err(ParamsError::TooMany);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(ParamsError::NameTooLong);
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(ParamsError::ValueTooLong);
    }
    // PostgreSQL's TEXT cannot hold NUL, and nothing we accept means anything with one.
    if name.contains('\0') || value.contains('\0') {
        return Err(ParamsError::Nul);
    }
    pairs.push((name, value));
    Ok(())
}

/// Decodes one name or value. Strict, unlike the WHATWG decoder, which keeps a wrong escape as
/// text and replaces bad UTF-8: two readers of the same bytes must not disagree.
pub(crate) fn form_decode(raw: &[u8]) -> Result<String, ParamsError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = rest.next().and_then(|digit| hex_value(*digit));
                let low = rest.next().and_then(|digit| hex_value(*digit));
                match (high, low) {
                    (Some(high), Some(low)) => high * 16 + low,
                    _ => return Err(ParamsError::BadEscape),
                }
            }
            plain => *plain,
        });
    }
    String::from_utf8(bytes).map_err(|_| ParamsError::NotUtf8)
}

/// The value of one hexadecimal digit.
pub(crate) fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Appends `name=value` pairs in form encoding; `separator` comes before the first pair.
pub(crate) fn append_encoded(
    target: &mut String,
    separator: Option<char>,
    pairs: &[(&str, Cow<'_, str>)],
) {
    let mut separator = separator;
    for (name, value) in pairs {
        target.extend(separator);
        target.push_str(name);
        target.push('=');
        target.extend(form_urlencoded::byte_serialize(value.as_bytes()));
        separator = Some('&');
    }
}

#[cfg(test)]
mod tests;
