//! The store on a real database: every test runs on SQLite, and with the feature `full-tests` on
//! PostgreSQL too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests assert by panicking"
)]

mod admin;
mod audit;
mod disk;
mod grants;
mod identities;
mod keys;
mod live;
mod mails;
mod opening;
mod pages;
mod partner_keys;
mod refusals;
mod requests;
mod rows;
mod schema;
mod second_factors;
mod signed;
mod support;
mod teams;
mod transactions;
mod user_codes;
mod webhooks;

#[cfg(feature = "full-tests")]
mod cluster;
