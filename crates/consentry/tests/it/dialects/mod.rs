//! Dialects over the wire: every request and answer pair of the facts about Bitport and WhiteBIT,
//! what one dialect keeps from leaking into another, and one that was written without any Rust.

mod acme;
mod bitport;
mod cases;
mod clients;
mod leaks;
pub(crate) mod seen;
mod whitebit;
