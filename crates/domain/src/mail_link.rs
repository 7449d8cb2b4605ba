//! Links in messages. One is a sealed text that says what it is for, for whom, from which browser
//! it was asked, and until when; that it works once is remembered when it is used (attack S6).
//! Nothing of it is stored before.

use serde::{Deserialize, Serialize};

use crate::entropy::Entropy;
use crate::id::{InvitationId, UserId};
use crate::keyring::Keyring;
use crate::mail::{Asked, StoredHash};
use crate::seal::Purpose;
use crate::time::Timestamp;
use crate::user::{User, normalize_email};

/// What the reader of the message can do with the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum LinkUse {
    /// Make an account under this address.
    SignUp { email: String, name: String, password: StoredHash, locale: Option<String> },
    /// Let the account have this address. `stamp`: see [`account_stamp`].
    VerifyAddress { user: UserId, email: String, stamp: String },
    /// Give the account another password.
    ResetPassword { user: UserId, stamp: String },
    /// Join a team of developers.
    JoinTeam { invitation: InvitationId },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailLink {
    pub asked: Asked,
    #[serde(rename = "use")]
    pub purpose: LinkUse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link is not ours, or its time is over")]
pub struct LinkOver;

impl MailLink {
    /// `None`: what is in it is too long, or the crypto library fails.
    pub fn seal(&self, keyring: &Keyring, entropy: &dyn Entropy) -> Option<String> {
        let bytes = serde_json::to_vec(self).ok()?;
        keyring.seal_bytes(Purpose::Link, &bytes, entropy)
    }

    pub fn open(keyring: &Keyring, text: &str, now: Timestamp) -> Result<Self, LinkOver> {
        let bytes = keyring.open_bytes(Purpose::Link, text).map_err(|_| LinkOver)?;
        let link: Self = serde_json::from_slice(&bytes).map_err(|_| LinkOver)?;
        if now < link.asked.expires_at { Ok(link) } else { Err(LinkOver) }
    }

    /// Whether it was asked from the browser with this mark.
    pub fn is_of(&self, browser: &str) -> bool {
        self.asked.browser == browser
    }

    /// The same link, for the browser in which a person has said that it was them.
    #[must_use]
    pub fn confirmed_in(mut self, browser: String) -> Self {
        self.asked.browser = browser;
        self
    }
}

/// What changes with an account's password and address: a link that was made before such a change
/// is over.
pub fn account_stamp(keyring: &Keyring, user: &User) -> String {
    let phc = user.password.as_ref().map_or("", |password| password.as_phc());
    let input = format!("{phc}\n{}", normalize_email(&user.email));
    let id = keyring.derive_id("account stamp", input.as_bytes());
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
