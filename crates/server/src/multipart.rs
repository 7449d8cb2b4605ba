//! Form bodies with a file (RFC 7578), read whole and within bounds. Pure. What a browser sends and
//! nothing more: no preamble, no nesting, no transfer encodings.

/// Of the headers of one part.
const HEAD_BYTES_MAX: usize = 1024;

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part<'b> {
    pub(crate) name: &'b str,
    pub(crate) is_file: bool,
    pub(crate) bytes: &'b [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the form cannot be read")]
pub(crate) struct Unreadable;

/// The boundary of a body with this `Content-Type`; `None`: it is of another kind.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|one| one.trim().strip_prefix("boundary="))?;
    let value = value.trim_matches('"');
    // RFC 2046 §5.1.1
    (1..=70).contains(&value.len()).then_some(value)
}

/// The parts of `body`, at most `parts_max`.
pub(crate) fn parse<'b>(
    body: &'b [u8],
    boundary: &str,
    parts_max: usize,
) -> Result<Vec<Part<'b>>, Unreadable> {
    let delimiter = format!("\r\n--{boundary}");
    let first = delimiter.trim_start();
    let mut rest = body.strip_prefix(first.as_bytes()).ok_or(Unreadable)?;
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        if parts.len() == parts_max {
            return Err(Unreadable);
        }
        let after = rest.strip_prefix(b"\r\n").ok_or(Unreadable)?;
        let (head, after) = split_at(after, b"\r\n\r\n").ok_or(Unreadable)?;
        let (bytes, after) = split_at(after, delimiter.as_bytes()).ok_or(Unreadable)?;
        let (name, is_file) = read_head(head)?;
        parts.push(Part { name, is_file, bytes });
        rest = after;
    }
    Ok(parts)
}

/// What stands before and behind `mark`.
fn split_at<'b>(bytes: &'b [u8], mark: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    let (before, from) = bytes.split_at_checked(at)?;
    Some((before, from.get(mark.len()..)?))
}

fn read_head(head: &[u8]) -> Result<(&str, bool), Unreadable> {
    if head.len() > HEAD_BYTES_MAX {
        return Err(Unreadable);
    }
    let head = std::str::from_utf8(head).map_err(|_| Unreadable)?;
    let is_disposition =
        |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition:");
    let line = head.lines().find(is_disposition).ok_or(Unreadable)?;
    // Browsers write a quotation mark in a name as %22, so one ends it.
    let (_, after) = line.split_once("; name=\"").ok_or(Unreadable)?;
    let (name, after) = after.split_once('"').ok_or(Unreadable)?;
    Ok((name, after.contains("; filename=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\ntwo\r\n\
        --x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a; name=\\\".png\"\r\n\
        Content-Type: image/png\r\n\r\n\x89PNG\r\n--y\r\n--x--\r\n";

    #[test]
    fn a_form_is_read_with_its_file() {
        let parts = parse(BODY, "x", 2).unwrap();
        let field = Part { name: "a", is_file: false, bytes: b"one\r\ntwo" };
        let file = Part { name: "f", is_file: true, bytes: b"\x89PNG\r\n--y" };
        assert_eq!(parts, [field, file]);
        assert_eq!(parse(b"--x--\r\n", "x", 1), Ok(Vec::new()));
    }

    #[test]
    fn a_body_that_is_cut_too_long_or_something_else_is_refused() {
        assert_eq!(parse(BODY, "x", 1), Err(Unreadable));
        assert_eq!(parse(BODY, "z", 9), Err(Unreadable));
        for length in 0..BODY.len() - 5 {
            assert_eq!(parse(&BODY[..length], "x", 9), Err(Unreadable), "{length}");
        }
        assert_eq!(parse(b"--x\r\nX: y\r\n\r\n\r\n--x--", "x", 9), Err(Unreadable));
    }

    #[test]
    fn the_boundary_is_what_the_header_says() {
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; boundary=\"a b\""), Some("a b"));
        for other in ["multipart/form-data", "multipart/mixed; boundary=a", "text/plain", ""] {
            assert_eq!(boundary(other), None, "{other}");
        }
        assert_eq!(boundary("multipart/form-data; boundary="), None);
    }
}
