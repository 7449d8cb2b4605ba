//! What an approval of one scope is bound to: so many users, until a day, tests only. Conditions
//! are data on the app and hold at every use; nothing has to run for one to end.

use std::collections::BTreeMap;

use protocol::scope::{ScopeName, ScopeSet};
use serde::{Deserialize, Serialize};

use crate::app::{App, AppKind};
use crate::id::UserId;
use crate::time::Timestamp;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeCondition {
    /// So many users may have it allowed at once. Those who have keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_max: Option<u32>,
    /// From then on it counts as not approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Not approved, and not waiting for it either: it is for the test credentials.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tests_only: bool,
    /// The operator's policy approved it; nobody looked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_policy: bool,
    /// In the reviewer's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl ScopeCondition {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

pub type Conditions = BTreeMap<ScopeName, ScopeCondition>;

/// What staff know of an app besides its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewState {
    /// Of scopes that were asked for. Without an entry there is no condition.
    pub conditions: Conditions,
    /// The policy wants staff to look at the live app once more, since then.
    pub due_again_at: Option<Timestamp>,
    /// When its developer was told that nobody uses it.
    pub reminded_at: Option<Timestamp>,
    /// Staff have seen that name, logo and publisher belong together.
    pub brand: Option<BrandVerified>,
    /// The member of staff who takes care of it.
    pub assigned_to: Option<UserId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrandVerified {
    pub at: Timestamp,
    pub by: UserId,
}

impl App {
    pub fn condition_of(&self, scope: &str) -> Option<&ScopeCondition> {
        self.review.conditions.get(scope)
    }

    /// What it may do now. The list itself, shared, unless an approval of its scopes ends some day.
    pub fn approved_at(&self, now: Timestamp) -> ScopeSet {
        let ended =
            |name: &ScopeName| self.condition_of(name.as_str()).is_some_and(|c| c.has_ended(now));
        if self.review.conditions.is_empty() || !self.approved.iter().any(ended) {
            return self.approved.clone();
        }
        self.approved.iter().filter(|name| !ended(name)).cloned().collect()
    }

    /// When the next approval of a scope ends.
    pub fn condition_ends_at(&self) -> Option<Timestamp> {
        let approved =
            |(name, _): &(&ScopeName, &ScopeCondition)| self.approved.contains(name.as_str());
        self.review.conditions.iter().filter(approved).filter_map(|(_, c)| c.until).min()
    }

    /// What it has for so many users only, with the number.
    pub fn user_limits(&self) -> impl Iterator<Item = (&ScopeName, u32)> {
        let limit = |(name, condition): (_, &ScopeCondition)| Some((name, condition.user_max?));
        self.review.conditions.iter().filter_map(limit)
    }

    /// Approvals that have ended wait for staff again. `None`: none has.
    #[must_use]
    pub fn end_approvals(mut self, now: Timestamp) -> Option<(Self, ScopeSet)> {
        let ended = self.approved.difference(&self.approved_at(now));
        if ended.is_empty() {
            return None;
        }
        for scope in &ended {
            self.approved.remove(scope.as_str());
            self.review.conditions.remove(scope.as_str());
        }
        self.changed_at = now;
        Some((self, ended))
    }

    /// Nobody at staff has to look at these: the policy approves them.
    #[must_use]
    pub fn approve_by_policy(mut self, scopes: &ScopeSet, now: Timestamp) -> Self {
        for scope in &self.pending_scopes().intersection(scopes) {
            self.approved.insert(scope.clone());
            let by_policy = ScopeCondition { by_policy: true, ..ScopeCondition::default() };
            self.review.conditions.insert(scope.clone(), by_policy);
            if self.kind == AppKind::Service {
                self.service_scopes.insert(scope.clone());
            }
        }
        self.changed_at = now;
        self
    }

    /// Whether name, logo and publisher may be shown as verified.
    pub fn brand_is_verified(&self) -> bool {
        self.review.brand.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::{NOW, STAFF, THEN, live, new, request, set};
    use crate::app::{AppError, AppStatus};

    fn on(scope: &str, condition: ScopeCondition) -> Conditions {
        Conditions::from([(scope.parse().unwrap(), condition)])
    }

    fn until(at: Timestamp) -> ScopeCondition {
        ScopeCondition { until: Some(at), ..ScopeCondition::default() }
    }

    fn tests_only() -> ScopeCondition {
        ScopeCondition { tests_only: true, ..ScopeCondition::default() }
    }

    #[test]
    fn an_approval_ends_by_itself_at_its_moment() {
        let asked = new(AppKind::Web, "read trade");
        let app =
            asked.approve_on(&set("read trade"), on("trade", until(NOW)), STAFF, THEN).unwrap();
        let before = Timestamp::from_millis(NOW.as_millis() - 1);
        assert_eq!(app.approved_at(before), set("read trade"));
        assert_eq!(app.approved_at(NOW), set("read"));
        assert_eq!(app.condition_ends_at(), Some(NOW));
        assert!(app.clone().end_approvals(before).is_none() && !app.awaits_review());
        let (app, ended) = app.end_approvals(NOW).unwrap();
        assert_eq!((ended, app.pending_scopes()), (set("trade"), set("trade")));
        assert!(app.is_live() && app.awaits_review(), "staff look at it again");
        assert_eq!(app.condition_ends_at(), None);
    }

    #[test]
    fn a_scope_for_tests_is_neither_approved_nor_waiting() {
        let asked = new(AppKind::Web, "read trade");
        let app =
            asked.approve_on(&set("read trade"), on("trade", tests_only()), STAFF, THEN).unwrap();
        assert_eq!((app.approved.clone(), app.pending_scopes()), (set("read"), set("")));
        assert!(app.requested_scopes().contains("trade") && !app.awaits_review());
        let again = app.request_scopes(vec![request("trade")], NOW).unwrap();
        assert_eq!(again.pending_scopes(), set("trade"), "its developer wants it for users now");
    }

    #[test]
    fn a_condition_goes_with_its_scope_and_with_the_next_decision() {
        let cap = ScopeCondition { user_max: Some(5), ..ScopeCondition::default() };
        let asked = new(AppKind::Web, "read trade");
        let app = asked.approve_on(&set("read trade"), on("trade", cap), STAFF, THEN).unwrap();
        assert_eq!(
            app.user_limits().map(|(name, n)| (name.as_str(), n)).next(),
            Some(("trade", 5))
        );
        let dropped = app.clone().drop_scope(&"trade".parse().unwrap(), NOW);
        assert!(dropped.review.conditions.is_empty());
        let again =
            app.mark_due_again(NOW).unwrap().approve(&set("read trade"), STAFF, NOW).unwrap();
        assert!(again.review.conditions.is_empty() && again.review.due_again_at.is_none());
    }

    #[test]
    fn what_the_policy_approves_says_so() {
        let app = live("read").request_scopes(vec![request("see"), request("trade")], NOW).unwrap();
        let app = app.approve_by_policy(&set("see other"), NOW);
        assert_eq!((app.approved.clone(), app.pending_scopes()), (set("read see"), set("trade")));
        assert!(app.condition_of("see").unwrap().by_policy && app.condition_of("read").is_none());
    }

    #[test]
    fn a_live_app_that_is_due_again_stays_live_and_cannot_be_rejected_for_it() {
        let app = live("read").mark_due_again(NOW).unwrap();
        assert!(app.is_live() && app.awaits_review());
        assert_eq!(app.clone().refuse_pending(NOW).err(), Some(AppError::NothingNew));
        assert!(app.clone().mark_due_again(NOW).is_err(), "it waits already");
        assert!(!app.approve(&set("read"), STAFF, NOW).unwrap().awaits_review());
    }

    #[test]
    fn an_app_that_nobody_uses_is_reminded_retired_and_woken() {
        let app = live("read").remind_unused(THEN).unwrap();
        assert!(app.clone().remind_unused(NOW).is_err(), "once is enough");
        assert!(app.clone().used_again().review.reminded_at.is_none());
        let app = app.retire(NOW).unwrap();
        assert!(matches!(app.status, AppStatus::Retired { .. }) && !app.is_live());
        let app = app.wake(NOW).unwrap();
        assert!(app.is_live() && app.review.reminded_at.is_none());
        assert_eq!(app.wake(NOW).err(), Some(AppError::NotRetired));
        assert_eq!(live("read").retire(NOW).err(), Some(AppError::NotReminded));
    }

    #[test]
    fn another_name_is_another_brand() {
        let app = live("read").verify_brand(STAFF, NOW);
        assert!(app.brand_is_verified());
        let same = app.clone().with_revision(app.revision());
        assert!(same.brand_is_verified());
        let renamed = crate::revision::Revision { name: "Bank".into(), ..app.revision() };
        assert!(!app.with_revision(renamed).brand_is_verified());
    }
}
