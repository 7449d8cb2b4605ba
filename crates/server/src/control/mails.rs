//! Messages for the command line: what waits, what was given up, and a test of the settings. Texts
//! and links are not shown: they are for the reader of the message.

use axum::Json;
use axum::extract::State;
use domain::mail::{Mail, MailKind};
use domain::user::is_email_address;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::mails::{self, QueuedMail};
use store::{DbError, Tx};

use super::error::{Body, ControlError};
use super::rfc3339;
use crate::provider::Shared;

const LISTED_MAX: i64 = 1000;

#[derive(Clone, Debug, Serialize)]
pub struct MailRecord {
    pub id: i64,
    pub kind: &'static str,
    pub to: String,
    pub created_at: String,
    pub attempts: u64,
    /// `None`: it was given up.
    pub next_attempt_at: Option<String>,
    pub last_error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct MailList {
    /// Without it messages wait until they are not worth sending any more.
    pub sends_mail: bool,
    pub mails: Vec<MailRecord>,
}

pub async fn list(State(provider): State<Shared>) -> Result<Json<MailList>, ControlError> {
    let read = async move |tx: &mut Tx<'_>| mails::list(tx, LISTED_MAX).await;
    let found: Vec<QueuedMail> = provider.store.db.read_long(read).await?;
    let sends_mail = provider.policy().accounts.sends_mail;
    Ok(Json(MailList { sends_mail, mails: found.into_iter().map(record).collect() }))
}

fn record(mail: QueuedMail) -> MailRecord {
    MailRecord {
        id: mail.id,
        kind: mail.kind.name(),
        to: mail.address,
        created_at: rfc3339(mail.created_at),
        attempts: mail.attempts,
        next_attempt_at: mail.next_attempt_at.map(rfc3339),
        last_error: mail.last_error,
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestMail {
    pub to: String,
}

/// Queue a message that only says that it has arrived.
pub async fn test(
    State(provider): State<Shared>,
    Body(TestMail { to }): Body<TestMail>,
) -> Result<StatusCode, ControlError> {
    if !is_email_address(&to) {
        return Err(ControlError::Invalid("to: that is not an e-mail address".to_owned()));
    }
    if !provider.policy().accounts.sends_mail {
        let text = "the config has no [mail], so nothing is sent";
        return Err(ControlError::Conflict(text.to_owned()));
    }
    let mail = Mail::to_address(to, None, MailKind::Test, provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        mails::queue(tx, &mail).await?;
        Ok::<_, DbError>(())
    };
    provider.store.db.write(write).await?;
    Ok(StatusCode::ACCEPTED)
}
