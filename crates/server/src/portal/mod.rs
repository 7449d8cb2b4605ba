//! My applications: what developers do with the apps they registered.

pub mod app_view;
pub mod apps;
pub mod changes;
pub mod form;
pub mod frame;
pub mod messages;
pub mod registration;
pub mod secrets;
pub mod wake;
