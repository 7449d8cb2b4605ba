//! An app that waits for staff, with what a reviewer compares it with.

use domain::app::{App, ScopeRequest};
use domain::audit::AuditEvent;
use domain::id::{AppId, UserId};
use domain::policy::Policy;
use domain::revision::Revision;
use domain::time::Timestamp;
use store::{DbError, Tx, apps, audit, consents, users};

use super::flags::{Surroundings, flags};
use super::queue::QueueKind;
use super::terms::TypedTerms;
use super::{answers, history};
use crate::actor::SignedInUser;
use crate::display;
use crate::pages::views::{
    CareForm, FieldChange, PastDecision, QueueEntry, ReviewApp, ReviewScope, RiskFlag, Section,
};

/// What users told about one app that a review looks at.
const REPORTS_MAX: u32 = 200;

pub(super) struct Candidate {
    /// As it would be if it were approved.
    pub(super) app: App,
    /// What stands until then.
    stands: Revision,
    /// Newest first.
    reports: Vec<AuditEvent>,
    live_names: Vec<String>,
    /// Only counted for its own page.
    user_count: u64,
    /// Before what waits was put in its place.
    pub(super) awaits_review: bool,
    /// Nothing of it waits for anybody.
    is_settled: bool,
    was_transferred: bool,
    publisher_is_verified: bool,
    assignee: Option<String>,
    history: Vec<PastDecision>,
}

impl Candidate {
    /// Read for many at once: on PostgreSQL each statement is a round trip.
    pub(super) async fn load_many(tx: &mut Tx<'_>, found: Vec<App>) -> Result<Vec<Self>, DbError> {
        let ids: Vec<AppId> = found.iter().map(|app| app.id).collect();
        let assignees = found.iter().filter_map(|app| app.review.assigned_to);
        let people: Vec<UserId> = found.iter().map(|app| app.owner).chain(assignees).collect();
        let people = users::list_of(tx, &people).await?;
        let names: Vec<String> = found.iter().map(|app| app.latest_revision().name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let alike = apps::list_live_reading_like(tx, &names).await?;
        let reported = audit::count_reports_about(tx, &ids).await?;
        let transferred = audit::list_transferred(tx, &ids).await?;
        let mut candidates = Vec::with_capacity(found.len());
        for app in found {
            let person = |id| people.iter().find(|user| user.id == id);
            let others = alike.iter().filter(|(id, _)| *id != app.id);
            candidates.push(Self {
                publisher_is_verified: person(app.owner)
                    .is_some_and(|user| user.email_verified_at.is_some()),
                assignee: app.review.assigned_to.and_then(person).map(|user| user.name.clone()),
                history: Vec::new(),
                // Few apps have any.
                reports: match reported.contains_key(&app.id) {
                    true => audit::list_reports_about(tx, app.id, REPORTS_MAX).await?,
                    false => Vec::new(),
                },
                live_names: others.map(|(_, name)| name.clone()).collect(),
                user_count: 0,
                awaits_review: app.awaits_review(),
                is_settled: !app.awaits_review() && !app.awaits_developer(),
                was_transferred: transferred.contains(&app.id),
                stands: app.revision(),
                app: app.as_proposed(),
            });
        }
        Ok(candidates)
    }

    /// For its own page, with what was decided before.
    pub(super) async fn load_whole(
        tx: &mut Tx<'_>,
        app: App,
        now: Timestamp,
    ) -> Result<Option<Self>, DbError> {
        let user_count = consents::count_given_to(tx, app.id).await?;
        let history = history::load(tx, app.id, now).await?;
        let candidate = Self::load_many(tx, vec![app]).await?.pop();
        Ok(candidate.map(|candidate| Self { user_count, history, ..candidate }))
    }

    fn flags(&self, policy: &Policy) -> Vec<RiskFlag> {
        let Self { live_names, reports, stands, publisher_is_verified, .. } = self;
        let stands = self.was_approved().then_some(stands);
        let publisher_is_verified = *publisher_is_verified;
        flags(
            &self.app,
            &Surroundings { policy, live_names, reports, stands, publisher_is_verified },
        )
    }

    pub(super) fn entry(&self, policy: &Policy, now: Timestamp) -> QueueEntry {
        let asked = match self.app.is_admitted() {
            true => self.app.pending_scopes().len(),
            false => self.app.requested.len(),
        };
        QueueEntry {
            id: self.app.id.to_string(),
            name: self.app.name.clone(),
            publisher: self.app.publisher.clone(),
            kind: display::app_kind(self.app.kind),
            is_settled: self.is_settled,
            is_change: self.was_approved(),
            waiting_since: display::moment(now, self.app.changed_at),
            scope_count: asked as u64,
            flags: self.flags(policy),
            is_due_again: self.app.review.due_again_at.is_some(),
            assignee: self.assignee.clone(),
        }
    }

    /// Whether a filter of the queue lets it through.
    pub(super) fn is_of(&self, kind: QueueKind) -> bool {
        match kind {
            QueueKind::Any => true,
            QueueKind::New => !self.was_approved(),
            QueueKind::Change => self.was_approved() && self.app.review.due_again_at.is_none(),
            QueueKind::Again => self.app.review.due_again_at.is_some(),
            QueueKind::Reported => !self.reports.is_empty(),
            QueueKind::Transferred => self.was_transferred,
        }
    }

    fn was_approved(&self) -> bool {
        self.app.is_admitted() || !self.app.approved.is_empty()
    }

    pub(super) fn page(&self, user: &SignedInUser, policy: &Policy, now: Timestamp) -> ReviewApp {
        let app = &self.app;
        ReviewApp {
            logo_url: app.logo.map(display::logo_path),
            layout: user.layout().in_section(Section::Review),
            id: app.id.to_string(),
            revision: app.changed_at.as_millis().to_string(),
            name: app.name.clone(),
            publisher: app.publisher.clone(),
            kind: display::app_kind(app.kind),
            client_id: app.client_id.clone(),
            description: app.description.clone(),
            homepage: app.homepage.clone(),
            privacy_url: app.privacy_url.clone(),
            terms_url: app.terms_url.clone(),
            redirect_uris: app.redirect_uris.iter().map(ToString::to_string).collect(),
            waiting_since: display::moment(now, app.changed_at),
            user_count: self.user_count,
            flags: self.flags(policy),
            scopes: self.scopes(policy),
            changes: self.changes(),
            thread: Vec::new(),
            note: String::new(),
            error: None,
            is_due_again: app.review.due_again_at.is_some(),
            awaits_staff: self.awaits_review,
            assignee: self.assignee.clone(),
            is_mine: app.review.assigned_to == Some(user.user.id),
            care: CareForm::default(),
            brand_verified_at: app.review.brand.map(|brand| display::moment(now, brand.at)),
            answers: answers::titles(&policy.review),
            history: self.history.clone(),
        }
    }

    fn scopes(&self, policy: &Policy) -> Vec<ReviewScope> {
        let one = |request: &ScopeRequest| {
            let words = display::scope(policy, &request.scope);
            let stands = self.app.condition_of(request.scope.as_str());
            let typed = stands.map(TypedTerms::of).unwrap_or_default();
            ReviewScope {
                id: request.scope.to_string(),
                kind: words.kind,
                tier: words.tier,
                text: words.text,
                purpose: Some(request.purpose.clone()).filter(|text| !text.is_empty()),
                required: request.required,
                new: self.was_approved() && !self.app.approved.contains(request.scope.as_str()),
                approve: true,
                condition: typed.note,
                user_max: typed.users,
                until: typed.until,
                tests_only: typed.tests_only,
            }
        };
        self.app.requested.iter().map(one).collect()
    }

    fn changes(&self) -> Vec<FieldChange> {
        display::changes(&self.stands, &self.app.revision())
    }
}
