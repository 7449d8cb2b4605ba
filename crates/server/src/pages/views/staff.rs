//! Review and suspension, for staff.

use serde::Serialize;

use super::{
    AppKind, AppStatus, Layout, MessageForm, Moment, ScopeKind, Section, ThreadMessage, Tier, View,
};

/// `GET /staff/review`. Each entry links to `/staff/review/{id}`.
#[derive(Clone, Debug, Serialize)]
pub struct ReviewQueue {
    pub layout: Layout,
    /// Oldest first.
    pub entries: Vec<QueueEntry>,
    /// Where the queue goes on.
    pub next: Option<String>,
    pub form: QueueForm,
    /// Developers who wait for an answer; the longest first.
    pub questions: Vec<Question>,
}

/// The filters as they are set; words of a closed list. GET `/staff/review`, form `filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct QueueForm {
    /// `staff` or `developer`; `nobody`: live apps that staff have not looked at.
    pub whom: &'static str,
    /// Empty, `new`, `change`, `again`, `reported` or `transferred`.
    pub kind: &'static str,
    pub tier: &'static str,
    /// Empty, `me` or `nobody`.
    pub assigned: &'static str,
}

impl QueueForm {
    const ALL: Self = Self { whom: "staff", kind: "", tier: "", assigned: "" };

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::ALL
    }

    pub(crate) fn pairs(&self) -> [(&str, &str); 4] {
        let Self { whom, kind, tier, assigned } = self;
        [("whom", whom), ("kind", kind), ("tier", tier), ("assigned", assigned)]
    }
}

/// What was decided about an app before. Links to `/staff/audit/{position}`.
#[derive(Clone, Debug, Serialize)]
pub struct PastDecision {
    pub position: i64,
    pub at: Moment,
    pub what: &'static str,
    pub by: String,
    /// Scopes, separated by spaces.
    pub approved: String,
    pub refused: String,
    pub note: String,
}

/// Links to `/staff/apps/{id}/messages`.
#[derive(Clone, Debug, Serialize)]
pub struct Question {
    pub id: String,
    pub name: String,
    pub since: Moment,
}

#[derive(Clone, Debug, Serialize)]
pub struct QueueEntry {
    pub id: String,
    pub name: String,
    pub publisher: String,
    pub kind: AppKind,
    /// Nothing of it waits: it is live, and staff have not looked at it.
    pub is_settled: bool,
    /// A change to a live app, not a new app.
    pub is_change: bool,
    pub waiting_since: Moment,
    pub scope_count: u64,
    pub flags: Vec<RiskFlag>,
    /// The policy wants staff to look once more; it is live.
    pub is_due_again: bool,
    /// Who takes care of it.
    pub assignee: Option<String>,
}

/// Something that deserves a second look: "New redirect host", "High-tier scope".
#[derive(Clone, Debug, Serialize)]
pub struct RiskFlag {
    pub label: String,
    /// Why it was raised; shown on the review itself.
    pub detail: String,
    pub serious: bool,
}

impl View for ReviewQueue {
    const TEMPLATE: &'static str = "review_queue.html";

    fn sample() -> Vec<Self> {
        let layout = Layout::staff_sample().in_section(Section::Review);
        let entries = vec![
            QueueEntry {
                id: "r1".into(),
                name: "Pocket Orders".into(),
                publisher: "dev@example.com".into(),
                kind: AppKind::Native,
                is_settled: false,
                is_change: false,
                waiting_since: Moment::sample("2026-03-28T10:00:00Z", "5 days ago"),
                scope_count: 3,
                flags: risk_flags(),
                is_due_again: false,
                assignee: Some("Rita Viewer".into()),
            },
            QueueEntry {
                id: "r2".into(),
                name: "Ledger Sync".into(),
                publisher: "Northwind Labs".into(),
                kind: AppKind::Service,
                is_settled: false,
                is_change: true,
                waiting_since: Moment::sample("2026-04-02T08:00:00Z", "1 hour ago"),
                scope_count: 1,
                flags: Vec::new(),
                is_due_again: true,
                assignee: None,
            },
        ];
        let question = Question {
            id: "a1".into(),
            name: "Trading Bot".into(),
            since: Moment::sample("2026-04-01T08:00:00Z", "1 day ago"),
        };
        let next = Some("/staff/review?after=1-0".into());
        let form = QueueForm { whom: "developer", kind: "again", tier: "high", assigned: "me" };
        let full = Self {
            layout: layout.clone(),
            entries,
            next,
            questions: vec![question],
            form: QueueForm::ALL,
        };
        let empty = Self {
            entries: Vec::new(),
            next: None,
            questions: Vec::new(),
            form: QueueForm::ALL,
            ..full.clone()
        };
        vec![full, empty.clone(), Self { form, ..empty }]
    }
}

fn risk_flags() -> Vec<RiskFlag> {
    vec![
        RiskFlag {
            label: "High-tier scope".into(),
            detail: "orders.place can move the user’s money.".into(),
            serious: true,
        },
        RiskFlag {
            label: "Custom scheme".into(),
            detail: "Another app on the same phone could claim net.example.pocket.".into(),
            serious: false,
        },
    ]
}

/// `GET /staff/review/{id}`.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `review` | POST `/staff/review/{id}` | `scope`, `condition.{scope}`, `note`, `decision` |
///
/// A hidden field carries `revision`. `scope` is repeated, once per approved one; `decision` is
/// `approve`, `ask` or `reject`. Scope checkboxes start ticked; an unticked one is refused while
/// the app is approved. The buttons are `#approve`, `#ask` and `#reject`; `note` is needed for the
/// last two.
#[derive(Clone, Debug, Serialize)]
pub struct ReviewApp {
    /// As it would be if it were approved; users see it once the brand is verified.
    pub logo_url: Option<String>,
    pub layout: Layout,
    pub id: String,
    /// Which state of the app is shown; comes back as the hidden field `revision`, so that a
    /// decision never falls on something the reviewer has not seen.
    pub revision: String,
    pub name: String,
    pub publisher: String,
    pub kind: AppKind,
    pub client_id: String,
    pub description: String,
    pub homepage: Option<String>,
    pub privacy_url: Option<String>,
    pub terms_url: Option<String>,
    pub redirect_uris: Vec<String>,
    pub waiting_since: Moment,
    pub user_count: u64,
    pub flags: Vec<RiskFlag>,
    pub scopes: Vec<ReviewScope>,
    /// Differences against the last approved revision; empty for a new app.
    pub changes: Vec<FieldChange>,
    pub thread: Vec<ThreadMessage>,
    /// What was typed before an error.
    pub note: String,
    pub error: Option<String>,
    pub is_due_again: bool,
    /// Whether there is anything to decide.
    pub awaits_staff: bool,
    /// Who takes care of it.
    pub assignee: Option<String>,
    pub is_mine: bool,
    pub care: CareForm,
    pub brand_verified_at: Option<Moment>,
    /// Titles of answers that can be inserted.
    pub answers: Vec<String>,
    /// Newest first.
    pub history: Vec<PastDecision>,
}

/// What was typed into the forms `assign-colleague` and `brand` before an error.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CareForm {
    pub colleague: String,
    pub colleague_error: Option<String>,
    pub evidence: String,
    pub evidence_error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ReviewScope {
    pub id: String,
    pub kind: ScopeKind,
    pub tier: Tier,
    pub text: String,
    pub purpose: Option<String>,
    pub required: bool,
    /// Was not part of the last approved revision.
    pub new: bool,
    pub approve: bool,
    /// What the approval is bound to, as it is typed.
    pub condition: String,
    pub user_max: String,
    pub until: String,
    pub tests_only: bool,
}

/// One field before and after.
#[derive(Clone, Debug, Serialize)]
pub struct FieldChange {
    pub field: String,
    pub before: String,
    pub after: String,
    /// Both are addresses of pictures.
    pub is_picture: bool,
}

impl View for ReviewApp {
    const TEMPLATE: &'static str = "review_app.html";

    fn sample() -> Vec<Self> {
        let new = new_app_review();
        let change = Self {
            thread: ThreadMessage::samples(),
            changes: vec![
                FieldChange {
                    field: "Redirect URIs".into(),
                    before: "https://bot.example.com/cb".into(),
                    after: "https://b0t.example.net/cb".into(),
                    is_picture: false,
                },
                FieldChange {
                    field: "Logo".into(),
                    before: String::new(),
                    after: "/assets/consentry.svg".into(),
                    is_picture: true,
                },
            ],
            care: CareForm {
                colleague: "nobody@example.com".into(),
                colleague_error: Some("Nobody of staff has this address.".into()),
                evidence: String::new(),
                evidence_error: Some("Write in at most 1,000 characters what you saw.".into()),
            },
            flags: Vec::new(),
            homepage: None,
            privacy_url: None,
            terms_url: None,
            user_count: 12,
            is_due_again: true,
            assignee: Some("Rita Viewer".into()),
            is_mine: true,
            brand_verified_at: Some(Moment::sample("2026-03-01T10:00:00Z", "1 March 2026")),
            note: "Why the new host?".into(),
            error: Some("Write a note to the developer to reject.".into()),
            ..new.clone()
        };
        let done = Self { awaits_staff: false, answers: Vec::new(), ..new.clone() };
        vec![new, change, done]
    }
}

fn new_app_review() -> ReviewApp {
    let scope = |id: &str, kind, tier, text: &str, new: bool| ReviewScope {
        id: id.into(),
        kind,
        tier,
        text: text.into(),
        purpose: new.then(|| "To place the orders that the user taps.".into()),
        required: new,
        new,
        approve: true,
        condition: String::new(),
        user_max: if new { "100".into() } else { String::new() },
        until: if new { "2027-05-03".into() } else { String::new() },
        tests_only: false,
    };
    ReviewApp {
        logo_url: Some("/assets/consentry.svg".into()),
        layout: Layout::staff_sample().in_section(Section::Review),
        id: "r1".into(),
        revision: "1774692000000".into(),
        name: "Pocket Orders".into(),
        publisher: "dev@example.com".into(),
        kind: AppKind::Native,
        client_id: "app_a2".into(),
        description: "Place and watch orders from your phone.".into(),
        homepage: Some("https://pocket.example.net/".into()),
        privacy_url: Some("https://pocket.example.net/privacy".into()),
        terms_url: Some("https://pocket.example.net/terms".into()),
        redirect_uris: vec![
            "https://pocket.example.net/callback".into(),
            "net.example.pocket:/callback".into(),
        ],
        waiting_since: Moment::sample("2026-03-28T10:00:00Z", "5 days ago"),
        user_count: 0,
        flags: risk_flags(),
        scopes: vec![
            scope("balances.read", ScopeKind::Read, Tier::Sensitive, "See balances", false),
            scope("orders.place", ScopeKind::Money, Tier::High, "Buy and sell", true),
        ],
        changes: Vec::new(),
        thread: Vec::new(),
        note: String::new(),
        error: None,
        is_due_again: false,
        awaits_staff: true,
        assignee: None,
        is_mine: false,
        care: CareForm::default(),
        brand_verified_at: None,
        answers: vec!["Which host is yours?".into()],
        history: vec![PastDecision {
            position: 7,
            at: Moment::sample("2026-03-01T10:00:00Z", "1 March 2026"),
            what: "Changes asked",
            by: "Rita Viewer".into(),
            approved: "balances.read".into(),
            refused: "orders.place".into(),
            note: "What are the orders for?".into(),
        }],
    }
}

/// `GET /staff/apps/{id}/messages`.
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `send-message` | POST `/staff/apps/{id}/messages` | `message` |
#[derive(Clone, Debug, Serialize)]
pub struct StaffThread {
    pub layout: Layout,
    pub id: String,
    pub name: String,
    pub publisher: String,
    pub status: AppStatus,
    /// Links to its review.
    pub awaits_review: bool,
    pub thread: Vec<ThreadMessage>,
    /// Titles of answers that can be inserted.
    pub answers: Vec<String>,
    pub message: MessageForm,
}

impl View for StaffThread {
    const TEMPLATE: &'static str = "staff_thread.html";

    fn sample() -> Vec<Self> {
        let full = Self {
            layout: Layout::staff_sample().in_section(Section::Review),
            id: "a1".into(),
            name: "Trading Bot".into(),
            publisher: "Northwind Labs".into(),
            status: AppStatus::Live,
            awaits_review: true,
            thread: ThreadMessage::samples(),
            answers: vec!["Which host is yours?".into()],
            message: MessageForm::default(),
        };
        let error = Some("Write something first.".into());
        let empty = Self {
            thread: Vec::new(),
            awaits_review: false,
            message: MessageForm { text: String::new(), error },
            ..full.clone()
        };
        vec![full, empty]
    }
}
