//! Answers with any text in them: they are JSON whose members stand in the template's order and
//! give the text back, and so do envelopes and templates of an operator; a `Location` gives back
//! code and state. Fields: access token, refresh token, scopes, seconds, description, state,
//! redirect URI, template.

use http::HeaderValue;
use protocol::authorize_response::{
    AuthorizeAnswer, AuthorizeResponse, EncodedResponse, ResponseMode,
};
use protocol::dialect::{DecodeError, TokenEndpoint, TokenWord, Tokens};
use protocol::envelope::{ErrorEnvelope, Refusal, RefusalKind};
use protocol::error::OAuthError;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use protocol::scope::ScopeSet;
use protocol::template::{Slot, Template};
use protocol::token::{TokenResponse, TokenType};
use url::Url;

use super::dialects::DIALECTS;
use super::input::Input;
use super::json::Json;

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (access, refresh, scopes) = (input.text(), input.text(), input.text());
    let (expires_in_seconds, description, state) = (input.number(), input.text(), input.text());
    let (redirect_uri, template) = (input.text(), input.text());
    let scopes = ScopeSet::parse(&scopes).unwrap_or_default();
    let tokens = Tokens {
        access_token: &access,
        expires_in_seconds,
        refresh_token: Some(&*refresh).filter(|text| !text.is_empty()),
        scopes: &scopes,
    };
    for dialect in DIALECTS.iter() {
        for endpoint in &dialect.tokens {
            check_granted(endpoint, tokens);
            check_refused(endpoint, &description);
        }
        check_envelope(dialect.envelope.as_ref().unwrap(), &description, &scopes);
    }
    check_envelope(&ErrorEnvelope::problem_json(), &description, &scopes);
    check_standard(tokens, &description);
    check_location(&redirect_uri, &access, &state);
    check_template(&template, &description, &scopes);
}

/// The members that the facts of both providers name, in their order.
fn check_granted(endpoint: &TokenEndpoint, tokens: Tokens<'_>) {
    let json = parse(&endpoint.granted(tokens).body);
    let json = json.member("data").unwrap_or(&json);
    let all = ["access_token", "expires_in", "refresh_token", "scope", "token_type"];
    let names: Vec<&str> = match endpoint.path.starts_with("/v2/") {
        true => vec!["access_token", "expires_in", "token_type", "scope"],
        false => all
            .into_iter()
            .filter(|name| *name != "refresh_token" || tokens.refresh_token.is_some())
            .collect(),
    };
    assert_eq!(json.names(), names);
    check_values(json, tokens);
}

fn check_values(json: &Json, tokens: Tokens<'_>) {
    let text = |name| json.member(name).and_then(Json::text);
    assert_eq!(text("access_token"), Some(tokens.access_token));
    let seconds = i64::try_from(tokens.expires_in_seconds).unwrap_or(i64::MAX);
    assert_eq!(json.member("expires_in"), Some(&Json::Integer(seconds.into())));
    if json.member("refresh_token").is_some() {
        assert_eq!(text("refresh_token"), tokens.refresh_token);
    }
    let scope = text("scope").unwrap();
    let names: Vec<&str> = tokens.scopes.iter().map(|name| name.as_str()).collect();
    assert!(scope == "full" || scope == names.join(",") || scope == names.join(" "), "{scope}");
}

fn check_refused(endpoint: &TokenEndpoint, description: &str) {
    let errors = [
        OAuthError::invalid_request(description.to_owned()),
        OAuthError::invalid_grant(description.to_owned()),
        OAuthError::invalid_scope(description.to_owned()),
        OAuthError::invalid_client(),
        OAuthError::slow_down(1),
        OAuthError::server_error(),
    ];
    for error in errors {
        let answer = endpoint.refused(&error);
        let json = parse(&answer.body);
        let told = json.member("error_description").and_then(Json::text);
        let own = ["Invalid Client Secret", error.description()];
        assert!(told.is_none_or(|told| own.contains(&told)), "{told:?}");
        assert!(json.member("access_token").is_none());
        assert_eq!(answer.retry_after_seconds, error.retry_after_seconds());
    }
    let missing = vec![description.to_owned(), "client_id".to_owned()];
    let json = parse(&endpoint.not_understood(&DecodeError::Missing(missing.clone())).body);
    if let Some(errors) = json.member("errors") {
        assert_eq!(errors.names(), missing);
    }
}

fn check_envelope(envelope: &ErrorEnvelope, message: &str, scopes: &ScopeSet) {
    for kind in RefusalKind::ALL {
        let missing = (kind == RefusalKind::InsufficientScope).then_some(scopes);
        let rendered = envelope.render(&Refusal { kind, message, missing_scopes: missing });
        assert!(HeaderValue::from_str(&rendered.content_type).is_ok());
        let json = parse(&rendered.body);
        if let Some(detail) = json.member("detail") {
            assert_eq!(detail.text(), Some(message));
            let names = missing.map(|scopes| {
                Json::List(scopes.iter().map(|one| Json::Text(one.to_string())).collect())
            });
            assert_eq!(json.member("missing_scopes"), names.as_ref());
        } else {
            assert!(["status", "data"].contains(&json.names()[0]), "{}", rendered.body);
        }
    }
}

fn check_standard(tokens: Tokens<'_>, description: &str) {
    let response = TokenResponse {
        access_token: tokens.access_token.to_owned(),
        token_type: TokenType::Bearer,
        expires_in: tokens.expires_in_seconds.min(i64::MAX as u64),
        refresh_token: tokens.refresh_token.map(str::to_owned),
        scope: tokens.scopes.clone(),
    };
    let json = parse(&response.to_json());
    check_values(&json, tokens);
    assert_eq!(json.member("refresh_token").is_some(), tokens.refresh_token.is_some());
    let error = OAuthError::invalid_request(description.to_owned());
    let json = parse(&error.to_json());
    let told = json.member("error_description").and_then(Json::text).unwrap();
    // RFC 6749 §5.2
    assert!(told.chars().all(|c| matches!(c, ' '..='~') && !"\"\\".contains(c)), "{told:?}");
}

fn check_location(redirect_uri: &str, code: &str, state: &str) {
    let Ok(redirect_uri) = RedirectUri::register(RedirectPolicy::Native, redirect_uri) else {
        return;
    };
    let text = redirect_uri.as_str().to_owned();
    let response = AuthorizeResponse {
        redirect_uri,
        response_mode: ResponseMode::Query,
        state: Some(state.to_owned()),
        issuer: Some("https://auth.example".to_owned()),
        answer: AuthorizeAnswer::Code(code.to_owned()),
        partner_key: None,
    };
    let EncodedResponse::Redirect(location) = response.encode() else { panic!("no redirect") };
    assert!(location.starts_with(&text), "the app's own address is kept");
    assert!(HeaderValue::from_str(&location).is_ok());
    let (own, whole) = (Url::parse(&text).unwrap(), Url::parse(&location).unwrap());
    let mut expected: Vec<_> = own.query_pairs().into_owned().collect();
    for (name, value) in [("code", code), ("state", state), ("iss", "https://auth.example")] {
        expected.push((name.to_owned(), value.to_owned()));
    }
    assert_eq!(whole.query_pairs().into_owned().collect::<Vec<_>>(), expected);
    let fields: Vec<_> = response.fields().into_iter().map(|(_, value)| value).collect();
    assert_eq!(fields, [code, state, "https://auth.example"], "a form carries the same");
}

/// A template of an operator, with every placeholder filled.
fn check_template(text: &str, value: &str, scopes: &ScopeSet) {
    let Ok(template) = Template::<TokenWord>::parse(text) else { return };
    let rendered = template.render(|word| {
        Some(match word {
            TokenWord::ExpiresIn => Slot::Number(60),
            TokenWord::Scopes => {
                Slot::List(scopes.iter().map(|scope| scope.as_str().into()).collect())
            }
            _ => Slot::Text(value.into()),
        })
    });
    check_same_shape(&parse(text), &parse(&rendered), value);
}

/// Members and items stand where the template has them; constants are what they were.
fn check_same_shape(template: &Json, rendered: &Json, value: &str) {
    match (template, rendered) {
        (Json::Object(from), Json::Object(to)) => {
            if from.iter().any(|(name, _)| name.contains("{{")) {
                return;
            }
            assert_eq!(template.names(), rendered.names());
            for ((_, from), (_, to)) in from.iter().zip(to) {
                check_same_shape(from, to, value);
            }
        }
        (Json::List(from), Json::List(to)) => {
            assert_eq!(from.len(), to.len());
            from.iter().zip(to).for_each(|(from, to)| check_same_shape(from, to, value));
        }
        (Json::Text(from), Json::Text(to)) if from == "{{access_token}}" => assert_eq!(to, value),
        (Json::Text(from), _) if from.contains("{{") => {}
        // The JSON reader itself may be one digit off.
        (Json::Float(from), Json::Float(to)) => assert!((from - to).abs() <= from.abs() * 1e-15),
        (from, to) => assert_eq!(from, to),
    }
}

fn parse(body: &str) -> Json {
    Json::parse(body.as_bytes()).unwrap_or_else(|| panic!("not JSON: {body}"))
}
