//! What staff do with apps: look at them, let them in, stop them.

mod answers;
pub mod assign;
pub mod audit_log;
mod candidate;
pub mod csv;
pub mod flags;
mod history;
pub mod jobs;
pub mod messages;
pub mod plan_requests;
pub mod queue;
pub mod staff_apps;
pub(crate) mod terms;
pub(crate) mod verdict;
