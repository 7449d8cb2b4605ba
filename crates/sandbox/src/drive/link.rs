//! Signed download links: whoever holds one may fetch one file or folder for a few minutes, without
//! a token. Pure; the key and the clock are parameters.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// A link outlives a revoked grant by at most this long.
const LIFETIME_SECONDS: i64 = 300;

#[derive(Clone)]
pub(crate) struct LinkSigner {
    key: Key,
}

/// What a link gives: a file to save, a file to show, or a folder as a zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Attachment,
    Inline,
    Zip,
}

impl Delivery {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Attachment => "attachment",
            Self::Inline => "inline",
            Self::Zip => "zip",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let all = [Self::Attachment, Self::Inline, Self::Zip];
        all.into_iter().find(|each| each.as_str() == text)
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
    pub(crate) fn sign(&self, code: &str, delivery: Delivery, now: i64) -> String {
        let expires = now.div_euclid(1000).saturating_add(LIFETIME_SECONDS);
        let tag = hmac::sign(&self.key, message(code, delivery, expires).as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref());
        let delivery = delivery.as_str();
        format!("/v2/dl/{code}?as={delivery}&expires={expires}&signature={signature}")
    }

    pub(crate) fn verify(
        &self,
        code: &str,
        delivery: Delivery,
        expires: i64,
        signature: &str,
        now: i64,
    ) -> Result<(), BadLink> {
        let tag = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadLink::Forged)?;
        let message = message(code, delivery, expires);
        hmac::verify(&self.key, message.as_bytes(), &tag).map_err(|_| BadLink::Forged)?;
        if now.div_euclid(1000) >= expires { Err(BadLink::Expired) } else { Ok(()) }
    }
}

/// The path that is opened, and when that ends. The last line has no line break in it, so two
/// links never share a message.
fn message(code: &str, delivery: Delivery, expires: i64) -> String {
    format!("/v2/dl/{code}?as={}\n{expires}", delivery.as_str())
}
