//! Connected apps: what a user has let in, what it really did, and the way to end it.

use serde::Serialize;

use super::{Flash, Layout, Moment, ScopeKind, Section, Tier, View};

/// `GET /connected`. Each card links to `/connected/{id}`.
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `revoke` (`revoke-{id}`) | POST `/connected/{id}/revoke` | |
#[derive(Clone, Debug, Serialize)]
pub struct ConnectedApps {
    pub layout: Layout,
    pub apps: Vec<ConnectedCard>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ConnectedCard {
    /// What identifies the consent in `/connected/{id}`.
    pub id: String,
    pub name: String,
    /// As on the consent page: only for verified brands.
    pub logo_url: Option<String>,
    pub publisher: Option<String>,
    pub granted_at: Moment,
    /// `None`: never.
    pub last_used_at: Option<Moment>,
    pub scope_count: u64,
    /// The app may move money.
    pub moves_money: bool,
    /// Not used for 90 days: the page suggests to end it.
    pub unused: bool,
    /// Given to tests of the user's own app.
    pub test: bool,
    /// It has a key with which it signs calls.
    pub key: Option<KeyState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Active,
    Disabled,
}

impl View for ConnectedApps {
    const TEMPLATE: &'static str = "connected_apps.html";

    fn sample() -> Vec<Self> {
        let layout = Layout::sample().in_section(Section::Connected);
        let bot = ConnectedCard {
            id: "c1".into(),
            name: "Trading Bot".into(),
            logo_url: None,
            publisher: Some("Northwind Labs".into()),
            granted_at: Moment::sample("2026-03-12T09:00:00Z", "12 March 2026"),
            last_used_at: Some(Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago")),
            scope_count: 4,
            moves_money: true,
            unused: false,
            test: false,
            key: Some(KeyState::Active),
        };
        let tracker = ConnectedCard {
            id: "c2".into(),
            name: "Portfolio Tracker".into(),
            publisher: None,
            last_used_at: Some(Moment::sample("2025-11-20T08:57:00Z", "20 November 2025")),
            granted_at: Moment::sample("2025-06-01T09:00:00Z", "1 June 2025"),
            scope_count: 1,
            moves_money: false,
            unused: true,
            test: true,
            key: Some(KeyState::Disabled),
            ..bot.clone()
        };
        let fresh = ConnectedCard {
            id: "c3".into(),
            name: "Pocket Orders".into(),
            logo_url: Some("/assets/consentry.svg".into()),
            granted_at: Moment::sample("2026-04-02T08:00:00Z", "1 hour ago"),
            last_used_at: None,
            scope_count: 2,
            moves_money: false,
            key: None,
            ..bot.clone()
        };
        let flash = Flash::done("Weather Widget is out. Its next call will be refused.");
        let full = Self {
            layout: layout.clone().with_flash(Some(flash)),
            apps: vec![bot, fresh, tracker],
        };
        vec![full, Self { layout, apps: Vec::new() }]
    }
}

/// `GET /connected/{id}`.
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `revoke` (`revoke`) | POST `/connected/{id}/revoke` | |
/// | `remove-scope` (`remove-scope-{scope}`) | POST `/connected/{id}/scopes/remove` | `scope` |
/// | `end-grant` (`end-grant-{grant}`) | POST `/connected/{id}/grants/end` | hidden `grant` |
/// | `remove-key` (`remove-key`) | POST `/connected/{id}/key/remove` | |
///
/// *Report this app* links to `/connected/{id}/report` ([`ReportApp`]).
#[derive(Clone, Debug, Serialize)]
pub struct ConnectedApp {
    pub layout: Layout,
    pub id: String,
    pub name: String,
    pub logo_url: Option<String>,
    pub publisher: Option<String>,
    pub homepage: Option<String>,
    pub granted_at: Moment,
    pub last_used_at: Option<Moment>,
    /// The network address of the last call.
    pub last_used_from: Option<String>,
    pub unused: bool,
    /// Given to tests of the user's own app.
    pub test: bool,
    pub scopes: Vec<ConnectedScope>,
    /// Live grants, newest first.
    pub grants: Vec<LiveGrant>,
    pub key: Option<ConnectedKey>,
    /// What the app called, most called first.
    pub called: Vec<CalledFamily>,
    /// Completes "Calls counted …": "since 12 March 2026" or "in the last 30 days".
    pub called_span: String,
    /// Recent audit entries, newest first.
    pub history: Vec<HistoryEntry>,
}

/// The key that the app signs calls with.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectedKey {
    pub public: String,
    pub created_at: Moment,
    pub last_used_at: Option<Moment>,
    /// It was not used for too long, and does nothing any more.
    pub disabled_at: Option<Moment>,
    /// What the user gave it; empty: nothing.
    pub permissions: Vec<KeyPermissions>,
}

#[derive(Clone, Debug, Serialize)]
pub struct KeyPermissions {
    pub title: String,
    pub moves_money: bool,
    pub urls: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ConnectedScope {
    pub id: String,
    pub kind: ScopeKind,
    pub tier: Tier,
    pub text: String,
    /// Taking it back ends all access: the app cannot do without it, or has nothing else.
    pub ends_access: bool,
}

/// One sign-in of the app: a device or a session.
#[derive(Clone, Debug, Serialize)]
pub struct LiveGrant {
    pub id: String,
    /// What it looks like from here ("Firefox on Linux"), or the app's kind.
    pub label: String,
    pub created_at: Moment,
    pub last_used_at: Option<Moment>,
    pub address: Option<String>,
}

/// A group of endpoints, such as `GET /api/v4/orders`.
#[derive(Clone, Debug, Serialize)]
pub struct CalledFamily {
    pub family: String,
    pub count: u64,
    /// Calls among them that were refused.
    pub refused: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct HistoryEntry {
    pub at: Moment,
    /// A sentence: "You allowed 4 permissions."
    pub text: String,
}

impl View for ConnectedApp {
    const TEMPLATE: &'static str = "connected_app.html";

    fn sample() -> Vec<Self> {
        let busy = busy_app();
        let idle = Self {
            name: "Portfolio Tracker".into(),
            publisher: None,
            homepage: None,
            last_used_at: None,
            last_used_from: None,
            unused: true,
            test: true,
            scopes: Vec::new(),
            grants: Vec::new(),
            key: None,
            called: Vec::new(),
            history: Vec::new(),
            ..busy.clone()
        };
        let with_disabled_key = Self {
            key: busy.key.clone().map(|key| ConnectedKey {
                last_used_at: None,
                disabled_at: Some(Moment::sample("2026-04-01T12:00:00Z", "yesterday")),
                permissions: Vec::new(),
                ..key
            }),
            ..idle.clone()
        };
        vec![busy, idle, with_disabled_key]
    }
}

fn busy_app() -> ConnectedApp {
    let granted_at = Moment::sample("2026-03-12T09:00:00Z", "12 March 2026");
    let recently = Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago");
    let scope = |id: &str, kind, tier, text: &str| ConnectedScope {
        id: id.into(),
        kind,
        tier,
        text: text.into(),
        ends_access: id == "balances.read",
    };
    ConnectedApp {
        layout: Layout::sample().in_section(Section::Connected),
        id: "c1".into(),
        name: "Trading Bot".into(),
        logo_url: None,
        publisher: Some("Northwind Labs".into()),
        homepage: Some("https://bot.example.com/".into()),
        granted_at: granted_at.clone(),
        last_used_at: Some(recently.clone()),
        last_used_from: Some("203.0.113.24".into()),
        unused: false,
        test: false,
        scopes: vec![
            scope("balances.read", ScopeKind::Read, Tier::Sensitive, "See your balances"),
            scope("orders.cancel", ScopeKind::Change, Tier::Low, "Cancel your open orders"),
            scope("orders.place", ScopeKind::Money, Tier::High, "Buy and sell with your funds"),
        ],
        grants: vec![
            LiveGrant {
                id: "g1".into(),
                label: "Web app".into(),
                created_at: granted_at.clone(),
                last_used_at: Some(recently.clone()),
                address: Some("203.0.113.24".into()),
            },
            LiveGrant {
                id: "g2".into(),
                label: "Web app".into(),
                created_at: Moment::sample("2026-03-30T18:20:00Z", "3 days ago"),
                last_used_at: None,
                address: None,
            },
        ],
        key: Some(ConnectedKey {
            public: "4f3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c".into(),
            created_at: granted_at.clone(),
            last_used_at: Some(recently.clone()),
            disabled_at: None,
            permissions: vec![
                KeyPermissions {
                    title: "Trading".into(),
                    moves_money: false,
                    urls: vec!["/api/v4/order/new".into(), "/api/v4/order/cancel".into()],
                },
                KeyPermissions {
                    title: "Move money".into(),
                    moves_money: true,
                    urls: vec!["/api/v4/main-account/transfer".into()],
                },
            ],
        }),
        called: vec![
            CalledFamily { family: "POST /api/v4/order/new".into(), count: 1204, refused: 0 },
            CalledFamily { family: "GET /api/v4/balance".into(), count: 318, refused: 0 },
            CalledFamily { family: "POST /api/v4/withdraw".into(), count: 2, refused: 2 },
        ],
        called_span: "in the last 30 days".into(),
        history: vec![
            HistoryEntry { at: recently, text: "Its access was renewed.".into() },
            HistoryEntry {
                at: Moment::sample("2026-04-01T12:00:00Z", "yesterday"),
                text: "You took back “See your past trades”.".into(),
            },
            HistoryEntry { at: granted_at, text: "You allowed 4 permissions.".into() },
        ],
    }
}

/// `GET /connected/{id}/report`.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `report` | POST `/connected/{id}/report` | `what`, `revoke` (checkbox, `yes`), hidden `csrf` |
#[derive(Clone, Debug, Serialize)]
pub struct ReportApp {
    pub layout: Layout,
    pub id: String,
    pub name: String,
    /// What was typed before an error.
    pub what: String,
    pub error: Option<String>,
}

impl View for ReportApp {
    const TEMPLATE: &'static str = "report_app.html";

    fn sample() -> Vec<Self> {
        let empty = Self {
            layout: Layout::sample().in_section(Section::Connected),
            id: "c1".into(),
            name: "Trading Bot".into(),
            what: String::new(),
            error: None,
        };
        let error = Some("Write a sentence about what happened.".into());
        vec![empty.clone(), Self { error, ..empty }]
    }
}
