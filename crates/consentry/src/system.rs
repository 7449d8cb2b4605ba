//! The real clock and the real randomness. Everything else takes them as parameters.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::entropy::Entropy;
use domain::time::{Clock, Timestamp};

/// The machine's clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where time enters")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness.
#[derive(Debug)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place where randomness enters")]
    fn fill(&self, out: &mut [u8]) {
        // A machine without randomness must not hand out guessable secrets.
        if aws_lc_rs::rand::fill(out).is_err() {
            std::process::abort();
        }
    }
}
