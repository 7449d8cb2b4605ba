//! The practice exchange: balances, orders, a matching book between users and conversions, with the
//! paths and shapes of WhiteBIT's V4. Handlers are thin; `book` matches, `trading` and `wallet` do,
//! `rows` and `wallet_rows` keep.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use rusqlite::Transaction;
use tokio::sync::broadcast;

use self::book::{Order, UserId};
use self::error::ApiError;
use crate::Clock;
use crate::assertion::{AssertionVerifier, Caller};
use crate::routes::{self, Route};
use crate::storage::{Database, StorageError, migrate};

mod accounts;
pub(crate) mod book;
mod conversions;
mod error;
pub(crate) mod forms;
pub(crate) mod market;
mod orders;
mod public;
pub(crate) mod rows;
pub(crate) mod seed;
mod stream;
pub(crate) mod trading;
mod views;
pub(crate) mod wallet;
pub(crate) mod wallet_rows;

/// The API's description; its `security` entries name the scopes that each route needs.
pub const OPENAPI: &str = include_str!("../../openapi/exchange.yaml");

pub(crate) const SCHEMA: &str = include_str!("schema.sql");
const BODY_BYTES_MAX: usize = 65_536;
/// Events that a slow reader of the stream may fall behind before it misses some.
const EVENTS_KEPT: usize = 256;

/// A running exchange. Cheap to clone; the clones are the same exchange.
#[derive(Clone)]
pub struct Exchange {
    database: Database,
    verifier: AssertionVerifier,
    clock: Clock,
    events: broadcast::Sender<Arc<Order>>,
}

impl Exchange {
    /// Opens the exchange in the SQLite file at `path`; a new file gets the house and its orders.
    pub fn open(
        path: &Path,
        verifier: AssertionVerifier,
        clock: Clock,
    ) -> Result<Self, StorageError> {
        let now = clock();
        let database = Database::open(path, |tx| prepare(tx, now))?;
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        Ok(Self { database, verifier, clock, events })
    }

    /// Runs `job` for the caller in one transaction; a new caller gets an account first.
    async fn as_user<T: Send + 'static>(
        &self,
        Caller(assertion): Caller,
        job: impl FnOnce(&Transaction<'_>, UserId, i64) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let now = (self.clock)();
        self.database
            .run(move |tx| {
                let user = seed::find_or_welcome(tx, &assertion.subject, now)?;
                job(tx, user, now)
            })
            .await
    }

    /// Tells the open streams about orders whose change is committed.
    fn announce(&self, changed: Vec<Order>) {
        for order in changed {
            // Nobody listening is not an error.
            let _ = self.events.send(Arc::new(order));
        }
    }
}

pub(crate) fn prepare(tx: &Transaction<'_>, now: i64) -> Result<(), StorageError> {
    if migrate(tx, SCHEMA)? {
        seed::open_house(tx, now)?;
    }
    Ok(())
}

pub fn router(exchange: Exchange) -> Router {
    routes::router(routes())
        .fallback(async || ApiError::NoSuchPath)
        .method_not_allowed_fallback(async || ApiError::NoSuchMethod)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(exchange)
}

pub(crate) fn routes() -> Vec<Route<Exchange>> {
    vec![
        Route::get("/api/v4/public/markets", public::list_markets),
        Route::get("/api/v4/public/assets", public::list_assets),
        Route::get("/api/v4/public/ticker", public::list_tickers),
        Route::get("/api/v4/public/orderbook/{market}", public::show_order_book),
        Route::post("/api/v4/trade-account/balance", accounts::show_trade_balance),
        Route::post("/api/v4/main-account/balance", accounts::show_main_balance),
        Route::post("/api/v4/main-account/transfer", accounts::transfer),
        Route::post("/api/v4/main-account/history", accounts::list_transactions),
        Route::post("/api/v4/order/new", orders::create),
        Route::post("/api/v4/order/market", orders::create_market),
        Route::post("/api/v4/order/stock_market", orders::create_stock_market),
        Route::post("/api/v4/order/modify", orders::modify),
        Route::post("/api/v4/order/cancel", orders::cancel),
        Route::post("/api/v4/order/cancel/all", orders::cancel_all),
        Route::post("/api/v4/orders", orders::list_open),
        Route::post("/api/v4/trade-account/order/history", orders::list_executed),
        Route::post("/api/v4/trade-account/executed-history", orders::list_deals),
        Route::post("/api/v4/trade-account/order", orders::list_deals_of_order),
        Route::post("/api/v4/convert/estimate", conversions::estimate),
        Route::post("/api/v4/convert/confirm", conversions::confirm),
        Route::post("/api/v4/convert/history", conversions::list),
        // The same reads as above, for apps that hold the `users.*` scopes.
        Route::post("/api/v4/accounts/balances/spot", accounts::show_trade_balance),
        Route::post("/api/v4/accounts/balances/main", accounts::show_main_balance),
        Route::post("/api/v4/accounts/transactions", accounts::list_transactions),
        Route::post("/api/v4/accounts/converts", conversions::list),
        Route::post("/api/v4/accounts/orders", orders::list_executed),
        Route::post("/api/v4/accounts/deals", orders::list_deals),
        Route::get("/api/v4/accounts/stream", stream::follow_orders),
    ]
}

impl FromRequestParts<Exchange> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Exchange) -> Result<Self, ApiError> {
        Ok(Self(api.verifier.verify(&parts.headers, (api.clock)()).await?))
    }
}
