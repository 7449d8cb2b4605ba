//! Which requests of the pages' side count together, what a request has sent before it takes a
//! place, and how one that finds none is sent away.

use axum::body::{Body, Bytes};
use domain::policy::Policy;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use protocol::params::BYTES_MAX;
use server::Answered;

/// What apps call, as against what people look at.
pub(super) fn is_token_endpoint(policy: &Policy, method: &Method, path: &str) -> bool {
    let is_of_a_dialect = || {
        let mut endpoints = policy.dialects.iter().flat_map(|dialect| &dialect.tokens);
        endpoints.any(|endpoint| endpoint.path == path)
    };
    *method == Method::POST
        && (matches!(path, "/oauth/token" | "/oauth/revoke" | "/oauth/introspect")
            || is_of_a_dialect())
}

/// The whole body, so that a client that sends slowly takes nobody's place. Reading stops above the
/// most that a form may have; what reads the form says so. `None`: it was cut short.
pub(super) async fn read_body(mut body: Incoming) -> Option<Body> {
    if http_body::Body::is_end_stream(&body) {
        return Some(Body::empty());
    }
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            whole.extend_from_slice(&data);
        }
        if whole.len() > BYTES_MAX {
            break;
        }
    }
    Some(Body::from(Bytes::from(whole)))
}

/// RFC 6749 §5.2 has no word for it; RFC 6749 §4.1.2.1 has, for the other endpoint.
const TO_AN_APP: &str =
    r#"{"error":"temporarily_unavailable","error_description":"too many requests, try again"}"#;
const TO_A_PERSON: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <title>Too many people at once</title><h1>Too many people at once</h1>\
    <p>More people than we can serve want something right now. Nothing was changed. \
    Wait a few seconds and reload this page.";

/// 503, made without asking anything of what is busy.
pub(super) fn busy(is_app: bool) -> Response<Body> {
    let (content_type, body) = match is_app {
        true => ("application/json", TO_AN_APP),
        false => ("text/html; charset=utf-8", TO_A_PERSON),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let cause = Some("too busy".to_owned());
    response.extensions_mut().insert(Answered { route: None, app: None, grant: None, cause });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static(if is_app { "1" } else { "5" }));
    response
}
