//! Signed download links: whoever holds one may fetch one file for a few minutes, without a token.
//! Pure; the key and the clock are parameters.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// A link outlives a revoked grant by at most this long.
const LIFETIME_SECONDS: i64 = 300;

#[derive(Clone)]
pub(crate) struct LinkSigner {
    key: Key,
}

/// Whether a browser saves the file or shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    Attachment,
    Inline,
}

impl Disposition {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Attachment => "attachment",
            Self::Inline => "inline",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        [Self::Attachment, Self::Inline].into_iter().find(|each| each.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadLink {
    Forged,
    Expired,
}

impl LinkSigner {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self { key: Key::new(HMAC_SHA256, secret) }
    }

    /// A path and query, relative to the host that the caller used. `code` is one of ours: letters
    /// and digits.
    pub(crate) fn sign(&self, code: &str, disposition: Disposition, now: i64) -> String {
        let expires = now.div_euclid(1000).saturating_add(LIFETIME_SECONDS);
        let tag = hmac::sign(&self.key, message(code, disposition, expires).as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref());
        let disposition = disposition.as_str();
        format!("/v2/dl/{code}?as={disposition}&expires={expires}&signature={signature}")
    }

    pub(crate) fn verify(
        &self,
        code: &str,
        disposition: Disposition,
        expires: i64,
        signature: &str,
        now: i64,
    ) -> Result<(), BadLink> {
        let tag = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadLink::Forged)?;
        let message = message(code, disposition, expires);
        hmac::verify(&self.key, message.as_bytes(), &tag).map_err(|_| BadLink::Forged)?;
        if now.div_euclid(1000) >= expires { Err(BadLink::Expired) } else { Ok(()) }
    }
}

/// The last two lines have no line break in them, so two links never share a message.
fn message(code: &str, disposition: Disposition, expires: i64) -> String {
    format!("practice drive link\n{code}\n{}\n{expires}", disposition.as_str())
}
