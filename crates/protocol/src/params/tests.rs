//! Parameters: strict decoding, bounds, duplicates.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn parse(raw: &str) -> Result<Params, ParamsError> {
    Params::parse(raw.as_bytes())
}

#[test]
fn names_and_values_are_decoded() {
    let params = parse("scope=orders.read+orders.create&na%6De=%C3%A9%26&flag").unwrap();
    assert_eq!(params.one("scope").unwrap(), Some("orders.read orders.create"));
    assert_eq!(params.one("name").unwrap(), Some("é&"));
    assert_eq!(params.one("flag").unwrap(), None);
    assert!(params.contains("flag"));
}

#[test]
fn only_the_first_equals_sign_divides() {
    assert_eq!(parse("a=b=c").unwrap().one("a").unwrap(), Some("b=c"));
}

#[test]
fn an_empty_value_counts_as_absent() {
    assert_eq!(parse("state=").unwrap().one("state"), Ok(None));
    assert_eq!(parse("resource=&resource=x").unwrap().all("resource").collect::<Vec<_>>(), ["x"]);
}

#[test]
fn r7_a_doubled_parameter_is_told_even_when_one_is_empty() {
    for raw in
        ["state=a&state=b", "state=a&state=a", "state=&state=b", "state&state", "st%61te&state"]
    {
        let duplicate = parse(raw).unwrap().one("state").unwrap_err();
        assert_eq!(duplicate.name, "state", "{raw}");
    }
}

#[test]
fn a_doubled_unknown_parameter_harms_nobody() {
    let params = parse("utm=1&utm=2&state=a").unwrap();
    assert_eq!(params.one("state"), Ok(Some("a")));
}

#[test]
fn bad_escapes_and_bad_utf8_are_refused() {
    for raw in ["a=%", "a=%4", "a=%zz", "a=%4z", "%=a", "a=%%41"] {
        assert_eq!(parse(raw), Err(ParamsError::BadEscape), "{raw}");
    }
    for raw in ["a=%ff", "a=%C0%AE", "a=%ED%A0%80"] {
        assert_eq!(parse(raw), Err(ParamsError::NotUtf8), "{raw}");
    }
    assert_eq!(Params::parse(b"a=\xff"), Err(ParamsError::NotUtf8));
    assert_eq!(parse("a=b%00"), Err(ParamsError::Nul));
}

#[test]
fn x1_every_size_has_a_bound() {
    assert_eq!(parse(&"a&".repeat(BYTES_MAX)), Err(ParamsError::TooLong));
    assert_eq!(parse(&"a&".repeat(COUNT_MAX + 1)), Err(ParamsError::TooMany));
    assert!(parse(&"a&".repeat(COUNT_MAX)).is_ok());
    assert_eq!(parse(&"a".repeat(NAME_BYTES_MAX + 1)), Err(ParamsError::NameTooLong));
    let value = "v".repeat(VALUE_BYTES_MAX);
    assert!(parse(&format!("a={value}")).is_ok());
    assert_eq!(parse(&format!("a={value}v")), Err(ParamsError::ValueTooLong));
}

#[test]
fn pairs_from_a_json_body_have_the_same_bounds() {
    let params = Params::from_pairs([("code", "c"), ("code", "d")]).unwrap();
    assert!(params.one("code").is_err());
    assert_eq!(Params::from_pairs([("a", "\0")]), Err(ParamsError::Nul));
    let many = vec![("a", "v".repeat(VALUE_BYTES_MAX)); 5];
    assert_eq!(Params::from_pairs(many), Err(ParamsError::TooLong));
}

#[test]
fn x3_values_are_not_printed() {
    let printed = format!("{:?}", parse("client_secret=hunter2").unwrap());
    assert_eq!(printed, r#"["client_secret"]"#);
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_and_not_a_panic(raw in vec(any::<u8>(), 0..300)) {
        if let Ok(params) = Params::parse(&raw) {
            prop_assert!(params.iter().count() <= COUNT_MAX);
        }
    }

    #[test]
    fn what_is_encoded_is_read_back(pairs in vec(("[^\0]{0,20}", "[^\0]{0,40}"), 0..20)) {
        let mut raw = form_urlencoded::Serializer::new(String::new());
        raw.extend_pairs(&pairs);
        let params = Params::parse(raw.finish().as_bytes()).unwrap();
        let read: Vec<(String, String)> =
            params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        prop_assert_eq!(read, pairs);
    }
}
