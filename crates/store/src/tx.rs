//! A running transaction on either database: one SQL text with `$N` placeholders, one way to bind,
//! one way to read. Whoever writes a table file needs nothing else.

use domain::change::Change;

use crate::postgres::PgTx;
use crate::sqlite::SqliteTx;
use crate::value::{Row, Value};
use crate::{DbError, changes};

/// A transaction. It commits when the closure that received it returns `Ok` and no statement in it
/// failed; a failed statement cannot be shrugged off, because PostgreSQL would not allow it either.
#[derive(Debug)]
pub struct Tx<'a> {
    engine: Engine<'a>,
    kind: TxKind,
    changes: Vec<Change>,
    failure: Option<DbError>,
}

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TxKind {
    Write,
    /// A write that nobody else's work is held against.
    Unchecked,
    /// Nothing but reading.
    Read,
    /// A single statement that is its own transaction.
    Single,
    /// Its single statement was run.
    Spent,
}

/// The two databases there are. Closed: there is no third.
#[derive(Debug)]
enum Engine<'a> {
    Sqlite(SqliteTx<'a>),
    Postgres(&'a mut PgTx),
}

impl<'a> Tx<'a> {
    pub(crate) fn sqlite(tx: SqliteTx<'a>, kind: TxKind) -> Self {
        Self { engine: Engine::Sqlite(tx), kind, changes: Vec::new(), failure: None }
    }

    pub(crate) fn postgres(tx: &'a mut PgTx, kind: TxKind) -> Self {
        Self { engine: Engine::Postgres(tx), kind, changes: Vec::new(), failure: None }
    }

    /// Run a statement that changes rows; how many it changed.
    pub async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, DbError> {
        if self.kind == TxKind::Read {
            return self.note(Err(DbError::bug(format!("a read tried to write: {sql}"))));
        }
        self.spend(sql)?;
        let done = match &mut self.engine {
            Engine::Sqlite(tx) => tx.execute(sql, values),
            Engine::Postgres(tx) => tx.execute(sql, values).await,
        };
        self.note(done)
    }

    pub async fn query_all(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        self.spend(sql)?;
        let rows = match &mut self.engine {
            Engine::Sqlite(tx) => tx.query(sql, values),
            Engine::Postgres(tx) => tx.query(sql, values).await,
        };
        self.note(rows)
    }

    /// The only row, if there is one. More than one is a bug.
    pub async fn query_opt(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, DbError> {
        let mut rows = self.query_all(sql, values).await?;
        let row = rows.pop();
        if !rows.is_empty() {
            return self.note(Err(DbError::bug(format!("more than one row: {sql}"))));
        }
        Ok(row)
    }

    /// The row that is always there, as of an aggregate.
    pub async fn query_one(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Row, DbError> {
        match self.query_opt(sql, values).await? {
            Some(row) => Ok(row),
            None => self.note(Err(DbError::bug(format!("no row: {sql}")))),
        }
    }

    /// Put a change on the feed when this transaction commits.
    pub(crate) fn note_change(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// Write the noted changes as the last thing of the transaction. On PostgreSQL, where a lock
    /// keeps the feed in commit order, that is part of its commit.
    pub(crate) async fn flush_changes(&mut self) -> Result<(), DbError> {
        if self.changes.is_empty() || self.failure.is_some() {
            return Ok(());
        }
        let changes = self.changes.clone();
        changes::append(self, &changes).await
    }

    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Why this transaction cannot commit, if a statement failed.
    pub(crate) fn failure(&self) -> Option<&DbError> {
        self.failure.as_ref()
    }

    fn spend(&mut self, sql: &str) -> Result<(), DbError> {
        match self.kind {
            TxKind::Write | TxKind::Unchecked | TxKind::Read => Ok(()),
            TxKind::Single => {
                self.kind = TxKind::Spent;
                Ok(())
            }
            TxKind::Spent => {
                self.note(Err(DbError::bug(format!("a second statement in a single write: {sql}"))))
            }
        }
    }

    fn note<T>(&mut self, result: Result<T, DbError>) -> Result<T, DbError> {
        if let Err(error) = &result
            && self.failure.is_none()
        {
            self.failure = Some(error.clone());
        }
        result
    }
}
