//! Token requests and answers.

use super::*;
use crate::error::OAuthErrorKind as Kind;

fn decode(form: &str) -> Result<TokenRequest, OAuthError> {
    TokenRequest::decode(&Params::parse(form.as_bytes()).unwrap())
}

#[test]
fn the_three_grants_are_read() {
    let verifier = "v".repeat(43);
    assert_eq!(
        decode(&format!(
            "grant_type=authorization_code&code=c&redirect_uri=https://a.example/cb\
             &code_verifier={verifier}&resource=https://api.example&client_id=x"
        )),
        Ok(TokenRequest::AuthorizationCode {
            code: "c".to_owned(),
            redirect_uri: Some("https://a.example/cb".to_owned()),
            verifier: Some(CodeVerifier::parse(&verifier).unwrap()),
            resources: vec!["https://api.example".to_owned()],
        })
    );
    assert_eq!(
        decode("grant_type=refresh_token&refresh_token=r&scope=b+a"),
        Ok(TokenRequest::Refresh {
            token: "r".to_owned(),
            scopes: Some(ScopeSet::parse("a b").unwrap()),
            resources: vec![],
        })
    );
    assert_eq!(
        decode("grant_type=client_credentials&scope="),
        Ok(TokenRequest::ClientCredentials { scopes: None, resources: vec![] })
    );
}

#[test]
fn faults_have_their_code() {
    for (form, kind) in [
        ("", Kind::InvalidRequest),
        ("grant_type=", Kind::InvalidRequest),
        ("grant_type=password&username=a&password=b", Kind::UnsupportedGrantType),
        ("grant_type=Authorization_Code&code=c", Kind::UnsupportedGrantType),
        ("grant_type=authorization_code", Kind::InvalidRequest),
        ("grant_type=refresh_token&code=c", Kind::InvalidRequest),
        ("grant_type=refresh_token&refresh_token=r&scope=%22", Kind::InvalidScope),
        ("grant_type=client_credentials&scope=+", Kind::InvalidScope),
        ("grant_type=client_credentials&resource=relative", Kind::InvalidTarget),
        ("grant_type=client_credentials&resource=https://a.example/%23f", Kind::InvalidTarget),
    ] {
        assert_eq!(decode(form).unwrap_err().kind(), kind, "{form}");
    }
}

#[test]
fn p3_a_verifier_of_wrong_form_is_refused() {
    for verifier in ["short", &"v".repeat(129), &"%2B".repeat(43)] {
        let form = format!("grant_type=authorization_code&code=c&code_verifier={verifier}");
        assert_eq!(decode(&form).unwrap_err().kind(), Kind::InvalidRequest);
    }
}

#[test]
fn r7_a_doubled_parameter_is_an_invalid_request_whatever_the_grant() {
    for name in SINGLE {
        let form = format!("grant_type=client_credentials&{name}=a&{name}=a");
        let error = decode(&form).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidRequest, "{name}");
        assert!(error.description().contains(name), "{name}");
    }
}

#[test]
fn x3_codes_and_tokens_are_not_printed() {
    let request = decode("grant_type=refresh_token&refresh_token=hunter2").unwrap();
    assert!(!format!("{request:?}").contains("hunter2"));
    assert!(!format!("{:?}", answer()).contains("hunter2"));
}

fn answer() -> TokenResponse {
    TokenResponse {
        access_token: "hunter2".to_owned(),
        token_type: TokenType::Bearer,
        expires_in: 300,
        refresh_token: Some("hunter2r".to_owned()),
        scope: ScopeSet::parse("b a").unwrap(),
    }
}

#[test]
fn the_answer_is_compact_json_with_a_number_and_the_scope() {
    let text = answer().to_json();
    assert!(text.contains(r#""access_token":"hunter2""#), "{text}");
    let body: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["expires_in"], 300);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], "a b");
    assert_eq!(body["refresh_token"], "hunter2r");
    let without = TokenResponse { refresh_token: None, ..answer() }.to_json();
    assert!(!without.contains("refresh_token"), "{without}");
}
