//! A signed-in browser. The cookie holds a secret; the database holds its hash as the session's id,
//! so that a copy of the database opens no session.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest;

use crate::authentication::{FRESH_FOR, Methods};
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// A session ends this long after sign-in, whatever happens.
pub const SESSION_LIFETIME_MAX: Duration = Duration::from_secs(14 * 24 * 3600);
/// A session ends when it was not used for this long.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    /// When the user last proved who they are (OIDC `auth_time`).
    pub auth_time: Timestamp,
    /// Everything that was found right since the sign-in began.
    pub methods: Methods,
    /// When the user last gave a second factor.
    pub second_factor_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub address: IpAddr,
    pub user_agent: String,
}

impl Session {
    /// Did the user give a second factor a moment ago?
    pub fn has_fresh_second_factor(&self, now: Timestamp) -> bool {
        self.second_factor_at.is_some_and(|at| now.since(at) < FRESH_FOR)
    }

    /// The user has given a second factor.
    #[must_use]
    pub fn stepped_up(self, method: Methods, now: Timestamp) -> Self {
        Self { methods: self.methods.union(method), second_factor_at: Some(now), ..self }
    }

    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.last_seen_at.after(SESSION_IDLE_MAX)
    }
}

/// What a link in a message remembers of the browser that asked for it: a hash of the secret in
/// its visitor cookie.
pub fn browser_mark(cookie_secret: &str) -> String {
    session_id_of(&[b"browser mark ", cookie_secret.as_bytes()].concat()).to_string()
}

/// The id under which the session of a cookie's secret is stored.
pub fn session_id_of(cookie_secret: &[u8]) -> SessionId {
    let digest = digest::digest(&digest::SHA256, cookie_secret);
    let mut id = [0; 16];
    id.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    SessionId::from_bytes(id)
}
