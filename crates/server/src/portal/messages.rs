//! What a developer writes to staff about an app, and sending it to them again.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::app_message::{AppMessage, text_error};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::AppMessageId;
use protocol::params::{Duplicate, Params};
use store::{Tx, apps, audit, changes};

use super::app_view::Typed;
use super::apps::{owned, show_again};
use crate::actor::{AppOwner, SignedForm};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::Done;
use crate::pages::views::{AppTab, MessageForm};
use crate::provider::{Provider, Shared};
use crate::{app_news, thread};

/// What was typed into a form with one message.
pub(crate) fn read(params: &Params) -> Result<MessageForm, Duplicate> {
    let text = params.one("message")?.unwrap_or_default().trim().replace("\r\n", "\n");
    Ok(MessageForm { error: text_error(&text).map(str::to_owned), text })
}

pub async fn send(
    State(provider): State<Shared>,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let message = read(&form.params)?;
    if message.error.is_some() {
        let typed = Typed { tab: AppTab::Messages, message, ..Typed::default() };
        return show_again(&provider, owner, typed).await;
    }
    let (id, message) = (owner.app.id, of_developer(&provider, &owner, message.text));
    let policy = provider.policy();
    let write = async move |tx: &mut Tx<'_>| {
        let app = owned(tx, id, message.author_id).await?;
        thread::write(tx, &message).await?;
        let staff = &policy.review_mail;
        Ok::<_, PageError>(app_news::developer_wrote(tx, &app, staff, message.written_at).await?)
    };
    provider.store.db.write(write).await?;
    Ok(Done::MessageSent.redirect(&AppTab::Messages.path(&id.to_string())).into_response())
}

/// Staff asked for changes, and the developer answers that there are none to make.
pub async fn send_again(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let message = read(&form.params)?;
    if message.error.is_some() {
        return show_again(&provider, owner, Typed { message, ..Typed::default() }).await;
    }
    let (id, message) = (owner.app.id, of_developer(&provider, &owner, message.text));
    let (actor, policy) = (AuditActor::User(message.author_id), provider.policy());
    let event = AuditEvent::new(message.written_at, AuditKind::AppSentAgain, actor)
        .app(id)
        .address(address);
    let write = async move |tx: &mut Tx<'_>| {
        let app = owned(tx, id, message.author_id).await?;
        let app = match app.send_again(message.written_at) {
            Ok(app) => app,
            Err(error) => return Ok(Err(PageError::Conflict(error.to_string().into()))),
        };
        apps::save(tx, &app).await?;
        thread::write(tx, &message).await?;
        // An answer is read with the app that waits; it is no question beside it.
        apps::save_question(tx, id, None).await?;
        changes::record(tx, Change::App(id)).await?;
        audit::record(tx, &event).await?;
        app_news::submitted(tx, &app, &policy.review_mail, message.written_at).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::SentAgain.redirect(&AppTab::Messages.path(&id.to_string())).into_response())
}

fn of_developer(provider: &Provider, owner: &AppOwner, text: String) -> AppMessage {
    AppMessage {
        id: AppMessageId::random(&*provider.entropy),
        app_id: owner.app.id,
        author_id: owner.user.user.id,
        by_staff: false,
        text,
        written_at: provider.now(),
    }
}
