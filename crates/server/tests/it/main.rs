//! The router in process, with a fixed clock, seeded randomness and a fresh SQLite database: one
//! binary, one module per part, one test per attack or promise.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests assert by panicking"
)]
#![expect(unreachable_pub, reason = "the harness is one module of one binary")]

mod fixtures;
mod harness;

mod authorize;
mod client_auth;
mod consent;
mod discovery;
mod introspect;
mod refresh;
mod revoke;
mod token;
