//! Second factors: authenticator apps, passkeys, and recovery codes on paper. Which presented proof
//! is good is decided here; that each counts once, by the rows.

use std::fmt;

use protocol::totp;
use zeroize::Zeroizing;

use crate::entropy::{Entropy, random_bytes};
use crate::id::{FactorId, UserId};
use crate::keyring::Keyring;
use crate::seal::Purpose;
use crate::time::Timestamp;

/// Of each kind, for one user.
pub const FACTORS_MAX: usize = 10;
/// So many recovery codes are made at once.
pub const RECOVERY_CODES: usize = 10;
/// How a user names a factor, in characters.
pub const NAME_MAX: usize = 60;

/// An authenticator app (RFC 6238).
#[derive(Clone)]
pub struct Totp {
    pub id: FactorId,
    pub user_id: UserId,
    pub name: String,
    /// Sealed: [`seal_secret`].
    pub secret: String,
    /// The step of the last code that was accepted.
    pub last_step: i64,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

impl fmt::Debug for Totp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Totp").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Totp {
    /// The step whose code `typed` is; store it, so that the code counts once. `Err`: the secret
    /// was sealed with a key that this node does not have.
    pub fn accept(
        &self,
        keyring: &Keyring,
        typed: &str,
        now: Timestamp,
    ) -> Result<Option<i64>, SecretLost> {
        let secret = open_secret(keyring, self.user_id, &self.secret)?;
        Ok(totp::accepted_step(&secret, typed, self.last_step, now.as_seconds()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret of an authenticator app cannot be opened")]
pub struct SecretLost;

/// A new secret for an authenticator app.
pub fn new_secret(entropy: &dyn Entropy) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(random_bytes::<{ totp::SECRET_BYTES }>(entropy).to_vec())
}

/// As the database keeps it: bound to the user, so that rows cannot be swapped.
pub fn seal_secret(
    keyring: &Keyring,
    user: UserId,
    secret: &[u8],
    entropy: &dyn Entropy,
) -> Option<String> {
    let content = Zeroizing::new([user.as_bytes().as_slice(), secret].concat());
    keyring.seal_bytes(Purpose::TotpSecret, &content, entropy)
}

pub fn open_secret(
    keyring: &Keyring,
    user: UserId,
    sealed: &str,
) -> Result<Zeroizing<Vec<u8>>, SecretLost> {
    let content = keyring.open_bytes(Purpose::TotpSecret, sealed).map_err(|_| SecretLost)?;
    let content = Zeroizing::new(content);
    let secret = content.strip_prefix(user.as_bytes()).ok_or(SecretLost)?;
    Ok(Zeroizing::new(secret.to_vec()))
}

/// A passkey: the public half of a key pair that a device keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    pub id: FactorId,
    pub user_id: UserId,
    pub name: String,
    /// As the device names it.
    pub credential_id: Vec<u8>,
    /// A COSE key.
    pub public_key: Vec<u8>,
    /// Zero for passkeys that are on several devices.
    pub signature_count: i64,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// What a user has.
#[derive(Clone, Debug, Default)]
pub struct Enrolled {
    pub totps: Vec<Totp>,
    pub passkeys: Vec<Passkey>,
    pub recovery_codes_left: u64,
}

impl Enrolled {
    /// Recovery codes alone protect nothing: they replace what is lost.
    pub fn is_empty(&self) -> bool {
        self.totps.is_empty() && self.passkeys.is_empty()
    }
}

/// No vowels and nothing that looks like a digit, as in codes of devices (RFC 8628 §6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// 51 bits, behind a limit on attempts and the password.
const LETTERS: usize = 12;

/// A code on paper: `BCDF-GHJK-LMNP`.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode([u8; LETTERS]);

impl RecoveryCode {
    pub fn random(entropy: &dyn Entropy) -> Self {
        // Of 128 bits, so the remainder favours no letter that anybody could see.
        let mut number = u128::from_be_bytes(random_bytes(entropy));
        let base = ALPHABET.len() as u128;
        Self(std::array::from_fn(|_| {
            let digit = usize::try_from(number % base).unwrap_or_default();
            number /= base;
            ALPHABET.get(digit).copied().unwrap_or_default()
        }))
    }

    /// What somebody typed: in any case, with or without hyphens and spaces.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let letters: Vec<u8> = typed
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}'))
            .map(|c| u8::try_from(c.to_ascii_uppercase()).ok())
            .collect::<Option<_>>()?;
        let letters: [u8; LETTERS] = letters.try_into().ok()?;
        letters.iter().all(|letter| ALPHABET.contains(letter)).then_some(Self(letters))
    }

    /// What the database knows it by: for one user, under the pepper.
    pub fn mac(&self, keyring: &Keyring, user: UserId) -> [u8; 16] {
        keyring.derive_id("recovery code", &[user.as_bytes().as_slice(), &self.0].concat())
    }
}

impl fmt::Display for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, letter) in self.0.iter().enumerate() {
            if place > 0 && place % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*letter))?;
        }
        Ok(())
    }
}

/// Codes stay out of logs.
impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, out: &mut [u8]) {
            out.iter_mut().zip(1..).for_each(|(byte, number)| *byte = number);
        }
    }

    #[test]
    fn a_recovery_code_is_read_however_it_was_typed() {
        let code = RecoveryCode::random(&Counting);
        let text = code.to_string();
        assert_eq!(text.len(), 14);
        let spaced = text.to_lowercase().replace('-', " ");
        for typed in [&text, &spaced, &text.replace('-', "")] {
            assert_eq!(RecoveryCode::parse(typed), Some(code.clone()), "{typed}");
        }
        for typed in ["", "123456", "BCDF-GHJK-LMN", "BCDF-GHJK-LMNA", "BCDF-GHJK-LMNÉ"] {
            assert_eq!(RecoveryCode::parse(typed), None, "{typed}");
        }
        assert_eq!(format!("{code:?}"), "RecoveryCode(…)");
    }
}
