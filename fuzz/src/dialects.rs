//! Requests in the built-in dialects: whatever is sent, there is an answer; nothing reaches the
//! standard's decoder that the dialect has no name for, nothing that it has a name for is lost, and
//! JSON means what the form means. Fields: path of the endpoint, content type, query or body.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use consentry::config::{Config, Environment};
use http::HeaderMap;
use protocol::authorize::RawAuthorizeRequest;
use protocol::client_auth::PresentedClient;
use protocol::dialect::{
    AuthorizeEndpoint, BodyFormat, DecodeError, Dialect, Parameter, TokenEndpoint,
};
use protocol::params::{COUNT_MAX, Params};
use protocol::token::TokenRequest;

use super::bodies::{Pairs, flat};
use super::input::Input;
use super::json::Json;

/// The built-in dialects as the config reader makes them from their files.
pub static DIALECTS: LazyLock<Vec<Arc<Dialect>>> = LazyLock::new(|| {
    let environment: Environment =
        [("CONSENTRY_MASTER_KEY".to_owned(), "0f".repeat(32))].into_iter().collect();
    let text = "issuer = \"https://auth.example\"\ndialects = [\"bitport\", \"whitebit\"]\n";
    let read = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let config = Config::parse(Path::new("consentry.toml"), text, &environment, &read).unwrap();
    config.policy_without_credentials().dialects.clone()
});

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (path, content_type) = (input.text(), input.text());
    let body = input.rest();
    for dialect in DIALECTS.iter() {
        if dialect.authorize.path == path {
            check_authorize(&dialect.authorize, &String::from_utf8_lossy(body));
        }
        for endpoint in dialect.tokens.iter().filter(|endpoint| endpoint.path == path) {
            check_token(endpoint, &content_type, body, false);
            check_token(endpoint, &content_type, body, true);
        }
    }
}

fn check_authorize(endpoint: &AuthorizeEndpoint, query: &str) {
    let Ok(params) = endpoint.decode(query) else {
        // A default may be one parameter too many.
        let parsed = Params::parse(query.as_bytes());
        let is_at_fault = parsed.map_or(true, |params| params.iter().count() == COUNT_MAX);
        return assert!(is_at_fault, "refused for nothing");
    };
    let sent: Pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    check_renamed(&endpoint.parameters, endpoint.scope_separator, &sent, &params, |value| value);
    if let Ok(raw) = RawAuthorizeRequest::decode(&params) {
        assert_eq!(params.one("client_id"), Ok(Some(raw.client_id.as_str())));
    }
}

fn check_token(endpoint: &TokenEndpoint, content_type: &str, body: &[u8], has_basic: bool) {
    let decoded = endpoint.decode(Some(content_type), body, has_basic);
    check_json_alike(endpoint, &decoded, content_type, body, has_basic);
    let params = match decoded {
        Ok(params) => params,
        Err(error) => return check_refusal(endpoint, &error),
    };
    let sent = independently(endpoint, content_type, body);
    let grant_type = |word| {
        let known = endpoint.grant_types.iter().find(|(_, own)| *own == word);
        known.expect("another grant type was let through").0.as_str().to_owned()
    };
    let own = &endpoint.parameters;
    check_renamed(own, endpoint.scope_separator, &sent, &params, grant_type);
    for name in &endpoint.required {
        let is_of_client = |one: &Parameter| {
            one.name.as_ref() == Some(name) && one.standard.starts_with("client_")
        };
        let may_be_absent = has_basic && endpoint.takes_basic && own.iter().any(is_of_client);
        let is_there = sent.iter().any(|(known, value)| known == name && !value.is_empty());
        assert!(is_there || may_be_absent, "{name} is required");
    }
    if let Ok(request) = TokenRequest::decode(&params) {
        let granted = endpoint.grant_types.iter().map(|(grant_type, _)| grant_type.as_str());
        assert!(granted.into_iter().any(|known| known == request.grant_type()));
    }
    if let Ok(client) = PresentedClient::decode(&HeaderMap::new(), None, &params) {
        let id = client.candidates()[0].client_id.as_str();
        assert_eq!(params.one("client_id"), Ok(Some(id)));
    }
}

/// What came out is what was sent under the dialect's names, in the standard's, or its default.
fn check_renamed(
    parameters: &[Parameter],
    scope_separator: char,
    sent: &[(String, String)],
    params: &Params,
    grant_type: impl Fn(String) -> String,
) {
    for (name, _) in params.iter() {
        assert!(parameters.iter().any(|one| one.standard == name), "{name} was smuggled in");
    }
    for Parameter { standard, name, default } in parameters {
        let is_sent = |(known, _): &&(String, String)| Some(known) == name.as_ref();
        let mut expected: Vec<String> =
            sent.iter().filter(is_sent).map(|(_, value)| value.clone()).collect();
        if let [] | [""] = expected.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            expected = default.iter().cloned().collect();
        } else if standard == "scope" {
            expected = expected.iter().map(|one| one.replace(scope_separator, " ")).collect();
        } else if standard == "grant_type" {
            expected = expected.into_iter().map(&grant_type).collect();
        }
        let came: Vec<&str> =
            params.iter().filter(|(known, _)| known == standard).map(|(_, value)| value).collect();
        assert_eq!(came, expected, "{standard}");
    }
}

/// Every refusal is an answer that a client can read.
fn check_refusal(endpoint: &TokenEndpoint, error: &DecodeError) {
    let answer = endpoint.not_understood(error);
    assert!((200..600).contains(&answer.status.as_u16()));
    assert!(Json::parse(answer.body.as_bytes()).is_some(), "{}", answer.body);
    if let DecodeError::Missing(names) = error {
        assert!(!names.is_empty());
        assert!(names.iter().all(|name| endpoint.required.contains(name)));
    }
}

/// The same pairs as JSON, honest or under the content type of a form, decode like the form.
fn check_json_alike(
    endpoint: &TokenEndpoint,
    decoded: &Result<Params, DecodeError>,
    content_type: &str,
    body: &[u8],
    has_basic: bool,
) {
    let has = |format| endpoint.bodies.contains(&format);
    let is_form = is(content_type, "application/x-www-form-urlencoded");
    if !is_form || !has(BodyFormat::Json) || matches!(decoded, Err(DecodeError::Body(_))) {
        return;
    }
    let members: Vec<String> = independently(endpoint, content_type, body)
        .iter()
        .map(|(name, value)| {
            format!("{}:{}", serde_json::Value::from(&**name), serde_json::Value::from(&**value))
        })
        .collect();
    let json = format!("{{{}}}", members.join(","));
    let mut content_types = vec!["application/json"];
    if has(BodyFormat::JsonAsForm) {
        content_types.push(content_type);
    }
    for content_type in content_types {
        let alike = endpoint.decode(Some(content_type), json.as_bytes(), has_basic);
        if !matches!(alike, Err(DecodeError::Body(_) | DecodeError::Params(_))) {
            assert_eq!(&alike, decoded, "{json}");
        }
    }
}

/// The pairs of a body that was accepted, by other decoders than ours.
fn independently(endpoint: &TokenEndpoint, content_type: &str, body: &[u8]) -> Pairs {
    let has = |format| endpoint.bodies.contains(&format);
    let looks_like_json = body.trim_ascii_start().starts_with(b"{");
    let is_json = is(content_type, "application/json") && has(BodyFormat::Json);
    if is_json || (looks_like_json && has(BodyFormat::JsonAsForm)) {
        return Json::parse(body).as_ref().and_then(flat).expect("only flat objects are accepted");
    }
    form_urlencoded::parse(body).into_owned().collect()
}

fn is(content_type: &str, essence: &str) -> bool {
    content_type.split(';').next().unwrap().trim().eq_ignore_ascii_case(essence)
}
