//! What became of an application's requests; and what staff see of requests for plans and perks.

use serde::Serialize;

use super::{AppFrame, AppTab, Layout, Moment, Section, View};

/// `app_requests.html`, GET `/apps/{id}/requests`. The form `filter` is a GET: `time`, `status`,
/// `reason`, `route`, `request_id`.
#[derive(Clone, Debug, Serialize)]
pub struct AppRequests {
    pub layout: Layout,
    pub frame: AppFrame,
    pub filter: RequestFilter,
    /// Requests in the time that the filter names, and how many of them are remembered.
    pub happened: u64,
    pub listed: u64,
    pub is_sampled: bool,
    /// Every reason and its words.
    pub reasons: Vec<(&'static str, &'static str)>,
    /// Suggestions.
    pub routes: Vec<String>,
    pub requests: Vec<LoggedRequest>,
    /// The query of the next page.
    pub next: Option<String>,
    /// Where the list is as a file.
    pub csv: String,
}

/// As it was typed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestFilter {
    /// `hour`, `day`, else a week.
    pub time: String,
    /// `2xx` to `5xx`, or one status.
    pub status: String,
    pub reason: String,
    pub route: String,
    pub request_id: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct LoggedRequest {
    pub at: Moment,
    pub method: String,
    pub route: String,
    pub status: u16,
    /// In words; empty when it went well.
    pub reason: String,
    /// The missing scopes, for example.
    pub detail: String,
    pub latency: String,
    pub request_id: String,
    pub is_test: bool,
    /// A short mark, not who it is.
    pub user: String,
}

impl View for AppRequests {
    const TEMPLATE: &'static str = "app_requests.html";

    fn sample() -> Vec<Self> {
        let request = |status, route: &str, reason: &str, detail: &str| LoggedRequest {
            at: Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago"),
            method: "GET".into(),
            route: route.into(),
            status,
            reason: reason.into(),
            detail: detail.into(),
            latency: "12.4 ms".into(),
            request_id: "51c7a4f79b9773e9".into(),
            is_test: status == 503,
            user: if status == 401 { String::new() } else { "3f09a1c2".into() },
        };
        let full = Self {
            layout: Layout::sample().in_section(Section::Apps),
            frame: AppFrame::sample(AppTab::Requests),
            filter: RequestFilter::default(),
            happened: 1240,
            listed: 60,
            is_sampled: true,
            reasons: vec![("scope", "A scope is missing"), ("quota", "The plan is used up")],
            routes: vec!["GET /api/v4/orders/{id}".into()],
            requests: vec![
                request(403, "/api/v4/orders/{id}", "A scope is missing", "orders.read"),
                request(200, "/api/v4/orders/{id}", "", ""),
                request(401, "/oauth/token", "The client id or its secret is wrong", ""),
                request(429, "/api/v4/orders", "The calls of the plan are used up", ""),
                request(503, "/api/v4/orders", "Too many calls waited for the API", ""),
            ],
            next: Some("after=1-a".into()),
            csv: "/apps/a1/requests.csv".into(),
        };
        let filter = RequestFilter {
            time: "day".into(),
            status: "4xx".into(),
            reason: "scope".into(),
            route: "GET /api/v4/orders".into(),
            request_id: "51c7a4f79b9773e9".into(),
        };
        vec![
            Self { filter, requests: Vec::new(), next: None, is_sampled: false, ..full.clone() },
            Self {
                happened: 0,
                listed: 0,
                is_sampled: false,
                requests: Vec::new(),
                ..full.clone()
            },
            full,
        ]
    }
}

/// `plan_queue.html`, GET `/staff/requests`. The form `decide-{id}`, POST `/staff/requests/{id}`:
/// `note`, `decision` (`grant`, `refuse`).
#[derive(Clone, Debug, Serialize)]
pub struct PlanQueue {
    pub layout: Layout,
    pub waiting: Vec<WaitingWish>,
    pub next: Option<String>,
    /// The request, what is wrong with its form, and the note that was typed.
    pub error: Option<(String, String, String)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct WaitingWish {
    pub id: String,
    pub app_name: String,
    pub publisher: String,
    /// `plan`, `perk`
    pub kind: &'static str,
    pub title: String,
    /// The plan that it has.
    pub has: String,
    pub reason: String,
    pub since: Moment,
    pub users: u64,
    pub calls_this_month: u64,
}

impl View for PlanQueue {
    const TEMPLATE: &'static str = "plan_queue.html";

    fn sample() -> Vec<Self> {
        let wish = |id: &str, kind, title: &str| WaitingWish {
            id: id.into(),
            app_name: "Trading Bot".into(),
            publisher: "Northwind Labs".into(),
            kind,
            title: title.into(),
            has: "Starter".into(),
            reason: "Two hundred users wait to be let in.\nThey trade twice a day.".into(),
            since: Moment::sample("2026-03-31T08:57:00Z", "2 days ago"),
            users: 50,
            calls_this_month: 91_004,
        };
        let layout = Layout::staff_sample().in_section(Section::PlanRequests);
        let waiting = vec![wish("w1", "plan", "Grow"), wish("w2", "perk", "A premium month")];
        let error = ("w1".to_owned(), "Say why; the developer reads it.".to_owned(), String::new());
        vec![
            Self { layout: layout.clone(), waiting: Vec::new(), next: None, error: None },
            Self { layout, waiting, next: Some("1-w2".into()), error: Some(error) },
        ]
    }
}
