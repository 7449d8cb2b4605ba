//! Rates as configuration says them.

use std::time::Duration;

/// `requests` per `period`, with bursts of as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub requests: u32,
    pub period: Duration,
}
