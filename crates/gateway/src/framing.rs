//! Refuses HTTP/1 requests whose end two programs could see in different places (attack G3), as far
//! as hyper lets them pass: two lines that frame one body, a coding before `chunked`, a bare LF. A
//! proxy before us may have gone by the other reading. So the bytes are followed on their way to
//! hyper; the end of a line that must not be is spoiled, and nothing behind it passes: hyper
//! answers 400 and closes.

/// The beginning of a line that is kept: the longest framing line that is right, and some more.
const LINE_MAX: usize = 64;
/// With this, and nothing less, a connection begins HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Hyper parses a head when it has come to its end, and reads trailers to theirs.
const END: &[u8] = b"\r\n\r\n";
/// Digits of a chunk size: 64 bits.
const CHUNK_DIGITS_MAX: usize = 16;

/// Where in the stream of one connection the next byte is.
pub(crate) struct Framing {
    place: Place,
    /// How much of the preface the connection began with; `None` once it is something else.
    preface: Option<usize>,
    /// The beginning of the current line.
    line: [u8; LINE_MAX],
    line_length: usize,
    /// The last byte of the current line so far.
    last: u8,
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
    /// Behind a line that must not be; so much of [`END`] was passed on since.
    Refused(usize),
}

/// What the current head has said.
#[derive(Clone, Copy, Default)]
struct Head {
    began: bool,
    body: Option<Extent>,
}

#[derive(Clone, Copy)]
enum Extent {
    Length(u64),
    Chunked,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            place: Place::Head,
            preface: Some(0),
            line: [0; LINE_MAX],
            line_length: 0,
            last: 0,
            head: Head::default(),
        }
    }
}

impl Framing {
    /// Follows what was read; says how many of these bytes may be passed on. When it is not all,
    /// only what [`Self::end_for`] says may come later.
    pub(crate) fn follow(&mut self, bytes: &mut [u8]) -> usize {
        let count = bytes.len();
        self.look_for_preface(bytes);
        let mut rest = bytes;
        loop {
            rest = match self.place {
                Place::Refused(_) => return count - rest.len(),
                _ if rest.is_empty() => return count,
                Place::Elsewhere => return count,
                Place::Body(left) => {
                    let (rest, left) = skip(rest, left);
                    self.place = if left == 0 { Place::Head } else { Place::Body(left) };
                    rest
                }
                Place::Chunk(left @ 1..) => {
                    let (rest, left) = skip(rest, left);
                    self.place = Place::Chunk(left);
                    rest
                }
                Place::Head | Place::ChunkSize | Place::Chunk(0) | Place::Trailers => {
                    self.line(rest)
                }
            };
        }
    }

    /// What comes in place of the next bytes behind a refused line, at most `free` of them: an end
    /// of the head, then nothing. `None` while nothing was refused.
    pub(crate) fn end_for(&mut self, free: usize) -> Option<&'static [u8]> {
        let Place::Refused(passed) = &mut self.place else { return None };
        let rest = END.get(*passed..).unwrap_or_default();
        let now = rest.get(..free).unwrap_or(rest);
        *passed += now.len();
        Some(now)
    }

    /// The connection was answered 101: what comes now is another protocol. What a request asks
    /// for is not enough, as most servers do not do it (RFC 9110 §7.8).
    pub(crate) fn upgraded(&mut self) {
        if !matches!(self.place, Place::Refused(_)) {
            self.place = Place::Elsewhere;
        }
    }

    fn look_for_preface(&mut self, bytes: &[u8]) {
        let Some(known) = self.preface else { return };
        let expected = PREFACE.get(known..).unwrap_or_default();
        let same = bytes.iter().zip(expected).take_while(|(is, should)| is == should).count();
        if same == expected.len() {
            self.place = Place::Elsewhere;
        }
        self.preface = (same < expected.len() && same == bytes.len()).then_some(known + same);
    }

    /// Takes the rest of one line.
    fn line<'a>(&mut self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, rest) = bytes.split_at_mut(end.map_or(bytes.len(), |end| end + 1));
        let free = self.line.get_mut(self.line_length.min(LINE_MAX)..).unwrap_or_default();
        free.iter_mut().zip(line.iter()).for_each(|(to, from)| *to = *from);
        self.line_length = self.line_length.saturating_add(line.len());
        let Some((line_feed, before)) = line.split_last_mut().filter(|_| end.is_some()) else {
            self.last = line.last().copied().unwrap_or(self.last);
            return rest;
        };
        // RFC 9112 §2.2 lets a recipient take a bare LF for the end of a line. Hyper does so in
        // heads and not in trailers, and others never do.
        let is_whole = before.last().copied().unwrap_or(self.last) == b'\r';
        match self.after_line().filter(|_| is_whole) {
            Some(place) => self.place = place,
            None => {
                *line_feed = 0;
                self.place = Place::Refused(0);
            }
        }
        (self.line_length, self.last) = (0, 0);
        rest
    }

    /// Where the next line or body begins; `None` when this line must not be.
    fn after_line(&mut self) -> Option<Place> {
        let is_empty = self.line_length == b"\r\n".len();
        let fits = self.line_length <= LINE_MAX;
        let line = self.line.get(..self.line_length.min(LINE_MAX)).unwrap_or_default();
        match self.place {
            // Empty lines before a request are skipped (RFC 9112 §2.2).
            Place::Head if is_empty && !self.head.began => Some(Place::Head),
            Place::Head if is_empty => Some(std::mem::take(&mut self.head).body_place()),
            Place::Head if !self.head.began => {
                self.head.began = true;
                Some(Place::Head)
            }
            Place::Head => self.head.header(line, fits).then_some(Place::Head),
            Place::ChunkSize => Some(match chunk_size(line)? {
                0 => Place::Trailers,
                size => Place::Chunk(size),
            }),
            Place::Chunk(_) => is_empty.then_some(Place::ChunkSize),
            Place::Trailers if is_empty => Some(Place::Head),
            place => Some(place),
        }
    }
}

impl Head {
    /// Says whether this header may be.
    fn header(&mut self, line: &[u8], fits: bool) -> bool {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let (name, value) = (name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii());
        let body = if name.eq_ignore_ascii_case(b"content-length") {
            decimal(value).map(Extent::Length)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // `gzip, chunked` is legal, but nobody here would unpack it; `chunked, chunked` is not
            // (RFC 9112 §6.1).
            value.eq_ignore_ascii_case(b"chunked").then_some(Extent::Chunked)
        } else {
            return true;
        };
        // RFC 9112 §6.3: of two, even two that agree, each may be somebody's only one.
        let is_first = self.body.is_none();
        self.body = body;
        fits && is_first && body.is_some()
    }

    fn body_place(self) -> Place {
        match self.body {
            Some(Extent::Chunked) => Place::ChunkSize,
            Some(Extent::Length(length @ 1..)) => Place::Body(length),
            Some(Extent::Length(0)) | None => Place::Head,
        }
    }
}

/// The bytes after the next `count`, and how many of `count` are still to come.
fn skip(bytes: &mut [u8], count: u64) -> (&mut [u8], u64) {
    let here = usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len());
    (bytes.split_at_mut(here).1, count - here as u64)
}

/// RFC 9110 §8.6: digits alone, where `parse` would also take a sign.
fn decimal(text: &[u8]) -> Option<u64> {
    let text = str::from_utf8(text).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// RFC 9112 §7.1: hexadecimal digits, perhaps with an extension after them. Hyper takes any number
/// of zeros before the others, but their end would not be in what is kept of the line.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t' | b'\r')).next()?;
    let are_digits = digits.iter().all(u8::is_ascii_hexdigit) && digits.len() <= CHUNK_DIGITS_MAX;
    are_digits.then(|| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out when the bytes come in pieces.
    fn follow(text: &str, pieces: &[usize]) -> String {
        let mut framing = Framing::default();
        let mut bytes = text.as_bytes().to_vec();
        let mut passed = Vec::new();
        let mut rest = bytes.as_mut_slice();
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at_mut((*piece).clamp(1, rest.len()));
            let count = framing.follow(now);
            passed.extend_from_slice(&now[..count]);
            rest = later;
        }
        String::from_utf8(passed).unwrap()
    }

    const LINES: &str = "\r\n\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\n\r\n";

    fn good() -> String {
        let length = LINES.len();
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n\
             POST / HTTP/1.1\r\ncontent-length:{length}\r\n\r\n{LINES}\
             \r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
             {length:x};a=b\r\n{LINES}\r\n2\r\n\r\n\r\n0\r\nContent-Length: 1\r\n\r\n\
             POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn pieces() -> impl Strategy<Value = Vec<usize>> {
        proptest::collection::vec(1_usize..40, 1..8)
    }

    proptest! {
        #[test]
        fn requests_with_one_framing_are_left_alone(pieces in pieces()) {
            prop_assert_eq!(follow(&good(), &pieces), good());
        }

        #[test]
        fn a_second_framing_is_spoiled_wherever_it_comes_g3(
            pieces in pieces(),
            length_first in any::<bool>(),
        ) {
            let (length, encoding) = ("content-LENGTH : 5", "Transfer-encoding:chunked");
            let (a, b) = if length_first { (length, encoding) } else { (encoding, length) };
            let bad = format!("{}POST / HTTP/1.1\r\n{a}\r\nX: 1\r\n{b}\r", good());
            let all = format!("{bad}\n\r\n0\r\n\r\n{}", good());
            prop_assert_eq!(follow(&all, &pieces), format!("{bad}\0"));
        }

        #[test]
        fn a_bare_line_feed_is_spoiled_wherever_it_comes_g3(
            pieces in pieces(),
            before in proptest::sample::select(vec![
                "", "POST / HTTP/1.1", "POST / HTTP/1.1\r\nX: 1", "POST / HTTP/1.1\r\nX: 1\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1",
            ]),
        ) {
            let bad = format!("{}{before}", good());
            prop_assert_eq!(follow(&format!("{bad}\n{}", good()), &pieces), format!("{bad}\0"));
        }

        #[test]
        fn no_bytes_upset_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut framing = Framing::default();
            let mut bytes = bytes;
            let count = framing.follow(&mut bytes);
            prop_assert!(count == bytes.len() || framing.end_for(1).is_some());
        }
    }

    /// What a stream is made of; `#` becomes the number of the piece. Bodies look like requests.
    const PIECES: [&str; 32] = [
        "GET /# HTTP/1.1\r\n\r\n",
        "GET /# HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "POST /# HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        "POST /# HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /# HTTP/1.1\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\n\r\n",
        "POST /# HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "POST /# HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /# HTTP/1.1\r\n",
        "Content-Length: 5\r\n",
        "Content-Length:\t+5 \r\n",
        "P /# HTTP/1.1\r\n\
         Content-Length: 0000000000000000000000000000000000000000000000005\r\n\r\n",
        "content-length: 40\n",
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding: x, chunked\r\n",
        "X: a\r\n",
        "X: a\n",
        "5\r\nA /b \r\n",
        "5;a=\"\r\nA /b \r\n",
        "0000000000000000000000000000000000000000000000000000000000000000A\r\n\r\n\r\nA /c B\r\n",
        "5\r\nA /b ",
        "5 \t;\n\r\nA /b \r\n",
        "0\r\n\r\n",
        "0\r\n",
        "000\r\n \r\n",
        "A /b ",
        "\r\n",
        "\n",
        "\r",
        " \r\n",
        "\0",
    ];

    /// The targets of the requests that `text` holds, as we see them.
    fn our_targets(text: &str) -> Vec<String> {
        let (mut framing, mut targets) = (Framing::default(), Vec::new());
        for byte in text.bytes() {
            let began = framing.head.began;
            if framing.follow(&mut [byte]) == 0 {
                break;
            }
            if framing.head.began && !began {
                let line = str::from_utf8(&framing.line).unwrap();
                targets.extend(line.split(' ').nth(1).map(str::to_owned));
            }
        }
        targets
    }

    /// The same as hyper sees them behind us, with the bodies that it could read.
    async fn hypers_targets(text: String) -> Vec<String> {
        use http_body_util::BodyExt as _;
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let (mut client, server) = tokio::io::duplex(64 * 1024);
        client.write_all(text.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let targets = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = std::sync::Arc::clone(&targets);
        let service = hyper::service::service_fn(move |request: http::Request<_>| {
            seen.lock().unwrap().push(request.uri().to_string());
            async move {
                let _ = hyper::body::Incoming::collect(request.into_body()).await;
                Ok::<_, std::convert::Infallible>(http::Response::new(crate::body::Body::empty()))
            }
        });
        let limits = crate::ConnectionLimits::default();
        let shutdown = tokio_util::sync::CancellationToken::new();
        let _ = crate::serve_connection(server, service, &limits, &shutdown).await;
        let _ = client.read_to_end(&mut Vec::new()).await;
        std::mem::take(&mut *targets.lock().unwrap())
    }

    proptest! {
        #[test]
        fn hyper_sees_no_request_where_we_see_none_g3(
            pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 1..9),
        ) {
            let numbered = pieces.iter().enumerate();
            let text: String =
                numbered.map(|(at, piece)| piece.replace('#', &at.to_string())).collect();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (ours, hypers) = (our_targets(&text), runtime.block_on(hypers_targets(text)));
            prop_assert!(ours.starts_with(&hypers), "{:?} {:?}", ours, hypers);
        }
    }

    const TWO: &str = "A\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn only_http2_and_a_connection_that_was_upgraded_are_not_followed_g3() {
        let http2 = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{TWO}");
        for piece in [1, 7, 23, 24, 25, 99] {
            assert_eq!(follow(&http2, &[piece]), http2);
        }
        let asks = "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        for start in [asks, "PRI * HTTP/2.0\r\n\r\n", "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let text = format!("{start}{TWO}");
            assert!(follow(&text, &[7]).ends_with("chunked\r\0"), "{start}");
        }
        let mut framing = Framing::default();
        let mut bytes = asks.as_bytes().to_vec();
        assert_eq!(framing.follow(&mut bytes), asks.len());
        framing.upgraded();
        let mut bytes = TWO.as_bytes().to_vec();
        assert_eq!(framing.follow(&mut bytes), TWO.len());
        assert_eq!(bytes, TWO.as_bytes());
    }

    #[test]
    fn nothing_passes_behind_a_line_that_must_not_be_g3() {
        let mut framing = Framing::default();
        let mut bytes = TWO.as_bytes().to_vec();
        assert_eq!(framing.end_for(9), None);
        assert!(framing.follow(&mut bytes) < TWO.len());
        framing.upgraded();
        assert_eq!(framing.follow(&mut bytes), 0);
        let ends: Vec<_> = [1, 0, 9, 9].map(|free| framing.end_for(free).unwrap()).concat();
        assert_eq!(ends, END);
        assert_eq!(framing.end_for(9), Some(&b""[..]));
    }
}
