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
    /// Nobody used it for long; its developer can wake it up.
    Retired,
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

/// The value of `wire` that is no dialect.
pub const STANDARD: &str = "standard";

/// What a developer typed. Field names are those of the struct, except the scopes: checkbox
/// `scope` (value = scope), text `purpose.{scope}`, checkbox `required.{scope}` (value `yes`).
#[derive(Clone, Debug, Serialize)]
pub struct AppForm {
    pub name: String,
    pub kind: AppKind,
    /// `standard`, or a dialect's name.
    pub wire: String,
    /// One per line.
    pub redirect_uris: String,
    /// Networks that it may call from, one per line; empty: from anywhere.
    pub addresses: String,
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
    pub wire: Option<String>,
    /// About the list as a whole, for example that it is empty.
    pub redirect_uris: Option<String>,
    pub redirect_lines: Vec<LineError>,
    pub addresses: Option<String>,
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
    /// Wire formats besides the standard; empty: there is nothing to choose.
    pub dialects: Vec<DialectChoice>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DialectChoice {
    /// The value of `wire`; the radio buttons are `wire-standard` and `wire-{name}`.
    pub name: String,
    pub title: String,
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
            dialects: Vec::new(),
        };
        let dialects = vec![DialectChoice { name: "harbor-v1".into(), title: "Harbor v1".into() }];
        let refused =
            Self { layout, form: filled_form(), errors: errors(), needs_review: false, dialects };
        vec![empty, refused]
    }
}

impl AppForm {
    /// An empty form: a web app with no scopes to choose from.
    pub fn blank() -> Self {
        Self {
            name: String::new(),
            kind: AppKind::Web,
            wire: STANDARD.into(),
            redirect_uris: String::new(),
            addresses: String::new(),
            homepage: String::new(),
            description: String::new(),
            privacy_url: String::new(),
            terms_url: String::new(),
            scopes: Vec::new(),
        }
    }
}

pub(super) fn scope_choices() -> Vec<ScopeChoice> {
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

pub(super) fn filled_form() -> AppForm {
    let mut scopes = scope_choices();
    if let Some(first) = scopes.first_mut() {
        first.ticked = true;
        first.required = true;
        first.error = Some("Say in a sentence why the app needs this.".into());
    }
    AppForm {
        name: "Bot".into(),
        kind: AppKind::Native,
        wire: "harbor-v1".into(),
        addresses: "office".into(),
        redirect_uris: "https://bot.example.com/callback\nhttp://bot.example.com/cb#x".into(),
        homepage: "bot.example.com".into(),
        description: "Trades while you sleep.".into(),
        privacy_url: String::new(),
        terms_url: String::new(),
        scopes,
    }
}

pub(super) fn errors() -> AppFormErrors {
    AppFormErrors {
        name: Some("Use a name of at least 4 characters.".into()),
        wire: Some("An app of this format keeps a secret: choose “Web app”.".into()),
        redirect_lines: vec![LineError {
            line: 2,
            uri: "http://bot.example.com/cb#x".into(),
            reason: "Use https, and drop the part after #.".into(),
        }],
        addresses: Some("Line 1, office: write an address or a network.".into()),
        homepage: Some("Start with https://".into()),
        ..AppFormErrors::default()
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
/// | `delete-app` | POST `/apps/{id}/delete` | `confirm` (the app's name), hidden `csrf` |
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
