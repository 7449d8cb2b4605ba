//! Orders of the calling user: place, change, cancel, list, and what became of them.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Exchange;
use super::book::Kind;
use super::error::ApiError;
use super::forms::Params;
use super::trading::NewOrder;
use super::{rows, trading, views};
use crate::assertion::Caller;

pub(crate) async fn create(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    place(exchange, caller, params.new_order()?).await
}

pub(crate) async fn create_market(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    place(exchange, caller, params.new_market_order(Kind::Market)?).await
}

pub(crate) async fn create_stock_market(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    place(exchange, caller, params.new_market_order(Kind::StockMarket)?).await
}

async fn place(exchange: Exchange, caller: Caller, new: NewOrder) -> Result<Json<Value>, ApiError> {
    let outcome =
        exchange.as_user(caller, move |tx, user, now| trading::place(tx, user, new, now)).await?;
    exchange.announce(outcome.changed);
    Ok(Json(views::order(&outcome.order)))
}

pub(crate) async fn modify(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let (name, change) = params.change()?;
    let outcome = exchange
        .as_user(caller, move |tx, user, now| trading::modify(tx, user, &name, &change, now))
        .await?;
    exchange.announce(outcome.changed);
    Ok(Json(views::order(&outcome.order)))
}

pub(crate) async fn cancel(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let name = params.order_name()?;
    let outcome = exchange
        .as_user(caller, move |tx, user, now| trading::cancel(tx, user, &name, now))
        .await?;
    exchange.announce(outcome.changed);
    Ok(Json(views::order(&outcome.order)))
}

/// Cancels every open order of the user, or of one market. V4 answers with an empty list.
pub(crate) async fn cancel_all(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let market = params.optional_market()?;
    let cancelled = exchange
        .as_user(caller, move |tx, user, now| trading::cancel_all(tx, user, market, now))
        .await?;
    exchange.announce(cancelled);
    Ok(Json(json!([])))
}

pub(crate) async fn list_open(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let filter = params.filter()?;
    let orders = exchange
        .as_user(caller, move |tx, user, _| Ok(rows::list_open_orders(tx, user, &filter)?))
        .await?;
    Ok(Json(views::orders(&orders)))
}

pub(crate) async fn list_executed(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let filter = params.filter()?;
    let orders = exchange
        .as_user(caller, move |tx, user, _| Ok(rows::list_executed_orders(tx, user, &filter)?))
        .await?;
    Ok(Json(views::order_history(&orders)))
}

pub(crate) async fn list_deals(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let filter = params.filter()?;
    let market = filter.market;
    let deals = exchange
        .as_user(caller, move |tx, user, _| Ok(rows::list_deals(tx, user, &filter)?))
        .await?;
    Ok(Json(views::deals(&deals, market)))
}

/// The deals of one order, in V4's page with `records`.
pub(crate) async fn list_deals_of_order(
    State(exchange): State<Exchange>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let filter = params.filter_of_order()?;
    let page = (filter.limit, filter.offset);
    let deals = exchange
        .as_user(caller, move |tx, user, _| Ok(rows::list_deals(tx, user, &filter)?))
        .await?;
    Ok(Json(views::deals_of_order(&deals, page)))
}
