//! The router in process, with a fixed clock, seeded randomness and a fresh SQLite database: one
//! binary, one module per part, one test per attack or promise.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests assert by panicking"
)]
#![expect(unreachable_pub, reason = "the harness is one module of one binary")]

mod app_settings;
mod forms;
mod harness;
mod proofs;

mod account;
mod audit;
mod authorize;
mod client_auth;
mod connected;
mod consent;
mod control;
mod devices;
mod dialects;
mod discovery;
mod fixtures;
mod hand_off;
mod import;
mod introspect;
mod mails;
mod my_apps;
mod partner_key_life;
mod partner_keys;
mod passkeys;
mod refresh;
mod review;
mod review_policy;
mod revoke;
mod routes;
mod second_factors;
mod shown_codes;
mod sign_in;
mod sign_up;
mod step_up;
mod token;
