//! A person's account: who they are here, the language, and where they are signed in.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::SessionId;
use domain::session::Session;
use domain::user::User;
use serde_json::json;
use store::{Tx, audit, sessions, users};

use super::sign_out::signed_out;
use crate::actor::{SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::browsers;
use crate::display;
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{
    AccountSettings, EmailForm, Flash, LanguageChoice, Section, SessionCard,
};
use crate::provider::{Provider, Shared};
use crate::view;

pub async fn show(
    State(provider): State<Shared>,
    user: SignedInUser,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let page = page(&provider, &user, EmailForm::default(), flash).await?;
    view::page(&provider, &page)
}

/// `form`: what was typed for another address, and what is wrong with it.
pub(super) async fn page(
    provider: &Provider,
    user: &SignedInUser,
    form: EmailForm,
    flash: Option<Flash>,
) -> Result<AccountSettings, PageError> {
    let (id, now, current) = (user.user.id, provider.now(), user.session.id);
    let list = async move |tx: &mut Tx<'_>| sessions::list_of_user(tx, id).await;
    let found: Vec<Session> = provider.store.db.read(list).await?;
    let card = |session: &Session| SessionCard {
        id: session.id.to_string(),
        is_current: session.id == current,
        browser: browsers::in_words(&session.user_agent),
        address: session.address.to_string(),
        signed_in_at: display::moment(now, session.created_at),
        seen_at: display::moment(now, session.last_seen_at),
    };
    let language = user.user.locale.as_deref();
    let choices = provider.mails.languages().iter().map(|(code, name)| LanguageChoice {
        code: code.clone(),
        name: name.clone(),
        is_chosen: language == Some(code),
    });
    Ok(AccountSettings {
        layout: user.layout().in_section(Section::Account).with_flash(flash),
        name: user.user.name.clone(),
        email: user.user.email.clone(),
        is_verified: user.user.email_verified_at.is_some(),
        sends_mail: provider.policy().accounts.sends_mail,
        has_password: user.user.password.is_some(),
        email_form: form,
        languages: choices.collect(),
        sessions: found.iter().filter(|session| session.is_live(now)).map(card).collect(),
    })
}

pub async fn choose_language(
    State(provider): State<Shared>,
    form: SignedForm,
) -> Result<Redirect, PageError> {
    let wish = form.params.one("language")?.unwrap_or_default();
    let known = provider.mails.languages().iter().find(|(code, _)| code == wish);
    let locale = known.map(|(code, _)| code.clone());
    let id = form.user.user.id;
    let write = async move |tx: &mut Tx<'_>| {
        let user = users::find(tx, id).await?.ok_or(PageError::NotFound)?;
        Ok::<_, PageError>(users::save(tx, &User { locale: locale.clone(), ..user }).await?)
    };
    provider.store.db.write(write).await?;
    Ok(Done::AccountSaved.redirect("/account"))
}

/// Sign out one browser.
pub async fn end_session(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id = form.params.one("session")?.and_then(|text| text.parse::<SessionId>().ok());
    let (id, user, now) = (id.ok_or(PageError::NotFound)?, form.user.user.id, provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        let found = sessions::find(tx, id).await?;
        // Somebody else's does not exist (attack A2).
        found.filter(|session| session.user_id == user).ok_or(PageError::NotFound)?;
        sessions::delete(tx, id).await?;
        let event = AuditEvent::new(now, AuditKind::SessionsEnded, AuditActor::User(user));
        audit::record(tx, &event.address(address).detail(json!({ "count": 1 }))).await?;
        Ok::<_, PageError>(())
    };
    provider.store.db.write(write).await?;
    if id == form.user.session.id {
        return signed_out(&provider, form.user.user.id).await;
    }
    Ok(Done::SessionEnded.redirect("/account").into_response())
}

/// Sign out everywhere: here too, or everywhere else.
pub async fn end_sessions(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    form: SignedForm,
) -> Result<Response, PageError> {
    let is_all = form.params.one("which")? == Some("all");
    let kept = (!is_all).then_some(form.user.session.id);
    let (user, now) = (form.user.user.id, provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        let count = sessions::delete_others(tx, user, kept).await?;
        let event = AuditEvent::new(now, AuditKind::SessionsEnded, AuditActor::User(user));
        audit::record(tx, &event.address(address).detail(json!({ "count": count }))).await?;
        Ok::<_, PageError>(())
    };
    provider.store.db.write(write).await?;
    match is_all {
        true => signed_out(&provider, user).await,
        false => Ok(Done::SessionsEnded.redirect("/account").into_response()),
    }
}
