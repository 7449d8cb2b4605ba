//! Sealing: how a content becomes an opaque token and back. AES-256-GCM-SIV, one derived key per
//! purpose, the purpose, the issuer and the key id as associated data, so that nothing sealed for
//! one use opens as another (attack T3).
//!
//! Text form: a recognisable prefix for secret scanners, then base64url without padding of
//! key id (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::entropy::{Entropy, random_bytes};

/// What a sealed text is for. Each purpose has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    Access,
    Refresh,
    Code,
    /// A request that the server holds while the user signs in or decides.
    Form,
    /// The CSRF token of a session.
    Csrf,
    /// The position in a paged list.
    Cursor,
    /// What a browser keeps while its user signs in at another system.
    HandOff,
    /// A link in a message: see [`crate::mail_link`].
    Link,
    /// What the server holds between two steps of proving who somebody is.
    Proof,
    /// The secret of an authenticator app, as the database keeps it.
    TotpSecret,
    /// The secret of a partner key. It stays in the database.
    PartnerSecret,
    /// What the admin API answered, kept for whoever asks again. It stays in the database.
    Answer,
    /// The secret of a webhook. It stays in the database.
    WebhookSecret,
    /// What a developer's browser holds between two steps of the console.
    Console,
}

impl Purpose {
    pub const ALL: [Purpose; 14] = [
        Self::Access,
        Self::Refresh,
        Self::Code,
        Self::Form,
        Self::Csrf,
        Self::Cursor,
        Self::HandOff,
        Self::Link,
        Self::Proof,
        Self::TotpSecret,
        Self::PartnerSecret,
        Self::Answer,
        Self::WebhookSecret,
        Self::Console,
    ];

    /// How a text of this purpose begins.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "cs_at_",
            Self::Refresh => "cs_rt_",
            Self::Code => "cs_ac_",
            Self::Form => "cs_fm_",
            Self::Csrf => "cs_cf_",
            Self::Cursor => "cs_cu_",
            Self::HandOff => "cs_ho_",
            Self::Link => "cs_ml_",
            Self::Proof => "cs_pf_",
            Self::TotpSecret => "cs_ts_",
            Self::PartnerSecret => "cs_ps_",
            Self::Answer => "cs_an_",
            Self::WebhookSecret => "cs_ws_",
            Self::Console => "cs_co_",
        }
    }

    /// Longer texts are refused before decoding. A code is at most 1.5 KB; a form carries a whole
    /// authorization request with its `state`.
    pub const fn text_bytes_max(self) -> usize {
        match self {
            Self::Form => 12 * 1024,
            // Both tokens and a code of the largest size.
            Self::Console => 12 * 1024,
            // It is a cookie, and browsers keep 4096 bytes of one with its name (RFC 6265 §6.1).
            Self::HandOff => 3900,
            // Of an import: an outcome for each app.
            Self::Answer => 4 << 20,
            _ => 4096,
        }
    }

    /// Longer contents are not sealed: their texts would be too long to be opened again.
    pub const fn content_bytes_max(self) -> usize {
        // base64url: four characters for three bytes.
        let bytes = (self.text_bytes_max() - self.prefix().len()) / 4 * 3;
        bytes - KEY_ID - NONCE - TAG
    }

    /// Code keys rotate daily and die within minutes of their last code.
    pub const fn class(self) -> KeyClass {
        match self {
            Self::Code => KeyClass::Code,
            _ => KeyClass::LongLived,
        }
    }
}

/// How long a sealing key lives, as a property of what it seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyClass {
    Code,
    LongLived,
}

/// Why a text did not open. What the outside sees is one uniform answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Perhaps sealed by another node with a newer key: worth one reload.
    #[error("sealed with a key this node does not know")]
    UnknownKey,
    #[error("not sealed by this issuer for this use")]
    Invalid,
}

const KEY_ID: usize = 4;
const NONCE: usize = 12;
const TAG: usize = 16;

/// The keys that one secret yields for one issuer, one per purpose of its class.
pub(crate) struct PurposeKeys {
    kid: u32,
    keys: Vec<(Purpose, LessSafeKey, Vec<u8>)>,
}

impl PurposeKeys {
    /// `None` only if the crypto library refuses a 32-byte key, which it does not.
    pub(crate) fn derive(
        issuer: &str,
        kid: u32,
        class: KeyClass,
        secret: &[u8; 32],
    ) -> Option<Self> {
        let root = Salt::new(HKDF_SHA256, b"consentry sealing v1").extract(secret);
        let mut keys = Vec::new();
        for purpose in Purpose::ALL.into_iter().filter(|purpose| purpose.class() == class) {
            let info = [purpose.prefix().as_bytes(), issuer.as_bytes()];
            let mut key = [0; 32];
            root.expand(&info, HKDF_SHA256).ok()?.fill(&mut key).ok()?;
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, &key).ok()?);
            keys.push((purpose, key, associated_data(purpose, issuer, kid)));
        }
        Some(Self { kid, keys })
    }

    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        content: &[u8],
        entropy: &dyn Entropy,
    ) -> Option<String> {
        if content.len() > purpose.content_bytes_max() {
            return None;
        }
        let (_, key, aad) = self.keys.iter().find(|(of, _, _)| *of == purpose)?;
        let nonce = random_bytes::<NONCE>(entropy);
        let mut bytes = Vec::with_capacity(KEY_ID + NONCE + content.len() + TAG);
        bytes.extend_from_slice(&self.kid.to_be_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(content);
        let body = bytes.get_mut(KEY_ID + NONCE..)?;
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
            .ok()?;
        bytes.extend_from_slice(tag.as_ref());
        let mut text = String::with_capacity(purpose.prefix().len() + bytes.len() * 4 / 3 + 3);
        text.push_str(purpose.prefix());
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        Some(text)
    }

    pub(crate) fn open(&self, purpose: Purpose, mut sealed: Sealed) -> Result<Vec<u8>, OpenError> {
        let (_, key, aad) =
            self.keys.iter().find(|(of, _, _)| *of == purpose).ok_or(OpenError::Invalid)?;
        let nonce = Nonce::assume_unique_for_key(sealed.nonce);
        let length = key
            .open_in_place(nonce, Aad::from(aad), &mut sealed.body)
            .map_err(|_| OpenError::Invalid)?
            .len();
        sealed.body.truncate(length);
        Ok(sealed.body)
    }
}

fn associated_data(purpose: Purpose, issuer: &str, kid: u32) -> Vec<u8> {
    let mut data = purpose.prefix().as_bytes().to_vec();
    data.extend_from_slice(&kid.to_be_bytes());
    data.extend_from_slice(issuer.as_bytes());
    data
}

/// A sealed text taken apart, not yet opened.
pub(crate) struct Sealed {
    pub(crate) kid: u32,
    nonce: [u8; NONCE],
    body: Vec<u8>,
}

impl Sealed {
    /// Accepts exactly one spelling: the alphabet, no padding, no stray bits.
    pub(crate) fn parse(purpose: Purpose, text: &str) -> Result<Self, OpenError> {
        if text.len() > purpose.text_bytes_max() {
            return Err(OpenError::Invalid);
        }
        let encoded = text.strip_prefix(purpose.prefix()).ok_or(OpenError::Invalid)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| OpenError::Invalid)?;
        let (kid, rest) = bytes.split_first_chunk::<KEY_ID>().ok_or(OpenError::Invalid)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or(OpenError::Invalid)?;
        Ok(Self { kid: u32::from_be_bytes(*kid), nonce: *nonce, body: body.to_vec() })
    }
}
