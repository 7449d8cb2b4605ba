//! My applications: register an app, look after it, delete it.

use serde::Serialize;

use super::{Flash, Layout, Moment, ScopeKind, Section, Tier, View};

/// Where an app stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AppStatus {
    InReview,
    Live,
    Rejected,
    Suspended,
}

/// The field `kind`: `web`, `native`, `single_page` or `service`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AppKind {
    /// Runs on a server and can keep a secret.
    Web,
    /// Runs on a phone or computer: public client with PKCE.
    Native,
    /// Runs in a browser: public client with PKCE.
    SinglePage,
    /// Acts for itself: client credentials, no user.
    Service,
}

/// `GET /apps`. Each card links to `/apps/{id}`; *New application* to `/apps/new`.
#[derive(Clone, Debug, Serialize)]
pub struct MyApps {
    pub layout: Layout,
    pub apps: Vec<AppCard>,
}

#[derive(Clone, Debug, Serialize)]
pub struct AppCard {
    pub id: String,
    pub name: String,
    pub kind: AppKind,
    pub status: AppStatus,
    pub client_id: String,
    /// Users who have let it in.
    pub user_count: u64,
    pub last_call_at: Option<Moment>,
}

impl View for MyApps {
    const TEMPLATE: &'static str = "my_apps.html";

    fn sample() -> Vec<Self> {
        let layout = Layout::sample().in_section(Section::Apps);
        let bot = AppCard {
            id: "a1".into(),
            name: "Trading Bot".into(),
            kind: AppKind::Web,
            status: AppStatus::Live,
            client_id: "trading-bot".into(),
            user_count: 1284,
            last_call_at: Some(Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago")),
        };
        let card = |id: &str, name: &str, kind, status| AppCard {
            id: id.into(),
            name: name.into(),
            kind,
            status,
            client_id: format!("app_{id}"),
            user_count: 0,
            last_call_at: None,
        };
        let apps = vec![
            bot,
            AppCard {
                user_count: 1,
                ..card("a2", "Pocket Orders", AppKind::Native, AppStatus::InReview)
            },
            card("a3", "Ledger Sync", AppKind::Service, AppStatus::Rejected),
            card("a4", "Chart Wall", AppKind::SinglePage, AppStatus::Suspended),
        ];
        let deleted = Flash::done("Old Bot is deleted.");
        vec![
            Self { layout: layout.clone(), apps },
            Self { layout: layout.with_flash(Some(deleted)), apps: Vec::new() },
        ]
    }
}

/// What a developer typed. Field names are those of the struct, except the scopes: checkbox
/// `scope` (value = scope), text `purpose.{scope}`, checkbox `required.{scope}` (value `yes`).
#[derive(Clone, Debug, Serialize)]
pub struct AppForm {
    pub name: String,
    pub kind: AppKind,
    /// One per line.
    pub redirect_uris: String,
    pub homepage: String,
    pub description: String,
    pub privacy_url: String,
    pub terms_url: String,
    pub scopes: Vec<ScopeChoice>,
}

/// One scope of the checklist.
#[derive(Clone, Debug, Serialize)]
pub struct ScopeChoice {
    pub id: String,
    pub kind: ScopeKind,
    pub tier: Tier,
    pub text: String,
    pub ticked: bool,
    pub purpose: String,
    /// Users cannot untick it.
    pub required: bool,
    /// What is wrong with this scope's purpose.
    pub error: Option<String>,
}

/// What is wrong, per field. `Default` is "nothing".
#[derive(Clone, Debug, Default, Serialize)]
pub struct AppFormErrors {
    pub name: Option<String>,
    pub kind: Option<String>,
    /// About the list as a whole, for example that it is empty.
    pub redirect_uris: Option<String>,
    pub redirect_lines: Vec<LineError>,
    pub homepage: Option<String>,
    pub description: Option<String>,
    pub privacy_url: Option<String>,
    pub terms_url: Option<String>,
    pub scopes: Option<String>,
}

/// Why one redirect URI of the list was refused.
#[derive(Clone, Debug, Serialize)]
pub struct LineError {
    /// Counted from 1.
    pub line: u64,
    pub uri: String,
    pub reason: String,
}

/// `GET /apps/new`.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `new-app` | POST `/apps/new` | those of [`AppForm`], hidden `csrf` |
///
/// Input ids equal field names; the radio buttons are `kind-web`, `kind-native`,
/// `kind-single_page`, `kind-service`; checkboxes are `scope-{scope}`. Errors are
/// `{field}-error`; the button is `submit`.
#[derive(Clone, Debug, Serialize)]
pub struct NewApp {
    pub layout: Layout,
    pub form: AppForm,
    pub errors: AppFormErrors,
    /// New apps wait for a reviewer before they work.
    pub needs_review: bool,
}

impl View for NewApp {
    const TEMPLATE: &'static str = "new_app.html";

    fn sample() -> Vec<Self> {
        let layout = Layout::sample().in_section(Section::Apps);
        let empty = Self {
            layout: layout.clone(),
            form: AppForm { scopes: scope_choices(), ..AppForm::blank() },
            errors: AppFormErrors::default(),
            needs_review: true,
        };
        vec![empty, Self { layout, form: filled_form(), errors: errors(), needs_review: false }]
    }
}

impl AppForm {
    /// An empty form: a web app with no scopes to choose from.
    pub fn blank() -> Self {
        Self {
            name: String::new(),
            kind: AppKind::Web,
            redirect_uris: String::new(),
            homepage: String::new(),
            description: String::new(),
            privacy_url: String::new(),
            terms_url: String::new(),
            scopes: Vec::new(),
        }
    }
}

fn scope_choices() -> Vec<ScopeChoice> {
    let choice = |id: &str, kind, tier, text: &str| ScopeChoice {
        id: id.into(),
        kind,
        tier,
        text: text.into(),
        ticked: false,
        purpose: String::new(),
        required: false,
        error: None,
    };
    vec![
        choice("balances.read", ScopeKind::Read, Tier::Sensitive, "See balances"),
        choice("history.read", ScopeKind::Read, Tier::Low, "See past trades"),
        choice("orders.place", ScopeKind::Money, Tier::High, "Buy and sell"),
    ]
}

fn filled_form() -> AppForm {
    let mut scopes = scope_choices();
    if let Some(first) = scopes.first_mut() {
        first.ticked = true;
        first.required = true;
        first.error = Some("Say in a sentence why the app needs this.".into());
    }
    AppForm {
        name: "Bot".into(),
        kind: AppKind::Native,
        redirect_uris: "https://bot.example.com/callback\nhttp://bot.example.com/cb#x".into(),
        homepage: "bot.example.com".into(),
        description: "Trades while you sleep.".into(),
        privacy_url: String::new(),
        terms_url: String::new(),
        scopes,
    }
}

fn errors() -> AppFormErrors {
    AppFormErrors {
        name: Some("Use a name of at least 4 characters.".into()),
        redirect_lines: vec![LineError {
            line: 2,
            uri: "http://bot.example.com/cb#x".into(),
            reason: "Use https, and drop the part after #.".into(),
        }],
        homepage: Some("Start with https://".into()),
        ..AppFormErrors::default()
    }
}

/// `GET /apps/{id}`.
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `details` | POST `/apps/{id}/details` | `name`, `homepage`, `description`, `privacy_url`, `terms_url`, hidden `csrf` |
/// | `redirect-uris` | POST `/apps/{id}/redirect-uris` | `redirect_uris`, hidden `csrf` |
/// | `request-scopes` | POST `/apps/{id}/scopes` | `scope`, `purpose.{scope}`, `required.{scope}`, hidden `csrf` |
/// | `remove-scope` (`remove-scope-{scope}`) | POST `/apps/{id}/scopes/remove` | hidden `scope`, `csrf` |
/// | `lifetimes` | POST `/apps/{id}/lifetimes` | `access_minutes`, `refresh_days`, hidden `csrf` |
/// | `add-secret` | POST `/apps/{id}/secrets` | hidden `csrf` |
/// | `remove-secret` (`remove-secret-{secret}`) | POST `/apps/{id}/secrets/remove` | hidden `secret`, `csrf` |
///
/// *Delete* links to `/apps/{id}/delete` ([`DeleteApp`]). The client id is in `#client-id`.
#[derive(Clone, Debug, Serialize)]
pub struct AppDetail {
    pub layout: Layout,
    pub id: String,
    pub status: AppStatus,
    /// Why it was rejected or suspended, or what the reviewer asks.
    pub status_note: Option<String>,
    /// A change waits for review while the approved state stays live.
    pub change_in_review: bool,
    /// The app is live, and a new name or new redirect URIs send it back to review.
    pub change_needs_review: bool,
    pub client_id: String,
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
    pub lifetimes: Lifetimes,
    pub user_count: u64,
    pub last_call_at: Option<Moment>,
    /// Where the developer sends users, ready to copy; `None` for service apps.
    pub authorize_url: Option<String>,
    pub token_url: String,
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
    Pending,
    Rejected,
}

/// What may be shown of a secret after its first moment.
#[derive(Clone, Debug, Serialize)]
pub struct AppSecret {
    pub id: String,
    /// Its last characters, to tell it from the others.
    pub ends_with: String,
    pub created_at: Moment,
    pub last_used_at: Option<Moment>,
    pub expires_at: Option<Moment>,
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
            status: AppStatus::Rejected,
            status_note: Some("Please say what the bot does with balances.".into()),
            secrets: None,
            form: filled_form(),
            errors: errors(),
            scopes: Vec::new(),
            user_count: 0,
            last_call_at: None,
            authorize_url: None,
            lifetimes: Lifetimes {
                error: Some("Choose at most 60 minutes.".into()),
                ..live.lifetimes.clone()
            },
            ..live.clone()
        };
        let young = Self {
            status: AppStatus::InReview,
            status_note: None,
            change_in_review: false,
            change_needs_review: false,
            secrets: Some(Vec::new()),
            secrets_max: 0,
            user_count: 1,
            form: AppForm { scopes: Vec::new(), ..live.form.clone() },
            ..live.clone()
        };
        vec![live, public, young]
    }
}

fn live_app() -> AppDetail {
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
    let recently = Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago");
    AppDetail {
        layout: Layout::sample().in_section(Section::Apps),
        id: "a1".into(),
        status: AppStatus::Live,
        status_note: None,
        change_in_review: true,
        change_needs_review: true,
        client_id: "trading-bot".into(),
        name: "Trading Bot".into(),
        form: AppForm {
            name: "Trading Bot".into(),
            kind: AppKind::Web,
            redirect_uris: "https://bot.example.com/callback".into(),
            homepage: "https://bot.example.com/".into(),
            description: "Trades while you sleep.".into(),
            privacy_url: "https://bot.example.com/privacy".into(),
            terms_url: String::new(),
            scopes: scope_choices(),
        },
        errors: AppFormErrors::default(),
        scopes: vec![
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
        ],
        secrets: Some(vec![
            AppSecret {
                id: "s1".into(),
                ends_with: "q7Xk".into(),
                created_at: Moment::sample("2026-01-09T10:00:00Z", "9 January 2026"),
                last_used_at: Some(recently.clone()),
                expires_at: None,
            },
            AppSecret {
                id: "s2".into(),
                ends_with: "B2mm".into(),
                created_at: Moment::sample("2025-06-01T10:00:00Z", "1 June 2025"),
                last_used_at: None,
                expires_at: Some(Moment::sample("2026-04-10T10:00:00Z", "10 April 2026")),
            },
        ]),
        secrets_max: 5,
        lifetimes: Lifetimes {
            access_minutes: 15,
            access_minutes_max: 60,
            refresh_days: 90,
            refresh_days_max: 365,
            error: None,
        },
        user_count: 1284,
        last_call_at: Some(recently),
        authorize_url: Some("https://auth.example.com/authorize".into()),
        token_url: "https://auth.example.com/token".into(),
    }
}

/// A client secret, in the only answer that ever contains it. Send with `no-store`.
///
/// The secret is in `#client-secret`, the client id in `#client-id`.
#[derive(Clone, Serialize)]
pub struct SecretOnce {
    pub layout: Layout,
    pub app_id: String,
    pub app_name: String,
    pub client_id: String,
    pub secret: String,
    /// The app was registered by this same request.
    pub app_is_new: bool,
}

impl View for SecretOnce {
    const TEMPLATE: &'static str = "secret_once.html";

    fn sample() -> Vec<Self> {
        let new = Self {
            layout: Layout::sample().in_section(Section::Apps),
            app_id: "a1".into(),
            app_name: "Trading Bot".into(),
            client_id: "trading-bot".into(),
            secret: "cs_4yV0sZ2m9QeR7uT1wX8kLpN3aBcD5fGhJ6iKoM_q7Xk".into(),
            app_is_new: true,
        };
        vec![new.clone(), Self { app_is_new: false, ..new }]
    }
}

/// `GET /apps/{id}/delete`.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `delete-app` | POST `/apps/{id}/delete` | `confirm` (must equal the app's name), hidden `csrf` |
#[derive(Clone, Debug, Serialize)]
pub struct DeleteApp {
    pub layout: Layout,
    pub id: String,
    pub name: String,
    pub user_count: u64,
    pub error: Option<String>,
}

impl View for DeleteApp {
    const TEMPLATE: &'static str = "delete_app.html";

    fn sample() -> Vec<Self> {
        let first = Self {
            layout: Layout::sample().in_section(Section::Apps),
            id: "a1".into(),
            name: "Trading Bot".into(),
            user_count: 1284,
            error: None,
        };
        let error = Some("That is not the app’s name.".into());
        vec![first.clone(), Self { user_count: 0, error, ..first }]
    }
}
