//! Actors and parts for tests: a demo as a process, a person with a browser, an app with its
//! credentials, a clock and randomness under control. A dev-dependency only.

pub mod app;
pub mod browser;
pub mod clock;
pub mod demo;
pub mod html;
pub mod identity_provider;
pub mod mailbox;
pub mod passkey;
pub mod smtp;

pub use app::{TestApp, Tokens};
pub use browser::{Browser, Page};
pub use clock::{ManualClock, SeededEntropy};
pub use demo::{Demo, DemoProvider};
pub use identity_provider::IdentityProvider;
pub use mailbox::Mailbox;
