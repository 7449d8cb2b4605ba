//! What staff do with apps: look at them, let them in, stop them.

mod candidate;
pub mod flags;
pub mod messages;
pub mod plan_requests;
pub mod queue;
pub mod staff_apps;
pub(crate) mod verdict;
