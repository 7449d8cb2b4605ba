//! Market data that anyone may read: what is traded, at which price, and what is offered.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Exchange;
use super::book::Side;
use super::error::{ApiError, Faults, code};
use super::market::{self, CURRENCIES, MARKETS};
use super::{rows, views};

const DAY_MS: i64 = 86_400_000;
const LEVELS_MAX: usize = 100;

/// How many price levels of each side are wanted.
#[derive(Deserialize)]
#[serde(default)]
pub(crate) struct Depth {
    limit: String,
}

impl Default for Depth {
    fn default() -> Self {
        Self { limit: LEVELS_MAX.to_string() }
    }
}

pub(crate) async fn list_markets() -> Json<Value> {
    Json(MARKETS.iter().map(views::market).collect())
}

pub(crate) async fn list_assets() -> Json<Value> {
    let named = |ticker: &str| (ticker.to_owned(), views::asset(ticker));
    Json(Value::Object(CURRENCIES.into_iter().map(named).collect()))
}

pub(crate) async fn list_tickers(
    State(exchange): State<Exchange>,
) -> Result<Json<Value>, ApiError> {
    let since = (exchange.clock)().saturating_sub(DAY_MS);
    let tickers = exchange
        .database
        .run(move |tx| {
            let mut tickers = Map::new();
            for market in &MARKETS {
                let last = rows::find_last_price(tx, market)?.unwrap_or(market.reference_price);
                let trades = rows::list_trades_since(tx, market, since)?;
                tickers.insert(market.name.to_owned(), views::ticker(last, &trades));
            }
            Ok::<_, ApiError>(tickers)
        })
        .await?;
    Ok(Json(Value::Object(tickers)))
}

pub(crate) async fn show_order_book(
    State(exchange): State<Exchange>,
    name: Result<Path<String>, PathRejection>,
    query: Result<Query<Depth>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let found = name.ok().and_then(|Path(name)| market::find(&name));
    let missing = || Faults::one(code::MARKET, "market", "Market is not available.");
    let market = found.ok_or_else(missing)?;
    let limit = query.ok().and_then(|Query(depth)| depth.limit.parse().ok());
    let limit = limit.filter(|limit| (1..=LEVELS_MAX).contains(limit)).ok_or_else(|| {
        let message = format!("Limit should be from 1 to {LEVELS_MAX}.");
        Faults::one(code::FIELD, "limit", message)
    })?;
    let (asks, bids) = exchange
        .database
        .run(move |tx| {
            let asks = rows::list_levels(tx, market, Side::Sell, limit)?;
            let bids = rows::list_levels(tx, market, Side::Buy, limit)?;
            Ok::<_, ApiError>((asks, bids))
        })
        .await?;
    Ok(Json(views::order_book(market, (exchange.clock)(), &asks, &bids)))
}
