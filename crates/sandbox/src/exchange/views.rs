//! The shapes that go out, as WhiteBIT's V4 clients read them: numbers of money as text, times as
//! Unix seconds with a fraction.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};

use super::book::{Deal, Kind, Limit, Order, Status};
use super::market::{self, MAKER_FEE, Market, TAKER_FEE};
use super::rows::{Balance, PastDeal};
use super::wallet_rows::{Page, PastTransaction, Quote};

/// V4's number for a deposit or withdrawal that is done.
const DONE: u32 = 3;
/// Blocks after which a practice network is content.
const CONFIRMATIONS: u32 = 12;

pub(crate) fn order(order: &Order) -> Value {
    let mut shown = json!({
        "orderId": order.id,
        "clientOrderId": order.client_order_id,
        "market": order.market.name,
        "side": order.side.as_str(),
        "type": kind(order),
        "timestamp": seconds(order.created_at),
        "dealMoney": text(order.deal_money),
        "dealStock": text(order.deal_stock),
        "amount": text(order.amount),
        "takerFee": text(TAKER_FEE),
        "makerFee": text(MAKER_FEE),
        "left": text(order.left()),
        "dealFee": text(order.deal_fee),
        "status": status(order),
    });
    // An order at any price has none, and no options either.
    if let (Kind::Limit(Limit { price, ioc, post_only }), Some(shown)) =
        (order.kind, shown.as_object_mut())
    {
        shown.insert("price".to_owned(), text(price).into());
        shown.insert("ioc".to_owned(), ioc.into());
        shown.insert("postOnly".to_owned(), post_only.into());
    }
    shown
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
    let options = match order.kind {
        Kind::Limit(limit) => Some(limit),
        Kind::Market | Kind::StockMarket => None,
    };
    json!({
        "id": order.id,
        "clientOrderId": order.client_order_id,
        "side": order.side.as_str(),
        "type": kind(order),
        "ctime": seconds(order.created_at),
        "ftime": seconds(finished_at),
        "amount": text(order.amount),
        "price": text(order.price().unwrap_or_default()),
        "takerFee": text(TAKER_FEE),
        "makerFee": text(MAKER_FEE),
        "dealFee": text(order.deal_fee),
        "feeAsset": order.market.money,
        "dealStock": text(order.deal_stock),
        "dealMoney": text(order.deal_money),
        "postOnly": options.is_some_and(|limit| limit.post_only),
        "ioc": options.is_some_and(|limit| limit.ioc),
        "status": status(order),
    })
}

/// A plain list when one market was asked for, otherwise grouped by market.
pub(crate) fn deals(deals: &[PastDeal], market: Option<&Market>) -> Value {
    match market {
        Some(_) => deals.iter().map(deal).collect(),
        None => by_market(deals.iter().map(|each| (each.market, deal(each)))),
    }
}

fn deal(past: &PastDeal) -> Value {
    json!({
        "id": past.id,
        "orderId": past.order_id,
        "clientOrderId": past.client_order_id,
        "time": seconds(past.created_at),
        "side": past.side.as_str(),
        "role": past.role,
        "amount": text(past.deal.amount),
        "price": text(past.deal.price),
        "deal": text(past.deal.money),
        "fee": text(past.fee),
        "feeAsset": past.market.money,
    })
}

/// The deals of one order. V4 names the order otherwise here.
pub(crate) fn deals_of_order(deals: &[PastDeal], (limit, offset): (i64, i64)) -> Value {
    let record = |past: &PastDeal| {
        json!({
            "id": past.id,
            "dealOrderId": past.order_id,
            "clientOrderId": past.client_order_id,
            "time": seconds(past.created_at),
            "role": past.role,
            "amount": text(past.deal.amount),
            "price": text(past.deal.price),
            "deal": text(past.deal.money),
            "fee": text(past.fee),
            "feeAsset": past.market.money,
        })
    };
    let records: Vec<Value> = deals.iter().map(record).collect();
    json!({ "records": records, "limit": limit, "offset": offset })
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

fn page<T>(page: &Page<T>, record: fn(&T) -> Value) -> Value {
    let records: Vec<Value> = page.records.iter().map(record).collect();
    let Page { total, limit, offset, .. } = page;
    json!({ "records": records, "total": total, "limit": limit, "offset": offset })
}

pub(crate) fn transactions(found: &Page<PastTransaction>) -> Value {
    page(found, |transaction| {
        let (name, network) = market::describe_currency(transaction.currency);
        json!({
            "address": transaction.hash.get(..40),
            "uniqueId": null,
            "createdAt": transaction.created_at.div_euclid(1000),
            "currency": name,
            "ticker": transaction.currency,
            "method": transaction.method.number(),
            "amount": text(transaction.amount),
            "description": "",
            "memo": "",
            "fee": text(transaction.fee),
            "status": DONE,
            "network": network,
            "transactionHash": transaction.hash,
            "transactionId": transaction.id.to_string(),
            "confirmations": { "actual": CONFIRMATIONS, "required": CONFIRMATIONS },
        })
    })
}

pub(crate) fn quote(quote: &Quote) -> Value {
    json!({
        "id": quote.id.to_string(),
        "from": quote.terms.give_currency,
        "to": quote.terms.receive_currency,
        "give": text(quote.terms.give),
        "receive": text(quote.terms.receive),
        "rate": text(quote.terms.rate),
        "expireAt": quote.expires_at.div_euclid(1000),
    })
}

pub(crate) fn confirmed(quote: &Quote) -> Value {
    json!({ "finalGive": text(quote.terms.give), "finalReceive": text(quote.terms.receive) })
}

pub(crate) fn conversions(found: &Page<Quote>) -> Value {
    page(found, |quote| {
        let terms = &quote.terms;
        let step = json!({
            "from": terms.give_currency,
            "to": terms.receive_currency,
            "rate": text(terms.rate),
        });
        json!({
            "id": quote.id.to_string(),
            "date": quote.confirmed_at.map(|at| at.div_euclid(1000)),
            "give": text(terms.give),
            "receive": text(terms.receive),
            "rate": text(terms.rate),
            "path": [step],
        })
    })
}

pub(crate) fn market(market: &Market) -> Value {
    // Here, unlike in an order, V4 shows fees in per cent.
    let percent = |rate: Decimal| text(rate.saturating_mul(Decimal::ONE_HUNDRED));
    json!({
        "name": market.name,
        "stock": market.stock,
        "money": market.money,
        "stockPrec": market.stock_precision.to_string(),
        "moneyPrec": market.price_precision.to_string(),
        "feePrec": "4",
        "makerFee": percent(MAKER_FEE),
        "takerFee": percent(TAKER_FEE),
        "minAmount": text(market.amount_min),
        "minTotal": text(market.total_min),
        "tradesEnabled": true,
        "isCollateral": false,
        "type": "spot",
    })
}

/// A currency. This exchange takes nothing in and pays nothing out.
pub(crate) fn asset(ticker: &str) -> Value {
    let (name, network) = market::describe_currency(ticker);
    json!({
        "name": name,
        "can_deposit": false,
        "can_withdraw": false,
        "currency_precision": 8,
        "networks": { "default": network, "deposits": [network], "withdraws": [network] },
    })
}

/// One market's line of the ticker, from the trades of the last day, oldest first.
pub(crate) fn ticker(last_price: Decimal, trades: &[Deal]) -> Value {
    let sum = |part: fn(&Deal) -> Decimal| {
        trades.iter().map(part).fold(Decimal::ZERO, Decimal::saturating_add)
    };
    let first_price = trades.first().map_or(last_price, |deal| deal.price);
    let change = last_price
        .saturating_sub(first_price)
        .checked_div(first_price)
        .map_or(Decimal::ZERO, |part| part.saturating_mul(Decimal::ONE_HUNDRED).round_dp(2));
    json!({
        "last_price": text(last_price),
        "base_volume": text(sum(|deal| deal.amount)),
        "quote_volume": text(sum(|deal| deal.money)),
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

fn kind(order: &Order) -> &'static str {
    match order.kind {
        Kind::Limit(_) => "limit",
        Kind::Market => "market",
        Kind::StockMarket => "stock market",
    }
}

fn status(order: &Order) -> &'static str {
    match order.status {
        Status::Filled { .. } => "FILLED",
        Status::Cancelled { .. } => "CANCELED",
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
