//! Introspection requests and answers.

use serde_json::json;

use super::*;

fn decode(form: &str) -> Result<IntrospectionRequest, OAuthError> {
    IntrospectionRequest::decode(&Params::parse(form.as_bytes()).unwrap())
}

#[test]
fn a_request_needs_one_token() {
    assert_eq!(decode("token=t").unwrap().token, "t");
    assert!(decode("").is_err());
    assert!(decode("token=a&token=b").is_err());
    let hint = decode("token=t&token_type_hint=access_token").unwrap().hint;
    assert_eq!(hint, Some(TokenTypeHint::AccessToken));
    assert_eq!(decode("token=t&token_type_hint=other").unwrap().hint, None);
}

#[test]
fn t7_an_inactive_token_says_nothing_more() {
    assert_eq!(IntrospectionResponse::Inactive.to_json(), r#"{"active":false}"#);
}

#[test]
fn an_active_token_says_what_it_may_do() {
    let token = ActiveToken {
        iss: "https://as.example".to_owned(),
        sub: "u1".to_owned(),
        aud: vec!["https://api.example".to_owned()],
        client_id: "bot".to_owned(),
        scope: ScopeSet::parse("b a").unwrap(),
        token_type: "Bearer".to_owned(),
        iat: 100,
        exp: 400,
        jti: None,
        username: None,
        auth_time: None,
        acr: None,
        mode: None,
    };
    let body = IntrospectionResponse::Active(Box::new(token)).to_json();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body,
        json!({
            "active": true, "iss": "https://as.example", "sub": "u1", "client_id": "bot",
            "aud": ["https://api.example"], "scope": "a b", "token_type": "Bearer",
            "iat": 100, "exp": 400,
        })
    );
}
