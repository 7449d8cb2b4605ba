//! The glue to SQLite: statements, and connections set up so that a commit is on disk before it is
//! answered. The thread that writes is in `sqlite::writer`.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql};

use crate::DbError;
use crate::db::Observer;
use crate::value::{Column, Row, Value};

mod checkpoint;
mod writer;

pub(crate) use writer::{Answer, Job, Writer, poll_once, run_ready};

/// Statements kept prepared per connection; there are fewer in the program.
const STATEMENTS_MAX: usize = 256;
/// Idle reader connections that are kept; more are opened when needed and closed after.
const READERS_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) writer: Writer,
    readers: Readers,
}

impl Engine {
    /// Blocking: call it on a thread where that is fine.
    pub(crate) fn open(path: &Path, observer: Observer) -> Result<Self, DbError> {
        let lock = lock_exclusively(path)?;
        private(path).map_err(|error| unusable(path, &error))?;
        let mut connection = connect(path)?;
        crate::migrate::sqlite(&mut connection)?;
        let writer = Writer::start(path, connection, lock, observer)?;
        Ok(Self { writer, readers: Readers { path: path.to_owned(), idle: Mutex::default() } })
    }

    /// Run `read` in a snapshot of its own.
    pub(crate) fn read<T>(&self, read: impl FnOnce(SqliteTx<'_>) -> T) -> Result<T, DbError> {
        let mut connection = self.readers.take()?;
        control(&connection, "BEGIN")?;
        let result = read(SqliteTx { connection: &mut connection });
        control(&connection, "COMMIT")?;
        self.readers.put_back(connection);
        Ok(result)
    }
}

/// Refuse a second process on the same data. The lock goes with the process, however it ends.
pub fn lock_exclusively(path: &Path) -> Result<File, DbError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = Path::new(&name);
    let file = private(name).map_err(|error| unusable(name, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DbError::InUse(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(unusable(name, &error)),
    }
}

/// Open a file for writing that only its owner can read if it is made now, whatever the umask.
/// SQLite gives its log and its index the rights of the database.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

fn unusable(path: &Path, error: &std::io::Error) -> DbError {
    DbError::Unavailable(format!("{}: {error}", path.display()))
}

fn connect(path: &Path) -> Result<Connection, DbError> {
    let connection = Connection::open(path)
        .map_err(|error| DbError::Unavailable(format!("{}: {error}", path.display())))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Plans do not depend on the values that are bound, so statements are prepared once: a quarter
    // of the time of a token request otherwise.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(map_error)?;
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;",
        )
        .map_err(map_error)?;
    // What an answer says has happened is on disk (invariant 2): believe the database, not the
    // request. 2 is FULL.
    let synchronous: i64 = pragma(&connection, "synchronous")?;
    let journal: String = pragma(&connection, "journal_mode")?;
    if synchronous != 2 || journal != "wal" {
        return Err(DbError::Setup(format!(
            "{} cannot be used durably (journal_mode={journal}, synchronous={synchronous}); \
             put it on a local disk",
            path.display()
        )));
    }
    Ok(connection)
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> Result<T, DbError> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(map_error)
}

struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Readers {
    fn take(&self) -> Result<Connection, DbError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let connection = connect(&self.path)?;
        connection.execute_batch("PRAGMA query_only = ON").map_err(map_error)?;
        Ok(connection)
    }

    /// One that failed or panicked is not put back, and closes.
    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READERS_MAX {
            idle.push(connection);
        }
    }
}

/// Statements inside a transaction that someone else begins and ends.
pub(crate) struct SqliteTx<'a> {
    connection: &'a mut Connection,
}

impl fmt::Debug for SqliteTx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteTx")
    }
}

impl SqliteTx<'_> {
    pub(crate) fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, DbError> {
        let mut statement = self.prepare(sql, values)?;
        let count = statement.raw_execute().map_err(map_error)?;
        u64::try_from(count).map_err(DbError::bug)
    }

    pub(crate) fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        let mut statement = self.prepare(sql, values)?;
        let width = statement.column_count();
        let mut rows = statement.raw_query();
        let mut read = Vec::new();
        while let Some(row) = rows.next().map_err(map_error)? {
            let columns = (0..width)
                .map(|index| column(row.get_ref(index).map_err(map_error)?))
                .collect::<Result<_, DbError>>()?;
            read.push(Row::new(columns));
        }
        Ok(read)
    }

    fn prepare(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<CachedStatement<'_>, DbError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(map_error)?;
        if statement.parameter_count() != values.len() {
            return Err(DbError::bug(format!("{} values for: {sql}", values.len())));
        }
        if values.len() > NAMES.len() {
            return Err(DbError::bug(format!("too many parameters for: {sql}")));
        }
        for (name, value) in NAMES.iter().zip(values) {
            // SQLite numbers `$N` by first appearance, PostgreSQL by N: bind by name.
            let index = statement
                .parameter_index(name)
                .map_err(map_error)?
                .ok_or_else(|| DbError::bug(format!("no {name} in: {sql}")))?;
            statement.raw_bind_parameter(index, value).map_err(map_error)?;
        }
        Ok(statement)
    }
}

/// The most parameters a statement of ours has.
const NAMES: [&str; 60] = [
    "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15",
    "$16", "$17", "$18", "$19", "$20", "$21", "$22", "$23", "$24", "$25", "$26", "$27", "$28",
    "$29", "$30", "$31", "$32", "$33", "$34", "$35", "$36", "$37", "$38", "$39", "$40", "$41",
    "$42", "$43", "$44", "$45", "$46", "$47", "$48", "$49", "$50", "$51", "$52", "$53", "$54",
    "$55", "$56", "$57", "$58", "$59", "$60",
];

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn column(value: ValueRef<'_>) -> Result<Column, DbError> {
    Ok(match value {
        ValueRef::Null => Column::Null,
        ValueRef::Integer(value) => Column::Int(value),
        ValueRef::Text(value) => Column::Text(
            String::from_utf8(value.to_vec()).map_err(|_| crate::value::unreadable("text"))?,
        ),
        ValueRef::Blob(value) => Column::Bytes(value.to_vec()),
        ValueRef::Real(value) => return Err(DbError::bug(format!("a column is {value}"))),
    })
}

/// A statement that steers transactions, kept prepared.
fn control(connection: &Connection, sql: &'static str) -> Result<(), DbError> {
    let mut statement = connection.prepare_cached(sql).map_err(map_error)?;
    statement.raw_execute().map(|_| ()).map_err(map_error)
}

pub(crate) fn map_error(error: rusqlite::Error) -> DbError {
    let rusqlite::Error::SqliteFailure(failure, _) = &error else {
        return DbError::bug(error);
    };
    let text = error.to_string();
    match failure.code {
        ErrorCode::DiskFull => DbError::DiskFull(text),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => DbError::Corrupt(text),
        ErrorCode::CannotOpen
        | ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::OutOfMemory => DbError::Unavailable(text),
        _ => DbError::Bug(text),
    }
}
