//! The two discovery documents: authorization server (RFC 8414) and protected resource (RFC 9728).

use serde::{Deserialize, Serialize};

use crate::scope::ScopeName;
use crate::token::DEVICE_CODE_GRANT;

/// `/.well-known/oauth-authorization-server`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServerMetadata {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub jwks_uri: String,
    pub revocation_endpoint: String,
    pub introspection_endpoint: String,
    /// RFC 8628 §4
    pub device_authorization_endpoint: String,
    pub scopes_supported: Vec<ScopeName>,
    pub response_types_supported: Vec<String>,
    pub response_modes_supported: Vec<String>,
    pub grant_types_supported: Vec<String>,
    pub token_endpoint_auth_methods_supported: Vec<String>,
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// Of `private_key_jwt` (RFC 8414 §2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocation_endpoint_auth_signing_alg_values_supported: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introspection_endpoint_auth_signing_alg_values_supported: Vec<String>,
    pub code_challenge_methods_supported: Vec<String>,
    /// RFC 9470 §7
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values_supported: Vec<String>,
    /// RFC 9207 §3
    pub authorization_response_iss_parameter_supported: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_documentation: Option<String>,
    /// RFC 9728 §4
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected_resources: Vec<String>,
}

/// Addresses of the endpoints, all absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub authorization: String,
    pub token: String,
    pub jwks: String,
    pub revocation: String,
    pub introspection: String,
    pub device_authorization: String,
}

impl AuthorizationServerMetadata {
    /// What the standard endpoints of this crate support: code with S256, query and form post.
    pub fn standard(
        issuer: impl Into<String>,
        endpoints: Endpoints,
        scopes_supported: Vec<ScopeName>,
    ) -> Self {
        let with_secret =
            || words(&["client_secret_basic", "client_secret_post", "private_key_jwt"]);
        let with_none =
            || words(&["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]);
        let algorithms = || words(&["ES256", "EdDSA", "RS256"]);
        Self {
            issuer: issuer.into(),
            authorization_endpoint: endpoints.authorization,
            token_endpoint: endpoints.token,
            jwks_uri: endpoints.jwks,
            revocation_endpoint: endpoints.revocation,
            introspection_endpoint: endpoints.introspection,
            device_authorization_endpoint: endpoints.device_authorization,
            scopes_supported,
            response_types_supported: words(&["code"]),
            response_modes_supported: words(&["query", "form_post"]),
            grant_types_supported: words(&[
                "authorization_code",
                "refresh_token",
                "client_credentials",
                DEVICE_CODE_GRANT,
            ]),
            token_endpoint_auth_methods_supported: with_none(),
            revocation_endpoint_auth_methods_supported: with_none(),
            introspection_endpoint_auth_methods_supported: with_secret(),
            token_endpoint_auth_signing_alg_values_supported: algorithms(),
            revocation_endpoint_auth_signing_alg_values_supported: algorithms(),
            introspection_endpoint_auth_signing_alg_values_supported: algorithms(),
            code_challenge_methods_supported: words(&["S256"]),
            acr_values_supported: Vec::new(),
            authorization_response_iss_parameter_supported: true,
            service_documentation: None,
            protected_resources: Vec::new(),
        }
    }
}

/// `/.well-known/oauth-protected-resource`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedResourceMetadata {
    pub resource: String,
    pub authorization_servers: Vec<String>,
    pub scopes_supported: Vec<ScopeName>,
    pub bearer_methods_supported: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_documentation: Option<String>,
    /// Keys of the assertion that the gateway signs for the API behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
}

impl ProtectedResourceMetadata {
    /// An API guarded by one authorization server, tokens in the header only (RFC 6750 §2.1).
    pub fn new(
        resource: impl Into<String>,
        issuer: impl Into<String>,
        scopes_supported: Vec<ScopeName>,
    ) -> Self {
        Self {
            resource: resource.into(),
            authorization_servers: vec![issuer.into()],
            scopes_supported,
            bearer_methods_supported: words(&["header"]),
            resource_name: None,
            resource_documentation: None,
            jwks_uri: None,
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata() -> AuthorizationServerMetadata {
        let endpoints = Endpoints {
            authorization: "https://as.example/authorize".into(),
            token: "https://as.example/token".into(),
            jwks: "https://as.example/jwks".into(),
            revocation: "https://as.example/revoke".into(),
            introspection: "https://as.example/introspect".into(),
            device_authorization: "https://as.example/device".into(),
        };
        let scopes = vec![ScopeName::parse("orders.read").unwrap()];
        AuthorizationServerMetadata::standard("https://as.example", endpoints, scopes)
    }

    #[test]
    fn discovery_says_what_strict_clients_look_for() {
        let document = json!(metadata());
        assert_eq!(document["issuer"], "https://as.example");
        assert_eq!(document["response_types_supported"], json!(["code"]));
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        assert_eq!(document["scopes_supported"], json!(["orders.read"]));
        assert!(document.get("service_documentation").is_none());
    }

    #[test]
    fn introspection_is_not_offered_to_public_clients() {
        let document = metadata();
        let none = "none".to_owned();
        assert!(document.token_endpoint_auth_methods_supported.contains(&none));
        assert!(!document.introspection_endpoint_auth_methods_supported.contains(&none));
    }

    #[test]
    fn a_resource_takes_tokens_in_the_header_only() {
        let document = json!(ProtectedResourceMetadata::new(
            "https://api.example",
            "https://as.example",
            vec![]
        ));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
        assert_eq!(document["authorization_servers"], json!(["https://as.example"]));
    }
}
