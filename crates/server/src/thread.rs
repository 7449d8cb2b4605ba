//! What a developer and staff write to each other about an app. Developers see that staff wrote,
//! not who; staff see names.

use domain::app_message::{AppMessage, MESSAGES_PER_DAY_MAX};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::AppId;
use domain::time::Timestamp;
use serde_json::json;
use store::{DbError, Tx, app_messages, apps, audit};

use crate::display;
use crate::error::PageError;
use crate::pages::views::ThreadMessage;

/// Messages on a page; older ones stay in the database.
const SHOWN_MAX: u32 = 100;
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

pub async fn load(
    tx: &mut Tx<'_>,
    app: AppId,
    now: Timestamp,
) -> Result<Vec<ThreadMessage>, DbError> {
    let messages = app_messages::list_of_app(tx, app, SHOWN_MAX).await?;
    let shown = |(message, author): (AppMessage, String)| ThreadMessage {
        by_staff: message.by_staff,
        author,
        at: display::moment(now, message.written_at),
        text: message.text,
    };
    Ok(messages.into_iter().map(shown).collect())
}

/// Add a message. What a developer writes waits for an answer; what staff write is one.
pub async fn write(tx: &mut Tx<'_>, message: &AppMessage) -> Result<(), PageError> {
    write_by(tx, message, |event| event).await
}

/// The same, where `sign` says in the audit trail who it was.
pub async fn write_by(
    tx: &mut Tx<'_>,
    message: &AppMessage,
    sign: impl Fn(AuditEvent) -> AuditEvent,
) -> Result<(), PageError> {
    let (app, now) = (message.app_id, message.written_at);
    if !message.by_staff {
        let written = app_messages::count_of_developer(tx, app, now.before(DAY)).await?;
        if written >= MESSAGES_PER_DAY_MAX {
            let text = "That is a lot of messages for a day. Write again tomorrow.";
            return Err(PageError::Conflict(text.into()));
        }
    }
    app_messages::insert(tx, message).await?;
    apps::save_question(tx, app, (!message.by_staff).then_some(now)).await?;
    let actor = AuditActor::User(message.author_id);
    let event = AuditEvent::new(now, AuditKind::AppMessageSent, actor)
        .app(app)
        .detail(json!({ "message": message.id, "by_staff": message.by_staff }));
    audit::record(tx, &sign(event)).await?;
    Ok(())
}
