//! As much CBOR (RFC 8949) as authenticators write: definite lengths, shallow, small. A value is
//! read where it stands and never copied into a tree; depth is bounded before anything recurses
//! (attack X1).

/// CTAP 2.1 §8: at most four levels.
const DEPTH_MAX: usize = 4;

/// One value, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'b> {
    Int(i64),
    Bytes(&'b [u8]),
    Text(&'b str),
    /// So many pairs follow.
    Map(u64),
    /// So many values follow.
    Array(u64),
    /// `true`, `false`, `null`: nothing that we read.
    Simple,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not CBOR as authenticators write it")]
pub struct Malformed;

/// Reads values one after the other.
#[derive(Clone, Debug)]
pub struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read.
    pub fn rest(&self) -> &'b [u8] {
        self.0
    }

    pub fn value(&mut self) -> Result<Value<'b>, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        let (major, argument) = (first >> 5, self.argument(first & 0x1f)?);
        let signed = |number: u64| i64::try_from(number).map_err(|_| Malformed);
        match major {
            0 => signed(argument).map(Value::Int),
            1 => signed(argument).map(|number| Value::Int(-1 - number)),
            2 => self.take(argument).map(Value::Bytes),
            3 => {
                let text = std::str::from_utf8(self.take(argument)?).map_err(|_| Malformed)?;
                Ok(Value::Text(text))
            }
            4 => Ok(Value::Array(argument)),
            5 => Ok(Value::Map(argument)),
            7 if first & 0x1f <= 24 => Ok(Value::Simple),
            _ => Err(Malformed),
        }
    }

    /// Pass over one value with all that is in it.
    pub fn skip(&mut self) -> Result<(), Malformed> {
        self.skip_within(DEPTH_MAX)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), Malformed> {
        let inside = match self.value()? {
            Value::Map(pairs) => pairs.checked_mul(2).ok_or(Malformed)?,
            Value::Array(values) => values,
            _ => 0,
        };
        if inside > 0 && depth == 0 {
            return Err(Malformed);
        }
        // Each value takes a byte at least, so a wrong count ends with the input.
        for _ in 0..inside {
            self.skip_within(depth.saturating_sub(1))?;
        }
        Ok(())
    }

    fn argument(&mut self, short: u8) -> Result<u64, Malformed> {
        let length = match short {
            0..=23 => return Ok(short.into()),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            // Indefinite lengths, which CTAP2 forbids, and what is reserved.
            _ => return Err(Malformed),
        };
        Ok(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: u64) -> Result<&'b [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8949 appendix A
    #[test]
    fn values_are_those_of_the_rfc() {
        let cases: [(&[u8], Value<'_>); 10] = [
            (&[0x00], Value::Int(0)),
            (&[0x18, 0x64], Value::Int(100)),
            (&[0x19, 0x03, 0xe8], Value::Int(1000)),
            (&[0x26], Value::Int(-7)),
            (&[0x39, 0x01, 0x00], Value::Int(-257)),
            (&[0x44, 1, 2, 3, 4], Value::Bytes(&[1, 2, 3, 4])),
            (&[0x62, 0xc3, 0xbc], Value::Text("ü")),
            (&[0xa2], Value::Map(2)),
            (&[0x83], Value::Array(3)),
            (&[0xf6], Value::Simple),
        ];
        for (bytes, expected) in cases {
            if let Value::Bytes(_) | Value::Text(_) = expected {
                assert_eq!(Reader::new(bytes.get(..2).unwrap_or_default()).value(), Err(Malformed));
            }
            assert_eq!(Reader::new(bytes).value(), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn x1_depth_and_lengths_are_bounded_before_anything_is_done() {
        let nested = [vec![0x81; 1000], vec![0x00]].concat();
        assert_eq!(Reader::new(&nested).skip(), Err(Malformed));
        let endless = [0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Reader::new(&endless).skip(), Err(Malformed));
        for bytes in [[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].as_slice(), &[0x5f]] {
            assert_eq!(Reader::new(bytes).skip(), Err(Malformed), "{bytes:?}");
        }
        let mut two = Reader::new(&[0xa1, 0x01, 0x82, 0x02, 0x03, 0x07]);
        assert_eq!(two.skip(), Ok(()));
        assert_eq!(two.rest(), [0x07]);
    }
}
