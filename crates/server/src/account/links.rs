//! What all links of messages have in common: they are opened here, used up here, and refused here
//! when they are over or another browser's (attack S6).

use std::net::IpAddr;
use std::time::Duration;

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::{LinkId, UserId};
use domain::mail::{Asked, Seen};
use domain::mail_link::MailLink;
use domain::time::Timestamp;
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;
use protocol::params::Params;
use store::{DbError, Tx, audit, used_once};

use crate::address::user_agent;
use crate::error::PageError;
use crate::provider::Provider;

/// Who asks for a link, and where.
pub(crate) struct Asking {
    pub(crate) user: Option<UserId>,
    /// See `domain::session::browser_mark`.
    pub(crate) browser: String,
    pub(crate) address: IpAddr,
}

impl Asking {
    pub(crate) fn link(
        self,
        provider: &Provider,
        headers: &HeaderMap,
        lifetime: Duration,
    ) -> Asked {
        Asked {
            link: LinkId::random(&*provider.entropy),
            user: self.user,
            browser: self.browser,
            seen: seen(self.address, headers),
            expires_at: provider.now().after(lifetime),
        }
    }
}

pub(super) fn seen(address: IpAddr, headers: &HeaderMap) -> Seen {
    Seen { address, user_agent: user_agent(headers) }
}

/// The language of ours that this browser asks for.
pub(crate) fn language(provider: &Provider, headers: &HeaderMap) -> Option<String> {
    let wishes = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok())?;
    provider.mails.negotiate(wishes).map(str::to_owned)
}

/// The link in a request, sealed and opened.
pub(crate) fn open(provider: &Provider, params: &Params) -> Result<(String, MailLink), PageError> {
    let sealed = params.one("link")?.unwrap_or_default();
    let link = MailLink::open(&provider.keyring(), sealed, provider.now());
    link.map(|link| (sealed.to_owned(), link)).map_err(|_| PageError::LinkOver)
}

/// The link of an address (`?link=`).
pub(crate) fn open_query(
    provider: &Provider,
    query: Option<&str>,
) -> Result<(String, MailLink), PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    open(provider, &params.map_err(|error| PageError::BadRequest(error.to_string().into()))?)
}

/// `false`: it was used before.
pub(super) async fn use_up(tx: &mut Tx<'_>, link: &MailLink) -> Result<bool, DbError> {
    let Asked { link, expires_at, .. } = &link.asked;
    used_once::take(tx, "mail link", link.as_bytes(), *expires_at).await
}

/// Somebody came with a link that was used, overtaken by a change, or asked elsewhere.
pub(super) fn refusal(
    link: &MailLink,
    why: &'static str,
    address: IpAddr,
    now: Timestamp,
) -> AuditEvent {
    let event = AuditEvent::new(now, AuditKind::LinkRefused, AuditActor::System)
        .address(address)
        .detail(serde_json::json!({ "why": why, "link": link.asked.link }));
    match &link.purpose {
        domain::mail_link::LinkUse::SignUp { .. } | domain::mail_link::LinkUse::JoinTeam { .. } => {
            event
        }
        domain::mail_link::LinkUse::VerifyAddress { user, .. }
        | domain::mail_link::LinkUse::ResetPassword { user, .. } => event.user(*user),
    }
}

pub(super) async fn refuse(
    provider: &Provider,
    link: &MailLink,
    why: &'static str,
    address: IpAddr,
) -> Result<(), PageError> {
    let event = refusal(link, why, address, provider.now());
    let write = async move |tx: &mut Tx<'_>| audit::record(tx, &event).await;
    Ok(provider.store.db.write(write).await?)
}
