//! The plan of an app, set by the operator.

use axum::Json;
use axum::extract::{Path, State};
use domain::audit::AuditKind;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Tx, apps};

use super::error::{Body, ControlError};
use super::operator::Operator;
use crate::plans;
use crate::provider::Shared;

/// What the operator says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPlan {
    /// `null`: the default one.
    pub plan: Option<String>,
    #[serde(default)]
    pub reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct PlanRecord {
    pub client_id: String,
    pub plan: Option<String>,
}

pub async fn set(
    State(provider): State<Shared>,
    operator: Operator,
    Path(client_id): Path<String>,
    Body(NewPlan { plan, reason }): Body<NewPlan>,
) -> Result<Json<PlanRecord>, ControlError> {
    let policy = provider.policy();
    if let Some(name) = plan.as_deref().filter(|name| policy.plan(name).is_none()) {
        let known: Vec<_> = policy.plans.iter().map(|plan| plan.name.as_str()).collect();
        let text = format!("there is no plan {name}; there are: {}", known.join(", "));
        return Err(ControlError::Invalid(text));
    }
    let now = provider.now();
    let write = async move |tx: &mut Tx<'_>| {
        let Some(app) = apps::find_by_client_id(tx, &client_id).await? else {
            let text = format!("there is no app {client_id}");
            return Ok::<_, ControlError>(Err(ControlError::NotFound(text)));
        };
        let detail = json!({ "plan": plan, "before": app.plan, "reason": reason });
        let event = operator.event(now, AuditKind::PlanSet, detail);
        plans::set(tx, &app, plan.as_deref(), event).await?;
        Ok(Ok(PlanRecord { client_id: app.client_id, plan: plan.clone() }))
    };
    Ok(Json(provider.store.db.write(write).await??))
}
