//! `POST /sign-out`: end this browser's session. Apps keep what they were granted.

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::UserId;
use http::header::SET_COOKIE;
use store::{Tx, audit, identities, sessions};

use crate::actor::SignedForm;
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::pages::views::{Layout, SignInChoice, SignedOut};
use crate::provider::{Provider, Shared};
use crate::view;

pub async fn submit(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    form: SignedForm,
) -> Result<Response, PageError> {
    let (session, user, now) = (form.user.session.id, form.user.user.id, provider.now());
    let event = AuditEvent::new(now, AuditKind::SignedOut, AuditActor::User(user)).address(address);
    provider
        .store
        .db
        .write(async move |tx| {
            sessions::delete(tx, session).await?;
            audit::record(tx, &event).await?;
            Ok::<_, PageError>(())
        })
        .await?;
    signed_out(&provider, user).await
}

/// What the browser of a session that has ended gets. Another system that has brought the user may
/// still know them: the page says so.
pub(super) async fn signed_out(provider: &Provider, user: UserId) -> Result<Response, PageError> {
    let policy = provider.policy();
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, PageError>(identities::list_issuers_of(tx, user).await?)
    };
    let issuers = provider.store.db.read(read).await?;
    let of_user = |issuer: &String| policy.sign_in.providers.iter().find(|of| of.issuer == *issuer);
    let elsewhere = issuers.iter().filter_map(of_user).find_map(|upstream| {
        let link = upstream.sign_out_url.clone()?;
        Some(SignInChoice { title: upstream.title.clone(), link })
    });
    let page = view::page(provider, &SignedOut { layout: Layout::signed_out(""), elsewhere })?;
    let cookie = provider.cookies.clear(&provider.cookies.session);
    Ok((AppendHeaders(cookie.map(|value| (SET_COOKIE, value))), page).into_response())
}
