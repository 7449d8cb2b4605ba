//! The phases of a call, one file each, in the order in which [`crate::pass`] lists them.

pub(crate) mod account;
pub(crate) mod authenticate;
pub(crate) mod authorize;
pub(crate) mod forward;
pub(crate) mod limit;
pub(crate) mod matching;
pub(crate) mod signed;
