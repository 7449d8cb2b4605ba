//! An authorization request on its way through sign-in and consent. It travels sealed through the
//! browser, with its stage inside, so that nothing of it can be tampered with and no stage can be
//! skipped (attacks S2, S5); it is validated again at each step, against the app as it stands then.

use std::time::Duration;

use domain::app::App;
use domain::authentication::Acr;
use domain::authorization::{SignInAsked, grant_id_of};
use domain::entropy::Entropy;
use domain::id::{CodeId, GrantId, SessionId, UserId};
use domain::keyring::Keyring;
use domain::policy::Policy;
use domain::seal::Purpose;
use domain::time::Timestamp;
use protocol::authorize::RawAuthorizeRequest;
use protocol::params::Params;
use protocol::scope::ScopeSet;
use serde::{Deserialize, Serialize};

use crate::error::{PageError, form_query};
use crate::oauth::key_consent::Picked;
use crate::provider::Provider;

/// A user has this long from the app's redirect to the decision.
pub const REQUEST_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Longer hints are not addresses of accounts.
const LOGIN_HINT_BYTES_MAX: usize = 320;

/// Where the sign-in page sends the user on to.
const CONTINUE_PATH: &str = "/oauth/authorize/continue";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    pub raw: RawAuthorizeRequest,
    /// The dialect of the endpoint it came to; `None`: the standard.
    pub dialect: Option<String>,
    /// Of the code that will answer it; the grant's id follows from it, so that a consent clicked
    /// twice makes one grant.
    pub code_id: CodeId,
    #[serde(default)]
    pub reply: Reply,
    /// As the sign-in page says it.
    pub app_name: String,
    pub started_at: Timestamp,
    /// Where the sign-in form may lead to in the end, if the user has decided before: see
    /// `deliver::form_target`. Known once the redirect URI is.
    pub form_target: Option<String>,
    pub stage: Stage,
    /// The answer to a request for a key, at [`Stage::SecondFactor`].
    #[serde(default)]
    pub picked: Option<Picked>,
}

/// Which way the answer goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// With the browser, back to the app.
    #[default]
    Redirect,
    /// To a device that asks for it (RFC 8628). Nothing of the request but its code is its own.
    Device,
    /// To the user: a code to give to the app.
    Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It has just come in.
    Start,
    /// The user has to sign in, with another session than this one if there is one.
    SignIn { refused_session: Option<SessionId> },
    /// This user has to give a second factor before the consent page of a code.
    StepUp { user: UserId },
    /// The user cannot, or does not want to, give a second factor.
    Declined,
    /// The user of this session is asked whether they started it on a device.
    Device { session: SessionId },
    /// The user of this session looks at the consent page.
    Consent { session: SessionId },
    /// This user has picked what a key may do, and proves once more who they are.
    SecondFactor { user: UserId, answered_at: Timestamp },
}

/// What the sign-in page says about the app that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskingApp {
    pub name: String,
    pub login_hint: Option<String>,
    /// Being signed in is not enough: the password is asked again.
    pub needs_reauthentication: bool,
    /// `prompt=login`: whoever signs the user in must ask again, after `started_at`.
    pub wants_login: bool,
    /// How long ago the user may have proven who they are, in seconds.
    pub max_age: Option<u32>,
    pub started_at: Timestamp,
    /// What the page's `form-action` must allow besides ourselves: a remembered consent leads
    /// from the sign-in form straight back to the app, and browsers look at the whole chain.
    pub form_target: Option<String>,
}

/// What the sign-in page should know when it will send the user on to `continue_to`; `None` when
/// that is not an authorization request.
pub fn describe(provider: &Provider, continue_to: &str) -> Option<AskingApp> {
    let pending = pending_of(provider, continue_to)?;
    let Stage::SignIn { refused_session } = pending.stage else { return None };
    let prompts = pending.raw.prompt.unwrap_or_default();
    Some(AskingApp {
        needs_reauthentication: refused_session.is_some(),
        wants_login: prompts.split_ascii_whitespace().any(|prompt| prompt == "login"),
        max_age: pending.raw.max_age.and_then(|seconds| seconds.parse().ok()),
        started_at: pending.started_at,
        form_target: pending.form_target,
        login_hint: pending.raw.login_hint,
        name: pending.app_name,
    })
}

fn pending_of(provider: &Provider, continue_to: &str) -> Option<Pending> {
    let query = continue_to.strip_prefix(CONTINUE_PATH)?.strip_prefix('?')?;
    let params = Params::parse(query.as_bytes()).ok()?;
    Pending::open(provider, params.one("request").ok()??).ok()
}

/// What the step-up page should know of the request that it will send the user on to.
pub(crate) struct AskingForProof {
    pub(crate) pending: Pending,
    /// What the sign-in is to be worth.
    pub(crate) least: Acr,
}

pub(crate) fn asking_for_proof(provider: &Provider, continue_to: &str) -> Option<AskingForProof> {
    let pending = pending_of(provider, continue_to)?;
    let words = pending.raw.acr_values.as_deref().unwrap_or_default().split_ascii_whitespace();
    let least = Acr::least_of(words).unwrap_or(Acr::OneFactor).max(Acr::TwoFactors);
    Some(AskingForProof { pending, least })
}

impl Pending {
    pub fn new(
        mut raw: RawAuthorizeRequest,
        app: &App,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Self {
        // Both are only passed through; what is too long would not fit the address of a page.
        raw.login_hint = raw.login_hint.filter(|hint| hint.len() <= LOGIN_HINT_BYTES_MAX);
        raw.nonce = None;
        Self {
            raw,
            dialect: None,
            reply: Reply::Redirect,
            code_id: CodeId::random(entropy),
            app_name: app.name.clone(),
            started_at: now,
            form_target: None,
            stage: Stage::Start,
            picked: None,
        }
    }

    /// What the sign-in has to be like; `None` when the user is past it.
    pub fn sign_in_asked(&self) -> Option<SignInAsked> {
        match self.stage {
            Stage::Start => Some(SignInAsked::NotYet),
            Stage::SignIn { refused_session } => Some(SignInAsked::Asked { refused_session }),
            Stage::StepUp { .. }
            | Stage::SecondFactor { .. }
            | Stage::Declined
            | Stage::Device { .. }
            | Stage::Consent { .. } => None,
        }
    }

    /// What an app asks for that gets its answer another way than by a redirect: as it said when
    /// the request was made, as far as it still may.
    pub fn asked_scopes(
        &self,
        app: &App,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<ScopeSet, PageError> {
        let asked = self.raw.scope.as_deref().and_then(|text| ScopeSet::parse(text).ok());
        let asked = asked.unwrap_or_default();
        let mut left =
            asked.intersection(&app.approved_at(now)).intersection(&policy.scope_names());
        // A key is for the app that asks, and that one hears of it on the redirect.
        if let Some(terms) = &policy.partner_keys {
            left.remove(terms.create.as_str());
        }
        if left.is_empty() { Err(PageError::RequestOver) } else { Ok(left) }
    }

    /// The `iss` of its answer (RFC 9207); a dialect may have none.
    pub fn issuer(&self, provider: &Provider) -> Option<String> {
        let policy = provider.policy();
        (!policy.relaxed(self.dialect.as_deref()).iss).then(|| policy.issuer.clone())
    }

    /// The id of the grant that this request leads to.
    pub fn grant_id(&self, keyring: &Keyring) -> GrantId {
        grant_id_of(keyring, self.code_id)
    }

    #[must_use]
    pub fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    pub fn seal(&self, provider: &Provider) -> Result<String, PageError> {
        let failed = |what: &str| PageError::Internal(what.to_owned());
        let bytes = serde_json::to_vec(self).map_err(|error| failed(&error.to_string()))?;
        if bytes.len() > Purpose::Form.content_bytes_max() {
            return Err(PageError::BadRequest("The app sent a request that is too long.".into()));
        }
        provider
            .keyring()
            .seal_bytes(Purpose::Form, &bytes, &*provider.entropy)
            .ok_or_else(|| failed("a request could not be sealed"))
    }

    pub fn open(provider: &Provider, text: &str) -> Result<Self, PageError> {
        let bytes = provider
            .keyring()
            .open_bytes(Purpose::Form, text)
            .map_err(|_| PageError::RequestOver)?;
        let pending: Self = serde_json::from_slice(&bytes).map_err(|_| PageError::RequestOver)?;
        if provider.now() >= pending.started_at.after(REQUEST_LIFETIME) {
            return Err(PageError::RequestOver);
        }
        Ok(pending)
    }

    /// Where this request goes on once the user has signed in. What is sealed is long, and has no
    /// sign that a query would have to escape.
    pub fn continue_path(&self, provider: &Provider) -> Result<String, PageError> {
        Ok(format!("{CONTINUE_PATH}?request={}", self.seal(provider)?))
    }

    /// The page that asks for a second factor, which sends the user on to this request.
    pub fn step_up_path(&self, provider: &Provider) -> Result<String, PageError> {
        let continue_to = self.continue_path(provider)?;
        Ok(format!("/step-up?{}", form_query(&[("continue", &continue_to)])))
    }

    /// The sign-in page, which sends the user on to this request.
    pub fn sign_in_path(&self, provider: &Provider) -> Result<String, PageError> {
        let sealed = self.seal(provider)?;
        let continue_to = form_query(&[("continue", &format!("{CONTINUE_PATH}?request="))]);
        Ok(format!("/sign-in?{continue_to}{sealed}"))
    }
}
