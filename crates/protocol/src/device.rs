//! The device authorization endpoint (RFC 8628 §3.1 and §3.2): a device without a browser asks for
//! a code that its user types elsewhere.

use serde_json::json;

use crate::authorize::check_resources;
use crate::error::OAuthError;
use crate::params::Params;
use crate::scope::ScopeSet;
use crate::token;

/// What a device asks for. Which app it is comes apart ([`crate::client_auth::PresentedClient`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAuthorizationRequest {
    /// `None` means the app's default.
    pub scopes: Option<ScopeSet>,
    pub resources: Vec<String>,
}

impl DeviceAuthorizationRequest {
    pub fn decode(form: &Params) -> Result<Self, OAuthError> {
        for name in ["client_id", "client_secret"] {
            form.one(name)?;
        }
        let resources: Vec<String> = form.all("resource").map(str::to_owned).collect();
        check_resources(&resources).map_err(OAuthError::invalid_target)?;
        Ok(Self { scopes: token::scopes(form)?, resources })
    }
}

/// What the device is told.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceAuthorizationResponse {
    pub device_code: String,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: String,
    pub expires_in: u64,
    /// Seconds between two requests for tokens.
    pub interval: u64,
}

impl DeviceAuthorizationResponse {
    /// Send it with 200 and `Cache-Control: no-store`.
    pub fn to_json(&self) -> String {
        json!({
            "device_code": self.device_code,
            "user_code": self.user_code,
            "verification_uri": self.verification_uri,
            "verification_uri_complete": self.verification_uri_complete,
            "expires_in": self.expires_in,
            "interval": self.interval,
        })
        .to_string()
    }
}

/// Codes stay out of logs.
impl std::fmt::Debug for DeviceAuthorizationResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceAuthorizationResponse")
            .field("verification_uri", &self.verification_uri)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(form: &str) -> Result<DeviceAuthorizationRequest, OAuthError> {
        DeviceAuthorizationRequest::decode(&Params::parse(form.as_bytes()).unwrap())
    }

    #[test]
    fn scope_and_resource_may_be_left_out_and_nothing_comes_twice() {
        let plain = decode("client_id=7").unwrap();
        assert_eq!(plain, DeviceAuthorizationRequest { scopes: None, resources: Vec::new() });
        let full = decode("client_id=7&scope=a+b&resource=https%3A%2F%2Fapi.example").unwrap();
        assert_eq!(full.scopes, Some(ScopeSet::parse("a b").unwrap()));
        assert_eq!(full.resources, ["https://api.example"]);
        for (form, error) in [
            ("client_id=7&scope=a&scope=b", "invalid_request"),
            ("client_id=7&client_id=8", "invalid_request"),
            ("client_id=7&scope=%22", "invalid_scope"),
            ("client_id=7&resource=relative", "invalid_target"),
        ] {
            assert_eq!(decode(form).unwrap_err().kind().as_str(), error, "{form}");
        }
    }
}
