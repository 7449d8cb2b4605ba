//! A token for the admin API: opaque, with scopes of its own, for programs of the operator. It is
//! not an access token of OAuth, and nothing that apps get opens the admin API.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entropy::{Entropy, random_alphanumeric};
use crate::id::{AdminTokenId, UserId};
use crate::time::Timestamp;

/// How its text begins, for secret scanners.
pub const PREFIX: &str = "consentry_admin_";
/// Characters of `[A-Za-z0-9]` behind the prefix: 256 bits.
const SECRET_LENGTH: usize = 43;
/// Longer texts are refused before they are looked at.
pub const TEXT_BYTES_MAX: usize = 100;
/// In characters.
pub const NAME_MAX: usize = 100;
/// What expires at last; nobody remembers tokens that are older.
pub const LIFETIME_MAX: std::time::Duration = std::time::Duration::from_secs(366 * 24 * 3600);

macro_rules! scopes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// What a token may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AdminScope { $($(#[doc = $doc])* $name,)* }

        impl AdminScope {
            pub const ALL: &[AdminScope] = &[$(AdminScope::$name,)*];

            pub const fn as_str(self) -> &'static str {
                match self { $(AdminScope::$name => $text,)* }
            }

            /// What it allows, in a sentence.
            pub const fn text(self) -> &'static str {
                match self { $(AdminScope::$name => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

scopes! {
    /// See apps, their secrets' names, their messages, and what users report.
    AppsRead = "apps:read",
    /// Create, change, suspend, resume and delete apps; make and remove their secrets.
    AppsWrite = "apps:write",
    /// Bring apps here from another system.
    AppsImport = "apps:import",
    /// Approve, reject, ask for changes, and write to developers.
    ReviewDecide = "review:decide",
    /// See accounts.
    UsersRead = "users:read",
    /// Create, change, block and unblock accounts; remove their second factors.
    UsersWrite = "users:write",
    /// Give and take roles: whoever may do that can make staff.
    RolesWrite = "roles:write",
    /// See what users let apps do.
    ConsentsRead = "consents:read",
    /// Take back what users let apps do.
    ConsentsWrite = "consents:write",
    /// See which keys there are, never the keys.
    KeysRead = "keys:read",
    /// Rotate keys.
    KeysWrite = "keys:write",
    /// Read and verify the audit trail.
    AuditRead = "audit:read",
    /// See which messages wait, without their texts.
    MailsRead = "mails:read",
    /// Send a message that tries the mail settings.
    MailsWrite = "mails:write",
    /// See which webhooks to the operator wait or were given up.
    WebhooksRead = "webhooks:read",
    /// Send webhooks to the operator once more.
    WebhooksWrite = "webhooks:write",
    /// See which tokens there are.
    TokensRead = "tokens:read",
    /// Make tokens that may do no more than the one that makes them, and revoke any.
    TokensWrite = "tokens:write",
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such scope")]
pub struct UnknownScope;

impl FromStr for AdminScope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

impl fmt::Display for AdminScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AdminScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AdminScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom(format!("there is no scope {text}"));
        text.parse().map_err(|_| unknown())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    pub id: AdminTokenId,
    /// What it is for, in the words of whoever made it.
    pub name: String,
    pub scopes: Vec<AdminScope>,
    /// The member of staff in whose name it decides and writes; `None`: it does neither.
    pub user_id: Option<UserId>,
    /// Who made it, as the audit trail names actors.
    pub created_by: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Coarsely.
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl AdminToken {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    pub fn may(&self, scope: AdminScope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// The text of a new token, for the one answer that shows it.
pub fn new_text(entropy: &dyn Entropy) -> String {
    format!("{PREFIX}{}", random_alphanumeric(entropy, SECRET_LENGTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_as_it_is_written_and_says_what_it_allows() {
        for scope in AdminScope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
            assert!(scope.text().ends_with('.'), "{scope}");
        }
        assert_eq!("apps:*".parse::<AdminScope>(), Err(UnknownScope));
    }

    #[test]
    fn a_token_is_live_until_it_expires_or_is_revoked() {
        let at = Timestamp::from_seconds;
        let token = AdminToken {
            id: AdminTokenId::from_bytes([1; 16]),
            name: "deploy".into(),
            scopes: vec![AdminScope::AppsRead],
            user_id: None,
            created_by: "cli".into(),
            created_at: at(0),
            expires_at: at(10),
            last_used_at: None,
            revoked_at: None,
        };
        assert!(token.is_live(at(9)) && !token.is_live(at(10)));
        assert!(token.may(AdminScope::AppsRead) && !token.may(AdminScope::AppsWrite));
        assert!(!AdminToken { revoked_at: Some(at(5)), ..token }.is_live(at(5)));
    }
}
