//! A gateway that signs assertions, for good and for bad.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::assertion::ASSERTION_TYPE;

pub(super) struct Signer {
    kid: String,
    key: Key,
}

enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl Signer {
    pub(super) fn ed25519(kid: &str, seed: u8) -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Self { kid: kid.to_owned(), key: Key::Ed25519(key) }
    }

    pub(super) fn p256(kid: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), key: Key::P256(key) }
    }

    pub(super) fn alg(&self) -> &'static str {
        match self.key {
            Key::Ed25519(_) => "EdDSA",
            Key::P256(_) => "ES256",
        }
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": self.alg(), "typ": ASSERTION_TYPE, "kid": self.kid })
    }

    pub(super) fn jwk(&self) -> Value {
        match &self.key {
            Key::Ed25519(key) => {
                let x = encode(key.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": x })
            }
            Key::P256(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                json!({
                    "kty": "EC", "crv": "P-256", "kid": self.kid, "alg": "ES256", "x": x, "y": y,
                })
            }
        }
    }

    pub(super) fn jwks(&self) -> String {
        json!({ "keys": [self.jwk()] }).to_string()
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header().to_string(), &claims.to_string())
    }

    /// Header and claims as they are given, well-formed or not.
    pub(super) fn sign_with(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = match &self.key {
            Key::Ed25519(key) => encode(key.sign(message.as_bytes()).as_ref()),
            Key::P256(key) => {
                encode(key.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref())
            }
        };
        format!("{message}.{signature}")
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
