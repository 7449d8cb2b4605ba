//! An app that waits for staff, with what a reviewer compares it with.

use domain::app::{App, ScopeRequest};
use domain::audit::{AuditEvent, AuditKind};
use domain::policy::Policy;
use domain::revision::Revision;
use domain::time::Timestamp;
use store::{DbError, Tx, apps, audit, consents};

use super::flags::{Surroundings, flags};
use crate::actor::SignedInUser;
use crate::display;
use crate::pages::views::{FieldChange, QueueEntry, ReviewApp, ReviewScope, RiskFlag, Section};

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
    user_count: u64,
}

impl Candidate {
    /// For a line of the queue: a name is compared as the index spells names.
    pub(super) async fn load_brief(tx: &mut Tx<'_>, app: App) -> Result<Self, DbError> {
        let alike = apps::list_named_like(tx, &app.latest_revision().name).await?;
        let others = alike.into_iter().filter(|other| other.is_live() && other.id != app.id);
        let live_names = others.map(|other| other.name).collect();
        Self::load(tx, app, live_names).await
    }

    /// For its own page: compared with every live name as a hurried reader sees them.
    pub(super) async fn load_whole(tx: &mut Tx<'_>, app: App) -> Result<Self, DbError> {
        let live = apps::list_live_names(tx).await?;
        let others = live.into_iter().filter(|(id, _)| *id != app.id);
        let names = others.map(|(_, name)| name).collect();
        Self::load(tx, app, names).await
    }

    async fn load(tx: &mut Tx<'_>, app: App, live_names: Vec<String>) -> Result<Self, DbError> {
        Ok(Self {
            reports: audit::list_of_app_and_kind(tx, app.id, AuditKind::AppReported, REPORTS_MAX)
                .await?,
            live_names,
            user_count: consents::count_given_to(tx, app.id).await?,
            stands: app.revision(),
            app: app.as_proposed(),
        })
    }

    fn flags(&self, policy: &Policy) -> Vec<RiskFlag> {
        let Self { live_names, reports, stands, .. } = self;
        let stands = self.was_approved().then_some(stands);
        flags(&self.app, &Surroundings { policy, live_names, reports, stands })
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
            is_change: self.was_approved(),
            waiting_since: display::moment(now, self.app.changed_at),
            scope_count: asked as u64,
            flags: self.flags(policy),
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
        }
    }

    fn scopes(&self, policy: &Policy) -> Vec<ReviewScope> {
        let one = |request: &ScopeRequest| {
            let words = display::scope(policy, &request.scope);
            ReviewScope {
                id: request.scope.to_string(),
                kind: words.kind,
                tier: words.tier,
                text: words.text,
                purpose: Some(request.purpose.clone()).filter(|text| !text.is_empty()),
                required: request.required,
                new: self.was_approved() && !self.app.approved.contains(request.scope.as_str()),
                approve: true,
                condition: String::new(),
            }
        };
        self.app.requested.iter().map(one).collect()
    }

    fn changes(&self) -> Vec<FieldChange> {
        display::changes(&self.stands, &self.app.revision())
    }
}
