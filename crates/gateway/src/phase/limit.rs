//! Phase 4, limit: how often an app, and a user through all apps, may call an API; how often an app
//! may by its plan, and how much of its quota is left. Counts per node.
//! Said to the caller with the `RateLimit` headers of draft-ietf-httpapi-ratelimit-headers-10.

use std::fmt::Write as _;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::app::App;
use domain::authority::Authority;
use domain::id::{AppId, UserId};
use domain::plan::Plan;
use domain::policy::{Rate, Resource};
use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::error::GatewayError;
use crate::pass::Inner;
use crate::phase::authenticate::Caller;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The limiters of one API.
pub(crate) struct Limits {
    per_app: Option<Arc<Limiter<AppId>>>,
    per_user: Option<Arc<Limiter<UserId>>>,
    policy: Option<HeaderValue>,
    plans: Vec<PlanLimit>,
}

/// A plan, as it holds at one API.
struct PlanLimit {
    plan: Plan,
    /// The same at every API.
    limiter: Option<Arc<Limiter<AppId>>>,
    /// With those of the API.
    policy: Option<HeaderValue>,
}

/// The limiters of the plans, which count through all APIs.
pub(crate) struct PlanLimiters(Vec<(Plan, Option<Arc<Limiter<AppId>>>)>);

pub(crate) struct Limiter<K: Hash + Eq + Clone> {
    name: &'static str,
    rate: Rate,
    states: RateLimiter<K, DashMapStateStore<K>, MonotonicClock, StateInformationMiddleware>,
}

/// What is left after a call, as headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowance {
    limit: Option<HeaderValue>,
    policy: Option<HeaderValue>,
}

#[derive(Clone, Debug)]
pub(crate) struct Limited {
    pub(crate) retry_after_seconds: u64,
    pub(crate) allowance: Allowance,
}

/// The wall clock may jump; a limit must not freeze because of it.
#[derive(Clone, Debug)]
struct MonotonicClock(Instant);

impl governor::clock::Clock for MonotonicClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

pub(crate) async fn limit<A: Authority>(
    gateway: &Inner<A>,
    limits: &Limits,
    caller: Option<&Caller>,
) -> Result<Allowance, GatewayError> {
    let Some(caller) = caller else { return Ok(Allowance::default()) };
    let app = caller.proof.app();
    let plan = limits.plan_of(app);
    if let Some(PlanLimit { plan, .. }) = plan.filter(|of| of.plan.has_quota()) {
        let (so_far, now) = (gateway.authority.calls_so_far(app.id).await, gateway.clock.now());
        plan.admit(so_far, now)
            .map_err(|until| GatewayError::QuotaUsedUp(seconds(until.since(now))))?;
    }
    limits.take(app.id, caller.proof.user_id(), plan).map_err(GatewayError::RateLimited)
}

impl PlanLimiters {
    /// Counts go on when a policy is loaded again with the same rates.
    pub(crate) fn new(plans: &[Plan], old: Option<&Self>) -> Self {
        let limiter = |plan: &Plan| {
            let same = |(of, _): &&(Plan, _)| of.name == plan.name;
            let old = old.and_then(|old| old.0.iter().find(same));
            (plan.clone(), Limiter::of("plan", plan.rate, old.map(|(_, limiter)| limiter)))
        };
        Self(plans.iter().map(limiter).collect())
    }

    pub(crate) fn sweep(&self) {
        self.0.iter().filter_map(|(_, limiter)| limiter.as_ref()).for_each(|one| one.sweep());
    }
}

impl Limits {
    /// Counts go on when a policy is loaded again with the same rates.
    pub(crate) fn new(resource: &Resource, plans: &PlanLimiters, old: Option<&Limits>) -> Self {
        let per_app = Limiter::of("app", resource.rate_per_app, old.map(|old| &old.per_app));
        let per_user = Limiter::of("user", resource.rate_per_user, old.map(|old| &old.per_user));
        let (app, user) = (("app", resource.rate_per_app), ("user", resource.rate_per_user));
        let plan = |(plan, limiter): &(Plan, Option<Arc<Limiter<AppId>>>)| PlanLimit {
            policy: policy_of([app, user, ("plan", plan.rate)]),
            plan: plan.clone(),
            limiter: limiter.clone(),
        };
        let plans = plans.0.iter().map(plan).collect();
        Self { per_app, per_user, policy: policy_of([app, user]), plans }
    }

    /// As [`domain::policy::Policy::plan_of`].
    fn plan_of(&self, app: &App) -> Option<&PlanLimit> {
        let named = |name: &str| self.plans.iter().find(|of| of.plan.name == name);
        let own = app.plan.as_deref().and_then(named);
        own.or_else(|| self.plans.iter().find(|of| of.plan.is_default))
    }

    fn take(
        &self,
        app: AppId,
        user: Option<UserId>,
        plan: Option<&PlanLimit>,
    ) -> Result<Allowance, Limited> {
        let mut text = String::new();
        let by_plan = plan.and_then(|of| of.limiter.as_deref());
        let outcome = self.take_each(app, user, by_plan, &mut text);
        let limit = HeaderValue::try_from(text).ok().filter(|limit| !limit.is_empty());
        let policy = limit.as_ref().and(plan.map_or(&self.policy, |of| &of.policy).clone());
        let allowance = Allowance { limit, policy };
        match outcome {
            Ok(()) => Ok(allowance),
            Err(wait) => Err(Limited { retry_after_seconds: seconds(wait), allowance }),
        }
    }

    fn take_each(
        &self,
        app: AppId,
        user: Option<UserId>,
        by_plan: Option<&Limiter<AppId>>,
        text: &mut String,
    ) -> Result<(), Duration> {
        if let Some(limiter) = &self.per_app {
            limiter.take(&app, text)?;
        }
        if let (Some(limiter), Some(user)) = (&self.per_user, user) {
            limiter.take(&user, text)?;
        }
        if let Some(limiter) = by_plan {
            limiter.take(&app, text)?;
        }
        Ok(())
    }

    /// Forget whoever has a full allowance anyway. Run now and then, so that memory follows the
    /// callers of the last minutes and not all there ever were.
    pub(crate) fn sweep(&self) {
        self.per_app.iter().for_each(|limiter| limiter.sweep());
        self.per_user.iter().for_each(|limiter| limiter.sweep());
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.per_app.as_ref().map_or(0, |limiter| limiter.states.len())
            + self.per_user.as_ref().map_or(0, |limiter| limiter.states.len())
    }
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn of(
        name: &'static str,
        rate: Option<Rate>,
        old: Option<&Option<Arc<Self>>>,
    ) -> Option<Arc<Self>> {
        let rate = rate?;
        if let Some(Some(old)) = old
            && old.rate == rate
        {
            return Some(Arc::clone(old));
        }
        let requests = NonZeroU32::new(rate.requests).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(rate.period / requests.get())?.allow_burst(requests);
        let clock = MonotonicClock(Instant::now());
        let states = RateLimiter::new(quota, DashMapStateStore::default(), clock);
        Some(Arc::new(Self { name, rate, states }))
    }

    fn sweep(&self) {
        self.states.retain_recent();
        self.states.shrink_to_fit();
    }

    /// Appends what is left to `text`; `Err`: how long to wait.
    fn take(&self, key: &K, text: &mut String) -> Result<(), Duration> {
        let interval = self.rate.period / self.rate.requests.max(1);
        let (left, outcome) = match self.states.check_key(key) {
            Ok(state) => (state.remaining_burst_capacity(), Ok(())),
            Err(until) => (0, Err(until.wait_time_from(self.states.clock().now()))),
        };
        let full_in = interval * (self.rate.requests.saturating_sub(left));
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}\"{}\";r={left};t={}", self.name, seconds(full_in));
        outcome
    }
}

impl Allowance {
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let (Some(limit), Some(policy)) = (&self.limit, &self.policy) {
            headers.insert(RATE_LIMIT, limit.clone());
            headers.insert(RATE_LIMIT_POLICY, policy.clone());
        }
    }
}

/// What the header says of these rates; `None`: there are none.
fn policy_of<const N: usize>(rates: [(&'static str, Option<Rate>); N]) -> Option<HeaderValue> {
    let mut policy = String::new();
    for (name, rate) in rates {
        if let Some(rate) = rate {
            let comma = if policy.is_empty() { "" } else { ", " };
            let (requests, window) = (rate.requests, seconds(rate.period));
            let _ = write!(policy, "{comma}\"{name}\";q={requests};w={window}");
        }
    }
    HeaderValue::try_from(policy).ok().filter(|policy| !policy.is_empty())
}

/// Rounded up: who waits that long has waited long enough. At least one.
fn seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId::from_bytes([1; 16]);
    const OTHER_APP: AppId = AppId::from_bytes([2; 16]);
    const USER: UserId = UserId::from_bytes([3; 16]);

    fn limits(per_app: u32, per_user: u32) -> Limits {
        let rate = |requests| Some(Rate { requests, period: Duration::from_secs(60) });
        Limits {
            per_app: Limiter::of("app", rate(per_app), None),
            per_user: Limiter::of("user", rate(per_user), None),
            policy: Some(HeaderValue::from_static("policy")),
            plans: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_waits_when_it_was_too_fast_and_goes_on_after() {
        let limits = limits(2, 100);
        let first = limits.take(APP, None, None).unwrap();
        assert_eq!(first.limit.unwrap(), "\"app\";r=1;t=30");
        limits.take(APP, None, None).unwrap();
        let limited = limits.take(APP, None, None).unwrap_err();
        assert_eq!(limited.retry_after_seconds, 30);
        assert_eq!(limited.allowance.limit.unwrap(), "\"app\";r=0;t=60");
        tokio::time::advance(Duration::from_secs(30)).await;
        limits.take(APP, None, None).unwrap();
        limits.take(APP, None, None).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_is_counted_over_all_apps_and_apps_apart() {
        let limits = limits(2, 3);
        limits.take(APP, Some(USER), None).unwrap();
        limits.take(APP, Some(USER), None).unwrap();
        limits.take(APP, None, None).unwrap_err();
        let last = limits.take(OTHER_APP, Some(USER), None).unwrap();
        assert_eq!(last.limit.unwrap(), "\"app\";r=1;t=30, \"user\";r=0;t=60");
        limits.take(OTHER_APP, Some(USER), None).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_forgets_callers_that_have_gone_quiet() {
        let limits = limits(2, 3);
        limits.take(APP, Some(USER), None).unwrap();
        limits.sweep();
        assert_eq!(limits.len(), 2);
        tokio::time::advance(Duration::from_secs(120)).await;
        limits.sweep();
        assert_eq!(limits.len(), 0);
    }
}
