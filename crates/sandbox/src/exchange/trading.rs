//! What a user can do with orders, each inside one transaction: the engine decides, rows change,
//! balances move. When a function returns `Err`, its transaction is undone.

use rusqlite::Transaction;
use rust_decimal::Decimal;

use super::book::{self, Kind, Limit, Movement, Order, Side, Status, TooLarge, UserId};
use super::error::{ApiError, Faults, code};
use super::market::Market;
use super::rows::{self, Filter, MAKER, TAKER};
use super::seed;

/// Open orders of one user, over all markets.
const OPEN_ORDERS_MAX: i64 = 200;

#[derive(Debug)]
pub(crate) struct NewOrder {
    pub(crate) market: &'static Market,
    pub(crate) side: Side,
    pub(crate) kind: Kind,
    pub(crate) amount: Decimal,
    pub(crate) client_order_id: String,
}

/// How a user names one of his open orders.
#[derive(Debug)]
pub(crate) struct OrderName {
    pub(crate) market: &'static Market,
    pub(crate) order_id: Option<i64>,
    pub(crate) client_order_id: Option<String>,
}

/// What is to be different about an open order.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) amount: Option<Decimal>,
    pub(crate) price: Option<Decimal>,
}

/// An order after an operation, and every order that the operation changed, this one included.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) order: Order,
    pub(crate) changed: Vec<Order>,
}

pub(crate) fn place(
    tx: &Transaction<'_>,
    user: UserId,
    new: NewOrder,
    now: i64,
) -> Result<Outcome, ApiError> {
    if rows::count_open_orders(tx, user)? >= OPEN_ORDERS_MAX {
        return Err(refused(code::INVALID_ARGUMENT, "market", "Too many open orders."));
    }
    refuse_taken_name(tx, user, &new.client_order_id)?;
    let order = Order {
        // The row's id is given when it is written.
        id: 0,
        owner: user,
        market: new.market,
        client_order_id: new.client_order_id,
        side: new.side,
        kind: new.kind,
        amount: new.amount,
        deal_stock: Decimal::ZERO,
        deal_money: Decimal::ZERO,
        deal_fee: Decimal::ZERO,
        priority: rows::next_priority(tx)?,
        created_at: now,
        status: Status::Open,
    };
    refuse_small_total(&order)?;
    refuse_to_take(tx, &order)?;
    apply(tx, order.freezing()?)?;
    let order = rows::create_order(tx, order)?;
    let outcome = trade(tx, order, now)?;
    if outcome.order.price().is_none() && outcome.order.deal_stock.is_zero() {
        return Err(refused(code::NOT_ENOUGH_LIQUIDITY, "amount", "Not enough liquidity."));
    }
    Ok(outcome)
}

/// Changes price or amount. An order keeps its place in the queue only when it shrinks: a better
/// price or more to trade would otherwise overtake those who waited.
pub(crate) fn modify(
    tx: &Transaction<'_>,
    user: UserId,
    name: &OrderName,
    change: &Change,
    now: i64,
) -> Result<Outcome, ApiError> {
    let mut order = find_open(tx, user, name)?;
    // Only limit orders are ever open.
    let Kind::Limit(limit) = order.kind else { return Err(no_such_order()) };
    let amount = change.amount.unwrap_or(order.amount);
    let price = change.price.unwrap_or(limit.price);
    if amount <= order.deal_stock {
        let message = "Amount should be greater than the executed amount.";
        return Err(Faults::one(code::AMOUNT, "amount", message));
    }
    let keeps_place = price == limit.price && amount <= order.amount;
    apply(tx, order.releasing()?)?;
    order.amount = amount;
    order.kind = Kind::Limit(Limit { price, ..limit });
    refuse_small_total(&order)?;
    refuse_to_take(tx, &order)?;
    if !keeps_place {
        order.priority = rows::next_priority(tx)?;
    }
    apply(tx, order.freezing()?)?;
    trade(tx, order, now)
}

pub(crate) fn cancel(
    tx: &Transaction<'_>,
    user: UserId,
    name: &OrderName,
    now: i64,
) -> Result<Outcome, ApiError> {
    let order = cancel_order(tx, find_open(tx, user, name)?, now)?;
    Ok(Outcome { changed: vec![order.clone()], order })
}

pub(crate) fn cancel_all(
    tx: &Transaction<'_>,
    user: UserId,
    market: Option<&'static Market>,
    now: i64,
) -> Result<Vec<Order>, ApiError> {
    let all = Filter { market, limit: OPEN_ORDERS_MAX, ..Filter::default() };
    let open = rows::list_open_orders(tx, user, &all)?;
    open.into_iter().map(|order| cancel_order(tx, order, now)).collect()
}

fn cancel_order(tx: &Transaction<'_>, mut order: Order, now: i64) -> Result<Order, ApiError> {
    apply(tx, order.releasing()?)?;
    order.status = Status::Cancelled { at: now };
    rows::save_order(tx, &order)?;
    Ok(order)
}

/// Matches an order whose cost is frozen, and writes all that follows from it.
fn trade(tx: &Transaction<'_>, order: Order, now: i64) -> Result<Outcome, ApiError> {
    let resting = rows::list_crossed_orders(tx, &order)?;
    let matched = book::match_order(order, resting, seed::find_house(tx)?, now)?;
    for movement in matched.movements {
        apply(tx, movement)?;
    }
    let order = matched.taker;
    rows::save_order(tx, &order)?;
    let mut changed = vec![order.clone()];
    for fill in matched.fills {
        rows::save_order(tx, &fill.maker)?;
        rows::create_deal(tx, &fill.maker, MAKER, &fill.deal, fill.maker_fee, now)?;
        rows::create_deal(tx, &order, TAKER, &fill.deal, fill.taker_fee, now)?;
        changed.push(fill.maker);
    }
    Ok(Outcome { order, changed })
}

/// Moves money, and refuses before a balance would fall below zero.
pub(crate) fn apply(tx: &Transaction<'_>, movement: Movement) -> Result<(), ApiError> {
    let Movement { user, currency, available, freeze } = movement;
    let mut balance = rows::find_balance(tx, user, currency)?;
    balance.available = book::plus(balance.available, available)?;
    balance.freeze = book::plus(balance.freeze, freeze)?;
    if balance.available < Decimal::ZERO || balance.freeze < Decimal::ZERO {
        return Err(refused(code::NOT_ENOUGH_BALANCE, "amount", "Not enough balance."));
    }
    rows::save_balance(tx, user, currency, balance)?;
    Ok(())
}

fn find_open(tx: &Transaction<'_>, user: UserId, name: &OrderName) -> Result<Order, ApiError> {
    let filter = Filter {
        market: Some(name.market),
        order_id: name.order_id,
        client_order_id: name.client_order_id.clone(),
        limit: 1,
        offset: 0,
    };
    rows::list_open_orders(tx, user, &filter)?.into_iter().next().ok_or_else(no_such_order)
}

fn no_such_order() -> ApiError {
    refused(code::ORDER_NOT_FOUND, "orderId", "Unexecuted order was not found.")
}

fn refuse_taken_name(tx: &Transaction<'_>, user: UserId, name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Ok(());
    }
    let same = Filter { client_order_id: Some(name.to_owned()), limit: 1, ..Filter::default() };
    if rows::list_open_orders(tx, user, &same)?.is_empty() {
        return Ok(());
    }
    let message = "This client order id is already used by an open order of the account.";
    Err(Faults::one(code::CLIENT_ORDER_ID, "clientOrderId", message))
}

/// Of a market order only a buyer's money says what it is worth before it trades.
fn refuse_small_total(order: &Order) -> Result<(), ApiError> {
    let total = match order.price() {
        Some(price) => order.amount.checked_mul(price).ok_or(TooLarge)?,
        None if order.counts_money() => order.amount,
        None => return Ok(()),
    };
    if total >= order.market.total_min {
        return Ok(());
    }
    let message = format!("Total(amount * price) is less than {}", order.market.total_min);
    Err(Faults::one(code::FIELD, "total", message))
}

/// An order that may only be a maker is refused where it would meet somebody.
fn refuse_to_take(tx: &Transaction<'_>, order: &Order) -> Result<(), ApiError> {
    let may_take = !matches!(order.kind, Kind::Limit(Limit { post_only: true, .. }));
    if may_take || rows::list_crossed_orders(tx, order)?.is_empty() {
        return Ok(());
    }
    let message = "The order would be executed at once as a taker.";
    Err(Faults::one(code::FIELD, "postOnly", message))
}

pub(crate) fn refused(code: u32, field: &'static str, message: &'static str) -> ApiError {
    ApiError::Refused { code, field, message }
}
