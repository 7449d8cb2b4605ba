//! Price-time priority, on the pure engine.

use rust_decimal::Decimal;

use crate::exchange::book::{
    Kind, Limit, Matched, Movement, Order, Side, Status, UserId, match_order,
};
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
        kind: Kind::Limit(Limit { price: decimal(price), ioc: false, post_only: false }),
        amount: decimal(amount),
        deal_stock: Decimal::ZERO,
        deal_money: Decimal::ZERO,
        deal_fee: Decimal::ZERO,
        priority: id,
        created_at: 0,
        status: Status::Open,
    }
}

/// An order at whatever price.
fn market(side: Side, amount: &str, kind: Kind) -> Order {
    Order { kind, ..order(9, side, amount, "1") }
}

const HOUSE: UserId = UserId(100);

fn matched(taker: Order, resting: Vec<Order>) -> Matched {
    let matched = match_order(taker, resting, HOUSE, 7).unwrap();
    for currency in ["BTC", "USDT"] {
        let moved = matched.movements.iter().filter(|movement| movement.currency == currency);
        let sum: Decimal = moved.map(|movement| movement.available + movement.freeze).sum();
        assert_eq!(sum, Decimal::ZERO, "{currency}");
    }
    matched
}

/// What happened in sum to one balance of a user: (available, freeze).
fn moved(movements: &[Movement], user: UserId, currency: &str) -> (Decimal, Decimal) {
    let mine = movements.iter().filter(|each| each.user == user && each.currency == currency);
    mine.fold((Decimal::ZERO, Decimal::ZERO), |(available, freeze), each| {
        (available + each.available, freeze + each.freeze)
    })
}

/// The fills as (maker, amount, price).
fn fills(taker: Order, resting: Vec<Order>) -> Vec<(i64, String, String)> {
    let show = |number: Decimal| number.normalize().to_string();
    let fills = matched(taker, resting).fills;
    fills.iter().map(|f| (f.maker.id, show(f.deal.amount), show(f.deal.price))).collect()
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
    assert_eq!(taker.frozen().unwrap(), ("USDT", decimal("220.22")));
    let matched = matched(taker, vec![order(1, Side::Sell, "2", "100")]);
    assert_eq!(matched.taker.status, Status::Filled { at: 7 });
    assert_eq!(matched.taker.deal_money, decimal("200"));
    let buyer = moved(&matched.movements, UserId(9), "USDT");
    // 220.22 were frozen; the stock costs 200 and the fee 0.2.
    assert_eq!(buyer, (decimal("20.02"), decimal("-220.22")));
}

#[test]
fn fees_are_paid_in_money_by_both_sides_and_go_to_the_house() {
    let buy = order(9, Side::Buy, "2", "100");
    let matched = matched(buy, vec![order(1, Side::Sell, "2", "100")]);
    assert_eq!(matched.taker.deal_fee, decimal("0.2"));
    assert_eq!(matched.fills[0].maker.deal_fee, decimal("0.1"));
    let seller = moved(&matched.movements, UserId(1), "USDT");
    assert_eq!(seller, (decimal("199.9"), Decimal::ZERO));
    assert_eq!(moved(&matched.movements, HOUSE, "USDT").0, decimal("0.3"));
}

#[test]
fn the_part_that_finds_nobody_stays_open() {
    let taker = order(9, Side::Buy, "3", "100");
    let matched = matched(taker, vec![order(1, Side::Sell, "1", "100")]);
    assert_eq!(matched.taker.status, Status::Open);
    assert_eq!(matched.taker.left(), decimal("2"));
    assert_eq!(matched.fills[0].maker.status, Status::Filled { at: 7 });
}

#[test]
fn immediate_or_cancel_gives_back_what_is_frozen_for_the_rest() {
    let kind = Kind::Limit(Limit { price: decimal("100"), ioc: true, post_only: false });
    let taker = Order { kind, ..order(9, Side::Buy, "3", "100") };
    let frozen = taker.frozen().unwrap().1;
    let matched = matched(taker, vec![order(1, Side::Sell, "1", "100")]);
    assert_eq!(matched.taker.status, Status::Cancelled { at: 7 });
    let buyer = moved(&matched.movements, UserId(9), "USDT");
    assert_eq!(buyer, (frozen - decimal("100.1"), -frozen));
}

#[test]
fn a_market_buyer_spends_at_most_his_money_in_whole_steps() {
    let asks = || vec![order(1, Side::Sell, "0.5", "100"), order(2, Side::Sell, "9", "300")];
    let all = matched(market(Side::Buy, "100", Kind::Market), asks()).taker;
    // 50 for the half, and the other 50 buy 0.166666 at 300: 49.9998.
    assert_eq!(all.deal_stock, decimal("0.666666"));
    assert_eq!(all.deal_money, decimal("99.9998"));
    assert_eq!(all.status, Status::Filled { at: 7 });
    let dry = matched(market(Side::Buy, "10000", Kind::Market), asks()).taker;
    assert_eq!(dry.deal_stock, decimal("9.5"));
    assert_eq!(dry.status, Status::Cancelled { at: 7 });
}

#[test]
fn a_market_order_in_stock_takes_any_price() {
    let bids = vec![order(1, Side::Buy, "1", "100"), order(2, Side::Buy, "1", "1")];
    let sold = matched(market(Side::Sell, "1.5", Kind::StockMarket), bids).taker;
    assert_eq!(sold.deal_money, decimal("100.5"));
    assert_eq!(sold.status, Status::Filled { at: 7 });
}
