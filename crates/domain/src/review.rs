//! What becomes of an app between its developer and staff: asked for, changed, approved, refused,
//! suspended. Transitions fail when they make no sense.

use protocol::scope::{ScopeName, ScopeSet};

use crate::app::{App, AppError, AppKind, AppStatus, Approval, ScopeRequest, Turn};
use crate::condition::{BrandVerified, Conditions};
use crate::id::UserId;
use crate::time::Timestamp;

impl App {
    /// Approve `scopes` of what was requested, without conditions.
    pub fn approve(self, scopes: &ScopeSet, by: UserId, now: Timestamp) -> Result<Self, AppError> {
        self.approve_on(scopes, Conditions::new(), by, now)
    }

    /// Approve `scopes` of what was requested, some on conditions, and the revision that waits;
    /// what is refused leaves the request. A live app keeps what it had while the request waits,
    /// and is approved again here.
    pub fn approve_on(
        mut self,
        scopes: &ScopeSet,
        mut conditions: Conditions,
        by: UserId,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        let since = match self.status {
            AppStatus::InReview => now,
            AppStatus::Live { since, .. } if self.is_open() => since,
            _ => return Err(AppError::NotInReview),
        };
        self = self.as_proposed();
        let kept = self.requested_scopes().intersection(scopes);
        conditions.retain(|scope, one| kept.contains(scope.as_str()) && !one.is_none());
        let is_for_users =
            |scope: &&ScopeName| !conditions.get(*scope).is_some_and(|one| one.tests_only);
        self.approved = kept.iter().filter(is_for_users).cloned().collect();
        self.requested.retain(|request| kept.contains(request.scope.as_str()));
        self.service_scopes = self.service_scopes.intersection(&kept);
        self.review.conditions = conditions;
        self.review.due_again_at = None;
        self.status = AppStatus::Live { since, approval: Approval::Reviewed { at: now, by } };
        Ok(self.settled(now))
    }

    /// Refuse what a live app asked for beyond what it has. It stays live as it was approved.
    pub fn refuse_pending(mut self, now: Timestamp) -> Result<Self, AppError> {
        if !self.is_admitted() || !self.is_open() {
            return Err(AppError::NotInReview);
        }
        if !self.has_pending_change() {
            return Err(AppError::NothingNew);
        }
        let refused = self.pending_scopes();
        self.requested.retain(|request| !refused.contains(request.scope.as_str()));
        self.service_scopes = self.service_scopes.difference(&refused);
        self.proposed = None;
        Ok(self.settled(now))
    }

    /// Staff want something changed before they decide. What was approved stays as it is.
    pub fn ask_for_changes(mut self, note: String, now: Timestamp) -> Result<Self, AppError> {
        if !self.awaits_review() {
            return Err(AppError::NotInReview);
        }
        self.turn = Turn::Developer { asked_at: now, note };
        self.changed_at = now;
        Ok(self)
    }

    /// The developer has answered without changing anything.
    pub fn send_again(mut self, now: Timestamp) -> Result<Self, AppError> {
        if !self.awaits_developer() {
            return Err(AppError::NotAsked);
        }
        self.turn = Turn::Staff;
        self.changed_at = now;
        Ok(self)
    }

    /// Nothing waits any more.
    fn settled(self, now: Timestamp) -> Self {
        Self { turn: Turn::Staff, changed_at: now, ..self }
    }

    /// The developer changed what staff looked at, or answers a rejection: staff look again.
    pub fn reopen_review(mut self, now: Timestamp) -> Result<Self, AppError> {
        if let AppStatus::Suspended { .. } = self.status {
            return Err(AppError::Suspended);
        }
        self.status = AppStatus::InReview;
        Ok(self.settled(now))
    }

    /// The developer changed what staff looked at, and the operator's policy lets that go live
    /// unseen: from now on the consent page says that nobody looked.
    pub fn change_unreviewed(mut self, now: Timestamp) -> Result<Self, AppError> {
        match self.status {
            AppStatus::Live { since, .. } => {
                self.status = AppStatus::Live { since, approval: Approval::Unreviewed };
                self.changed_at = now;
                Ok(self)
            }
            AppStatus::Retired { at, .. } => {
                self.status = AppStatus::Retired { at, approval: Approval::Unreviewed };
                self.changed_at = now;
                Ok(self)
            }
            // Staff stopped it; only staff let it go on.
            _ => self.reopen_review(now),
        }
    }

    /// Ask for more scopes. What was approved before stays live while they wait.
    pub fn request_scopes(
        mut self,
        requests: Vec<ScopeRequest>,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        match self.status {
            AppStatus::Suspended { .. } => return Err(AppError::Suspended),
            AppStatus::Rejected { .. } => self.status = AppStatus::InReview,
            AppStatus::InReview | AppStatus::Live { .. } | AppStatus::Retired { .. } => {}
        }
        for request in requests {
            if self.condition_of(request.scope.as_str()).is_some_and(|one| one.tests_only) {
                self.review.conditions.remove(request.scope.as_str());
            }
            if self.kind == AppKind::Service {
                self.service_scopes.insert(request.scope.clone());
            }
            self.requested.retain(|known| known.scope != request.scope);
            self.requested.push(request);
        }
        Ok(self.settled(now))
    }

    /// Give scopes up, asked for or approved.
    #[must_use]
    pub fn drop_scope(mut self, scope: &ScopeName, now: Timestamp) -> Self {
        self.requested.retain(|request| request.scope != *scope);
        self.approved.remove(scope.as_str());
        self.service_scopes.remove(scope.as_str());
        self.review.conditions.remove(scope.as_str());
        self.settled(now)
    }

    /// Live without staff having looked at what it says of itself.
    pub const fn is_live_unreviewed(&self) -> bool {
        matches!(self.status, AppStatus::Live { approval: Approval::Unreviewed, .. })
    }

    /// Waits for staff: as a whole, or with a change of what was approved.
    pub fn awaits_review(&self) -> bool {
        self.turn == Turn::Staff && self.is_open()
    }

    /// Staff asked its developer for changes.
    pub fn awaits_developer(&self) -> bool {
        self.turn != Turn::Staff && self.is_open()
    }

    /// Whether anything of it is neither approved nor refused.
    fn is_open(&self) -> bool {
        match self.status {
            AppStatus::InReview => true,
            AppStatus::Live { .. } => {
                self.has_pending_change() || self.review.due_again_at.is_some()
            }
            AppStatus::Rejected { .. }
            | AppStatus::Suspended { .. }
            | AppStatus::Retired { .. } => false,
        }
    }

    /// More scopes, or another revision, than were approved.
    fn has_pending_change(&self) -> bool {
        self.proposed.is_some() || !self.pending_scopes().is_empty()
    }

    pub fn reject(mut self, note: String, now: Timestamp) -> Result<Self, AppError> {
        let AppStatus::InReview = self.status else { return Err(AppError::NotInReview) };
        self.status = AppStatus::Rejected { at: now, note };
        Ok(self.settled(now))
    }

    pub fn suspend(mut self, reason: String, now: Timestamp) -> Result<Self, AppError> {
        let AppStatus::Live { approval, .. } = self.status else { return Err(AppError::NotLive) };
        self.status = AppStatus::Suspended { at: now, reason, approval };
        self.changed_at = now;
        Ok(self)
    }

    pub fn resume(mut self, now: Timestamp) -> Result<Self, AppError> {
        let AppStatus::Suspended { approval, .. } = self.status else {
            return Err(AppError::NotSuspended);
        };
        self.status = AppStatus::Live { since: now, approval };
        self.changed_at = now;
        Ok(self)
    }

    /// The policy wants staff to look at it once more. It stays live.
    pub fn mark_due_again(mut self, now: Timestamp) -> Result<Self, AppError> {
        if !self.is_live() || self.is_open() {
            return Err(AppError::NotDue);
        }
        self.review.due_again_at = Some(now);
        Ok(self.settled(now))
    }

    /// Nobody uses it: its developer hears that it will be retired.
    pub fn remind_unused(mut self, now: Timestamp) -> Result<Self, AppError> {
        if !self.is_live() || self.review.reminded_at.is_some() {
            return Err(AppError::NotDue);
        }
        self.review.reminded_at = Some(now);
        Ok(self)
    }

    /// Somebody uses it after all.
    #[must_use]
    pub fn used_again(mut self) -> Self {
        self.review.reminded_at = None;
        self
    }

    /// Nobody used it since its developer was reminded.
    pub fn retire(mut self, now: Timestamp) -> Result<Self, AppError> {
        let AppStatus::Live { approval, .. } = self.status else {
            return Err(AppError::NotReminded);
        };
        if self.review.reminded_at.is_none() {
            return Err(AppError::NotReminded);
        }
        self.status = AppStatus::Retired { at: now, approval };
        self.changed_at = now;
        Ok(self)
    }

    /// Its developer wants it back, as it was approved.
    pub fn wake(mut self, now: Timestamp) -> Result<Self, AppError> {
        let AppStatus::Retired { approval, .. } = self.status else {
            return Err(AppError::NotRetired);
        };
        self.status = AppStatus::Live { since: now, approval };
        self.review.reminded_at = None;
        self.changed_at = now;
        Ok(self)
    }

    /// Staff have seen that name, logo and publisher belong together. Apart from what the app may
    /// do.
    #[must_use]
    pub fn verify_brand(mut self, by: UserId, now: Timestamp) -> Self {
        self.review.brand = Some(BrandVerified { at: now, by });
        self.changed_at = now;
        self
    }

    #[must_use]
    pub fn unverify_brand(mut self, now: Timestamp) -> Self {
        self.review.brand = None;
        self.changed_at = now;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::{NOW, STAFF, THEN, live, new, request, set};

    #[test]
    fn a_refused_scope_leaves_the_request() {
        let app = new(AppKind::Web, "read trade").approve(&set("read other"), STAFF, NOW).unwrap();
        assert_eq!((app.approved.clone(), app.requested_scopes()), (set("read"), set("read")));
        assert!(app.is_live() && !app.awaits_review());
        assert!(app.approve(&set("read"), STAFF, NOW).is_err(), "nothing waits any more");
    }

    #[test]
    fn more_scopes_wait_while_the_approved_ones_stay_live() {
        let app = live("read").request_scopes(vec![request("trade")], NOW).unwrap();
        assert!(app.is_live() && app.awaits_review());
        assert_eq!((app.approved.clone(), app.pending_scopes()), (set("read"), set("trade")));
        let refused = app.clone().refuse_pending(NOW).unwrap();
        assert!(refused.is_live() && !refused.awaits_review());
        assert_eq!(refused.requested_scopes(), set("read"));
        let approved = app.approve(&set("read trade"), STAFF, NOW).unwrap();
        assert_eq!(approved.approved, set("read trade"));
        let since =
            AppStatus::Live { since: THEN, approval: Approval::Reviewed { at: NOW, by: STAFF } };
        assert_eq!(approved.status, since);
    }

    #[test]
    fn changes_asked_for_wait_for_the_developer_and_then_for_staff_again() {
        let app = new(AppKind::Web, "read").ask_for_changes("Why?".into(), THEN).unwrap();
        assert!(app.awaits_developer() && !app.awaits_review());
        assert!(app.clone().ask_for_changes("Why?".into(), NOW).is_err(), "it is their turn");
        let answers = [
            app.clone().send_again(NOW),
            app.clone().request_scopes(vec![request("trade")], NOW),
            app.clone().reopen_review(NOW),
        ];
        for answered in answers.map(Result::unwrap) {
            assert!(answered.awaits_review() && !answered.awaits_developer());
            assert_eq!(answered.send_again(NOW).err(), Some(AppError::NotAsked));
        }
        // Staff need not wait for the answer.
        assert!(app.clone().reject("No answer.".into(), NOW).is_ok());
        assert!(!app.approve(&set("read"), STAFF, NOW).unwrap().awaits_developer());
        let live = live("read").request_scopes(vec![request("trade")], THEN).unwrap();
        let asked = live.ask_for_changes("Why?".into(), NOW).unwrap();
        assert!(asked.is_live() && asked.awaits_developer());
        assert!(!asked.refuse_pending(NOW).unwrap().awaits_developer());
    }

    #[test]
    fn a_service_acts_for_itself_within_what_was_approved() {
        let app = new(AppKind::Service, "").request_scopes(vec![request("read")], NOW).unwrap();
        let app = app.request_scopes(vec![request("trade")], NOW).unwrap();
        let app = app.approve(&set("trade"), STAFF, NOW).unwrap();
        assert_eq!(app.service_scopes, set("trade"));
    }

    #[test]
    fn only_staff_let_a_suspended_app_go_on() {
        let app = live("read").suspend("Phishing".into(), NOW).unwrap();
        assert_eq!(app.clone().reopen_review(NOW).err(), Some(AppError::Suspended));
        assert_eq!(app.clone().change_unreviewed(NOW).err(), Some(AppError::Suspended));
        let asked = app.clone().request_scopes(vec![request("trade")], NOW);
        assert_eq!(asked.err(), Some(AppError::Suspended));
        assert!(app.resume(NOW).unwrap().is_live());
    }

    #[test]
    fn a_rejected_app_goes_back_to_review_whatever_the_policy() {
        let app = new(AppKind::Web, "read").reject("Why?".into(), THEN).unwrap();
        for app in [app.clone().reopen_review(NOW), app.change_unreviewed(NOW)] {
            assert_eq!(app.unwrap().status, AppStatus::InReview);
        }
    }

    #[test]
    fn an_unseen_change_ends_the_claim_that_staff_looked() {
        let app = live("read").change_unreviewed(NOW).unwrap();
        assert_eq!(app.status, AppStatus::Live { since: THEN, approval: Approval::Unreviewed });
    }

    #[test]
    fn a_scope_that_is_dropped_is_gone_everywhere() {
        let app = live("read trade").drop_scope(&"trade".parse().unwrap(), NOW);
        assert_eq!((app.approved.clone(), app.requested_scopes()), (set("read"), set("read")));
        assert!(!app.awaits_review());
    }
}
