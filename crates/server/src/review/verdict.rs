//! What a reviewer decides about an app, and what the audit trail says of it.

use std::collections::BTreeMap;

use domain::app::{App, AppError};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::UserId;
use domain::revision::RevisionField;
use domain::time::Timestamp;
use protocol::params::Params;
use protocol::scope::{ScopeName, ScopeSet};
use serde_json::{Value, json};

use crate::error::PageError;
use crate::flash::Done;
use crate::pages::views::ReviewApp;
use crate::portal::changes::told;

/// Of a note or a condition, in characters.
const NOTE_MAX: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Approve,
    AskForChanges,
    Reject,
}

impl Decision {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "approve" => Some(Self::Approve),
            "ask" => Some(Self::AskForChanges),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }

    pub(super) const fn done(self) -> Done {
        match self {
            Self::Approve => Done::AppApproved,
            Self::AskForChanges => Done::ChangesAsked,
            Self::Reject => Done::AppRejected,
        }
    }

    /// As webhooks and messages call it.
    pub(super) const fn told(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::AskForChanges => "changes_asked",
            Self::Reject => "rejected",
        }
    }

    const fn audit_kind(self) -> AuditKind {
        match self {
            Self::Approve => AuditKind::AppApproved,
            Self::AskForChanges => AuditKind::AppChangesAsked,
            Self::Reject => AuditKind::AppRejected,
        }
    }
}

/// What the reviewer decided.
pub(crate) struct Verdict {
    pub(crate) decision: Decision,
    scopes: ScopeSet,
    conditions: BTreeMap<ScopeName, String>,
    pub(crate) note: String,
    pub(super) revision: String,
}

impl Verdict {
    pub(crate) fn read(params: &Params, app: &App) -> Result<Self, PageError> {
        let decision = params.one("decision")?.and_then(Decision::parse);
        let decision =
            decision.ok_or(PageError::BadRequest("The form carries no decision.".into()))?;
        let ticked: Vec<_> = params.all("scope").collect();
        let mut conditions = BTreeMap::new();
        for scope in &app.requested_scopes() {
            let text = params.one(&format!("condition.{scope}"))?.unwrap_or_default().trim();
            if !text.is_empty() {
                conditions.insert(scope.clone(), text.to_owned());
            }
        }
        let is_ticked = |scope: &&ScopeName| ticked.contains(&scope.as_str());
        Ok(Self {
            decision,
            scopes: app.requested_scopes().iter().filter(is_ticked).cloned().collect(),
            conditions,
            note: params.one("note")?.unwrap_or_default().trim().replace("\r\n", "\n"),
            revision: params.one("revision")?.unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn error(&self, app: &App) -> Option<&'static str> {
        let texts = self.conditions.values().chain([&self.note]);
        if texts.into_iter().any(|text| text.chars().count() > NOTE_MAX) {
            return Some("Use at most 1000 characters for a note or a condition.");
        }
        let asks = !app.requested.is_empty();
        match self.decision {
            Decision::Reject if self.note.is_empty() => {
                Some("Write a note to the developer to reject.")
            }
            Decision::AskForChanges if self.note.is_empty() => {
                Some("Write in the note what the developer should change.")
            }
            Decision::Approve if asks && self.scopes.is_empty() => {
                Some("Tick at least one scope, or reject the app.")
            }
            _ => None,
        }
    }

    pub(super) fn show_again(self, page: &mut ReviewApp, error: &str) {
        for scope in &mut page.scopes {
            scope.approve = self.scopes.contains(&scope.id);
            let typed = ScopeName::parse(&scope.id).ok().and_then(|s| self.conditions.get(&s));
            scope.condition = typed.cloned().unwrap_or_default();
        }
        page.note = self.note;
        page.error = Some(error.to_owned());
    }

    /// The app after the decision and what the audit says: what was shown, and what was decided.
    /// `portal::app_view` reads it back.
    pub(super) fn apply(
        &self,
        app: App,
        by: UserId,
        now: Timestamp,
    ) -> Result<(App, AuditEvent), AppError> {
        let (shown, is_live) = (shown(&app), app.is_admitted());
        let asked = app.requested_scopes();
        let kept = match self.decision {
            Decision::Approve => self.scopes.clone(),
            Decision::AskForChanges => asked.clone(),
            // Of a live app only the change is rejected.
            Decision::Reject if is_live => app.approved.clone(),
            Decision::Reject => ScopeSet::new(),
        };
        let refused = asked.difference(&kept);
        let said = |scopes: &ScopeSet, otherwise: &str| -> Value {
            let text = |scope: &ScopeName| {
                self.conditions.get(scope).map_or(otherwise, String::as_str).to_owned()
            };
            scopes.iter().map(|scope| (scope.to_string(), Value::String(text(scope)))).collect()
        };
        let conditions: ScopeSet =
            self.conditions.keys().filter(|s| kept.contains(s.as_str())).cloned().collect();
        let app = match self.decision {
            Decision::Approve => app.approve(&self.scopes, by, now)?,
            Decision::AskForChanges => app.ask_for_changes(self.note.clone(), now)?,
            Decision::Reject if is_live => app.refuse_pending(now)?,
            Decision::Reject => app.reject(self.note.clone(), now)?,
        };
        let detail = json!({
            "shown": shown,
            "approved": app.approved,
            "conditions": said(&conditions, ""),
            "refused": said(&refused, &self.note),
            "note": self.note,
        });
        let kind = self.decision.audit_kind();
        let event = AuditEvent::new(now, kind, AuditActor::User(by)).app(app.id).detail(detail);
        Ok((app, event))
    }
}

/// What a reviewer had before them.
fn shown(app: &App) -> Value {
    let (latest, stands) = (app.latest_revision(), app.revision());
    let texts: BTreeMap<_, _> =
        RevisionField::ALL.map(|field| (field.name(), latest.text(field))).into_iter().collect();
    json!({
        "revision": texts,
        "changes": stands.changes(&latest).iter().map(told).collect::<Vec<_>>(),
        "requested": app.requested,
    })
}
