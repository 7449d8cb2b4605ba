//! Another e-mail address, or proof of the one there is. The password is asked; the address counts
//! once its reader has opened the link and signed in to the account.

use axum::extract::{RawQuery, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::mail::{ADDRESS_LINK_LIFETIME, Mail, MailKind};
use domain::mail_link::{LinkUse, MailLink, account_stamp};
use domain::user::{User, is_email_address, normalize_email};
use http::header::{HeaderMap, SET_COOKIE};
use serde_json::json;
use store::{Tx, audit, changes, mails, users};

use super::device;
use super::forgotten::{send, too_often};
use super::links::{self, Asking};
use super::password::{Checked, WRONG, check};
use super::settings;
use super::step_up::need_second_factor;
use crate::actor::{SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::error::{PageError, duration_words};
use crate::flash::Done;
use crate::pages::views::{EmailForm, MailSent, Section, VerifyAddress};
use crate::provider::{Provider, Shared};
use crate::view;

pub async fn ask(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    if !provider.policy().accounts.sends_mail {
        return Err(PageError::NotFound);
    }
    need_second_factor(&provider, &user, "/account").await?;
    let email = params.one("email")?.unwrap_or_default().trim().to_owned();
    let mut form = EmailForm { email: email.clone(), ..EmailForm::default() };
    if !is_email_address(&email) {
        form.email_error = Some("That is not an e-mail address.".to_owned());
        return again(&provider, &user, form).await;
    }
    let password = params.one("password")?.unwrap_or_default();
    match check(&provider, &user.user, address, password).await? {
        Checked::Right => {}
        Checked::Wrong => {
            form.password_error = Some(WRONG.to_owned());
            return again(&provider, &user, form).await;
        }
        Checked::Wait(wait) => return wait_for(&provider, &user, form, wait).await,
    }
    let asking = Asking { user: Some(user.user.id), browser: String::new(), address };
    let asked = asking.link(&provider, &headers, ADDRESS_LINK_LIFETIME);
    let (now, language) = (provider.now(), user.user.locale.clone());
    let language = language.or_else(|| links::language(&provider, &headers));
    let mail = Mail::to_address(email.clone(), language, MailKind::AddressToVerify(asked), now);
    let actor = AuditActor::User(user.user.id);
    let event = AuditEvent::new(now, AuditKind::EmailChangeAsked, actor)
        .address(address)
        .detail(json!({ "email": normalize_email(&email) }));
    match send(&provider, &email, address, mail, event).await? {
        Some(wait) => wait_for(&provider, &user, form, wait).await,
        None => {
            let layout = user.layout().in_section(Section::Account);
            view::page(&provider, &MailSent { layout, email, what: "address" })
        }
    }
}

async fn again(
    provider: &Provider,
    user: &SignedInUser,
    form: EmailForm,
) -> Result<Response, PageError> {
    view::page_again(provider, &settings::page(provider, user, form, None).await?)
}

async fn wait_for(
    provider: &Provider,
    user: &SignedInUser,
    form: EmailForm,
    wait: std::time::Duration,
) -> Result<Response, PageError> {
    let form = EmailForm { wait: Some(duration_words(wait)), ..form };
    too_often(wait, view::page(provider, &settings::page(provider, user, form, None).await?)?)
}

/// The page behind the link, for the account that asked. Nothing is used up by looking.
pub async fn open(
    State(provider): State<Shared>,
    user: SignedInUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (sealed, link) = links::open_query(&provider, query.as_deref())?;
    let email = address_for(&provider, &link, &user.user)?;
    let page = VerifyAddress {
        layout: user.layout().in_section(Section::Account),
        link: sealed,
        is_new: normalize_email(&email) != normalize_email(&user.user.email),
        email,
    };
    view::page(&provider, &page)
}

/// The address that the link gives to `user`; another account's link is over.
fn address_for(provider: &Provider, link: &MailLink, user: &User) -> Result<String, PageError> {
    match &link.purpose {
        LinkUse::VerifyAddress { user: of, email, stamp }
            if *of == user.id && *stamp == account_stamp(&provider.keyring(), user) =>
        {
            Ok(email.clone())
        }
        _ => Err(PageError::LinkOver),
    }
}

enum Given {
    Over,
    Taken,
    Saved,
}

pub async fn confirm(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    let (_, link) = links::open(&provider, &params)?;
    let email = address_for(&provider, &link, &user.user)?;
    let (keyring, now) = (provider.keyring(), provider.now());
    let refused = links::refusal(&link, "used before", address, now);
    let (seen, wanted) = (links::seen(address, &headers), email.clone());
    let write = async move |tx: &mut Tx<'_>| {
        let LinkUse::VerifyAddress { user: id, stamp, .. } = &link.purpose else {
            return Ok(Given::Over);
        };
        let before = users::find(tx, *id).await?;
        let before = before.filter(|u| u.is_active() && account_stamp(&keyring, u) == *stamp);
        let unused = links::use_up(tx, &link).await?;
        let Some(before) = before.filter(|_| unused) else {
            // Committed with what it tells of (attack K2).
            audit::record(tx, &refused).await?;
            return Ok(Given::Over);
        };
        let user = User { email: wanted.clone(), email_verified_at: Some(now), ..before.clone() };
        if !users::save_email(tx, &user).await? {
            return Ok(Given::Taken);
        }
        changes::record(tx, Change::User(user.id)).await?;
        if normalize_email(&wanted) != normalize_email(&before.email) {
            // To the old address: whoever reads it should know.
            let told = MailKind::AddressChanged { new_address: wanted.clone(), seen: seen.clone() };
            let (to, locale) = (before.email.clone(), before.locale.clone());
            mails::queue(tx, &Mail::to_address(to, locale, told, now)).await?;
        }
        let event = AuditEvent::new(now, AuditKind::EmailChanged, AuditActor::User(user.id));
        let detail =
            json!({ "from": normalize_email(&before.email), "to": normalize_email(&wanted) });
        audit::record(tx, &event.address(address).detail(detail)).await?;
        Ok::<_, PageError>(Given::Saved)
    };
    match provider.store.db.write(write).await? {
        Given::Over => Err(PageError::LinkOver),
        Given::Taken => {
            Err(PageError::Conflict("Another account has this address meanwhile.".into()))
        }
        Given::Saved => {
            // This browser is known to the account under its new name too.
            let cookie = device::remembered(&provider, &headers, &email);
            let done = Done::AddressVerified.redirect("/account");
            Ok((AppendHeaders(cookie.map(|value| (SET_COOKIE, value))), done).into_response())
        }
    }
}
