//! What an access token may do right now. Taking a scope away, suspending an app or blocking a user
//! is felt by the next request without touching a token: the answer is computed from the rows as
//! they stand.

use std::net::IpAddr;
use std::sync::Arc;

use protocol::jose;
use protocol::jwt_access_token::{AccessTokenClaims, TYP};
use protocol::scope::ScopeSet;

use crate::app::App;
use crate::consent::Consent;
use crate::grant::{Grant, GrantSubject, Mode};
use crate::id::{GrantId, TokenId, UserId};
use crate::keyring::Keyring;
use crate::seal::{OpenError, Purpose};
use crate::time::Timestamp;
use crate::token::AccessToken;
use crate::user::User;

/// The rows a token's meaning depends on, as they stand now.
#[derive(Clone, Debug)]
pub struct LiveRows {
    pub grant: Arc<Grant>,
    pub app: Arc<App>,
    /// Of the user and the consent when the grant is a user's.
    pub user: Option<Arc<User>>,
    pub consent: Option<Arc<Consent>>,
    /// The token itself is on the revoked list (RFC 7009).
    pub token_revoked: bool,
}

/// A call that is authenticated: who, through which app, with which scopes.
#[derive(Clone, Debug)]
pub struct Access {
    pub grant_id: GrantId,
    pub token_id: TokenId,
    /// `None`: the app acts for itself.
    pub user_id: Option<UserId>,
    pub app: Arc<App>,
    /// Token ∩ grant ∩ consent ∩ approved.
    pub scopes: ScopeSet,
    pub audience: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub mode: Mode,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
}

impl Access {
    /// `sub` on the wire: the user, or the app when it acts for itself.
    pub fn subject(&self) -> String {
        match self.user_id {
            Some(id) => id.to_string(),
            None => self.app.client_id.clone(),
        }
    }
}

/// Why a token is not good. Outside it is always the same `invalid_token`; this is for the log and
/// for the request log of the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessRefusal {
    #[error("the token is malformed or was not issued here")]
    NotOurs,
    #[error("the token was sealed with a key this node does not know")]
    UnknownKey,
    #[error("the token has expired")]
    Expired,
    #[error("the token is for another resource")]
    WrongAudience,
    #[error("the token was revoked")]
    TokenRevoked,
    #[error("the access was revoked or has ended")]
    GrantEnded,
    #[error("the user withdrew the consent")]
    ConsentWithdrawn,
    #[error("the app is not live")]
    AppNotLive,
    #[error("the user is blocked")]
    UserBlocked,
    #[error("the app may not call from this address")]
    AddressNotAllowed,
    #[error("a test token at an API that has no place for tests")]
    WrongMode,
    #[error("a dialect's token outside its dialect, or the reverse")]
    WrongDialect,
}

impl AccessRefusal {
    /// One word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::UnknownKey => "unknown_key",
            Self::Expired => "expired",
            Self::WrongAudience => "wrong_audience",
            Self::TokenRevoked => "token_revoked",
            Self::GrantEnded => "grant_ended",
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::AppNotLive => "app_not_live",
            Self::UserBlocked => "user_blocked",
            Self::AddressNotAllowed => "address",
            Self::WrongMode => "test_token",
            Self::WrongDialect => "wrong_dialect",
        }
    }
}

/// Read an access token in either form. Pure: says nothing about what the rows say.
pub fn open_access_token(
    keyring: &Keyring,
    text: &str,
    now: Timestamp,
) -> Result<AccessToken, AccessRefusal> {
    let token = read_access_token(keyring, text)?;
    if now >= token.expires_at {
        return Err(AccessRefusal::Expired);
    }
    Ok(token)
}

/// The same of a token that may have expired: [`check_access`] looks.
pub fn read_access_token(keyring: &Keyring, text: &str) -> Result<AccessToken, AccessRefusal> {
    if text.starts_with(Purpose::Access.prefix()) {
        keyring.open::<AccessToken>(Purpose::Access, text).map_err(|error| match error {
            OpenError::UnknownKey => AccessRefusal::UnknownKey,
            OpenError::Invalid => AccessRefusal::NotOurs,
        })
    } else {
        open_jwt(keyring, text)
    }
}

fn open_jwt(keyring: &Keyring, text: &str) -> Result<AccessToken, AccessRefusal> {
    let not_ours = || AccessRefusal::NotOurs;
    let claims =
        jose::verify(keyring.verifying_keys(), TYP, text).map_err(|error| match error {
            jose::JwtError::UnknownKey => AccessRefusal::UnknownKey,
            _ => AccessRefusal::NotOurs,
        })?;
    let claims = AccessTokenClaims::from_verified(claims).map_err(|_| not_ours())?;
    // Ours have one audience each; which one is wanted is compared in `check_access`.
    let [audience] = claims.aud.as_slice() else { return Err(AccessRefusal::NotOurs) };
    if claims.iss != keyring.issuer() {
        return Err(AccessRefusal::NotOurs);
    }
    Ok(AccessToken {
        grant_id: claims.grant_id.parse().map_err(|_| not_ours())?,
        token_id: claims.jti.parse().map_err(|_| not_ours())?,
        audience: audience.clone(),
        scopes: claims.scope,
        issued_at: Timestamp::from_seconds(claims.iat),
        expires_at: Timestamp::from_seconds(claims.exp),
        key_binding: None,
    })
}

/// Decide whether `token`, opened before, is good for `audience` from `address` now.
pub fn check_access(
    token: &AccessToken,
    rows: &LiveRows,
    audience: &str,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Access, AccessRefusal> {
    if token.audience != audience {
        return Err(AccessRefusal::WrongAudience);
    }
    if address.is_some_and(|address| !rows.app.admits(address)) {
        return Err(AccessRefusal::AddressNotAllowed);
    }
    let scopes = live_scopes(token, rows, now)?;
    Ok(Access {
        grant_id: token.grant_id,
        token_id: token.token_id,
        user_id: rows.grant.user_id(),
        app: Arc::clone(&rows.app),
        scopes,
        audience: token.audience.clone(),
        issued_at: token.issued_at,
        expires_at: token.expires_at,
        mode: rows.grant.mode,
        auth_time: rows.grant.auth_time,
        acr: rows.grant.acr.clone(),
    })
}

/// What `token` may do now: its own scopes ∩ grant ∩ consent ∩ approved.
pub fn live_scopes(
    token: &AccessToken,
    rows: &LiveRows,
    now: Timestamp,
) -> Result<ScopeSet, AccessRefusal> {
    if now >= token.expires_at {
        return Err(AccessRefusal::Expired);
    }
    if rows.token_revoked {
        return Err(AccessRefusal::TokenRevoked);
    }
    Ok(grant_scopes(rows, now)?.intersection(&token.scopes))
}

/// What the grant as a whole may do now.
pub fn grant_scopes(rows: &LiveRows, now: Timestamp) -> Result<ScopeSet, AccessRefusal> {
    let LiveRows { grant, app, user, consent, .. } = rows;
    if !grant.is_live(now) {
        return Err(AccessRefusal::GrantEnded);
    }
    if !app.is_live() {
        return Err(AccessRefusal::AppNotLive);
    }
    let granted = grant.scopes.intersection(&app.approved_at(now));
    if let GrantSubject::Service { .. } = grant.subject {
        return Ok(granted.intersection(&app.service_scopes));
    }
    if !user.as_ref().is_some_and(|user| user.is_active()) {
        return Err(AccessRefusal::UserBlocked);
    }
    match consent.as_ref().filter(|consent| consent.is_given()) {
        Some(consent) => Ok(granted.intersection(&consent.scopes)),
        None => Err(AccessRefusal::ConsentWithdrawn),
    }
}
