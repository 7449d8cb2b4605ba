//! The Standard Webhooks scheme, version 1 (<https://www.standardwebhooks.com>): how a message to
//! somebody's server is signed, so that it can tell ours from anybody's.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::mac::{Digest, MacKey};

pub const ID_HEADER: &str = "webhook-id";
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How a secret begins, as it is shown.
pub const SECRET_PREFIX: &str = "whsec_";
/// Of a secret that we make. The scheme asks for 24 to 64.
pub const SECRET_BYTES: usize = 32;
/// A receiver refuses what is older or newer: what was recorded cannot be sent again later.
pub const TOLERANCE_SECONDS: i64 = 5 * 60;

/// Signatures that are looked at; more are none of ours.
const SIGNATURES_MAX: usize = 8;

/// The key in a secret. Not printed.
pub struct WebhookKey(MacKey);

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(…)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("a secret is `whsec_` and base64")]
    NotASecret,
    #[error("a secret has 24 to 64 bytes")]
    Length,
}

/// A secret as people copy it.
pub fn secret_text(bytes: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes))
}

impl WebhookKey {
    /// The key in `whsec_…`.
    pub fn parse(secret: &str) -> Result<Self, SecretError> {
        let text = secret.strip_prefix(SECRET_PREFIX).ok_or(SecretError::NotASecret)?;
        let bytes = STANDARD.decode(text).map_err(|_| SecretError::NotASecret)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(SecretError::Length);
        }
        Ok(Self(MacKey::new(&bytes)))
    }

    /// One signature; several secrets are several, with a space between.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mac = self.0.sign(Digest::Sha256, &content(id, timestamp, body));
        format!("v1,{}", STANDARD.encode(mac))
    }

    /// What a receiver does. `signatures`: the header as it came.
    pub fn verify(
        &self,
        (id, timestamp): (&str, i64),
        signatures: &str,
        body: &[u8],
        now: i64,
    ) -> Result<(), NotVerified> {
        if now.saturating_sub(timestamp).saturating_abs() > TOLERANCE_SECONDS {
            return Err(NotVerified::Time);
        }
        let content = content(id, timestamp, body);
        let macs = signatures.split(' ').take(SIGNATURES_MAX);
        let mut macs = macs.filter_map(|text| STANDARD.decode(text.strip_prefix("v1,")?).ok());
        let is_ours = macs.any(|mac| self.0.verify(Digest::Sha256, &content, &mac));
        is_ours.then_some(()).ok_or(NotVerified::Signature)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    #[error("the message is too old, or from the future")]
    Time,
    #[error("no signature is made with this secret")]
    Signature,
}

fn content(id: &str, timestamp: i64, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    // From the scheme's own reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key() -> WebhookKey {
        WebhookKey::parse(SECRET).unwrap()
    }

    #[test]
    fn the_published_message_has_the_published_signature() {
        assert_eq!(key().sign(ID, AT, BODY), SIGNATURE);
        assert_eq!(key().verify((ID, AT), SIGNATURE, BODY, AT), Ok(()));
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let other = WebhookKey::parse(&secret_text(&[7; SECRET_BYTES])).unwrap();
        let both = format!("{} v1a,AAAA {SIGNATURE}", other.sign(ID, AT, BODY));
        assert_eq!(key().verify((ID, AT), &both, BODY, AT), Ok(()));
        assert_eq!(other.verify((ID, AT), &both, BODY, AT), Ok(()));
        let mine = other.sign(ID, AT, BODY);
        assert_eq!(key().verify((ID, AT), &mine, BODY, AT), Err(NotVerified::Signature));
    }

    #[test]
    fn a_message_that_was_changed_or_recorded_is_refused() {
        let bad = Err(NotVerified::Signature);
        assert_eq!(key().verify((ID, AT), SIGNATURE, b"{}", AT), bad);
        assert_eq!(key().verify(("msg_other", AT), SIGNATURE, BODY, AT), bad);
        assert_eq!(key().verify((ID, AT + 1), SIGNATURE, BODY, AT), bad);
        assert_eq!(key().verify((ID, AT), "", BODY, AT), bad);
        for later in [TOLERANCE_SECONDS + 1, -TOLERANCE_SECONDS - 1] {
            let told = key().verify((ID, AT), SIGNATURE, BODY, AT + later);
            assert_eq!(told, Err(NotVerified::Time));
        }
        assert_eq!(key().verify((ID, i64::MIN), SIGNATURE, BODY, AT), Err(NotVerified::Time));
    }

    #[test]
    fn what_is_no_secret_is_not_taken_for_one() {
        let parse = |text: &str| WebhookKey::parse(text).err();
        assert_eq!(parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Some(SecretError::NotASecret));
        assert_eq!(parse("whsec_?"), Some(SecretError::NotASecret));
        assert_eq!(parse(&secret_text(&[1; 23])), Some(SecretError::Length));
        assert_eq!(parse(&secret_text(&[1; 65])), Some(SecretError::Length));
        assert_eq!(parse(&secret_text(&[1; 24])), None);
    }
}
