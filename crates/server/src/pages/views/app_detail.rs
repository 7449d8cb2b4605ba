//! One application of the developer's: its credentials, scopes, texts and lifetimes.

use serde::Serialize;

use super::apps::{errors, filled_form, scope_choices};
use super::{
    AppForm, AppFormErrors, AppFrame, AppKind, AppStatus, AppTab, FieldChange, Layout, Moment,
    ScopeKind, Section, Tier, View,
};

/// `GET /apps/{id}`, `/apps/{id}/credentials`, `…/settings`, `…/scopes`, `…/messages`: five pages
/// of one view, of which `tab` says which is shown.
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `details` | POST `/apps/{id}/details` | text fields of [`AppForm`] |
/// | `redirect-uris` | POST `/apps/{id}/redirect-uris` | `redirect_uris` |
/// | `addresses` | POST `/apps/{id}/addresses` | `addresses` |
/// | `request-scopes` | POST `/apps/{id}/scopes` | scope fields of [`AppForm`] |
/// | `remove-scope` (`remove-scope-{scope}`) | POST `/apps/{id}/scopes/remove` | hidden `scope` |
/// | `lifetimes` | POST `/apps/{id}/lifetimes` | `access_minutes`, `refresh_days` |
/// | `withdraw-proposal` | POST `/apps/{id}/proposal/withdraw` | |
/// | `send-message` | POST `/apps/{id}/messages` | `message` |
/// | `send-again` | POST `/apps/{id}/send-again` | `message` |
/// | `add-secret` | POST `/apps/{id}/secrets` | `mode`, `secret_name` |
/// | `add-test-secret` | POST `/apps/{id}/secrets` | `mode`, `test_secret_name` |
/// | `roll-secret` (and `-{secret}`) | POST `/apps/{id}/secrets/roll` | `secret`, `overlap` |
/// | `secret-end` (and `-{secret}`) | POST `/apps/{id}/secrets/end` | `secret`, `ends_on` |
/// | `key-set` | POST `/apps/{id}/keys` | `keys_from`, `jwks`, `jwks_uri` |
/// | `pause`, `unpause` | POST `/apps/{id}/pause`, `/apps/{id}/unpause` | |
/// | `remove-secret` (`remove-secret-{secret}`) | POST `/apps/{id}/secrets/remove` | `secret` |
///
/// *Delete* links to `/apps/{id}/delete` ([`DeleteApp`](super::DeleteApp)). The client id is in
/// `#client-id`.
#[derive(Clone, Debug, Serialize)]
pub struct AppDetail {
    pub layout: Layout,
    pub frame: AppFrame,
    pub tab: AppTab,
    /// What is left to do until users come, on the overview.
    pub checklist: Vec<ChecklistStep>,
    /// Its developer has stopped it.
    pub paused_at: Option<Moment>,
    pub id: String,
    pub status: AppStatus,
    /// Why it was rejected or suspended, or what the reviewer asks.
    pub status_note: Option<String>,
    /// A change waits for review while the approved state stays live.
    pub change_in_review: bool,
    /// Staff wait for its developer.
    pub asked: Option<Asked>,
    /// What a change that waits for review changes.
    pub proposed: Vec<FieldChange>,
    /// Which fields wait for staff when they are changed, as people call them; empty: none does.
    pub reviewed: Vec<&'static str>,
    pub client_id: String,
    pub test_client_id: String,
    /// The name as it stands (the form may hold an unsaved one).
    pub name: String,
    /// Values of the forms; `form.scopes` are the scopes that may still be asked for.
    pub form: AppForm,
    pub errors: AppFormErrors,
    /// The scopes the app has asked for.
    pub scopes: Vec<AppScope>,
    /// `None` for public clients, which have no secret.
    pub secrets: Option<Vec<AppSecret>>,
    /// At most so many; the button goes away when they are used up.
    pub secrets_max: u64,
    /// For tests; `None` as above.
    pub test_secrets: Option<Vec<AppSecret>>,
    pub test_secrets_max: u64,
    /// Names of secrets that were typed and not taken, and why not.
    pub secret_name: String,
    pub test_secret_name: String,
    pub secret_error: Option<SecretError>,
    /// `None` for public clients.
    pub key_set: Option<KeySetForm>,
    /// Its wire format takes calls only from listed addresses.
    pub needs_addresses: bool,
    pub lifetimes: Lifetimes,
    pub user_count: u64,
    /// Keys that users let it have, newest first; `None`: it may not ask for any.
    pub keys: Option<Vec<AppKey>>,
    /// Older ones are not shown.
    pub keys_max: u64,
    pub last_call_at: Option<Moment>,
    /// Where the app sends users and asks for tokens, ready to copy.
    pub endpoints: Vec<Endpoint>,
    /// Messages with staff, oldest first.
    pub thread: Vec<ThreadMessage>,
    pub message: MessageForm,
}

/// Staff asked for changes.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    pub at: Moment,
    pub note: String,
}

/// What somebody wrote about an app.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadMessage {
    pub by_staff: bool,
    /// Told to staff only.
    pub author: String,
    pub at: Moment,
    pub text: String,
}

impl ThreadMessage {
    pub(super) fn samples() -> Vec<Self> {
        vec![
            Self {
                by_staff: false,
                author: "dev@example.com".into(),
                at: Moment::sample("2026-04-01T08:00:00Z", "1 day ago"),
                text: "May the bot cancel orders that it did not place?\nSome users ask for it."
                    .into(),
            },
            Self {
                by_staff: true,
                author: "Robin Reviewer".into(),
                at: Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago"),
                text: "Only if they tick that scope themselves.".into(),
            },
        ]
    }
}

/// A message that is being written.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MessageForm {
    pub text: String,
    pub error: Option<String>,
}

/// An address that the app uses. In `#{id}`: `authorize-url`, `token-url`, and for a dialect the
/// same behind its name.
#[derive(Clone, Debug, Serialize)]
pub struct Endpoint {
    pub id: String,
    pub label: String,
    pub url: String,
}

/// A scope the app has asked for and what the review said.
#[derive(Clone, Debug, Serialize)]
pub struct AppScope {
    pub id: String,
    pub kind: ScopeKind,
    pub tier: Tier,
    pub text: String,
    pub purpose: Option<String>,
    pub required: bool,
    pub state: ScopeState,
    /// The reviewer's condition or reason.
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeState {
    Approved,
    /// For the test credentials alone.
    TestsOnly,
    Pending,
    Rejected,
}

/// One step on the way to production.
#[derive(Clone, Debug, Serialize)]
pub struct ChecklistStep {
    pub id: &'static str,
    pub title: String,
    /// What to do, while it is to be done.
    pub text: String,
    pub done: bool,
    pub link: Option<String>,
}

/// What is wrong with a form about secrets, and with which.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SecretError {
    /// `live` or `test` for a new one, else the id of the secret.
    pub of: String,
    pub text: String,
}

/// Where the app's public keys are.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeySetForm {
    /// `none`, `pasted` or `uri`.
    pub keys_from: &'static str,
    pub jwks: String,
    pub jwks_uri: String,
    pub error: Option<String>,
}

/// What may be shown of a secret after its first moment.
#[derive(Clone, Debug, Serialize)]
pub struct AppSecret {
    pub id: String,
    /// As its developer calls it; may be empty.
    pub name: String,
    /// Its last characters, to tell it from the others.
    pub ends_with: String,
    pub created_at: Moment,
    pub last_used_at: Option<Moment>,
    pub expires_at: Option<Moment>,
    pub is_expired: bool,
    /// The value of the date field.
    pub ends_on: String,
}

/// A key with which the app signs calls of one user.
#[derive(Clone, Debug, Serialize)]
pub struct AppKey {
    /// As the app knows it.
    pub external_id: String,
    pub public: String,
    pub created_at: Moment,
    pub last_used_at: Option<Moment>,
    pub is_active: bool,
    /// The app has got its secret.
    pub is_read: bool,
}

/// Token lifetimes and how far the operator lets them go.
#[derive(Clone, Debug, Serialize)]
pub struct Lifetimes {
    pub access_minutes: u64,
    pub access_minutes_max: u64,
    pub refresh_days: u64,
    pub refresh_days_max: u64,
    pub error: Option<String>,
}

impl View for AppDetail {
    const TEMPLATE: &'static str = "app_detail.html";

    fn sample() -> Vec<Self> {
        let live = live_app();
        let public = Self {
            tab: AppTab::Settings,
            frame: AppFrame::sample(AppTab::Settings),
            test_secrets: None,
            key_set: None,
            paused_at: Some(Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago")),
            status: AppStatus::Rejected,
            status_note: Some("Please say what the bot does with balances.".into()),
            secrets: None,
            needs_addresses: true,
            form: filled_form(),
            errors: errors(),
            scopes: Vec::new(),
            keys: None,
            user_count: 0,
            last_call_at: None,
            endpoints: live.endpoints.iter().skip(1).cloned().collect(),
            lifetimes: Lifetimes {
                error: Some("Choose at most 60 minutes.".into()),
                ..live.lifetimes.clone()
            },
            ..live.clone()
        };
        let young = Self {
            checklist: Vec::new(),
            test_secrets: Some(Vec::new()),
            test_secrets_max: 0,
            status: AppStatus::InReview,
            status_note: None,
            change_in_review: false,
            asked: Some(Asked {
                at: Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago"),
                note: "Please say what the bot does with balances.".into(),
            }),
            proposed: Vec::new(),
            reviewed: Vec::new(),
            thread: Vec::new(),
            message: MessageForm {
                text: "\u{7}".into(),
                error: Some("Leave out control characters.".into()),
            },
            secrets: Some(Vec::new()),
            secrets_max: 0,
            keys: Some(Vec::new()),
            user_count: 1,
            form: AppForm { scopes: Vec::new(), ..live.form.clone() },
            ..live.clone()
        };
        let error = SecretError { of: "s2".into(), text: "Choose a day to come.".into() };
        let key_set = KeySetForm {
            keys_from: "uri",
            jwks: String::new(),
            jwks_uri: "http://bot.example.com/jwks".into(),
            error: Some("Use https.".into()),
        };
        let credentials = on(AppTab::Credentials, &live);
        let again =
            Self { secret_error: Some(error), key_set: Some(key_set), ..credentials.clone() };
        let bare = on(AppTab::Credentials, &Self { tab: AppTab::Credentials, ..young.clone() });
        let more = [AppTab::Settings, AppTab::Scopes, AppTab::Messages].map(|tab| on(tab, &live));
        let asked = [AppTab::Scopes, AppTab::Messages].map(|tab| on(tab, &young));
        let mut all = vec![live.clone(), public.clone(), young, credentials, again, bare];
        all.push(on(AppTab::Credentials, &public));
        all.push(on(AppTab::Scopes, &public));
        all.extend(more);
        all.extend(asked);
        all
    }
}

fn on(tab: AppTab, page: &AppDetail) -> AppDetail {
    AppDetail { tab, frame: AppFrame::sample(tab), ..page.clone() }
}

fn sample_checklist() -> Vec<ChecklistStep> {
    let step = |id, title: &str, done| ChecklistStep {
        id,
        title: title.into(),
        text: "Say why the app needs each of them.".into(),
        done,
        link: (!done).then(|| "/apps/a1/scopes".into()),
    };
    vec![step("redirect", "Redirect URI", true), step("scopes", "Scopes with purposes", false)]
}

fn live_app() -> AppDetail {
    let recently = Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago");
    AppDetail {
        layout: Layout::sample().in_section(Section::Apps),
        frame: AppFrame::sample(AppTab::Overview),
        tab: AppTab::Overview,
        checklist: sample_checklist(),
        paused_at: None,
        id: "a1".into(),
        status: AppStatus::Live,
        status_note: None,
        change_in_review: true,
        asked: None,
        proposed: vec![FieldChange {
            field: "Redirect URIs".into(),
            before: "https://bot.example.com/callback".into(),
            after: "https://bot.example.com/callback\nhttps://bot.example.net/callback".into(),
            is_picture: false,
        }],
        reviewed: vec!["Name", "Redirect URIs"],
        thread: ThreadMessage::samples(),
        message: MessageForm::default(),
        client_id: "trading-bot".into(),
        test_client_id: "test_3f2a".into(),
        name: "Trading Bot".into(),
        form: AppForm {
            name: "Trading Bot".into(),
            kind: AppKind::Web,
            wire: super::STANDARD.into(),
            addresses: "192.0.2.0/24".into(),
            redirect_uris: "https://bot.example.com/callback".into(),
            homepage: "https://bot.example.com/".into(),
            description: "Trades while you sleep.".into(),
            privacy_url: "https://bot.example.com/privacy".into(),
            terms_url: String::new(),
            scopes: scope_choices(),
        },
        errors: AppFormErrors::default(),
        scopes: sample_scopes(),
        secrets: Some(sample_secrets(&recently)),
        secrets_max: 5,
        test_secrets: Some(vec![AppSecret {
            id: "t1".into(),
            name: "Laptop".into(),
            ..sample_secrets(&recently).remove(0)
        }]),
        test_secrets_max: 2,
        secret_name: String::new(),
        test_secret_name: String::new(),
        secret_error: None,
        key_set: Some(KeySetForm { keys_from: "none", ..KeySetForm::default() }),
        needs_addresses: false,
        lifetimes: Lifetimes {
            access_minutes: 15,
            access_minutes_max: 60,
            refresh_days: 90,
            refresh_days_max: 365,
            error: None,
        },
        keys: Some(vec![
            AppKey {
                external_id: "550e8400-e29b-41d4-a716-446655440000".into(),
                public: "4f3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c".into(),
                created_at: recently.clone(),
                last_used_at: Some(recently.clone()),
                is_active: true,
                is_read: true,
            },
            AppKey {
                external_id: "6fa459ea-ee8a-4ca4-894e-db77e160355e".into(),
                public: "0b9c4f3c2a1b0d9e8f7a6b5c4d3e2f1a".into(),
                created_at: Moment::sample("2026-03-12T09:00:00Z", "12 March 2026"),
                last_used_at: None,
                is_active: false,
                is_read: false,
            },
        ]),
        keys_max: 100,
        user_count: 1284,
        last_call_at: Some(recently),
        endpoints: [("authorize-url", "Authorization endpoint"), ("token-url", "Token endpoint")]
            .map(|(id, label)| Endpoint {
                id: id.into(),
                label: label.into(),
                url: format!("https://auth.example.com/{id}"),
            })
            .to_vec(),
    }
}

fn sample_scopes() -> Vec<AppScope> {
    let scope = |id: &str, kind, tier, text: &str, state, note: Option<&str>| AppScope {
        id: id.into(),
        kind,
        tier,
        text: text.into(),
        purpose: Some("To follow the strategy that the user chooses.".into()),
        required: state == ScopeState::Approved,
        state,
        note: note.map(Into::into),
    };
    vec![
        scope(
            "orders.place",
            ScopeKind::Money,
            Tier::High,
            "Buy and sell",
            ScopeState::Approved,
            Some("At most 10 orders a second."),
        ),
        scope(
            "orders.cancel",
            ScopeKind::Change,
            Tier::Low,
            "Cancel open orders",
            ScopeState::Pending,
            None,
        ),
        scope(
            "withdraw",
            ScopeKind::Money,
            Tier::High,
            "Withdraw funds",
            ScopeState::Rejected,
            Some("A trading bot does not need this."),
        ),
    ]
}

fn sample_secrets(recently: &Moment) -> Vec<AppSecret> {
    vec![
        AppSecret {
            id: "s1".into(),
            name: "Production servers".into(),
            is_expired: false,
            ends_on: String::new(),
            ends_with: "q7Xk".into(),
            created_at: Moment::sample("2026-01-09T10:00:00Z", "9 January 2026"),
            last_used_at: Some(recently.clone()),
            expires_at: None,
        },
        AppSecret {
            id: "s2".into(),
            name: String::new(),
            is_expired: false,
            ends_on: "2026-04-10".into(),
            ends_with: "B2mm".into(),
            created_at: Moment::sample("2025-06-01T10:00:00Z", "1 June 2025"),
            last_used_at: None,
            expires_at: Some(Moment::sample("2026-04-10T10:00:00Z", "10 April 2026")),
        },
    ]
}
