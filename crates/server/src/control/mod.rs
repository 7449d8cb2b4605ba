//! JSON for the command line over the Unix socket, and health for the internal listener. Whoever
//! can open the socket is the operator; browsers and apps cannot.

pub mod apps;
pub mod audit;
pub mod error;
pub mod health;
pub mod import;
pub mod keys;
pub mod mails;
pub mod operator;
pub mod plans;
pub mod users;

pub use error::ControlError;
pub use operator::Operator;

use domain::time::Timestamp;

/// `2026-04-02T09:00:00Z`
fn rfc3339(at: Timestamp) -> String {
    crate::display::iso(at)
}
