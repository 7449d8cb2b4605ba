//! The matching engine: price-time priority between limit orders of one market. Pure: orders in,
//! changed orders, fills and movements of money out. What is stored where, it does not know.

use rust_decimal::Decimal;

use super::market::Market;

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
    pub(crate) price: Decimal,
    pub(crate) amount: Decimal,
    /// How much of `amount` is executed, and for how much money.
    pub(crate) deal_stock: Decimal,
    pub(crate) deal_money: Decimal,
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
    pub(crate) fn left(&self) -> Decimal {
        self.amount.checked_sub(self.deal_stock).unwrap_or_default()
    }

    /// What the open part of the order keeps frozen: the money of a buyer, the stock of a seller.
    pub(crate) fn frozen(&self) -> Result<(&'static str, Decimal), TooLarge> {
        match self.side {
            Side::Buy => Ok((self.market.money, times(self.price, self.left())?)),
            Side::Sell => Ok((self.market.stock, self.left())),
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

    fn crosses(&self, resting: &Order) -> bool {
        match self.side {
            Side::Buy => self.price >= resting.price,
            Side::Sell => self.price <= resting.price,
        }
    }

    fn execute(&mut self, amount: Decimal, money: Decimal, now: i64) -> Result<(), TooLarge> {
        self.deal_stock = plus(self.deal_stock, amount)?;
        self.deal_money = plus(self.deal_money, money)?;
        if self.left().is_zero() {
            self.status = Status::Filled { at: now };
        }
        Ok(())
    }
}

/// Matches `taker`, whose cost is already frozen, against the open orders of the other side.
pub(crate) fn match_order(
    mut taker: Order,
    mut resting: Vec<Order>,
    now: i64,
) -> Result<Matched, TooLarge> {
    let selling = taker.side == Side::Sell;
    resting.sort_by(|a, b| {
        let by_price = if selling { b.price.cmp(&a.price) } else { a.price.cmp(&b.price) };
        by_price.then(a.priority.cmp(&b.priority))
    });
    let mut fills = Vec::new();
    let mut movements = Vec::new();
    for mut maker in resting {
        if taker.left().is_zero() || !taker.crosses(&maker) {
            break;
        }
        let amount = taker.left().min(maker.left());
        let money = times(maker.price, amount)?;
        movements.extend(settle(&taker, &maker, amount, money)?);
        taker.execute(amount, money, now)?;
        maker.execute(amount, money, now)?;
        fills.push(Fill { price: maker.price, amount, money, maker });
    }
    Ok(Matched { taker, fills, movements })
}

/// The buyer froze his own limit; he pays the maker's price and gets the difference back.
fn settle(
    taker: &Order,
    maker: &Order,
    amount: Decimal,
    money: Decimal,
) -> Result<[Movement; 4], TooLarge> {
    let market = taker.market;
    let (buyer, seller) = match taker.side {
        Side::Buy => (taker, maker),
        Side::Sell => (maker, taker),
    };
    let reserved = times(buyer.price, amount)?;
    let refund = plus(reserved, -money)?;
    let movement =
        |user, currency, available, freeze| Movement { user, currency, available, freeze };
    Ok([
        movement(buyer.owner, market.money, refund, -reserved),
        movement(buyer.owner, market.stock, amount, Decimal::ZERO),
        movement(seller.owner, market.stock, Decimal::ZERO, -amount),
        movement(seller.owner, market.money, money, Decimal::ZERO),
    ])
}

fn times(a: Decimal, b: Decimal) -> Result<Decimal, TooLarge> {
    a.checked_mul(b).ok_or(TooLarge)
}

pub(crate) fn plus(a: Decimal, b: Decimal) -> Result<Decimal, TooLarge> {
    a.checked_add(b).ok_or(TooLarge)
}
