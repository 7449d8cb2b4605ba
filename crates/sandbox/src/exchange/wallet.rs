//! What a user can do with money outside the order book: move it between his accounts, and convert
//! it with the house. Like `trading`: inside one transaction, undone when it returns `Err`.

use rusqlite::Transaction;
use rust_decimal::{Decimal, RoundingStrategy};

use super::book::{self, Movement, TooLarge, UserId};
use super::error::{ApiError, Faults, code};
use super::market::MARKETS;
use super::wallet_rows::{self, Quote, Terms};
use super::{rows, seed, trading};

/// An offer stands this long.
const OFFER_MS: i64 = 10_000;
const OPEN_OFFERS_MAX: i64 = 20;
/// What the house earns by a conversion: half a per cent of the price.
const SPREAD: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
const AMOUNT_PLACES: u32 = 8;
const RATE_PLACES: u32 = 12;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) currency: &'static str,
    pub(crate) amount: Decimal,
    /// From the main to the trade account, or back.
    pub(crate) to_trade: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct NewConversion {
    pub(crate) give: &'static str,
    pub(crate) receive: &'static str,
    pub(crate) direction: Direction,
    pub(crate) amount: Decimal,
}

/// Whether the amount of a conversion is what is given or what is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Give,
    Receive,
}

pub(crate) fn transfer(
    tx: &Transaction<'_>,
    user: UserId,
    transfer: Transfer,
) -> Result<(), ApiError> {
    let Transfer { currency, amount, to_trade } = transfer;
    let mut balance = rows::find_balance(tx, user, currency)?;
    let (from, to) = match to_trade {
        true => (&mut balance.main, &mut balance.available),
        false => (&mut balance.available, &mut balance.main),
    };
    if *from < amount {
        let available = from.normalize();
        let message = format!(
            "You don't have such amount for transfer (available {available}, in amount: {amount})"
        );
        return Err(ApiError::NotCovered { code: code::TRANSFER, field: "amount", message });
    }
    *from = book::plus(*from, -amount)?;
    *to = book::plus(*to, amount)?;
    rows::save_balance(tx, user, currency, balance)?;
    Ok(())
}

/// Offers a conversion at the last price of the market of both currencies, less the spread.
pub(crate) fn offer(
    tx: &Transaction<'_>,
    user: UserId,
    new: &NewConversion,
    now: i64,
) -> Result<Quote, ApiError> {
    if wallet_rows::count_open_quotes(tx, user, now)? >= OPEN_OFFERS_MAX {
        let message = "Too many open estimates; confirm one or wait.".to_owned();
        return Err(not_covered("from", message));
    }
    let rate = rate_of(tx, new.give, new.receive)?;
    let (give, receive) = match new.direction {
        Direction::Give => {
            let receive = new.amount.checked_mul(rate).ok_or(TooLarge)?;
            (new.amount, round(receive, RoundingStrategy::ToZero))
        }
        Direction::Receive => {
            let give = new.amount.checked_div(rate).ok_or(TooLarge)?;
            (round(give, RoundingStrategy::AwayFromZero), new.amount)
        }
    };
    if give.is_zero() || receive.is_zero() {
        return Err(Faults::one(code::AMOUNT, "amount", "Amount is too small to convert."));
    }
    let terms =
        Terms { give_currency: new.give, give, receive_currency: new.receive, receive, rate };
    let expires_at = now.saturating_add(OFFER_MS);
    Ok(wallet_rows::create_quote(tx, user, terms, (now, expires_at))?)
}

/// Carries an offer out, once and in time.
pub(crate) fn convert(
    tx: &Transaction<'_>,
    user: UserId,
    id: i64,
    now: i64,
) -> Result<Quote, ApiError> {
    let is_open = |quote: &Quote| quote.confirmed_at.is_none() && now < quote.expires_at;
    let quote = wallet_rows::find_quote(tx, user, id)?
        .filter(is_open)
        .ok_or_else(|| not_covered("quoteId", "Quote was not found or has expired.".to_owned()))?;
    let terms = quote.terms;
    let house = seed::find_house(tx)?;
    if rows::find_balance(tx, house, terms.receive_currency)?.available < terms.receive {
        return Err(not_covered("amount", "Not enough liquidity.".to_owned()));
    }
    let moves = [
        (user, terms.give_currency, -terms.give),
        (house, terms.give_currency, terms.give),
        (house, terms.receive_currency, -terms.receive),
        (user, terms.receive_currency, terms.receive),
    ];
    for (user, currency, available) in moves {
        let freeze = Decimal::ZERO;
        trading::apply(tx, Movement { user, currency, available, freeze })?;
    }
    wallet_rows::confirm_quote(tx, quote.id, now)?;
    Ok(Quote { confirmed_at: Some(now), ..quote })
}

/// How much of `receive` one of `give` brings. Every two currencies have a market.
fn rate_of(tx: &Transaction<'_>, give: &str, receive: &str) -> Result<Decimal, ApiError> {
    let sells = |stock: &str, money: &str| {
        MARKETS.iter().find(|market| market.stock == stock && market.money == money)
    };
    let is_sale = sells(give, receive).is_some();
    let market = sells(give, receive).or_else(|| sells(receive, give)).ok_or_else(|| {
        Faults::one(code::MARKET, "to", "There is no market for the two currencies.")
    })?;
    let price = rows::find_last_price(tx, market)?.unwrap_or(market.reference_price);
    let rate = match is_sale {
        true => price.checked_mul(Decimal::ONE.saturating_sub(SPREAD)),
        false => price
            .checked_mul(Decimal::ONE.saturating_add(SPREAD))
            .and_then(|price| Decimal::ONE.checked_div(price)),
    };
    let rate = rate.ok_or(TooLarge)?;
    Ok(rate.round_dp_with_strategy(RATE_PLACES, RoundingStrategy::ToZero))
}

fn round(amount: Decimal, strategy: RoundingStrategy) -> Decimal {
    amount.round_dp_with_strategy(AMOUNT_PLACES, strategy)
}

fn not_covered(field: &'static str, message: String) -> ApiError {
    ApiError::NotCovered { code: code::INVALID_ARGUMENT, field, message }
}
