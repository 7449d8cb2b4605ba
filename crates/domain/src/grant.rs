//! One live authorization of one app by one user (or by the app itself): the only thing tokens
//! point to, and the rule by which its refresh tokens rotate.

use std::net::IpAddr;
use std::time::Duration;

use protocol::scope::ScopeSet;

use crate::app::App;
use crate::consent::Epoch;
use crate::id::{AppId, AttemptId, CodeId, ConsentId, CredentialId, GrantId, SessionId, UserId};
use crate::time::Timestamp;

/// On whose behalf the app acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantSubject {
    User {
        user_id: UserId,
        consent_id: ConsentId,
        consent_epoch: Epoch,
    },
    /// Client credentials: one grant per (app, credential, mode), so that revoking a credential
    /// ends only its tokens.
    Service {
        credential_id: CredentialId,
    },
}

/// Test credentials never reach live data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Live,
    Test,
}

impl Mode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeReason {
    /// The user withdrew the consent or ended this grant.
    User,
    /// The app gave it back (RFC 7009).
    App,
    /// Staff suspended, blocked or deleted.
    Staff,
    CodeReplayed,
    RefreshTheft,
    /// More live grants than one app may have of one user: the longest unused went.
    Evicted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantStatus {
    Live,
    Revoked { at: Timestamp, reason: RevokeReason },
}

/// Where the refresh tokens of a grant stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshState {
    /// The newest generation that was issued.
    pub generation: i64,
    /// The generation whose presentation made the newest one; its holder may have lost the answer.
    pub parent: Option<i64>,
    pub rotated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub app_id: AppId,
    pub subject: GrantSubject,
    pub scopes: ScopeSet,
    /// Identifiers of the resources it is good for.
    pub resources: Vec<String>,
    pub mode: Mode,
    pub dialect: Option<String>,
    pub session_id: Option<SessionId>,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
    pub amr: Option<String>,
    /// Thumbprint the tokens are bound to (DPoP, mTLS).
    pub key_binding: Option<Vec<u8>>,
    /// The row that holds larger request details.
    pub details_ref: Option<String>,
    /// Where the device was that asked for it (RFC 8628).
    pub device_address: Option<IpAddr>,
    /// The code it was made from. Unique: this is what makes a code single-use.
    pub code_id: Option<CodeId>,
    /// Who redeemed the code, so that a retry after a lost commit answer finds its own row.
    pub attempt_id: AttemptId,
    /// `None`: no refresh token was issued.
    pub refresh: Option<RefreshState>,
    pub status: GrantStatus,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    /// The end of it, however often it is used.
    pub expires_at: Timestamp,
    /// The end of it when it is not refreshed before.
    pub idle_expires_at: Timestamp,
}

/// A refresh answer can be lost, and apps refresh in parallel: within this time after a rotation,
/// presenting the previous token yields the same generation again.
pub const REFRESH_WINDOW: Duration = Duration::from_secs(30);

/// Live grants that one app may hold of one user; the longest unused is evicted. Apps that ask at
/// every start would pile them up otherwise.
pub const LIVE_GRANTS_PER_APP_AND_USER_MAX: usize = 20;

/// What presenting a refresh token leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// Store this state (compare-and-swap on the old one) and mint `generation`.
    Rotate(RefreshState),
    /// Mint `generation` again; nothing to store.
    Repeat { generation: i64 },
    /// An orphan or an older generation: someone else has used this token. Revoke the grant.
    Theft,
    /// From a generation this database has not seen: it was restored from a backup. Refused,
    /// revokes nothing.
    FromTheFuture,
    /// The grant is over, or never had refresh tokens.
    NotRefreshable,
}

impl Grant {
    pub fn user_id(&self) -> Option<UserId> {
        match self.subject {
            GrantSubject::User { user_id, .. } => Some(user_id),
            GrantSubject::Service { .. } => None,
        }
    }

    pub fn consent_id(&self) -> Option<ConsentId> {
        match self.subject {
            GrantSubject::User { consent_id, .. } => Some(consent_id),
            GrantSubject::Service { .. } => None,
        }
    }

    pub fn is_live(&self, now: Timestamp) -> bool {
        self.status == GrantStatus::Live && now < self.expires_at && now < self.idle_expires_at
    }

    #[must_use]
    pub fn revoke(mut self, reason: RevokeReason, now: Timestamp) -> Self {
        if self.status == GrantStatus::Live {
            self.status = GrantStatus::Revoked { at: now, reason };
        }
        self
    }

    /// Decide what presenting the refresh token of `generation` means (architecture, invariant 1).
    ///
    /// A generation counter, not a timer, tells the newest from the rest; the timer only forgives a
    /// lost answer. Both parties of a theft end up on different branches of the counter, and the
    /// second one to come back is found.
    pub fn present_refresh(&self, generation: i64, app: &App, now: Timestamp) -> RefreshOutcome {
        let Some(state) = self.refresh else { return RefreshOutcome::NotRefreshable };
        if !self.is_live(now) {
            return RefreshOutcome::NotRefreshable;
        }
        state.present(generation, app.rotates_refresh_tokens, now)
    }
}

impl RefreshState {
    /// The state of a grant whose first refresh token is being issued.
    pub const fn first(now: Timestamp) -> Self {
        Self { generation: 1, parent: None, rotated_at: now }
    }

    pub fn present(self, presented: i64, rotates: bool, now: Timestamp) -> RefreshOutcome {
        let next = self.generation.saturating_add(1);
        if presented > self.generation {
            return RefreshOutcome::FromTheFuture;
        }
        if presented == self.generation {
            return match rotates {
                true => RefreshOutcome::Rotate(Self {
                    generation: next,
                    parent: Some(presented),
                    rotated_at: now,
                }),
                false => RefreshOutcome::Repeat { generation: presented },
            };
        }
        if Some(presented) != self.parent {
            return RefreshOutcome::Theft;
        }
        if now <= self.rotated_at.after(REFRESH_WINDOW) {
            // Anchored at the rotation, never extended by repeating.
            return RefreshOutcome::Repeat { generation: self.generation };
        }
        // The answer was lost and the app comes back late. The successor that nobody used becomes
        // an orphan: if someone does hold it, its next use is theft.
        RefreshOutcome::Rotate(Self { generation: next, parent: Some(presented), rotated_at: now })
    }
}
