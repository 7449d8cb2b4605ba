//! All keys of one provider as one immutable value, replaced as a whole when keys are rotated.
//!
//! A master key (from a file or the environment) wraps the keys that the database holds and yields
//! the pepper under which client secrets are stored.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::{constant_time, hmac};
use protocol::jose::{SigningKey, VerifyingKey};
use protocol::jwk::{Algorithm, Jwks};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, random_bytes};
use crate::seal::{KeyClass, OpenError, Purpose, PurposeKeys, Sealed};
use crate::time::Timestamp;
use crate::token::codec::Content;

/// The one secret an operator keeps outside the database: 32 random bytes.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::new(random_bytes(entropy))
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn derive(&self, label: &[u8]) -> Option<[u8; 32]> {
        let mut out = [0; 32];
        let info = [label];
        let root = Salt::new(HKDF_SHA256, b"consentry master v1").extract(self.0.as_slice());
        root.expand(&info, HKDF_SHA256).ok()?.fill(&mut out).ok()?;
        Some(out)
    }

    fn wrapping_key(&self) -> Option<LessSafeKey> {
        let key = Zeroizing::new(self.derive(b"wrap")?);
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key.as_slice()).ok()?))
    }

    /// Seal key material for the database. `label` (its id and use) is bound to it.
    pub fn wrap(&self, label: &str, material: &[u8], entropy: &dyn Entropy) -> Option<Vec<u8>> {
        let nonce = random_bytes::<12>(entropy);
        let mut body = material.to_vec();
        self.wrapping_key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(label.as_bytes()),
                &mut body,
            )
            .ok()?;
        Some([nonce.as_slice(), &body].concat())
    }

    /// `None`: wrapped under another master key, for another label, or damaged.
    pub fn unwrap(&self, label: &str, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = wrapped.split_first_chunk::<12>()?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(label.as_bytes());
        let length = self.wrapping_key()?.open_in_place(nonce, aad, &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// A root from which the keys of one class are derived.
pub struct SealingSecret {
    pub kid: u32,
    pub class: KeyClass,
    pub secret: Zeroizing<[u8; 32]>,
    /// The newest of its class that is in use seals; the others only open.
    pub use_at: Timestamp,
    pub retire_at: Option<Timestamp>,
}

/// A key that signs JWTs and assertions. Published before it is used, and after.
pub struct SigningEntry {
    pub key: SigningKey,
    pub use_at: Timestamp,
    pub retire_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error("there is no sealing key in use for {0:?}")]
    NoSealingKey(KeyClass),
    #[error("the crypto library refused a key")]
    Refused,
}

pub struct Keyring {
    issuer: String,
    pepper: hmac::Key,
    sealing: HashMap<u32, PurposeKeys>,
    current_code: u32,
    current_long_lived: u32,
    signing: Vec<SigningEntry>,
    jwks: Jwks,
    verifying: Vec<VerifyingKey>,
    loaded_at: Timestamp,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Keyring {
    pub fn new(
        issuer: &str,
        master: &MasterKey,
        secrets: Vec<SealingSecret>,
        signing: Vec<SigningEntry>,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        let live: Vec<_> =
            secrets.iter().filter(|key| key.retire_at.is_none_or(|at| now < at)).collect();
        let current = |class: KeyClass| {
            live.iter()
                .filter(|key| key.class == class && key.use_at <= now)
                .max_by_key(|key| (key.use_at, key.kid))
                .map(|key| key.kid)
                .ok_or(KeyringError::NoSealingKey(class))
        };
        let (current_code, current_long_lived) =
            (current(KeyClass::Code)?, current(KeyClass::LongLived)?);
        let sealing = live
            .iter()
            .map(|key| {
                PurposeKeys::derive(issuer, key.kid, key.class, &key.secret)
                    .map(|keys| (key.kid, keys))
            })
            .collect::<Option<_>>()
            .ok_or(KeyringError::Refused)?;
        let pepper = master.derive(b"client secret pepper").ok_or(KeyringError::Refused)?;
        let signing: Vec<_> =
            signing.into_iter().filter(|e| e.retire_at.is_none_or(|at| now < at)).collect();
        Ok(Self {
            issuer: issuer.to_owned(),
            pepper: hmac::Key::new(hmac::HMAC_SHA256, &pepper),
            sealing,
            current_code,
            current_long_lived,
            verifying: signing
                .iter()
                .map(|entry| entry.key.verifying_key())
                .collect::<Result<_, _>>()
                .map_err(|_| KeyringError::Refused)?,
            jwks: Jwks { keys: signing.iter().map(|entry| entry.key.public_jwk()).collect() },
            signing,
            loaded_at: now,
        })
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn loaded_at(&self) -> Timestamp {
        self.loaded_at
    }

    /// Seal bytes. `None` if there are more than [`Purpose::content_bytes_max`], or the crypto
    /// library fails.
    pub fn seal_bytes(
        &self,
        purpose: Purpose,
        content: &[u8],
        entropy: &dyn Entropy,
    ) -> Option<String> {
        let kid = match purpose.class() {
            KeyClass::Code => self.current_code,
            KeyClass::LongLived => self.current_long_lived,
        };
        self.sealing.get(&kid)?.seal(purpose, content, entropy)
    }

    pub fn open_bytes(&self, purpose: Purpose, text: &str) -> Result<Vec<u8>, OpenError> {
        let sealed = Sealed::parse(purpose, text)?;
        self.sealing.get(&sealed.kid).ok_or(OpenError::UnknownKey)?.open(purpose, sealed)
    }

    pub fn seal<C: Content>(
        &self,
        purpose: Purpose,
        content: &C,
        entropy: &dyn Entropy,
    ) -> Option<String> {
        self.seal_bytes(purpose, &content.pack().ok()?, entropy)
    }

    pub fn open<C: Content>(&self, purpose: Purpose, text: &str) -> Result<C, OpenError> {
        C::unpack(&self.open_bytes(purpose, text)?).map_err(|_| OpenError::Invalid)
    }

    /// The form in which a client secret is stored. A fast MAC is enough for machine-made secrets,
    /// and the pepper covers short imported ones.
    pub fn secret_mac(&self, secret: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.pepper, secret);
        let mut mac = [0; 32];
        mac.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        mac
    }

    /// In constant time.
    pub fn secret_matches(&self, secret: &[u8], mac: &[u8; 32]) -> bool {
        constant_time::verify_slices_are_equal(&self.secret_mac(secret), mac).is_ok()
    }

    /// 16 bytes that follow from `label` and `input` alone, for whoever holds the master key.
    pub fn derive_id(&self, label: &str, input: &[u8]) -> [u8; 16] {
        let mac = self.secret_mac(&[label.as_bytes(), &[0], input].concat());
        let mut id = [0; 16];
        id.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        id
    }

    /// The newest key of `algorithm` that is in use.
    pub fn signing_key(&self, algorithm: Algorithm, now: Timestamp) -> Option<&SigningKey> {
        self.signing
            .iter()
            .filter(|entry| entry.key.algorithm() == algorithm && entry.use_at <= now)
            .max_by_key(|entry| entry.use_at)
            .map(|entry| &entry.key)
    }

    /// Every published public key: next, current and retiring.
    pub fn jwks(&self) -> &Jwks {
        &self.jwks
    }

    /// The same keys, parsed, for checking signatures.
    pub fn verifying_keys(&self) -> &[VerifyingKey] {
        &self.verifying
    }
}
