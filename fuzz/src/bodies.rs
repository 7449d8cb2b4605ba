//! Form and JSON bodies: what is accepted reads as an independent decoder reads it, and what is
//! refused is refused for a reason that can be seen. The input is one body, read as both.

use std::sync::LazyLock;

use http::StatusCode;
use protocol::dialect::{BodyFormat, Parameter, TokenAnswer, TokenEndpoint};
use protocol::params::{BYTES_MAX, COUNT_MAX, NAME_BYTES_MAX, Params, VALUE_BYTES_MAX};
use protocol::template::Template;

use super::json::Json;

pub type Pairs = Vec<(String, String)>;

pub fn check(data: &[u8]) {
    check_form(data);
    check_json(data);
}

fn check_form(data: &[u8]) {
    let expected: Pairs = form_urlencoded::parse(data).into_owned().collect();
    match Params::parse(data) {
        Ok(params) => {
            assert_eq!(pairs(&params), expected);
            assert!(fits(&expected), "a bound was passed over");
            let again = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(params.iter())
                .finish();
            if again.len() <= BYTES_MAX {
                assert_eq!(Params::parse(again.as_bytes()), Ok(params), "written and read again");
            }
        }
        Err(error) => {
            let is_at_fault = data.len() > BYTES_MAX
                || !fits(&expected)
                || has_bad_escape(data)
                || expected.iter().any(|(name, value)| (name.clone() + value).contains('\u{fffd}'));
            assert!(is_at_fault, "refused for nothing: {error}");
        }
    }
}

fn check_json(data: &[u8]) {
    let json = Json::parse(data);
    let expected = json.as_ref().and_then(flat);
    let mut names: Vec<String> = Vec::new();
    for (name, _) in json.iter().flat_map(Json::members) {
        if !names.contains(name) && names.len() < COUNT_MAX {
            names.push(name.clone());
        }
    }
    let decoded = endpoint_for(&names).decode(Some("application/json"), data, false);
    match (decoded, expected) {
        (Ok(params), Some(expected)) => {
            for (index, name) in names.iter().enumerate() {
                let ours = params.all(&standard(index)).collect::<Vec<_>>();
                let theirs = expected.iter().filter(|(n, v)| n == name && !v.is_empty());
                assert_eq!(ours, theirs.map(|(_, value)| value).collect::<Vec<_>>(), "{name}");
            }
        }
        (Ok(_), None) => panic!("accepted what is not a flat JSON object"),
        (Err(error), Some(expected)) => {
            let bytes: usize = expected.iter().map(|(n, v)| n.len() + v.len()).sum();
            let is_at_fault = data.len().max(bytes) > BYTES_MAX || !fits(&expected);
            assert!(is_at_fault, "refused for nothing: {error}");
        }
        (Err(_), None) => {}
    }
}

fn pairs(params: &Params) -> Pairs {
    params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn fits(pairs: &[(String, String)]) -> bool {
    pairs.len() <= COUNT_MAX
        && pairs.iter().all(|(name, value)| {
            name.len() <= NAME_BYTES_MAX
                && value.len() <= VALUE_BYTES_MAX
                && !name.contains('\0')
                && !value.contains('\0')
        })
}

fn has_bad_escape(data: &[u8]) -> bool {
    let is_escape =
        |rest: &[u8]| rest.len() > 2 && rest[1].is_ascii_hexdigit() && rest[2].is_ascii_hexdigit();
    (0..data.len()).any(|at| data[at] == b'%' && !is_escape(&data[at..]))
}

/// The members as a form would say them, null ones left out; `None` where a form could not.
pub fn flat(json: &Json) -> Option<Pairs> {
    let Json::Object(members) = json else { return None };
    let mut pairs = Vec::new();
    for (name, value) in members {
        let value = match value {
            Json::Null => continue,
            Json::Bool(value) => value.to_string(),
            Json::Integer(value) => value.to_string(),
            Json::Text(value) => value.clone(),
            Json::Float(_) | Json::List(_) | Json::Object(_) => return None,
        };
        pairs.push((name.clone(), value));
    }
    Some(pairs)
}

fn standard(index: usize) -> String {
    format!("p{index}")
}

/// An endpoint that has a parameter for each of `names`, so that none is lost in renaming.
fn endpoint_for(names: &[String]) -> TokenEndpoint {
    static EMPTY: LazyLock<TokenEndpoint> = LazyLock::new(|| TokenEndpoint {
        path: "/token".to_owned(),
        parameters: Vec::new(),
        grant_types: Vec::new(),
        bodies: vec![BodyFormat::Json],
        takes_basic: false,
        required: Vec::new(),
        scope_separator: ' ',
        needs_listed_address: false,
        rate_per_app: None,
        rate_of_failures: None,
        answer: TokenAnswer {
            body: (StatusCode::OK, Template::parse("{}").unwrap()),
            token_type: "Bearer".to_owned(),
            scope_separator: ' ',
        },
        errors: Vec::new(),
    });
    let parameters = names.iter().enumerate().map(|(index, name)| Parameter {
        standard: standard(index),
        name: Some(name.clone()),
        default: None,
    });
    TokenEndpoint { parameters: parameters.collect(), ..EMPTY.clone() }
}
