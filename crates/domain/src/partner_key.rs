//! A partner key: a pair of public key and secret with which an app signs its calls for one user,
//! long after the user has left. The user picks what it may do; its secret is told once.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, random_bytes};
use crate::id::{AppId, PartnerKeyId, UserId};
use crate::keyring::Keyring;
use crate::seal::{OpenError, Purpose};
use crate::time::Timestamp;

/// A key that was not used for this long is disabled.
pub const UNUSED_MAX: Duration = Duration::from_secs(14 * 24 * 3600);
/// Keys of one account, disabled ones too.
pub const PARTNER_KEYS_MAX: usize = 50;
/// A retrieval of the secret that was cut short frees it after this long.
pub const SECRET_LOCK: Duration = Duration::from_secs(5);

/// One thing a key may do, as the operator declared it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Permission {
    /// The name of a permission group of the config.
    pub group: String,
    /// The path that the key may call, as declared.
    pub url: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerKey {
    /// The `externalId` on the wire, as a UUID: see [`uuid_of`].
    pub id: PartnerKeyId,
    /// The `apiKey` on the wire: 32 hexadecimal digits.
    pub public: String,
    pub user_id: UserId,
    pub app_id: AppId,
    pub secret: SealedSecret,
    pub secret_state: SecretState,
    /// What the user picked. What it may do now: see [`KeyTerms::permits`].
    ///
    /// [`KeyTerms::permits`]: crate::key_terms::KeyTerms::permits
    pub permissions: BTreeSet<Permission>,
    pub status: KeyStatus,
    /// The wire format in which it was asked for; `None`: the standard.
    pub dialect: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// Whether the app has been told the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretState {
    Unread,
    /// Somebody is being told it. The moment also says who: no two locks end at the same one.
    Locked {
        until: Timestamp,
    },
    Read {
        at: Timestamp,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    Active,
    /// It does nothing any more, and stands in the way of a new one until the user removes it.
    Disabled {
        why: DisabledWhy,
        at: Timestamp,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledWhy {
    /// [`UNUSED_MAX`] has gone by.
    Unused,
}

/// Why a key is gone. Nothing remains of it but the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedWhy {
    /// The user removed it.
    User,
    /// The user withdrew all that the app had.
    AccessWithdrawn,
    /// The app deleted it.
    App,
    /// The app is gone.
    AppDeleted,
    PasswordChanged,
    AccountBlocked,
}

impl EndedWhy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::AccessWithdrawn => "access_withdrawn",
            Self::App => "app",
            Self::AppDeleted => "app_deleted",
            Self::PasswordChanged => "password",
            Self::AccountBlocked => "blocked",
        }
    }

    /// The word for it in a message to the user. `None`: they did it themselves a moment ago.
    pub const fn in_message(self) -> Option<&'static str> {
        match self {
            Self::User | Self::AccessWithdrawn => None,
            Self::App | Self::AppDeleted => Some("app"),
            Self::PasswordChanged | Self::AccountBlocked => Some(self.as_str()),
        }
    }
}

/// Why the secret is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretRefusal {
    #[error("the secret was told before")]
    AlreadyRead,
    #[error("the secret is being told to somebody else")]
    Locked,
    #[error("the key is disabled")]
    Disabled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is disabled already")]
pub struct NotActive;

/// Why no key can be made for a user and an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueRefusal {
    #[error("there is an active key of this user and this app")]
    ActiveExists,
    #[error("there is a disabled key of this user and this app; the user has to remove it first")]
    DisabledExists,
    #[error("the user has {PARTNER_KEYS_MAX} keys")]
    TooMany,
}

/// Whether one more key may be made: `existing` are all keys of the user.
pub fn may_issue<'k>(
    existing: impl IntoIterator<Item = &'k PartnerKey>,
    app: AppId,
) -> Result<(), IssueRefusal> {
    let mut count = 0;
    for key in existing {
        count += 1;
        if key.app_id == app {
            return Err(match key.status {
                KeyStatus::Active => IssueRefusal::ActiveExists,
                KeyStatus::Disabled { .. } => IssueRefusal::DisabledExists,
            });
        }
    }
    if count < PARTNER_KEYS_MAX { Ok(()) } else { Err(IssueRefusal::TooMany) }
}

impl PartnerKey {
    /// A new key with a secret that nobody knows yet. `None`: the crypto library failed.
    pub fn issue(
        keyring: &Keyring,
        entropy: &dyn Entropy,
        (user_id, app_id): (UserId, AppId),
        permissions: BTreeSet<Permission>,
        dialect: Option<String>,
        now: Timestamp,
    ) -> Option<Self> {
        let id = random_id(entropy);
        let secret = KeySecret::random(entropy);
        Some(Self {
            id,
            public: hex(&random_bytes::<16>(entropy)),
            user_id,
            app_id,
            secret: SealedSecret::seal(keyring, entropy, id, &secret)?,
            secret_state: SecretState::Unread,
            permissions,
            status: KeyStatus::Active,
            dialect,
            created_at: now,
            last_used_at: None,
        })
    }

    pub const fn is_active(&self) -> bool {
        matches!(self.status, KeyStatus::Active)
    }

    /// What [`UNUSED_MAX`] is counted from.
    pub fn last_sign_of_life(&self) -> Timestamp {
        self.last_used_at.unwrap_or(self.created_at)
    }

    pub fn is_unused_too_long(&self, now: Timestamp) -> bool {
        now >= self.last_sign_of_life().after(UNUSED_MAX)
    }

    /// Keep everybody else away from the secret while it is told. The holder comes back with the
    /// moment to [`PartnerKey::tell_secret`].
    pub fn lock_secret(&mut self, now: Timestamp) -> Result<Timestamp, SecretRefusal> {
        if !self.is_active() {
            return Err(SecretRefusal::Disabled);
        }
        match self.secret_state {
            SecretState::Read { .. } => Err(SecretRefusal::AlreadyRead),
            SecretState::Locked { until } if now < until => Err(SecretRefusal::Locked),
            SecretState::Unread | SecretState::Locked { .. } => {
                let until = now.after(SECRET_LOCK);
                self.secret_state = SecretState::Locked { until };
                Ok(until)
            }
        }
    }

    /// The holder of the lock that ends at `until` tells the secret now.
    pub fn tell_secret(&mut self, until: Timestamp, now: Timestamp) -> Result<(), SecretRefusal> {
        match self.secret_state {
            _ if !self.is_active() => Err(SecretRefusal::Disabled),
            SecretState::Locked { until: held } if held == until => {
                self.secret_state = SecretState::Read { at: now };
                Ok(())
            }
            SecretState::Read { .. } => Err(SecretRefusal::AlreadyRead),
            SecretState::Unread | SecretState::Locked { .. } => Err(SecretRefusal::Locked),
        }
    }

    /// It ends without being removed. Its secret is forgotten.
    pub fn disable(&mut self, why: DisabledWhy, now: Timestamp) -> Result<(), NotActive> {
        if !self.is_active() {
            return Err(NotActive);
        }
        self.status = KeyStatus::Disabled { why, at: now };
        self.secret = SealedSecret::forgotten();
        Ok(())
    }
}

/// The secret of a key in the clear: as long as somebody needs it, then overwritten.
pub struct KeySecret(Zeroizing<String>);

/// 256 bits, as hexadecimal digits: clients use the text itself as the key of their HMAC.
const SECRET_BYTES: usize = 32;

impl KeySecret {
    fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        entropy.fill(bytes.as_mut_slice());
        Self(Zeroizing::new(hex(bytes.as_slice())))
    }

    /// For the one answer that tells it, and for checking signatures.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

/// The secret as it is stored: sealed together with the id of its key, so that rows of the database
/// cannot be swapped.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(String);

impl SealedSecret {
    fn seal(
        keyring: &Keyring,
        entropy: &dyn Entropy,
        id: PartnerKeyId,
        secret: &KeySecret,
    ) -> Option<Self> {
        let mut content = Zeroizing::new(Vec::with_capacity(16 + 2 * SECRET_BYTES));
        content.extend_from_slice(id.as_bytes());
        content.extend_from_slice(secret.0.as_bytes());
        keyring.seal_bytes(Purpose::PartnerSecret, &content, entropy).map(Self)
    }

    /// Opens nothing.
    pub const fn forgotten() -> Self {
        Self(String::new())
    }

    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_stored(&self) -> &str {
        &self.0
    }

    /// The secret of the key `id`.
    ///
    /// # Errors
    /// [`OpenError::UnknownKey`]: worth one reload of the keyring. [`OpenError::Invalid`]: it was
    /// forgotten, or is another key's.
    pub fn open(&self, keyring: &Keyring, id: PartnerKeyId) -> Result<KeySecret, OpenError> {
        let content = Zeroizing::new(keyring.open_bytes(Purpose::PartnerSecret, &self.0)?);
        let secret = content.strip_prefix(id.as_bytes()).ok_or(OpenError::Invalid)?;
        let text = std::str::from_utf8(secret).map_err(|_| OpenError::Invalid)?;
        Ok(KeySecret(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(…)")
    }
}

/// A version 4 UUID (RFC 9562 §5.4).
fn random_id(entropy: &dyn Entropy) -> PartnerKeyId {
    let mut bytes = random_bytes::<16>(entropy);
    for (at, byte) in bytes.iter_mut().enumerate() {
        match at {
            6 => *byte = (*byte & 0x0f) | 0x40,
            8 => *byte = (*byte & 0x3f) | 0x80,
            _ => {}
        }
    }
    PartnerKeyId::from_bytes(bytes)
}

/// An id as it goes over the wire: `550e8400-e29b-41d4-a716-446655440000`.
pub fn uuid_of(id: PartnerKeyId) -> String {
    let mut text = String::with_capacity(36);
    for (at, digit) in id.to_string().chars().enumerate() {
        if [8, 12, 16, 20].contains(&at) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// The id that goes over the wire as `text`; `None`: nothing of ours looks like this.
pub fn id_of_uuid(text: &str) -> Option<PartnerKeyId> {
    let id = text.replace('-', "").parse().ok()?;
    (uuid_of(id) == text).then_some(id)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from);
    // At its full length from the start: growing would leave copies of a secret behind.
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0x0f));
    }
    text
}
