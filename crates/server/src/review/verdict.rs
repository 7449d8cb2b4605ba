//! What a reviewer decides about an app, and what the audit trail says of it.

use std::collections::BTreeMap;

use domain::app::{App, AppError};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::condition::Conditions;
use domain::id::UserId;
use domain::revision::RevisionField;
use domain::time::Timestamp;
use protocol::params::Params;
use protocol::scope::{ScopeName, ScopeSet};
use serde_json::{Value, json};

use super::terms::{self, NOTE_MAX, TypedTerms};
use crate::error::PageError;
use crate::flash::Done;
use crate::pages::views::ReviewApp;
use crate::portal::changes::told;

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
    terms: BTreeMap<ScopeName, TypedTerms>,
    pub(crate) note: String,
    pub(super) revision: String,
}

impl Verdict {
    pub(crate) fn read(params: &Params, app: &App, is_undecided: bool) -> Result<Self, PageError> {
        let decision = params.one("decision")?.and_then(Decision::parse);
        // Only to have a text inserted: nothing is done with it.
        let decision = decision.or(is_undecided.then_some(Decision::AskForChanges));
        let decision =
            decision.ok_or(PageError::BadRequest("The form carries no decision.".into()))?;
        let ticked: Vec<_> = params.all("scope").collect();
        let mut terms = BTreeMap::new();
        for scope in &app.requested_scopes() {
            terms.insert(scope.clone(), TypedTerms::read(params, scope.as_str())?);
        }
        let is_ticked = |scope: &&ScopeName| ticked.contains(&scope.as_str());
        Ok(Self {
            decision,
            scopes: app.requested_scopes().iter().filter(is_ticked).cloned().collect(),
            terms,
            note: params.one("note")?.unwrap_or_default().trim().replace("\r\n", "\n"),
            revision: params.one("revision")?.unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn error(&self, app: &App, now: Timestamp) -> Option<&'static str> {
        if self.note.chars().count() > NOTE_MAX {
            return Some("Use at most 1000 characters for a note or a condition.");
        }
        if let Some(error) = self.terms.values().find_map(|terms| terms.condition(now).err()) {
            return Some(error);
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

    /// The form as it was typed, with what is wrong, if anything is.
    pub(super) fn show_again(self, page: &mut ReviewApp, error: Option<&str>) {
        for scope in &mut page.scopes {
            scope.approve = self.scopes.contains(&scope.id);
            let typed = ScopeName::parse(&scope.id).ok().and_then(|s| self.terms.get(&s));
            let TypedTerms { note, users, until, tests_only } = typed.cloned().unwrap_or_default();
            (scope.condition, scope.user_max, scope.until) = (note, users, until);
            scope.tests_only = tests_only;
        }
        page.note = self.note;
        page.error = error.map(str::to_owned);
    }

    /// What approvals are bound to.
    fn conditions(&self, now: Timestamp) -> Conditions {
        let one = |(scope, typed): (&ScopeName, &TypedTerms)| {
            let condition = typed.condition(now).ok().filter(|one| !one.is_none())?;
            Some((scope.clone(), condition))
        };
        self.terms.iter().filter_map(one).collect()
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
        let reason = |scope: &ScopeName| {
            let own = self.terms.get(scope).map(|terms| terms.note.as_str());
            own.filter(|note| !note.is_empty()).unwrap_or(&self.note).to_owned()
        };
        let refused: BTreeMap<_, _> =
            refused.iter().map(|scope| (scope.to_string(), reason(scope))).collect();
        let mut conditions = self.conditions(now);
        conditions.retain(|scope, _| kept.contains(scope.as_str()));
        let said: BTreeMap<_, _> =
            conditions.iter().map(|(scope, one)| (scope.to_string(), terms::words(one))).collect();
        let app = match self.decision {
            Decision::Approve => app.approve_on(&self.scopes, conditions.clone(), by, now)?,
            Decision::AskForChanges => app.ask_for_changes(self.note.clone(), now)?,
            Decision::Reject if is_live => app.refuse_pending(now)?,
            Decision::Reject => app.reject(self.note.clone(), now)?,
        };
        let detail = json!({
            "shown": shown,
            "approved": app.approved,
            "conditions": said,
            "terms": conditions,
            "refused": refused,
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
        "approved": app.approved,
        "conditions": app.review.conditions,
    })
}
