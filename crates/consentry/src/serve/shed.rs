//! Which requests of the pages' side count together, what a request has sent before it takes a
//! place, and how one that finds none is sent away.

use axum::body::{Body, Bytes};
use axum::response::{Html, IntoResponse as _};
use domain::policy::Policy;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use protocol::error::OAuthError;
use protocol::params::BYTES_MAX;
use server::Answered;
use server::oauth::answer::TokenError;

/// What apps call, as against what people look at.
pub(super) fn is_token_endpoint(policy: &Policy, method: &Method, path: &str) -> bool {
    let is_of_a_dialect = || {
        let mut endpoints = policy.dialects.iter().flat_map(|dialect| &dialect.tokens);
        endpoints.any(|endpoint| endpoint.path == path)
    };
    let is_about_a_key = || {
        let keys = policy.dialects.iter().filter_map(|dialect| dialect.partner_keys.as_ref());
        path.starts_with("/oauth/partner-keys/") || keys.into_iter().any(|keys| keys.owns(path))
    };
    let takes_tokens = || {
        matches!(path, "/oauth/token" | "/oauth/revoke" | "/oauth/introspect") || is_of_a_dialect()
    };
    is_about_a_key() || *method == Method::POST && takes_tokens()
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

const TO_A_PERSON: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <title>Too many people at once</title><h1>Too many people at once</h1>\
    <p>More people than we can serve want something right now. Nothing was changed. \
    Wait a few seconds and reload this page.";

/// 503, made without asking anything of what is busy. Apps get it as the token endpoint says it
/// when the database is away.
pub(super) fn busy(is_app: bool) -> Response<Body> {
    const HEADERS: [(HeaderName, &str); 3] = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut response = match is_app {
        true => TokenError::from(OAuthError::temporarily_unavailable(1)).into_response(),
        false => {
            let retry_after = [(RETRY_AFTER, "5")];
            (StatusCode::SERVICE_UNAVAILABLE, retry_after, Html(TO_A_PERSON)).into_response()
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let cause = Some("too busy".to_owned());
    response.extensions_mut().insert(Answered { route: None, app: None, grant: None, cause });
    response
}

#[cfg(test)]
mod tests {
    use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};

    use super::*;

    #[test]
    fn apps_and_people_are_told_when_to_come_back_in_their_own_words() {
        let (app, person) = (busy(true), busy(false));
        for (answer, seconds, content_type) in
            [(app, "1", "application/json"), (person, "5", "text/html; charset=utf-8")]
        {
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()[RETRY_AFTER], seconds);
            assert_eq!(answer.headers()[CONTENT_TYPE], content_type);
            assert_eq!(answer.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
        let allows = busy(true).headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert!(allows, "apps in browsers read it too");
    }
}
