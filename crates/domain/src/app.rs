//! An app: what a developer registers. On the wire, and only there, it is the *client* of RFC 6749.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use protocol::scope::{ScopeName, ScopeSet};
use serde::{Deserialize, Serialize};

use crate::id::{AppId, CredentialId, UserId};
use crate::time::Timestamp;

/// How an app keeps its secret, and so how it authenticates (RFC 6749 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppKind {
    /// Runs on the developer's servers; has secrets.
    Web,
    /// Runs on the user's device; public, may use loopback and custom-scheme redirects.
    Native,
    /// Runs in the user's browser; public.
    SinglePage,
    /// Acts for itself only, by client credentials.
    Service,
}

impl AppKind {
    /// A confidential client of RFC 6749 §2.1.
    pub const fn is_confidential(self) -> bool {
        matches!(self, Self::Web | Self::Service)
    }

    /// Which redirect URIs it may have.
    pub const fn redirect_policy(self) -> RedirectPolicy {
        match self {
            Self::Native => RedirectPolicy::Native,
            Self::Web | Self::SinglePage | Self::Service => RedirectPolicy::Web,
        }
    }
}

/// What an app may do as a whole. Transitions fail when they make no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppStatus {
    InReview,
    Live { since: Timestamp, approval: Approval },
    Rejected { at: Timestamp, note: String },
    Suspended { at: Timestamp, reason: String, approval: Approval },
}

/// Who let the app go live, as the consent page says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Staff looked at it.
    Reviewed { at: Timestamp, by: UserId },
    /// The operator's policy lets new apps go live unseen, or the operator wrote it into the config.
    Unreviewed,
}

/// One scope an app asks for, with the purpose in the developer's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRequest {
    pub scope: ScopeName,
    pub purpose: String,
    /// The app cannot work without it: the user cannot untick it.
    pub required: bool,
}

/// Wishes of the app, kept within the operator's limits by [`crate::policy::Lifetimes::for_app`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppLifetimes {
    pub access_token: Option<Duration>,
    pub refresh_idle: Option<Duration>,
    pub grant_max: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct App {
    pub id: AppId,
    /// The `client_id` on the wire. Compared exactly.
    pub client_id: String,
    pub kind: AppKind,
    pub name: String,
    pub description: String,
    pub homepage: Option<String>,
    pub privacy_url: Option<String>,
    pub terms_url: Option<String>,
    pub owner: UserId,
    /// Who stands behind it, as the consent page says it.
    pub publisher: String,
    pub status: AppStatus,
    pub redirect_uris: Vec<RedirectUri>,
    /// What the developer asks for; the consent page shows the purposes.
    pub requested: Vec<ScopeRequest>,
    /// What staff (or the policy) approved. No token does more.
    pub approved: ScopeSet,
    /// The ceiling of client credentials. Empty: the app cannot use them.
    pub service_scopes: ScopeSet,
    /// Where the app may call from. Empty: from anywhere.
    pub addresses: Vec<IpNet>,
    pub lifetimes: AppLifetimes,
    /// Off for apps that cannot store a new refresh token each time (FAPI 2.0 allows it for
    /// confidential clients).
    pub rotates_refresh_tokens: bool,
    /// Whether optional scopes start ticked on the consent page.
    pub optional_ticked: bool,
    /// `None`: the app speaks the standard. Otherwise the dialect it is registered for, and only
    /// at that dialect's endpoints.
    pub dialect: Option<String>,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    #[error("only an app in review can be approved or rejected")]
    NotInReview,
    #[error("only a live app can be suspended")]
    NotLive,
    #[error("only a suspended app can be resumed")]
    NotSuspended,
}

impl App {
    pub const fn is_live(&self) -> bool {
        matches!(self.status, AppStatus::Live { .. })
    }

    /// May a call of this app come from `address`?
    pub fn admits(&self, address: IpAddr) -> bool {
        // An IPv4 client of a dual-stack listener arrives as ::ffff:a.b.c.d.
        let address = address.to_canonical();
        self.addresses.is_empty() || self.addresses.iter().any(|net| net.contains(&address))
    }

    pub fn required_scopes(&self) -> ScopeSet {
        self.requested.iter().filter(|r| r.required).map(|r| r.scope.clone()).collect()
    }

    /// What a request without `scope` means: everything that was asked for and approved.
    pub fn default_scopes(&self) -> ScopeSet {
        self.requested_scopes().intersection(&self.approved)
    }

    pub fn requested_scopes(&self) -> ScopeSet {
        self.requested.iter().map(|r| r.scope.clone()).collect()
    }

    /// Asked for and not approved (yet).
    pub fn pending_scopes(&self) -> ScopeSet {
        self.requested_scopes().difference(&self.approved)
    }

    /// Approve `scopes` of what was requested. A live app whose developer asked for more keeps
    /// what it had while the request waits, and is approved again here.
    pub fn approve(
        mut self,
        scopes: &ScopeSet,
        by: UserId,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        let since = match self.status {
            AppStatus::InReview => now,
            AppStatus::Live { since, .. } if !self.pending_scopes().is_empty() => since,
            _ => return Err(AppError::NotInReview),
        };
        self.approved = self.requested_scopes().intersection(scopes);
        self.service_scopes = self.service_scopes.intersection(&self.approved);
        self.status = AppStatus::Live { since, approval: Approval::Reviewed { at: now, by } };
        self.changed_at = now;
        Ok(self)
    }

    pub fn reject(mut self, note: String, now: Timestamp) -> Result<Self, AppError> {
        let AppStatus::InReview = self.status else { return Err(AppError::NotInReview) };
        self.status = AppStatus::Rejected { at: now, note };
        self.changed_at = now;
        Ok(self)
    }

    pub fn suspend(mut self, reason: String, now: Timestamp) -> Result<Self, AppError> {
        let AppStatus::Live { approval, .. } = self.status else { return Err(AppError::NotLive) };
        self.status = AppStatus::Suspended { at: now, reason, approval };
        self.changed_at = now;
        Ok(self)
    }

    pub fn resume(mut self, now: Timestamp) -> Result<Self, AppError> {
        let AppStatus::Suspended { approval, .. } = self.status else {
            return Err(AppError::NotSuspended);
        };
        self.status = AppStatus::Live { since: now, approval };
        self.changed_at = now;
        Ok(self)
    }
}

/// One of the (up to five) live secrets of a confidential app.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    pub id: CredentialId,
    pub app_id: AppId,
    /// HMAC of the secret under the server's pepper ([`crate::keyring::Keyring::secret_mac`]).
    pub mac: [u8; 32],
    /// The last four characters, so that a person can tell secrets apart.
    pub hint: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
}

/// More would be a sign of secrets that nobody removes.
pub const CLIENT_SECRETS_MAX: usize = 5;

impl ClientSecret {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}
