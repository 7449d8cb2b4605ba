//! Conversions of the calling user: an offer, its acceptance, and what was converted before.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::Exchange;
use super::error::ApiError;
use super::forms::Params;
use super::{views, wallet, wallet_rows};
use crate::assertion::Caller;

pub(crate) async fn estimate(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let new = params.new_conversion()?;
    let quote =
        exchange.as_user(caller, move |tx, user, now| wallet::offer(tx, user, &new, now)).await?;
    Ok(Json(views::quote(&quote)))
}

pub(crate) async fn confirm(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let id = params.quote_id()?;
    let quote =
        exchange.as_user(caller, move |tx, user, now| wallet::convert(tx, user, id, now)).await?;
    Ok(Json(views::confirmed(&quote)))
}

pub(crate) async fn list(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let filter = params.conversion_filter()?;
    let found = exchange
        .as_user(caller, move |tx, user, _| Ok(wallet_rows::list_conversions(tx, user, &filter)?))
        .await?;
    Ok(Json(views::conversions(&found)))
}
