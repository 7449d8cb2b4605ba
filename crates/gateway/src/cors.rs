//! CORS: which web pages may call an API from a browser (Fetch standard, “CORS protocol”). Calls
//! carry a token and never cookies, so there is no `Access-Control-Allow-Credentials`. What an API
//! with its own idea of this says is replaced, so that there is one answer.

use domain::policy::{self, CorsOrigins};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::body::Body;
use crate::headers;

/// Of the request. `*` would not stand for `Authorization`.
const REQUEST_HEADERS: &str = "Authorization, Content-Type";
/// Of the answer: what the gateway itself says to apps.
const ANSWER_HEADERS: &str = "WWW-Authenticate, RateLimit, RateLimit-Policy, Retry-After, \
                              Consentry-Request-Id, Consentry-Error-Source";
/// How long browsers may go by one preflight.
const MAX_AGE_SECONDS: u32 = 600;

/// One API's rules, ready to send.
pub(crate) struct Cors {
    origins: CorsOrigins,
    headers: HeaderValue,
    expose: HeaderValue,
}

/// Fetch, “HTTP requests”: a question before the call, without a token.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl Cors {
    pub(crate) fn new(declared: &policy::Cors) -> Self {
        Self {
            origins: declared.origins.clone(),
            headers: list(REQUEST_HEADERS, &declared.headers),
            expose: list(ANSWER_HEADERS, &declared.expose),
        }
    }

    /// The answer to a preflight, except for what [`Self::write`] says.
    pub(crate) fn preflight(&self, methods: &[Method]) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
        let answer = response.headers_mut();
        if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS.into());
        response
    }

    /// Says on any answer which page may read it, and what of it.
    pub(crate) fn write(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        let allowed = match &self.origins {
            CorsOrigins::Any => Some(HeaderValue::from_static("*")),
            CorsOrigins::Listed(listed) => {
                // Also where no page asked: a cache may keep the answer for one that does.
                answer.append(VARY, HeaderValue::from_static("Origin"));
                origin.filter(|origin| listed.iter().any(|listed| listed == *origin)).cloned()
            }
        };
        if let Some(allowed) = allowed {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.clone());
        }
    }
}

/// What an upstream says of CORS itself.
pub(crate) fn remove_theirs(answer: &mut HeaderMap) {
    headers::remove_matching(answer, |name| name.starts_with("access-control-"));
}

fn list(ours: &'static str, more: &[String]) -> HeaderValue {
    let all: Vec<&str> = std::iter::once(ours).chain(more.iter().map(String::as_str)).collect();
    // The config has looked at the names; what could not be sent would be left out whole.
    HeaderValue::from_str(&all.join(", ")).unwrap_or(HeaderValue::from_static(ours))
}
