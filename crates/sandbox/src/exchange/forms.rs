//! From the body of a request to what it means, or to all that is wrong with it. A V4 client sends
//! one flat object to every endpoint (a signed one adds `request` and `nonce`), so one struct
//! reads them all; what an endpoint does not know is ignored.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use super::book::{Kind, Limit, Side};
use super::error::{ApiError, Faults, code};
use super::market::{self, Market, QUANTITY_MAX};
use super::rows::Filter;
use super::trading::{Change, NewOrder, OrderName};

mod wallet;

const PAGE_DEFAULT: i64 = 50;
const PAGE_MAX: i64 = 100;
const OFFSET_MAX: i64 = 10_000;
const CLIENT_ORDER_ID_MAX: usize = 32;
/// More characters than any accepted number has.
const NUMBER_CHARS_MAX: usize = 40;

/// The fields of a body, as sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Params {
    market: Value,
    side: Value,
    amount: Value,
    price: Value,
    ticker: Value,
    /// WhiteBIT's published client writes the names of two endpoints like this.
    #[serde(alias = "order_id")]
    order_id: Value,
    #[serde(alias = "client_order_id")]
    client_order_id: Value,
    limit: Value,
    offset: Value,
    ioc: Value,
    post_only: Value,
    from: Value,
    to: Value,
    method: Value,
    direction: Value,
    quote_id: Value,
    transaction_method: Value,
    from_ticker: Value,
    to_ticker: Value,
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let payload = |status, reason| ApiError::Payload { status, reason };
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"));
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| {
                match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => {
                        payload(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.")
                    }
                    _ => payload(StatusCode::BAD_REQUEST, "The body could not be read."),
                }
            })?;
        let body = body.trim_ascii();
        if body.is_empty() {
            return Ok(Self::default());
        }
        if !is_json {
            let reason = "The content type should be application/json.";
            return Err(payload(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
        }
        // A struct also reads from an array.
        if body.first() != Some(&b'{') {
            return Err(payload(StatusCode::BAD_REQUEST, "The body should be a JSON object."));
        }
        // Depth is bounded by serde_json, duplicate fields are an error of the derived reader.
        serde_json::from_slice(body).map_err(|error| {
            tracing::debug!(%error, "an unreadable body");
            payload(StatusCode::BAD_REQUEST, "The body is not valid JSON, or repeats a field.")
        })
    }
}

/// Reads fields one by one and notes what is wrong, so that an answer names every fault.
struct Reader<'a> {
    params: &'a Params,
    faults: Faults,
}

impl Params {
    pub(crate) fn new_order(&self) -> Result<NewOrder, ApiError> {
        let mut reader = self.reader();
        let market = reader.required("market", "Market", &self.market, Reader::market);
        let side = reader.required("side", "Side", &self.side, Reader::side);
        let amount = reader.required("amount", "Amount", &self.amount, Reader::amount);
        let price = reader.required("price", "Price", &self.price, Reader::price);
        let client_order_id = reader.client_order_id().unwrap_or_default();
        let ioc = reader.boolean("ioc", "Ioc", &self.ioc);
        let post_only = reader.boolean("postOnly", "PostOnly", &self.post_only);
        if ioc && post_only {
            let message = "Either ioc or postOnly can be true.";
            reader.faults.add(code::FIELD, "ioc", message);
        }
        if let Some(market) = market {
            reader.check_steps(market, amount, price);
        }
        let order = match (market, side, amount, price) {
            (Some(market), Some(side), Some(amount), Some(price)) => {
                let kind = Kind::Limit(Limit { price, ioc, post_only });
                Some(NewOrder { market, side, kind, amount, client_order_id })
            }
            _ => None,
        };
        reader.finish(order)
    }

    /// An order without a price: `kind` says what its amount counts.
    pub(crate) fn new_market_order(&self, kind: Kind) -> Result<NewOrder, ApiError> {
        let mut reader = self.reader();
        let market = reader.required("market", "Market", &self.market, Reader::market);
        let side = reader.required("side", "Side", &self.side, Reader::side);
        let amount = reader.required("amount", "Amount", &self.amount, Reader::amount);
        let client_order_id = reader.client_order_id().unwrap_or_default();
        let order = match (market, side, amount) {
            (Some(market), Some(side), Some(amount)) => {
                if kind == Kind::Market && side == Side::Buy {
                    reader.check_money_step(market, amount);
                } else {
                    reader.check_steps(market, Some(amount), None);
                }
                Some(NewOrder { market, side, kind, amount, client_order_id })
            }
            _ => None,
        };
        reader.finish(order)
    }

    /// The order that a call names, by its id or by its owner's own name for it.
    pub(crate) fn order_name(&self) -> Result<OrderName, ApiError> {
        let mut reader = self.reader();
        let name = reader.order_name();
        reader.finish(name)
    }

    pub(crate) fn change(&self) -> Result<(OrderName, Change), ApiError> {
        let mut reader = self.reader();
        let name = reader.order_name();
        let amount = reader.amount();
        let price = reader.price();
        if self.amount.is_null() && self.price.is_null() {
            reader.faults.add(code::FIELD, "amount", "Amount or price field is required.");
        }
        if let Some(name) = &name {
            reader.check_steps(name.market, amount, price);
        }
        reader.finish(name.map(|name| (name, Change { amount, price })))
    }

    pub(crate) fn optional_market(&self) -> Result<Option<&'static Market>, ApiError> {
        let mut reader = self.reader();
        let market = reader.market();
        reader.finish(Some(market))
    }

    pub(crate) fn filter(&self) -> Result<Filter, ApiError> {
        let mut reader = self.reader();
        let (limit, offset) = reader.page();
        let filter = Filter {
            market: reader.market(),
            order_id: reader.order_id(),
            client_order_id: reader.client_order_id(),
            limit,
            offset,
        };
        reader.finish(Some(filter))
    }

    /// The deals of one order, which must be named by its id.
    pub(crate) fn filter_of_order(&self) -> Result<Filter, ApiError> {
        let mut reader = self.reader();
        let order_id = reader.required("orderId", "OrderId", &self.order_id, Reader::order_id);
        let (limit, offset) = reader.page();
        let filter = Filter { order_id, limit, offset, ..Filter::default() };
        reader.finish(Some(filter))
    }

    fn reader(&self) -> Reader<'_> {
        Reader { params: self, faults: Faults::default() }
    }
}

impl Reader<'_> {
    /// What was read, if nothing was wrong. A value is missing only where a fault was noted.
    fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(ApiError::Invalid(self.faults)),
        }
    }

    fn required<T>(
        &mut self,
        field: &'static str,
        label: &str,
        value: &Value,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if value.is_null() {
            self.faults.add(code::FIELD, field, format!("{label} field is required."));
        }
        read(self)
    }

    fn market(&mut self) -> Option<&'static Market> {
        match &self.params.market {
            Value::Null => None,
            Value::String(name) => market::find(name).or_else(|| {
                self.faults.add(code::MARKET, "market", "Market is not available.");
                None
            }),
            _ => {
                self.faults.add(code::FIELD, "market", "Market field should be a string.");
                None
            }
        }
    }

    fn side(&mut self) -> Option<Side> {
        let side = self.params.side.as_str().and_then(Side::from_text);
        if side.is_none() && !self.params.side.is_null() {
            let message = "Side field should contain only 'buy' or 'sell' values.";
            self.faults.add(code::FIELD, "side", message);
        }
        side
    }

    fn amount(&mut self) -> Option<Decimal> {
        let params = self.params;
        self.number(code::AMOUNT, "amount", "Amount", &params.amount)
    }

    fn price(&mut self) -> Option<Decimal> {
        let params = self.params;
        self.number(code::PRICE, "price", "Price", &params.price)
    }

    fn number(
        &mut self,
        code: u32,
        field: &'static str,
        label: &str,
        value: &Value,
    ) -> Option<Decimal> {
        let number = match value {
            Value::Null => return None,
            Value::String(text) => parse_decimal(text),
            // V4 takes bare numbers too. Their text comes back as it was sent up to 15 digits,
            // and no accepted amount or price has more.
            Value::Number(number) => parse_decimal(&number.to_string()),
            _ => None,
        };
        let limit = match number {
            None => format!("{label} field should be numeric string or number."),
            Some(number) if number.is_zero() => format!("{label} should be greater than 0."),
            Some(number) if number > QUANTITY_MAX => {
                format!("{label} should not be greater than {QUANTITY_MAX}.")
            }
            Some(number) => return Some(number),
        };
        self.faults.add(code, field, limit);
        None
    }

    fn page(&mut self) -> (i64, i64) {
        let Params { limit, offset, .. } = self.params;
        let limit = self.integer("limit", "Limit", limit, PAGE_DEFAULT, (1, PAGE_MAX));
        let offset = self.integer("offset", "Offset", offset, 0, (0, OFFSET_MAX));
        (limit, offset)
    }

    fn check_money_step(&mut self, market: &Market, amount: Decimal) {
        if amount.scale() > market.money_precision() {
            let step = Decimal::new(1, market.money_precision());
            self.faults.add(code::AMOUNT, "amount", format!("Min amount step = {step}"));
        }
    }

    fn check_steps(&mut self, market: &Market, amount: Option<Decimal>, price: Option<Decimal>) {
        if let Some(amount) = amount {
            if amount.scale() > market.stock_precision {
                let step = Decimal::new(1, market.stock_precision);
                self.faults.add(code::AMOUNT, "amount", format!("Min amount step = {step}"));
            }
            if amount < market.amount_min {
                let least = market.amount_min;
                let message = format!("Given amount is less than min amount {least}");
                self.faults.add(code::AMOUNT, "amount", message);
            }
        }
        if price.is_some_and(|price| price.scale() > market.price_precision) {
            let step = Decimal::new(1, market.price_precision);
            self.faults.add(code::PRICE, "price", format!("Min price step = {step}"));
        }
    }

    fn order_name(&mut self) -> Option<OrderName> {
        let params = self.params;
        let market = self.required("market", "Market", &params.market, Self::market);
        let order_id = self.order_id();
        let client_order_id = self.client_order_id();
        if params.order_id.is_null() && client_order_id.is_none() {
            self.faults.add(code::FIELD, "orderId", "OrderId field is required.");
        }
        market.map(|market| OrderName { market, order_id, client_order_id })
    }

    fn order_id(&mut self) -> Option<i64> {
        let id = match &self.params.order_id {
            Value::Null => return None,
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        if id.is_none() {
            self.faults.add(code::FIELD, "orderId", "OrderId field should be an integer.");
        }
        id
    }

    fn client_order_id(&mut self) -> Option<String> {
        let message = match &self.params.client_order_id {
            Value::Null => return None,
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) if text.len() > CLIENT_ORDER_ID_MAX => {
                "ClientOrderId field should not be longer than 32 characters."
            }
            Value::String(text) if text.bytes().all(is_name_byte) => return Some(text.clone()),
            Value::String(_) => {
                "ClientOrderId field should contain only latin letters, numbers and ._-"
            }
            _ => "ClientOrderId field should be a string.",
        };
        self.faults.add(code::CLIENT_ORDER_ID, "clientOrderId", message);
        None
    }

    fn integer(
        &mut self,
        field: &'static str,
        label: &str,
        value: &Value,
        default: i64,
        (least, most): (i64, i64),
    ) -> i64 {
        let number = match value {
            Value::Null => return default,
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let message = match number {
            None => format!("{label} field should be an integer."),
            Some(number) if number < least => format!("{label} should be at least {least}."),
            Some(number) if number > most => {
                format!("{label} should not be greater than {most}.")
            }
            Some(number) => return number,
        };
        self.faults.add(code::FIELD, field, message);
        default
    }

    fn boolean(&mut self, field: &'static str, label: &str, value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Bool(value) => *value,
            _ => {
                self.faults.add(code::FIELD, field, format!("{label} field should be a boolean."));
                false
            }
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Digits, with at most one point between them: no sign, exponent, underscore or blank. Trailing
/// zeros go, so that the scale is the number of places that matter.
fn parse_decimal(text: &str) -> Option<Decimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > NUMBER_CHARS_MAX || !digits(whole) || !digits(fraction) {
        return None;
    }
    Decimal::from_str_exact(text).ok().map(|number| number.normalize())
}
