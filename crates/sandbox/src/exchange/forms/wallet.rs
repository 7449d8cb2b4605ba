//! Bodies of the calls about what moves outside the order book.

use rust_decimal::Decimal;
use serde_json::Value;

use super::{Params, Reader};
use crate::exchange::error::{ApiError, code};
use crate::exchange::market;
use crate::exchange::wallet::{Direction, NewConversion, Transfer};
use crate::exchange::wallet_rows::{ConversionFilter, Method, TransactionFilter};

/// Decimal places of an amount that is in no market.
const PLACES_MAX: u32 = 8;

impl Params {
    /// The one currency that is asked for, if any.
    pub(crate) fn currency(&self) -> Result<Option<&'static str>, ApiError> {
        let mut reader = self.reader();
        let currency = reader.currency("ticker", "Ticker", &self.ticker);
        reader.finish(Some(currency))
    }

    pub(crate) fn transfer(&self) -> Result<Transfer, ApiError> {
        let mut reader = self.reader();
        let currency = reader.required("ticker", "Ticker", &self.ticker, |reader| {
            reader.currency("ticker", "Ticker", &self.ticker)
        });
        let amount = reader.required("amount", "Amount", &self.amount, Reader::plain_amount);
        let to_trade = reader.goes_to_trade();
        let transfer = match (currency, amount, to_trade) {
            (Some(currency), Some(amount), Some(to_trade)) => {
                Some(Transfer { currency, amount, to_trade })
            }
            _ => None,
        };
        reader.finish(transfer)
    }

    pub(crate) fn new_conversion(&self) -> Result<NewConversion, ApiError> {
        let mut reader = self.reader();
        let give = reader.required("from", "From", &self.from, |reader| {
            reader.currency("from", "From", &self.from)
        });
        let receive =
            reader.required("to", "To", &self.to, |reader| reader.currency("to", "To", &self.to));
        if give.is_some() && give == receive {
            reader.faults.add(code::FIELD, "to", "From and to should be different.");
        }
        let direction = match self.direction.as_str() {
            Some("from") => Some(Direction::Give),
            Some("to") => Some(Direction::Receive),
            _ => {
                let message = "Direction field should be 'from' or 'to'.";
                reader.faults.add(code::FIELD, "direction", message);
                None
            }
        };
        let amount = reader.required("amount", "Amount", &self.amount, Reader::plain_amount);
        let conversion = match (give, receive, direction, amount) {
            (Some(give), Some(receive), Some(direction), Some(amount)) => {
                Some(NewConversion { give, receive, direction, amount })
            }
            _ => None,
        };
        reader.finish(conversion)
    }

    pub(crate) fn quote_id(&self) -> Result<i64, ApiError> {
        let mut reader = self.reader();
        let id = reader.required("quoteId", "QuoteId", &self.quote_id, Reader::quote_id);
        reader.finish(id)
    }

    pub(crate) fn transaction_filter(&self) -> Result<TransactionFilter, ApiError> {
        let mut reader = self.reader();
        let method = match &self.transaction_method {
            Value::Null => None,
            Value::Number(number) => number.as_i64().and_then(Method::from_number),
            Value::String(text) => text.parse().ok().and_then(Method::from_number),
            _ => None,
        };
        if method.is_none() && !self.transaction_method.is_null() {
            let message = "TransactionMethod field should be 1 or 2.";
            reader.faults.add(code::FIELD, "transactionMethod", message);
        }
        let currency = reader.currency("ticker", "Ticker", &self.ticker);
        let (limit, offset) = reader.page();
        reader.finish(Some(TransactionFilter { currency, method, limit, offset }))
    }

    pub(crate) fn conversion_filter(&self) -> Result<ConversionFilter, ApiError> {
        let mut reader = self.reader();
        let give = reader.currency("fromTicker", "FromTicker", &self.from_ticker);
        let receive = reader.currency("toTicker", "ToTicker", &self.to_ticker);
        let quote_id = reader.quote_id();
        let (limit, offset) = reader.page();
        reader.finish(Some(ConversionFilter { give, receive, quote_id, limit, offset }))
    }
}

impl Reader<'_> {
    fn currency(
        &mut self,
        field: &'static str,
        label: &str,
        value: &Value,
    ) -> Option<&'static str> {
        let message = match value {
            Value::Null => return None,
            Value::String(ticker) => match market::find_currency(ticker) {
                Some(currency) => return Some(currency),
                None => "Currency was not found.".to_owned(),
            },
            _ => format!("{label} field should be a string."),
        };
        self.faults.add(code::FIELD, field, message);
        None
    }

    /// An amount of one currency, not of a market.
    fn plain_amount(&mut self) -> Option<Decimal> {
        let amount = self.amount()?;
        if amount.scale() > PLACES_MAX {
            let step = Decimal::new(1, PLACES_MAX);
            self.faults.add(code::AMOUNT, "amount", format!("Min amount step = {step}"));
            return None;
        }
        Some(amount)
    }

    /// Whether a transfer goes from the main to the trade account, by `from` and `to` or by the
    /// older `method`.
    fn goes_to_trade(&mut self) -> Option<bool> {
        let Params { from, to, method, .. } = self.params;
        let (field, message) = match (from.as_str(), to.as_str(), method.as_str()) {
            (Some("main"), Some("spot"), None) => return Some(true),
            (Some("spot"), Some("main"), None) => return Some(false),
            (None, None, Some("deposit")) if from.is_null() && to.is_null() => return Some(true),
            (None, None, Some("withdraw")) if from.is_null() && to.is_null() => return Some(false),
            (None, None, Some(_)) => ("method", "Method field should be 'deposit' or 'withdraw'."),
            (None, ..) => ("from", "From field should be 'main' or 'spot'."),
            _ => ("to", "To field should be 'main' or 'spot', and not where the money is."),
        };
        self.faults.add(code::FIELD, field, message);
        None
    }

    /// Ours are numbers, and V4 sends ids as text.
    fn quote_id(&mut self) -> Option<i64> {
        let id = match &self.params.quote_id {
            Value::Null => return None,
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        if id.is_none() {
            self.faults.add(code::FIELD, "quoteId", "QuoteId field should be an id.");
        }
        id
    }
}
