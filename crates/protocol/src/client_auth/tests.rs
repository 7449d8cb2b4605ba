//! Client authentication: the three readings of HTTP Basic, and row X4 of the attack list.

use http::HeaderValue;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn basic(text: &str) -> HeaderMap {
    header(&format!("Basic {}", STANDARD.encode(text)))
}

fn header(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    headers
}

fn form(raw: &str) -> Params {
    Params::parse(raw.as_bytes()).unwrap()
}

fn decode(headers: &HeaderMap, body: &str) -> Result<PresentedClient, ClientAuthError> {
    PresentedClient::decode(headers, None, &form(body))
}

fn readings(client: &PresentedClient) -> Vec<(&str, Option<&str>)> {
    let reading = |candidate: &'_ Candidate| candidate.secret.is_some();
    assert!(
        client.candidates().iter().all(|c| reading(c) == (client.method != ClientAuthMethod::None))
    );
    client
        .candidates()
        .iter()
        .map(|candidate| {
            (candidate.client_id.as_str(), candidate.secret.as_ref().map(Secret::expose))
        })
        .collect()
}

#[test]
fn basic_without_special_characters_has_one_reading() {
    let client = decode(&basic("bot:s3cret"), "").unwrap();
    assert_eq!(client.method, ClientAuthMethod::Basic);
    assert_eq!(readings(&client), [("bot", Some("s3cret"))]);
}

#[test]
fn basic_is_read_form_encoded_percent_encoded_and_raw() {
    let form_encoded = decode(&basic("my+app:a%2Bb%2F"), "").unwrap();
    assert_eq!(readings(&form_encoded), [("my app", Some("a+b/")), ("my+app", Some("a%2Bb%2F"))]);
    let percent_encoded = decode(&basic("bot%2D1:a%2Eb%5Fc"), "").unwrap();
    assert_eq!(readings(&percent_encoded)[0], ("bot-1", Some("a.b_c")));
    let raw = decode(&basic("bot:100%:x+y"), "").unwrap();
    assert_eq!(readings(&raw), [("bot", Some("100%:x+y"))]);
}

#[test]
fn a_client_id_in_the_body_decides_between_the_readings() {
    let client = decode(&basic("a%20b:x%20y"), "client_id=a%20b").unwrap();
    assert_eq!(readings(&client), [("a b", Some("x y"))]);
    let other = decode(&basic("bot:s"), "client_id=other");
    assert_eq!(other.unwrap_err(), ClientAuthError::Contradiction);
}

#[test]
fn post_and_none_are_read_from_the_body() {
    let post = decode(&HeaderMap::new(), "client_id=bot&client_secret=s+1").unwrap();
    assert_eq!(
        (post.method, readings(&post)),
        (ClientAuthMethod::Post, vec![("bot", Some("s 1"))])
    );
    let public = decode(&HeaderMap::new(), "client_id=mobile&client_secret=").unwrap();
    assert_eq!(
        (public.method, readings(&public)),
        (ClientAuthMethod::None, vec![("mobile", None)])
    );
}

#[test]
fn basic_with_an_empty_secret_is_a_public_client() {
    let client = decode(&basic("mobile:"), "client_id=mobile").unwrap();
    assert_eq!(
        (client.method, readings(&client)),
        (ClientAuthMethod::None, vec![("mobile", None)])
    );
}

#[test]
fn x4_two_ways_at_once_are_refused() {
    use ClientAuthError as E;
    assert_eq!(decode(&basic("bot:s"), "client_id=bot&client_secret=s").unwrap_err(), E::Several);
    let mut twice = basic("bot:s");
    twice.append(AUTHORIZATION, HeaderValue::from_static("Basic Ym90OnM="));
    assert_eq!(decode(&twice, "").unwrap_err(), E::Several);
    let assertion = "client_id=bot&client_assertion=e.y.J&client_assertion_type=x";
    assert_eq!(decode(&HeaderMap::new(), assertion).unwrap_err(), E::Assertion);
}

#[test]
fn x4_credentials_in_the_url_are_refused() {
    let none = HeaderMap::new();
    let body = form("client_id=bot&client_secret=s");
    for query in ["client_secret=s", "client%5fid=bot", "a=1&code=c", "token=t", "a=%zz"] {
        let error = PresentedClient::decode(&none, Some(query), &body).unwrap_err();
        assert_eq!(error, ClientAuthError::InUrl, "{query}");
    }
    assert!(PresentedClient::decode(&none, Some("trace=1"), &body).is_ok());
    assert!(PresentedClient::decode(&none, Some(""), &body).is_ok());
}

#[test]
fn r7_a_doubled_client_parameter_is_refused() {
    for body in ["client_id=a&client_id=b", "client_id=a&client_secret=s&client_secret=s"] {
        let error = decode(&HeaderMap::new(), body).unwrap_err();
        assert!(matches!(error, ClientAuthError::Duplicate(_)), "{body}");
    }
}

#[test]
fn unreadable_headers_are_told_apart_from_missing_ones() {
    use ClientAuthError as E;
    assert_eq!(decode(&HeaderMap::new(), "").unwrap_err(), E::Missing);
    assert_eq!(decode(&HeaderMap::new(), "client_secret=s").unwrap_err(), E::IdMissing);
    for value in
        ["Basic", "Basic ", "Basic !!!", "Basic Ym90", "Basic OnM=", "Bearer x", "Basic /w=="]
    {
        assert_eq!(decode(&header(value), "").unwrap_err(), E::Unreadable, "{value}");
    }
    assert_eq!(decode(&basic("a\0b:s"), "").unwrap_err(), E::Unreadable);
    assert!(decode(&header("bAsIc Ym90OnM="), "").is_ok());
}

#[test]
fn x1_over_long_credentials_are_refused() {
    let long = "x".repeat(SECRET_BYTES_MAX + 1);
    let body = format!("client_id=bot&client_secret={long}");
    assert_eq!(decode(&HeaderMap::new(), &body).unwrap_err(), ClientAuthError::TooLong);
    assert_eq!(decode(&basic(&format!("{long}:s")), "").unwrap_err(), ClientAuthError::TooLong);
}

#[test]
fn x3_a_secret_is_not_printed() {
    let printed = format!("{:?}", decode(&basic("bot:hunter2"), "").unwrap());
    assert!(printed.contains("bot") && !printed.contains("hunter2"), "{printed}");
}

proptest! {
    #[test]
    fn any_header_is_an_answer_and_not_a_panic(value in vec(32u8..=255, 0..60)) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value);
        prop_assert!(decode(&headers, "").is_err());
    }

    /// Whatever the characters, the true pair is among the readings of all three spellings.
    #[test]
    fn the_true_credentials_are_always_among_the_readings(
        id in "[a-zA-Z0-9._~%+ -]{1,12}",
        secret in "[ -~]{1,20}",
    ) {
        let encode = |text: &str| -> String {
            form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let percent = |text: &str| -> String {
            text.bytes().map(|byte| format!("%{byte:02X}")).collect()
        };
        for sent in [
            format!("{}:{}", encode(&id), encode(&secret)),
            format!("{}:{}", percent(&id), percent(&secret)),
            format!("{id}:{secret}"),
        ] {
            let client = decode(&basic(&sent), "").unwrap();
            let truth = (id.as_str(), Some(secret.as_str()));
            prop_assert!(readings(&client).contains(&truth), "{}", sent);
        }
    }
}
