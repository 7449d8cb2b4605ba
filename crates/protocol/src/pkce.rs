//! Proof Key for Code Exchange (RFC 7636). S256 only: `plain` proves nothing to somebody who saw
//! the authorization request, and OAuth 2.1 §7.5.1 drops it.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const CHALLENGE_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PkceError {
    #[error("code_challenge_method must be S256")]
    MethodNotS256,
    #[error("code_challenge must be the base64url text of a SHA-256 hash: 43 characters")]
    BadChallenge,
    #[error("code_challenge_method came without code_challenge")]
    MethodWithoutChallenge,
    #[error("code_verifier must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~")]
    BadVerifier,
}

/// The hash that a code is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeChallenge([u8; CHALLENGE_BYTES]);

impl CodeChallenge {
    /// Reads the two authorization parameters. A missing method means `plain` in RFC 7636 §4.3,
    /// so it is refused like `plain` itself.
    pub fn from_params(
        challenge: Option<&str>,
        method: Option<&str>,
    ) -> Result<Option<Self>, PkceError> {
        match (challenge, method) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(PkceError::MethodWithoutChallenge),
            (Some(text), Some("S256")) => Self::parse(text).map(Some),
            (Some(_), _) => Err(PkceError::MethodNotS256),
        }
    }

    /// Reads the base64url text of an S256 challenge.
    pub fn parse(text: &str) -> Result<Self, PkceError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| PkceError::BadChallenge)?;
        bytes.try_into().map(Self).map_err(|_| PkceError::BadChallenge)
    }

    pub fn from_bytes(bytes: [u8; CHALLENGE_BYTES]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; CHALLENGE_BYTES] {
        &self.0
    }

    /// Constant time.
    pub fn matches(&self, verifier: &CodeVerifier) -> bool {
        let hash = digest::digest(&digest::SHA256, verifier.0.as_bytes());
        verify_slices_are_equal(hash.as_ref(), &self.0).is_ok()
    }
}

impl fmt::Display for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for CodeChallenge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CodeChallenge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What the client shows at the token endpoint. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeVerifier(String);

impl CodeVerifier {
    pub fn parse(text: &str) -> Result<Self, PkceError> {
        // RFC 7636 §4.1: 43*128unreserved
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(43..=128).contains(&text.len()) || !text.bytes().all(legal) {
            return Err(PkceError::BadVerifier);
        }
        Ok(Self(text.to_owned()))
    }

    /// What a client sends ahead (RFC 7636 §4.2).
    pub fn challenge(&self) -> CodeChallenge {
        let mut challenge = [0; CHALLENGE_BYTES];
        let hash = digest::digest(&digest::SHA256, self.0.as_bytes());
        challenge.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        CodeChallenge(challenge)
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636 appendix B
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_rfc_matches() {
        let challenge = CodeChallenge::from_params(Some(CHALLENGE), Some("S256")).unwrap().unwrap();
        assert!(challenge.matches(&CodeVerifier::parse(VERIFIER).unwrap()));
        assert_eq!(challenge.to_string(), CHALLENGE);
        assert_eq!(CodeVerifier::parse(VERIFIER).unwrap().challenge(), challenge);
    }

    #[test]
    fn another_verifier_does_not_match() {
        let challenge = CodeChallenge::parse(CHALLENGE).unwrap();
        let other = VERIFIER.replace('d', "e");
        assert!(!challenge.matches(&CodeVerifier::parse(&other).unwrap()));
    }

    #[test]
    fn p3_an_s256_challenge_cannot_be_redeemed_as_plain() {
        let challenge = CodeChallenge::parse(CHALLENGE).unwrap();
        assert!(!challenge.matches(&CodeVerifier::parse(CHALLENGE).unwrap()));
    }

    #[test]
    fn p3_plain_and_a_missing_method_are_refused() {
        for method in [Some("plain"), Some("s256"), Some(""), None] {
            assert_eq!(
                CodeChallenge::from_params(Some(CHALLENGE), method),
                Err(PkceError::MethodNotS256)
            );
        }
        assert_eq!(
            CodeChallenge::from_params(None, Some("S256")),
            Err(PkceError::MethodWithoutChallenge)
        );
        assert_eq!(CodeChallenge::from_params(None, None), Ok(None));
    }

    #[test]
    fn p3_a_verifier_of_wrong_length_or_alphabet_is_refused() {
        for bad in [
            "",
            &"a".repeat(42),
            &"a".repeat(129),
            &"a".repeat(42).replace('a', "+"),
            &format!("{}é", "a".repeat(50)),
            &format!("{} ", "a".repeat(50)),
        ] {
            assert!(CodeVerifier::parse(bad).is_err(), "{bad:?}");
        }
        assert!(CodeVerifier::parse(&"a".repeat(43)).is_ok());
        assert!(CodeVerifier::parse(&"~".repeat(128)).is_ok());
    }

    #[test]
    fn a_challenge_that_is_not_canonical_base64url_is_refused() {
        let padded = format!("{CHALLENGE}=");
        let loose_bits = format!("{}N", CHALLENGE.strip_suffix('M').unwrap());
        for bad in ["", "short", padded.as_str(), loose_bits.as_str(), &CHALLENGE.replace('-', "+")]
        {
            assert!(CodeChallenge::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_verifier_does_not_print_itself() {
        let verifier = CodeVerifier::parse(VERIFIER).unwrap();
        assert!(!format!("{verifier:?}").contains(VERIFIER));
    }
}
