//! Messages: what waits, what was given up, and a test of the settings. Texts and links are not
//! shown: they are for the reader of the message.

use axum::Json;
use axum::extract::State;
use domain::audit::AuditKind;
use domain::mail::{Mail, MailKind};
use domain::user::is_email_address;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::mails::{self, QueuedMail};
use store::{Tx, audit};

use super::actor::Admin;
use super::body::{Asks, Body};
use super::page::{Asked, query};
use super::problem::Problem;
use super::schema::wire;
use super::{rfc3339, write};
use crate::provider::Shared;

wire! {
    /// A message that waits or was given up.
    #[derive(Clone, Debug, Serialize)]
    pub struct MailRecord {
        /// Its number.
        pub id: i64,
        /// What it tells.
        pub kind: &'static str,
        /// To which address.
        pub to: String,
        /// When it was queued.
        pub created_at: String,
        /// How often it was handed on.
        pub attempts: u64,
        /// When it is tried next; `null`: it was given up.
        pub next_attempt_at: Option<String>,
        /// What the mail server said last.
        pub last_error: Option<String>,
    }

    /// A page of messages.
    #[derive(Clone, Debug, Serialize)]
    pub struct MailPage {
        /// `false`: the config has no `[mail]`, and messages wait until they are not worth sending.
        pub sends_mail: bool,
        /// The messages, newest first.
        pub items: Vec<MailRecord>,
        /// Send it as `cursor` for the next page. Absent: this is the last one.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub next_cursor: Option<String>,
    }

    /// A test of the mail settings.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct TestMail {
        /// Where to send it.
        pub to: String,
    }

    /// Which messages.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct MailQuery {
        /// Messages on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }
}

query!(MailQuery);

pub async fn list(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<MailQuery>,
) -> Result<Json<MailPage>, Problem> {
    let asked: Asked<i64> = Asked::of(&provider, "mails", &query)?;
    let (before, fetch) = (asked.after.unwrap_or(i64::MAX), asked.fetch);
    let read =
        async move |tx: &mut Tx<'_>| Ok::<_, Problem>(mails::list_page(tx, before, fetch).await?);
    let found = provider.store.db.read_long(read).await?;
    let Json(page) = asked.page(&provider, found, |mail| mail.id, record)?;
    let sends_mail = provider.policy().accounts.sends_mail;
    Ok(Json(MailPage { sends_mail, items: page.items, next_cursor: page.next_cursor }))
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

/// Queue a message that only says that it has arrived.
pub async fn test(
    State(provider): State<Shared>,
    admin: Admin,
    Body(TestMail { to }): Body<TestMail>,
) -> Result<StatusCode, Problem> {
    if !is_email_address(&to) {
        return Err(Problem::one_invalid("to", "that is not an e-mail address"));
    }
    if !provider.policy().accounts.sends_mail {
        return Err(Problem::conflict("the config has no [mail], so nothing is sent"));
    }
    let now = provider.now();
    let event = admin.event(now, AuditKind::MailTested, json!({ "to": to }));
    let mail = Mail::to_address(to, None, MailKind::Test, now);
    let work = async move |tx: &mut Tx<'_>| {
        mails::queue(tx, &mail).await?;
        audit::record(tx, &event).await?;
        Ok(())
    };
    write(&provider, work).await?;
    Ok(StatusCode::ACCEPTED)
}
