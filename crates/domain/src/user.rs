//! A user account and its roles. Everyone can grant access; developing apps and reviewing them are
//! roles.

pub use protocol::identity::is_email_address;
use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::password::PasswordHash;
use crate::policy::Developers;
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Developer,
    Reviewer,
    Admin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserStatus {
    Active,
    Blocked { at: Timestamp, reason: String },
}

#[derive(Clone, Debug)]
pub struct User {
    pub id: UserId,
    /// As the user typed it. Looked up by [`normalize_email`].
    pub email: String,
    pub name: String,
    pub password: Option<PasswordHash>,
    pub roles: Vec<Role>,
    pub status: UserStatus,
    pub created_at: Timestamp,
    /// Language of messages and pages, as `de`; `None`: the operator's.
    pub locale: Option<String>,
    /// When the user last proved to read mail at `email`.
    pub email_verified_at: Option<Timestamp>,
}

impl User {
    pub fn is_active(&self) -> bool {
        self.status == UserStatus::Active
    }

    /// Admins may do what reviewers may.
    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role) || (role == Role::Reviewer && self.roles.contains(&Role::Admin))
    }

    /// Whether the operator's policy has a place for apps of this account.
    pub fn is_developer(&self, developers: Developers) -> bool {
        let admitted = match developers {
            Developers::Invited => false,
            Developers::Verified => self.email_verified_at.is_some(),
            Developers::Anyone => true,
            Developers::StaffOnly => self.has_role(Role::Reviewer),
        };
        admitted || self.has_role(Role::Developer)
    }

    /// Whether this account may register new apps as far as `developers` goes.
    pub fn may_register(&self, developers: Developers) -> bool {
        match developers {
            Developers::StaffOnly => self.has_role(Role::Reviewer),
            _ => self.is_developer(developers),
        }
    }

    /// Whether mail to `email` reaches whoever has this account. `sends_mail`: otherwise nobody
    /// can prove an address, and the operator gave it to the account.
    pub fn reads_mail_of(&self, email: &str, sends_mail: bool) -> bool {
        let is_proven = self.email_verified_at.is_some() || !sends_mail;
        is_proven && normalize_email(&self.email) == normalize_email(email)
    }

    #[must_use]
    pub fn block(mut self, reason: String, now: Timestamp) -> Self {
        self.status = UserStatus::Blocked { at: now, reason };
        self
    }

    #[must_use]
    pub fn unblock(mut self) -> Self {
        self.status = UserStatus::Active;
        self
    }
}

const NAME_CHARACTERS_MAX: usize = 100;

/// What a person may be called here.
pub fn is_name(name: &str) -> bool {
    name.chars().count() <= NAME_CHARACTERS_MAX && !name.chars().any(char::is_control)
}

/// The form in which an e-mail address is stored for look-up: trimmed and lower-cased.
pub fn normalize_email(email: &str) -> String {
    email.trim().to_lowercase()
}
