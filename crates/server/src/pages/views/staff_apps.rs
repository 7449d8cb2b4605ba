//! All apps, for staff, and what users report about them.

use serde::Serialize;

use super::{AppKind, AppStatus, Layout, Moment, Section, View};
/// `GET /staff/apps`.
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `find` | GET `/staff/apps` | `q` |
/// | `suspend` (`suspend-{id}`) | POST `/staff/apps/{id}/suspend` | `reason`, hidden `csrf` |
/// | `resume` (`resume-{id}`) | POST `/staff/apps/{id}/resume` | `reason`, hidden `csrf` |
#[derive(Clone, Debug, Serialize)]
pub struct StaffApps {
    pub layout: Layout,
    /// What was searched for.
    pub query: String,
    /// What users reported last, above the list and not in it.
    pub reported: Vec<StaffApp>,
    /// In the order of their names.
    pub apps: Vec<StaffApp>,
    /// Where the list goes on: the link `next`.
    pub next: Option<String>,
    /// The app whose form was refused, as its `id` and the reason.
    pub error: Option<(String, String)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct StaffApp {
    pub id: String,
    pub name: String,
    pub publisher: String,
    pub kind: AppKind,
    pub status: AppStatus,
    /// Why it is suspended.
    pub reason: Option<String>,
    pub client_id: String,
    pub user_count: u64,
    pub last_call_at: Option<Moment>,
    /// What users wrote about it, newest first.
    pub reports: Vec<UserReport>,
}

/// A user's words from the page *Report this app*.
#[derive(Clone, Debug, Serialize)]
pub struct UserReport {
    pub at: Moment,
    pub text: String,
}

impl View for StaffApps {
    const TEMPLATE: &'static str = "staff_apps.html";

    fn sample() -> Vec<Self> {
        let layout = Layout::staff_sample().in_section(Section::StaffApps);
        let live = StaffApp {
            id: "a1".into(),
            name: "Trading Bot".into(),
            publisher: "Northwind Labs".into(),
            kind: AppKind::Web,
            status: AppStatus::Live,
            reason: None,
            client_id: "trading-bot".into(),
            user_count: 1284,
            last_call_at: Some(Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago")),
            reports: Vec::new(),
        };
        let stopped = StaffApp {
            id: "a4".into(),
            name: "Chart Wall".into(),
            status: AppStatus::Suspended,
            reason: Some("Asks users for their password.".into()),
            client_id: "app_a4".into(),
            user_count: 1,
            last_call_at: None,
            reports: vec![UserReport {
                at: Moment::sample("2026-04-01T12:00:00Z", "1 day ago"),
                text: "It asked me for my exchange password in its own window.".into(),
            }],
            ..live.clone()
        };
        let waiting = StaffApp {
            id: "a2".into(),
            name: "Pocket Orders".into(),
            status: AppStatus::InReview,
            ..stopped.clone()
        };
        let waiting = StaffApp { reason: None, reports: Vec::new(), ..waiting };
        let error = Some(("a1".into(), "Say why, the developer will read it.".into()));
        let none = Self {
            layout: layout.clone(),
            query: "zzz".into(),
            reported: Vec::new(),
            apps: Vec::new(),
            next: None,
            error: None,
        };
        vec![
            Self {
                layout,
                query: String::new(),
                reported: vec![stopped],
                apps: vec![live.clone(), waiting],
                next: Some("/staff/apps?q=&after=a2".into()),
                error: None,
            },
            Self { query: "bot".into(), apps: vec![live], error, ..none.clone() },
            none,
        ]
    }
}
