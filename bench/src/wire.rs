//! Requests as bytes, and answers read from bytes: just enough HTTP/1.1 for a load generator that
//! must cost less than the servers it measures.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::Outcome;

const HEADERS_MAX: usize = 64;

/// An answer that has arrived whole.
pub struct Answer<'a> {
    pub status: u16,
    pub head: &'a [u8],
    pub body: &'a [u8],
    /// The server closes the connection behind it.
    pub closes: bool,
}

impl Answer<'_> {
    /// The values of a header, in order.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        if response.parse(self.head).is_err() {
            return Vec::new();
        }
        let of_name = response.headers.iter().filter(|one| one.name.eq_ignore_ascii_case(name));
        of_name.map(|one| String::from_utf8_lossy(one.value).into_owned()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }

    /// A text field of a JSON body, whose text holds nothing that JSON escapes: a token. Found by
    /// searching, since parsing would make the load generator a part of what is measured.
    pub fn json_token(&self, field: &str) -> Option<String> {
        let text = std::str::from_utf8(self.body).ok()?;
        let (_, rest) = text.split_once(&format!("\"{field}\":\""))?;
        rest.split_once('"').map(|(token, _)| token.to_owned())
    }

    /// Status, headers and the beginning of the body, for an error message.
    pub fn describe(&self) -> String {
        let head = String::from_utf8_lossy(self.head);
        let body: String = self.text().chars().take(300).collect();
        format!("{}\n{body}", head.trim_end())
    }
}

/// Where the pieces of an answer are in the buffer.
struct Layout {
    status: u16,
    head: usize,
    framing: Framing,
    closes: bool,
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

/// Bytes of one connection as they come in.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// The body of a chunked answer, put together.
    joined: Vec<u8>,
    used: usize,
}

impl Inbox {
    /// Make room for the next answer.
    pub fn forget_last(&mut self) {
        self.bytes.drain(..self.used);
        self.used = 0;
    }

    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The answer, once all of it is there.
    pub fn answer(&mut self) -> Outcome<Option<Answer<'_>>> {
        let Some(layout) = layout_of(&self.bytes)? else { return Ok(None) };
        let rest = self.bytes.get(layout.head..).unwrap_or_default();
        let body = match layout.framing {
            Framing::Length(length) => {
                self.used = layout.head + length;
                match rest.get(..length) {
                    Some(body) => body,
                    None => return Ok(None),
                }
            }
            Framing::Chunked => {
                self.joined.clear();
                let Some(length) = join_chunks(rest, &mut self.joined)? else { return Ok(None) };
                self.used = layout.head + length;
                &self.joined
            }
        };
        let head = self.bytes.get(..layout.head).unwrap_or_default();
        Ok(Some(Answer { status: layout.status, head, body, closes: layout.closes }))
    }
}

fn layout_of(bytes: &[u8]) -> Outcome<Option<Layout>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("an answer is no HTTP: {error}")),
    };
    let status = response.code.unwrap_or_default();
    let (mut framing, mut closes) = (Framing::Length(0), false);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value).unwrap_or_default();
            framing = Framing::Length(text.trim().parse().unwrap_or_default());
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    if status == 204 || status == 304 {
        framing = Framing::Length(0);
    }
    Ok(Some(Layout { status, head, framing, closes }))
}

/// How many bytes the chunks take with their end; `None` until that is there.
fn join_chunks(bytes: &[u8], joined: &mut Vec<u8>) -> Outcome<Option<usize>> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (line, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("an answer has broken chunks".into()),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(chunk) = rest.get(line..line.saturating_add(size).saturating_add(2)) else {
            return Ok(None);
        };
        joined.extend_from_slice(chunk.get(..size).unwrap_or_default());
        at += line + size + 2;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

/// A request as bytes. `body` is a form.
pub fn request(
    method: &str,
    path: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        let kind = "application/x-www-form-urlencoded";
        text.push_str(&format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    text.into_bytes()
}

pub fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A text field of a JSON object.
pub fn json_text(text: &str, field: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(value.get(field)?.as_str()?.to_owned())
}

/// One request on a connection of its own, for what is done once.
pub fn ask<T>(
    address: SocketAddr,
    request: &[u8],
    read: impl FnOnce(&Answer<'_>) -> T,
) -> Outcome<T> {
    let failed = |error: std::io::Error| format!("{address} does not answer: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.write_all(request).map_err(failed)?;
    let mut inbox = Inbox::default();
    let mut piece = [0; 16 * 1024];
    loop {
        if let Some(answer) = inbox.answer()? {
            return Ok(read(&answer));
        }
        match stream.read(&mut piece).map_err(failed)? {
            0 => return Err(format!("{address} closed the connection")),
            length => inbox.buffer().extend_from_slice(piece.get(..length).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Option<(u16, String, usize)> {
        let mut inbox = Inbox::default();
        inbox.buffer().extend_from_slice(bytes);
        let found = inbox.answer().unwrap().map(|answer| (answer.status, answer.text()));
        found.map(|(status, text)| (status, text, inbox.used))
    }

    #[test]
    fn an_answer_is_read_when_all_of_it_is_there() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(whole(format!("{head}hell").as_bytes()), None);
        let found = whole(format!("{head}helloHTTP/1.1").as_bytes());
        assert_eq!(found, Some((200, "hello".into(), head.len() + 5)));
    }

    #[test]
    fn chunks_are_put_together() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let body = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(whole(format!("{head}3\r\nabc\r\n").as_bytes()), None);
        let length = head.len() + body.len();
        assert_eq!(whole(format!("{head}{body}").as_bytes()), Some((200, "abcde".into(), length)));
    }
}
