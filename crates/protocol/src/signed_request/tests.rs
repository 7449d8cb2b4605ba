//! A dialect's form: signatures of another program, bodies that mean two things, every refusal.

use proptest::prelude::*;

use super::SignedRefusal as R;
use super::*;

const PATH: &str = "/api/v4/order/new";

fn form() -> SignedForm {
    SignedForm {
        key_header: HeaderName::from_static("x-key"),
        payload_header: HeaderName::from_static("x-payload"),
        signature_header: HeaderName::from_static("x-signature"),
        digest: Digest::Sha512,
        encoding: Encoding::Hex,
        method: Method::POST,
        members: Members {
            request: "request".to_owned(),
            nonce: "nonce".to_owned(),
            window: Some("nonceWindow".to_owned()),
        },
        window: Duration::from_secs(5),
        refusals: SignedRefusals {
            template: Template::parse(
                r#"{"code":9,"message":"{{message}}","error":"{{error}}","status":"{{status}}"}"#,
            )
            .unwrap(),
            status: StatusCode::BAD_REQUEST,
            statuses: BTreeMap::from([(R::NonceUsed, StatusCode::TOO_MANY_REQUESTS)]),
            messages: BTreeMap::from([(R::NonceUsed, "Too many requests.".to_owned())]),
        },
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(body: &[u8], secret: &str) -> HeaderMap {
    let payload = STANDARD.encode(body);
    let mac = MacKey::new(secret.as_bytes()).sign(Digest::Sha512, payload.as_bytes());
    headers(&[("x-key", "k1"), ("x-payload", &payload), ("x-signature", &hex(&mac))])
}

fn verify(headers: &HeaderMap, body: &[u8], secret: &str) -> Result<(), R> {
    let form = form();
    let signed = form.read_headers(headers)?;
    form.verify(&signed, &MacKey::new(secret.as_bytes()))?;
    signed.carry(body)
}

/// Made with `hmac.new(b"secret", payload, "sha512").hexdigest()` of Python 3.11.
#[test]
fn a_signature_of_another_program_holds() {
    let body = br#"{"request":"/api/v4/order/new","nonce":1}"#;
    let headers = headers(&[
        ("x-key", "k1"),
        ("x-payload", "eyJyZXF1ZXN0IjoiL2FwaS92NC9vcmRlci9uZXciLCJub25jZSI6MX0="),
        ("x-signature", VECTOR),
    ]);
    assert_eq!(verify(&headers, body, "secret"), Ok(()));
    assert_eq!(verify(&headers, body, "Secret"), Err(R::SignatureInvalid));
    let other = br#"{"request":"/api/v4/order/new","nonce":2}"#;
    assert_eq!(verify(&headers, other, "secret"), Err(R::PayloadInvalid));
}

const VECTOR: &str = "09a5aa45b14e6dde4c0ce636380097c0ef9dfda72f3a74109c1aa2dc63d999d042851e15b5f02615b80ba89260\
                      b7062a539a5bf86ee648d7e56974c3d6175d72";

#[test]
fn headers_that_are_missing_or_doubled_are_told_apart() {
    let read = |pairs: &[(&'static str, &str)]| {
        form().read_headers(&headers(pairs)).map(|signed| signed.key.to_owned())
    };
    let all = [("x-key", "k"), ("x-payload", "e30="), ("x-signature", "00")];
    assert_eq!(read(&all), Ok("k".to_owned()));
    assert_eq!(read(&[all[0], all[2]]), Err(R::PayloadMissing));
    assert_eq!(read(&[all[0], all[1]]), Err(R::SignatureInvalid));
    assert_eq!(read(&[all[1], all[2]]), Err(R::SignatureInvalid));
    for (doubled, refusal) in
        [(0, R::SignatureInvalid), (1, R::PayloadInvalid), (2, R::SignatureInvalid)]
    {
        assert_eq!(read(&[all[0], all[1], all[2], all[doubled]]), Err(refusal));
    }
    assert_eq!(read(&[("x-key", &"k".repeat(129)), all[1], all[2]]), Err(R::SignatureInvalid));
}

fn read(body: &str) -> Result<Said, R> {
    form().read_body(body.as_bytes(), PATH)
}

#[test]
fn a_nonce_is_a_whole_number_or_the_text_of_one() {
    let nonce = |json: &str| {
        read(&format!(r#"{{"request":"{PATH}","nonce":{json}}}"#)).map(|said| said.nonce)
    };
    assert_eq!(nonce("17"), Ok(17));
    assert_eq!(nonce("\"17\""), Ok(17));
    assert_eq!(nonce("\"0017\""), Ok(17));
    assert_eq!(nonce(&i64::MAX.to_string()), Ok(i64::MAX));
    for bad in ["-1", "1.5", "1e3", "\"\"", "\"+1\"", "\"-1\"", "\"1.0\"", "null", "true"] {
        assert_eq!(nonce(bad), Err(R::NonceMissing), "{bad}");
    }
    assert_eq!(nonce("9223372036854775808"), Err(R::NonceMissing));
    for bad in ["[1]", "{}"] {
        assert_eq!(nonce(bad), Err(R::PayloadInvalid), "{bad}");
    }
}

#[test]
fn the_body_names_the_path_that_is_called() {
    assert_eq!(read(r#"{"nonce":1}"#), Err(R::RequestMissing));
    assert_eq!(read(r#"{"request":"","nonce":1}"#), Err(R::RequestMissing));
    assert_eq!(read(r#"{"request":7,"nonce":1}"#), Err(R::RequestMissing));
    let other = read(r#"{"request":"/api/v4/withdraw","nonce":1}"#);
    assert_eq!(other, Err(R::RequestMismatch));
    let escaped = read(r#"{"r\u0065quest":"\/api\/v4\/order\/new","nonce":1}"#);
    assert_eq!(escaped, Ok(Said { nonce: 1, has_window: false }));
}

#[test]
fn a_window_is_asked_for_with_a_truth_value() {
    let window = |json: &str| {
        let body = format!(r#"{{"request":"{PATH}","nonce":1,"nonceWindow":{json}}}"#);
        read(&body).map(|said| said.has_window)
    };
    assert_eq!(window("true"), Ok(true));
    assert_eq!(window("false"), Ok(false));
    assert_eq!(window("null"), Ok(false));
    for bad in ["1", "\"true\""] {
        assert_eq!(window(bad), Err(R::WindowInvalid), "{bad}");
    }
}

#[test]
fn what_the_upstream_could_read_differently_is_refused() {
    for body in [
        r#"{"request":"/api/v4/order/new","request":"/api/v4/withdraw","nonce":1}"#,
        r#"{"request":"/api/v4/order/new","nonce":1,"nonce":2}"#,
        r#"{"request":"/api/v4/order/new","nonce":1,"nonceWindow":true,"nonceWindow":false}"#,
        r#"{"request":"/api/v4/order/new","nonce":1} {}"#,
        r#"["/api/v4/order/new",1]"#,
        "",
        "7",
        "{",
    ] {
        assert_eq!(read(body), Err(R::PayloadInvalid), "{body}");
    }
}

#[test]
fn x1_a_deep_body_does_not_recurse() {
    let deep = "[".repeat(200_000);
    let body = format!(r#"{{"request":"{PATH}","nonce":1,"more":{deep}"#);
    assert_eq!(read(&body), Err(R::PayloadInvalid));
    let closed = format!("{body}{}}}", "]".repeat(200_000));
    assert_eq!(read(&closed), Ok(Said { nonce: 1, has_window: false }));
}

#[test]
fn a_refusal_is_said_in_the_words_of_the_dialect_or_in_ours() {
    let (status, body) = form().render(R::NonceUsed);
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let own = r#"{"code":9,"message":"Too many requests.","error":"nonce_used","status":429}"#;
    assert_eq!(body, own);
    let (status, body) = form().render(R::KeyDisabled);
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains(r#""message":"the key is disabled""#), "{body}");
}

proptest! {
    #[test]
    fn only_the_body_that_was_signed_is_carried(
        body in prop::collection::vec(any::<u8>(), 0..4000),
        at: prop::sample::Index,
        flip in 1..=255_u8,
    ) {
        let headers = sign(&body, "secret");
        prop_assert_eq!(verify(&headers, &body, "secret"), Ok(()));
        let mut longer = body.clone();
        longer.push(0);
        prop_assert_eq!(verify(&headers, &longer, "secret"), Err(R::PayloadInvalid));
        if !body.is_empty() {
            let mut altered = body.clone();
            altered[at.index(body.len())] ^= flip;
            prop_assert_eq!(verify(&headers, &altered, "secret"), Err(R::PayloadInvalid));
            let shorter = &body[..body.len() - 1];
            prop_assert_eq!(verify(&headers, shorter, "secret"), Err(R::PayloadInvalid));
        }
    }

    #[test]
    fn x1_no_body_panics(body in prop::collection::vec(any::<u8>(), 0..500)) {
        let _ = form().read_body(&body, PATH);
        let headers = sign(b"{}", "secret");
        let _ = verify(&headers, &body, "secret");
    }
}
