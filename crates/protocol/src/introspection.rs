//! Token introspection (RFC 7662).

use serde::{Deserialize, Serialize};

use crate::error::OAuthError;
use crate::params::Params;
use crate::scope::ScopeSet;

/// What a client says about the kind of a token. Only a hint (RFC 7009 §2.1, RFC 7662 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTypeHint {
    AccessToken,
    RefreshToken,
}

impl TokenTypeHint {
    /// An unknown hint is no hint.
    pub(crate) fn decode(form: &Params) -> Result<Option<Self>, OAuthError> {
        Ok(match form.one("token_type_hint")? {
            Some("access_token") => Some(Self::AccessToken),
            Some("refresh_token") => Some(Self::RefreshToken),
            _ => None,
        })
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct IntrospectionRequest {
    pub token: String,
    pub hint: Option<TokenTypeHint>,
}

impl IntrospectionRequest {
    pub fn decode(form: &Params) -> Result<Self, OAuthError> {
        let token = form.one("token")?.map(str::to_owned);
        Ok(Self {
            token: token.ok_or_else(|| OAuthError::invalid_request("token is missing"))?,
            hint: TokenTypeHint::decode(form)?,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntrospectionResponse {
    /// Unknown, expired, revoked, or not the caller's business: one answer (attack T7).
    Inactive,
    Active(Box<ActiveToken>),
}

/// What an active token may do. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveToken {
    pub iss: String,
    /// The user, or the app itself for client credentials.
    pub sub: String,
    pub aud: Vec<String>,
    pub client_id: String,
    pub scope: ScopeSet,
    /// `Bearer` for an access token, `refresh_token` for a refresh token.
    pub token_type: String,
    pub iat: i64,
    pub exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// `test`: of a test client id; only practice APIs may take it. An extension of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

impl IntrospectionResponse {
    /// Compact JSON; inactive is exactly `{"active":false}` (RFC 7662 §2.2).
    pub fn to_json(&self) -> String {
        let Self::Active(token) = self else { return r#"{"active":false}"#.to_owned() };
        #[derive(Serialize)]
        struct Active<'a> {
            active: bool,
            #[serde(flatten)]
            token: &'a ActiveToken,
        }
        // Texts, numbers and lists of texts: nothing that JSON could not say.
        serde_json::to_string(&Active { active: true, token }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
