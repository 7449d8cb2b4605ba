//! What the operator declared: scopes, resources with their routes, lifetimes, who may register.
//! One immutable value per provider, made by `consentry::config` and swapped as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::dialect::{Dialect, DialectLifetimes, Relaxed};
use protocol::envelope::ErrorEnvelope;
use protocol::jwk::Algorithm;
pub use protocol::rate::Rate;
use protocol::route::RouteTable;
use protocol::scope::{ScopeName, ScopeSet};
use serde::{Deserialize, Serialize};

use crate::app::{App, AppLifetimes, AppStatus, Approval};
use crate::key_terms::KeyTerms;
use crate::plan::{Perk, Plan};
use crate::revision::RevisionField;
use crate::sign_in::SignInPolicy;
use crate::time::Timestamp;

/// What an app with this scope can do to a user: look, change things, move money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    Read,
    Change,
    Money,
}

/// How much harm it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeTier {
    Low,
    Sensitive,
    High,
}

/// A scope with the operator's words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeDefinition {
    pub name: ScopeName,
    /// What it lets an app do, to be read after "This app will be able to …".
    pub text: String,
    pub kind: ScopeKind,
    pub tier: ScopeTier,
}

/// Who is asked for a second factor before they decide about high-tier scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HighTierRule {
    /// Everyone; who has none sets one up.
    Always,
    /// Those who have one.
    IfEnrolled,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// New apps wait for staff.
    Review,
    /// New apps go live at once, and the consent page says that nobody looked at them.
    Live,
    /// Only staff and the command line create apps.
    Closed,
}

/// Who may register apps, where registration is not closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Developers {
    /// Accounts to which the operator gave the role.
    #[default]
    Invited,
    /// Every account with a verified e-mail address.
    Verified,
    /// Every account.
    Anyone,
    /// Reviewers and admins. Who has the role of a developer looks after the apps that there are.
    StaffOnly,
}

/// Who may read the developer documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DocsReaders {
    #[default]
    Everyone,
    /// Whoever may register apps.
    Developers,
}

/// What people may do with accounts without asking the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountPolicy {
    /// Anybody can make one; takes messages that are sent.
    pub sign_up: bool,
    pub developers: Developers,
    /// Whether messages go out. Without it there is no sign-up, no reset and no verifying.
    pub sends_mail: bool,
}

/// How staff look at apps, besides [`Policy::reviewed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewPolicy {
    /// Tiers of scopes that staff look at; the others are approved at once.
    pub tiers: Vec<ScopeTier>,
    /// After so long staff look at a live app again.
    pub again_after: Option<Duration>,
    /// An app that nobody uses for so long is reminded, and after the same time again retired.
    pub unused_after: Option<Duration>,
    /// So many reports within a month are a serious risk.
    pub reports_max: u32,
    /// Answers that staff insert instead of writing them anew.
    pub answers: Vec<CannedAnswer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannedAnswer {
    pub title: String,
    pub text: String,
}

impl Default for ReviewPolicy {
    fn default() -> Self {
        Self {
            tiers: vec![ScopeTier::Low, ScopeTier::Sensitive, ScopeTier::High],
            again_after: None,
            unused_after: None,
            reports_max: 3,
            answers: Vec::new(),
        }
    }
}

/// Operator's defaults and limits of how long things live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    pub access_token: Duration,
    pub access_token_max: Duration,
    /// A grant ends when it was not refreshed for this long.
    pub refresh_idle: Duration,
    pub refresh_idle_max: Duration,
    /// A grant ends after this long, however often it is refreshed.
    pub grant: Duration,
    pub grant_max: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            access_token: Duration::from_secs(10 * 60),
            access_token_max: Duration::from_secs(3600),
            refresh_idle: Duration::from_secs(30 * DAY),
            refresh_idle_max: Duration::from_secs(90 * DAY),
            grant: Duration::from_secs(365 * DAY),
            grant_max: Duration::from_secs(365 * DAY),
        }
    }
}

/// The lifetimes that hold for one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveLifetimes {
    pub access_token: Duration,
    /// Without refresh tokens: how long a grant stands unused.
    pub refresh_idle: Duration,
    pub grant: Duration,
    /// False only in a dialect that has none.
    pub has_refresh_tokens: bool,
}

impl Lifetimes {
    pub fn for_app(&self, app: &AppLifetimes) -> EffectiveLifetimes {
        let pick = |wish: Option<Duration>, default: Duration, max: Duration| {
            wish.unwrap_or(default).min(max)
        };
        EffectiveLifetimes {
            access_token: pick(app.access_token, self.access_token, self.access_token_max),
            refresh_idle: pick(app.refresh_idle, self.refresh_idle, self.refresh_idle_max),
            grant: pick(app.grant_max, self.grant, self.grant_max),
            has_refresh_tokens: true,
        }
    }

    /// A dialect's clients rely on its lifetimes; an app may wish for less.
    fn of_dialect(dialect: &DialectLifetimes) -> Self {
        let refresh_idle = dialect.refresh_token.unwrap_or(dialect.idle);
        Self {
            access_token: dialect.access_token,
            access_token_max: dialect.access_token,
            refresh_idle,
            refresh_idle_max: refresh_idle,
            grant: dialect.grant,
            grant_max: dialect.grant,
        }
    }
}

/// What a route asks of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAccess {
    /// No token needed; one that is sent is not forwarded.
    Public,
    /// Every scope of at least one of the sets (OpenAPI's `security` alternatives). Not empty.
    AnyOf(Vec<ScopeSet>),
}

impl RouteAccess {
    /// What `held` lacks of the alternative it is nearest to. Empty: it suffices.
    pub fn missing(&self, held: &ScopeSet) -> ScopeSet {
        match self {
            Self::Public => ScopeSet::default(),
            Self::AnyOf(sets) => sets
                .iter()
                .map(|set| set.difference(held))
                .min_by_key(|missing| missing.len())
                .unwrap_or_default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRule {
    pub access: RouteAccess,
    /// The endpoint family, as "connected apps" shows it, e.g. `orders`.
    pub family: String,
    /// As declared, for logs and documentation.
    pub pattern: String,
}

#[derive(Clone, Debug)]
pub struct Upstream {
    /// `http://host:port[/path]`, no trailing slash.
    pub url: String,
    pub connect_timeout: Duration,
    /// Until the head of the answer.
    pub answer_timeout: Duration,
    /// Between two pieces of a body.
    pub idle_timeout: Duration,
    /// Bytes of a request body.
    pub body_max: u64,
    /// Bytes of the body of a signed request, which is held whole.
    pub signed_body_max: u64,
    /// Calls that wait for it at once; more are refused, so that a slow upstream holds up nobody
    /// else's.
    pub in_service_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFormat {
    Opaque,
    /// RFC 9068.
    Jwt(Algorithm),
}

/// Credentials of a resource server that asks for introspection itself. The MAC is made with
/// [`crate::keyring::Keyring::secret_mac`].
#[derive(Clone, Debug)]
pub struct IntrospectionCredentials {
    pub id: String,
    pub secret_mac: [u8; 32],
}

/// Which web pages may call an API from a browser (CORS, in the Fetch standard).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    pub origins: CorsOrigins,
    /// Request headers that pages may send besides `Authorization` and `Content-Type`.
    pub headers: Vec<String>,
    /// Headers of the API's answers that pages may read.
    pub expose: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Every page: calls carry a token or are refused, and never cookies.
    Any,
    /// `https://app.example`, as browsers write it.
    Listed(Vec<String>),
}

/// What an API says about itself: its OpenAPI 3 document, without references to other documents.
#[derive(Debug)]
pub struct ApiDocument {
    /// The path that every path of the document is relative to: `/api/v4`, or `""`.
    pub base_path: String,
    pub document: serde_json::Value,
}

/// An API behind the gateway.
#[derive(Clone, Debug)]
pub struct Resource {
    /// RFC 8707 resource identifier and the audience of its tokens: an absolute URI.
    pub identifier: String,
    pub name: String,
    /// Which `Host` it answers to; `None`: the issuer's.
    pub host: Option<String>,
    /// `/api/v4`: no trailing slash; `""` when it has a host of its own.
    pub path_prefix: String,
    /// `None`: guarded by another proxy, through forward-auth.
    pub upstream: Option<Upstream>,
    /// Where calls with test tokens go, of which `upstream` never hears. `None`: they are refused.
    pub test_upstream: Option<Upstream>,
    pub envelope: ErrorEnvelope,
    pub introspection: Option<IntrospectionCredentials>,
    pub token_format: TokenFormat,
    pub routes: RouteTable<RouteRule>,
    /// For the developer documentation.
    pub api_document: Option<Arc<ApiDocument>>,
    /// Both count per node.
    pub rate_per_app: Option<Rate>,
    pub rate_per_user: Option<Rate>,
    /// `None`: the API itself sees to it.
    pub cors: Option<Cors>,
    /// Request headers that never reach the upstream, besides those that never do. A dash at the
    /// end stands for every name that begins so.
    pub drop_request_headers: Arc<[String]>,
}

#[derive(Clone, Debug)]
pub struct Policy {
    /// RFC 8414 issuer: scheme, host, port; no trailing slash. From the config, never a header.
    pub issuer: String,
    pub scopes: BTreeMap<ScopeName, ScopeDefinition>,
    /// In the order of the config; the first is the default resource of a request without
    /// `resource`.
    pub resources: Vec<Resource>,
    pub lifetimes: Lifetimes,
    pub registration: Registration,
    pub sign_in: SignInPolicy,
    pub accounts: AccountPolicy,
    pub high_tier: HighTierRule,
    /// What staff look at before it holds, besides scopes.
    pub reviewed: Vec<RevisionField>,
    /// Addresses of staff who want to hear that something waits for them.
    pub review_mail: Vec<String>,
    pub review: ReviewPolicy,
    pub dialects: Vec<Arc<Dialect>>,
    /// `None`: there are no partner keys.
    pub partner_keys: Option<KeyTerms>,
    pub docs: DocsReaders,
    /// What apps may do; one of them is the default. Empty: nothing is limited by app.
    pub plans: Vec<Plan>,
    pub perks: Vec<Perk>,
}

impl Policy {
    pub fn scope(&self, name: &ScopeName) -> Option<&ScopeDefinition> {
        self.scopes.get(name)
    }

    /// Does the decision about `scopes` take a second factor?
    pub fn asks_second_factor(&self, scopes: &ScopeSet, is_enrolled: bool) -> bool {
        let asks = match self.high_tier {
            HighTierRule::Always => true,
            HighTierRule::IfEnrolled => is_enrolled,
            HighTierRule::Never => false,
        };
        let is_high = |name| self.scope(name).is_some_and(|scope| scope.tier == ScopeTier::High);
        asks && scopes.iter().any(is_high)
    }

    /// The scopes of `names` that staff need not look at. One that is not declared waits for them.
    fn unseen(&self, names: &ScopeSet) -> ScopeSet {
        let is_unseen = |name: &&ScopeName| {
            self.scope(name).is_some_and(|scope| !self.review.tiers.contains(&scope.tier))
        };
        names.iter().filter(is_unseen).cloned().collect()
    }

    /// An app that was just registered: live at once if all that it asks for is of tiers that staff
    /// do not look at. Nobody looked at it, and the consent page says so.
    #[must_use]
    pub fn admit_unseen(&self, app: App, now: Timestamp) -> App {
        let asked = app.requested_scopes();
        if app.status != AppStatus::InReview || asked.is_empty() || self.unseen(&asked) != asked {
            return app;
        }
        let status = AppStatus::Live { since: now, approval: Approval::Unreviewed };
        App { status, ..app.approve_by_policy(&asked, now) }
    }

    /// A live app that asks for more gets at once what staff need not look at.
    #[must_use]
    pub fn approve_unseen(&self, app: App, now: Timestamp) -> App {
        let unseen = self.unseen(&app.pending_scopes());
        match app.is_live() && !unseen.is_empty() {
            true => app.approve_by_policy(&unseen, now),
            false => app,
        }
    }

    pub fn resource(&self, identifier: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.identifier == identifier)
    }

    pub fn dialect(&self, name: &str) -> Option<&Arc<Dialect>> {
        self.dialects.iter().find(|dialect| dialect.name == name)
    }

    /// Whether a path of the issuer's host is a dialect's.
    pub fn is_dialect_path(&self, path: &str) -> bool {
        self.dialects.iter().any(|dialect| dialect.owns(path))
    }

    /// What a dialect lets go; nothing for the standard.
    pub fn relaxed(&self, dialect: Option<&str>) -> Relaxed {
        let dialect = dialect.and_then(|name| self.dialect(name));
        dialect.map(|dialect| dialect.relaxed).unwrap_or_default()
    }

    /// Do tokens that were made in `dialect` open anything for `app`? Not once it is not served any
    /// more, or the app has left it (attack B1).
    pub fn takes_tokens(&self, app: &App, dialect: Option<&str>) -> bool {
        dialect.is_none_or(|name| self.dialect(name).is_some()) && app.speaks(dialect)
    }

    /// Defaults and limits of a wire format.
    pub fn lifetimes_of(&self, dialect: Option<&str>) -> Lifetimes {
        let dialect = dialect.and_then(|name| self.dialect(name));
        dialect.map_or(self.lifetimes, |dialect| Lifetimes::of_dialect(&dialect.lifetimes))
    }

    /// The lifetimes of an app in the wire format it was let in with.
    pub fn lifetimes_for(&self, app: &App, dialect: Option<&str>) -> EffectiveLifetimes {
        let has_none = |dialect: &Arc<Dialect>| dialect.lifetimes.refresh_token.is_none();
        EffectiveLifetimes {
            has_refresh_tokens: !dialect.and_then(|name| self.dialect(name)).is_some_and(has_none),
            ..self.lifetimes_of(dialect).for_app(&app.lifetimes)
        }
    }

    /// The same for a grant of `scopes`: one that came with a key lasts as its access token does.
    pub fn lifetimes_of_grant(
        &self,
        app: &App,
        dialect: Option<&str>,
        scopes: &ScopeSet,
    ) -> EffectiveLifetimes {
        let terms = self.partner_keys.as_ref().filter(|terms| terms.makes_key(scopes));
        match terms {
            None => self.lifetimes_for(app, dialect),
            Some(terms) => EffectiveLifetimes {
                access_token: terms.access_token,
                refresh_idle: terms.access_token,
                grant: terms.access_token,
                has_refresh_tokens: false,
            },
        }
    }

    pub fn scope_names(&self) -> ScopeSet {
        self.scopes.keys().cloned().collect()
    }
}
