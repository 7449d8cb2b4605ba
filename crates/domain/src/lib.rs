//! What things are and what they may do: apps, users, consents, grants and the sealed tokens that
//! point to them. Pure: the clock and randomness are parameters, nothing here reads or writes.
//! What a token may do right now is decided in [`access`], what a refresh yields in [`grant`].

pub mod access;
pub mod app;
pub mod app_message;
pub mod audit;
pub mod audit_chain;
pub mod authentication;
pub mod authority;
pub mod authorization;
pub mod change;
pub mod condition;
pub mod consent;
pub mod entropy;
pub mod foreign_hash;
pub mod grant;
pub mod id;
pub mod issuance;
pub mod key_access;
pub mod key_terms;
pub mod keyring;
pub mod mail;
pub mod mail_link;
pub mod nonce;
pub mod pace;
pub mod partner_key;
pub mod password;
pub mod policy;
pub mod policy_summary;
pub mod redemption;
pub mod request_id;
pub mod review;
pub mod revision;
pub mod seal;
pub mod second_factor;
pub mod session;
pub mod sign_in;
pub mod throttle;
pub mod time;
pub mod token;
pub mod usage;
pub mod user;
pub mod user_code;
