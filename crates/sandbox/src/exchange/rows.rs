//! Every SQL statement of the exchange. Concrete functions over one transaction; no decisions.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, Transaction, named_params};
use rust_decimal::Decimal;

use super::book::{Deal, Kind, Limit, Order, Side, Status, UserId};
use super::market::{self, Market};
use crate::storage::StorageError;

type Result<T> = std::result::Result<T, StorageError>;

pub(crate) const MAKER: i64 = 1;
pub(crate) const TAKER: i64 = 2;

const LIMIT: &str = "limit";
const MARKET: &str = "market";
const STOCK_MARKET: &str = "stock market";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) main: Decimal,
    /// On the trade account: free, and held by open orders.
    pub(crate) available: Decimal,
    pub(crate) freeze: Decimal,
}

/// A deal as one of its two sides remembers it.
#[derive(Debug)]
pub(crate) struct PastDeal {
    pub(crate) id: i64,
    pub(crate) order_id: i64,
    pub(crate) client_order_id: String,
    pub(crate) market: &'static Market,
    pub(crate) side: Side,
    pub(crate) role: i64,
    pub(crate) deal: Deal,
    pub(crate) fee: Decimal,
    pub(crate) created_at: i64,
}

/// Which of a user's orders or deals are asked for.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) market: Option<&'static Market>,
    pub(crate) order_id: Option<i64>,
    pub(crate) client_order_id: Option<String>,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

pub(crate) fn find_user(tx: &Transaction<'_>, sub: &str) -> Result<Option<UserId>> {
    let mut statement = tx.prepare_cached("SELECT id FROM users WHERE sub = ?1")?;
    Ok(statement.query_row([sub], |row| row.get(0)).optional()?.map(UserId))
}

pub(crate) fn create_user(tx: &Transaction<'_>, sub: &str, now: i64) -> Result<UserId> {
    tx.execute("INSERT INTO users (sub, created_at) VALUES (?1, ?2)", (sub, now))?;
    Ok(UserId(tx.last_insert_rowid()))
}

pub(crate) fn find_balance(tx: &Transaction<'_>, user: UserId, currency: &str) -> Result<Balance> {
    let sql = "SELECT main, available, freeze FROM balances WHERE owner = ?1 AND currency = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row((user.0, currency), |row| {
        Ok(Balance {
            main: decimal(row, "main")?,
            available: decimal(row, "available")?,
            freeze: decimal(row, "freeze")?,
        })
    });
    Ok(found.optional()?.unwrap_or_default())
}

pub(crate) fn save_balance(
    tx: &Transaction<'_>,
    user: UserId,
    currency: &str,
    balance: Balance,
) -> Result<()> {
    let sql = "INSERT INTO balances (owner, currency, main, available, freeze)
        VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (owner, currency) DO UPDATE SET
            main = excluded.main, available = excluded.available, freeze = excluded.freeze";
    let Balance { main, available, freeze } = balance;
    let texts = (user.0, currency, text(main), text(available), text(freeze));
    tx.prepare_cached(sql)?.execute(texts)?;
    Ok(())
}

/// One more than every priority given so far: behind all others of its price.
pub(crate) fn next_priority(tx: &Transaction<'_>) -> Result<i64> {
    let sql = "SELECT COALESCE(MAX(priority), 0) + 1 FROM orders";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Writes a new order and gives it the id that it then has.
pub(crate) fn create_order(tx: &Transaction<'_>, mut order: Order) -> Result<Order> {
    let sql =
        "INSERT INTO orders (owner, market, client_order_id, side, kind, price, price_ticks, ioc,
            post_only, amount, deal_stock, deal_money, deal_fee, priority, status, created_at,
            finished_at)
        VALUES (:owner, :market, :client_order_id, :side, :kind, :price, :price_ticks, :ioc,
            :post_only, :amount, :deal_stock, :deal_money, :deal_fee, :priority, :status,
            :created_at, :finished_at)";
    let (status, finished_at) = status_columns(order.status);
    let (kind, limit) = match order.kind {
        Kind::Limit(limit) => (LIMIT, Some(limit)),
        Kind::Market => (MARKET, None),
        Kind::StockMarket => (STOCK_MARKET, None),
    };
    tx.prepare_cached(sql)?.execute(named_params! {
        ":owner": order.owner.0,
        ":market": order.market.name,
        ":client_order_id": order.client_order_id,
        ":side": order.side.as_str(),
        ":kind": kind,
        ":price": order.price().map(text),
        ":price_ticks": ticks(&order)?,
        ":ioc": limit.is_some_and(|limit| limit.ioc),
        ":post_only": limit.is_some_and(|limit| limit.post_only),
        ":amount": text(order.amount),
        ":deal_stock": text(order.deal_stock),
        ":deal_money": text(order.deal_money),
        ":deal_fee": text(order.deal_fee),
        ":priority": order.priority,
        ":status": status,
        ":created_at": order.created_at,
        ":finished_at": finished_at,
    })?;
    order.id = tx.last_insert_rowid();
    Ok(order)
}

pub(crate) fn save_order(tx: &Transaction<'_>, order: &Order) -> Result<()> {
    let sql = "UPDATE orders SET price = :price, price_ticks = :price_ticks, amount = :amount,
            deal_stock = :deal_stock, deal_money = :deal_money, deal_fee = :deal_fee,
            priority = :priority, status = :status, finished_at = :finished_at
        WHERE id = :id";
    let (status, finished_at) = status_columns(order.status);
    tx.prepare_cached(sql)?.execute(named_params! {
        ":id": order.id,
        ":price": order.price().map(text),
        ":price_ticks": ticks(order)?,
        ":amount": text(order.amount),
        ":deal_stock": text(order.deal_stock),
        ":deal_money": text(order.deal_money),
        ":deal_fee": text(order.deal_fee),
        ":priority": order.priority,
        ":status": status,
        ":finished_at": finished_at,
    })?;
    Ok(())
}

pub(crate) fn count_open_orders(tx: &Transaction<'_>, user: UserId) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM orders WHERE owner = ?1 AND status = 'open'";
    Ok(tx.prepare_cached(sql)?.query_row([user.0], |row| row.get(0))?)
}

/// A user's open orders, newest first.
pub(crate) fn list_open_orders(
    tx: &Transaction<'_>,
    user: UserId,
    filter: &Filter,
) -> Result<Vec<Order>> {
    list_orders(
        tx,
        "SELECT * FROM orders WHERE owner = :owner AND status = 'open'
            AND (:market IS NULL OR market = :market) AND (:id IS NULL OR id = :id)
            AND (:client_order_id IS NULL OR client_order_id = :client_order_id)
        ORDER BY id DESC LIMIT :limit OFFSET :offset",
        user,
        filter,
    )
}

/// A user's filled orders and the cancelled ones that were executed in part, newest first.
pub(crate) fn list_executed_orders(
    tx: &Transaction<'_>,
    user: UserId,
    filter: &Filter,
) -> Result<Vec<Order>> {
    list_orders(
        tx,
        "SELECT * FROM orders WHERE owner = :owner AND status IN ('filled', 'cancelled')
            AND deal_stock <> '0'
            AND (:market IS NULL OR market = :market) AND (:id IS NULL OR id = :id)
            AND (:client_order_id IS NULL OR client_order_id = :client_order_id)
        ORDER BY id DESC LIMIT :limit OFFSET :offset",
        user,
        filter,
    )
}

fn list_orders(
    tx: &Transaction<'_>,
    sql: &str,
    user: UserId,
    filter: &Filter,
) -> Result<Vec<Order>> {
    let mut statement = tx.prepare_cached(sql)?;
    let parameters = named_params! {
        ":owner": user.0,
        ":market": filter.market.map(|market| market.name),
        ":id": filter.order_id,
        ":client_order_id": filter.client_order_id,
        ":limit": filter.limit,
        ":offset": filter.offset,
    };
    let orders = statement.query_map(parameters, read_order)?.collect::<rusqlite::Result<_>>()?;
    Ok(orders)
}

/// The open orders that `taker` meets, best first, and no more of them than it can use up.
pub(crate) fn list_crossed_orders(tx: &Transaction<'_>, taker: &Order) -> Result<Vec<Order>> {
    let sql = match taker.side {
        Side::Buy => {
            "SELECT * FROM orders WHERE market = ?1 AND side = 'sell' AND status = 'open'
                AND price_ticks <= ?2
            ORDER BY price_ticks, priority"
        }
        Side::Sell => {
            "SELECT * FROM orders WHERE market = ?1 AND side = 'buy' AND status = 'open'
                AND price_ticks >= ?2
            ORDER BY price_ticks DESC, priority"
        }
    };
    let mut statement = tx.prepare_cached(sql)?;
    // Without a price of its own, the worst will do.
    let worst = match taker.side {
        Side::Buy => i64::MAX,
        Side::Sell => 0,
    };
    let mut rows = statement.query((taker.market.name, ticks(taker)?.unwrap_or(worst)))?;
    let mut wanted = taker.left();
    let mut crossed = Vec::new();
    while let (true, Some(row)) = (wanted > Decimal::ZERO, rows.next()?) {
        let order = read_order(row)?;
        let offered = match order.price() {
            Some(price) if taker.counts_money() => price.saturating_mul(order.left()),
            _ => order.left(),
        };
        wanted = wanted.saturating_sub(offered);
        crossed.push(order);
    }
    Ok(crossed)
}

/// Price levels of one side of a market's book, best first.
pub(crate) fn list_levels(
    tx: &Transaction<'_>,
    market: &Market,
    side: Side,
    limit: usize,
) -> Result<Vec<(Decimal, Decimal)>> {
    let sql = match side {
        Side::Sell => {
            "SELECT * FROM orders WHERE market = ?1 AND side = 'sell' AND status = 'open'
            ORDER BY price_ticks, priority"
        }
        Side::Buy => {
            "SELECT * FROM orders WHERE market = ?1 AND side = 'buy' AND status = 'open'
            ORDER BY price_ticks DESC, priority"
        }
    };
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([market.name])?;
    let mut levels: Vec<(Decimal, Decimal)> = Vec::new();
    while let Some(row) = rows.next()? {
        let order = read_order(row)?;
        // Only limit orders wait in the book.
        let order_price = order.price().ok_or(StorageError::Corrupt("price"))?;
        let full = levels.len() == limit;
        match levels.last_mut() {
            Some((price, amount)) if *price == order_price => {
                *amount = amount.saturating_add(order.left());
            }
            _ if full => break,
            _ => levels.push((order_price, order.left())),
        }
    }
    Ok(levels)
}

pub(crate) fn create_deal(
    tx: &Transaction<'_>,
    order: &Order,
    role: i64,
    deal: &Deal,
    fee: Decimal,
    now: i64,
) -> Result<()> {
    let sql = "INSERT INTO deals
            (owner, order_id, market, side, role, price, amount, money, fee, created_at)
        VALUES (:owner, :order_id, :market, :side, :role, :price, :amount, :money, :fee,
            :created_at)";
    tx.prepare_cached(sql)?.execute(named_params! {
        ":owner": order.owner.0,
        ":order_id": order.id,
        ":market": order.market.name,
        ":side": order.side.as_str(),
        ":role": role,
        ":price": text(deal.price),
        ":amount": text(deal.amount),
        ":money": text(deal.money),
        ":fee": text(fee),
        ":created_at": now,
    })?;
    Ok(())
}

/// A user's deals, newest first.
pub(crate) fn list_deals(
    tx: &Transaction<'_>,
    user: UserId,
    filter: &Filter,
) -> Result<Vec<PastDeal>> {
    let sql = "SELECT deals.*, orders.client_order_id
        FROM deals JOIN orders ON orders.id = deals.order_id
        WHERE deals.owner = :owner AND (:market IS NULL OR deals.market = :market)
            AND (:id IS NULL OR deals.order_id = :id)
            AND (:client_order_id IS NULL OR orders.client_order_id = :client_order_id)
        ORDER BY deals.id DESC LIMIT :limit OFFSET :offset";
    let mut statement = tx.prepare_cached(sql)?;
    let parameters = named_params! {
        ":owner": user.0,
        ":market": filter.market.map(|market| market.name),
        ":id": filter.order_id,
        ":client_order_id": filter.client_order_id,
        ":limit": filter.limit,
        ":offset": filter.offset,
    };
    let deals =
        statement.query_map(parameters, read_past_deal)?.collect::<rusqlite::Result<_>>()?;
    Ok(deals)
}

/// The trades of a market since a moment, oldest first.
pub(crate) fn list_trades_since(
    tx: &Transaction<'_>,
    market: &Market,
    since: i64,
) -> Result<Vec<Deal>> {
    // Every trade has exactly one taker; counting both sides would double the volume.
    let sql = "SELECT price, amount, money FROM deals
        WHERE market = ?1 AND role = 2 AND created_at >= ?2 ORDER BY created_at, id";
    let mut statement = tx.prepare_cached(sql)?;
    let trades = statement.query_map((market.name, since), read_deal)?;
    Ok(trades.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn find_last_price(tx: &Transaction<'_>, market: &Market) -> Result<Option<Decimal>> {
    let sql = "SELECT price FROM deals WHERE market = ?1 AND role = 2
        ORDER BY created_at DESC, id DESC LIMIT 1";
    let mut statement = tx.prepare_cached(sql)?;
    Ok(statement.query_row([market.name], |row| decimal(row, "price")).optional()?)
}

fn read_order(row: &Row<'_>) -> rusqlite::Result<Order> {
    let finished_at: Option<i64> = row.get("finished_at")?;
    let status: String = row.get("status")?;
    let status = match (status.as_str(), finished_at) {
        ("open", None) => Status::Open,
        ("filled", Some(at)) => Status::Filled { at },
        ("cancelled", Some(at)) => Status::Cancelled { at },
        _ => return Err(unreadable("status")),
    };
    let kind: String = row.get("kind")?;
    let kind = match kind.as_str() {
        LIMIT => Kind::Limit(Limit {
            price: decimal(row, "price")?,
            ioc: row.get("ioc")?,
            post_only: row.get("post_only")?,
        }),
        MARKET => Kind::Market,
        STOCK_MARKET => Kind::StockMarket,
        _ => return Err(unreadable("kind")),
    };
    Ok(Order {
        id: row.get("id")?,
        owner: UserId(row.get("owner")?),
        market: read_market(row)?,
        client_order_id: row.get("client_order_id")?,
        side: read_side(row)?,
        kind,
        amount: decimal(row, "amount")?,
        deal_stock: decimal(row, "deal_stock")?,
        deal_money: decimal(row, "deal_money")?,
        deal_fee: decimal(row, "deal_fee")?,
        priority: row.get("priority")?,
        created_at: row.get("created_at")?,
        status,
    })
}

fn read_deal(row: &Row<'_>) -> rusqlite::Result<Deal> {
    Ok(Deal {
        price: decimal(row, "price")?,
        amount: decimal(row, "amount")?,
        money: decimal(row, "money")?,
    })
}

fn read_past_deal(row: &Row<'_>) -> rusqlite::Result<PastDeal> {
    Ok(PastDeal {
        id: row.get("id")?,
        order_id: row.get("order_id")?,
        client_order_id: row.get("client_order_id")?,
        market: read_market(row)?,
        side: read_side(row)?,
        role: row.get("role")?,
        deal: read_deal(row)?,
        fee: decimal(row, "fee")?,
        created_at: row.get("created_at")?,
    })
}

fn read_market(row: &Row<'_>) -> rusqlite::Result<&'static Market> {
    let name: String = row.get("market")?;
    market::find(&name).ok_or_else(|| unreadable("market"))
}

fn read_side(row: &Row<'_>) -> rusqlite::Result<Side> {
    let side: String = row.get("side")?;
    Side::from_text(&side).ok_or_else(|| unreadable("side"))
}

pub(crate) fn decimal(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Decimal> {
    let text: String = row.get(column)?;
    Decimal::from_str_exact(&text).map_err(|_| unreadable(column))
}

pub(crate) fn unreadable(column: &'static str) -> rusqlite::Error {
    let reason = Box::new(StorageError::Corrupt(column));
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, reason)
}

/// Without trailing zeros, so that equal numbers are equal text.
pub(crate) fn text(number: Decimal) -> String {
    number.normalize().to_string()
}

fn ticks(order: &Order) -> Result<Option<i64>> {
    let Some(price) = order.price() else { return Ok(None) };
    order.market.price_ticks(price).map(Some).ok_or(StorageError::Corrupt("price"))
}

fn status_columns(status: Status) -> (&'static str, Option<i64>) {
    match status {
        Status::Open => ("open", None),
        Status::Filled { at } => ("filled", Some(at)),
        Status::Cancelled { at } => ("cancelled", Some(at)),
    }
}
