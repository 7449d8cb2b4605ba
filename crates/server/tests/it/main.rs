//! The router in process, with a fixed clock, seeded randomness and a fresh SQLite database: one
//! binary, one module per part, one test per attack or promise.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests assert by panicking")]

mod forms;
mod harness;

mod authorize;
mod connected;
mod consent;
mod control;
mod discovery;
mod introspect;
mod my_apps;
mod review;
mod revoke;
mod routes;
mod sign_in;
mod token;
