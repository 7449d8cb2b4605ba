//! The secret half of a key pair, ready to check signatures with. The library overwrites its memory
//! when it is dropped.

use std::fmt;

use aws_lc_rs::hmac;

/// The longest MAC there is.
pub const MAC_BYTES_MAX: usize = 64;

/// Over which hash function a MAC is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    Sha256,
    Sha512,
}

impl Digest {
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "hmac-sha256",
            Self::Sha512 => "hmac-sha512",
        }
    }
}

/// One secret, both ways. The two never make the same MAC of the same text.
pub struct MacKey {
    sha256: hmac::Key,
    sha512: hmac::Key,
}

impl MacKey {
    pub fn new(secret: &[u8]) -> Self {
        Self {
            sha256: hmac::Key::new(hmac::HMAC_SHA256, secret),
            sha512: hmac::Key::new(hmac::HMAC_SHA512, secret),
        }
    }

    /// In constant time.
    pub fn verify(&self, digest: Digest, content: &[u8], mac: &[u8]) -> bool {
        hmac::verify(self.key(digest), content, mac).is_ok()
    }

    pub fn sign(&self, digest: Digest, content: &[u8]) -> Vec<u8> {
        hmac::sign(self.key(digest), content).as_ref().to_vec()
    }

    const fn key(&self, digest: Digest) -> &hmac::Key {
        match digest {
            Digest::Sha256 => &self.sha256,
            Digest::Sha512 => &self.sha512,
        }
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}
