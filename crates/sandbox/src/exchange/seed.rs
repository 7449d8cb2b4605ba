//! What is there before anyone trades: the house with its orders, and what a user owns when seen
//! for the first time. The same `sub` always starts with the same fortune.

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::Transaction;
use rust_decimal::Decimal;

use super::book::{Order, Side, Status, UserId};
use super::market::{MARKETS, Market};
use super::rows::{self, Balance, MAKER};
use crate::storage::StorageError;

/// The house is a user that no assertion can name: a subject is never empty.
const HOUSE_SUB: &str = "";
/// Price levels that the house offers on each side of each market.
const HOUSE_LEVELS: i64 = 5;
const DAY_MS: i64 = 86_400_000;

/// Level `n` lies `n` thousandths from the reference price and offers `n` times 2 BTC or 30 ETH.
pub(crate) fn open_house(tx: &Transaction<'_>, now: i64) -> Result<(), StorageError> {
    let house = rows::create_user(tx, HOUSE_SUB, now)?;
    for market in &MARKETS {
        for level in 1..=HOUSE_LEVELS {
            for side in [Side::Buy, Side::Sell] {
                offer(tx, house, market, side, level, now)?;
            }
        }
    }
    Ok(())
}

fn offer(
    tx: &Transaction<'_>,
    house: UserId,
    market: &'static Market,
    side: Side,
    level: i64,
    now: i64,
) -> Result<(), StorageError> {
    let too_large = |_| StorageError::Corrupt("house order");
    let thousandths = match side {
        Side::Buy => 1000 - level,
        Side::Sell => 1000 + level,
    };
    let price = market.reference_price.saturating_mul(Decimal::new(thousandths, 3));
    let coins = if market.stock == "BTC" { 2 } else { 30 };
    let order = Order {
        id: 0,
        owner: house,
        market,
        client_order_id: String::new(),
        side,
        price,
        amount: Decimal::from(level.saturating_mul(coins)),
        deal_stock: Decimal::ZERO,
        deal_money: Decimal::ZERO,
        priority: rows::next_priority(tx)?,
        created_at: now,
        status: Status::Open,
    };
    // The house owns exactly what its orders freeze.
    let (currency, cost) = order.frozen().map_err(too_large)?;
    let mut balance = rows::find_balance(tx, house, currency)?;
    balance.freeze = balance.freeze.saturating_add(cost);
    rows::save_balance(tx, house, currency, balance)?;
    rows::create_order(tx, order)?;
    Ok(())
}

/// The user behind `sub`, with an account opened at first sight.
pub(crate) fn find_or_welcome(
    tx: &Transaction<'_>,
    sub: &str,
    now: i64,
) -> Result<UserId, StorageError> {
    match rows::find_user(tx, sub)? {
        Some(user) => Ok(user),
        None => welcome(tx, sub, now),
    }
}

fn welcome(tx: &Transaction<'_>, sub: &str, now: i64) -> Result<UserId, StorageError> {
    let user = rows::create_user(tx, sub, now)?;
    for (currency, balance) in fortune(sub) {
        rows::save_balance(tx, user, currency, balance)?;
    }
    // One purchase of the day before, so that a history has something to show. It is already in
    // the balances, and its role is maker: volumes count takers only.
    let [market, ..] = &MARKETS;
    let yesterday = now.saturating_sub(DAY_MS);
    let (price, amount) = (Decimal::from(58_000), Decimal::new(5, 2));
    let money = price.saturating_mul(amount);
    let order = Order {
        id: 0,
        owner: user,
        market,
        client_order_id: String::new(),
        side: Side::Buy,
        price,
        amount,
        deal_stock: amount,
        deal_money: money,
        priority: rows::next_priority(tx)?,
        created_at: yesterday,
        status: Status::Filled { at: yesterday },
    };
    let order = rows::create_order(tx, order)?;
    rows::create_deal(tx, &order, MAKER, (price, amount, money), yesterday)?;
    Ok(user)
}

/// On the trade account 10,000 to 19,900 USDT, 1 to 1.99 BTC and 10 to 19.9 ETH; a tenth of that
/// on the main account. Each is a hundred steps wide and chosen by a byte of the subject's hash.
pub(crate) fn fortune(sub: &str) -> [(&'static str, Balance); 3] {
    let hash = digest(&SHA256, sub.as_bytes());
    let byte = |index: usize| i64::from(hash.as_ref().get(index).copied().unwrap_or(0) % 100);
    let balance = |hundredths: i64, scale: u32| Balance {
        main: Decimal::new(hundredths, scale + 1),
        available: Decimal::new(hundredths, scale),
        freeze: Decimal::ZERO,
    };
    [
        ("USDT", balance((100 + byte(0)) * 100, 0)),
        ("BTC", balance(100 + byte(1), 2)),
        ("ETH", balance(100 + byte(2), 1)),
    ]
}
