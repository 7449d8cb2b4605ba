//! The bearer header and the challenge: rows T3 and X3 of the attack list.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn the_token_of_one_header_is_read() {
    for value in ["Bearer abc.DEF-_~+/==", "bearer abc.DEF-_~+/==", "BEARER  abc.DEF-_~+/=="] {
        assert_eq!(token_from(&headers(&[value])), Ok("abc.DEF-_~+/=="), "{value}");
    }
}

#[test]
fn anything_else_is_refused() {
    use BearerError as E;
    assert_eq!(token_from(&headers(&[])), Err(E::Missing));
    assert_eq!(token_from(&headers(&["Basic Ym90OnM="])), Err(E::Missing));
    assert_eq!(token_from(&headers(&["Bearer a", "Bearer a"])), Err(E::Several));
    for value in
        ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer =", "Bearer a=b", "Bearer a\tb"]
    {
        assert_eq!(token_from(&headers(&[value])), Err(E::Malformed), "{value}");
    }
    let long = format!("Bearer {}", "a".repeat(TOKEN_BYTES_MAX + 1));
    assert_eq!(token_from(&headers(&[&long])), Err(E::Malformed));
}

#[test]
fn x3_a_token_in_the_query_is_seen() {
    for query in [
        "access_token=t",
        "a=1&access_token=t",
        "access%5Ftoken=t",
        "access_token",
        "a=%zz&access_token=t",
    ] {
        assert!(query_carries_token(Some(query)), "{query}");
    }
    for query in [None, Some(""), Some("a=access_token"), Some("my_access_token=t")] {
        assert!(!query_carries_token(query), "{query:?}");
    }
}

#[test]
fn the_challenge_names_all_missing_scopes_at_once() {
    let missing = ScopeSet::parse("orders.read orders.create").unwrap();
    let value = Challenge::new()
        .realm("exchange")
        .error(BearerErrorCode::InsufficientScope, "a scope is missing")
        .scope(&missing)
        .resource_metadata("https://api.example/.well-known/oauth-protected-resource")
        .to_header_value();
    assert_eq!(
        value.to_str().unwrap(),
        "Bearer realm=\"exchange\", error=\"insufficient_scope\", \
         error_description=\"a scope is missing\", scope=\"orders.create orders.read\", \
         resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\""
    );
}

#[test]
fn a_bare_challenge_is_only_the_scheme() {
    assert_eq!(Challenge::new().to_header_value(), "Bearer");
}

#[test]
fn a_quoted_value_cannot_end_its_quotes() {
    let value = Challenge::new().realm("a\"b\\c\r\nX: é").to_header_value();
    assert_eq!(value.to_str().unwrap(), r#"Bearer realm="a\"b\\c??X: ?""#);
}

proptest! {
    #[test]
    fn t3_any_header_is_an_answer_and_not_a_panic(value in vec(any::<u8>(), 0..60)) {
        if let Ok(token) = parse(&value) {
            prop_assert!(!token.is_empty() && token.is_ascii());
        }
    }

    #[test]
    fn any_realm_makes_a_header(realm in ".{0,40}") {
        prop_assert_ne!(Challenge::new().realm(&realm).to_header_value(), "Bearer");
    }
}
