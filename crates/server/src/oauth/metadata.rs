//! `GET /.well-known/oauth-authorization-server` (RFC 8414). Every address in it starts with the
//! issuer of the config, whatever host the request named (attack M2).

use axum::extract::State;
use axum::response::Response;
use domain::authentication::Acr;
use domain::policy::DocsReaders;
use protocol::metadata::{AuthorizationServerMetadata, Endpoints};
use serde_json::json;

use crate::oauth::answer;
use crate::provider::Shared;

pub async fn show(State(provider): State<Shared>) -> Response {
    let policy = provider.policy();
    let at = |path: &str| format!("{}{path}", policy.issuer);
    let endpoints = Endpoints {
        authorization: at("/oauth/authorize"),
        token: at("/oauth/token"),
        jwks: at("/.well-known/jwks.json"),
        revocation: at("/oauth/revoke"),
        introspection: at("/oauth/introspect"),
        device_authorization: at("/oauth/device_authorization"),
    };
    let scopes = policy.scopes.keys().cloned().collect();
    let document = AuthorizationServerMetadata {
        acr_values_supported: Acr::ALL.iter().map(|acr| acr.as_str().to_owned()).collect(),
        service_documentation: (policy.docs == DocsReaders::Everyone).then(|| at("/docs")),
        protected_resources: policy.resources.iter().map(|r| r.identifier.clone()).collect(),
        ..AuthorizationServerMetadata::standard(policy.issuer.clone(), endpoints, scopes)
    };
    answer::document(json!(document).to_string())
}
