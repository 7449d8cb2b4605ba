//! A forgotten password. Who asks gets the same answer in the same time, whether the address has
//! an account or not: whether a message goes out is decided when it is sent (attack X2). The link
//! opens in the browser that asked; in another one a person says first that it was them. Looking at
//! it changes nothing, so that a mail scanner uses nothing up (attack S6).

use axum::extract::{RawQuery, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::mail::{Mail, MailKind, RESET_LINK_LIFETIME};
use domain::mail_link::{LinkUse, MailLink, account_stamp};
use domain::user::{User, is_email_address, normalize_email};
use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};
use store::{Tx, audit, mails, users};

use super::limits::Limits;
use super::links::{self, Asking};
use super::password::Replaced;
use crate::actor::{Visitor, VisitorForm};
use crate::address::ClientAddress;
use crate::browsers;
use crate::display;
use crate::error::{PageError, duration_words, form_query};
use crate::flash::Done;
use crate::new_password;
use crate::pages::views::{ConfirmReset, ForgottenPassword, Layout, MailSent, ResetPassword};
use crate::provider::{Provider, Shared};
use crate::view;

/// Where nobody signs in with a password, none is forgotten and there is no such page.
fn if_open(provider: &Provider) -> Result<(), PageError> {
    if provider.policy().sign_in.password { Ok(()) } else { Err(PageError::NotFound) }
}

pub async fn show(State(provider): State<Shared>, visitor: Visitor) -> Result<Response, PageError> {
    if_open(&provider)?;
    let page = form(&provider, &visitor, String::new());
    Ok(visitor.remember(&provider, view::page(&provider, &page)?))
}

fn form(provider: &Provider, visitor: &Visitor, email: String) -> ForgottenPassword {
    ForgottenPassword {
        layout: Layout::signed_out(visitor.csrf()),
        sends_mail: provider.policy().accounts.sends_mail,
        email,
        error: None,
        wait: None,
    }
}

pub async fn ask(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    VisitorForm { visitor, params }: VisitorForm,
) -> Result<Response, PageError> {
    if_open(&provider)?;
    if !provider.policy().accounts.sends_mail {
        return Err(PageError::NotFound);
    }
    let email = params.one("email")?.unwrap_or_default().trim().to_owned();
    let mut page = form(&provider, &visitor, email.clone());
    if !is_email_address(&email) {
        page.error = Some("That is not an e-mail address.".to_owned());
        return view::page_again(&provider, &page);
    }
    let asking = Asking { user: None, browser: visitor.mark(), address };
    let asked = asking.link(&provider, &headers, RESET_LINK_LIFETIME);
    let (now, language) = (provider.now(), links::language(&provider, &headers));
    let mail = Mail::to_address(email.clone(), language, MailKind::PasswordReset(asked), now);
    let event = AuditEvent::new(now, AuditKind::PasswordResetAsked, AuditActor::System)
        .address(address)
        .detail(serde_json::json!({ "email": normalize_email(&email) }));
    match send(&provider, &email, address, mail, event).await? {
        None => {
            let layout = Layout::signed_out(visitor.csrf());
            view::page(&provider, &MailSent { layout, email, what: "reset" })
        }
        Some(wait) => {
            page.wait = Some(duration_words(wait));
            too_often(wait, view::page(&provider, &page)?)
        }
    }
}

/// Queue a message that a stranger wants sent to `email`, or say how long to wait. Takes equally
/// long whoever reads that mail.
pub(super) async fn send(
    provider: &Provider,
    email: &str,
    address: std::net::IpAddr,
    mail: Mail,
    event: AuditEvent,
) -> Result<Option<std::time::Duration>, PageError> {
    let (limits, now) = (Limits::of_mail(&normalize_email(email), address), provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        let wait = limits.count(tx, now).await?;
        if wait.is_none() {
            mails::queue(tx, &mail).await?;
            audit::record(tx, &event).await?;
        }
        Ok::<_, PageError>(wait)
    };
    provider.store.db.write(write).await
}

pub(super) fn too_often(
    wait: std::time::Duration,
    mut page: Response,
) -> Result<Response, PageError> {
    *page.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let seconds = wait.as_millis().div_ceil(1000).max(1).to_string();
    Ok((AppendHeaders([(RETRY_AFTER, seconds)]), page).into_response())
}

/// The page behind the link. Nothing is used up by looking.
pub async fn open(
    State(provider): State<Shared>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    if_open(&provider)?;
    let (sealed, link) = links::open_query(&provider, query.as_deref())?;
    account_of(&provider, &link).await?;
    let page = match link.is_of(&visitor.mark()) {
        true => choose(&provider, &visitor, sealed, None)?,
        false => confirm_page(&provider, &visitor, sealed, &link, StatusCode::OK)?,
    };
    Ok(visitor.remember(&provider, page))
}

/// The user whose password the link changes. A link of another kind, and one that a change of the
/// account has overtaken, is over.
async fn account_of(provider: &Provider, link: &MailLink) -> Result<User, PageError> {
    let LinkUse::ResetPassword { user: id, stamp } = &link.purpose else {
        return Err(PageError::LinkOver);
    };
    let id = *id;
    let find = async move |tx: &mut Tx<'_>| Ok::<_, PageError>(users::find(tx, id).await?);
    let user = provider.store.db.read(find).await?;
    let keyring = provider.keyring();
    user.filter(|user| user.is_active() && account_stamp(&keyring, user) == *stamp)
        .ok_or(PageError::LinkOver)
}

fn choose(
    provider: &Provider,
    visitor: &Visitor,
    link: String,
    error: Option<String>,
) -> Result<Response, PageError> {
    let is_again = error.is_some();
    let page = ResetPassword { layout: Layout::signed_out(visitor.csrf()), link, error };
    if is_again { view::page_again(provider, &page) } else { view::page(provider, &page) }
}

fn confirm_page(
    provider: &Provider,
    visitor: &Visitor,
    sealed: String,
    link: &MailLink,
    status: StatusCode,
) -> Result<Response, PageError> {
    let asked_at = link.asked.expires_at.before(RESET_LINK_LIFETIME);
    let page = ConfirmReset {
        layout: Layout::signed_out(visitor.csrf()),
        link: sealed,
        asked_at: display::moment(provider.now(), asked_at),
        address: link.asked.seen.address.to_string(),
        browser: browsers::in_words(&link.asked.seen.user_agent),
    };
    let mut page = view::page(provider, &page)?;
    *page.status_mut() = status;
    Ok(page)
}

/// “It was me”, in a browser that did not ask. The link goes on, bound to this one.
pub async fn confirm(
    State(provider): State<Shared>,
    VisitorForm { visitor, params }: VisitorForm,
) -> Result<Redirect, PageError> {
    if_open(&provider)?;
    let (_, link) = links::open(&provider, &params)?;
    account_of(&provider, &link).await?;
    let link = link.confirmed_in(visitor.mark());
    let sealed = link
        .seal(&provider.keyring(), &*provider.entropy)
        .ok_or_else(|| PageError::Internal("a link could not be sealed".to_owned()))?;
    Ok(Redirect::to(&format!("/reset-password?{}", form_query(&[("link", &sealed)]))))
}

pub async fn reset(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    VisitorForm { visitor, params }: VisitorForm,
) -> Result<Response, PageError> {
    if_open(&provider)?;
    let (sealed, link) = links::open(&provider, &params)?;
    let user = account_of(&provider, &link).await?;
    if !link.is_of(&visitor.mark()) {
        links::refuse(&provider, &link, "another browser", address).await?;
        return confirm_page(&provider, &visitor, sealed, &link, StatusCode::FORBIDDEN);
    }
    let password = params.one("password")?.unwrap_or_default();
    let hash = match new_password::hash(&provider, password, &[&user.email, &user.name]).await {
        Ok(hash) => hash,
        Err(error) => match error.for_field() {
            Some(text) => return choose(&provider, &visitor, sealed, Some(text)),
            None => return Err(PageError::Busy),
        },
    };
    let (keyring, now) = (provider.keyring(), provider.now());
    let seen = links::seen(address, &headers);
    let refused = links::refusal(&link, "used before", address, now);
    let write = async move |tx: &mut Tx<'_>| {
        let LinkUse::ResetPassword { user: id, stamp } = &link.purpose else { return Ok(false) };
        let user = users::find(tx, *id).await?;
        let user = user.filter(|u| u.is_active() && account_stamp(&keyring, u) == *stamp);
        let unused = links::use_up(tx, &link).await?;
        let Some(user) = user.filter(|_| unused) else {
            // Committed with what it tells of (attack K2).
            audit::record(tx, &refused).await?;
            return Ok(false);
        };
        let user = User { email_verified_at: user.email_verified_at.or(Some(now)), ..user };
        users::save_email(tx, &user).await?;
        let replaced = Replaced { by_link: true, kept_session: None, seen: seen.clone(), now };
        replaced.password_of(tx, user, hash.clone()).await?;
        Ok::<_, PageError>(true)
    };
    match provider.store.db.write(write).await? {
        true => Ok(Done::PasswordReset.redirect("/sign-in").into_response()),
        false => Err(PageError::LinkOver),
    }
}
