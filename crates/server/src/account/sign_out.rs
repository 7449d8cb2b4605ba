//! `POST /sign-out`: end this browser's session. Apps keep what they were granted.

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use http::header::SET_COOKIE;
use store::{audit, sessions};

use crate::actor::SignedForm;
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::pages::views::{Layout, SignedOut};
use crate::provider::Shared;
use crate::view;

pub async fn submit(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    form: SignedForm,
) -> Result<Response, PageError> {
    let (session, now) = (form.user.session.id, provider.now());
    let event = AuditEvent::new(now, AuditKind::SignedOut, AuditActor::User(form.user.user.id))
        .address(address);
    provider
        .store
        .db
        .write(async move |tx| {
            sessions::delete(tx, session).await?;
            audit::record(tx, &event).await?;
            Ok::<_, PageError>(())
        })
        .await?;
    let page = view::page(&provider, &SignedOut { layout: Layout::signed_out("") })?;
    let cookie = provider.cookies.clear(&provider.cookies.session);
    Ok((AppendHeaders(cookie.map(|value| (SET_COOKIE, value))), page).into_response())
}
