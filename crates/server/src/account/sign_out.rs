//! `POST /sign-out`: end this browser's session. Apps keep what they were granted.

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use http::header::SET_COOKIE;
use store::{audit, identities, sessions};

use crate::actor::SignedForm;
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::pages::views::{Layout, SignInChoice, SignedOut};
use crate::provider::Shared;
use crate::view;

pub async fn submit(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    form: SignedForm,
) -> Result<Response, PageError> {
    let policy = provider.policy();
    let (session, now) = (form.user.session.id, provider.now());
    let event = AuditEvent::new(now, AuditKind::SignedOut, AuditActor::User(form.user.user.id))
        .address(address);
    let user = form.user.user.id;
    let issuers = provider
        .store
        .db
        .write(async move |tx| {
            sessions::delete(tx, session).await?;
            audit::record(tx, &event).await?;
            Ok::<_, PageError>(identities::list_issuers_of(tx, user).await?)
        })
        .await?;
    let of_user = |issuer: &String| policy.sign_in.providers.iter().find(|of| of.issuer == *issuer);
    let mut elsewhere = issuers.iter().filter_map(of_user).filter_map(|upstream| {
        let link = upstream.sign_out_url.clone()?;
        Some(SignInChoice { title: upstream.title.clone(), link })
    });
    let view = SignedOut { layout: Layout::signed_out(""), elsewhere: elsewhere.next() };
    let page = view::page(&provider, &view)?;
    let cookie = provider.cookies.clear(&provider.cookies.session);
    Ok((AppendHeaders(cookie.map(|value| (SET_COOKIE, value))), page).into_response())
}
