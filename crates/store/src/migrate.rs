//! Bringing the schema up to date at start. Each migration is two files of the same name, one per
//! database, and runs in a transaction of its own; a schema newer than this program is refused.

use rusqlite::Connection;
use tokio_postgres::Client;

use crate::DbError;
use crate::{postgres as pg, sqlite as lite};

struct Migration {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal)*) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(migrations!(@file "sqlite" $version $name)),
            postgres: include_str!(migrations!(@file "postgres" $version $name)),
        },)*]
    };
    (@file $database:literal $version:literal $name:literal) => {
        concat!("../migrations/", $database, "/", stringify!($version), "_", $name, ".sql")
    };
}

/// A number is written as its files begin.
#[expect(clippy::zero_prefixed_literal, reason = "decimal, as in the names of the files")]
const MIGRATIONS: &[Migration] = migrations! {
    0001 "initial"
    0002 "also_standard"
    0003 "imported_secrets"
    0004 "user_codes"
    0005 "mails"
    0006 "second_factors"
    0007 "partner_keys"
    0008 "sign_in_hand_off"
    0009 "nonces"
    0010 "revisions"
    0011 "teams"
    0012 "credentials"
    0013 "requests_and_plans"
    0014 "webhooks"
    0015 "review_policy"
    0016 "admin_api"
    0017 "page_indexes"
    0018 "lists_of_apps"
};

const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
     (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)";
const FIND_VERSION: &str =
    "SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) FROM schema_migrations";
const RECORD: &str = "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)";

/// Any number, the same in every Consentry: nodes that start together migrate one after the other.
const POSTGRES_LOCK: i64 = 0x636f_6e73_656e_7401;

/// What is to be done on a schema of version `found`.
fn pending(found: i64) -> Result<&'static [Migration], DbError> {
    let known = MIGRATIONS.last().map_or(0, |migration| migration.version);
    if found > known {
        return Err(DbError::NewerSchema { found, known });
    }
    let done = MIGRATIONS.iter().take_while(|migration| migration.version <= found).count();
    Ok(MIGRATIONS.get(done..).unwrap_or_default())
}

/// The file lock is held already.
pub(crate) fn sqlite(connection: &mut Connection) -> Result<(), DbError> {
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(lite::map_error)?;
    transaction.execute_batch(CREATE_TABLE).map_err(lite::map_error)?;
    let found =
        transaction.query_row(FIND_VERSION, [], |row| row.get(0)).map_err(lite::map_error)?;
    for migration in pending(found)? {
        transaction.execute_batch(migration.sqlite).map_err(lite::map_error)?;
        let record = rusqlite::params![migration.version, migration.name];
        transaction.execute(RECORD, record).map_err(lite::map_error)?;
    }
    transaction.commit().map_err(lite::map_error)
}

pub(crate) async fn postgres(client: &mut Client) -> Result<(), DbError> {
    let lock = format!("SELECT pg_advisory_lock({POSTGRES_LOCK})");
    client.batch_execute(&lock).await.map_err(pg::map_error)?;
    // The lock goes with the connection, which the caller drops.
    client.batch_execute(CREATE_TABLE).await.map_err(pg::map_error)?;
    let row = client.query_one(FIND_VERSION, &[]).await.map_err(pg::map_error)?;
    let found = row.try_get(0).map_err(pg::map_error)?;
    for migration in pending(found)? {
        let transaction = client.transaction().await.map_err(pg::map_error)?;
        transaction.batch_execute(migration.postgres).await.map_err(pg::map_error)?;
        let record: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&migration.version, &migration.name];
        transaction.execute(RECORD, &record).await.map_err(pg::map_error)?;
        transaction.commit().await.map_err(pg::map_error)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is to be done is judged by the highest number, so that a gap would never be filled.
    #[test]
    fn migrations_are_numbered_without_gaps() {
        let versions: Vec<_> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..).take(versions.len()).collect::<Vec<i64>>());
    }
}
