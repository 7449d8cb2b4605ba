//! An app: what a developer registers. On the wire, and only there, it is the *client* of RFC 6749.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use protocol::scope::{ScopeName, ScopeSet};
use serde::{Deserialize, Serialize};

use crate::condition::ReviewState;
use crate::foreign_hash::ForeignHash;
use crate::grant::Mode;
use crate::id::{AppId, CredentialId, LogoId, TeamId, UserId};
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
    /// Runs where there is no browser, on a television or in a terminal; public, lets users in by
    /// codes that they carry (RFC 8628) and by nothing else.
    Device,
    /// An AI agent, or the host of one (MCP): acts for users wherever it runs; public, with
    /// the redirects of an app on the user's device, and codes where there is no browser.
    Agent,
}

impl AppKind {
    /// A confidential client of RFC 6749 §2.1.
    pub const fn is_confidential(self) -> bool {
        matches!(self, Self::Web | Self::Service)
    }

    /// May run where there is no browser (RFC 8628). An app in a browser has one, and a service has
    /// no user.
    pub const fn may_use_device_codes(self) -> bool {
        matches!(self, Self::Web | Self::Native | Self::Device | Self::Agent)
    }

    /// Sends users here by their browser and gets them back at a redirect URI.
    pub const fn has_redirects(self) -> bool {
        !matches!(self, Self::Service | Self::Device)
    }

    /// Which redirect URIs it may have.
    pub const fn redirect_policy(self) -> RedirectPolicy {
        match self {
            Self::Native | Self::Agent => RedirectPolicy::Native,
            Self::Web | Self::SinglePage | Self::Service | Self::Device => RedirectPolicy::Web,
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
    /// As users and staff know it, or as its developer tries it ([`Self::in_test_mode`]).
    pub mode: Mode,
    /// The `client_id` on the wire, of this mode. Compared exactly.
    pub client_id: String,
    pub kind: AppKind,
    pub name: String,
    pub description: String,
    pub homepage: Option<String>,
    pub privacy_url: Option<String>,
    pub terms_url: Option<String>,
    /// Whose it is; of an app of a team, the person among its members who answers for it.
    pub owner: UserId,
    /// The team that it belongs to; `None`: it is `owner`'s own.
    pub team: Option<TeamId>,
    /// Who stands behind it, as the consent page says it.
    pub publisher: String,
    /// Shown to its developers and to staff, and to users once the brand is verified.
    pub logo: Option<LogoId>,
    pub status: AppStatus,
    /// Since when its developer has stopped it. Staff stop it by its status.
    pub paused_at: Option<Timestamp>,
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
    /// With which it may prove itself instead of by a secret.
    pub keys: Option<AppKeys>,
    pub created_at: Timestamp,
    /// The operator's plan that it was given; `None`: the default one.
    pub plan: Option<String>,
    /// What a live app wants to say of itself, while staff look at it.
    pub proposed: Option<Revision>,
    /// Of what waits for review, if anything does.
    pub turn: Turn,
    /// When anything changed that staff look at or decide. A decision names the change it was
    /// made for, so that nothing is approved unseen.
    pub changed_at: Timestamp,
    /// Somebody of it wants to hear of events. Changed with its endpoints, never by saving the app.
    pub has_webhooks: bool,
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
    #[error("the app is paused already")]
    Paused,
    #[error("the app is not paused")]
    NotPaused,
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
    /// May it be used, in its mode?
    pub const fn is_live(&self) -> bool {
        self.is_admitted() && self.paused_at.is_none()
    }

    /// Let in by staff or the policy, whether or not its developer has paused it.
    pub const fn is_admitted(&self) -> bool {
        matches!(self.status, AppStatus::Live { .. })
    }

    /// What it is called on the wire in tests.
    pub fn test_client_id(&self) -> String {
        format!("test_{}", self.id)
    }

    /// The app as its developer tries it: as it would be if all that they ask for was approved.
    /// Only who may change the app consents to that, and only practice APIs take its tokens. What
    /// staff suspended is suspended here too.
    #[must_use]
    pub fn in_test_mode(self) -> Self {
        let unreviewed = AppStatus::Live { since: self.created_at, approval: Approval::Unreviewed };
        let app = self.as_proposed();
        Self {
            mode: Mode::Test,
            client_id: app.test_client_id(),
            approved: app.requested_scopes(),
            paused_at: None,
            review: ReviewState::default(),
            status: match app.status {
                suspended @ AppStatus::Suspended { .. } => suspended,
                _ => unreviewed,
            },
            ..app
        }
    }

    /// Its developer stops it: its live side is refused from the next request on.
    pub fn pause(mut self, now: Timestamp) -> Result<Self, AppError> {
        if self.paused_at.is_some() {
            return Err(AppError::Paused);
        }
        self.paused_at = Some(now);
        Ok(self)
    }

    /// Its developer lets it go on. What staff suspended stays suspended.
    pub fn unpause(mut self) -> Result<Self, AppError> {
        self.paused_at.take().map(|_| self).ok_or(AppError::NotPaused)
    }

    pub const fn is_suspended(&self) -> bool {
        matches!(self.status, AppStatus::Suspended { .. })
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

/// Public keys of an app (RFC 7517), for `private_key_jwt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppKeys {
    /// A key set, as its developer pasted it.
    Pasted(String),
    /// Where the key set is: an https address.
    At(String),
}

/// One of the secrets of a confidential app.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    pub id: CredentialId,
    pub app_id: AppId,
    /// It proves the app in this mode only.
    pub mode: Mode,
    /// As its developer calls it; may be empty.
    pub name: String,
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

/// More live ones would be a sign of secrets that nobody removes.
pub const CLIENT_SECRETS_MAX: usize = 5;
/// One, and the next one.
pub const TEST_SECRETS_MAX: usize = 2;
/// Characters in the name of a secret.
pub const SECRET_NAME_MAX: usize = 40;

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
            mode: Mode::Live,
            client_id: "bot".into(),
            kind,
            name: "Bot".into(),
            description: String::new(),
            homepage: None,
            privacy_url: None,
            terms_url: None,
            owner: UserId::from_bytes([2; 16]),
            team: None,
            publisher: String::new(),
            logo: None,
            status: AppStatus::InReview,
            paused_at: None,
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
            keys: None,
            created_at: THEN,
            plan: None,
            proposed: None,
            turn: Turn::Staff,
            changed_at: THEN,
            has_webhooks: false,
            review: ReviewState::default(),
        }
    }

    pub(crate) fn live(requested: &str) -> App {
        new(AppKind::Web, requested).approve(&set(requested), STAFF, THEN).unwrap()
    }

    #[test]
    fn tests_reach_what_was_asked_for_and_not_what_staff_suspended() {
        let app = new(AppKind::Web, "read trade").in_test_mode();
        assert!(app.is_live() && app.mode == Mode::Test);
        assert_eq!(app.approved, set("read trade"));
        assert_eq!(app.client_id, "test_01010101010101010101010101010101");
        let rejected = new(AppKind::Web, "read").reject("Why?".into(), NOW).unwrap();
        assert!(rejected.in_test_mode().is_live());
        let suspended = live("read").suspend("Phishing".into(), NOW).unwrap();
        assert!(!suspended.in_test_mode().is_live());
    }

    #[test]
    fn a_paused_app_is_not_live_until_its_developer_lets_it_go_on() {
        let app = live("read").pause(NOW).unwrap();
        assert!(!app.is_live() && app.is_admitted() && app.clone().in_test_mode().is_live());
        assert_eq!(app.clone().pause(NOW).err(), Some(AppError::Paused));
        let suspended = app.clone().suspend("Phishing".into(), NOW).unwrap();
        assert!(!suspended.unpause().unwrap().is_live(), "staff stopped it too");
        assert!(app.unpause().unwrap().is_live());
        assert_eq!(live("read").unpause().err(), Some(AppError::NotPaused));
    }
}
