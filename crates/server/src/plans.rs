//! Which plan an app has, and which perks it was given: asked by its developer, decided by staff or
//! set by the operator. Each decision is made here and nowhere else, in one transaction with its
//! audit row and with the change that the gateway hears of.

use std::net::IpAddr;

use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::PlanRequestId;
use domain::plan::{Decided, PlanRequest, PlanRequestError, Wish};
use domain::policy::Policy;
use serde_json::json;
use store::{DbError, Tx, apps, audit, changes, plan_requests};

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

/// Staff decide about a request.
pub async fn decide(
    tx: &mut Tx<'_>,
    policy: &Policy,
    id: PlanRequestId,
    decided: Decided,
    address: IpAddr,
) -> Result<Result<PlanRequest, PlanRefusal>, DbError> {
    let Some(request) = plan_requests::find(tx, id).await? else {
        return Ok(Err(PlanRefusal::NotFound));
    };
    let request = match request.decide(decided.clone(), policy) {
        Ok(request) => request,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    if !plan_requests::save_decision(tx, id, &decided).await? {
        return Ok(Err(PlanRequestError::Decided.into()));
    }
    if let (true, Wish::Plan(plan)) = (decided.is_granted, &request.wish) {
        apps::save_plan(tx, request.app_id, Some(plan)).await?;
        changes::record(tx, Change::App(request.app_id)).await?;
    }
    let event = AuditEvent::new(decided.at, AuditKind::PlanDecided, AuditActor::User(decided.by))
        .app(request.app_id)
        .address(address)
        .detail(json!({
            request.wish.kind(): request.wish.name(),
            "granted": decided.is_granted,
            "note": decided.note,
        }));
    audit::record(tx, &event).await?;
    Ok(Ok(request))
}

/// The operator gives an app a plan. `event` says who it was.
pub async fn set(
    tx: &mut Tx<'_>,
    app: &App,
    plan: Option<&str>,
    event: AuditEvent,
) -> Result<(), DbError> {
    apps::save_plan(tx, app.id, plan).await?;
    changes::record(tx, Change::App(app.id)).await?;
    audit::record(tx, &event.app(app.id)).await
}
