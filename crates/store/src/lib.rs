//! What is remembered, and the only crate of the product that knows a database driver. One SQL text
//! runs on SQLite and on PostgreSQL ([`Db`], [`Tx`]); each table has a file with one function per
//! statement.

mod cache;
mod db;
mod error;
mod facade;
mod feed;
mod lease;
mod live;
mod migrate;
mod postgres;
mod requests;
mod sets;
mod signed;
mod sqlite;
mod stats;
mod tx;
mod value;

pub mod admin_tokens;
pub mod app_counts;
pub mod app_logos;
pub mod app_messages;
pub mod apps;
pub mod audit;
pub mod changes;
pub mod client_secrets;
pub mod consents;
pub mod grants;
pub mod idempotent_answers;
pub mod identities;
pub mod keys;
pub mod mails;
pub mod nodes;
pub mod nonces;
pub mod partner_keys;
pub mod plan_requests;
pub mod policy_seen;
pub mod request_log;
pub mod revoked_tokens;
pub mod second_factors;
pub mod sessions;
pub mod suspension_notices;
pub mod teams;
#[cfg(feature = "testing")]
#[expect(clippy::expect_used, clippy::panic, reason = "set-up of tests asserts by panicking")]
pub mod testing;
pub mod throttles;
pub mod transfers;
pub mod usage;
pub mod used_once;
pub mod user_codes;
pub mod users;
pub mod webhooks;

pub use db::Db;
pub use error::DbError;
pub use facade::{Store, StoreConfig};
pub use live::{Client, CodeRows, Tuning};
pub use sqlite::lock_exclusively;
pub use stats::{BATCH_BOUNDS, CacheStats, LeaseStats, PoolStats, Stats, WriterStats};
pub use tx::Tx;
pub use value::{Column, FromColumn, Row, Value};
