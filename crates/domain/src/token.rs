//! What is inside a sealed token: an access token, a refresh token, an authorization code. Each is
//! a pointer to a grant row (or, for a code, a grant that is not inserted yet), packed in a small
//! binary form so that tokens stay short.

use protocol::scope::ScopeSet;

use crate::authentication::Methods;
use crate::consent::Epoch;
use crate::grant::Mode;
use crate::id::{AppId, CodeId, ConsentId, GrantId, SessionId, TokenId, UserId};
use crate::time::Timestamp;

/// RFC 6749 access token, opaque to everyone but us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    pub grant_id: GrantId,
    pub token_id: TokenId,
    pub scopes: ScopeSet,
    /// Identifier of the resource it is for.
    pub audience: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub key_binding: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    pub grant_id: GrantId,
    pub generation: i64,
}

/// A sealed grant that is not inserted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCode {
    pub code_id: CodeId,
    /// Derived from the authorization request, so that a consent clicked twice makes one grant.
    pub grant_id: GrantId,
    pub app_id: AppId,
    pub user_id: UserId,
    pub consent_id: ConsentId,
    pub consent_epoch: Epoch,
    pub scopes: ScopeSet,
    pub resources: Vec<String>,
    pub mode: Mode,
    pub dialect: Option<String>,
    /// SHA-256 of the redirect URI of the authorization request.
    pub redirect_uri_hash: [u8; 32],
    /// Whether the request named a redirect URI; then the token request must repeat it
    /// (RFC 6749 §4.1.3).
    pub redirect_uri_given: bool,
    /// The S256 challenge, 43 characters. `None` only in a dialect that has no PKCE.
    pub challenge: Option<String>,
    pub session_id: SessionId,
    pub auth_time: Timestamp,
    /// How the user of the session had proven who they are.
    pub methods: Methods,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A code lives this long: RFC 9700 wants minutes at most, a redirect takes a second.
pub const CODE_LIFETIME: std::time::Duration = std::time::Duration::from_secs(60);

pub mod codec;
