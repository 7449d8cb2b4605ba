//! A session that begins: always a new one (attack S1), written with everything that goes with it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authentication::{Acr, Methods};
use domain::entropy::random_bytes;
use domain::id::{SessionId, UserId};
use domain::keyring::Keyring;
use domain::mail::{Mail, MailKind, Seen};
use domain::session::{SESSION_LIFETIME_MAX, Session, session_id_of};
use domain::time::Timestamp;
use domain::user::normalize_email;
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde_json::json;
use store::{DbError, Tx, audit, mails, sessions, users};

use super::device::{Device, REMEMBERED_FOR};
use super::limits::Limits;
use crate::actor::Visitor;
use crate::address::user_agent;
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
    /// The devices that this browser says to be.
    device: Option<Device>,
    keyring: Arc<Keyring>,
    address: IpAddr,
    user_agent: String,
    /// When the user proved who they are: not now, if another system says so.
    auth_time: Timestamp,
    /// The other system.
    provider: Option<String>,
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
            device: cookie::read(headers, &provider.cookies.device).and_then(Device::parse),
            keyring: provider.keyring(),
            address,
            user_agent: user_agent(headers),
            auth_time: provider.now(),
            provider: None,
            now: provider.now(),
        }
    }

    #[must_use]
    pub(super) fn with(mut self, limits: Limits) -> Self {
        self.limits.push(limits);
        self
    }

    /// The user has signed in at another system.
    #[must_use]
    pub(super) fn elsewhere(self, provider: &str, auth_time: Timestamp) -> Self {
        Self { provider: Some(provider.to_owned()), auth_time, ..self }
    }

    /// `methods`: all that was found right just now. From a browser that never signed in to the
    /// account before, its owner is told.
    pub(super) async fn write(
        &self,
        tx: &mut Tx<'_>,
        user: UserId,
        methods: Methods,
    ) -> Result<(), DbError> {
        let owner = users::find(tx, user).await?;
        let email = owner.map(|owner| normalize_email(&owner.email)).unwrap_or_default();
        let is_known = |device: &Device| device.knows(&self.keyring, &email, self.now);
        if !self.device.as_ref().is_some_and(is_known) {
            let seen = Seen { address: self.address, user_agent: self.user_agent.clone() };
            let told = Mail::to_user(user, MailKind::NewDevice { seen }, self.now);
            mails::queue(tx, &told).await?;
        }
        self.write_first(tx, user, methods).await
    }

    /// Of an account that has just been made: nobody has to be told.
    pub(super) async fn write_first(
        &self,
        tx: &mut Tx<'_>,
        user: UserId,
        methods: Methods,
    ) -> Result<(), DbError> {
        let session = Session {
            id: session_id_of(self.secret.as_bytes()),
            user_id: user,
            auth_time: self.auth_time,
            methods,
            second_factor_at: (methods.acr() > Acr::OneFactor).then_some(self.now),
            created_at: self.now,
            last_seen_at: self.now,
            expires_at: self.now.after(SESSION_LIFETIME_MAX),
            address: self.address,
            user_agent: self.user_agent.clone(),
        };
        if let Some(old) = self.old {
            sessions::delete(tx, old).await?;
        }
        sessions::insert(tx, &session).await?;
        for limits in &self.limits {
            limits.give_back(tx).await?;
        }
        let event = AuditEvent::new(self.now, AuditKind::SignedIn, AuditActor::User(user));
        let detail = match &self.provider {
            None => json!({ "amr": methods.amr() }),
            Some(name) => json!({ "amr": methods.amr(), "provider": name }),
        };
        let event = event.address(self.address).detail(detail);
        audit::record(tx, &event).await?;
        Ok(())
    }

    /// This browser, as one that has signed in to the account.
    pub(super) fn device(&self, provider: &Provider, email: &str) -> Device {
        let device = self.device.clone().unwrap_or_else(|| Device::random(&*provider.entropy));
        device.remember(&self.keyring, &normalize_email(email), self.now)
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
