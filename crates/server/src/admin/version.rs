//! What a thing was when somebody read it: a strong ETag over everything that its record says, and
//! the conditions that name one (RFC 9110 §13).

use std::convert::Infallible;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH, LOCATION};
use http::request::Parts;
use http::{HeaderName, StatusCode};
use serde::Serialize;

use super::problem::{Problem, ProblemKind};
use super::schema::{Components, Schema};

/// A record of one thing.
pub trait Versioned: Serialize {
    /// What its ETag covers; use that is noted now and then is no change.
    fn etag(&self) -> String {
        etag_of(self)
    }
}

pub(super) fn etag_of(content: &(impl Serialize + ?Sized)) -> String {
    let text = serde_json::to_vec(content).unwrap_or_default();
    let hash = digest(&SHA256, &text);
    let short = hash.as_ref().get(..16).unwrap_or_default();
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(short))
}

/// One thing, with its ETag.
#[derive(Clone, Debug)]
pub struct Found<T>(pub T);

impl<T: Versioned> IntoResponse for Found<T> {
    fn into_response(self) -> Response {
        let etag = self.0.etag();
        let mut response = Json(self.0).into_response();
        if let Ok(value) = HeaderValue::from_str(&etag) {
            response.headers_mut().insert(ETAG, value);
        }
        response
    }
}

impl<T: Schema> Schema for Found<T> {
    fn schema(of: &mut Components) -> serde_json::Value {
        T::schema(of)
    }
}

/// Something new, with where it is.
#[derive(Clone, Debug)]
pub struct Created<T>(pub String, pub T);

impl<T: Versioned> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Found(self.1)).into_response();
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            response.headers_mut().insert(LOCATION, value);
        }
        response
    }
}

impl<T: Schema> Schema for Created<T> {
    fn schema(of: &mut Components) -> serde_json::Value {
        T::schema(of)
    }
}

/// `If-Match`: what the thing must still be. Without one, anything.
#[derive(Clone, Debug, Default)]
pub struct IfMatch(Option<String>);

impl IfMatch {
    pub fn check(&self, current: &str) -> Result<(), Problem> {
        match &self.0 {
            Some(wanted) if !names(wanted, current) => {
                let text = "it was changed since you read it: read it again, and decide again";
                Err(Problem::new(ProblemKind::Stale, text))
            }
            _ => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(header(&parts.headers, &IF_MATCH)))
    }
}

/// All fields of the name, as one list.
pub(super) fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let values: Vec<&str> = values.collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Whether a list of ETags holds `current`, or is `*`. Weak ones match nothing strongly.
pub(super) fn names(list: &str, current: &str) -> bool {
    list.split(',').map(str::trim).any(|one| one == "*" || one == current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_the_state_or_any() {
        let check = |wanted: &str| IfMatch(Some(wanted.to_owned())).check("\"a\"").is_ok();
        assert!(check("\"a\"") && check("*") && check("\"b\", \"a\"") && check("\"b\",\"a\""));
        assert!(!check("\"b\"") && !check("W/\"a\"") && !check("a") && !check(""));
        assert!(IfMatch(None).check("\"a\"").is_ok());
    }
}
