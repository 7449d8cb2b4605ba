//! My applications: register an app, look after it, delete it.

use serde::Serialize;

use super::{Flash, Layout, Moment, ScopeKind, Section, Tier, View};

/// Where an app stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AppStatus {
    InReview,
    Live,
    /// Its developer has stopped it for a while.
    Paused,
    Rejected,
    Suspended,
    /// Nobody used it for long; its developer can wake it up.
    Retired,
}

/// The field `kind`: `web`, `native`, `single_page`, `service`, `device` or `agent`.
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
    /// Has no browser: codes that users carry.
    Device,
    /// An AI agent or its host: public client with PKCE, or codes.
    Agent,
}

impl AppKind {
    /// Whether users come back to it by their browser.
    pub const fn has_redirects(self) -> bool {
        !matches!(self, Self::Service | Self::Device)
    }
}

/// `GET /apps`. Each card links to `/apps/{id}`; *New application* to `/apps/new`.
#[derive(Clone, Debug, Serialize)]
pub struct MyApps {
    pub layout: Layout,
    /// The developer's own, then those of each team.
    pub groups: Vec<AppGroup>,
    pub has_apps: bool,
    /// There is one group on the page.
    pub is_alone: bool,
}

/// The applications of one owner, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct AppGroup {
    /// `me` or the team's id: `?in=VALUE` shows this group alone.
    pub value: String,
    /// The team's name; `None`: the developer's own.
    pub team: Option<String>,
    pub apps: Vec<AppCard>,
    /// Older ones: `?in=VALUE&before=NEXT`.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct AppCard {
    pub id: String,
    pub name: String,
    pub logo_url: Option<String>,
    pub kind: AppKind,
    pub status: AppStatus,
    pub client_id: String,
    /// Users who have let it in.
    pub user_count: u64,
    pub last_call_at: Option<Moment>,
    /// Of a hundred calls of the last day; `None` without calls.
    pub error_percent: Option<u64>,
}

impl View for MyApps {
    const TEMPLATE: &'static str = "my_apps.html";

    fn sample() -> Vec<Self> {
        let layout = Layout::sample().in_section(Section::Apps);
        let bot = AppCard {
            id: "a1".into(),
            name: "Trading Bot".into(),
            logo_url: Some("/assets/consentry.svg".into()),
            kind: AppKind::Web,
            status: AppStatus::Live,
            client_id: "trading-bot".into(),
            user_count: 1284,
            last_call_at: Some(Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago")),
            error_percent: Some(4),
        };
        let card = |id: &str, name: &str, kind, status| AppCard {
            id: id.into(),
            name: name.into(),
            logo_url: None,
            kind,
            status,
            client_id: format!("app_{id}"),
            user_count: 0,
            last_call_at: None,
            error_percent: None,
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
        let of_team = vec![
            card("a5", "Living Room Player", AppKind::Device, AppStatus::Live),
            card("a6", "Desk Agent", AppKind::Agent, AppStatus::Live),
        ];
        let group = |value: &str, team: Option<&str>, apps, next: Option<&str>| AppGroup {
            value: value.into(),
            team: team.map(Into::into),
            apps,
            next: next.map(Into::into),
        };
        let page = |layout: &Layout, groups: Vec<AppGroup>| Self {
            layout: layout.clone(),
            has_apps: groups.iter().any(|group| !group.apps.is_empty()),
            is_alone: groups.len() == 1,
            groups,
        };
        let deleted = Flash::done("Old Bot is deleted.");
        vec![
            page(&layout, vec![group("me", None, apps.clone(), None)]),
            page(
                &layout,
                vec![
                    group("me", None, apps, Some("1-a4")),
                    group("t1", Some("Night Desk"), of_team.clone(), None),
                    group("t2", Some("Harbour Treasury"), Vec::new(), None),
                ],
            ),
            page(&layout, vec![group("t1", Some("Night Desk"), of_team, Some("1-a6"))]),
            page(&layout.with_flash(Some(deleted)), vec![group("me", None, Vec::new(), None)]),
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

#[derive(Clone, Debug, Serialize)]
pub struct DialectChoice {
    /// The value of `wire`; the radio buttons are `wire-standard` and `wire-{name}`.
    pub name: String,
    pub title: String,
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
    /// For tests only.
    pub test: bool,
    /// When the secret that it replaces ends; `None`: it replaces none, or that one is gone.
    pub old_ends_at: Option<Moment>,
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
            test: false,
            old_ends_at: None,
            app_is_new: true,
        };
        let ends = Moment::sample("2026-04-03T09:00:00Z", "tomorrow");
        let rolled = Self { app_is_new: false, old_ends_at: Some(ends), ..new.clone() };
        vec![new.clone(), rolled, Self { app_is_new: false, test: true, ..new }]
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
    /// What ends with it, in words: “12 live grants”.
    pub breaks: Vec<String>,
    /// How much it is used; `None`: it was never called.
    pub in_use: Option<String>,
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
            breaks: vec!["1,422 live grants".into(), "3 partner keys".into()],
            in_use: Some("48,210 calls in the last 7 days, the last 2 minutes ago.".into()),
            error: None,
        };
        let error = Some("That is not the app’s name.".into());
        let unused =
            Self { user_count: 0, breaks: Vec::new(), in_use: None, error, ..first.clone() };
        vec![first, unused]
    }
}
