//! Price-time priority, on the pure engine.

use rust_decimal::Decimal;

use crate::exchange::book::{Order, Side, Status, UserId, match_order};
use crate::exchange::market;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn order(id: i64, side: Side, amount: &str, price: &str) -> Order {
    Order {
        id,
        owner: UserId(id),
        market: market::find("BTC_USDT").unwrap(),
        client_order_id: String::new(),
        side,
        price: decimal(price),
        amount: decimal(amount),
        deal_stock: Decimal::ZERO,
        deal_money: Decimal::ZERO,
        priority: id,
        created_at: 0,
        status: Status::Open,
    }
}

/// The fills as (maker, amount, price).
fn fills(taker: Order, resting: Vec<Order>) -> Vec<(i64, String, String)> {
    let matched = match_order(taker, resting, 9).unwrap();
    let show = |number: Decimal| number.normalize().to_string();
    matched.fills.iter().map(|fill| (fill.maker.id, show(fill.amount), show(fill.price))).collect()
}

fn expected(fills: &[(i64, &str, &str)]) -> Vec<(i64, String, String)> {
    fills.iter().map(|(id, amount, price)| (*id, (*amount).into(), (*price).into())).collect()
}

#[test]
fn the_best_price_trades_first_and_among_equals_the_oldest() {
    let asks = vec![
        order(1, Side::Sell, "1", "102"),
        order(2, Side::Sell, "1", "100"),
        order(3, Side::Sell, "1", "101"),
        order(4, Side::Sell, "1", "100"),
    ];
    let bought = fills(order(9, Side::Buy, "3.5", "102"), asks);
    let in_order = [(2, "1", "100"), (4, "1", "100"), (3, "1", "101"), (1, "0.5", "102")];
    assert_eq!(bought, expected(&in_order));

    let bids = vec![
        order(1, Side::Buy, "1", "98"),
        order(2, Side::Buy, "1", "100"),
        order(3, Side::Buy, "1", "100"),
    ];
    let sold = fills(order(9, Side::Sell, "1.5", "99"), bids);
    assert_eq!(sold, expected(&[(2, "1", "100"), (3, "0.5", "100")]));
}

#[test]
fn a_price_that_is_not_met_does_not_trade() {
    let asks = vec![order(1, Side::Sell, "1", "100.01")];
    assert_eq!(fills(order(9, Side::Buy, "1", "100"), asks), []);
    let bids = vec![order(1, Side::Buy, "1", "99.99")];
    assert_eq!(fills(order(9, Side::Sell, "1", "100"), bids), []);
}

#[test]
fn the_buyer_pays_the_sellers_price_and_gets_the_rest_of_what_was_frozen_back() {
    let taker = order(9, Side::Buy, "2", "110");
    let matched = match_order(taker, vec![order(1, Side::Sell, "2", "100")], 7).unwrap();
    assert_eq!(matched.taker.status, Status::Filled { at: 7 });
    assert_eq!(matched.taker.deal_money, decimal("200"));
    let buyer_money = &matched.movements[0];
    assert_eq!((buyer_money.user, buyer_money.currency), (UserId(9), "USDT"));
    assert_eq!((buyer_money.available, buyer_money.freeze), (decimal("20"), decimal("-220")));
    for currency in ["BTC", "USDT"] {
        let moved = matched.movements.iter().filter(|movement| movement.currency == currency);
        let sum: Decimal = moved.map(|movement| movement.available + movement.freeze).sum();
        assert_eq!(sum, Decimal::ZERO, "{currency}");
    }
}

#[test]
fn the_part_that_finds_nobody_stays_open() {
    let taker = order(9, Side::Buy, "3", "100");
    let matched = match_order(taker, vec![order(1, Side::Sell, "1", "100")], 7).unwrap();
    assert_eq!(matched.taker.status, Status::Open);
    assert_eq!(matched.taker.left(), decimal("2"));
    assert_eq!(matched.fills[0].maker.status, Status::Filled { at: 7 });
}
