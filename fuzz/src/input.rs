//! Fuzz inputs as fields. They are parted by the byte 0xFF, which no UTF-8 text contains, so that a
//! field can hold any text and a seed can be read.

use std::borrow::Cow;

pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next field; empty when there are no more.
    pub fn field(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0xff);
        let field = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or(&[], |end| &self.0[end + 1..]);
        field
    }

    pub fn text(&mut self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.field())
    }

    /// A number of decimal digits; other bytes count for what they are.
    pub fn number(&mut self) -> u64 {
        self.field().iter().fold(0, |sum: u64, byte| {
            sum.wrapping_mul(10).wrapping_add(u64::from(byte.wrapping_sub(b'0')))
        })
    }

    /// All that is left, separators included.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}
