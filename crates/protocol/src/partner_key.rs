//! What the endpoints of partner keys say: whether there is a key and what it may do, its secret,
//! and why not. The standard's form is here; a dialect dresses the same.

use http::StatusCode;
use serde::Serialize;

/// Of one app for one user. The order of the members is that of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    pub exists: bool,
    /// A disabled key does nothing, but stands in the way of a new one.
    pub is_enabled: bool,
    pub external_id: Option<String>,
    pub public_key: Option<String>,
    /// Everything that was offered, in the order of the config; empty without a key.
    pub permissions: Vec<KeyPermission>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyPermission {
    /// For programs: the same in every language.
    pub name: String,
    /// For people.
    pub title: String,
    pub urls: Vec<KeyUrl>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUrl {
    pub url: String,
    pub enable: bool,
}

impl KeyInfo {
    pub const NONE: Self = Self {
        exists: false,
        is_enabled: false,
        external_id: None,
        public_key: None,
        permissions: Vec::new(),
    };
}

/// Why an app does not get what it asks about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyFailure {
    /// No access token, or none that is good here.
    Unauthorized,
    /// The access token lacks the scope.
    InsufficientScope,
    /// The key is another app's, or another user's.
    Forbidden,
    NotFound,
    /// The secret was told before, and is told once.
    SecretRead,
    /// Somebody else is being told the secret.
    Locked,
    TemporarilyUnavailable,
    ServerError,
}

impl KeyFailure {
    pub const ALL: [Self; 8] = [
        Self::Unauthorized,
        Self::InsufficientScope,
        Self::Forbidden,
        Self::NotFound,
        Self::SecretRead,
        Self::Locked,
        Self::TemporarilyUnavailable,
        Self::ServerError,
    ];

    /// As `error` of the standard form; dialect files name it by the same word.
    pub fn as_str(self) -> &'static str {
        match self {
            // RFC 6750 §3.1
            Self::Unauthorized => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::Forbidden => "access_denied",
            Self::NotFound => "not_found",
            Self::SecretRead => "secret_read",
            Self::Locked => "locked",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    pub fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::SecretRead => StatusCode::CONFLICT,
            Self::Locked => StatusCode::LOCKED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub fn description(self) -> &'static str {
        match self {
            Self::Unauthorized => "no access token was sent, or it is not good here",
            Self::InsufficientScope => "the access token lacks the scope that this takes",
            Self::Forbidden => "the key is not one of this app and this user",
            Self::NotFound => "there is no such key",
            Self::SecretRead => "the secret was retrieved before; delete the key and start over",
            Self::Locked => "the secret is being retrieved; try again shortly",
            Self::TemporarilyUnavailable => "this cannot be answered right now; try again",
            Self::ServerError => "something went wrong on the server's side",
        }
    }

    /// After how many seconds it is worth trying again.
    pub fn retry_after_seconds(self) -> Option<u32> {
        match self {
            Self::Locked => Some(1),
            Self::TemporarilyUnavailable => Some(5),
            _ => None,
        }
    }

    /// The standard's body.
    pub fn to_json(self) -> String {
        let (error, description) = (self.as_str(), self.description());
        serde_json::json!({ "error": error, "error_description": description }).to_string()
    }
}
