//! The pages: data of each view and the words they use.

pub mod views;
pub mod words;
