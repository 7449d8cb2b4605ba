//! Signed JSON Web Tokens (RFC 7515, RFC 7519), strict as RFC 8725 asks: the algorithm comes from
//! the key and never from the token, and keys come from us and never from the token.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::jwk::encode;
pub use crate::jwk::{Algorithm, Jwk, Jwks, KeyError, KeyMaterial, KeyUse};

/// Longest token that is looked at, in bytes (attack X1: oversized JOSE).
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// A private key with its id.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    pkcs8: Vec<u8>,
    material: KeyMaterial,
    kid: String,
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

/// Signing failed inside the cryptographic library; nothing the caller did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token could not be signed")]
pub struct SignError;

impl SigningKey {
    /// A fresh key. Its randomness is the cryptographic library's own: no seeded source, not even
    /// a test's, may make a private key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pkcs8 = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec()),
            Algorithm::EdDsa => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec()),
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).and_then(|pair| {
                let der: Pkcs8V1Der<'static> = pair.as_der()?;
                Ok(der.as_ref().to_vec())
            }),
        };
        Self::from_pkcs8(algorithm, &pkcs8.map_err(|_| KeyError::Generate)?)
    }

    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let rejected = |_| KeyError::Rejected;
        let (pair, material) = match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                    .map_err(rejected)?;
                // SEC 1 §2.3.3, uncompressed: 0x04, x, y
                let point = pair.public_key().as_ref();
                let coordinates =
                    point.split_first().map(|(_, rest)| rest.split_at(rest.len() / 2));
                let (x, y) = coordinates.ok_or(KeyError::Rejected)?;
                let material =
                    KeyMaterial::Ec { crv: "P-256".to_owned(), x: encode(x), y: encode(y) };
                (Pair::Es256(pair), material)
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(rejected)?;
                let x = encode(pair.public_key().as_ref());
                (Pair::EdDsa(pair), KeyMaterial::Okp { crv: "Ed25519".to_owned(), x })
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?;
                let material = KeyMaterial::from_rsa_public_key(pair.public_key().as_ref())?;
                (Pair::Rs256(pair), material)
            }
        };
        let kid = material.thumbprint();
        Ok(Self { algorithm, pair, pkcs8: pkcs8.to_vec(), material, kid })
    }

    /// The private key as DER. Only for sealed storage.
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The RFC 7638 thumbprint of the public key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn public_jwk(&self) -> Jwk {
        Jwk {
            kid: self.kid.clone(),
            alg: self.algorithm,
            usage: KeyUse::Signature,
            material: self.material.clone(),
        }
    }

    pub fn verifying_key(&self) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::from_jwk(&self.public_jwk())
    }

    /// A compact token with the given `typ` (RFC 8725 §3.11: every kind of token says its kind).
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
        let header = json!({ "alg": self.algorithm.as_str(), "kid": self.kid, "typ": typ });
        compact(&header, claims, |message| self.sign_bytes(message))
    }

    fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        // The one place outside of `consentry::system` where randomness enters: an ECDSA signature
        // takes a number that must be new and secret each time, one repetition gives the key away,
        // and the library lets nobody pass a generator of their own (its trait is sealed). What is
        // signed does not depend on it, so decisions stay pure.
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignError),
            Pair::EdDsa(pair) => pair
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignError),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| SignError)?;
                Ok(signature)
            }
        }
    }
}

fn compact(
    header: &Value,
    claims: &impl Serialize,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, SignError>,
) -> Result<String, SignError> {
    let claims = serde_json::to_vec(claims).map_err(|_| SignError)?;
    let mut token = encode(header.to_string().as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Id and algorithm only.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// A public key, parsed once.
#[derive(Debug)]
pub struct VerifyingKey {
    kid: String,
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        Ok(Self { kid: jwk.kid.clone(), algorithm: jwk.alg, key: jwk.material.parse(jwk.alg)? })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// Why a token is refused. For logs: outside, every reason is the same `invalid_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    #[error("the token is not a compact JWS")]
    Malformed,
    #[error("the token's header asks for something that is not understood")]
    Critical,
    #[error("the token's header brings its own key")]
    ForeignKey,
    #[error("the token has another typ than is expected here")]
    WrongType,
    #[error("the token names no key of ours")]
    UnknownKey,
    #[error("the token names another algorithm than its key has")]
    WrongAlgorithm,
    #[error("the token's signature is wrong")]
    BadSignature,
}

/// The header members that matter. Serde refuses a member that comes twice.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
    jwk: Option<Value>,
    jku: Option<Value>,
    x5u: Option<Value>,
    x5c: Option<Value>,
}

/// The claims of a token that one of `keys` signed, of the expected `typ`. Times, issuer and
/// audience are still to be checked ([`crate::jwt_access_token::AccessTokenClaims::check`]).
pub fn verify(
    keys: &[VerifyingKey],
    typ: &str,
    token: &str,
) -> Result<Map<String, Value>, JwtError> {
    let jws = Jws::take_apart(token)?;
    jws.expect_type(typ)?;
    let kid = jws.header.kid.as_deref().ok_or(JwtError::UnknownKey)?;
    let key = keys.iter().find(|key| key.kid == kid).ok_or(JwtError::UnknownKey)?;
    key.claims_of(&jws)
}

impl VerifyingKey {
    fn claims_of(&self, jws: &Jws<'_>) -> Result<Map<String, Value>, JwtError> {
        // RFC 8725 §3.1: this refuses `none`, and HS256 with the public key as secret.
        if jws.header.alg != self.algorithm.as_str() {
            return Err(JwtError::WrongAlgorithm);
        }
        self.key
            .verify_sig(jws.signed.as_bytes(), &jws.signature)
            .map_err(|_| JwtError::BadSignature)?;
        jws.claims()
    }
}

/// A compact JWS, taken apart. Nothing of it is trusted yet.
struct Jws<'t> {
    header: Header,
    /// What the signature is over.
    signed: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    fn take_apart(token: &'t str) -> Result<Self, JwtError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwtError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtError::Malformed)?;
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| JwtError::Malformed)?;
        // RFC 7515 §4.1.11: we understand no extension, so any `crit` is a refusal.
        if header.crit.is_some() {
            return Err(JwtError::Critical);
        }
        // RFC 8725 §3.10: a key that travels with the token proves nothing.
        if [&header.jwk, &header.jku, &header.x5u, &header.x5c].iter().any(|part| part.is_some()) {
            return Err(JwtError::ForeignKey);
        }
        Ok(Self { header, signed, payload, signature: decode(signature)? })
    }

    fn expect_type(&self, typ: &str) -> Result<(), JwtError> {
        let is_expected = self.header.typ.as_deref().is_some_and(|given| is_same_type(given, typ));
        is_expected.then_some(()).ok_or(JwtError::WrongType)
    }

    /// Only once the signature was found right.
    fn claims(&self) -> Result<Map<String, Value>, JwtError> {
        serde_json::from_slice(&decode(self.payload)?).map_err(|_| JwtError::Malformed)
    }
}

/// RFC 7515 §4.1.9: `application/` may be left out; media types ignore case.
fn is_same_type(given: &str, expected: &str) -> bool {
    const PREFIX: &str = "application/";
    let short = match given.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => {
            given.get(PREFIX.len()..).unwrap_or_default()
        }
        _ => given,
    };
    short.eq_ignore_ascii_case(expected)
}

fn decode(text: &str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Malformed)
}

mod foreign;
mod shared;

pub use foreign::ForeignKeys;
pub use shared::{SHARED_KEY_BYTES_MIN, SharedKey};

#[cfg(test)]
mod tests;
