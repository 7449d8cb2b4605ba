//! An app: what a developer registers. On the wire, and only there, it is the *client* of RFC 6749.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use protocol::scope::{ScopeName, ScopeSet};
use serde::{Deserialize, Serialize};

use crate::foreign_hash::ForeignHash;
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
    Live { since: Timestamp, approval: Approval },
    Rejected { at: Timestamp, note: String },
    Suspended { at: Timestamp, reason: String, approval: Approval },
}

/// Who let the app go live, as the consent page says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Staff looked at it.
    Reviewed { at: Timestamp, by: UserId },
    /// The policy lets new apps go live unseen, or the operator wrote it into the config.
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
    /// The dialect it is registered for, at whose endpoints alone it is known.
    pub dialect: Option<String>,
    /// An app of a dialect is known at the standard endpoints too, under the standard's rules. Its
    /// codes and tokens stay what they were made as.
    pub also_standard: bool,
    pub created_at: Timestamp,
    /// When anything changed that staff look at or decide. A decision names the change it was
    /// made for, so that nothing is approved unseen.
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
    #[error("staff suspended the app; only they can let it go on")]
    Suspended,
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

    /// Approve `scopes` of what was requested; what is refused leaves the request. A live app whose
    /// developer asked for more keeps what it had while the request waits, and is approved again
    /// here.
    pub fn approve(
        mut self,
        scopes: &ScopeSet,
        by: UserId,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        let since = match self.status {
            AppStatus::InReview => now,
            AppStatus::Live { since, .. } if self.has_pending_scopes() => since,
            _ => return Err(AppError::NotInReview),
        };
        self.approved = self.requested_scopes().intersection(scopes);
        self.requested.retain(|request| scopes.contains(request.scope.as_str()));
        self.service_scopes = self.service_scopes.intersection(&self.approved);
        self.status = AppStatus::Live { since, approval: Approval::Reviewed { at: now, by } };
        self.changed_at = now;
        Ok(self)
    }

    /// Refuse what a live app asked for beyond what it has. It stays live as it was approved.
    pub fn refuse_pending(mut self, now: Timestamp) -> Result<Self, AppError> {
        if !self.is_live() || !self.has_pending_scopes() {
            return Err(AppError::NotInReview);
        }
        let approved = &self.approved;
        self.requested.retain(|request| approved.contains(request.scope.as_str()));
        self.service_scopes = self.service_scopes.intersection(approved);
        self.changed_at = now;
        Ok(self)
    }

    /// The developer changed what staff looked at, or answers a rejection: staff look again.
    pub fn reopen_review(mut self, now: Timestamp) -> Result<Self, AppError> {
        if let AppStatus::Suspended { .. } = self.status {
            return Err(AppError::Suspended);
        }
        self.status = AppStatus::InReview;
        self.changed_at = now;
        Ok(self)
    }

    /// The developer changed what staff looked at, and the operator's policy lets that go live
    /// unseen: from now on the consent page says that nobody looked.
    pub fn change_unreviewed(mut self, now: Timestamp) -> Result<Self, AppError> {
        match self.status {
            AppStatus::Live { since, .. } => {
                self.status = AppStatus::Live { since, approval: Approval::Unreviewed };
                self.changed_at = now;
                Ok(self)
            }
            // Staff stopped it; only staff let it go on.
            _ => self.reopen_review(now),
        }
    }

    /// Ask for more scopes. What was approved before stays live while they wait.
    pub fn request_scopes(
        mut self,
        requests: Vec<ScopeRequest>,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        match self.status {
            AppStatus::Suspended { .. } => return Err(AppError::Suspended),
            AppStatus::Rejected { .. } => self.status = AppStatus::InReview,
            AppStatus::InReview | AppStatus::Live { .. } => {}
        }
        for request in requests {
            if self.kind == AppKind::Service {
                self.service_scopes.insert(request.scope.clone());
            }
            self.requested.retain(|known| known.scope != request.scope);
            self.requested.push(request);
        }
        self.changed_at = now;
        Ok(self)
    }

    /// Give scopes up, asked for or approved.
    #[must_use]
    pub fn drop_scope(mut self, scope: &ScopeName, now: Timestamp) -> Self {
        self.requested.retain(|request| request.scope != *scope);
        self.approved.remove(scope.as_str());
        self.service_scopes.remove(scope.as_str());
        self.changed_at = now;
        self
    }

    /// Waits for staff: as a whole, or for more scopes.
    pub fn awaits_review(&self) -> bool {
        match self.status {
            AppStatus::InReview => true,
            AppStatus::Live { .. } => self.has_pending_scopes(),
            AppStatus::Rejected { .. } | AppStatus::Suspended { .. } => false,
        }
    }

    fn has_pending_scopes(&self) -> bool {
        !self.pending_scopes().is_empty()
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
mod tests {
    use super::*;

    const THEN: Timestamp = Timestamp::from_seconds(1_000);
    const NOW: Timestamp = Timestamp::from_seconds(2_000);
    const STAFF: UserId = UserId::from_bytes([7; 16]);

    fn set(text: &str) -> ScopeSet {
        text.parse().unwrap()
    }

    fn request(scope: &str) -> ScopeRequest {
        ScopeRequest { scope: scope.parse().unwrap(), purpose: "Why".into(), required: false }
    }

    /// An app that asks for `requested` and has none of it.
    fn new(kind: AppKind, requested: &str) -> App {
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
            changed_at: THEN,
        }
    }

    fn live(requested: &str) -> App {
        new(AppKind::Web, requested).approve(&set(requested), STAFF, THEN).unwrap()
    }

    #[test]
    fn a_refused_scope_leaves_the_request() {
        let app = new(AppKind::Web, "read trade").approve(&set("read other"), STAFF, NOW).unwrap();
        assert_eq!((app.approved.clone(), app.requested_scopes()), (set("read"), set("read")));
        assert!(app.is_live() && !app.awaits_review());
        assert!(app.approve(&set("read"), STAFF, NOW).is_err(), "nothing waits any more");
    }

    #[test]
    fn more_scopes_wait_while_the_approved_ones_stay_live() {
        let app = live("read").request_scopes(vec![request("trade")], NOW).unwrap();
        assert!(app.is_live() && app.awaits_review());
        assert_eq!((app.approved.clone(), app.pending_scopes()), (set("read"), set("trade")));
        let refused = app.clone().refuse_pending(NOW).unwrap();
        assert!(refused.is_live() && !refused.awaits_review());
        assert_eq!(refused.requested_scopes(), set("read"));
        let approved = app.approve(&set("read trade"), STAFF, NOW).unwrap();
        assert_eq!(approved.approved, set("read trade"));
        let since =
            AppStatus::Live { since: THEN, approval: Approval::Reviewed { at: NOW, by: STAFF } };
        assert_eq!(approved.status, since);
    }

    #[test]
    fn a_service_acts_for_itself_within_what_was_approved() {
        let app = new(AppKind::Service, "").request_scopes(vec![request("read")], NOW).unwrap();
        let app = app.request_scopes(vec![request("trade")], NOW).unwrap();
        let app = app.approve(&set("trade"), STAFF, NOW).unwrap();
        assert_eq!(app.service_scopes, set("trade"));
    }

    #[test]
    fn only_staff_let_a_suspended_app_go_on() {
        let app = live("read").suspend("Phishing".into(), NOW).unwrap();
        assert_eq!(app.clone().reopen_review(NOW).err(), Some(AppError::Suspended));
        assert_eq!(app.clone().change_unreviewed(NOW).err(), Some(AppError::Suspended));
        let asked = app.clone().request_scopes(vec![request("trade")], NOW);
        assert_eq!(asked.err(), Some(AppError::Suspended));
        assert!(app.resume(NOW).unwrap().is_live());
    }

    #[test]
    fn a_rejected_app_goes_back_to_review_whatever_the_policy() {
        let app = new(AppKind::Web, "read").reject("Why?".into(), THEN).unwrap();
        for app in [app.clone().reopen_review(NOW), app.change_unreviewed(NOW)] {
            assert_eq!(app.unwrap().status, AppStatus::InReview);
        }
    }

    #[test]
    fn an_unseen_change_ends_the_claim_that_staff_looked() {
        let app = live("read").change_unreviewed(NOW).unwrap();
        assert_eq!(app.status, AppStatus::Live { since: THEN, approval: Approval::Unreviewed });
    }

    #[test]
    fn a_scope_that_is_dropped_is_gone_everywhere() {
        let app = live("read trade").drop_scope(&"trade".parse().unwrap(), NOW);
        assert_eq!((app.approved.clone(), app.requested_scopes()), (set("read"), set("read")));
        assert!(!app.awaits_review());
    }
}
