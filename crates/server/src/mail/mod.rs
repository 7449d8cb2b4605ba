//! Messages to people. [`words`] makes a letter out of what is to be told, in the reader's
//! language; `office` takes what waits in the database and hands it on. Who carries letters is a
//! parameter (`domain::mail::Post`).

mod office;
mod samples;
pub mod words;

pub use office::{MailStats, deliver_due};
pub use words::{Mails, MailsError};
