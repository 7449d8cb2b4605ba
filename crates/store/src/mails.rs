//! Table `mails`: messages that wait to be sent. Whoever has something to tell queues it in the
//! transaction of the cause; a job claims what is due, hands it on and deletes it. What the words
//! are and when to try again is not decided here.

use std::time::Duration;

use domain::id::UserId;
use domain::mail::{Mail, MailKind, MailTo};
use domain::time::Timestamp;

use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind};

/// A message as it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMail {
    pub id: i64,
    /// `None`: for an address, whoever reads it.
    pub user_id: Option<UserId>,
    pub address: String,
    pub locale: Option<String>,
    pub kind: MailKind,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// So often it was handed on, the running attempt included.
    pub attempts: u64,
    /// `None`: it was given up.
    pub next_attempt_at: Option<Timestamp>,
    pub last_error: Option<String>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, address, locale, data, created_at, expires_at, attempts, \
             next_attempt_at, last_error FROM mails ",
            $rest
        )
    };
}

/// Let a message be sent once this transaction has committed. To a user: at the address that the
/// account has now; an account that is gone is told nothing.
pub async fn queue(tx: &mut Tx<'_>, mail: &Mail) -> Result<(), DbError> {
    let data = serde_json::to_string(&mail.kind).map_err(DbError::bug)?;
    let (kind, created_at, expires_at) = (mail.kind.name(), mail.created_at, mail.expires_at());
    match &mail.to {
        MailTo::User(user) => {
            tx.execute(
                "INSERT INTO mails (user_id, address, locale, kind, data, created_at, expires_at, \
                 attempts, next_attempt_at) SELECT id, email, locale, $2, $3, \
                 CAST($4 AS BIGINT), CAST($5 AS BIGINT), 0, CAST($4 AS BIGINT) \
                 FROM users WHERE id = $1",
                bind![*user, kind, data, created_at, expires_at],
            )
            .await?;
        }
        MailTo::Address { address, locale } => {
            tx.execute(
                "INSERT INTO mails (address, locale, kind, data, created_at, expires_at, \
                 attempts, next_attempt_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $5)",
                bind![address, locale.as_ref(), kind, data, created_at, expires_at],
            )
            .await?;
        }
    }
    Ok(())
}

pub async fn is_any_due(tx: &mut Tx<'_>, now: Timestamp) -> Result<bool, DbError> {
    let due = "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT id FROM mails \
         WHERE next_attempt_at <= $1 AND expires_at > $1 LIMIT 1) AS due";
    tx.query_one(due, bind![now]).await?.take()
}

/// Take at most `limit` messages that are due, oldest first. Nobody else gets them within `lease`:
/// a node that breaks off meanwhile leaves them to be tried again.
pub async fn claim_due(
    tx: &mut Tx<'_>,
    now: Timestamp,
    lease: Duration,
    limit: i64,
) -> Result<Vec<QueuedMail>, DbError> {
    let due = select!(
        "WHERE next_attempt_at <= $1 AND expires_at > $1 ORDER BY next_attempt_at, id LIMIT $2"
    );
    let rows = tx.query_all(due, bind![now, limit]).await?;
    let mut claimed = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for mail in &mut claimed {
        mail.attempts = mail.attempts.saturating_add(1);
        mail.next_attempt_at = Some(now.after(lease));
        tx.execute(
            "UPDATE mails SET attempts = attempts + 1, next_attempt_at = $2 WHERE id = $1",
            bind![mail.id, now.after(lease)],
        )
        .await?;
    }
    Ok(claimed)
}

/// It was sent, or there is nothing to send after all.
pub async fn delete(tx: &mut Tx<'_>, id: i64) -> Result<(), DbError> {
    tx.execute("DELETE FROM mails WHERE id = $1", bind![id]).await?;
    Ok(())
}

/// An attempt failed. `next_attempt_at`: `None` gives the message up.
pub async fn save_failure(
    tx: &mut Tx<'_>,
    id: i64,
    next_attempt_at: Option<Timestamp>,
    error: &str,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE mails SET next_attempt_at = $2, last_error = $3 WHERE id = $1",
        bind![id, next_attempt_at, error],
    )
    .await?;
    Ok(())
}

/// What waits and what was given up, newest first.
pub async fn list(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<QueuedMail>, DbError> {
    let rows = tx.query_all(select!("ORDER BY id DESC LIMIT $1"), bind![limit]).await?;
    rows.into_iter().map(read).collect()
}

/// As [`list`], those before the id `before`.
pub async fn list_page(
    tx: &mut Tx<'_>,
    before: i64,
    limit: i64,
) -> Result<Vec<QueuedMail>, DbError> {
    let sql = select!("WHERE id < $1 ORDER BY id DESC LIMIT $2");
    let rows = tx.query_all(sql, bind![before, limit]).await?;
    rows.into_iter().map(read).collect()
}

/// Delete at most `limit` that are not worth sending any more.
pub async fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM mails WHERE id IN \
         (SELECT id FROM mails WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        bind![now, limit],
    )
    .await
}

fn read(mut row: Row) -> Result<QueuedMail, DbError> {
    Ok(QueuedMail {
        id: row.take()?,
        user_id: row.take()?,
        address: row.take()?,
        locale: row.take()?,
        kind: serde_json::from_str(&row.take::<String>()?).map_err(|_| unreadable("message"))?,
        created_at: row.take()?,
        expires_at: row.take()?,
        attempts: row.take()?,
        next_attempt_at: row.take()?,
        last_error: row.take()?,
    })
}
