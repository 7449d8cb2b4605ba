//! The router in process, with a fixed clock, seeded randomness and a fresh SQLite database: one
//! binary, one module per part, one test per attack or promise.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests assert by panicking"
)]
#![expect(unreachable_pub, reason = "the harness is one module of one binary")]

mod admin;
mod app_settings;
mod forms;
mod harness;
mod proofs;

mod account;
mod admin_api;
mod admin_commands;
mod admin_conventions;
mod audit;
mod authorize;
mod client_auth;
mod connected;
mod consent;
mod credentials;
mod developer_docs;
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
mod plans;
mod refresh;
mod registration;
mod requests;
mod review;
mod review_policy;
mod revoke;
mod routes;
mod second_factors;
mod shown_codes;
mod sign_in;
mod sign_up;
mod step_up;
mod teams;
mod test_mode;
mod token;
mod transfer;
mod try_it;
mod webhooks;
