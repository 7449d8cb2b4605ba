//! The gateway as a whole: real sockets on both sides, rows in memory.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in what its helpers do"
)]

mod authentication;
mod authority;
mod cors;
mod forward_auth;
mod forwarding;
mod identity;
mod limits;
mod matching;
mod overload;
mod request_log;
mod signed;
mod smuggling;
mod streams;
mod upstream;
mod websocket;
mod world;
