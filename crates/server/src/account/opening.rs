//! A session that begins: always a new one (attack S1), written with everything that goes with it.

use std::net::IpAddr;

use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authentication::{Acr, Methods};
use domain::entropy::random_bytes;
use domain::id::{SessionId, UserId};
use domain::session::{SESSION_LIFETIME_MAX, Session, session_id_of};
use domain::time::Timestamp;
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde_json::json;
use store::{DbError, Tx, audit, sessions};

use super::device::{Device, REMEMBERED_FOR};
use super::limits::Limits;
use crate::actor::Visitor;
use crate::address::user_agent;
use crate::provider::Provider;

#[derive(Clone)]
pub(super) struct Opening {
    /// The value of the session's cookie.
    secret: String,
    /// The session of this browser that ends.
    old: Option<SessionId>,
    /// Attempts that were none.
    limits: Vec<Limits>,
    address: IpAddr,
    user_agent: String,
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
            address,
            user_agent: user_agent(headers),
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
        user: UserId,
        methods: Methods,
    ) -> Result<(), DbError> {
        let session = Session {
            id: session_id_of(self.secret.as_bytes()),
            user_id: user,
            auth_time: self.now,
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
        let event = event.address(self.address).detail(json!({ "amr": methods.amr() }));
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
