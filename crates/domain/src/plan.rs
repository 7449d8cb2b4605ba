//! Plans and perks that the operator offers to developers: how much an app may do, and what it can
//! be given. Who gets one is decided by staff, in [`PlanRequest::decide`].

use crate::app::App;
use crate::calendar::{day_after, month_after};
use crate::id::{AppId, PlanRequestId, UserId};
use crate::policy::{Policy, Rate};
use crate::time::Timestamp;

/// What an app of this plan may do. What is `None` has no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub name: String,
    pub title: String,
    /// What developers read.
    pub text: String,
    /// Through all APIs together, on each node.
    pub rate: Option<Rate>,
    /// Calls that reach an API, in UTC days and months.
    pub calls_per_day: Option<u64>,
    pub calls_per_month: Option<u64>,
    /// Users who have let the app in.
    pub users_max: Option<u64>,
    /// What apps have that were given none.
    pub is_default: bool,
}

/// Something an operator gives away, e.g. a month of the premium account. What it does happens
/// elsewhere; here it is asked for and granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Perk {
    pub name: String,
    pub title: String,
    pub text: String,
}

impl Policy {
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.name == name)
    }

    pub fn perk(&self, name: &str) -> Option<&Perk> {
        self.perks.iter().find(|perk| perk.name == name)
    }

    /// The plan of an app: the default one if it has none, or one that is not offered any more.
    pub fn plan_of(&self, app: &App) -> Option<&Plan> {
        let own = app.plan.as_deref().and_then(|name| self.plan(name));
        own.or_else(|| self.plans.iter().find(|plan| plan.is_default))
    }
}

impl Plan {
    pub const fn has_quota(&self) -> bool {
        self.calls_per_day.is_some() || self.calls_per_month.is_some()
    }

    /// May there be one more call at `now`? `Err`: when there may be one again.
    pub fn admit(&self, so_far: CallsSoFar, now: Timestamp) -> Result<(), Timestamp> {
        if self.calls_per_month.is_some_and(|max| so_far.this_month >= max) {
            return Err(month_after(now));
        }
        if self.calls_per_day.is_some_and(|max| so_far.today >= max) {
            return Err(day_after(now));
        }
        Ok(())
    }

    /// May another user let the app in, beside those who have?
    pub fn admits_user(&self, users: u64) -> bool {
        self.users_max.is_none_or(|max| users < max)
    }
}

/// Calls of an app that reached an API, as far as this node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallsSoFar {
    pub today: u64,
    pub this_month: u64,
}

/// What a developer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Plan(String),
    Perk(String),
}

impl Wish {
    pub fn name(&self) -> &str {
        match self {
            Self::Plan(name) | Self::Perk(name) => name,
        }
    }

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Perk(_) => "perk",
        }
    }

    pub fn of(kind: &str, name: String) -> Option<Self> {
        match kind {
            "plan" => Some(Self::Plan(name)),
            "perk" => Some(Self::Perk(name)),
            _ => None,
        }
    }

    /// Whether the operator offers it now.
    pub fn is_offered(&self, policy: &Policy) -> bool {
        match self {
            Self::Plan(name) => policy.plan(name).is_some(),
            Self::Perk(name) => policy.perk(name).is_some(),
        }
    }

    /// What people call it.
    pub fn title<'a>(&'a self, policy: &'a Policy) -> &'a str {
        let title = match self {
            Self::Plan(name) => policy.plan(name).map(|plan| plan.title.as_str()),
            Self::Perk(name) => policy.perk(name).map(|perk| perk.title.as_str()),
        };
        title.unwrap_or_else(|| self.name())
    }
}

/// What staff said to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub at: Timestamp,
    pub by: UserId,
    pub is_granted: bool,
    /// For the developer.
    pub note: String,
}

/// A developer asks for another plan, or for a perk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRequest {
    pub id: PlanRequestId,
    pub app_id: AppId,
    pub asked_by: UserId,
    pub wish: Wish,
    pub reason: String,
    pub asked_at: Timestamp,
    pub decided: Option<Decided>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRequestError {
    #[error("this request was decided already")]
    Decided,
    #[error("you asked for this yourself; somebody else has to decide")]
    OwnRequest,
    #[error("this is not offered any more, so it can only be refused")]
    NotOffered,
}

impl PlanRequest {
    pub fn decide(self, decided: Decided, policy: &Policy) -> Result<Self, PlanRequestError> {
        if self.decided.is_some() {
            return Err(PlanRequestError::Decided);
        }
        if self.asked_by == decided.by {
            return Err(PlanRequestError::OwnRequest);
        }
        if decided.is_granted && !self.wish.is_offered(policy) {
            return Err(PlanRequestError::NotOffered);
        }
        Ok(Self { decided: Some(decided), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(20_781 * 86_400 + 43_200);

    fn plan(per_day: Option<u64>, per_month: Option<u64>) -> Plan {
        Plan { calls_per_day: per_day, calls_per_month: per_month, ..Plan::default() }
    }

    #[test]
    fn a_quota_ends_with_its_day_and_its_month() {
        let so_far = CallsSoFar { today: 10, this_month: 40 };
        assert_eq!(plan(None, None).admit(so_far, NOON), Ok(()));
        assert_eq!(plan(Some(11), Some(41)).admit(so_far, NOON), Ok(()));
        let midnight = Timestamp::from_seconds(20_782 * 86_400);
        assert_eq!(plan(Some(10), Some(41)).admit(so_far, NOON), Err(midnight));
        let december = Timestamp::from_seconds(20_788 * 86_400);
        assert_eq!(plan(Some(10), Some(40)).admit(so_far, NOON), Err(december));
    }

    #[test]
    fn the_last_place_for_a_user_is_given_once() {
        let plan = Plan { users_max: Some(2), ..Plan::default() };
        assert!(plan.admits_user(1));
        assert!(!plan.admits_user(2));
        assert!(Plan::default().admits_user(u64::MAX));
    }
}
