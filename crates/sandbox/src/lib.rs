//! Two practice APIs to stand behind the gateway: `exchange` (WhiteBIT-shaped) and `drive`
//! (Bitport-shaped). They are examples of an upstream: each has its own SQLite file, and all that
//! they know of Consentry is how to check the signed assertion that the gateway adds to a call.

use std::sync::Arc;

pub mod assertion;
pub mod drive;
pub mod exchange;
mod jwks;
mod routes;
mod storage;
#[cfg(test)]
mod tests;

pub use storage::StorageError;

/// The present moment in milliseconds since the Unix epoch, given by whoever starts the API.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;
