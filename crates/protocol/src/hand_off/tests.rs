//! What a login page may say, and what not.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

fn key() -> SharedKey {
    SharedKey::new(b"a secret of thirty-two letters !!").unwrap()
}

fn expected() -> ExpectedReturn<'static> {
    ExpectedReturn {
        issuer: "https://login.example",
        audience: "https://auth.example",
        request: "request-1",
        now_seconds: NOW,
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://login.example", "aud": "https://auth.example", "jti": "request-1",
        "iat": NOW, "exp": NOW + 60, "sub": "u1", "email": "ada@example.com",
        "email_verified": true, "amr": ["pwd", "otp"], "auth_time": NOW - 5,
    })
}

fn open(claims: &Value) -> Result<Identity, ReturnError> {
    open_return(&key(), &key().sign(RETURN_TYP, claims).unwrap(), &expected())
}

#[test]
fn a_return_says_who_has_signed_in() {
    let identity = open(&claims()).unwrap();
    assert_eq!(identity.subject, "u1");
    assert_eq!(identity.email.as_deref(), Some("ada@example.com"));
    assert_eq!(identity.amr, ["pwd", "otp"]);
}

#[test]
fn s9_a_return_for_another_request_server_or_time_is_refused() {
    let cases = [
        ("iss", json!("https://evil.example"), ReturnError::WrongIssuer),
        ("iss", json!(null), ReturnError::WrongIssuer),
        ("aud", json!("https://other.example"), ReturnError::WrongAudience),
        ("aud", json!(["https://auth.example", "x"]), ReturnError::WrongAudience),
        ("jti", json!("request-2"), ReturnError::OtherRequest),
        ("jti", json!(null), ReturnError::OtherRequest),
        ("exp", json!(NOW), ReturnError::Expired),
        ("exp", json!("soon"), ReturnError::Malformed),
        ("exp", json!(NOW + 301), ReturnError::TooLong),
        ("iat", json!(NOW + 31), ReturnError::TooLong),
        ("iat", json!(i64::MIN), ReturnError::Malformed),
        ("iat", json!(null), ReturnError::Malformed),
        ("sub", json!(null), ReturnError::Malformed),
        ("error", json!("access_denied"), ReturnError::Refused("access_denied")),
        ("error", json!("ada@x.example said no"), ReturnError::Refused("another error")),
        ("error", json!(7), ReturnError::Refused("another error")),
    ];
    for (name, value, error) in cases {
        let mut claims = claims();
        claims[name] = value.clone();
        assert_eq!(open(&claims), Err(error), "{name} {value}");
    }
}

#[test]
fn t4_our_own_request_another_key_and_no_algorithm_are_no_return() {
    let own = key().sign(REQUEST_TYP, &claims()).unwrap();
    let open = |token: &str| open_return(&key(), token, &expected());
    assert_eq!(open(&own), Err(JwtError::WrongType.into()));
    let other = SharedKey::new(&[7; 32]).unwrap().sign(RETURN_TYP, &claims()).unwrap();
    assert_eq!(open(&other), Err(JwtError::BadSignature.into()));
    let right = key().sign(RETURN_TYP, &claims()).unwrap();
    let (_, rest) = right.split_once('.').unwrap();
    let header =
        crate::jwk::encode(json!({ "alg": "none", "typ": RETURN_TYP }).to_string().as_bytes());
    assert_eq!(open(&format!("{header}.{rest}")), Err(JwtError::WrongAlgorithm.into()));
}

proptest! {
    /// Whatever is changed in a return, it signs nobody in.
    #[test]
    fn t4_a_mutated_return_never_signs_in(at in 0_usize..1000, to in 0_u8..128, cut in 0_u8..4) {
        let right = key().sign(RETURN_TYP, &claims()).unwrap();
        let mut bytes = right.clone().into_bytes();
        let at = at % bytes.len();
        match cut {
            0 => { bytes.remove(at); }
            1 => bytes.insert(at, to),
            2 => bytes.truncate(at),
            _ => bytes[at] = to,
        }
        let mutated = String::from_utf8(bytes).unwrap();
        prop_assume!(mutated != right);
        prop_assert!(open_return(&key(), &mutated, &expected()).is_err(), "{mutated}");
    }
}
