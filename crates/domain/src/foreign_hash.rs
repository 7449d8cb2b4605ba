//! A hash of a client secret that another system made, as text. Checking it takes milliseconds of a
//! core and happens in `server`, on a bounded pool; until the secret is shown for the first time.

use std::fmt;

/// `$2b$…` or `$argon2id$…`. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignHash(String);

impl ForeignHash {
    /// Of a text that was checked before it was stored.
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    pub fn as_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ForeignHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeignHash(…)")
    }
}
