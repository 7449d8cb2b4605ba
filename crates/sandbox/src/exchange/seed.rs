//! What is there before anyone trades: the house with its orders, and what a user owns when seen
//! for the first time. The same `sub` always starts with the same fortune.

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::Transaction;
use rust_decimal::Decimal;

use super::book::{self, Deal, Kind, Limit, Order, Side, Status, UserId};
use super::market::{CURRENCIES, MAKER_FEE, MARKETS, Market};
use super::rows::{self, Balance, MAKER};
use super::wallet_rows::{self, Method, NewTransaction};
use crate::storage::StorageError;

/// The house is a user that no assertion can name: a subject is never empty.
const HOUSE_SUB: &str = "";
/// Price levels that the house offers on each side of each market.
const HOUSE_LEVELS: i64 = 5;
const DAY_MS: i64 = 86_400_000;

/// What the house has besides its orders, to give to whoever converts: 100, 2,000 and 10,000,000.
const HOUSE_STOCK: [(&str, i64); 3] = [("BTC", 100), ("ETH", 2_000), ("USDT", 10_000_000)];

/// Level `n` lies `n` thousandths from the reference price and offers `n` times 2 BTC or 30 ETH.
pub(crate) fn open_house(tx: &Transaction<'_>, now: i64) -> Result<(), StorageError> {
    let house = rows::create_user(tx, HOUSE_SUB, now)?;
    for (currency, amount) in HOUSE_STOCK {
        let stock = Balance { available: Decimal::from(amount), ..Balance::default() };
        rows::save_balance(tx, house, currency, stock)?;
    }
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
        kind: Kind::Limit(Limit { price, ioc: false, post_only: false }),
        amount: Decimal::from(level.saturating_mul(coins)),
        deal_stock: Decimal::ZERO,
        deal_money: Decimal::ZERO,
        deal_fee: Decimal::ZERO,
        priority: rows::next_priority(tx)?,
        created_at: now,
        status: Status::Open,
    };
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
    let fee = book::fee(market, money, MAKER_FEE).map_err(|_| StorageError::Corrupt("fee"))?;
    let order = Order {
        id: 0,
        owner: user,
        market,
        client_order_id: String::new(),
        side: Side::Buy,
        kind: Kind::Limit(Limit { price, ioc: false, post_only: false }),
        amount,
        deal_stock: amount,
        deal_money: money,
        deal_fee: fee,
        priority: rows::next_priority(tx)?,
        created_at: yesterday,
        status: Status::Filled { at: yesterday },
    };
    let order = rows::create_order(tx, order)?;
    rows::create_deal(tx, &order, MAKER, &Deal { price, amount, money }, fee, yesterday)?;
    create_transactions(tx, user, sub, now)?;
    Ok(user)
}

/// What was paid in and out before: a deposit of each currency two days ago and a withdrawal
/// yesterday, already in the balances.
fn create_transactions(
    tx: &Transaction<'_>,
    user: UserId,
    sub: &str,
    now: i64,
) -> Result<(), StorageError> {
    let yesterday = now.saturating_sub(DAY_MS);
    let deposited = |currency: &'static str, number: i64| {
        let amount = Decimal::from(number);
        (Method::Deposit, currency, amount, Decimal::ZERO, yesterday.saturating_sub(DAY_MS))
    };
    let [bitcoin, ether, dollar] = CURRENCIES;
    let withdrawn = (Method::Withdrawal, dollar, Decimal::from(250), Decimal::from(5), yesterday);
    let all = [deposited(bitcoin, 2), deposited(ether, 20), deposited(dollar, 20_000), withdrawn];
    for (number, (method, currency, amount, fee, created_at)) in all.into_iter().enumerate() {
        let hash = hexadecimal(&format!("{sub}/{number}"));
        let new = NewTransaction { method, currency, amount, fee, hash: &hash, created_at };
        wallet_rows::create_transaction(tx, user, &new)?;
    }
    Ok(())
}

/// Something that looks like the hash of a transaction on a chain, and is of none.
fn hexadecimal(seed: &str) -> String {
    let hash = digest(&SHA256, seed.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The account that fees go to and that conversions are made with.
pub(crate) fn find_house(tx: &Transaction<'_>) -> Result<UserId, StorageError> {
    rows::find_user(tx, HOUSE_SUB)?.ok_or(StorageError::Corrupt("house"))
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
