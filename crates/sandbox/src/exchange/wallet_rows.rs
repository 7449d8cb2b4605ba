//! Every SQL statement about what moves outside the order book: deposits, withdrawals, conversions.

use rusqlite::{OptionalExtension as _, Row, Transaction, named_params};
use rust_decimal::Decimal;

use super::book::UserId;
use super::market;
use super::rows::{decimal, text, unreadable};
use crate::storage::StorageError;

type Result<T> = std::result::Result<T, StorageError>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Deposit,
    Withdrawal,
}

impl Method {
    /// V4's number for it.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Deposit => 1,
            Self::Withdrawal => 2,
        }
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [Self::Deposit, Self::Withdrawal].into_iter().find(|method| method.number() == number)
    }
}

#[derive(Debug)]
pub(crate) struct NewTransaction<'a> {
    pub(crate) method: Method,
    pub(crate) currency: &'static str,
    pub(crate) amount: Decimal,
    pub(crate) fee: Decimal,
    pub(crate) hash: &'a str,
    pub(crate) created_at: i64,
}

#[derive(Debug)]
pub(crate) struct PastTransaction {
    pub(crate) id: i64,
    pub(crate) method: Method,
    pub(crate) currency: &'static str,
    pub(crate) amount: Decimal,
    pub(crate) fee: Decimal,
    pub(crate) hash: String,
    pub(crate) created_at: i64,
}

/// What is given for what, at which rate: how much is received for one of what is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) give_currency: &'static str,
    pub(crate) give: Decimal,
    pub(crate) receive_currency: &'static str,
    pub(crate) receive: Decimal,
    pub(crate) rate: Decimal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) id: i64,
    pub(crate) terms: Terms,
    pub(crate) expires_at: i64,
    pub(crate) confirmed_at: Option<i64>,
}

/// A page of a list, and how many entries the whole list has.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) records: Vec<T>,
    pub(crate) total: i64,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

#[derive(Debug, Default)]
pub(crate) struct TransactionFilter {
    pub(crate) currency: Option<&'static str>,
    pub(crate) method: Option<Method>,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

#[derive(Debug, Default)]
pub(crate) struct ConversionFilter {
    pub(crate) give: Option<&'static str>,
    pub(crate) receive: Option<&'static str>,
    pub(crate) quote_id: Option<i64>,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

pub(crate) fn create_transaction(
    tx: &Transaction<'_>,
    user: UserId,
    new: &NewTransaction<'_>,
) -> Result<()> {
    let sql = "INSERT INTO transactions (owner, method, currency, amount, fee, hash, created_at)
        VALUES (:owner, :method, :currency, :amount, :fee, :hash, :created_at)";
    tx.prepare_cached(sql)?.execute(named_params! {
        ":owner": user.0,
        ":method": new.method.number(),
        ":currency": new.currency,
        ":amount": text(new.amount),
        ":fee": text(new.fee),
        ":hash": new.hash,
        ":created_at": new.created_at,
    })?;
    Ok(())
}

/// A user's deposits and withdrawals, newest first.
pub(crate) fn list_transactions(
    tx: &Transaction<'_>,
    user: UserId,
    filter: &TransactionFilter,
) -> Result<Page<PastTransaction>> {
    let sql = "SELECT * FROM transactions WHERE owner = :owner
            AND (:currency IS NULL OR currency = :currency)
            AND (:method IS NULL OR method = :method)
        ORDER BY created_at DESC, id DESC";
    let parameters = named_params! {
        ":owner": user.0,
        ":currency": filter.currency,
        ":method": filter.method.map(Method::number),
    };
    list_page(tx, sql, parameters, (filter.limit, filter.offset), read_transaction)
}

/// Writes an offer, and forgets the user's offers that have ended unconfirmed by `now`.
pub(crate) fn create_quote(
    tx: &Transaction<'_>,
    user: UserId,
    terms: Terms,
    (now, expires_at): (i64, i64),
) -> Result<Quote> {
    let ended = "DELETE FROM quotes
        WHERE owner = ?1 AND confirmed_at IS NULL AND expires_at <= ?2";
    tx.prepare_cached(ended)?.execute((user.0, now))?;
    let sql = "INSERT INTO quotes
            (owner, give_currency, give, receive_currency, receive, rate, expires_at)
        VALUES (:owner, :give_currency, :give, :receive_currency, :receive, :rate, :expires_at)";
    tx.prepare_cached(sql)?.execute(named_params! {
        ":owner": user.0,
        ":give_currency": terms.give_currency,
        ":give": text(terms.give),
        ":receive_currency": terms.receive_currency,
        ":receive": text(terms.receive),
        ":rate": text(terms.rate),
        ":expires_at": expires_at,
    })?;
    Ok(Quote { id: tx.last_insert_rowid(), terms, expires_at, confirmed_at: None })
}

pub(crate) fn count_open_quotes(tx: &Transaction<'_>, user: UserId, now: i64) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM quotes
        WHERE owner = ?1 AND confirmed_at IS NULL AND expires_at > ?2";
    Ok(tx.prepare_cached(sql)?.query_row((user.0, now), |row| row.get(0))?)
}

pub(crate) fn find_quote(tx: &Transaction<'_>, user: UserId, id: i64) -> Result<Option<Quote>> {
    let sql = "SELECT * FROM quotes WHERE owner = ?1 AND id = ?2";
    Ok(tx.prepare_cached(sql)?.query_row((user.0, id), read_quote).optional()?)
}

pub(crate) fn confirm_quote(tx: &Transaction<'_>, id: i64, now: i64) -> Result<()> {
    let sql = "UPDATE quotes SET confirmed_at = ?2 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute((id, now))?;
    Ok(())
}

/// A user's conversions, newest first.
pub(crate) fn list_conversions(
    tx: &Transaction<'_>,
    user: UserId,
    filter: &ConversionFilter,
) -> Result<Page<Quote>> {
    let sql = "SELECT * FROM quotes
        WHERE owner = :owner AND confirmed_at IS NOT NULL
            AND (:give IS NULL OR give_currency = :give)
            AND (:receive IS NULL OR receive_currency = :receive)
            AND (:id IS NULL OR id = :id)
        ORDER BY id DESC";
    let parameters = named_params! {
        ":owner": user.0,
        ":give": filter.give,
        ":receive": filter.receive,
        ":id": filter.quote_id,
    };
    list_page(tx, sql, parameters, (filter.limit, filter.offset), read_quote)
}

/// A practice account's lists are short: all are read, and the page is cut out.
fn list_page<T>(
    tx: &Transaction<'_>,
    sql: &str,
    parameters: &[(&str, &dyn rusqlite::ToSql)],
    (limit, offset): (i64, i64),
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Page<T>> {
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let (mut records, mut total) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if (offset..offset.saturating_add(limit)).contains(&total) {
            records.push(read(row)?);
        }
        total = total.saturating_add(1);
    }
    Ok(Page { records, total, limit, offset })
}

fn read_transaction(row: &Row<'_>) -> rusqlite::Result<PastTransaction> {
    let method = Method::from_number(row.get("method")?).ok_or_else(|| unreadable("method"))?;
    Ok(PastTransaction {
        id: row.get("id")?,
        method,
        currency: read_currency(row, "currency")?,
        amount: decimal(row, "amount")?,
        fee: decimal(row, "fee")?,
        hash: row.get("hash")?,
        created_at: row.get("created_at")?,
    })
}

fn read_quote(row: &Row<'_>) -> rusqlite::Result<Quote> {
    Ok(Quote {
        id: row.get("id")?,
        terms: Terms {
            give_currency: read_currency(row, "give_currency")?,
            give: decimal(row, "give")?,
            receive_currency: read_currency(row, "receive_currency")?,
            receive: decimal(row, "receive")?,
            rate: decimal(row, "rate")?,
        },
        expires_at: row.get("expires_at")?,
        confirmed_at: row.get("confirmed_at")?,
    })
}

fn read_currency(row: &Row<'_>, column: &'static str) -> rusqlite::Result<&'static str> {
    let ticker: String = row.get(column)?;
    market::find_currency(&ticker).ok_or_else(|| unreadable(column))
}
