//! What staff do with apps: look at them, let them in, stop them.

pub mod flags;
pub mod look_alike;
pub mod queue;
pub mod staff_apps;
