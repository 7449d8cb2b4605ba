//! The store on a real database: every test runs on SQLite, and with the feature `full-tests` on
//! PostgreSQL too.

mod audit;
mod disk;
mod keys;
mod live;
mod opening;
mod refusals;
mod rows;
mod schema;
mod support;
mod transactions;

#[cfg(feature = "full-tests")]
mod cluster;
