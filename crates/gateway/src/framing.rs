//! Refuses HTTP/1 requests with two framings, `Content-Length` and `Transfer-Encoding` (attack G3).
//! RFC 9112 §6.1 lets a server go by the latter alone, as hyper does, and hides the former from us;
//! a proxy before us may have gone by the former. So the bytes are followed on their way to hyper,
//! and where the second framing's line ends, its line end is spoiled: hyper answers 400 and closes.

/// The longest name of a header that matters, with its colon and a length of 20 digits.
const LINE_MAX: usize = 64;

/// Where in the stream of one connection the next byte is.
pub(crate) struct Framing {
    place: Place,
    /// The beginning of the current line.
    line: [u8; LINE_MAX],
    line_length: usize,
    head: Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Body(u64),
    ChunkSize,
    /// The chunk's bytes and the line end after them.
    Chunk(u64),
    Trailers,
    /// HTTP/2, or a protocol after an upgrade: not ours to follow.
    Elsewhere,
}

/// What the current head has said.
#[derive(Clone, Copy, Default)]
struct Head {
    began: bool,
    length: Option<u64>,
    encoded: bool,
    upgrade: bool,
}

impl Default for Framing {
    fn default() -> Self {
        Self { place: Place::Head, line: [0; LINE_MAX], line_length: 0, head: Head::default() }
    }
}

impl Framing {
    /// Follows what was read, and spoils the end of a line that brings a second framing.
    pub(crate) fn follow(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Elsewhere => return,
                Place::Body(left) => match skip(bytes, left) {
                    (rest, 0) => {
                        self.place = Place::Head;
                        rest
                    }
                    (rest, left) => {
                        self.place = Place::Body(left);
                        rest
                    }
                },
                Place::Chunk(left) => {
                    let (rest, left) = skip(bytes, left);
                    self.place = Place::Chunk(left);
                    // What is left of this line is its end.
                    if left == 0 { self.lines(rest) } else { rest }
                }
                Place::Head | Place::ChunkSize | Place::Trailers => self.lines(bytes),
            };
        }
    }

    /// Takes the rest of one line.
    fn lines<'a>(&mut self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, rest) = bytes.split_at_mut(end.map_or(bytes.len(), |end| end + 1));
        let free = self.line.get_mut(self.line_length.min(LINE_MAX)..).unwrap_or_default();
        free.iter_mut().zip(line.iter()).for_each(|(to, from)| *to = *from);
        self.line_length = self.line_length.saturating_add(line.len());
        if end.is_some() {
            let is_bad = self.line_ended();
            self.line_length = 0;
            if is_bad && let Some(end) = line.last_mut() {
                *end = 0;
            }
        }
        rest
    }

    /// Says whether the line must not be.
    fn line_ended(&mut self) -> bool {
        let line = self.line.get(..self.line_length.min(LINE_MAX)).unwrap_or_default();
        let text = line.trim_ascii();
        match self.place {
            Place::Head if text.is_empty() => {
                // Empty lines before a request are skipped (RFC 9112 §2.2).
                if self.head.began {
                    self.place = std::mem::take(&mut self.head).body();
                }
                false
            }
            Place::Head if !self.head.began => {
                self.head.began = true;
                if text.starts_with(b"PRI * HTTP/2.0") {
                    self.place = Place::Elsewhere;
                }
                false
            }
            Place::Head => self.head.header(text),
            Place::ChunkSize => {
                self.place = match chunk_size(text) {
                    Some(0) => Place::Trailers,
                    Some(size) => Place::Chunk(size),
                    // hyper refuses it, and nothing comes after.
                    None => Place::Elsewhere,
                };
                false
            }
            Place::Trailers => {
                if text.is_empty() {
                    self.place = Place::Head;
                }
                false
            }
            Place::Chunk(_) => {
                self.place = Place::ChunkSize;
                false
            }
            Place::Body(_) | Place::Elsewhere => false,
        }
    }
}

impl Head {
    /// Says whether this is the second framing.
    fn header(&mut self, line: &[u8]) -> bool {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let value = value.get(1..).unwrap_or_default();
            let number = std::str::from_utf8(value.trim_ascii()).ok();
            self.length = Some(number.and_then(|number| number.parse().ok()).unwrap_or(0));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encoded = true;
        } else {
            self.upgrade |= name.eq_ignore_ascii_case(b"upgrade");
            return false;
        }
        self.length.is_some() && self.encoded
    }

    fn body(self) -> Place {
        match self {
            Self { upgrade: true, .. } => Place::Elsewhere,
            Self { encoded: true, .. } => Place::ChunkSize,
            Self { length: Some(length @ 1..), .. } => Place::Body(length),
            _ => Place::Head,
        }
    }
}

/// The bytes after the next `count`, and how many of `count` are still to come.
fn skip(bytes: &mut [u8], count: u64) -> (&mut [u8], u64) {
    let here = usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len());
    (bytes.split_at_mut(here).1, count - here as u64)
}

/// RFC 9112 §7.1: hexadecimal digits, perhaps with an extension after them.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next()?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out when the bytes come in pieces.
    fn follow(text: &str, pieces: &[usize]) -> String {
        let mut framing = Framing::default();
        let mut bytes = text.as_bytes().to_vec();
        let mut rest = bytes.as_mut_slice();
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at_mut((*piece).clamp(1, rest.len()));
            framing.follow(now);
            rest = later;
        }
        String::from_utf8(bytes).unwrap()
    }

    const LINES: &str = "\r\n\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";

    fn good() -> String {
        let length = LINES.len();
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n\
             POST / HTTP/1.1\r\ncontent-length:{length}\r\n\r\n{LINES}\
             \r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
             {length:x};a=b\r\n{LINES}\r\n2\r\n\r\n\r\n0\r\nContent-Length: 1\r\n\r\n\
             POST / HTTP/1.1\nContent-Length: 0\n\n"
        )
    }

    proptest! {
        #[test]
        fn requests_with_one_framing_are_left_alone(
            pieces in proptest::collection::vec(1_usize..40, 1..8),
        ) {
            prop_assert_eq!(follow(&good(), &pieces), good());
        }

        #[test]
        fn a_second_framing_is_spoiled_wherever_it_comes_g3(
            pieces in proptest::collection::vec(1_usize..40, 1..8),
            length_first in any::<bool>(),
        ) {
            let (length, encoding) = ("content-LENGTH : 5", "Transfer-encoding:chunked");
            let (a, b) = if length_first { (length, encoding) } else { (encoding, length) };
            let bad = format!("{}POST / HTTP/1.1\r\n{a}\r\nX: 1\r\n{b}\r", good());
            let expected = format!("{bad}\0\r\n0\r\n\r\n");
            prop_assert_eq!(follow(&format!("{bad}\n\r\n0\r\n\r\n"), &pieces), expected);
        }

        #[test]
        fn no_bytes_upset_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut framing = Framing::default();
            let mut bytes = bytes;
            framing.follow(&mut bytes);
        }
    }

    #[test]
    fn http2_and_upgraded_connections_are_not_touched() {
        for start in ["PRI * HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"] {
            let text = format!("{start}A\r\nContent-Length: 1\r\nTransfer-Encoding: b\r\n");
            assert_eq!(follow(&text, &[7]), text);
        }
    }
}
