//! The thread of one app as staff see it: what its developer wrote, and the answer.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use domain::app_message::AppMessage;
use domain::id::{AppId, AppMessageId};
use store::{Tx, apps};

use super::answers;
use crate::actor::{Reviewer, SignedForm, SignedInUser};
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{MessageForm, Section, StaffThread};
use crate::portal::messages::read;
use crate::provider::{Provider, Shared};
use crate::{app_news, display, thread, view};

pub async fn show(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let mut page = load(&provider, &user, parse(&id)?).await?;
    page.layout = page.layout.with_flash(flash);
    view::page(&provider, &page)
}

pub async fn send(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id = parse(&id)?;
    let message = read(&form.params)?;
    let inserted = answers::inserted(&provider.policy().review, &form.params, &message.text)?;
    if let Some(text) = inserted {
        let page = load(&provider, &user, id).await?;
        let message = MessageForm { text, error: None };
        return view::page(&provider, &StaffThread { message, ..page });
    }
    if message.error.is_some() {
        let page = load(&provider, &user, id).await?;
        return view::page_again(&provider, &StaffThread { message, ..page });
    }
    let message = of_staff(&provider, &user, id, message.text);
    let write = async move |tx: &mut Tx<'_>| {
        let Some(app) = apps::find(tx, id).await? else { return Ok(Err(PageError::NotFound)) };
        thread::write(tx, &message).await?;
        app_news::staff_wrote(tx, &app, message.written_at).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::MessageSent.redirect(&format!("/staff/apps/{id}/messages")).into_response())
}

pub(super) fn of_staff(
    provider: &Provider,
    user: &SignedInUser,
    app_id: AppId,
    text: String,
) -> AppMessage {
    AppMessage {
        id: AppMessageId::random(&*provider.entropy),
        app_id,
        author_id: user.user.id,
        by_staff: true,
        text,
        written_at: provider.now(),
    }
}

async fn load(
    provider: &Provider,
    user: &SignedInUser,
    id: AppId,
) -> Result<StaffThread, PageError> {
    let now = provider.now();
    let read = async move |tx: &mut Tx<'_>| {
        let app = apps::find(tx, id).await?.ok_or(PageError::NotFound)?;
        Ok::<_, PageError>((app, thread::load(tx, id, now).await?))
    };
    let (app, thread) = provider.store.db.read(read).await?;
    Ok(StaffThread {
        layout: user.layout().in_section(Section::Review),
        id: id.to_string(),
        status: display::app_status(&app),
        awaits_review: app.awaits_review(),
        name: app.name,
        publisher: app.publisher,
        thread,
        answers: answers::titles(&provider.policy().review),
        message: MessageForm::default(),
    })
}

fn parse(id: &str) -> Result<AppId, PageError> {
    id.parse().map_err(|_| PageError::NotFound)
}
