//! What can be traded, in which steps and sizes. Fixed: a practice exchange lists nothing new.

use rust_decimal::Decimal;

pub(crate) const CURRENCIES: [&str; 3] = ["BTC", "ETH", "USDT"];

/// What a deal costs whoever was in the book, and whoever came to it: parts of its money. A buyer
/// freezes the taker's fee, so it must be the greater one.
pub(crate) const MAKER_FEE: Decimal = Decimal::from_parts(5, 0, 0, false, 4);
pub(crate) const TAKER_FEE: Decimal = Decimal::from_parts(1, 0, 0, false, 3);

/// No amount or price above this is taken. With the steps and fees here, every product has at most
/// 28 digits, so `Decimal` never rounds one.
pub(crate) const QUANTITY_MAX: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);

#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) name: &'static str,
    /// What is bought and sold.
    pub(crate) stock: &'static str,
    /// What it is paid with.
    pub(crate) money: &'static str,
    /// Decimal places of an amount.
    pub(crate) stock_precision: u32,
    /// Decimal places of a price.
    pub(crate) price_precision: u32,
    pub(crate) amount_min: Decimal,
    /// The least that amount times price may be.
    pub(crate) total_min: Decimal,
    /// Around this price the house offers its orders.
    pub(crate) reference_price: Decimal,
}

pub(crate) static MARKETS: [Market; 3] = [
    Market {
        name: "BTC_USDT",
        stock: "BTC",
        money: "USDT",
        stock_precision: 6,
        price_precision: 2,
        amount_min: Decimal::from_parts(1, 0, 0, false, 4),
        total_min: Decimal::from_parts(5, 0, 0, false, 0),
        reference_price: Decimal::from_parts(60_000, 0, 0, false, 0),
    },
    Market {
        name: "ETH_USDT",
        stock: "ETH",
        money: "USDT",
        stock_precision: 5,
        price_precision: 2,
        amount_min: Decimal::from_parts(1, 0, 0, false, 3),
        total_min: Decimal::from_parts(5, 0, 0, false, 0),
        reference_price: Decimal::from_parts(3_000, 0, 0, false, 0),
    },
    Market {
        name: "ETH_BTC",
        stock: "ETH",
        money: "BTC",
        stock_precision: 4,
        price_precision: 6,
        amount_min: Decimal::from_parts(1, 0, 0, false, 3),
        total_min: Decimal::from_parts(1, 0, 0, false, 4),
        reference_price: Decimal::from_parts(5, 0, 0, false, 2),
    },
];

pub(crate) fn find(name: &str) -> Option<&'static Market> {
    MARKETS.iter().find(|market| market.name == name)
}

pub(crate) fn find_currency(ticker: &str) -> Option<&'static str> {
    CURRENCIES.into_iter().find(|known| *known == ticker)
}

/// The name of a currency in words, and the network that it is paid in and out over.
pub(crate) fn describe_currency(ticker: &str) -> (&'static str, &'static str) {
    match ticker {
        "BTC" => ("Bitcoin", "BTC"),
        "ETH" => ("Ethereum", "ERC20"),
        _ => ("Tether US", "ERC20"),
    }
}

impl Market {
    /// Decimal places that amount times price can have.
    pub(crate) fn money_precision(&self) -> u32 {
        self.stock_precision.saturating_add(self.price_precision)
    }

    /// The price counted in its smallest step: a number that SQLite can sort.
    pub(crate) fn price_ticks(&self, price: Decimal) -> Option<i64> {
        price
            .checked_mul(Decimal::from(10_i64.checked_pow(self.price_precision)?))
            .filter(Decimal::is_integer)
            .and_then(|ticks| i64::try_from(ticks).ok())
    }
}
