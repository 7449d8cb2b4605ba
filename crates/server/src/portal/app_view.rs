//! What the page of one's own app says about the rows.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::app::{App, AppKeys, CLIENT_SECRETS_MAX, ClientSecret, ScopeRequest, TEST_SECRETS_MAX};
use domain::audit::{AuditEvent, AuditKind};
use domain::grant::Mode;
use domain::id::AppId;
use domain::partner_key::{PartnerKey, SecretState, uuid_of};
use domain::policy::Policy;
use domain::revision::RevisionField;
use domain::time::Timestamp;
use ipnet::IpNet;
use protocol::scope::ScopeName;
use store::{DbError, Tx, audit, client_secrets, consents, partner_keys, usage};

use super::registration::Standing;
use super::{checklist, form, frame};
use crate::display;
use crate::error::form_query;
use crate::pages::views::{
    AppDetail, AppForm, AppFormErrors, AppKey, AppScope, AppSecret, AppTab, Endpoint, KeySetForm,
    Layout, Lifetimes, MessageForm, STANDARD, ScopeState, SecretError, Section, ThreadMessage,
};
use crate::review::terms;
use crate::thread;

/// Audit entries in which the last decision of staff is looked for.
const DECISIONS_MAX: u32 = 20;
/// Keys that the page lists.
const KEYS_MAX: i64 = 100;

/// An app with what its developer sees of it.
pub struct OwnApp {
    pub app: App,
    pub secrets: Vec<ClientSecret>,
    pub user_count: u64,
    /// Newest first.
    pub keys: Vec<PartnerKey>,
    pub last_call_at: Option<Timestamp>,
    pub decision: Decision,
    pub thread: Vec<ThreadMessage>,
    /// In tests, and outside of them.
    pub was_called: (bool, bool),
}

/// What staff said when they last decided.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Refused scopes, with the reason.
    pub refused: BTreeMap<ScopeName, String>,
    pub note: Option<String>,
}

/// What was typed and refused, to be shown again; `None` shows the app as it stands.
#[derive(Default)]
pub struct Typed {
    /// The page that it belongs to.
    pub tab: AppTab,
    pub form: Option<AppForm>,
    pub errors: AppFormErrors,
    pub lifetimes: Option<Lifetimes>,
    pub message: MessageForm,
    pub secret_name: String,
    pub test_secret_name: String,
    pub secret_error: Option<SecretError>,
    pub key_set: Option<KeySetForm>,
}

impl OwnApp {
    pub async fn load(tx: &mut Tx<'_>, app: App, now: Timestamp) -> Result<Self, DbError> {
        let id = app.id;
        Ok(Self {
            secrets: client_secrets::list_of_app(tx, id).await?,
            user_count: consents::count_given_to(tx, id).await?,
            keys: partner_keys::list_of_app(tx, id, KEYS_MAX).await?,
            last_call_at: usage::last_call_of_app(tx, id).await?,
            decision: Decision::load(tx, id).await?,
            thread: thread::load(tx, id, now).await?,
            was_called: usage::was_called(tx, id).await?,
            app,
        })
    }

    pub fn page(
        &self,
        layout: Layout,
        policy: &Policy,
        standing: Standing,
        now: Timestamp,
        typed: Typed,
    ) -> AppDetail {
        let app = &self.app;
        AppDetail {
            layout: layout.in_section(Section::Apps),
            frame: frame::frame(app, typed.tab),
            tab: typed.tab,
            checklist: checklist::steps(self),
            paused_at: app.paused_at.map(|at| display::moment(now, at)),
            id: app.id.to_string(),
            status: display::app_status(app),
            status_note: display::status_note(app),
            change_in_review: app.is_admitted() && app.awaits_review(),
            asked: display::asked(app, now),
            proposed: display::changes(&app.revision(), &app.latest_revision()),
            reviewed: self.reviewed(policy, standing),
            client_id: app.client_id.clone(),
            test_client_id: app.test_client_id(),
            name: app.name.clone(),
            form: typed.form.unwrap_or_else(|| form_of(app, policy)),
            errors: typed.errors,
            scopes: self.scopes(policy),
            secrets: app.kind.is_confidential().then(|| self.secrets(Mode::Live, now)),
            secrets_max: CLIENT_SECRETS_MAX as u64,
            test_secrets: app.kind.is_confidential().then(|| self.secrets(Mode::Test, now)),
            test_secrets_max: TEST_SECRETS_MAX as u64,
            secret_name: typed.secret_name,
            test_secret_name: typed.test_secret_name,
            secret_error: typed.secret_error,
            key_set: app
                .kind
                .is_confidential()
                .then(|| typed.key_set.unwrap_or_else(|| key_set_of(app))),
            needs_addresses: needs_addresses(app, policy),
            lifetimes: typed.lifetimes.unwrap_or_else(|| lifetimes_of(app, policy)),
            user_count: self.user_count,
            keys: self.keys(policy, now),
            keys_max: KEYS_MAX.unsigned_abs(),
            last_call_at: self.last_call_at.map(|at| display::moment(now, at)),
            endpoints: endpoints(app, policy),
            thread: self.thread.clone(),
            message: typed.message,
        }
    }

    /// What waits for staff if it is changed now, as people call it.
    fn reviewed(&self, policy: &Policy, standing: Standing) -> Vec<&'static str> {
        if !self.app.is_admitted() || standing == Standing::Unreviewed {
            return Vec::new();
        }
        // A logo has a page of its own.
        let here = policy.reviewed.iter().filter(|field| **field != RevisionField::Logo);
        here.map(|field| field.title()).collect()
    }

    fn scopes(&self, policy: &Policy) -> Vec<AppScope> {
        let requested = self.app.requested.iter().map(|request| self.requested(policy, request));
        let is_open = |name: &ScopeName| !self.app.requested_scopes().contains(name.as_str());
        let refused = self.decision.refused.iter().filter(|(name, _)| is_open(name));
        requested.chain(refused.map(|(name, reason)| refused_scope(policy, name, reason))).collect()
    }

    fn requested(&self, policy: &Policy, request: &ScopeRequest) -> AppScope {
        let words = display::scope(policy, &request.scope);
        let is_approved = self.app.approved.contains(request.scope.as_str());
        let condition = self.app.condition_of(request.scope.as_str());
        AppScope {
            id: request.scope.to_string(),
            kind: words.kind,
            tier: words.tier,
            text: words.text,
            purpose: Some(request.purpose.clone()).filter(|text| !text.is_empty()),
            required: request.required,
            state: match condition.is_some_and(|condition| condition.tests_only) {
                true => ScopeState::TestsOnly,
                false if is_approved => ScopeState::Approved,
                false => ScopeState::Pending,
            },
            note: condition.map(terms::words).filter(|words| !words.is_empty()),
        }
    }

    fn keys(&self, policy: &Policy, now: Timestamp) -> Option<Vec<AppKey>> {
        let terms = policy.partner_keys.as_ref()?;
        if self.keys.is_empty() && !terms.makes_key(&self.app.approved) {
            return None;
        }
        let one = |key: &PartnerKey| AppKey {
            external_id: uuid_of(key.id),
            public: key.public.clone(),
            created_at: display::moment(now, key.created_at),
            last_used_at: key.last_used_at.map(|at| display::moment(now, at)),
            is_active: key.is_active(),
            is_read: matches!(key.secret_state, SecretState::Read { .. }),
        };
        Some(self.keys.iter().map(one).collect())
    }

    fn secrets(&self, mode: Mode, now: Timestamp) -> Vec<AppSecret> {
        let one = |secret: &ClientSecret| AppSecret {
            id: secret.id.to_string(),
            name: secret.name.clone(),
            is_expired: !secret.is_live(now),
            ends_on: secret.expires_at.map(last_day).unwrap_or_default(),
            ends_with: secret.hint.clone(),
            created_at: display::moment(now, secret.created_at),
            last_used_at: secret.last_used_at.map(|at| display::moment(now, at)),
            expires_at: secret.expires_at.map(|at| display::moment(now, at)),
        };
        self.secrets.iter().filter(|secret| secret.mode == mode).map(one).collect()
    }
}

fn refused_scope(policy: &Policy, name: &ScopeName, reason: &str) -> AppScope {
    let words = display::scope(policy, name);
    AppScope {
        id: name.to_string(),
        kind: words.kind,
        tier: words.tier,
        text: words.text,
        purpose: None,
        required: false,
        state: ScopeState::Rejected,
        note: Some(reason.to_owned()).filter(|text| !text.is_empty()),
    }
}

impl Decision {
    async fn load(tx: &mut Tx<'_>, app: AppId) -> Result<Self, DbError> {
        let events = audit::list_of_app(tx, app, DECISIONS_MAX).await?;
        let is_decision =
            |e: &&AuditEvent| matches!(e.kind, AuditKind::AppApproved | AuditKind::AppRejected);
        Ok(events.iter().find(is_decision).map(Self::of).unwrap_or_default())
    }

    /// Read back what `review::queue` recorded.
    fn of(event: &AuditEvent) -> Self {
        let texts = |field: &str| {
            let object = event.detail.get(field).and_then(|value| value.as_object());
            let pairs = object.into_iter().flatten();
            pairs
                .filter_map(|(name, text)| Some((ScopeName::parse(name).ok()?, text.as_str()?)))
                .map(|(name, text)| (name, text.to_owned()))
                .collect()
        };
        let note = event.detail.get("note").and_then(|note| note.as_str());
        Self {
            refused: texts("refused"),
            note: note.filter(|text| !text.is_empty()).map(str::to_owned),
        }
    }
}

/// The forms as the developer last wrote them. Their scopes are those that can still be asked for.
pub fn form_of(app: &App, policy: &Policy) -> AppForm {
    let latest = app.latest_revision();
    AppForm {
        redirect_uris: latest.text(RevisionField::RedirectUris),
        name: latest.name,
        kind: display::app_kind(app.kind),
        wire: app.dialect.clone().unwrap_or_else(|| STANDARD.to_owned()),
        addresses: written_addresses(&app.addresses),
        homepage: latest.homepage.unwrap_or_default(),
        description: latest.description,
        privacy_url: latest.privacy_url.unwrap_or_default(),
        terms_url: latest.terms_url.unwrap_or_default(),
        scopes: form::offered_scopes(policy, &app.requested_scopes()),
    }
}

/// An end at midnight is the end of the day before.
fn last_day(end: Timestamp) -> String {
    display::iso_date(Timestamp::from_millis(end.as_millis() - 1))
}

/// The form of the keys as they stand.
fn key_set_of(app: &App) -> KeySetForm {
    let form = KeySetForm { keys_from: "none", ..KeySetForm::default() };
    match &app.keys {
        None => form,
        Some(AppKeys::Pasted(jwks)) => {
            KeySetForm { keys_from: "pasted", jwks: jwks.clone(), ..form }
        }
        Some(AppKeys::At(uri)) => KeySetForm { keys_from: "uri", jwks_uri: uri.clone(), ..form },
    }
}

/// A network of one address is written as the address.
pub fn written_addresses(networks: &[IpNet]) -> String {
    let line = |network: &IpNet| match network.prefix_len() == network.max_prefix_len() {
        true => network.addr().to_string(),
        false => network.to_string(),
    };
    networks.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn needs_addresses(app: &App, policy: &Policy) -> bool {
    let dialect = app.dialect.as_deref().and_then(|name| policy.dialect(name));
    dialect.is_some_and(|dialect| dialect.tokens.iter().any(|one| one.needs_listed_address))
}

/// In every wire format that the app speaks; a service sends no users anywhere.
fn endpoints(app: &App, policy: &Policy) -> Vec<Endpoint> {
    let line = |id: String, label: String, path: &str| Endpoint {
        id,
        label,
        url: format!("{}{path}", policy.issuer),
    };
    let mut lines = Vec::new();
    if app.speaks(None) {
        if app.kind.has_redirects() {
            let label = "Authorization endpoint".to_owned();
            lines.push(line("authorize-url".to_owned(), label, "/oauth/authorize"));
        }
        lines.push(line("token-url".to_owned(), "Token endpoint".to_owned(), "/oauth/token"));
        if app.kind.may_use_device_codes() {
            let label = "For devices without a browser".to_owned();
            lines.push(line("device-url".to_owned(), label, "/oauth/device_authorization"));
        }
    }
    if let Some(dialect) = app.dialect.as_deref().and_then(|name| policy.dialect(name)) {
        let (name, title) = (&dialect.name, &dialect.title);
        let label = format!("{title}: where users are sent to");
        lines.push(line(format!("{name}-authorize-url"), label, &dialect.authorize.path));
        if let Some(page) = &dialect.user_code {
            let label = format!("{title}: where users get a code to paste");
            let path = format!("{}?{}", page.path, form_query(&[("client_id", &app.client_id)]));
            lines.push(line(format!("{name}-user-code-url"), label, &path));
        }
        for (number, endpoint) in (1..).zip(&dialect.tokens) {
            let words = endpoint.grant_types.iter().map(|(grant_type, _)| grant_type.words());
            let label = format!("{title}: {}", words.collect::<Vec<_>>().join(", "));
            lines.push(line(format!("{name}-token-url-{number}"), label, &endpoint.path));
        }
    }
    lines
}

pub fn lifetimes_of(app: &App, policy: &Policy) -> Lifetimes {
    let dialect = app.main_dialect();
    let effective = policy.lifetimes_for(app, dialect);
    let limits = policy.lifetimes_of(dialect);
    Lifetimes {
        access_minutes: minutes(effective.access_token),
        access_minutes_max: minutes(limits.access_token_max),
        refresh_days: days(effective.refresh_idle),
        refresh_days_max: days(limits.refresh_idle_max),
        error: None,
    }
}

/// Whole minutes, at least one.
pub fn minutes(duration: Duration) -> u64 {
    (duration.as_secs() / 60).max(1)
}

/// Whole days, at least one.
pub fn days(duration: Duration) -> u64 {
    (duration.as_secs() / (24 * 3600)).max(1)
}
