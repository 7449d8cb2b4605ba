//! Signed tokens: row T4 of the attack list, and the examples of the RFCs.

use proptest::prelude::*;

use super::*;

const ALL: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap()
}

fn public(key: &SigningKey) -> Vec<VerifyingKey> {
    vec![key.verifying_key().unwrap()]
}

fn claims() -> Value {
    json!({ "sub": "alice", "exp": 1 })
}

/// A token with this header and these claims, signed by the key whatever the header says.
fn forge(key: &SigningKey, header: &str) -> String {
    let mut token = format!("{}.{}", encode(header.as_bytes()), encode(br#"{"sub":"alice"}"#));
    let signature = key.sign_bytes(token.as_bytes()).unwrap();
    token.push('.');
    token.push_str(&encode(&signature));
    token
}

#[test]
fn keys_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<SigningKey>();
    shared::<VerifyingKey>();
}

#[test]
fn each_algorithm_signs_and_verifies() {
    for algorithm in ALL {
        let key = key(algorithm);
        let token = key.sign("at+jwt", &claims()).unwrap();
        let verified = verify(&public(&key), "at+jwt", &token).unwrap();
        assert_eq!(Value::Object(verified), claims());
        let header: Value =
            serde_json::from_slice(&decode(token.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!(header, json!({ "alg": algorithm.as_str(), "kid": key.kid(), "typ": "at+jwt" }));
    }
}

#[test]
fn a_key_survives_storage_and_publication() {
    for algorithm in ALL {
        let key = key(algorithm);
        let stored = SigningKey::from_pkcs8(algorithm, key.to_pkcs8()).unwrap();
        assert_eq!(stored.kid(), key.kid());
        let text = serde_json::to_string(&Jwks { keys: vec![key.public_jwk()] }).unwrap();
        assert!(!text.contains("\"d\""), "{text}");
        let published: Jwks = serde_json::from_str(&text).unwrap();
        let verifying = VerifyingKey::from_jwk(&published.keys[0]).unwrap();
        let token = stored.sign("JWT", &claims()).unwrap();
        assert!(verify(&[verifying], "JWT", &token).is_ok());
    }
}

#[test]
fn a_published_key_says_its_use_and_algorithm() {
    let jwk = json!(key(Algorithm::Es256).public_jwk());
    assert_eq!(jwk["kty"], "EC");
    assert_eq!(jwk["crv"], "P-256");
    assert_eq!(jwk["use"], "sig");
    assert_eq!(jwk["alg"], "ES256");
    let jwk = json!(key(Algorithm::Rs256).public_jwk());
    assert_eq!((&jwk["kty"], &jwk["e"]), (&json!("RSA"), &json!("AQAB")));
}

#[test]
fn a_key_of_another_kind_or_a_damaged_one_is_refused() {
    let es256 = key(Algorithm::Es256);
    for algorithm in [Algorithm::EdDsa, Algorithm::Rs256] {
        assert!(SigningKey::from_pkcs8(algorithm, es256.to_pkcs8()).is_err());
    }
    assert!(SigningKey::from_pkcs8(Algorithm::Es256, b"").is_err());
    let mut jwk = es256.public_jwk();
    jwk.alg = Algorithm::EdDsa;
    assert_eq!(VerifyingKey::from_jwk(&jwk).err(), Some(KeyError::Rejected));
    let off_curve =
        KeyMaterial::Ec { crv: "P-256".into(), x: encode(&[1; 32]), y: encode(&[1; 32]) };
    assert!(off_curve.parse(Algorithm::Es256).is_err());
}

/// RFC 7638 §3.1, and RFC 8037 appendix A.3
#[test]
fn the_key_id_is_the_thumbprint_of_the_rfc() {
    let rsa = KeyMaterial::Rsa {
        n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_\
            BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0\
            _FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWh\
            AI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
            .to_owned(),
        e: "AQAB".to_owned(),
    };
    assert_eq!(rsa.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let okp = KeyMaterial::Okp {
        crv: "Ed25519".to_owned(),
        x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
    };
    assert_eq!(okp.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn t4_alg_none_is_refused() {
    let key = key(Algorithm::Es256);
    for alg in ["none", "None", "NONE", ""] {
        let header = json!({ "alg": alg, "kid": key.kid(), "typ": "at+jwt" }).to_string();
        let token = forge(&key, &header);
        assert_eq!(verify(&public(&key), "at+jwt", &token), Err(JwtError::WrongAlgorithm), "{alg}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert!(verify(&public(&key), "at+jwt", &unsigned).is_err());
    }
}

#[test]
fn t4_hs256_with_the_public_key_is_refused() {
    use aws_lc_rs::hmac;
    for algorithm in ALL {
        let key = key(algorithm);
        let header = json!({ "alg": "HS256", "kid": key.kid(), "typ": "at+jwt" }).to_string();
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(b"{}"));
        let public_text = serde_json::to_string(&key.public_jwk()).unwrap();
        let mac = hmac::Key::new(hmac::HMAC_SHA256, public_text.as_bytes());
        let tag = hmac::sign(&mac, signed.as_bytes());
        let token = format!("{signed}.{}", encode(tag.as_ref()));
        assert_eq!(verify(&public(&key), "at+jwt", &token), Err(JwtError::WrongAlgorithm));
    }
}

#[test]
fn t4_the_algorithm_is_the_keys_and_not_the_headers() {
    let (es256, eddsa) = (key(Algorithm::Es256), key(Algorithm::EdDsa));
    let keys = [es256.verifying_key().unwrap(), eddsa.verifying_key().unwrap()];
    let header = json!({ "alg": "EdDSA", "kid": es256.kid(), "typ": "at+jwt" }).to_string();
    assert_eq!(verify(&keys, "at+jwt", &forge(&eddsa, &header)), Err(JwtError::WrongAlgorithm));
}

#[test]
fn t4_unknown_critical_extensions_are_refused() {
    let key = key(Algorithm::Es256);
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("x")] {
        let header = json!({ "alg": "ES256", "kid": key.kid(), "typ": "at+jwt", "crit": crit });
        let token = forge(&key, &header.to_string());
        assert_eq!(verify(&public(&key), "at+jwt", &token), Err(JwtError::Critical), "{crit}");
    }
}

#[test]
fn t4_another_typ_is_refused() {
    let key = key(Algorithm::EdDsa);
    for (sent, accepted) in [
        ("at+jwt", true),
        ("AT+JWT", true),
        ("application/at+jwt", true),
        ("Application/AT+jwt", true),
        ("JWT", false),
        ("at+jwt2", false),
        ("application/", false),
        ("", false),
    ] {
        let token = key.sign(sent, &claims()).unwrap();
        assert_eq!(verify(&public(&key), "at+jwt", &token).is_ok(), accepted, "{sent}");
    }
    let untyped = json!({ "alg": "EdDSA", "kid": key.kid() }).to_string();
    let refused = verify(&public(&key), "at+jwt", &forge(&key, &untyped));
    assert_eq!(refused, Err(JwtError::WrongType));
}

#[test]
fn t4_key_id_games_find_no_key() {
    let (ours, theirs) = (key(Algorithm::Es256), key(Algorithm::Es256));
    let own_kid = theirs.sign("at+jwt", &claims()).unwrap();
    assert_eq!(verify(&public(&ours), "at+jwt", &own_kid), Err(JwtError::UnknownKey));
    let header = json!({ "alg": "ES256", "kid": ours.kid(), "typ": "at+jwt" }).to_string();
    let stolen_kid = forge(&theirs, &header);
    assert_eq!(verify(&public(&ours), "at+jwt", &stolen_kid), Err(JwtError::BadSignature));
    for kid in ["../../dev/null", "' OR 1=1 --", ""] {
        let header = json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt" }).to_string();
        let refused = verify(&public(&ours), "at+jwt", &forge(&ours, &header));
        assert_eq!(refused, Err(JwtError::UnknownKey));
    }
    let without = r#"{"alg":"ES256","typ":"at+jwt"}"#;
    assert_eq!(verify(&public(&ours), "at+jwt", &forge(&ours, without)), Err(JwtError::UnknownKey));
    assert_eq!(verify(&[], "at+jwt", &forge(&ours, &header)), Err(JwtError::UnknownKey));
}

#[test]
fn t4_a_token_cannot_bring_its_own_key() {
    let (ours, theirs) = (key(Algorithm::Es256), key(Algorithm::Es256));
    for member in ["jwk", "jku", "x5u", "x5c"] {
        let mut header = json!({ "alg": "ES256", "kid": theirs.kid(), "typ": "at+jwt" });
        header[member] = json!(theirs.public_jwk());
        let token = forge(&theirs, &header.to_string());
        assert_eq!(verify(&public(&ours), "at+jwt", &token), Err(JwtError::ForeignKey), "{member}");
    }
}

#[test]
fn t4_a_header_member_that_comes_twice_is_refused() {
    let key = key(Algorithm::Es256);
    let header = format!(r#"{{"alg":"ES256","alg":"none","kid":"{}","typ":"at+jwt"}}"#, key.kid());
    let refused = verify(&public(&key), "at+jwt", &forge(&key, &header));
    assert_eq!(refused, Err(JwtError::Malformed));
}

#[test]
fn t3_a_changed_token_is_refused_wherever_it_was_changed() {
    let key = key(Algorithm::EdDsa);
    let keys = public(&key);
    let token = key.sign("at+jwt", &claims()).unwrap();
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(verify(&keys, "at+jwt", std::str::from_utf8(&changed).unwrap()).is_err(), "{at}");
        assert!(verify(&keys, "at+jwt", &token[..at]).is_err(), "cut at {at}");
    }
    for changed in
        [format!("{token}="), format!("{token}."), format!("{token}.x"), format!(" {token}")]
    {
        assert!(verify(&keys, "at+jwt", &changed).is_err(), "{changed}");
    }
}

#[test]
fn x1_an_oversized_or_deeply_nested_token_is_refused() {
    let key = key(Algorithm::EdDsa);
    let keys = public(&key);
    let long = "a".repeat(TOKEN_BYTES_MAX + 1);
    assert_eq!(verify(&keys, "at+jwt", &long), Err(JwtError::TooLong));
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let header = format!(r#"{{"alg":{deep},"kid":"{}","typ":"at+jwt"}}"#, key.kid());
    assert_eq!(verify(&keys, "at+jwt", &forge(&key, &header)), Err(JwtError::Malformed));
    let header = json!({ "alg": "EdDSA", "kid": key.kid(), "typ": "at+jwt" }).to_string();
    let claims = format!(r#"{{"x":{deep}}}"#);
    let mut token = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let signature = key.sign_bytes(token.as_bytes()).unwrap();
    token = format!("{token}.{}", encode(&signature));
    assert_eq!(verify(&keys, "at+jwt", &token), Err(JwtError::Malformed));
}

#[test]
fn the_private_key_is_not_printed() {
    let key = key(Algorithm::EdDsa);
    assert!(format!("{key:?}").contains(key.kid()));
    assert!(!format!("{key:?}").contains("pkcs8"));
}

proptest! {
    #[test]
    fn t3_any_text_is_an_answer_and_not_a_panic(token in "[A-Za-z0-9_.=+/ {}\"-]{0,200}") {
        let key = VerifyingKey::from_jwk(&Jwk {
            kid: "k".to_owned(),
            alg: Algorithm::EdDsa,
            usage: KeyUse::Signature,
            material: KeyMaterial::Okp {
                crv: "Ed25519".to_owned(),
                x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
            },
        }).unwrap();
        prop_assert!(verify(&[key], "at+jwt", &token).is_err());
    }

    #[test]
    fn t3_any_bytes_in_the_parts_are_an_answer_and_not_a_panic(
        header in proptest::collection::vec(any::<u8>(), 0..60),
        claims in proptest::collection::vec(any::<u8>(), 0..60),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let token = format!("{}.{}.{}", encode(&header), encode(&claims), encode(&signature));
        prop_assert!(verify(&[], "at+jwt", &token).is_err());
    }
}
