//! An app: what a developer registers. On the wire, and only there, it is the *client* of RFC 6749.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use protocol::scope::{ScopeName, ScopeSet};
use serde::{Deserialize, Serialize};

use crate::condition::ReviewState;
use crate::foreign_hash::ForeignHash;
use crate::id::{AppId, CredentialId, UserId};
use crate::revision::Revision;
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

    /// May run where there is no browser (RFC 8628). An app in a browser has one, and a service has
    /// no user.
    pub const fn may_use_device_codes(self) -> bool {
        matches!(self, Self::Web | Self::Native)
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
    Live {
        since: Timestamp,
        approval: Approval,
    },
    Rejected {
        at: Timestamp,
        note: String,
    },
    Suspended {
        at: Timestamp,
        reason: String,
        approval: Approval,
    },
    /// Nobody used it for long. Its calls are refused; its developer can wake it up.
    Retired {
        at: Timestamp,
        approval: Approval,
    },
}

/// Who let the app go live, as the consent page says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Staff looked at it.
    Reviewed { at: Timestamp, by: UserId },
    /// The policy lets new apps go live unseen, or the operator wrote it into the config.
    Unreviewed,
}

/// Who has to do something about what waits for review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    #[default]
    Staff,
    /// Staff asked for changes. Whatever the developer changes or answers, it is staff's turn
    /// again.
    Developer { asked_at: Timestamp, note: String },
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
    /// The dialect it is registered for, at whose endpoints alone it is known.
    pub dialect: Option<String>,
    /// An app of a dialect is known at the standard endpoints too, under the standard's rules. Its
    /// codes and tokens stay what they were made as.
    pub also_standard: bool,
    pub created_at: Timestamp,
    /// What a live app wants to say of itself, while staff look at it.
    pub proposed: Option<Revision>,
    /// Of what waits for review, if anything does.
    pub turn: Turn,
    /// When anything changed that staff look at or decide. A decision names the change it was
    /// made for, so that nothing is approved unseen.
    pub changed_at: Timestamp,
    /// What staff know of it: conditions, whether it is due again, who takes care of it.
    pub review: ReviewState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    #[error("only an app in review can be approved or rejected")]
    NotInReview,
    #[error("there is nothing to send: no request of this app waits for its developer")]
    NotAsked,
    #[error("only a live app can be suspended")]
    NotLive,
    #[error("only a suspended app can be resumed")]
    NotSuspended,
    #[error("staff suspended the app; only they can let it go on")]
    Suspended,
    #[error(
        "the app asks for nothing new that could be rejected: untick what it should lose and \
         approve the rest, or suspend it"
    )]
    NothingNew,
    #[error("the app is not live, or waits for staff already")]
    NotDue,
    #[error("only a live app whose developer was reminded can be retired")]
    NotReminded,
    #[error("only a retired app can be woken up")]
    NotRetired,
}

impl App {
    pub const fn is_live(&self) -> bool {
        matches!(self.status, AppStatus::Live { .. })
    }

    /// Is it known at the endpoints of `dialect`, or of the standard (`None`)?
    pub fn speaks(&self, dialect: Option<&str>) -> bool {
        match dialect {
            None => self.dialect.is_none() || self.also_standard,
            Some(_) => self.dialect.as_deref() == dialect,
        }
    }

    /// The wire format its developer is shown first: the standard, if it speaks it.
    pub fn main_dialect(&self) -> Option<&str> {
        self.dialect.as_deref().filter(|_| !self.also_standard)
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

    /// What a request without `scope` means: everything that was asked for and is approved.
    pub fn default_scopes(&self, now: Timestamp) -> ScopeSet {
        self.requested_scopes().intersection(&self.approved_at(now))
    }

    pub fn requested_scopes(&self) -> ScopeSet {
        self.requested.iter().map(|r| r.scope.clone()).collect()
    }

    /// Asked for and not decided (yet).
    pub fn pending_scopes(&self) -> ScopeSet {
        let is_for_tests =
            |scope: &ScopeName| self.condition_of(scope.as_str()).is_some_and(|c| c.tests_only);
        let open = self.requested_scopes().difference(&self.approved);
        open.iter().filter(|scope| !is_for_tests(scope)).cloned().collect()
    }
}

/// One of the (up to five) live secrets of a confidential app.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    pub id: CredentialId,
    pub app_id: AppId,
    pub proof: SecretProof,
    /// The last characters, so that a person can tell secrets apart. Empty while only a hash is
    /// known.
    pub hint: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
}

/// What a secret that is shown is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretProof {
    /// HMAC of the secret under the server's pepper ([`crate::keyring::Keyring::secret_mac`]).
    Mac([u8; 32]),
    /// What the app brought from another system. The first right secret replaces it by a MAC.
    Foreign(ForeignHash),
}

/// More would be a sign of secrets that nobody removes.
pub const CLIENT_SECRETS_MAX: usize = 5;

impl ClientSecret {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const THEN: Timestamp = Timestamp::from_seconds(1_000);
    pub(crate) const NOW: Timestamp = Timestamp::from_seconds(2_000);
    pub(crate) const STAFF: UserId = UserId::from_bytes([7; 16]);

    pub(crate) fn set(text: &str) -> ScopeSet {
        text.parse().unwrap()
    }

    pub(crate) fn request(scope: &str) -> ScopeRequest {
        ScopeRequest { scope: scope.parse().unwrap(), purpose: "Why".into(), required: false }
    }

    /// An app that asks for `requested` and has none of it.
    pub(crate) fn new(kind: AppKind, requested: &str) -> App {
        App {
            id: AppId::from_bytes([1; 16]),
            client_id: "bot".into(),
            kind,
            name: "Bot".into(),
            description: String::new(),
            homepage: None,
            privacy_url: None,
            terms_url: None,
            owner: UserId::from_bytes([2; 16]),
            publisher: String::new(),
            status: AppStatus::InReview,
            redirect_uris: Vec::new(),
            requested: requested.split_whitespace().map(request).collect(),
            approved: ScopeSet::new(),
            service_scopes: ScopeSet::new(),
            addresses: Vec::new(),
            lifetimes: AppLifetimes::default(),
            rotates_refresh_tokens: true,
            optional_ticked: true,
            dialect: None,
            also_standard: false,
            created_at: THEN,
            proposed: None,
            turn: Turn::Staff,
            changed_at: THEN,
            review: ReviewState::default(),
        }
    }

    pub(crate) fn live(requested: &str) -> App {
        new(AppKind::Web, requested).approve(&set(requested), STAFF, THEN).unwrap()
    }
}
