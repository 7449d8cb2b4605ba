//! The audit trail, for staff.

use serde::Serialize;

use super::{Layout, Moment, Section, View};

/// `GET /staff/audit`.
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `find` | GET `/staff/audit` | `kind`, `actor`, `app`, `user`, `id`, `from`, `until` |
#[derive(Clone, Debug, Serialize)]
pub struct AuditLog {
    pub layout: Layout,
    pub kinds: Vec<&'static str>,
    pub form: AuditForm,
    /// What of the form means nothing.
    pub error: Option<&'static str>,
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Where older events are.
    pub next: Option<String>,
    /// The filters, for the links to the files.
    pub export_query: String,
    pub export_max: u64,
}

/// What was typed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditForm {
    pub kind: String,
    pub actor: String,
    pub app: String,
    pub user: String,
    pub id: String,
    pub from: String,
    pub until: String,
}

impl AuditForm {
    pub(crate) fn pairs(&self) -> [(&str, &str); 7] {
        [
            ("kind", &self.kind),
            ("actor", &self.actor),
            ("app", &self.app),
            ("user", &self.user),
            ("id", &self.id),
            ("from", &self.from),
            ("until", &self.until),
        ]
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct AuditEntry {
    pub position: i64,
    pub at: Moment,
    pub kind: &'static str,
    pub actor: String,
    /// Whom it concerns, if not the actor.
    pub user: Option<String>,
    pub app: Option<String>,
    pub address: Option<String>,
}

/// `GET /staff/audit/{position}`.
#[derive(Clone, Debug, Serialize)]
pub struct AuditEventPage {
    pub layout: Layout,
    pub entry: AuditEntry,
    pub iso: String,
    /// Empty: the event has none.
    pub app_id: String,
    pub user_id: String,
    pub consent_id: String,
    pub grant_id: String,
    /// JSON, indented.
    pub detail: String,
    /// `None`: too young to be in one.
    pub block: Option<i64>,
}

fn entries() -> Vec<AuditEntry> {
    let entry = |position: i64, kind, actor: &str| AuditEntry {
        position,
        at: Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago"),
        kind,
        actor: actor.into(),
        user: None,
        app: Some("Trading Bot".into()),
        address: Some("203.0.113.7".into()),
    };
    vec![
        entry(1042, "app.approved", "review@example.com"),
        AuditEntry {
            user: Some("alice@example.com".into()),
            ..entry(1041, "grant.created", "Trading Bot")
        },
        AuditEntry { app: None, address: None, ..entry(1040, "policy.changed", "the server") },
    ]
}

impl View for AuditLog {
    const TEMPLATE: &'static str = "audit_log.html";

    fn sample() -> Vec<Self> {
        let full = Self {
            layout: Layout::staff_sample().in_section(Section::Audit),
            kinds: vec!["app.approved", "consent.given"],
            form: AuditForm::default(),
            error: None,
            entries: entries(),
            next: Some("/staff/audit?before=1040".into()),
            export_query: "kind=".into(),
            export_max: 100_000,
        };
        let wrong = Self {
            form: AuditForm { from: "soon".into(), ..AuditForm::default() },
            error: Some("Write days as 2026-05-03."),
            entries: Vec::new(),
            next: None,
            ..full.clone()
        };
        vec![full, wrong]
    }
}

impl View for AuditEventPage {
    const TEMPLATE: &'static str = "audit_event.html";

    fn sample() -> Vec<Self> {
        let entry = entries().swap_remove(0);
        let page = Self {
            layout: Layout::staff_sample().in_section(Section::Audit),
            entry,
            iso: "2026-04-02T08:57:00Z".into(),
            app_id: "0102030405060708090a0b0c0d0e0f10".into(),
            user_id: "1102030405060708090a0b0c0d0e0f10".into(),
            consent_id: String::new(),
            grant_id: String::new(),
            detail: "{\n  \"approved\": \"balances.read\",\n  \"note\": \"\"\n}".into(),
            block: Some(17),
        };
        vec![page.clone(), Self { block: None, ..page }]
    }
}
