//! Who is believed, and who is not.

use axum::http::HeaderValue;

use super::signer::encode;
use super::*;
use crate::assertion::AssertionError::{self, *};

/// What the exchange's verifier says about one assertion at noon.
async fn judge(signer: &Signer, token: &str) -> Result<String, AssertionError> {
    judge_with(&verifier(EXCHANGE, signer), token, NOON).await
}

async fn judge_with(
    verifier: &AssertionVerifier,
    token: &str,
    now: i64,
) -> Result<String, AssertionError> {
    let mut headers = HeaderMap::new();
    headers.insert(ASSERTION_HEADER, HeaderValue::from_str(token).unwrap());
    verifier.verify(&headers, now).await.map(|assertion| assertion.subject)
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims(EXCHANGE, "alice", NOON);
    change(&mut claims);
    claims
}

#[tokio::test]
async fn an_assertion_of_the_gateway_names_the_user_app_and_scopes() {
    for signer in [Signer::ed25519("a", 1), Signer::p256("b")] {
        let mut headers = HeaderMap::new();
        let token = signer.sign(&claims(EXCHANGE, "alice", NOON));
        headers.insert(ASSERTION_HEADER, token.parse().unwrap());
        let assertion = verifier(EXCHANGE, &signer).verify(&headers, NOON).await.unwrap();
        assert_eq!(assertion.subject, "alice");
        assert_eq!(assertion.client_id, "trading-bot");
        assert_eq!(assertion.scopes, ["orders.read", "orders.create"]);
        assert_eq!(assertion.grant_id.as_deref(), Some("g1"));
        assert_eq!(assertion.expires_at, NOON / 1000 + 60);
    }
}

#[tokio::test]
async fn claims_that_do_not_fit_are_refused() {
    let signer = Signer::ed25519("a", 1);
    let now = NOON / 1000;
    let cases = [
        (changed(|claims| claims["iss"] = json!("https://evil.example")), WrongIssuer),
        (changed(|claims| claims["aud"] = json!(DRIVE)), WrongAudience),
        (changed(|claims| claims["aud"] = json!([EXCHANGE])), Malformed),
        (changed(|claims| claims["exp"] = json!(now)), Expired),
        (changed(|claims| claims["iat"] = json!(now + 6)), BadLifetime),
        (changed(|claims| claims["exp"] = json!(now + 301)), BadLifetime),
        (changed(|claims| claims["exp"] = json!("soon")), Malformed),
        (changed(|claims| claims["exp"] = json!(i64::MAX)), BadLifetime),
        (changed(|claims| claims["sub"] = json!("")), Malformed),
        (changed(|claims| claims["sub"] = json!(7)), Malformed),
        (changed(|claims| drop(claims.as_object_mut().unwrap().remove("sub"))), Malformed),
    ];
    for (claims, expected) in cases {
        assert_eq!(judge(&signer, &signer.sign(&claims)).await, Err(expected), "{claims}");
    }
}

#[tokio::test]
async fn a_header_that_could_change_the_verification_is_refused() {
    let signer = Signer::ed25519("a", 1);
    let claims = claims(EXCHANGE, "alice", NOON).to_string();
    let cases = [
        json!({ "alg": "none", "typ": "consentry-assertion+jwt", "kid": "a" }),
        json!({ "alg": "HS256", "typ": "consentry-assertion+jwt", "kid": "a" }),
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "a" }),
        json!({ "alg": "EdDSA", "typ": "consentry-assertion+jwt" }),
        json!({ "alg": "EdDSA", "typ": "consentry-assertion+jwt", "kid": "a", "crit": ["exp"] }),
        json!({ "alg": "EdDSA", "typ": "consentry-assertion+jwt", "kid": "a", "crit": null }),
        json!({ "alg": "EdDSA", "typ": "consentry-assertion+jwt", "kid": "a", "jwk": {} }),
        json!(["EdDSA", "consentry-assertion+jwt", "a"]),
    ];
    for header in cases {
        let token = signer.sign_with(&header.to_string(), &claims);
        assert_eq!(judge(&signer, &token).await, Err(Malformed), "{header}");
    }
    let twice = r#"{"alg":"EdDSA","alg":"EdDSA","typ":"consentry-assertion+jwt","kid":"a"}"#;
    assert_eq!(judge(&signer, &signer.sign_with(twice, &claims)).await, Err(Malformed));
}

#[tokio::test]
async fn the_key_decides_the_algorithm() {
    let (signer, p256) = (Signer::ed25519("a", 1), Signer::p256("a"));
    let claims = claims(EXCHANGE, "alice", NOON);
    // The same key id, signed with another algorithm than the published key has.
    assert_eq!(judge(&signer, &p256.sign(&claims)).await, Err(UnknownKey));
    let header = p256.header().to_string();
    let token = signer.sign_with(&header, &claims.to_string());
    assert_eq!(judge(&signer, &token).await, Err(UnknownKey));
}

#[tokio::test]
async fn a_signature_that_does_not_hold_is_refused() {
    let signer = Signer::ed25519("a", 1);
    let stranger = Signer::ed25519("a", 2);
    let claims = claims(EXCHANGE, "alice", NOON);
    assert_eq!(judge(&signer, &stranger.sign(&claims)).await, Err(BadSignature));
    let token = signer.sign(&claims);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other = encode(changed(|claims| claims["sub"] = json!("bob")).to_string().as_bytes());
    let swapped = format!("{header}.{other}.{signature}");
    assert_eq!(judge(&signer, &swapped).await, Err(BadSignature));
    assert_eq!(judge(&signer, &format!("{signed}.")).await, Err(BadSignature));
}

#[tokio::test]
async fn text_that_is_not_an_assertion_is_refused() {
    let signer = Signer::ed25519("a", 1);
    let padded = format!("{}=", signer.sign(&claims(EXCHANGE, "alice", NOON)));
    for token in ["", ".", "..", "a.b.c", "e30.e30.e30", "Bearer x", padded.as_str()] {
        assert_eq!(judge(&signer, token).await, Err(Malformed), "{token:?}");
    }
    assert_eq!(judge(&signer, &"a".repeat(8_193)).await, Err(TooLong));
    let mut headers = HeaderMap::new();
    assert_eq!(verifier(EXCHANGE, &signer).verify(&headers, NOON).await, Err(Missing));
    let token = signer.sign(&claims(EXCHANGE, "alice", NOON));
    headers.append(ASSERTION_HEADER, token.parse().unwrap());
    headers.append(ASSERTION_HEADER, token.parse().unwrap());
    assert_eq!(verifier(EXCHANGE, &signer).verify(&headers, NOON).await, Err(Repeated));
}

/// A verifier whose keys can be exchanged, and how often they were fetched.
fn watched(
    keys: &Arc<std::sync::Mutex<Result<String, String>>>,
) -> (AssertionVerifier, Arc<AtomicUsize>) {
    let fetches = Arc::new(AtomicUsize::new(0));
    let (counted, keys) = (fetches.clone(), keys.clone());
    let verifier = AssertionVerifier::new(ISSUER, EXCHANGE, move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let answer = keys.lock().unwrap().clone();
        async move { answer }
    });
    (verifier, fetches)
}

#[tokio::test]
async fn a_new_key_is_found_and_a_flood_of_unknown_ones_costs_one_fetch_in_five_seconds() {
    let (old, new) = (Signer::ed25519("old", 1), Signer::ed25519("new", 2));
    let keys = Arc::new(std::sync::Mutex::new(Ok(old.jwks())));
    let (verifier, fetches) = watched(&keys);
    let old_token = old.sign(&claims(EXCHANGE, "alice", NOON));
    let new_token = new.sign(&claims(EXCHANGE, "alice", NOON));
    for _ in 0..3 {
        assert!(judge_with(&verifier, &old_token, NOON).await.is_ok());
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1);

    *keys.lock().unwrap() = Ok(new.jwks());
    for _ in 0..20 {
        assert_eq!(judge_with(&verifier, &new_token, NOON + 4_999).await, Err(UnknownKey));
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    assert!(judge_with(&verifier, &new_token, NOON + 5_000).await.is_ok());
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
    // The old one is no longer published.
    assert_eq!(judge_with(&verifier, &old_token, NOON + 5_001).await, Err(UnknownKey));
}

#[tokio::test]
async fn known_keys_serve_while_the_issuer_is_away_and_without_any_nobody_is_judged() {
    let signer = Signer::ed25519("a", 1);
    let keys = Arc::new(std::sync::Mutex::new(Err("connection refused".to_owned())));
    let (verifier, _) = watched(&keys);
    let at = |now| signer.sign(&claims(EXCHANGE, "alice", now));
    assert_eq!(judge_with(&verifier, &at(NOON), NOON).await, Err(KeysUnreachable));
    *keys.lock().unwrap() = Ok(signer.jwks());
    let later = NOON + 5_000;
    assert!(judge_with(&verifier, &at(later), later).await.is_ok());
    *keys.lock().unwrap() = Ok("<html>".to_owned());
    let much_later = later + 3_600_000;
    assert!(judge_with(&verifier, &at(much_later), much_later).await.is_ok());
}

#[tokio::test]
async fn keys_that_are_not_understood_are_passed_over() {
    let signer = Signer::ed25519("a", 1);
    let mut encryption = signer.jwk();
    encryption["use"] = json!("enc");
    let keys = json!({ "keys": [{ "kty": "RSA", "kid": "a" }, 7, encryption, signer.jwk()] });
    let keys = Arc::new(std::sync::Mutex::new(Ok(keys.to_string())));
    let (verifier, _) = watched(&keys);
    let token = signer.sign(&claims(EXCHANGE, "alice", NOON));
    assert_eq!(judge_with(&verifier, &token, NOON).await, Ok("alice".to_owned()));
}
