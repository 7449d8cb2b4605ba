//! What developers and staff write to each other about an app. Developers see that staff wrote, not
//! who.

use axum::Json;
use axum::extract::{Path, State};
use domain::app_message::{AppMessage, text_error};
use domain::id::AppMessageId;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Tx, app_messages};

use super::actor::Admin;
use super::apps::{location, named};
use super::body::{Asks, Body};
use super::page::{Asked, Page, query};
use super::problem::Problem;
use super::schema::wire;
use super::version::{Created, Versioned};
use super::{rfc3339, write};
use crate::provider::Shared;
use crate::thread;

wire! {
    /// A message to the developer of an app.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewMessage {
        /// What it says.
        pub text: String,
        /// Over the socket: the e-mail address of the member of staff who writes.
        pub by: Option<String>,
    }

    /// A message.
    #[derive(Clone, Debug, Serialize)]
    pub struct MessageRecord {
        /// What it is called.
        pub id: AppMessageId,
        /// By staff, or by the developer.
        pub by_staff: bool,
        /// Who wrote it.
        pub author: String,
        /// When.
        pub written_at: String,
        /// What it says.
        pub text: String,
    }

    /// Which messages.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct MessageQuery {
        /// Messages on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }
}

query!(MessageQuery);

impl Versioned for MessageRecord {}

pub async fn list(
    State(provider): State<Shared>,
    _: Admin,
    Path(client_id): Path<String>,
    Asks(query): Asks<MessageQuery>,
) -> Result<Json<Page<MessageRecord>>, Problem> {
    let name = format!("messages of {client_id}");
    let asked: Asked<(i64, String)> = Asked::of(&provider, &name, &query)?;
    let (at, id) = asked.after.clone().unwrap_or((i64::MAX, String::new()));
    let fetch = asked.fetch;
    let read = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        let before = (Timestamp::from_millis(at), id.as_str());
        Ok::<_, Problem>(app_messages::list_page_of_app(tx, app.id, before, fetch).await?)
    };
    let found = provider.store.db.read(read).await?;
    let place = |(message, _): &(AppMessage, String)| {
        (message.written_at.as_millis(), message.id.to_string())
    };
    asked.page(&provider, found, place, |(message, author)| record(message, author))
}

pub async fn send(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
    Body(new): Body<NewMessage>,
) -> Result<Created<MessageRecord>, Problem> {
    let text = new.text.trim().replace("\r\n", "\n");
    if let Some(error) = text_error(&text) {
        return Err(Problem::one_invalid("text", error));
    }
    let (id, now) = (AppMessageId::random(&*provider.entropy), provider.now());
    let name = client_id.clone();
    let work = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        let author = admin.staff(tx, new.by.as_deref()).await?;
        let message = AppMessage {
            id,
            app_id: app.id,
            author_id: author.id,
            by_staff: true,
            text: text.clone(),
            written_at: now,
        };
        thread::write_by(tx, &message, |event| admin.sign(event)).await?;
        Ok(record(message, author.name))
    };
    let sent = write(&provider, work).await?;
    Ok(Created(format!("{}/messages", location("apps", &name)), sent))
}

fn record(message: AppMessage, author: String) -> MessageRecord {
    MessageRecord {
        id: message.id,
        by_staff: message.by_staff,
        author,
        written_at: rfc3339(message.written_at),
        text: message.text,
    }
}
