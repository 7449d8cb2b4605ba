//! Which plan an app has, and which perks it was given: asked by its developer, decided by staff or
//! set by the operator. Each decision is made here and nowhere else, in one transaction with its
//! audit row, with the change that the gateway hears of, and with what developers and billing hear.

use std::net::IpAddr;

use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::PlanRequestId;
use domain::plan::{Decided, PlanRequest, PlanRequestError, Wish};
use domain::policy::Policy;
use domain::time::Timestamp;
use serde_json::json;
use store::{DbError, Tx, apps, audit, changes, plan_requests, teams};

use crate::app_news::{self, WishAnswer};

/// Requests of one app that wait at once.
pub const WAITING_MAX: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    #[error("there is no such request")]
    NotFound,
    #[error("this waits for an answer already")]
    Waits,
    #[error("wait for an answer to what you have asked for")]
    TooMany,
    #[error("you look after this app; somebody else has to decide")]
    OwnApp,
    #[error("there is no such plan")]
    NoSuchPlan,
    #[error(transparent)]
    Request(#[from] PlanRequestError),
}

/// A developer asks.
pub async fn ask(
    tx: &mut Tx<'_>,
    request: &PlanRequest,
    address: IpAddr,
) -> Result<Result<(), PlanRefusal>, DbError> {
    let known = plan_requests::list_of_app(tx, request.app_id, 100).await?;
    let waiting = known.iter().filter(|known| known.decided.is_none());
    if waiting.clone().any(|known| known.wish == request.wish) {
        return Ok(Err(PlanRefusal::Waits));
    }
    if waiting.count() >= WAITING_MAX {
        return Ok(Err(PlanRefusal::TooMany));
    }
    plan_requests::insert(tx, request).await?;
    let actor = AuditActor::User(request.asked_by);
    let event = AuditEvent::new(request.asked_at, AuditKind::PlanAsked, actor)
        .app(request.app_id)
        .address(address)
        .detail(json!({
            request.wish.kind(): request.wish.name(), "reason": request.reason,
        }));
    audit::record(tx, &event).await?;
    Ok(Ok(()))
}

/// Staff decide about a request. `sign` says in the audit trail who it was and from where.
pub async fn decide(
    tx: &mut Tx<'_>,
    policy: &Policy,
    id: PlanRequestId,
    decided: Decided,
    sign: &(dyn Fn(AuditEvent) -> AuditEvent + Sync),
) -> Result<Result<PlanRequest, PlanRefusal>, DbError> {
    let Some(request) = plan_requests::find(tx, id).await? else {
        return Ok(Err(PlanRefusal::NotFound));
    };
    let Some(app) = apps::find(tx, request.app_id).await? else {
        return Ok(Err(PlanRefusal::NotFound));
    };
    let request = match request.decide(decided.clone(), policy) {
        Ok(request) => request,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    if teams::role_for(tx, &app, decided.by).await?.is_some() {
        return Ok(Err(PlanRefusal::OwnApp));
    }
    if !plan_requests::save_decision(tx, id, &decided).await? {
        return Ok(Err(PlanRequestError::Decided.into()));
    }
    let wish = &request.wish;
    if let (true, Wish::Plan(plan)) = (decided.is_granted, wish) {
        apps::save_plan(tx, app.id, Some(plan)).await?;
        changes::record(tx, Change::App(app.id)).await?;
    }
    let event = AuditEvent::new(decided.at, AuditKind::PlanDecided, AuditActor::User(decided.by))
        .app(app.id)
        .detail(json!({
            wish.kind(): wish.name(), "granted": decided.is_granted, "note": decided.note,
        }));
    audit::record(tx, &sign(event)).await?;
    let answer = if decided.is_granted { WishAnswer::Granted } else { WishAnswer::Refused };
    let told = (wish, wish.title(policy));
    app_news::wish_decided(tx, &app, told, (answer, &decided.note), decided.at).await?;
    Ok(Ok(request))
}

/// The operator gives an app a plan, or with `None` the one that apps have. `sign` says who it was.
/// What an app has already is not given again.
pub async fn set(
    tx: &mut Tx<'_>,
    policy: &Policy,
    app: App,
    (plan, note): (Option<&str>, &str),
    now: Timestamp,
    sign: &(dyn Fn(AuditEvent) -> AuditEvent + Sync),
) -> Result<Result<App, PlanRefusal>, DbError> {
    if plan.is_some_and(|name| policy.plan(name).is_none()) {
        return Ok(Err(PlanRefusal::NoSuchPlan));
    }
    if app.plan.as_deref() == plan {
        return Ok(Ok(app));
    }
    apps::save_plan(tx, app.id, plan).await?;
    changes::record(tx, Change::App(app.id)).await?;
    let event = AuditEvent::new(now, AuditKind::PlanSet, AuditActor::System)
        .app(app.id)
        .detail(json!({ "plan": plan, "before": app.plan, "note": note }));
    audit::record(tx, &sign(event)).await?;
    let app = App { plan: plan.map(str::to_owned), ..app };
    let has = policy.plan_of(&app);
    let (name, title) = has.map(|plan| (plan.name.clone(), &*plan.title)).unwrap_or_default();
    let told = (&Wish::Plan(name), title);
    app_news::wish_decided(tx, &app, told, (WishAnswer::Given, note), now).await?;
    Ok(Ok(app))
}
