//! The user's decision. The page carries nothing but the sealed request, what was ticked and the
//! answer: nothing that was not asked can be allowed, nothing required left out, and the form
//! counts once (attack S5).

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::extract::State;
use axum::response::Response;
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authorization::{Question, SignInAsked, Visit, Wire};
use domain::change::Change;
use domain::consent::Consent;
use domain::entropy::Entropy;
use domain::grant::Mode;
use domain::mail::{Mail, MailKind, Seen};
use domain::partner_key::{EndedWhy, IssueRefusal, may_issue, uuid_of};
use domain::time::Timestamp;
use protocol::authorize::{AuthorizeErrorCode, AuthorizeRequest};
use protocol::params::Params;
use protocol::scope::{ScopeName, ScopeSet};
use serde_json::json;
use store::webhooks::{self, GrantNews};
use store::{Tx, audit, changes, consents, grants, mails, partner_keys, used_once};

use crate::actor::{SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::display;
use crate::error::PageError;
use crate::noted::Noted;
use crate::oauth::authorize::{asks_second_factor, find_app, send_code, understand};
use crate::oauth::consent_page;
use crate::oauth::deliver::deliver;
use crate::oauth::key_consent::{self, KeyForm, NewKey, Picked};
use crate::oauth::pending::{Pending, REQUEST_LIFETIME, Reply, Stage};
use crate::oauth::user_limits::{UserLimits, find_full};
use crate::oauth::{test_mode, user_cap};
use crate::provider::{Provider, Shared};
use crate::user_codes;

mod of_code;

use of_code::OfCode;

/// `POST /oauth/consent`
pub async fn decide(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    noted: Noted,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    let sealed = params.one("request")?.ok_or(PageError::RequestOver)?;
    let pending = Pending::open(&provider, sealed)?;
    if pending.stage != (Stage::Consent { session: user.session.id }) {
        return Err(PageError::StaleForm);
    }
    let decision = Decision::read(&params)?;
    let app = find_app(&provider, &pending.raw, pending.dialect.as_deref()).await?;
    noted.set_app(app.id);
    test_mode::admit(&provider, &user, &app).await?;
    let policy = provider.policy();
    // It was good when the page was made; the app may have lost a scope or an address since.
    let request = match pending.reply {
        Reply::Redirect => {
            let request = understand(&pending, &app, &policy, provider.now());
            Some(request.map_err(|_| PageError::RequestOver)?)
        }
        Reply::Device | Reply::Shown => None,
    };
    let scopes = match &request {
        Some(request) => request.scopes.clone(),
        None => pending.asked_scopes(&app, &policy, provider.now())?,
    };
    let dialect = pending.dialect.as_deref();
    // The last place may have been taken since the page was made; that is nobody's fault.
    let full = find_full(&provider, &app, user.user.id, &scopes).await?;
    let (offered, scopes) = (scopes.clone(), scopes.difference(&full));
    let question = Question { app: &app, scopes: &scopes, dialect };
    let allowed = match decision.scopes(&offered) {
        Ok(Some(ticked)) => question.allowed(&ticked),
        Ok(None) => ScopeSet::default(),
        Err(unknown) => {
            let event = AuditEvent::new(
                provider.now(),
                AuditKind::ConsentFormRefused,
                AuditActor::User(user.user.id),
            );
            let event = event.app(app.id).address(address).detail(json!({ "not_asked": unknown }));
            let write = async move |tx: &mut Tx<'_>| audit::record(tx, &event).await;
            provider.store.db.write(write).await?;
            return Err(PageError::BadRequest("The form allows what the app did not ask.".into()));
        }
    };
    if let (Some(terms), Some(request)) = (key_consent::terms_for(&policy, &allowed), &request) {
        let form = KeyForm::read(&params)?;
        let offered = terms.offered_to(&app, provider.now());
        if form.lacks_confirmation(&offered) {
            let typed = consent_page::Typed { allowed, form };
            let destination = consent_page::destination(&request.redirect_uri);
            let asked = consent_page::Asked { question, full: &full, destination };
            return consent_page::show_again(&provider, &user, pending.clone(), asked, typed).await;
        }
        let picked = Picked { permissions: form.permissions(&offered), allowed };
        return key_consent::ask_second_factor(&provider, &user, &pending, picked);
    }
    // A request for a key has met no second factor yet. Whoever leaves the key out and allows what
    // takes one gives it now.
    let asked_for_key = key_consent::terms_for(&policy, &scopes).is_some();
    if asked_for_key
        && !user.session.has_fresh_second_factor(provider.now())
        && asks_second_factor(&provider, &allowed, Some(&user.session)).await?
    {
        let picked = Picked { permissions: BTreeSet::new(), allowed };
        return key_consent::ask_second_factor(&provider, &user, &pending, picked);
    }
    let answer = Answer::new(&provider, (&pending, &app, scopes.clone()), &user, address, allowed);
    let stored = answer.store(&provider).await?;
    match request {
        Some(request) => go_back(&provider, (&pending, &app, &request), &user, &answer, stored),
        None => user_codes::decided(&provider, &user, (&pending, &app), stored),
    }
}

/// Back to the app, with a code or a refusal.
pub(super) fn go_back(
    provider: &Provider,
    (pending, app, request): (&Pending, &App, &AuthorizeRequest),
    user: &SignedInUser,
    answer: &Answer,
    stored: Stored,
) -> Result<Response, PageError> {
    match stored {
        Stored::Over => Err(PageError::RequestOver),
        Stored::Full => Err(user_cap::refusal(app)),
        Stored::Denied => {
            let code = AuthorizeErrorCode::AccessDenied;
            let issuer = pending.issuer(provider);
            let refusal = request.refused(code, "the user said no", issuer.as_deref());
            deliver(provider, &app.name, &refusal)
        }
        Stored::KeyRefused(refusal) => {
            let (code, description) = key_consent::refusal_words(refusal);
            let issuer = pending.issuer(provider);
            let refusal = request.refused(code, description, issuer.as_deref());
            deliver(provider, &app.name, &refusal)
        }
        Stored::Given { consent, public_key } => {
            let scopes = answer.allowed.intersection(&consent.scopes);
            let (started_at, dialect) = (pending.started_at, pending.dialect.as_deref());
            let wire = Wire { dialect, ..Wire::default() };
            let sign_in = SignInAsked::NotYet;
            let asks_second_factor = false;
            let visit = Visit { app, request, started_at, sign_in, asks_second_factor, wire };
            send_code(provider, pending, &visit, (&user.session, &consent), scopes, public_key)
        }
    }
}

enum Decision {
    Allow(Vec<String>),
    Deny,
}

/// Of scopes that were not asked, this many are kept in the trail, and so much of each.
const NOT_ASKED_MAX: usize = 10;
const NOT_ASKED_LENGTH: usize = 100;

impl Decision {
    fn read(params: &Params) -> Result<Self, PageError> {
        match params.one("decision")? {
            Some("allow") => {}
            Some("deny") => return Ok(Self::Deny),
            _ => return Err(PageError::BadRequest("Choose to allow or to deny.".into())),
        }
        Ok(Self::Allow(params.all("scope").map(str::to_owned).collect()))
    }

    /// What was ticked, `None` for a denial. `Err` holds what was not `asked`: our page offers no
    /// such box, so somebody changed the form, and nothing of it is to be believed.
    fn scopes(self, asked: &ScopeSet) -> Result<Option<ScopeSet>, Vec<String>> {
        let Self::Allow(ticked) = self else { return Ok(None) };
        let unknown = ticked.iter().filter(|name| !asked.contains(name.as_str()));
        let shown = unknown.map(|name| name.chars().take(NOT_ASKED_LENGTH).collect::<String>());
        let unknown: Vec<_> = shown.take(NOT_ASKED_MAX).collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        Ok(Some(ticked.iter().filter_map(|name| ScopeName::parse(name).ok()).collect()))
    }
}

/// What is to be remembered. Allowing nothing is a denial.
#[derive(Clone)]
pub(super) struct Answer {
    pending: Pending,
    /// The user code that it decides or makes; `None`: it goes back with the browser.
    code: Option<OfCode>,
    /// The key that is made with it.
    key: Option<NewKey>,
    /// What a key takes. Taken back, the one that there is ends.
    key_scope: Option<ScopeName>,
    grant_id: domain::id::GrantId,
    app_id: domain::id::AppId,
    user_id: domain::id::UserId,
    mode: Mode,
    asked: ScopeSet,
    allowed: ScopeSet,
    limits: UserLimits,
    address: IpAddr,
    /// How many users the app may have.
    users_max: Option<u64>,
    /// The user, in case the app may do more than before.
    told: Mail,
    now: Timestamp,
    entropy: std::sync::Arc<dyn Entropy>,
}

pub(crate) enum Stored {
    Given {
        consent: Consent,
        public_key: Option<String>,
    },
    Denied,
    /// Another key was made meanwhile.
    KeyRefused(IssueRefusal),
    /// The app has as many users as it may have.
    Full,
    /// The form was sent before, with another answer or too long ago.
    Over,
}

impl Answer {
    pub(super) fn new(
        provider: &Provider,
        (pending, app, asked): (&Pending, &App, ScopeSet),
        user: &SignedInUser,
        address: IpAddr,
        allowed: ScopeSet,
    ) -> Self {
        let (policy, now) = (provider.policy(), provider.now());
        let told = MailKind::NewGrant {
            app: app.name.clone(),
            permissions: allowed.iter().map(|name| display::scope(&policy, name).text).collect(),
            seen: Seen { address, user_agent: user.session.user_agent.clone() },
        };
        Self {
            users_max: user_cap::users_max(provider, app),
            told: Mail::to_user(user.user.id, told, now),
            code: OfCode::new(provider, pending, app, &asked, &user.session),
            key: None,
            key_scope: policy.partner_keys.as_ref().map(|terms| terms.create.clone()),
            grant_id: pending.grant_id(&provider.keyring()),
            pending: pending.clone(),
            app_id: app.id,
            user_id: user.user.id,
            mode: app.mode,
            asked,
            allowed,
            limits: UserLimits::of(app, user.user.id),
            address,
            now,
            entropy: std::sync::Arc::clone(&provider.entropy),
        }
    }

    pub(super) fn with_key(self, key: NewKey) -> Self {
        Self { key: Some(key), ..self }
    }

    pub(super) async fn store(&self, provider: &Provider) -> Result<Stored, PageError> {
        let this = self.clone();
        let write = async move |tx: &mut Tx<'_>| {
            let full = this.limits.full(tx, &this.asked).await?;
            if full.is_empty() {
                return this.write(tx).await;
            }
            let (asked, allowed) = (this.asked.difference(&full), this.allowed.difference(&full));
            Self { asked, allowed, ..this.clone() }.write(tx).await
        };
        provider.store.db.write(write).await
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<Stored, PageError> {
        let gone_at = self.pending.started_at.after(REQUEST_LIFETIME);
        let before = consents::find_of(tx, self.user_id, self.app_id, self.mode).await?;
        if self.mode == Mode::Live
            && !self.allowed.is_empty()
            && user_cap::is_full(tx, self.app_id, self.users_max, before.as_ref()).await?
        {
            return Ok(Stored::Full);
        }
        if !used_once::take(tx, "consent", self.pending.code_id.as_bytes(), gone_at).await? {
            return self.repeat(tx, before).await;
        }
        if let Some(code) = &self.code
            && !code.is_open(tx).await?
        {
            return Ok(Stored::Over);
        }
        if self.key.is_some() {
            let existing = partner_keys::list_of_user(tx, self.user_id).await?;
            if let Err(refusal) = may_issue(&existing, self.app_id) {
                return Ok(Stored::KeyRefused(refusal));
            }
        }
        if self.allowed.is_empty() {
            if let Some(code) = &self.code {
                code.deny(tx).await?;
            }
            let event = self.event(AuditKind::ConsentDenied);
            audit::record(tx, &event.detail(json!({ "asked": self.asked }))).await?;
            return Ok(Stored::Denied);
        }
        let lost = before
            .as_ref()
            .map(|before| before.live_scopes().intersection(&self.asked).difference(&self.allowed));
        let is_more = before.as_ref().is_none_or(|b| !self.allowed.is_subset(&b.live_scopes()));
        // Of a key, the message says more.
        if is_more && self.key.is_none() {
            mails::queue(tx, &self.told).await?;
        }
        let consent = match before {
            Some(before) => before.renew(&*self.entropy, &self.asked, &self.allowed, self.now),
            None => {
                let (asked, allowed) = (self.asked.clone(), self.allowed.clone());
                let (app, user, mode) = (self.app_id, self.user_id, self.mode);
                let given = Consent::give(&*self.entropy, app, user, asked, allowed, self.now);
                Consent { mode, ..given }
            }
        };
        consents::save(tx, &consent).await?;
        changes::record(tx, Change::Consent(consent.id)).await?;
        let lost = lost.unwrap_or_default();
        if !lost.is_empty() {
            self.narrow_grants(tx, &consent).await?;
        }
        if self.key_scope.as_ref().is_some_and(|scope| lost.contains(scope.as_str()))
            && let Some(key) = partner_keys::find_of_consent(tx, &consent).await?
        {
            let actor = AuditActor::User(self.user_id);
            partner_keys::end(tx, &key, EndedWhy::User, actor, self.now).await?;
        }
        let event = self.event(AuditKind::ConsentGiven).consent(consent.id);
        let mode = self.mode.as_str();
        let detail = json!({ "asked": self.asked, "allowed": self.allowed, "mode": mode });
        audit::record(tx, &event.detail(detail)).await?;
        if let Some(code) = &self.code {
            code.allow(tx, &consent, &self.allowed).await?;
            if code.is_shown() {
                let event = self.event(AuditKind::UserCodeShown).consent(consent.id);
                audit::record(tx, &event).await?;
            }
        }
        if let Some(new) = &self.key {
            self.issue_key(tx, new, &consent).await?;
        }
        let public_key = self.key.as_ref().map(|new| new.key.public.clone());
        Ok(Stored::Given { consent, public_key })
    }

    async fn issue_key(
        &self,
        tx: &mut Tx<'_>,
        NewKey { key, app_name, titles, seen }: &NewKey,
        consent: &Consent,
    ) -> Result<(), PageError> {
        partner_keys::insert(tx, key).await?;
        changes::record(tx, Change::PartnerKey(key.id)).await?;
        let event = self.event(AuditKind::PartnerKeyIssued).consent(consent.id);
        let detail = json!({ "key": uuid_of(key.id), "permissions": key.permissions });
        audit::record(tx, &event.detail(detail)).await?;
        let kind = MailKind::PartnerKeyIssued {
            app: app_name.clone(),
            permissions: titles.clone(),
            seen: seen.clone(),
        };
        mails::queue(tx, &Mail::to_user(self.user_id, kind, self.now)).await?;
        Ok(())
    }

    /// A button was pressed twice, and the browser follows the second answer. The same answer is
    /// given again, for the same grant, as long as the app has not taken it.
    async fn repeat(&self, tx: &mut Tx<'_>, consent: Option<Consent>) -> Result<Stored, PageError> {
        let consent = consent.filter(Consent::is_given);
        if let Some(code) = &self.code {
            return code.repeat(tx, self.user_id, consent).await;
        }
        let allowed_here =
            consent.as_ref().is_some_and(|consent| consent.changed_at >= self.pending.started_at);
        if grants::find(tx, self.grant_id).await?.is_some() {
            return Ok(Stored::Over);
        }
        match (consent, self.allowed.is_empty()) {
            (_, true) if !allowed_here => Ok(Stored::Denied),
            (Some(consent), false) if allowed_here && self.allowed.is_subset(&consent.scopes) => {
                // Which key the other answer made: there is one at most.
                let key = match &self.key {
                    None => None,
                    Some(_) => partner_keys::find_of(tx, self.user_id, self.app_id).await?,
                };
                Ok(Stored::Given { consent, public_key: key.map(|key| key.public) })
            }
            _ => Ok(Stored::Over),
        }
    }

    /// What the user took away goes from the grants too, so that a later consent revives nothing.
    async fn narrow_grants(&self, tx: &mut Tx<'_>, consent: &Consent) -> Result<(), PageError> {
        for mut grant in grants::list_live_of_consent(tx, consent.id, self.now).await? {
            let scopes = grant.scopes.intersection(&consent.scopes);
            if scopes != grant.scopes {
                grants::set_scopes(tx, grant.id, &scopes).await?;
                changes::record(tx, Change::Grant(grant.id)).await?;
                grant.scopes = scopes;
                webhooks::queue_grant(tx, &grant, GrantNews::Changed, self.now).await?;
            }
        }
        let event = self.event(AuditKind::ConsentNarrowed).consent(consent.id);
        audit::record(tx, &event.detail(json!({ "scopes": consent.scopes }))).await?;
        Ok(())
    }

    fn event(&self, kind: AuditKind) -> AuditEvent {
        AuditEvent::new(self.now, kind, AuditActor::User(self.user_id))
            .app(self.app_id)
            .address(self.address)
    }
}
