//! Whatever is sent, money is neither made nor lost, and nobody has less than nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::{Connection, Transaction};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::exchange::book::{Kind, Limit, Side, UserId};
use crate::exchange::forms::Params;
use crate::exchange::market::{CURRENCIES, MARKETS};
use crate::exchange::rows::{self, Filter};
use crate::exchange::trading::{self, Change, NewOrder, OrderName};
use crate::exchange::wallet::{self, Direction, NewConversion, Transfer};
use crate::exchange::{prepare, seed};

#[derive(Clone, Debug)]
enum Step {
    Place { market: usize, side: Side, thousandths: u32, price: u32, options: (bool, bool) },
    Market { market: usize, side: Side, thousandths: u32, counts_stock: bool },
    Transfer { currency: usize, thousandths: u32, to_trade: bool },
    Convert { give: usize, receive: usize, direction: Direction, thousandths: u32 },
    Modify { market: usize, newest: i64, thousandths: Option<u32>, price: Option<u32> },
    Cancel { market: usize, newest: i64 },
    CancelAll,
}

/// Prices around the house's, so that orders meet; now and then far off.
fn price() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 985_u32..1015, 1 => 1_u32..4000]
}

fn step() -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let amount = prop_oneof![8 => 1_u32..2_000, 1 => 1_u32..2_000_000];
    // Neither, immediate or cancel, maker only.
    let options = prop_oneof![
        3 => Just((false, false)),
        1 => Just((true, false)),
        1 => Just((false, true)),
    ];
    let place = (0_usize..3, side.clone(), amount.clone(), price(), options).prop_map(
        |(market, side, thousandths, price, options)| Step::Place {
            market,
            side,
            thousandths,
            price,
            options,
        },
    );
    let at_market = (0_usize..3, side, amount.clone(), any::<bool>()).prop_map(
        |(market, side, thousandths, counts_stock)| Step::Market {
            market,
            side,
            thousandths,
            counts_stock,
        },
    );
    let transfer = (0_usize..3, amount.clone(), any::<bool>()).prop_map(
        |(currency, thousandths, to_trade)| Step::Transfer { currency, thousandths, to_trade },
    );
    let direction = prop_oneof![Just(Direction::Give), Just(Direction::Receive)];
    let convert = (0_usize..3, 1_usize..3, direction, amount.clone()).prop_map(
        |(give, further, direction, thousandths)| Step::Convert {
            give,
            receive: (give + further) % 3,
            direction,
            thousandths,
        },
    );
    let modify =
        (0_usize..3, 0_i64..4, proptest::option::of(amount), proptest::option::of(price()))
            .prop_map(|(market, newest, thousandths, price)| Step::Modify {
                market,
                newest,
                thousandths,
                price,
            });
    let cancel =
        (0_usize..3, 0_i64..4).prop_map(|(market, newest)| Step::Cancel { market, newest });
    prop_oneof![
        6 => place,
        3 => at_market,
        2 => modify,
        2 => cancel,
        1 => Just(Step::CancelAll),
        1 => transfer,
        2 => convert,
    ]
}

fn amount_of(thousandths: u32) -> Decimal {
    Decimal::new(i64::from(thousandths), 3).normalize()
}

fn price_of(market: usize, thousandths: u32) -> Decimal {
    let price = MARKETS[market].reference_price * Decimal::new(i64::from(thousandths), 3);
    price.normalize()
}

fn new_order(market: usize, side: Side, kind: Kind, thousandths: u32) -> NewOrder {
    NewOrder {
        market: &MARKETS[market],
        side,
        kind,
        amount: amount_of(thousandths),
        client_order_id: String::new(),
    }
}

/// Does what the step says; a refusal undoes all of it. Says whether it was accepted.
fn take(connection: &mut Connection, user: UserId, step: &Step, now: i64) -> bool {
    let tx = connection.transaction().unwrap();
    let named = |tx: &Transaction<'_>, market: usize, newest: i64| {
        let market = &MARKETS[market];
        let filter = Filter { market: Some(market), limit: 1, offset: newest, ..Filter::default() };
        let order_id =
            rows::list_open_orders(tx, user, &filter).unwrap().first().map_or(-1, |o| o.id);
        OrderName { market, order_id: Some(order_id), client_order_id: None }
    };
    let outcome = match step {
        Step::Place { market, side, thousandths, price, options: (ioc, post_only) } => {
            let price = price_of(*market, *price);
            let kind = Kind::Limit(Limit { price, ioc: *ioc, post_only: *post_only });
            let new = new_order(*market, *side, kind, *thousandths);
            trading::place(&tx, user, new, now).map(|_| ())
        }
        Step::Market { market, side, thousandths, counts_stock } => {
            let kind = if *counts_stock { Kind::StockMarket } else { Kind::Market };
            let new = new_order(*market, *side, kind, *thousandths);
            trading::place(&tx, user, new, now).map(|outcome| {
                let order = outcome.order;
                let limit = if order.counts_money() { order.deal_money } else { order.deal_stock };
                assert!(limit <= order.amount, "more than was ordered");
            })
        }
        Step::Transfer { currency, thousandths, to_trade } => {
            let (currency, amount) = (CURRENCIES[*currency], amount_of(*thousandths));
            wallet::transfer(&tx, user, Transfer { currency, amount, to_trade: *to_trade })
        }
        Step::Convert { give, receive, direction, thousandths } => {
            let (give, receive) = (CURRENCIES[*give], CURRENCIES[*receive]);
            let amount = amount_of(*thousandths);
            let new = NewConversion { give, receive, direction: *direction, amount };
            wallet::offer(&tx, user, &new, now)
                .and_then(|quote| wallet::convert(&tx, user, quote.id, now))
                .map(|_| ())
        }
        Step::Modify { market, newest, thousandths, price } => {
            let change = Change {
                amount: thousandths.map(amount_of),
                price: price.map(|price| price_of(*market, price)),
            };
            let name = named(&tx, *market, *newest);
            trading::modify(&tx, user, &name, &change, now).map(|_| ())
        }
        Step::Cancel { market, newest } => {
            let name = named(&tx, *market, *newest);
            trading::cancel(&tx, user, &name, now).map(|_| ())
        }
        Step::CancelAll => trading::cancel_all(&tx, user, None, now).map(|_| ()),
    };
    if outcome.is_ok() {
        tx.commit().unwrap();
    }
    outcome.is_ok()
}

/// All money there is, by currency; fails on a negative balance, or one that does not freeze
/// exactly what the open orders of its owner cost.
pub(super) fn count_money(
    connection: &mut Connection,
    users: i64,
) -> BTreeMap<&'static str, Decimal> {
    let tx = connection.transaction().unwrap();
    let mut totals = BTreeMap::new();
    for user in (1..=users).map(UserId) {
        let all = Filter { limit: 1_000, ..Filter::default() };
        let mut frozen: BTreeMap<&str, Decimal> = BTreeMap::new();
        for order in rows::list_open_orders(&tx, user, &all).unwrap() {
            let (currency, cost) = order.frozen().unwrap();
            *frozen.entry(currency).or_default() += cost;
        }
        for currency in CURRENCIES {
            let balance = rows::find_balance(&tx, user, currency).unwrap();
            assert!(balance.available >= Decimal::ZERO && balance.main >= Decimal::ZERO);
            assert_eq!(balance.freeze, frozen.get(currency).copied().unwrap_or_default());
            *totals.entry(currency).or_default() +=
                balance.main + balance.available + balance.freeze;
        }
    }
    totals
}

fn assert_uncrossed(connection: &mut Connection) {
    let tx = connection.transaction().unwrap();
    for market in &MARKETS {
        let best = |side| rows::list_levels(&tx, market, side, 1).unwrap().first().copied();
        if let (Some((bid, _)), Some((ask, _))) = (best(Side::Buy), best(Side::Sell)) {
            assert!(bid < ask, "{}: {bid} would have met {ask}", market.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_balance_falls_below_zero_and_money_is_conserved(
        steps in proptest::collection::vec((0_usize..3, step()), 1..60),
    ) {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        prepare(&tx, 0).unwrap();
        let users = ["alice", "bob", "carol"];
        let users = users.map(|sub| seed::find_or_welcome(&tx, sub, 0).unwrap());
        tx.commit().unwrap();
        let before = count_money(&mut connection, 4);
        for (now, (user, step)) in (1..).zip(&steps) {
            take(&mut connection, users[*user], step, now);
            prop_assert_eq!(&count_money(&mut connection, 4), &before);
            assert_uncrossed(&mut connection);
        }
    }

    #[test]
    fn any_body_is_read_or_refused_and_what_is_read_is_within_the_limits(
        market in field(), side in field(), amount in field(), price in field(), id in field(),
    ) {
        let body = json!({
            "market": market, "side": side, "amount": amount, "price": price, "orderId": id,
            "clientOrderId": id, "limit": amount, "offset": price, "ticker": market, "from": side,
            "to": market, "direction": side, "quoteId": id, "transactionMethod": id, "ioc": id,
        });
        let params: Params = serde_json::from_value(body).unwrap();
        let _ = (params.filter(), params.change(), params.order_name(), params.transfer());
        let _ = (params.new_conversion(), params.transaction_filter(), params.quote_id());
        if let Ok(order) = params.new_order() {
            let Kind::Limit(limit) = order.kind else { panic!("it has a price") };
            prop_assert!(order.amount > Decimal::ZERO && limit.price > Decimal::ZERO);
            prop_assert!(order.amount.scale() <= order.market.stock_precision);
            prop_assert!(order.market.price_ticks(limit.price).is_some());
            prop_assert!(order.amount.checked_mul(limit.price).is_some());
        }
        if let Ok(order) = params.new_market_order(Kind::Market) {
            prop_assert!(order.amount > Decimal::ZERO);
            prop_assert!(order.amount.scale() <= order.market.money_precision());
        }
    }
}

fn field() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => "[0-9]{1,12}(\\.[0-9]{1,9})?".prop_map(Value::from),
        1 => "\\PC{0,50}".prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        2 => Just(json!("BTC_USDT")),
        2 => Just(json!("buy")),
        1 => Just(json!([1, { "a": null }])),
        1 => Just(Value::Null),
    ]
}

#[test]
fn the_steps_of_the_property_really_trade() {
    let mut connection = Connection::open_in_memory().unwrap();
    let tx = connection.transaction().unwrap();
    prepare(&tx, 0).unwrap();
    let alice = seed::find_or_welcome(&tx, "alice", 0).unwrap();
    tx.commit().unwrap();
    let options = (false, false);
    let buy = Step::Place { market: 0, side: Side::Buy, thousandths: 100, price: 1_002, options };
    assert!(take(&mut connection, alice, &buy, 1));
    let sell = Step::Market { market: 1, side: Side::Sell, thousandths: 9, counts_stock: false };
    assert!(take(&mut connection, alice, &sell, 2));
    let direction = Direction::Receive;
    let convert = Step::Convert { give: 2, receive: 1, direction, thousandths: 100 };
    assert!(take(&mut connection, alice, &convert, 3));
    assert!(take(
        &mut connection,
        alice,
        &Step::Transfer { currency: 0, thousandths: 1, to_trade: false },
        4
    ));
    let tx = connection.transaction().unwrap();
    // Yesterday's purchase, and two deals.
    let all = Filter { limit: 10, ..Filter::default() };
    assert_eq!(rows::list_deals(&tx, alice, &all).unwrap().len(), 3);
}
