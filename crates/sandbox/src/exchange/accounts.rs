//! What a user owns: on the trade account, free and frozen; on the main account; and what came and
//! went on it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Exchange;
use super::error::ApiError;
use super::forms::Params;
use super::market::CURRENCIES;
use super::rows::{self, Balance};
use super::{views, wallet, wallet_rows};
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

/// V4 answers a transfer with 201 and an empty list.
pub(crate) async fn transfer(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let transfer = params.transfer()?;
    exchange.as_user(caller, move |tx, user, _| wallet::transfer(tx, user, transfer)).await?;
    Ok((StatusCode::CREATED, Json(json!([]))))
}

pub(crate) async fn list_transactions(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let filter = params.transaction_filter()?;
    let found = exchange
        .as_user(caller, move |tx, user, _| Ok(wallet_rows::list_transactions(tx, user, &filter)?))
        .await?;
    Ok(Json(views::transactions(&found)))
}

async fn show(
    exchange: Exchange,
    caller: Caller,
    params: Params,
    view: fn(&Balance) -> Value,
) -> Result<Json<Value>, ApiError> {
    let only = params.currency()?;
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
