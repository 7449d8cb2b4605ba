//! Fresh databases for tests: SQLite in a temporary folder, or a schema of its own in the
//! PostgreSQL database that `CONSENTRY_TEST_DATABASE_URL` names. Never in the product.

use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use crate::Db;

/// The environment variable with the address of a PostgreSQL database that tests may fill.
pub const DATABASE_URL: &str = "CONSENTRY_TEST_DATABASE_URL";

/// An empty database of one test's own. It goes with this value (a schema in PostgreSQL stays until
/// the throw-away cluster goes).
#[derive(Debug)]
pub struct TestDb {
    pub url: String,
    dir: Option<TempDir>,
    schema: Option<String>,
}

impl TestDb {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", dir.path().join("test.db").display());
        Self { url, dir: Some(dir), schema: None }
    }

    /// Fails, never skips, when the variable is not set.
    pub async fn postgres() -> Self {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        #[expect(clippy::disallowed_methods, reason = "a test's set-up comes from its environment")]
        let base = std::env::var(DATABASE_URL)
            .unwrap_or_else(|_| panic!("set {DATABASE_URL} to run the tests on PostgreSQL"));
        let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
        let schema = format!("test_{}_{number}", std::process::id());
        let (client, connection) = connect(&base).await;
        // Process ids come back: what an earlier run left is dropped.
        let create = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}");
        client.batch_execute(&create).await.expect("a schema can be created");
        drop(client);
        connection.await.expect("the connection ends").expect("the connection ends well");
        let separator = if base.contains('?') { '&' } else { '?' };
        let url = format!(
            "{base}{separator}application_name={schema}&options=-c%20search_path%3D{schema}"
        );
        Self { url, dir: None, schema: Some(schema) }
    }

    /// End every connection that uses this database, as a restart of the server would.
    pub async fn drop_connections(&self) {
        let schema = self.schema.as_deref().expect("only PostgreSQL has connections");
        let (client, connection) = connect(&self.url).await;
        // Connections of other tests have other names.
        let sql = "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a \
             WHERE a.pid <> pg_backend_pid() AND a.application_name = $1";
        client.execute(sql, &[&schema]).await.expect("connections can be ended");
        drop(client);
        connection.await.expect("the connection ends").expect("the connection ends well");
    }

    pub async fn open(&self) -> Db {
        Db::open(&self.url).await.expect("a fresh database opens")
    }

    /// Where the SQLite file is.
    pub fn path(&self) -> Option<std::path::PathBuf> {
        self.dir.as_ref().map(|dir| dir.path().join("test.db"))
    }
}

async fn connect(url: &str) -> (Client, JoinHandle<Result<(), tokio_postgres::Error>>) {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    (client, tokio::spawn(connection))
}

/// Run an async test on SQLite and, with the feature `full-tests` of the crate that uses the macro,
/// on PostgreSQL: `on_both! { async fn a_thing_is_so(database: TestDb) { … } }`.
#[macro_export]
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($database:ident: $kind:ty) $body:block)*) => {$(
        $(#[$meta])*
        async fn $name($database: $kind) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$name($crate::testing::TestDb::sqlite()).await;
            }

            #[cfg(feature = "full-tests")]
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                super::$name($crate::testing::TestDb::postgres().await).await;
            }
        }
    )*};
}
