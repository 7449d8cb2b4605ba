//! My applications: what developers do with the apps they registered.

pub mod app_view;
pub mod apps;
pub mod changes;
mod checklist;
pub mod danger;
pub mod form;
pub mod frame;
pub mod key_set;
pub mod logos;
pub mod messages;
pub mod my_apps;
pub mod preview;
pub mod reasons;
pub mod register;
pub mod registration;
pub mod requests;
pub mod secrets;
pub mod team_members;
pub mod teams;
pub mod transfers;
pub mod try_it;
pub mod usage;
pub mod wake;
mod webhook_form;
pub mod webhooks;
