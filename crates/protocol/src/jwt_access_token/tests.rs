//! Claims of JWT access tokens: row T4 of the attack list.

use serde_json::json;

use super::*;

const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://api.example";

fn claims() -> AccessTokenClaims {
    AccessTokenClaims {
        iss: ISSUER.to_owned(),
        sub: "u1".to_owned(),
        aud: vec![AUDIENCE.to_owned()],
        exp: 400,
        iat: 100,
        jti: "t1".to_owned(),
        client_id: "bot".to_owned(),
        scope: ScopeSet::parse("b a").unwrap(),
        grant_id: "g1".to_owned(),
        auth_time: None,
        acr: None,
        amr: Vec::new(),
    }
}

fn read(value: Value) -> Result<AccessTokenClaims, ClaimsError> {
    let Value::Object(map) = value else { panic!("not an object") };
    AccessTokenClaims::from_verified(map)
}

#[test]
fn claims_are_written_as_rfc_9068_says_and_read_back() {
    let text = json!(claims());
    assert_eq!(
        text,
        json!({
            "iss": ISSUER, "sub": "u1", "aud": AUDIENCE, "exp": 400, "iat": 100, "jti": "t1",
            "client_id": "bot", "scope": "a b", "grant_id": "g1",
        })
    );
    assert_eq!(read(text), Ok(claims()));
    let two =
        AccessTokenClaims { aud: vec![AUDIENCE.into(), "https://b.example".into()], ..claims() };
    assert_eq!(read(json!(two)), Ok(two));
}

#[test]
fn t4_a_missing_or_misshapen_claim_is_refused() {
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "grant_id"] {
        let mut text = json!(claims());
        text.as_object_mut().unwrap().remove(name);
        assert_eq!(read(text), Err(ClaimsError::Malformed), "{name}");
        let mut text = json!(claims());
        text[name] = json!({ "a": 1 });
        assert_eq!(read(text), Err(ClaimsError::Malformed), "{name}");
    }
}

#[test]
fn t4_issuer_audience_and_time_are_checked_exactly() {
    let check = |issuer, audience, now| claims().check(issuer, audience, now, 5);
    assert_eq!(check(ISSUER, AUDIENCE, 200), Ok(()));
    assert_eq!(check("https://as.example/", AUDIENCE, 200), Err(ClaimsError::WrongIssuer));
    assert_eq!(check(ISSUER, "https://api.example/", 200), Err(ClaimsError::WrongAudience));
    assert_eq!(check(ISSUER, "", 200), Err(ClaimsError::WrongAudience));
    assert_eq!(check(ISSUER, AUDIENCE, 399), Ok(()));
    assert_eq!(check(ISSUER, AUDIENCE, 400), Err(ClaimsError::Expired));
    assert_eq!(check(ISSUER, AUDIENCE, 95), Ok(()));
    assert_eq!(check(ISSUER, AUDIENCE, 94), Err(ClaimsError::NotYetValid));
    let nobody = AccessTokenClaims { aud: vec![], ..claims() };
    assert_eq!(nobody.check(ISSUER, AUDIENCE, 200, 5), Err(ClaimsError::WrongAudience));
}
