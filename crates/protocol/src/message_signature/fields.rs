//! As much of Structured Fields (RFC 9651) as signatures and digests need. Names without parameters
//! of their own; no booleans, decimals, tokens or dates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest header that is read.
const BYTES_MAX: usize = 4096;
/// Parameters of one signature.
const PARAMETERS_MAX: usize = 16;
/// RFC 9651 §3.3.1: 15 digits.
const DIGITS_MAX: usize = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldsError(pub(super) &'static str);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bare {
    Number(i64),
    Text(String),
}

/// In the order in which they were sent.
pub(super) type Parameters = Vec<(String, Bare)>;

/// A text that is read from left to right.
pub(super) struct Fields<'t>(&'t str);

impl<'t> Fields<'t> {
    pub(super) fn new(text: &'t str) -> Result<Self, FieldsError> {
        match text.len() <= BYTES_MAX {
            true => Ok(Self(text.trim_matches(' '))),
            false => Err(FieldsError("it is too long")),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, wanted: char) -> Result<(), FieldsError> {
        self.0 = self.0.strip_prefix(wanted).ok_or(FieldsError("a sign is missing"))?;
        Ok(())
    }

    /// The comma between two members of a dictionary.
    pub(super) fn next_member(&mut self) -> Result<(), FieldsError> {
        self.0 = self.0.trim_start_matches([' ', '\t']);
        self.take(',')?;
        self.0 = self.0.trim_start_matches([' ', '\t']);
        Ok(())
    }

    /// RFC 9651 §3.1.2: `( lcalpha / "*" ) *( lcalpha / DIGIT / "_" / "-" / "." / "*" )`
    pub(super) fn key(&mut self) -> Result<&'t str, FieldsError> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c);
        let key = self.while_legal(legal);
        match key.starts_with(|c: char| c.is_ascii_lowercase() || c == '*') {
            true => Ok(key),
            false => Err(FieldsError("a name is missing")),
        }
    }

    /// `:base64:`
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, FieldsError> {
        self.take(':')?;
        let text = self.while_legal(|c| c != ':');
        self.take(':')?;
        STANDARD.decode(text).map_err(|_| FieldsError("the bytes are not base64"))
    }

    /// `("a" "b");c=1;d="x"`: texts without parameters, and the parameters of the whole.
    pub(super) fn inner_list(
        &mut self,
        items_max: usize,
    ) -> Result<(Vec<String>, Parameters), FieldsError> {
        self.take('(')?;
        let mut items: Vec<String> = Vec::new();
        loop {
            self.0 = self.0.trim_start_matches(' ');
            if self.take(')').is_ok() {
                break;
            }
            let item = self.text()?;
            if !self.0.starts_with([' ', ')']) {
                return Err(FieldsError("a component has parameters"));
            }
            if items.len() >= items_max || items.contains(&item) {
                return Err(FieldsError("a component is there twice, or there are too many"));
            }
            items.push(item);
        }
        let mut parameters = Parameters::new();
        while self.take(';').is_ok() {
            self.0 = self.0.trim_start_matches(' ');
            let name = self.key()?.to_owned();
            self.take('=')?;
            let bare = match self.0.starts_with('"') {
                true => Bare::Text(self.text()?),
                false => Bare::Number(self.number()?),
            };
            let is_known = parameters.iter().any(|(known, _)| *known == name);
            if is_known || parameters.len() >= PARAMETERS_MAX {
                return Err(FieldsError("a parameter is there twice, or there are too many"));
            }
            parameters.push((name, bare));
        }
        Ok((items, parameters))
    }

    /// RFC 9651 §3.3.3: visible ASCII, `\"` and `\\`.
    fn text(&mut self) -> Result<String, FieldsError> {
        self.take('"')?;
        let mut text = String::new();
        let mut characters = self.0.chars();
        loop {
            match characters.next() {
                Some('"') => break,
                Some('\\') => match characters.next() {
                    Some(escaped @ ('"' | '\\')) => text.push(escaped),
                    _ => return Err(FieldsError("an escape is wrong")),
                },
                Some(plain @ ' '..='~') => text.push(plain),
                _ => return Err(FieldsError("a text does not end")),
            }
        }
        self.0 = characters.as_str();
        Ok(text)
    }

    /// Not below zero.
    fn number(&mut self) -> Result<i64, FieldsError> {
        let digits = self.while_legal(|c| c.is_ascii_digit());
        let is_short = !digits.is_empty() && digits.len() <= DIGITS_MAX;
        // `007` would be written `7` in the base: one spelling only.
        let is_canonical = digits == "0" || !digits.starts_with('0');
        let number = digits.parse().ok().filter(|_| is_short && is_canonical);
        number.ok_or(FieldsError("a number is wrong"))
    }

    fn while_legal(&mut self, legal: impl Fn(char) -> bool) -> &'t str {
        let end = self.0.find(|c| !legal(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }
}
