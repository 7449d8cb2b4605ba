//! The router in process, with a fixed clock, seeded randomness and a fresh SQLite database: one
//! binary, one module per part, one test per attack or promise.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests assert by panicking")]

mod harness;

mod authorize;
mod consent;
mod discovery;
mod introspect;
mod revoke;
mod token;
