//! JSON Web Keys, public half only (RFC 7517, RFC 7518 §6, RFC 8037), and their thumbprints.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The signature algorithms of this product (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }
}

/// A public key as JSON. Private members cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    pub kid: String,
    pub alg: Algorithm,
    #[serde(rename = "use")]
    pub usage: KeyUse,
    #[serde(flatten)]
    pub material: KeyMaterial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyUse {
    #[serde(rename = "sig")]
    Signature,
}

/// The numbers of a key, base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum KeyMaterial {
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
    #[serde(rename = "OKP")]
    Okp { crv: String, x: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

/// A key set document (RFC 7517 §5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    pub keys: Vec<Jwk>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key is damaged or of another kind than its algorithm says")]
    Rejected,
    #[error("a key could not be made")]
    Generate,
}

impl KeyMaterial {
    /// Reads the DER of RFC 8017 §A.1.1: `SEQUENCE { modulus INTEGER, exponent INTEGER }`.
    pub(crate) fn from_rsa_public_key(der: &[u8]) -> Result<Self, KeyError> {
        let (sequence, _) = der_value(der, 0x30).ok_or(KeyError::Rejected)?;
        let (modulus, rest) = der_value(sequence, 0x02).ok_or(KeyError::Rejected)?;
        let (exponent, _) = der_value(rest, 0x02).ok_or(KeyError::Rejected)?;
        // RFC 7518 §6.3.1: without the zero byte that keeps a DER integer positive.
        let n = encode(modulus.strip_prefix(&[0]).unwrap_or(modulus));
        let e = encode(exponent.strip_prefix(&[0]).unwrap_or(exponent));
        Ok(Self::Rsa { n, e })
    }

    /// The RFC 7638 thumbprint: SHA-256 over the required members in alphabetical order.
    pub fn thumbprint(&self) -> String {
        // All values are base64url or curve names, so no JSON escaping is involved.
        let canonical = match self {
            Self::Ec { crv, x, y } => {
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Okp { crv, x } => format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        encode(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
    }

    /// The key, ready to verify with.
    pub(crate) fn parse(&self, algorithm: Algorithm) -> Result<ParsedPublicKey, KeyError> {
        let parsed = match (self, algorithm) {
            (Self::Ec { crv, x, y }, Algorithm::Es256) if crv == "P-256" => {
                let (x, y) = (decode(x)?, decode(y)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(KeyError::Rejected);
                }
                let point = [&[0x04], x.as_slice(), y.as_slice()].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            }
            (Self::Okp { crv, x }, Algorithm::EdDsa) if crv == "Ed25519" => {
                ParsedPublicKey::new(&ED25519, decode(x)?)
            }
            (Self::Rsa { n, e }, Algorithm::Rs256) => {
                let components = RsaPublicKeyComponents { n: decode(n)?, e: decode(e)? };
                return components
                    .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                    .map_err(|_| KeyError::Rejected);
            }
            _ => return Err(KeyError::Rejected),
        };
        parsed.map_err(|_| KeyError::Rejected)
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Result<Vec<u8>, KeyError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Rejected)
}

/// The content of the DER element with this tag at the front, and what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    (*found == tag).then_some((content, rest))
}
