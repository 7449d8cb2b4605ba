//! A passkey made in this process, and everything that can be wrong with what it sends.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};

use super::*;

const RP: RelyingParty<'_> = RelyingParty { id: "localhost", origin: "http://localhost:8400" };
const CHALLENGE: &str = "bm90IHZlcnkgcmFuZG9t";

fn client_data(kind: &str, challenge: &str, origin: &str) -> Vec<u8> {
    serde_json::json!({ "type": kind, "challenge": challenge, "origin": origin, "other": 1 })
        .to_string()
        .into_bytes()
}

/// §6.1, with a credential of `key` when there is one.
fn authenticator_data(host: &str, flags: u8, count: u32, key: Option<&[u8]>) -> Vec<u8> {
    let hash = digest::digest(&digest::SHA256, host.as_bytes());
    let mut data = [hash.as_ref(), &[flags], &count.to_be_bytes()].concat();
    if let Some(key) = key {
        data.extend([[0; 16].as_slice(), &[0, 3], b"cid", key].concat());
    }
    data
}

fn attestation_object(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    let head = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59";
    [head.as_slice(), &length, data].concat()
}

fn ec_pair() -> (EcdsaKeyPair, Vec<u8>) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let (x, y) = (&point[1..33], &point[33..]);
    let key = [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".as_slice(), x, b"\x22\x58\x20", y];
    (pair, key.concat())
}

const MADE: u8 = USER_PRESENT | USER_VERIFIED | HAS_CREDENTIAL;
const USED: u8 = USER_PRESENT | USER_VERIFIED;

fn made(data: &[u8]) -> Result<NewPasskey, PasskeyError> {
    let client = client_data("webauthn.create", CHALLENGE, RP.origin);
    check_registration(RP, CHALLENGE, &client, &attestation_object(data))
}

#[test]
fn a_passkey_that_was_made_can_be_used() {
    let (pair, key) = ec_pair();
    let new = made(&authenticator_data(RP.id, MADE, 0, Some(&key))).unwrap();
    assert_eq!(new.credential_id, b"cid");
    assert_eq!(new.public_key, key);
    let client = client_data("webauthn.get", CHALLENGE, RP.origin);
    let sign = |data: &[u8]| {
        let hash = digest::digest(&digest::SHA256, &client);
        pair.sign(&SystemRandom::new(), &[data, hash.as_ref()].concat()).unwrap()
    };
    let used = |data: &[u8], signature: &[u8], known: u32| {
        let assertion = Assertion { client_data: &client, authenticator_data: data, signature };
        check_assertion(RP, CHALLENGE, &assertion, &key, known)
    };
    let data = authenticator_data(RP.id, USED, 7, None);
    let signature = sign(&data);
    assert_eq!(used(&data, signature.as_ref(), 6), Ok(7));
    assert_eq!(used(&data, signature.as_ref(), 7), Err(PasskeyError::Copied));
    let never_counts = authenticator_data(RP.id, USED, 0, None);
    assert_eq!(used(&never_counts, sign(&never_counts).as_ref(), 0), Ok(0));
    assert_eq!(used(&never_counts, sign(&never_counts).as_ref(), 3), Err(PasskeyError::Copied));
    assert_eq!(used(&never_counts, signature.as_ref(), 0), Err(PasskeyError::BadSignature));
    let unseen = authenticator_data(RP.id, USER_PRESENT, 8, None);
    assert_eq!(used(&unseen, sign(&unseen).as_ref(), 0), Err(PasskeyError::NotVerified));
    let elsewhere = authenticator_data("evil.example", USED, 8, None);
    assert_eq!(used(&elsewhere, sign(&elsewhere).as_ref(), 0), Err(PasskeyError::WrongOrigin));
    assert_eq!(used(&data[..20], signature.as_ref(), 0), Err(PasskeyError::Malformed));
}

#[test]
fn what_was_made_for_another_challenge_site_or_purpose_is_refused() {
    let (_, key) = ec_pair();
    let object = attestation_object(&authenticator_data(RP.id, MADE, 0, Some(&key)));
    let cases = [
        ("webauthn.get", CHALLENGE, RP.origin, PasskeyError::WrongType),
        ("webauthn.create", "other", RP.origin, PasskeyError::WrongChallenge),
        ("webauthn.create", CHALLENGE, "http://localhost:8401", PasskeyError::WrongOrigin),
        ("webauthn.create", CHALLENGE, "https://localhost:8400", PasskeyError::WrongOrigin),
    ];
    for (kind, challenge, origin, expected) in cases {
        let client = client_data(kind, challenge, origin);
        assert_eq!(check_registration(RP, CHALLENGE, &client, &object), Err(expected));
    }
    let framed = String::from_utf8(client_data("webauthn.create", CHALLENGE, RP.origin)).unwrap();
    let framed = framed.replace("\"other\":1", "\"crossOrigin\":true");
    let refused = check_registration(RP, CHALLENGE, framed.as_bytes(), &object);
    assert_eq!(refused, Err(PasskeyError::WrongOrigin));
}

#[test]
fn ed25519_keys_are_taken_and_keys_that_say_another_algorithm_are_not() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let key = [b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20".as_slice(), pair.public_key().as_ref()]
        .concat();
    assert!(made(&authenticator_data(RP.id, MADE, 0, Some(&key))).is_ok());
    let (_, key) = ec_pair();
    // ES256's curve under EdDSA's name, P-384's under ES256's, and half a point.
    let other_algorithm = [b"\xa5\x01\x02\x03\x27".as_slice(), &key[5..]].concat();
    let other_curve = [b"\xa5\x01\x02\x03\x26\x20\x02".as_slice(), &key[7..]].concat();
    let off_curve = [&key[..key.len() - 1], &[key[key.len() - 1] ^ 1]].concat();
    for key in [other_algorithm, other_curve, off_curve] {
        let refused = made(&authenticator_data(RP.id, MADE, 0, Some(&key)));
        assert_eq!(refused, Err(PasskeyError::UnsupportedKey));
    }
}

#[test]
fn x1_whatever_is_cut_off_or_changed_is_refused_without_a_panic() {
    let (_, key) = ec_pair();
    let data = authenticator_data(RP.id, MADE, 0, Some(&key));
    let object = attestation_object(&data);
    let client = client_data("webauthn.create", CHALLENGE, RP.origin);
    for length in 0..object.len() {
        let cut = check_registration(RP, CHALLENGE, &client, &object[..length]);
        assert!(cut.is_err(), "{length}");
    }
    for place in 0..object.len() {
        let mut changed = object.clone();
        changed[place] ^= 0xff;
        // It must only end; most of them are refused, some bytes mean nothing to us.
        let _ = check_registration(RP, CHALLENGE, &client, &changed);
    }
    assert_eq!(made(&data[..60]), Err(PasskeyError::Malformed));
    let without_key = authenticator_data(RP.id, USED, 0, None);
    assert_eq!(made(&without_key), Err(PasskeyError::Malformed));
}
