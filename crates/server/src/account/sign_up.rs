//! Accounts that people make themselves. The form leads to a message, and the account is made when
//! its link is used; until then there is nothing, so nobody can take an address that is not theirs.
//! The answer is the same whether the address has an account or not (attack X2). In another browser
//! than the one that asked, the password is asked that was chosen: a link that somebody else asked
//! for makes no account (attack S6).

use std::net::IpAddr;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authentication::Methods;
use domain::id::UserId;
use domain::mail::{ADDRESS_LINK_LIFETIME, Mail, MailKind, StoredHash};
use domain::mail_link::{LinkUse, MailLink};
use domain::password::PasswordHash;
use domain::user::{User, UserStatus, is_email_address, is_name, normalize_email};
use http::HeaderMap;
use serde_json::json;
use store::{Tx, audit, users};

use super::forgotten::{send, too_often};
use super::limits::Limits;
use super::links::{self, Asking};
use super::opening::Opening;
use super::password::WRONG;
use crate::actor::{Visitor, VisitorForm};
use crate::address::ClientAddress;
use crate::error::{PageError, duration_words};
use crate::flash::Done;
use crate::new_password;
use crate::pages::views::{FinishSignUp, Layout, MailSent, SignUp};
use crate::provider::{Provider, Shared};
use crate::view;

/// Sign-up is for operators who switched it on; elsewhere there is no such page.
pub(super) fn is_open(provider: &Provider) -> bool {
    let policy = provider.policy();
    policy.accounts.sign_up && policy.accounts.sends_mail && policy.sign_in.password
}

fn if_open(provider: &Provider) -> Result<(), PageError> {
    if is_open(provider) { Ok(()) } else { Err(PageError::NotFound) }
}

pub async fn show(State(provider): State<Shared>, visitor: Visitor) -> Result<Response, PageError> {
    if_open(&provider)?;
    Ok(visitor.remember(&provider, view::page(&provider, &empty(&visitor))?))
}

fn empty(visitor: &Visitor) -> SignUp {
    SignUp {
        layout: Layout::signed_out(visitor.csrf()),
        name: String::new(),
        email: String::new(),
        name_error: None,
        email_error: None,
        password_error: None,
        wait: None,
    }
}

pub async fn submit(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    VisitorForm { visitor, params }: VisitorForm,
) -> Result<Response, PageError> {
    if_open(&provider)?;
    let text = |name| Ok::<_, PageError>(params.one(name)?.unwrap_or_default().trim().to_owned());
    let (name, email) = (text("name")?, text("email")?);
    let mut page = SignUp { name: name.clone(), email: email.clone(), ..empty(&visitor) };
    if name.is_empty() || !is_name(&name) {
        page.name_error = Some("Tell us a name, of at most 100 characters.".to_owned());
    }
    if !is_email_address(&email) {
        page.email_error = Some("That is not an e-mail address.".to_owned());
    }
    let password = params.one("password")?.unwrap_or_default();
    let hash = match new_password::hash(&provider, password, &[&email, &name]).await {
        Ok(hash) => Some(hash),
        Err(error) => {
            page.password_error = Some(error.for_field().ok_or(PageError::Busy)?);
            None
        }
    };
    let (Some(hash), None, None) = (hash, &page.name_error, &page.email_error) else {
        return view::page_again(&provider, &page);
    };
    let asking = Asking { user: None, browser: visitor.mark(), address };
    let asked = asking.link(&provider, &headers, ADDRESS_LINK_LIFETIME);
    let kind = MailKind::SignUp { asked, name, password: StoredHash::from(&hash) };
    let (now, language) = (provider.now(), links::language(&provider, &headers));
    let mail = Mail::to_address(email.clone(), language, kind, now);
    let event = AuditEvent::new(now, AuditKind::SignUpAsked, AuditActor::System)
        .address(address)
        .detail(json!({ "email": normalize_email(&email) }));
    match send(&provider, &email, address, mail, event).await? {
        None => {
            let layout = Layout::signed_out(visitor.csrf());
            view::page(&provider, &MailSent { layout, email, what: "sign_up" })
        }
        Some(wait) => {
            page.wait = Some(duration_words(wait));
            too_often(wait, view::page(&provider, &page)?)
        }
    }
}

/// The page behind the link. Nothing is used up by looking: mail scanners look too.
pub async fn open(
    State(provider): State<Shared>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    if_open(&provider)?;
    let (sealed, link) = links::open_query(&provider, query.as_deref())?;
    let page = finish_page(&visitor, sealed, &link)?;
    Ok(visitor.remember(&provider, view::page(&provider, &page)?))
}

fn finish_page(
    visitor: &Visitor,
    sealed: String,
    link: &MailLink,
) -> Result<FinishSignUp, PageError> {
    let LinkUse::SignUp { email, name, .. } = &link.purpose else {
        return Err(PageError::LinkOver);
    };
    Ok(FinishSignUp {
        layout: Layout::signed_out(visitor.csrf()),
        link: sealed,
        name: name.clone(),
        email: email.clone(),
        asks_password: !link.is_of(&visitor.mark()),
        error: None,
        wait: None,
    })
}

pub async fn finish(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    VisitorForm { visitor, params }: VisitorForm,
) -> Result<Response, PageError> {
    if_open(&provider)?;
    let (sealed, link) = links::open(&provider, &params)?;
    let mut page = finish_page(&visitor, sealed, &link)?;
    let LinkUse::SignUp { email, name, password, locale } = link.purpose.clone() else {
        return Err(PageError::LinkOver);
    };
    let password = PasswordHash::from(password);
    if page.asks_password {
        let typed = params.one("password")?.unwrap_or_default();
        match chose_it(&provider, &link, typed, &password, address).await? {
            Typed::Right => {}
            Typed::Wrong => {
                page.error = Some(WRONG.to_owned());
                return view::page_again(&provider, &page);
            }
            Typed::Wait(wait) => {
                page.wait = Some(duration_words(wait));
                return too_often(wait, view::page(&provider, &page)?);
            }
        }
    }
    let now = provider.now();
    let user = User {
        id: UserId::random(&*provider.entropy),
        email,
        name,
        password: Some(password),
        roles: Vec::new(),
        status: UserStatus::Active,
        created_at: now,
        locale,
        email_verified_at: Some(now),
    };
    let opening = Opening::new(&provider, &visitor, address, &headers);
    let device = opening.device(&provider, &user.email);
    match make(&provider, link, user, opening.clone(), address).await? {
        Made::Account => {
            Ok(opening.answer(&provider, &device, &Done::AccountCreated.to("/account")))
        }
        Made::Over => Err(PageError::LinkOver),
        Made::Taken => Err(PageError::Conflict(
            "This address has an account meanwhile. Sign in, or choose another password.".into(),
        )),
    }
}

enum Typed {
    Right,
    Wrong,
    Wait(std::time::Duration),
}

/// Whether whoever holds the link knows the password that was chosen when it was asked.
async fn chose_it(
    provider: &Provider,
    link: &MailLink,
    typed: &str,
    chosen: &PasswordHash,
    address: IpAddr,
) -> Result<Typed, PageError> {
    let place = provider.passwords.place().map_err(|_| PageError::Busy)?;
    let (limits, now) = (Limits::of_link(link.asked.link), provider.now());
    let count = async move |tx: &mut Tx<'_>| limits.count(tx, now).await;
    if let Some(wait) = provider.store.db.write(count).await? {
        return Ok(Typed::Wait(wait));
    }
    if provider.passwords.verify(place, typed, Some(chosen)).await {
        return Ok(Typed::Right);
    }
    links::refuse(provider, link, "another browser", address).await?;
    Ok(Typed::Wrong)
}

enum Made {
    Account,
    Over,
    Taken,
}

/// In one transaction: the link is used up, the account is there, its browser is signed in.
async fn make(
    provider: &Provider,
    link: MailLink,
    user: User,
    opening: Opening,
    address: IpAddr,
) -> Result<Made, PageError> {
    let now = provider.now();
    let write = async move |tx: &mut Tx<'_>| {
        if !links::use_up(tx, &link).await? {
            audit::record(tx, &links::refusal(&link, "used before", address, now)).await?;
            return Ok(Made::Over);
        }
        if !users::insert(tx, &user).await? {
            return Ok(Made::Taken);
        }
        let detail = json!({ "email": normalize_email(&user.email), "roles": [] });
        let event = AuditEvent::new(now, AuditKind::UserCreated, AuditActor::User(user.id));
        audit::record(tx, &event.address(address).detail(detail)).await?;
        opening.write_first(tx, user.id, Methods::PASSWORD).await?;
        Ok::<_, PageError>(Made::Account)
    };
    provider.store.db.write(write).await
}
