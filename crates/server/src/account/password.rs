//! Changing the password, and what follows from another one, however it came about: other browsers
//! are signed out, partner keys end, and the user is told. Other access of apps stays.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::SessionId;
use domain::mail::{Mail, MailKind, Seen};
use domain::partner_key::EndedWhy;
use domain::password::PasswordHash;
use domain::time::Timestamp;
use domain::user::User;
use http::header::HeaderMap;
use std::net::IpAddr;
use std::time::Duration;
use store::{DbError, Tx, audit, changes, mails, partner_keys, sessions, users};

use super::forgotten::too_often;
use super::limits::Limits;
use super::links;
use super::step_up::need_second_factor;
use crate::actor::{SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::error::{PageError, duration_words};
use crate::flash::Done;
use crate::new_password;
use crate::pages::views::{ChangePassword, Section};
use crate::provider::{Provider, Shared};
use crate::view;

/// The same words on every form that asks for it.
pub(super) const WRONG: &str = "That is not your password.";

pub async fn show(
    State(provider): State<Shared>,
    user: SignedInUser,
) -> Result<Response, PageError> {
    view::page(&provider, &form(&user))
}

fn form(user: &SignedInUser) -> ChangePassword {
    ChangePassword {
        layout: user.layout().in_section(Section::Account),
        email: user.user.email.clone(),
        has_password: user.user.password.is_some(),
        current_error: None,
        new_error: None,
        wait: None,
    }
}

pub async fn change(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    need_second_factor(&provider, &user, "/account/password").await?;
    let mut page = form(&user);
    let current = params.one("current_password")?.unwrap_or_default();
    match check(&provider, &user.user, address, current).await? {
        Checked::Right => {}
        Checked::Wrong => {
            page.current_error = Some(WRONG.to_owned());
            return view::page_again(&provider, &page);
        }
        Checked::Wait(wait) => {
            page.wait = Some(duration_words(wait));
            return too_often(wait, view::page(&provider, &page)?);
        }
    }
    let wanted = params.one("new_password")?.unwrap_or_default();
    let names = [user.user.email.as_str(), user.user.name.as_str()];
    let hash = match new_password::hash(&provider, wanted, &names).await {
        Ok(hash) => hash,
        Err(error) => {
            page.new_error = Some(error.for_field().ok_or(PageError::Busy)?);
            return view::page_again(&provider, &page);
        }
    };
    let (id, kept, now) = (user.user.id, user.session.id, provider.now());
    let seen = links::seen(address, &headers);
    let write = async move |tx: &mut Tx<'_>| {
        let user = users::find(tx, id).await?.ok_or(PageError::NotFound)?;
        let replaced =
            Replaced { by_link: false, kept_session: Some(kept), seen: seen.clone(), now };
        Ok::<_, PageError>(replaced.password_of(tx, user, hash.clone()).await?)
    };
    provider.store.db.write(write).await?;
    Ok(Done::PasswordChanged.redirect("/account").into_response())
}

/// How a password became another one.
pub(super) struct Replaced {
    /// Of a message; otherwise the old one was asked.
    pub(super) by_link: bool,
    /// The browser in which it happened goes on.
    pub(super) kept_session: Option<SessionId>,
    pub(super) seen: Seen,
    pub(super) now: Timestamp,
}

impl Replaced {
    /// Inside the transaction of the decision.
    pub(super) async fn password_of(
        &self,
        tx: &mut Tx<'_>,
        user: User,
        password: PasswordHash,
    ) -> Result<(), DbError> {
        let user = User { password: Some(password), ..user };
        users::save(tx, &user).await?;
        changes::record(tx, Change::User(user.id)).await?;
        sessions::delete_others(tx, user.id, self.kept_session).await?;
        let kind = match self.by_link {
            true => AuditKind::PasswordReset,
            false => AuditKind::PasswordChanged,
        };
        let event = AuditEvent::new(self.now, kind, AuditActor::User(user.id));
        audit::record(tx, &event.address(self.seen.address)).await?;
        let actor = AuditActor::User(user.id);
        partner_keys::end_of_user(tx, user.id, EndedWhy::PasswordChanged, actor, self.now).await?;
        let told = MailKind::PasswordChanged { seen: self.seen.clone(), by_link: self.by_link };
        mails::queue(tx, &Mail::to_user(user.id, told, self.now)).await
    }
}

pub(super) enum Checked {
    Right,
    Wrong,
    Wait(Duration),
}

/// Is it the password of the signed-in user? Counted before it is looked at: a borrowed browser is
/// no place to guess (attack X2).
pub(super) async fn check(
    provider: &Provider,
    user: &User,
    address: IpAddr,
    password: &str,
) -> Result<Checked, PageError> {
    let place = provider.passwords.place().map_err(|_| PageError::Busy)?;
    let (limits, now) = (Limits::of_own_password(user.id), provider.now());
    let counted = limits.clone();
    let count = async move |tx: &mut Tx<'_>| counted.count(tx, now).await;
    if let Some(wait) = provider.store.db.write(count).await? {
        return Ok(Checked::Wait(wait));
    }
    let is_right = provider.passwords.verify(place, password, user.password.as_ref()).await;
    let event = AuditEvent::new(now, AuditKind::PasswordCheckFailed, AuditActor::User(user.id))
        .address(address);
    let write = async move |tx: &mut Tx<'_>| match is_right {
        true => limits.give_back(tx).await,
        false => audit::record(tx, &event).await,
    };
    provider.store.db.write(write).await?;
    Ok(if is_right { Checked::Right } else { Checked::Wrong })
}
