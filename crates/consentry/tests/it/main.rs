//! The product as its users meet it: `consentry demo` as a process, people with browsers, apps with
//! their credentials. One binary, so that it links once.
//!
//! What needs only SQLite and this binary runs under plain `cargo test`. What needs PostgreSQL, a
//! browser, strace or client libraries of other languages is behind the feature `full-tests`,
//! which `cargo xtask test` turns on after it has installed them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests assert by panicking"
)]

mod accounts;
mod admin;
mod attacks_open;
mod audit_trail;
#[cfg(feature = "full-tests")]
mod browser;
#[cfg(feature = "full-tests")]
mod clients;
mod devices;
mod dialects;
mod durability;
mod fuzz;
mod import;
mod mails;
#[cfg(feature = "full-tests")]
mod nodes;
mod observed;
mod overload;
#[cfg(feature = "full-tests")]
mod pages;
mod partner_keys;
mod phone;
mod portal;
#[cfg(feature = "full-tests")]
mod portal_journey;
mod practice;
mod refresh;
mod revocation;
mod second_factors;
mod served;
mod serving;
mod sign_in_hand_off;
mod signed_requests;
#[cfg(feature = "full-tests")]
mod snippets;
mod try_it;
mod upstream;
mod use_cases;
mod webhooks;

/// The program under test.
const BINARY: &str = env!("CARGO_BIN_EXE_consentry");
