//! The shapes that go out, as WhiteBIT's V4 clients read them: numbers of money as text, times as
//! Unix seconds with a fraction. The practice exchange takes no fees, and says so.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};

use super::book::{Order, Status};
use super::market::Market;
use super::rows::{Balance, Deal};

const NO_FEE: &str = "0";

pub(crate) fn order(order: &Order) -> Value {
    json!({
        "orderId": order.id,
        "clientOrderId": order.client_order_id,
        "market": order.market.name,
        "side": order.side.as_str(),
        "type": "limit",
        "timestamp": seconds(order.created_at),
        "dealMoney": text(order.deal_money),
        "dealStock": text(order.deal_stock),
        "amount": text(order.amount),
        "takerFee": NO_FEE,
        "makerFee": NO_FEE,
        "left": text(order.left()),
        "dealFee": NO_FEE,
        "price": text(order.price),
        "postOnly": false,
        "ioc": false,
        "status": status(order),
    })
}

pub(crate) fn orders(orders: &[Order]) -> Value {
    orders.iter().map(order).collect()
}

/// Executed orders, grouped by market. V4 names some fields otherwise here.
pub(crate) fn order_history(orders: &[Order]) -> Value {
    by_market(orders.iter().map(|order| (order.market, executed_order(order))))
}

fn executed_order(order: &Order) -> Value {
    let finished_at = match order.status {
        Status::Filled { at } | Status::Cancelled { at } => at,
        Status::Open => order.created_at,
    };
    json!({
        "id": order.id,
        "clientOrderId": order.client_order_id,
        "side": order.side.as_str(),
        "type": "limit",
        "ctime": seconds(order.created_at),
        "ftime": seconds(finished_at),
        "amount": text(order.amount),
        "price": text(order.price),
        "takerFee": NO_FEE,
        "makerFee": NO_FEE,
        "dealFee": NO_FEE,
        "dealStock": text(order.deal_stock),
        "dealMoney": text(order.deal_money),
        "status": status(order),
    })
}

/// A plain list when one market was asked for, otherwise grouped by market.
pub(crate) fn deals(deals: &[Deal], market: Option<&Market>) -> Value {
    match market {
        Some(_) => deals.iter().map(deal).collect(),
        None => by_market(deals.iter().map(|each| (each.market, deal(each)))),
    }
}

fn deal(deal: &Deal) -> Value {
    json!({
        "id": deal.id,
        "orderId": deal.order_id,
        "clientOrderId": deal.client_order_id,
        "time": seconds(deal.created_at),
        "side": deal.side.as_str(),
        "role": deal.role,
        "amount": text(deal.amount),
        "price": text(deal.price),
        "deal": text(deal.money),
        "fee": NO_FEE,
    })
}

fn by_market(entries: impl Iterator<Item = (&'static Market, Value)>) -> Value {
    let mut groups: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (market, entry) in entries {
        groups.entry(market.name).or_default().push(entry);
    }
    json!(groups)
}

pub(crate) fn trade_balance(balance: &Balance) -> Value {
    json!({ "available": text(balance.available), "freeze": text(balance.freeze) })
}

pub(crate) fn main_balance(balance: &Balance) -> Value {
    json!({ "main_balance": text(balance.main) })
}

pub(crate) fn market(market: &Market) -> Value {
    json!({
        "name": market.name,
        "stock": market.stock,
        "money": market.money,
        "stockPrec": market.stock_precision.to_string(),
        "moneyPrec": market.price_precision.to_string(),
        "feePrec": "0",
        "makerFee": NO_FEE,
        "takerFee": NO_FEE,
        "minAmount": text(market.amount_min),
        "minTotal": text(market.total_min),
        "tradesEnabled": true,
        "isCollateral": false,
        "type": "spot",
    })
}

/// One market's line of the ticker, from the trades of the last day, oldest first.
pub(crate) fn ticker(last_price: Decimal, trades: &[(Decimal, Decimal, Decimal)]) -> Value {
    let sum = |total: Decimal, part: &Decimal| total.saturating_add(*part);
    let first_price = trades.first().map_or(last_price, |(price, ..)| *price);
    let change = last_price
        .saturating_sub(first_price)
        .checked_div(first_price)
        .map_or(Decimal::ZERO, |part| part.saturating_mul(Decimal::ONE_HUNDRED).round_dp(2));
    json!({
        "last_price": text(last_price),
        "base_volume": text(trades.iter().map(|(_, amount, _)| amount).fold(Decimal::ZERO, sum)),
        "quote_volume": text(trades.iter().map(|(.., money)| money).fold(Decimal::ZERO, sum)),
        "isFrozen": false,
        "change": text(change),
    })
}

pub(crate) fn order_book(
    market: &Market,
    now: i64,
    asks: &[(Decimal, Decimal)],
    bids: &[(Decimal, Decimal)],
) -> Value {
    let levels = |side: &[(Decimal, Decimal)]| -> Value {
        side.iter().map(|(price, amount)| json!([text(*price), text(*amount)])).collect()
    };
    json!({
        "ticker_id": market.name,
        "timestamp": now.div_euclid(1000),
        "asks": levels(asks),
        "bids": levels(bids),
    })
}

/// One entry for each name, or the value alone when only one currency was asked for.
pub(crate) fn balances(
    found: Vec<(&'static str, Balance)>,
    only: Option<&str>,
    view: fn(&Balance) -> Value,
) -> Value {
    let mut all = Map::new();
    for (currency, balance) in found {
        if only == Some(currency) {
            return view(&balance);
        }
        all.insert(currency.to_owned(), view(&balance));
    }
    Value::Object(all)
}

fn status(order: &Order) -> &'static str {
    match order.status {
        Status::Filled { .. } => "FILLED",
        Status::Cancelled { .. } => "CANCELLED",
        Status::Open if order.deal_stock.is_zero() => "NEW",
        Status::Open => "PARTIALLY_FILLED",
    }
}

fn text(number: Decimal) -> String {
    number.normalize().to_string()
}

/// Milliseconds as V4's seconds with a fraction. A time may be a float; money never is.
fn seconds(milliseconds: i64) -> Value {
    let exact = Decimal::new(milliseconds, 3);
    let number = exact.to_string().parse().ok().and_then(Number::from_f64);
    number.map_or(Value::Null, Value::Number)
}
