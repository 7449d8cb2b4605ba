//! Tokens under a secret that two sides share (HS256, RFC 7518 §3.2): an operator's login page
//! needs nothing but its language's own HMAC. A type of its own, so that a public key can never be
//! taken for such a secret.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Jws, JwtError, SignError, compact};

/// RFC 7518 §3.2: a key at least as long as the hash.
pub const SHARED_KEY_BYTES_MIN: usize = 32;

const ALGORITHM: &str = "HS256";

#[derive(Clone)]
pub struct SharedKey(Arc<hmac::Key>);

impl SharedKey {
    /// `None`: the secret is shorter than [`SHARED_KEY_BYTES_MIN`].
    pub fn new(secret: &[u8]) -> Option<Self> {
        let is_long = secret.len() >= SHARED_KEY_BYTES_MIN;
        is_long.then(|| Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret))))
    }

    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
        let header = json!({ "alg": ALGORITHM, "typ": typ });
        compact(&header, claims, |message| Ok(hmac::sign(&self.0, message).as_ref().to_vec()))
    }

    /// The claims of a token of this `typ` that was signed under this secret. The `typ` keeps apart
    /// what the two sides say: neither's words can be sent back to it.
    pub fn verify(&self, typ: &str, token: &str) -> Result<Map<String, Value>, JwtError> {
        let jws = Jws::take_apart(token)?;
        jws.expect_type(typ)?;
        if jws.header.alg != ALGORITHM {
            return Err(JwtError::WrongAlgorithm);
        }
        hmac::verify(&self.0, jws.signed.as_bytes(), &jws.signature)
            .map_err(|_| JwtError::BadSignature)?;
        jws.claims()
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYP: &str = "test+jwt";

    fn key(byte: u8) -> SharedKey {
        SharedKey::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_token_is_read_under_its_own_key_and_type_alone() {
        let token = key(1).sign(TYP, &json!({ "sub": "1" })).unwrap();
        assert_eq!(key(1).verify(TYP, &token).unwrap()["sub"], "1");
        assert_eq!(key(2).verify(TYP, &token), Err(JwtError::BadSignature));
        assert_eq!(key(1).verify("other+jwt", &token), Err(JwtError::WrongType));
        assert!(SharedKey::new(&[1; 31]).is_none());
        assert_eq!(format!("{:?}", key(1)), "SharedKey(…)");
    }

    #[test]
    fn t4_no_other_algorithm_is_taken_for_a_shared_key() {
        for alg in ["none", "HS512", "ES256", ""] {
            let header = json!({ "alg": alg, "typ": TYP });
            let token = compact(&header, &json!({}), |_| Ok(Vec::new())).unwrap();
            assert_eq!(key(1).verify(TYP, &token), Err(JwtError::WrongAlgorithm), "{alg}");
        }
    }
}
