//! What a user owns: on the trade account, free and frozen; on the main account.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::Exchange;
use super::error::ApiError;
use super::forms::Params;
use super::market::CURRENCIES;
use super::rows::{self, Balance};
use super::views;
use crate::assertion::Caller;

pub(crate) async fn show_trade_balance(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    show(exchange, caller, params, views::trade_balance).await
}

pub(crate) async fn show_main_balance(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    show(exchange, caller, params, views::main_balance).await
}

async fn show(
    exchange: Exchange,
    caller: Caller,
    params: Params,
    view: fn(&Balance) -> Value,
) -> Result<Json<Value>, ApiError> {
    let only = params.optional_currency()?;
    let balances = exchange
        .as_user(caller, |tx, user, _| {
            let mut balances = Vec::new();
            for currency in CURRENCIES {
                balances.push((currency, rows::find_balance(tx, user, currency)?));
            }
            Ok(balances)
        })
        .await?;
    Ok(Json(views::balances(balances, only, view)))
}
