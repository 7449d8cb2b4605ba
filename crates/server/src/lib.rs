//! HTTP for people and apps: the OAuth endpoints, sign-in and consent, connected apps, the
//! developers' applications, review. Handlers parse, ask `domain` for a decision, write once and
//! render; nothing here decides what a grant may do, and no SQL appears.

pub mod account;
pub mod actor;
pub mod address;
pub mod admin;
pub mod app_news;
pub mod browsers;
pub mod cookie;
pub mod csrf;
pub mod csv;
pub mod dialect;
pub mod display;
pub mod docs;
pub mod error;
pub mod flash;
pub mod foreign_hash;
pub mod form;
pub mod headers;
pub mod health;
pub mod known_passwords;
mod logo;
pub mod mail;
mod multipart;
pub mod new_password;
pub mod noted;
pub mod oauth;
pub mod outbound;
pub mod pages;
pub mod passwords;
pub mod plans;
pub mod portal;
pub mod provider;
pub mod review;
pub mod thread;
pub mod user_codes;
pub mod view;
pub mod webhooks;

mod routes;

pub use address::ClientAddress;
pub use admin::router as admin_router;
pub use error::RequestId;
pub use noted::{Answered, Noted};
pub use provider::{Provider, Shared};
pub use routes::{health_router, router};
