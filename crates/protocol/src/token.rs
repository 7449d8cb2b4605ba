//! The token endpoint's request and answer (RFC 6749 §4.1.3, §4.4.2, §5.1 and §6; RFC 8707 §2).

use serde::Serialize;

use crate::authorize::check_resources;
use crate::error::OAuthError;
use crate::params::Params;
use crate::pkce::CodeVerifier;
use crate::scope::ScopeSet;

/// What a client asks of the token endpoint. Who it is comes apart
/// ([`crate::client_auth::PresentedClient`]).
#[derive(Clone, PartialEq, Eq)]
pub enum TokenRequest {
    AuthorizationCode {
        code: String,
        redirect_uri: Option<String>,
        verifier: Option<CodeVerifier>,
        resources: Vec<String>,
    },
    /// RFC 8628 §3.4
    DeviceCode { device_code: String, resources: Vec<String> },
    /// A code that a user carried from a dialect's page to an app. Only dialects have a word for
    /// it.
    UserCode { code: String },
    Refresh {
        token: String,
        /// `None` keeps the scopes of the grant.
        scopes: Option<ScopeSet>,
        resources: Vec<String>,
    },
    ClientCredentials {
        /// `None` means the app's default.
        scopes: Option<ScopeSet>,
        resources: Vec<String>,
    },
}

/// RFC 8628 §3.4
pub const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Parameters that may come once, whether or not the grant type uses them (RFC 6749 §3.2).
const SINGLE: [&str; 9] = [
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "device_code",
    "refresh_token",
    "scope",
    "client_id",
    "client_secret",
];

impl TokenRequest {
    /// Reads the standard form.
    pub fn decode(form: &Params) -> Result<Self, OAuthError> {
        for name in SINGLE {
            form.one(name)?;
        }
        let resources: Vec<String> = form.all("resource").map(str::to_owned).collect();
        check_resources(&resources).map_err(OAuthError::invalid_target)?;
        match form.one("grant_type")? {
            Some("authorization_code") => Ok(Self::AuthorizationCode {
                code: required(form, "code")?,
                redirect_uri: form.one("redirect_uri")?.map(str::to_owned),
                verifier: form
                    .one("code_verifier")?
                    .map(CodeVerifier::parse)
                    .transpose()
                    .map_err(|error| OAuthError::invalid_request(error.to_string()))?,
                resources,
            }),
            Some("refresh_token") => Ok(Self::Refresh {
                token: required(form, "refresh_token")?,
                scopes: scopes(form)?,
                resources,
            }),
            Some(DEVICE_CODE_GRANT) => {
                Ok(Self::DeviceCode { device_code: required(form, "device_code")?, resources })
            }
            Some("user_code") => Ok(Self::UserCode { code: required(form, "code")? }),
            Some("client_credentials") => {
                Ok(Self::ClientCredentials { scopes: scopes(form)?, resources })
            }
            Some(_) => Err(OAuthError::unsupported_grant_type()),
            None => Err(OAuthError::invalid_request("grant_type is missing")),
        }
    }

    /// The word of `grant_type`, for logs.
    pub fn grant_type(&self) -> &'static str {
        match self {
            Self::AuthorizationCode { .. } => "authorization_code",
            Self::DeviceCode { .. } => DEVICE_CODE_GRANT,
            Self::UserCode { .. } => "user_code",
            Self::Refresh { .. } => "refresh_token",
            Self::ClientCredentials { .. } => "client_credentials",
        }
    }
}

/// Codes and tokens stay out of logs.
impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TokenRequest").field(&self.grant_type()).finish()
    }
}

fn required(form: &Params, name: &'static str) -> Result<String, OAuthError> {
    form.one(name)?
        .map(str::to_owned)
        .ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
}

pub(crate) fn scopes(form: &Params) -> Result<Option<ScopeSet>, OAuthError> {
    let Some(text) = form.one("scope")? else { return Ok(None) };
    let scopes =
        ScopeSet::parse(text).map_err(|error| OAuthError::invalid_scope(error.to_string()))?;
    if scopes.is_empty() {
        return Err(OAuthError::invalid_scope("scope is empty"));
    }
    Ok(Some(scopes))
}

/// Tokens for the client.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct TokenResponse {
    pub access_token: String,
    pub token_type: TokenType,
    /// Life of the access token in seconds.
    pub expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Always said, whether or not it is what was asked for.
    pub scope: ScopeSet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum TokenType {
    Bearer,
}

impl TokenType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
        }
    }
}

impl TokenResponse {
    /// The body of RFC 6749 §5.1 as compact JSON. Send it with 200 and `Cache-Control: no-store`.
    pub fn to_json(&self) -> String {
        // Texts and a number: nothing that JSON could not say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Tokens stay out of logs.
impl std::fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenResponse")
            .field("token_type", &self.token_type)
            .field("expires_in", &self.expires_in)
            .field("has_refresh_token", &self.refresh_token.is_some())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
