//! Filling a database while its server is stopped: copies of rows that the product wrote, with
//! other values in some columns, on SQLite and on PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::Outcome;

pub enum Database {
    Sqlite(Connection),
    Postgres { psql: PathBuf, url: String },
}

/// Some columns of a copy, each with an expression in which `t` is the row that is copied and `n.i`
/// counts from 0.
pub type Values<'a> = &'a [(&'a str, &'a str)];

/// The value of a column that the database numbers itself.
pub const NUMBERED: &str = "";

impl Database {
    /// Its settings are fast and forget everything in a crash; [`Database::close`] ends that.
    pub fn sqlite(file: &Path) -> Outcome<Self> {
        let open = || -> rusqlite::Result<Connection> {
            let db = Connection::open(file)?;
            db.execute_batch(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; \
                 PRAGMA cache_size = -400000; PRAGMA foreign_keys = OFF;",
            )?;
            Ok(db)
        };
        open().map(Self::Sqlite).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Through `psql`, which is where `pgbench` is.
    pub fn postgres(url: &str, pgbench: Option<&PathBuf>) -> Self {
        let psql = pgbench.map_or_else(|| "psql".into(), |program| program.with_file_name("psql"));
        Self::Postgres { psql, url: url.to_owned() }
    }

    pub fn execute(&self, sql: &str) -> Outcome<()> {
        match self {
            Self::Sqlite(db) => db.execute_batch(sql).map_err(|error| format!("{error}: {sql}")),
            Self::Postgres { .. } => self.psql(sql).map(drop),
        }
    }

    /// The first column of what `sql` finds.
    pub fn texts(&self, sql: &str) -> Outcome<Vec<String>> {
        let Self::Sqlite(db) = self else { return self.psql(sql) };
        let texts = || -> rusqlite::Result<Vec<String>> {
            let mut statement = db.prepare(sql)?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        texts().map_err(|error| format!("{error}: {sql}"))
    }

    pub fn text(&self, sql: &str) -> Outcome<String> {
        self.texts(sql)?.into_iter().next().ok_or_else(|| format!("nothing is found: {sql}"))
    }

    fn psql(&self, sql: &str) -> Outcome<Vec<String>> {
        let Self::Postgres { psql, url } = self else { return Ok(Vec::new()) };
        let output = Command::new(psql)
            .args(["-qXAt", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
            .output()
            .map_err(|error| format!("psql: {error}"))?;
        match output.status.success() {
            true => {
                Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
            }
            false => Err(format!("psql: {}: {sql}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// An id with `kind` in it for row `n` of `of`: ascending with `n`, so that rows are appended,
    /// and spread over all ids.
    pub fn id(&self, kind: &str, n: &str, of: u64) -> String {
        let spread = format!("({n}) * 4294967295 / {of}");
        match self {
            Self::Sqlite(_) => format!("printf('%08x{kind}%022x', {spread}, ({n}))"),
            Self::Postgres { .. } => {
                format!("lpad(to_hex({spread}), 8, '0') || '{kind}' || lpad(to_hex({n}), 22, '0')")
            }
        }
    }

    fn columns(&self, table: &str) -> Outcome<Vec<String>> {
        self.texts(&match self {
            Self::Sqlite(_) => format!("SELECT name FROM pragma_table_info('{table}')"),
            Self::Postgres { .. } => format!(
                "SELECT column_name FROM information_schema.columns \
                 WHERE table_name = '{table}' ORDER BY ordinal_position"
            ),
        })
    }

    /// `false`: the table is empty, or this version has none.
    pub fn has_rows(&self, table: &str) -> bool {
        self.text(&format!("SELECT 'yes' FROM {table} LIMIT 1")).is_ok()
    }

    /// `count` copies of each row of `table` that `of` selects (all of a `SELECT` behind the name
    /// of the table). Other columns than `different` are what the product wrote, whatever columns
    /// there are.
    pub fn copy(&self, table: &str, of: &str, count: u64, different: Values<'_>) -> Outcome<()> {
        let columns = self.columns(table)?;
        if let Some((name, _)) =
            different.iter().find(|(name, _)| !columns.iter().any(|c| c == name))
        {
            return Err(format!("the table {table} has no column {name} any more"));
        }
        let value = |column: &String| {
            let other = different.iter().find(|(name, _)| name == column);
            other.map_or_else(|| format!("t.{column}"), |(_, value)| (*value).to_owned())
        };
        let pairs = columns.iter().map(|column| (column.as_str(), value(column)));
        let (columns, values): (Vec<&str>, Vec<String>) =
            pairs.filter(|(_, value)| value != NUMBERED).unzip();
        let counter = match self {
            Self::Sqlite(_) => format!(
                "(WITH RECURSIVE c (i) AS \
                 (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i + 1 < {count}) \
                 SELECT i FROM c) AS n"
            ),
            Self::Postgres { .. } => {
                format!("generate_series(0, {}::BIGINT) AS n (i)", count.saturating_sub(1))
            }
        };
        eprintln!("{count} rows of {table}");
        self.execute(&format!(
            "INSERT INTO {table} ({}) SELECT {} FROM (SELECT * FROM {table} {of}) AS t, {counter}",
            columns.join(", "),
            values.join(", "),
        ))
    }

    /// What makes the dropped indexes again: built at the end, they are sorted once. PostgreSQL's
    /// stay.
    pub fn drop_indexes(&self, tables: &[&str]) -> Outcome<Vec<String>> {
        let Self::Sqlite(_) = self else { return Ok(Vec::new()) };
        let wanted = format!(
            "FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL \
             AND tbl_name IN ('{}') ORDER BY name",
            tables.join("', '")
        );
        let statements = self.texts(&format!("SELECT sql {wanted}"))?;
        for name in self.texts(&format!("SELECT name {wanted}"))? {
            self.execute(&format!("DROP INDEX {name}"))?;
        }
        Ok(statements)
    }

    /// As the server will find it after a while of running by itself: autovacuum has analysed.
    pub fn close(self, indexes: Vec<String>) -> Outcome<()> {
        indexes.iter().try_for_each(|sql| self.execute(sql))?;
        match &self {
            Self::Sqlite(_) => self.execute("PRAGMA journal_mode = WAL;"),
            Self::Postgres { .. } => self.execute("VACUUM ANALYZE"),
        }
    }
}
