//! A session that begins: always a new one (attack S1), written with everything that goes with it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authentication::{Acr, Methods};
use domain::entropy::random_bytes;
use domain::id::SessionId;
use domain::keyring::Keyring;
use domain::mail::{Mail, MailKind, Seen};
use domain::session::{SESSION_LIFETIME_MAX, Session, session_id_of};
use domain::time::Timestamp;
use domain::user::{User, normalize_email};
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde_json::json;
use store::{DbError, Tx, audit, mails, sessions};

use super::device::{Device, REMEMBERED_FOR};
use super::limits::Limits;
use super::links::seen;
use crate::actor::Visitor;
use crate::cookie;
use crate::provider::Provider;

#[derive(Clone)]
pub(super) struct Opening {
    /// The value of the session's cookie.
    secret: String,
    /// The session of this browser that ends.
    old: Option<SessionId>,
    /// Attempts that were none.
    limits: Vec<Limits>,
    /// What this browser says to be.
    claimed: Option<Device>,
    keyring: Arc<Keyring>,
    seen: Seen,
    now: Timestamp,
}

impl Opening {
    pub(super) fn new(
        provider: &Provider,
        visitor: &Visitor,
        address: IpAddr,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            secret: URL_SAFE_NO_PAD.encode(random_bytes::<32>(&*provider.entropy)),
            old: visitor.signed_in.as_ref().map(|signed_in| signed_in.session.id),
            limits: Vec::new(),
            claimed: cookie::read(headers, &provider.cookies.device).and_then(Device::parse),
            keyring: provider.keyring(),
            seen: seen(address, headers),
            now: provider.now(),
        }
    }

    #[must_use]
    pub(super) fn with(mut self, limits: Limits) -> Self {
        self.limits.push(limits);
        self
    }

    /// `methods`: all that was found right just now.
    pub(super) async fn write(
        &self,
        tx: &mut Tx<'_>,
        user: &User,
        methods: Methods,
    ) -> Result<(), DbError> {
        let email = normalize_email(&user.email);
        let claimed = self.claimed.as_ref();
        if !claimed.is_some_and(|device| device.knows(&self.keyring, &email, self.now)) {
            let kind = MailKind::NewDevice { seen: self.seen.clone() };
            mails::queue(tx, &Mail::to_user(user.id, kind, self.now)).await?;
        }
        let session = Session {
            id: session_id_of(self.secret.as_bytes()),
            user_id: user.id,
            auth_time: self.now,
            methods,
            second_factor_at: (methods.acr() > Acr::OneFactor).then_some(self.now),
            created_at: self.now,
            last_seen_at: self.now,
            expires_at: self.now.after(SESSION_LIFETIME_MAX),
            address: self.seen.address,
            user_agent: self.seen.user_agent.clone(),
        };
        if let Some(old) = self.old {
            sessions::delete(tx, old).await?;
        }
        sessions::insert(tx, &session).await?;
        for limits in &self.limits {
            limits.give_back(tx).await?;
        }
        let event = AuditEvent::new(self.now, AuditKind::SignedIn, AuditActor::User(user.id));
        let event = event.address(self.seen.address).detail(json!({ "amr": methods.amr() }));
        audit::record(tx, &event).await?;
        Ok(())
    }

    /// On to where the user wanted to go, with the cookies of the session and of a known device.
    pub(super) fn answer(
        &self,
        provider: &Provider,
        device: &Device,
        continue_to: &str,
    ) -> Response {
        let names = &provider.cookies;
        let cookies = [
            names.set(&names.session, &self.secret),
            names.set_for(&names.device, &device.to_cookie(), REMEMBERED_FOR),
        ];
        let cookies = cookies.into_iter().flatten().map(|value| (SET_COOKIE, value));
        (AppendHeaders(cookies), Redirect::to(continue_to)).into_response()
    }
}
