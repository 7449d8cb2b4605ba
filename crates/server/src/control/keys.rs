//! Rotation of keys by hand. New sealing keys are used at once; a new signing key is published
//! first and used once everyone can know it.

use axum::Json;
use axum::extract::State;
use domain::audit::AuditKind;
use serde::Serialize;
use serde_json::json;

use super::error::ControlError;
use super::operator::Operator;
use crate::provider::Shared;

#[derive(Clone, Debug, Serialize)]
pub struct Rotated {
    pub sealing_keys_used_from: String,
    pub signing_keys_used_from: String,
}

pub async fn rotate(
    State(provider): State<Shared>,
    operator: Operator,
) -> Result<Json<Rotated>, ControlError> {
    let now = provider.now();
    provider.store.rotate_keys(operator.event(now, AuditKind::KeysRotated, json!({}))).await?;
    Ok(Json(Rotated {
        sealing_keys_used_from: super::rfc3339(now),
        signing_keys_used_from: super::rfc3339(now.after(store::keys::PUBLISHED_BEFORE_USE)),
    }))
}
