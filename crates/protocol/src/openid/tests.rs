//! What a provider may say, and what not.

use serde_json::json;

use super::*;

const ISSUER: &str = "https://login.example";
const NOW: i64 = 1_800_000_000;

fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.example/authorize?tenant=1",
        "token_endpoint": "https://login.example/token",
        "jwks_uri": "https://keys.example/jwks",
    })
}

fn parse(document: &Value, issuer: &str) -> Result<ProviderDocument, DocumentError> {
    ProviderDocument::parse(document.to_string().as_bytes(), issuer)
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

#[test]
fn a_discovery_document_is_its_issuers_and_names_only_https() {
    let read = parse(&document(), ISSUER).unwrap();
    assert_eq!(read.client_auth, ClientAuth::Basic);
    assert!(!read.always_sends_iss);
    assert_eq!(parse(&document(), "https://login.example/"), Err(DocumentError::WrongIssuer));
    for wrong in ["http://login.example/x", "http://localhost/x", "file:///etc/passwd"] {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
            let changed = with(document(), name, json!(wrong));
            assert_eq!(parse(&changed, ISSUER), Err(DocumentError::NotHttps), "{name} {wrong}");
        }
    }
    assert_eq!(ProviderDocument::parse(b"[]", ISSUER), Err(DocumentError::Malformed));
    let local = "http://localhost:9000";
    let changed = with(document(), "issuer", json!(local));
    let changed = with(changed, "token_endpoint", json!("http://localhost:9000/token"));
    assert!(parse(&changed, local).is_ok());
    let post = json!(["client_secret_post"]);
    let changed = with(document(), "token_endpoint_auth_methods_supported", post);
    assert_eq!(parse(&changed, ISSUER).unwrap().client_auth, ClientAuth::Post);
}

#[test]
fn the_authorization_request_keeps_the_endpoints_own_query() {
    let url = parse(&document(), ISSUER).unwrap().authorization_url(&AskedSignIn {
        client_id: "us",
        redirect_uri: "https://auth.example/sign-in/return/x",
        scopes: "openid email",
        state: "s",
        nonce: "n",
        code_challenge: "c",
        login_hint: Some("a+b@x.example"),
        max_age: Some(0),
        prompt_login: true,
        acr_values: Some("mfa"),
    });
    let expected = "https://login.example/authorize?tenant=1&response_type=code&client_id=us\
                    &redirect_uri=https%3A%2F%2Fauth.example%2Fsign-in%2Freturn%2Fx\
                    &scope=openid+email&state=s&nonce=n&code_challenge=c\
                    &code_challenge_method=S256&login_hint=a%2Bb%40x.example&max_age=0\
                    &prompt=login&acr_values=mfa";
    assert_eq!(url, expected);
}

fn answer(query: &str, always: bool) -> Result<SignInAnswer, AnswerError> {
    SignInAnswer::read(&Params::parse(query.as_bytes()).unwrap(), ISSUER, always)
}

#[test]
fn m1_an_answer_of_another_issuer_is_refused() {
    let code = Ok(SignInAnswer::Code("c".into()));
    assert_eq!(answer("code=c", false), code);
    assert_eq!(answer("code=c&iss=https%3A%2F%2Flogin.example", true), code);
    assert_eq!(answer("code=c", true), Err(AnswerError::WrongIssuer));
    assert_eq!(
        answer("code=c&iss=https%3A%2F%2Fevil.example", false),
        Err(AnswerError::WrongIssuer)
    );
    let denied = Ok(SignInAnswer::Refused("access_denied"));
    assert_eq!(answer("error=access_denied", false), denied);
    assert_eq!(answer("error=x&code=c", false), Err(AnswerError::Malformed));
    assert!(matches!(answer("code=c&code=d", false), Err(AnswerError::Duplicate(_))));
}

#[test]
fn an_answer_puts_neither_its_code_nor_a_text_of_its_own_into_a_log() {
    assert_eq!(format!("{:?}", answer("code=secret", false).unwrap()), "Code(…)");
    for text in ["x", "access_denied%0A", "Access_Denied", "ada%40x.example"] {
        let other = Ok(SignInAnswer::Refused("another error"));
        assert_eq!(answer(&format!("error={text}"), false), other, "{text}");
    }
    for word in KNOWN_ERRORS {
        assert_eq!(known_error(word), word);
    }
}

#[test]
fn a_token_request_proves_who_we_are_in_the_providers_way() {
    let secret = Secret::new("p:w d");
    let (body, header) =
        token_request(ClientAuth::Basic, ("a b", Some(&secret)), "c", "https://x", "v");
    assert_eq!(header.unwrap().expose(), format!("Basic {}", STANDARD.encode("a+b:p%3Aw+d")));
    assert!(!body.contains("client"), "{body}");
    let (body, header) =
        token_request(ClientAuth::Post, ("a", Some(&secret)), "c", "https://x", "v");
    assert!(header.is_none() && body.ends_with("&client_id=a&client_secret=p%3Aw+d"), "{body}");
    let (body, header) = token_request(ClientAuth::Basic, ("a", None), "c", "https://x", "v");
    assert!(header.is_none() && body.ends_with("&code_verifier=v&client_id=a"), "{body}");
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "us", "nonce": "n", "iat": NOW, "exp": NOW + 300, "sub": "u1",
    })
}

fn check(claims: &Value, needs_auth_time: bool) -> Result<Identity, IdTokenError> {
    let expected = ExpectedIdToken {
        issuer: ISSUER,
        client_id: "us",
        nonce: "n",
        needs_auth_time,
        now_seconds: NOW,
    };
    check_id_token(claims.as_object().unwrap(), &expected)
}

#[test]
fn t4_every_claim_of_an_id_token_is_checked() {
    assert_eq!(check(&claims(), false).unwrap().subject, "u1");
    assert!(check(&with(claims(), "aud", json!(["us"])), false).is_ok());
    assert!(check(&with(claims(), "azp", json!("us")), false).is_ok());
    let cases = [
        ("iss", json!("https://evil.example"), IdTokenError::WrongIssuer),
        ("aud", json!("them"), IdTokenError::WrongAudience),
        ("aud", json!(["us", "them"]), IdTokenError::WrongAudience),
        ("aud", json!([]), IdTokenError::WrongAudience),
        ("aud", json!(null), IdTokenError::WrongAudience),
        ("azp", json!("them"), IdTokenError::WrongAudience),
        ("nonce", json!("m"), IdTokenError::WrongNonce),
        ("nonce", json!(null), IdTokenError::WrongNonce),
        ("exp", json!(NOW - 60), IdTokenError::Expired),
        ("exp", json!(null), IdTokenError::Malformed),
        ("iat", json!(NOW + 61), IdTokenError::WrongTime),
        ("iat", json!(NOW - 601), IdTokenError::WrongTime),
        ("sub", json!(""), IdTokenError::Malformed),
    ];
    for (name, value, error) in cases {
        assert_eq!(
            check(&with(claims(), name, value.clone()), false),
            Err(error),
            "{name} {value}"
        );
    }
    assert_eq!(check(&claims(), true), Err(IdTokenError::Malformed));
    assert!(check(&with(claims(), "auth_time", json!(NOW)), true).is_ok());
}
