//! The matching engine: price-time priority between the orders of one market. Pure: orders in,
//! changed orders, fills and movements of money out. What is stored where, it does not know.

use rust_decimal::{Decimal, RoundingStrategy};

use super::market::{MAKER_FEE, Market, TAKER_FEE};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UserId(pub(crate) i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Buy,
    Sell,
}

impl Side {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        [Self::Buy, Self::Sell].into_iter().find(|side| side.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Limit(Limit),
    /// Trades at once, at whatever price. A buyer's amount is money, a seller's is stock.
    Market,
    /// The same, but the amount is stock on both sides.
    StockMarket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) price: Decimal,
    /// What does not trade at once is cancelled ("immediate or cancel").
    pub(crate) ioc: bool,
    /// Refused if it would trade at once.
    pub(crate) post_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Open,
    Filled { at: i64 },
    Cancelled { at: i64 },
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) owner: UserId,
    pub(crate) market: &'static Market,
    /// The owner's own name for it; empty when none was given.
    pub(crate) client_order_id: String,
    pub(crate) side: Side,
    pub(crate) kind: Kind,
    pub(crate) amount: Decimal,
    /// How much stock is executed, for how much money, and what that cost its owner besides.
    pub(crate) deal_stock: Decimal,
    pub(crate) deal_money: Decimal,
    pub(crate) deal_fee: Decimal,
    /// Among equal prices the smaller number trades first.
    pub(crate) priority: i64,
    pub(crate) created_at: i64,
    pub(crate) status: Status,
}

/// A number that `Decimal` cannot hold exactly. The limits on amounts and prices keep it away; the
/// engine would rather refuse than round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number became too large")]
pub(crate) struct TooLarge;

/// A change of one balance of one user's trade account. The sum of all movements of a match is
/// zero in every currency.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Movement {
    pub(crate) user: UserId,
    pub(crate) currency: &'static str,
    pub(crate) available: Decimal,
    pub(crate) freeze: Decimal,
}

/// One trade: the taker met a resting order, at the resting order's price.
#[derive(Clone, Debug)]
pub(crate) struct Fill {
    pub(crate) maker: Order,
    pub(crate) deal: Deal,
    pub(crate) maker_fee: Decimal,
    pub(crate) taker_fee: Decimal,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Deal {
    pub(crate) price: Decimal,
    pub(crate) amount: Decimal,
    pub(crate) money: Decimal,
}

#[derive(Debug)]
pub(crate) struct Matched {
    pub(crate) taker: Order,
    /// In the order in which they happened; each `maker` as it is after its fill.
    pub(crate) fills: Vec<Fill>,
    pub(crate) movements: Vec<Movement>,
}

impl Order {
    /// `None`: any price will do.
    pub(crate) fn price(&self) -> Option<Decimal> {
        match self.kind {
            Kind::Limit(limit) => Some(limit.price),
            Kind::Market | Kind::StockMarket => None,
        }
    }

    /// Whether `amount` is money to spend rather than stock to trade.
    pub(crate) fn counts_money(&self) -> bool {
        self.kind == Kind::Market && self.side == Side::Buy
    }

    /// What of `amount` is not executed, in whatever `amount` counts.
    pub(crate) fn left(&self) -> Decimal {
        let done = if self.counts_money() { self.deal_money } else { self.deal_stock };
        self.amount.checked_sub(done).unwrap_or_default()
    }

    /// What the open part of the order keeps frozen: of a buyer the money and the most that the
    /// fee can be, of a seller the stock. What never rests in the book freezes nothing.
    pub(crate) fn frozen(&self) -> Result<(&'static str, Decimal), TooLarge> {
        match (self.side, self.price()) {
            (Side::Buy, Some(price)) => {
                let cost = times(price, self.left())?;
                Ok((self.market.money, plus(cost, fee(self.market, cost, TAKER_FEE)?)?))
            }
            (Side::Sell, Some(_)) => Ok((self.market.stock, self.left())),
            (Side::Buy, None) => Ok((self.market.money, Decimal::ZERO)),
            (Side::Sell, None) => Ok((self.market.stock, Decimal::ZERO)),
        }
    }

    pub(crate) fn freezing(&self) -> Result<Movement, TooLarge> {
        let (currency, cost) = self.frozen()?;
        Ok(Movement { user: self.owner, currency, available: -cost, freeze: cost })
    }

    pub(crate) fn releasing(&self) -> Result<Movement, TooLarge> {
        let (currency, cost) = self.frozen()?;
        Ok(Movement { user: self.owner, currency, available: cost, freeze: -cost })
    }

    fn crosses(&self, price: Decimal) -> bool {
        match (self.side, self.price()) {
            (_, None) => true,
            (Side::Buy, Some(limit)) => limit >= price,
            (Side::Sell, Some(limit)) => limit <= price,
        }
    }

    /// How much stock it would trade at a price, in whole steps.
    fn wants(&self, price: Decimal) -> Result<Decimal, TooLarge> {
        if !self.counts_money() {
            return Ok(self.left());
        }
        let stock = self.left().checked_div(price).ok_or(TooLarge)?;
        Ok(down(stock, self.market.stock_precision))
    }

    /// Notes one deal, and moves what it costs and brings its owner: the cost out of what is
    /// frozen for it, the difference to a better price back.
    fn execute(&mut self, deal: Deal, fee: Decimal, now: i64) -> Result<[Movement; 2], TooLarge> {
        let (pays_in, before) = self.frozen()?;
        self.deal_stock = plus(self.deal_stock, deal.amount)?;
        self.deal_money = plus(self.deal_money, deal.money)?;
        self.deal_fee = plus(self.deal_fee, fee)?;
        if self.left().is_zero() {
            self.status = Status::Filled { at: now };
        }
        let (_, after) = self.frozen()?;
        let released = plus(before, -after)?;
        let (cost, gets_in, gain) = match self.side {
            Side::Buy => (plus(deal.money, fee)?, self.market.stock, deal.amount),
            Side::Sell => (deal.amount, self.market.money, plus(deal.money, -fee)?),
        };
        let movement = |currency, available, freeze| Movement {
            user: self.owner,
            currency,
            available,
            freeze,
        };
        Ok([
            movement(pays_in, plus(released, -cost)?, -released),
            movement(gets_in, gain, Decimal::ZERO),
        ])
    }

    /// Whether what does not trade at once waits in the book.
    fn rests(&self) -> bool {
        matches!(self.kind, Kind::Limit(Limit { ioc: false, .. }))
    }
}

/// Matches `taker`, whose cost is already frozen, against the open orders of the other side. Fees
/// go to `house`.
pub(crate) fn match_order(
    mut taker: Order,
    mut resting: Vec<Order>,
    house: UserId,
    now: i64,
) -> Result<Matched, TooLarge> {
    let selling = taker.side == Side::Sell;
    resting.sort_by(|a, b| {
        let by_price = if selling { b.price().cmp(&a.price()) } else { a.price().cmp(&b.price()) };
        by_price.then(a.priority.cmp(&b.priority))
    });
    let mut fills = Vec::new();
    let mut movements = Vec::new();
    for mut maker in resting {
        let Some(price) = maker.price().filter(|price| taker.crosses(*price)) else { break };
        let amount = taker.wants(price)?.min(maker.left());
        if amount.is_zero() {
            break;
        }
        let deal = Deal { price, amount, money: times(price, amount)? };
        let maker_fee = fee(taker.market, deal.money, MAKER_FEE)?;
        let taker_fee = fee(taker.market, deal.money, TAKER_FEE)?;
        movements.extend(taker.execute(deal, taker_fee, now)?);
        movements.extend(maker.execute(deal, maker_fee, now)?);
        movements.push(Movement {
            user: house,
            currency: taker.market.money,
            available: plus(maker_fee, taker_fee)?,
            freeze: Decimal::ZERO,
        });
        let is_spent = taker.counts_money() && taker.wants(price)?.is_zero();
        if is_spent {
            // What is left does not buy one more step.
            taker.status = Status::Filled { at: now };
        }
        fills.push(Fill { maker, deal, maker_fee, taker_fee });
    }
    if taker.status == Status::Open && !taker.rests() {
        movements.push(taker.releasing()?);
        taker.status = Status::Cancelled { at: now };
    }
    Ok(Matched { taker, fills, movements })
}

/// A fee in money, rounded down to what the market's money is counted in. Rounding down is what
/// makes the fees of many deals never more than what was frozen for the whole.
pub(crate) fn fee(market: &Market, money: Decimal, rate: Decimal) -> Result<Decimal, TooLarge> {
    Ok(down(times(money, rate)?, market.money_precision()))
}

fn down(number: Decimal, places: u32) -> Decimal {
    number.round_dp_with_strategy(places, RoundingStrategy::ToZero)
}

fn times(a: Decimal, b: Decimal) -> Result<Decimal, TooLarge> {
    a.checked_mul(b).ok_or(TooLarge)
}

pub(crate) fn plus(a: Decimal, b: Decimal) -> Result<Decimal, TooLarge> {
    a.checked_add(b).ok_or(TooLarge)
}
