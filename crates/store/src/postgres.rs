//! The glue to PostgreSQL: statements, and what to make of the ways in which a server fails.
//! Connections and the threads that use them are in `postgres::engine`.

use std::error::Error as _;
use std::fmt;

use bytes::BytesMut;
use deadpool_postgres::Object;
use futures_util::FutureExt as _;
use futures_util::future::{join, join3};
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::DbError;
use crate::tx::TxKind;
use crate::value::{Column, Row, Value};

mod engine;
mod workers;

pub(crate) use engine::Engine;

/// How a transaction of this kind begins; a single statement needs no beginning.
const fn begin_sql(kind: TxKind) -> Option<&'static str> {
    match kind {
        TxKind::Write => Some("BEGIN ISOLATION LEVEL SERIALIZABLE"),
        TxKind::Unchecked => Some("BEGIN ISOLATION LEVEL READ COMMITTED"),
        // One snapshot for all statements, as SQLite gives.
        TxKind::Read => Some("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        TxKind::Single | TxKind::Spent => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Begun,
    /// Ended, or never begun: the connection can be used by others.
    Clean,
}

/// Statements in one transaction on one connection.
pub(crate) struct PgTx {
    client: Option<Object>,
    kind: TxKind,
    state: State,
}

impl fmt::Debug for PgTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgTx").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl PgTx {
    pub(crate) fn new(client: Object, kind: TxKind) -> Self {
        Self { client: Some(client), kind, state: State::Fresh }
    }

    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, DbError> {
        let (client, begin) = self.next_statement()?;
        let statement = prepare(client, sql).await?;
        let parameters = parameters(values);
        let running = client.execute(&statement, &parameters);
        let Some(begin) = begin else { return running.await.map_err(map_error) };
        // BEGIN travels with the first statement: one round trip less.
        let (begun, done) = join(client.batch_execute(begin), running).await;
        begun.map_err(map_error)?;
        done.map_err(map_error)
    }

    pub(crate) async fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        let (client, begin) = self.next_statement()?;
        let statement = prepare(client, sql).await?;
        let parameters = parameters(values);
        let running = client.query(&statement, &parameters);
        let rows = match begin {
            None => running.await,
            Some(begin) => {
                let (begun, rows) = join(client.batch_execute(begin), running).await;
                begun.map_err(map_error)?;
                rows
            }
        };
        rows.map_err(map_error)?.iter().map(row).collect()
    }

    /// The client, and how to begin if this is the first statement.
    fn next_statement(&mut self) -> Result<(&Object, Option<&'static str>), DbError> {
        let is_first = self.state == State::Fresh;
        self.state = State::Begun;
        let client = self.client.as_ref().ok_or_else(|| DbError::bug("no connection"))?;
        Ok((client, begin_sql(self.kind).filter(|_| is_first)))
    }

    pub(crate) async fn commit(&mut self) -> Result<(), DbError> {
        if self.state == State::Begun
            && self.kind != TxKind::Single
            && let Some(client) = &self.client
        {
            client.batch_execute("COMMIT").await.map_err(map_commit_error)?;
        }
        self.state = State::Clean;
        Ok(())
    }

    /// The last statement of a transaction with the commit right behind it: one round trip less,
    /// in which its locks would be held. If the statement fails, the server rolls back instead.
    pub(crate) async fn query_and_commit(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        let (client, begin) = self.next_statement()?;
        let statement = prepare(client, sql).await?;
        let parameters = parameters(values);
        let begun = async {
            match begin {
                Some(begin) => client.batch_execute(begin).await,
                None => Ok(()),
            }
        };
        let query = client.query(&statement, &parameters);
        // Sent in this order.
        let (begun, rows, ended) = join3(begun, query, client.batch_execute("COMMIT")).await;
        begun.map_err(map_commit_error)?;
        let rows = rows.map_err(map_commit_error)?;
        ended.map_err(map_commit_error)?;
        self.state = State::Clean;
        rows.iter().map(row).collect()
    }

    /// End a read. Nobody waits for the answer: whatever comes next on this connection is answered
    /// after it.
    pub(crate) fn end_read(&mut self) {
        let sent = match &self.client {
            Some(client) if self.state == State::Begun => {
                client.batch_execute("ROLLBACK").now_or_never()
            }
            _ => Some(Ok(())),
        };
        if !matches!(sent, Some(Err(_))) {
            self.state = State::Clean;
        }
    }

    /// Undo. A connection on which even that fails is dropped with this.
    pub(crate) async fn roll_back(&mut self) {
        if self.state == State::Begun
            && self.kind != TxKind::Single
            && let Some(client) = &self.client
            && client.batch_execute("ROLLBACK").await.is_err()
        {
            return;
        }
        self.state = State::Clean;
    }
}

impl Drop for PgTx {
    /// A transaction that a panic or a lost caller left open must not reach the next user of the
    /// connection: closing it rolls back.
    fn drop(&mut self) {
        if self.state == State::Begun
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}

async fn prepare(client: &Object, sql: &'static str) -> Result<Statement, DbError> {
    client.prepare_cached(sql).await.map_err(map_error)
}

fn parameters<'v>(values: &'v [Value<'_>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) => value.to_sql_checked(kind, out),
            Value::Text(value) => value.as_ref().to_sql_checked(kind, out),
            Value::Bytes(value) => value.as_ref().to_sql_checked(kind, out),
        }
    }

    /// Each kind of value checks for itself.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn row(row: &tokio_postgres::Row) -> Result<Row, DbError> {
    let columns = row.columns().iter().enumerate().map(|(index, column)| {
        let read = match *column.type_() {
            Type::INT8 => row.try_get(index).map(|v: Option<i64>| v.map(Column::Int)),
            Type::TEXT => row.try_get(index).map(|v: Option<String>| v.map(Column::Text)),
            Type::BYTEA => row.try_get(index).map(|v: Option<Vec<u8>>| v.map(Column::Bytes)),
            ref other => return Err(DbError::bug(format!("a column has type {other}"))),
        };
        read.map(|column| column.unwrap_or(Column::Null)).map_err(map_error)
    });
    columns.collect::<Result<_, _>>().map(Row::new)
}

pub(crate) fn map_error(error: tokio_postgres::Error) -> DbError {
    let text = match (error.as_db_error(), error.source()) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    };
    let Some(code) = error.code() else {
        // No answer from the server: the connection is gone, unless the mistake is in the values.
        let is_ours = text.contains("serializing parameter") || text.contains("deserializing");
        return if is_ours { DbError::Bug(text) } else { DbError::Unavailable(text) };
    };
    if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED {
        return DbError::Conflict(text);
    }
    match (code.code(), code.code().get(..2)) {
        ("53100", _) => DbError::DiskFull(text),
        ("XX001" | "XX002", _) => DbError::Corrupt(text),
        // 08 connection, 28 authorization, 53 resources, 57 operator, 58 system; a server that
        // became a standby is read-only.
        ("25006" | "55P03", _) | (_, Some("08" | "28" | "53" | "57" | "58")) => {
            DbError::Unavailable(text)
        }
        _ => DbError::Bug(text),
    }
}

fn map_commit_error(error: tokio_postgres::Error) -> DbError {
    match map_error(error) {
        DbError::Unavailable(text) => DbError::OutcomeUnknown(text),
        other => other,
    }
}
