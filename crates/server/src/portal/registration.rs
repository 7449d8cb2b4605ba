//! How an app comes into being, from a page, the command line or the demo. Pure.

use domain::app::{
    App, AppKind, AppLifetimes, AppStatus, Approval, CLIENT_SECRETS_MAX, ClientSecret, SecretProof,
    TEST_SECRETS_MAX, Turn,
};
use domain::condition::ReviewState;
use domain::entropy::{Entropy, random_alphanumeric};
use domain::grant::Mode;
use domain::id::{AppId, CredentialId};
use domain::keyring::Keyring;
use domain::policy::{Policy, Registration};
use domain::time::Timestamp;
use domain::user::{Role, User};
use protocol::scope::ScopeSet;

use super::form::Draft;

/// Characters of `[A-Za-z0-9]`: 131 bits, unguessable though it is no secret.
const CLIENT_ID_LENGTH: usize = 22;
/// 256 bits.
const SECRET_LENGTH: usize = 43;
/// Last characters that tell secrets apart.
const HINT_LENGTH: usize = 4;

/// Whether what a developer registers or changes works at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Staff look first.
    Reviewed,
    /// Nobody looks, and the consent page says so.
    Unreviewed,
}

impl Standing {
    /// Of `user` under the operator's policy. Where registration is closed, staff act for the
    /// operator, and what others have already registered is reviewed when they change it.
    pub fn of(policy: &Policy, user: &User) -> Self {
        match policy.registration {
            Registration::Live => Self::Unreviewed,
            Registration::Closed if user.has_role(Role::Reviewer) => Self::Unreviewed,
            Registration::Review | Registration::Closed => Self::Reviewed,
        }
    }

    fn status(self, now: Timestamp) -> AppStatus {
        match self {
            Self::Reviewed => AppStatus::InReview,
            Self::Unreviewed => AppStatus::Live { since: now, approval: Approval::Unreviewed },
        }
    }
}

/// Whether `user` may register apps at all.
pub fn may_register(policy: &Policy, user: &User) -> bool {
    let is_open = policy.registration != Registration::Closed || user.has_role(Role::Reviewer);
    let developers = policy.accounts.developers;
    is_open && (user.may_register(developers) || user.has_role(Role::Admin))
}

pub fn new_app(
    draft: Draft,
    owner: &User,
    standing: Standing,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> App {
    let requested: ScopeSet = draft.requested.iter().map(|r| r.scope.clone()).collect();
    let (approved, service_scopes) = match (standing, draft.kind) {
        (Standing::Unreviewed, AppKind::Service) => (requested.clone(), requested),
        (Standing::Unreviewed, _) => (requested, ScopeSet::new()),
        (Standing::Reviewed, AppKind::Service) => (ScopeSet::new(), requested),
        (Standing::Reviewed, _) => (ScopeSet::new(), ScopeSet::new()),
    };
    App {
        id: AppId::random(entropy),
        mode: Mode::Live,
        client_id: random_alphanumeric(entropy, CLIENT_ID_LENGTH),
        kind: draft.kind,
        name: draft.about.name,
        description: draft.about.description,
        homepage: draft.about.homepage,
        privacy_url: draft.about.privacy_url,
        terms_url: draft.about.terms_url,
        owner: owner.id,
        team: None,
        publisher: owner.name.clone(),
        logo: None,
        status: standing.status(now),
        paused_at: None,
        redirect_uris: draft.redirect_uris,
        requested: draft.requested,
        approved,
        service_scopes,
        addresses: Vec::new(),
        lifetimes: AppLifetimes::default(),
        rotates_refresh_tokens: true,
        optional_ticked: true,
        also_standard: draft.dialect.is_some(),
        dialect: draft.dialect,
        keys: None,
        created_at: now,
        plan: None,
        proposed: None,
        turn: Turn::Staff,
        changed_at: now,
        has_webhooks: false,
        review: ReviewState::default(),
    }
}

/// A secret in clear, for the one answer that shows it, and as it is stored.
pub struct NewSecret {
    pub text: String,
    pub row: ClientSecret,
}

pub fn new_secret(
    app: AppId,
    keyring: &Keyring,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> NewSecret {
    let text = random_secret(entropy);
    let row = secret_row(app, &text, keyring, entropy, now);
    NewSecret { text, row }
}

pub fn random_secret(entropy: &dyn Entropy) -> String {
    random_alphanumeric(entropy, SECRET_LENGTH)
}

/// How `text` is stored as a secret of `app`.
pub fn secret_row(
    app: AppId,
    text: &str,
    keyring: &Keyring,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> ClientSecret {
    ClientSecret {
        id: CredentialId::random(entropy),
        app_id: app,
        mode: Mode::Live,
        name: String::new(),
        proof: SecretProof::Mac(keyring.secret_mac(text.as_bytes())),
        hint: secret_hint(text),
        created_at: now,
        last_used_at: None,
        expires_at: None,
    }
}

/// What people see of a secret. Of a short one, which came from elsewhere, at most a quarter.
pub fn secret_hint(text: &str) -> String {
    let length = text.chars().count();
    text.chars().skip(length - HINT_LENGTH.min(length / 4)).collect()
}

/// Whether one more secret of `mode` fits. Expired ones still count: they are in the list until
/// removed.
pub fn has_room_for_secret(secrets: &[ClientSecret], mode: Mode) -> bool {
    let max = match mode {
        Mode::Live => CLIENT_SECRETS_MAX,
        Mode::Test => TEST_SECRETS_MAX,
    };
    secrets.iter().filter(|secret| secret.mode == mode).count() < max
}
