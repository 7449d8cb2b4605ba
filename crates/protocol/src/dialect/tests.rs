//! An invented dialect: what its clients send becomes the standard's words, and back.

use proptest::prelude::*;

use super::*;
use crate::error::OAuthError;
use crate::scope::ScopeSet;
use crate::template::Template;

fn parameter(standard: &str, name: Option<&str>, default: Option<&str>) -> Parameter {
    Parameter {
        standard: standard.to_owned(),
        name: name.map(str::to_owned),
        default: default.map(str::to_owned),
    }
}

fn endpoint() -> TokenEndpoint {
    let rule = |when: &[Failure], status, template: &str| ErrorRule {
        when: when.to_vec(),
        status: StatusCode::from_u16(status).ok(),
        template: Template::parse(template).unwrap(),
    };
    TokenEndpoint {
        path: "/token".to_owned(),
        parameters: vec![
            parameter("client_id", Some("app"), None),
            parameter("client_secret", Some("key"), None),
            parameter("grant_type", Some("kind"), None),
            parameter("code", Some("ticket"), None),
            parameter("scope", Some("rights"), None),
        ],
        grant_types: vec![(GrantType::AuthorizationCode, "ticket".to_owned())],
        bodies: BodyFormat::ALL.to_vec(),
        takes_basic: true,
        required: vec!["app".to_owned(), "key".to_owned(), "ticket".to_owned()],
        scope_separator: ';',
        needs_listed_address: false,
        rate_per_app: None,
        rate_of_failures: None,
        answer: TokenAnswer {
            body: (
                StatusCode::CREATED,
                Template::parse(
                    r#"{"t":"{{access_token}}","n":"{{refresh_token}}","s":"{{scope}}","e":"{{expires_in}}"}"#,
                )
                .unwrap(),
            ),
            token_type: "Bearer".to_owned(),
            scope_separator: ';',
        },
        errors: vec![
            rule(&[Failure::MissingParameter], 422, r#"{"missing":{"{{missing}}":1}}"#),
            rule(&[], 0, r#"{"why":"{{error}}"}"#),
        ],
    }
}

const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=utf-8");
const JSON: Option<&str> = Some("application/json");

fn pairs(content_type: Option<&str>, body: &str) -> Vec<(String, String)> {
    let params = endpoint().decode(content_type, body.as_bytes(), false).unwrap();
    params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_form_json_and_json_that_says_it_is_a_form_mean_the_same() {
    let form = "app=7&key=k&kind=ticket&ticket=c&rights=a%3Bb&code=smuggled&scope=smuggled";
    let json = r#" {"app":7,"key":"k","kind":"ticket","ticket":"c","rights":"a;b","code":null}"#;
    let expected = [
        ("client_id", "7"),
        ("client_secret", "k"),
        ("grant_type", "authorization_code"),
        ("code", "c"),
        ("scope", "a b"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(pairs(FORM, form), expected);
    assert_eq!(pairs(JSON, json), expected);
    assert_eq!(pairs(FORM, json), expected);
}

#[test]
fn only_the_dialects_own_word_is_a_grant_type() {
    let body = "app=7&key=k&ticket=c&kind=authorization_code";
    let refused = endpoint().decode(FORM, body.as_bytes(), false);
    assert_eq!(refused.unwrap_err(), DecodeError::GrantType);
}

#[test]
fn what_is_missing_is_named_in_the_dialects_words_unless_it_came_in_a_header() {
    let decode = |body: &str, has_basic| endpoint().decode(FORM, body.as_bytes(), has_basic);
    let missing = DecodeError::Missing(vec!["app".to_owned(), "ticket".to_owned()]);
    assert_eq!(decode("key=k&ticket=", false).unwrap_err(), missing);
    assert_eq!(
        endpoint().not_understood(&missing),
        RenderedAnswer {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            body: r#"{"missing":{"app":1,"ticket":1}}"#.to_owned(),
            retry_after_seconds: None,
        }
    );
    assert!(decode("ticket=c&kind=ticket", true).is_ok());
}

#[test]
fn x1_nested_doubled_and_endless_json_is_refused() {
    let decode = |body: &str| endpoint().decode(JSON, body.as_bytes(), false);
    let nested = format!(r#"{{"app":{}1{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    for body in [&nested, r#"{"app":{"a":1}}"#, "[]", "7", "{", r#"{"app":1.5e400}"#] {
        assert!(matches!(decode(body), Err(DecodeError::Body(_))), "{body:.40}");
    }
    let doubled = decode(r#"{"app":"1","app":"2","key":"k","ticket":"c"}"#);
    assert!(matches!(doubled, Err(DecodeError::Duplicate(_))));
    let doubled = decode(r#"{"app":"1","key":"k","ticket":"c","rights":"a","rights":"b"}"#);
    assert_eq!(doubled.unwrap().one("scope").unwrap_err().name, "scope", "the standard refuses it");
    assert!(decode(&format!(r#"{{"app":"{}"}}"#, "x".repeat(70_000))).is_err());
}

#[test]
fn tokens_and_refusals_are_dressed_in_the_dialects_clothes() {
    let scopes = ScopeSet::parse("a b").unwrap();
    let tokens =
        Tokens { access_token: "T", expires_in_seconds: 60, refresh_token: None, scopes: &scopes };
    let granted = endpoint().granted(tokens);
    assert_eq!(
        (granted.status.as_u16(), granted.body.as_str()),
        (201, r#"{"t":"T","s":"a;b","e":60}"#)
    );
    let refused = endpoint().refused(&OAuthError::slow_down(3));
    assert_eq!((refused.status.as_u16(), refused.retry_after_seconds), (429, Some(3)));
    assert_eq!(refused.body, r#"{"why":"slow_down"}"#);
}

#[test]
fn an_authorization_request_gets_what_its_clients_leave_out() {
    let authorize = AuthorizeEndpoint {
        path: "/login".to_owned(),
        parameters: vec![
            parameter("client_id", Some("clientId"), None),
            parameter("state", Some("state"), None),
            parameter("response_type", None, Some("code")),
        ],
        scope_separator: ' ',
    };
    let params =
        authorize.decode("clientId=7&state=s&scope=everything&response_type=token").unwrap();
    let pairs: Vec<_> = params.iter().collect();
    assert_eq!(pairs, [("client_id", "7"), ("state", "s"), ("response_type", "code")]);
    let doubled = authorize.decode("clientId=7&clientId=8").unwrap();
    assert!(doubled.one("client_id").is_err(), "r7: doubled parameters stay doubled");
}

#[test]
fn r7_a_doubled_parameter_stays_doubled_when_one_of_the_two_is_empty() {
    for body in ["rights=&rights=a", "rights=a&rights=", "rights=&rights="] {
        let body = format!("app=7&key=k&ticket=c&{body}");
        let params = endpoint().decode(FORM, body.as_bytes(), false).unwrap();
        assert_eq!(params.one("scope").unwrap_err().name, "scope", "{body}");
    }
    let doubled = "app=7&key=k&ticket=c&kind=ticket&kind=".as_bytes();
    assert!(matches!(endpoint().decode(FORM, doubled, false), Err(DecodeError::Duplicate(_))));
}

proptest! {
    #[test]
    fn x1_no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..400), json in any::<bool>()) {
        let content_type = if json { JSON } else { FORM };
        let _ = endpoint().decode(content_type, &body, false);
    }
}
