//! The vector of the RFC, every component, and what is not read because it could be read twice.

use http::HeaderValue;
use proptest::prelude::*;

use super::MessageSignatureError as E;
use super::*;

/// RFC 9421 §B.1.5
const SHARED_SECRET: &str = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtb\
                             mHhIDi6pcl8jsasjlTMtDQ==";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn parts(headers: &HeaderMap) -> SignedParts<'_> {
    SignedParts {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path: "/foo",
        query: Some("param=Value&Pet=dog"),
        headers,
    }
}

/// The request of RFC 9421 §B.2 with the signature of §B.2.5.
fn vector() -> HeaderMap {
    headers(&[
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        ("content-length", "18"),
        (
            "content-digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwE\
             mTHWXvJwew==:",
        ),
        (
            "signature-input",
            "sig-b25=(\"date\" \"@authority\" \"content-type\");created=1618884473\
             ;keyid=\"test-shared-secret\"",
        ),
        ("signature", "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"),
    ])
}

#[test]
fn the_vector_of_rfc_9421_b_2_5_holds() {
    let headers = vector();
    let signature = MessageSignature::read(&headers).unwrap();
    assert_eq!((signature.created, signature.key_id.as_str()), (1618884473, "test-shared-secret"));
    let key = MacKey::new(&STANDARD.decode(SHARED_SECRET).unwrap());
    assert_eq!(signature.verify(&parts(&headers), &key), Ok(()));
    assert_eq!(signature.verify(&parts(&headers), &MacKey::new(b"other")), Err(E::Wrong));
    let altered = SignedParts { authority: "example.org", ..parts(&headers) };
    assert_eq!(signature.verify(&altered, &key), Err(E::Wrong));
    assert_eq!(check_content_digest(&headers, br#"{"hello": "world"}"#), Ok(()));
    assert_eq!(check_content_digest(&headers, br#"{"hello": "World"}"#), Err(E::Body));
    // It stands for no request: it covers neither method nor path.
    assert_eq!(signature.complete(false), Err(E::NotCovered("@method")));
}

#[test]
fn every_derived_component_has_the_value_of_the_rfc() {
    let headers = headers(&[("x-a", " one "), ("x-a", "two")]);
    let parts = SignedParts { authority: "WWW.Example.com", ..parts(&headers) };
    let value = |name: &str| value_of(name, &parts).unwrap().into_owned();
    assert_eq!(value("@method"), "POST");
    assert_eq!(value("@authority"), "www.example.com");
    assert_eq!(value("@scheme"), "https");
    assert_eq!(value("@path"), "/foo");
    assert_eq!(value("@query"), "?param=Value&Pet=dog");
    assert_eq!(value("@request-target"), "/foo?param=Value&Pet=dog");
    assert_eq!(value("@target-uri"), "https://www.example.com/foo?param=Value&Pet=dog");
    assert_eq!(value("x-a"), "one, two");
    // §2.2.7: without a query it is `?` alone.
    let without = SignedParts { query: None, ..parts };
    assert_eq!(value_of("@query", &without).unwrap(), "?");
    for unknown in ["@status", "@query-param", "@what", "x-b", "bad name"] {
        assert_eq!(value_of(unknown, &parts), Err(E::UnknownComponent(unknown.to_owned())));
    }
}

fn signed(input: &str) -> Result<MessageSignature, E> {
    MessageSignature::read(&headers(&[("signature-input", input), ("signature", "s=:AAAA:")]))
}

const ALL: &str = "s=(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\")";

#[test]
fn what_a_signature_must_say_and_cover_is_named() {
    let with = |parameters: &str| signed(&format!("{ALL}{parameters}"));
    let good = with(";created=1;keyid=\"k\";nonce=\"n\";alg=\"hmac-sha256\"").unwrap();
    assert_eq!(good.complete(true), Ok("n"));
    assert_eq!(with(";keyid=\"k\"").unwrap_err(), E::MissingParameter("created"));
    assert_eq!(with(";created=1").unwrap_err(), E::MissingParameter("keyid"));
    let without_nonce = with(";created=1;keyid=\"k\"").unwrap();
    assert_eq!(without_nonce.complete(true), Err(E::MissingParameter("nonce")));
    assert_eq!(with(";created=1;keyid=\"k\";alg=\"none\"").unwrap_err(), E::Algorithm);
    assert_eq!(with(";created=1;keyid=\"k\";alg=1").unwrap_err(), E::Algorithm);
    for left_out in ["@method", "@authority", "@path", "@query", "content-digest"] {
        let covered = ALL.replace(&format!("\"{left_out}\""), "\"x\"");
        let signature = signed(&format!("{covered};created=1;keyid=\"k\";nonce=\"n\"")).unwrap();
        assert_eq!(signature.complete(true), Err(E::NotCovered(left_out)));
        let without_body = signature.complete(false);
        assert_eq!(without_body.is_ok(), left_out == "content-digest", "{left_out}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_not_read() {
    for input in [
        "",
        "s",
        "s=",
        "s=()",
        "S=();created=1;keyid=\"k\"",
        "s=(\"a\" \"a\");created=1;keyid=\"k\"",
        "s=(\"a\";req);created=1;keyid=\"k\"",
        "s=(\"a\"\"b\");created=1;keyid=\"k\"",
        "s=(\"a\" b);created=1;keyid=\"k\"",
        "s=(\"a\");created=01;keyid=\"k\"",
        "s=(\"a\");created=-1;keyid=\"k\"",
        "s=(\"a\");created=1;created=2;keyid=\"k\"",
        "s=(\"a\");created=1;keyid=\"\"",
        "s=(\"a\");created=1;keyid=\"k",
        "s=(\"a\");created=1;keyid=\"\\k\"",
        "s=(\"a\");created=1000000000000000;keyid=\"k\"",
        "other=();created=1;keyid=\"k\"",
    ] {
        assert!(signed(input).is_err(), "{input}");
    }
    let two = "s=(\"a\");created=1;keyid=\"k\", t=(\"a\");created=1;keyid=\"k\"";
    assert_eq!(signed(two).unwrap_err(), E::Several);
    let long = format!("s=(\"{}\");created=1;keyid=\"k\"", "a".repeat(5000));
    assert!(signed(&long).is_err());
}

#[test]
fn an_unknown_digest_alone_proves_nothing() {
    let digest = |value: &str| check_content_digest(&headers(&[("content-digest", value)]), b"{}");
    let good = content_digest(b"{}");
    assert_eq!(digest(&good), Ok(()));
    assert_eq!(digest(&format!("md5=:AAAA:, {good}")), Ok(()));
    assert_eq!(digest("md5=:AAAA:"), Err(E::Digest));
    assert_eq!(digest(&format!("{good}, sha-512=:AAAA:")), Err(E::Body));
    for broken in ["", "sha-256", "sha-256=AAAA", "sha-256=:AAAA", "sha-256=:*:", "sha-256=:A:,"] {
        assert_eq!(digest(broken), Err(E::Digest), "{broken}");
    }
    assert_eq!(check_content_digest(&HeaderMap::new(), b""), Err(E::Digest));
}

proptest! {
    #[test]
    fn x1_no_header_panics(input in ".{0,200}", signature in ".{0,100}", digest in ".{0,100}") {
        let mut headers = HeaderMap::new();
        for (name, text) in
            [(SIGNATURE_INPUT, &input), (SIGNATURE, &signature), (CONTENT_DIGEST, &digest)]
        {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
        if let Ok(signature) = MessageSignature::read(&headers) {
            let _ = signature.base(&parts(&headers));
        }
        let _ = check_content_digest(&headers, b"");
    }

    /// Whoever signs the base that we make is let in, and nobody else.
    #[test]
    fn a_signature_of_the_base_holds_until_anything_changes(
        nonce in "[ -~]{1,40}",
        path in "/[a-z]{0,9}",
        other in "/[a-z]{0,9}",
    ) {
        let escaped = nonce.replace('\\', "\\\\").replace('"', "\\\"");
        let input = format!("{ALL};created=7;keyid=\"k\";nonce=\"{escaped}\"");
        let digest = content_digest(b"{}");
        let key = MacKey::new(b"secret");
        let mut headers = headers(&[
            ("content-digest", &digest),
            ("signature-input", &input),
            ("signature", "s=:AAAA:"),
        ]);
        let sign = |headers: &HeaderMap| {
            let parts = SignedParts { path: &path, ..parts(headers) };
            let base = MessageSignature::read(headers).unwrap().base(&parts).unwrap();
            format!("s=:{}:", STANDARD.encode(key.sign(Digest::Sha256, base.as_bytes())))
        };
        let signature = sign(&headers);
        headers.insert(SIGNATURE, HeaderValue::from_str(&signature).unwrap());
        let read = MessageSignature::read(&headers).unwrap();
        prop_assert_eq!(read.complete(true), Ok(nonce.as_str()));
        let verify = |path: &str| read.verify(&SignedParts { path, ..parts(&headers) }, &key);
        prop_assert_eq!(verify(&path), Ok(()));
        prop_assert_eq!(verify(&other).is_ok(), path == other);
    }
}
