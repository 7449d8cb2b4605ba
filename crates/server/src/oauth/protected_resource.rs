//! `GET /.well-known/oauth-protected-resource{path of the resource}` (RFC 9728): an API says which
//! authorization server guards it. Without a path: the first API of the config.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use domain::policy::{Policy, Resource};
use http::StatusCode;
use protocol::metadata::ProtectedResourceMetadata;
use serde_json::json;
use url::Url;

use crate::oauth::answer;
use crate::provider::Shared;

pub async fn show_default(State(provider): State<Shared>) -> Response {
    let policy = provider.policy();
    let without_path = policy.resources.iter().find(|resource| path_of(resource) == "/");
    describe(&policy, without_path.or(policy.resources.first()))
}

pub async fn show(State(provider): State<Shared>, Path(path): Path<String>) -> Response {
    let policy = provider.policy();
    let wanted = format!("/{path}");
    describe(&policy, policy.resources.iter().find(|resource| path_of(resource) == wanted))
}

fn path_of(resource: &Resource) -> String {
    Url::parse(&resource.identifier).map(|url| url.path().to_owned()).unwrap_or_default()
}

fn describe(policy: &Policy, resource: Option<&Resource>) -> Response {
    let Some(resource) = resource else { return StatusCode::NOT_FOUND.into_response() };
    let scopes = policy.scopes.keys().cloned().collect();
    let document = ProtectedResourceMetadata {
        resource_name: Some(resource.name.clone()),
        jwks_uri: Some(format!("{}/.well-known/jwks.json", policy.issuer)),
        ..ProtectedResourceMetadata::new(&resource.identifier, &policy.issuer, scopes)
    };
    answer::document(json!(document).to_string())
}
