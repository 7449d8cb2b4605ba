//! Row G1 of the attack list: one reading of every path.

use proptest::prelude::*;

use super::*;

fn normal(raw: &str) -> String {
    match NormalPath::parse(raw) {
        Ok(path) => path.to_string(),
        Err(error) => panic!("{raw}: {error}"),
    }
}

#[test]
fn ordinary_paths_stay_as_they_are() {
    for raw in [
        "/",
        "/v2/me",
        "/v2/me/",
        "/v2/search/two%20words",
        "/v2/search/caf%C3%A9",
        "/a:b@c/d;v=1,2!$&'()*+=~",
        "/v2/files/..x/.hidden/...",
        "/100%25",
    ] {
        assert_eq!(normal(raw), raw);
    }
}

#[test]
fn escapes_are_normalised_as_rfc_3986_says() {
    assert_eq!(normal("/%61%7e%2D%2e%5f"), "/a~-._");
    assert_eq!(normal("/%c3%a9%3a"), "/%C3%A9%3A");
}

#[test]
fn g1_what_two_programs_could_read_differently_is_refused() {
    use Ambiguous as A;
    for (raw, why) in [
        ("/a%2fb", A::EncodedSlash),
        ("/a%2Fb", A::EncodedSlash),
        ("/a%5cb", A::EncodedSlash),
        ("/a\\b", A::Backslash),
        ("/a/../b", A::DotSegment),
        ("/a/..", A::DotSegment),
        ("/./a", A::DotSegment),
        ("/a/.", A::DotSegment),
        ("/a/%2e%2e/b", A::DotSegment),
        ("/a/.%2E/b", A::DotSegment),
        ("/a/..;/b", A::DotSegment),
        ("/a/..;x=1/b", A::DotSegment),
        ("/a/.;/b", A::DotSegment),
        ("/a/..%3b/b", A::DotSegment),
        ("/a/%2e%2e%3Bx/b", A::DotSegment),
        ("//a", A::EmptySegment),
        ("/a//b", A::EmptySegment),
        ("/a//", A::EmptySegment),
        ("/a%252fb", A::DoubleEncoding),
        ("/%252e%252e/", A::DoubleEncoding),
        ("/%25%32%66", A::DoubleEncoding),
        ("/%25252f", A::DoubleEncoding),
        ("/a%00", A::EncodedControl),
        ("/a%0d%0a", A::EncodedControl),
        ("/a%7f", A::EncodedControl),
        ("/%c0%ae%c0%ae/", A::NotUtf8),
        ("/%ff", A::NotUtf8),
        ("/a%", A::BadEscape),
        ("/a%4", A::BadEscape),
        ("/a%g1", A::BadEscape),
        ("/a b", A::Character),
        ("/é", A::Character),
        ("/a\n", A::Character),
        ("/a\0", A::Character),
        ("/a?b", A::Character),
        ("/a#b", A::Character),
        ("/a|b", A::Character),
        ("/{a}", A::Character),
        ("", A::NotAbsolute),
        ("a/b", A::NotAbsolute),
        ("*", A::NotAbsolute),
        ("http://evil/a", A::NotAbsolute),
    ] {
        assert_eq!(NormalPath::parse(raw), Err(why), "{raw:?}");
    }
    let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
    assert_eq!(NormalPath::parse(&long), Err(A::TooLong));
}

#[test]
fn a_prefix_ends_at_a_slash() {
    let path = |raw| NormalPath::parse(raw).unwrap();
    assert!(path("/v2/me").is_under(&path("/v2")));
    assert!(path("/v2/me").is_under(&path("/v2/")));
    assert!(path("/v2").is_under(&path("/v2")));
    assert!(path("/v2").is_under(&path("/")));
    assert!(!path("/v2beta").is_under(&path("/v2")));
    assert!(!path("/").is_under(&path("/v2")));
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(raw in "/[/.;%0-9a-fA-F25eE~é\\\\]{0,16}") {
        if let Ok(path) = NormalPath::parse(&raw) {
            prop_assert_eq!(NormalPath::parse(path.as_str()).unwrap(), path);
        }
    }

    /// Decoding the outcome once or twice and resolving it as a browser or a careless upstream
    /// would gives no other segments.
    #[test]
    fn nothing_ambiguous_passes(raw in "/[/.;%0-9a-fA-F25eE]{0,16}") {
        let Ok(path) = NormalPath::parse(&raw) else { return Ok(()) };
        let mut text = path.as_str().to_owned();
        for _ in 0..3 {
            let slashes = text.matches('/').count();
            prop_assert_eq!(slashes, path.as_str().matches('/').count());
            prop_assert!(!text.contains("//") && !text.contains('\\'));
            for segment in text.split('/') {
                let name = segment.split(';').next().unwrap_or_default();
                prop_assert!(name != "." && name != "..", "{} in {}", segment, text);
            }
            text = decode_loosely(&text);
        }
    }
}

/// What a decoder does that keeps wrong escapes as text.
fn decode_loosely(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| Some((hex_value(*bytes.get(at + 1)?)?, hex_value(*bytes.get(at + 2)?)?)))
            .flatten();
        match escape {
            Some((high, low)) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
