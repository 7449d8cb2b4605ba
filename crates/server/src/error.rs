//! What can go wrong with a page. Handlers return [`PageError`]; one middleware logs it once and
//! renders it for a person. What the outside sees and what the log sees are different things.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use domain::authority::Authority as _;
use domain::request_log::{Door, Request as Asked};
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use protocol::dialect::Dialect;
use store::DbError;
use tokio::time::Instant;

use crate::form::FormError;
use crate::headers;
use crate::noted::{Answered, Cause, Noted};
use crate::pages::views::{ErrorPage, Layout};
use crate::pages::words;
use crate::provider::Shared;

/// After how long a page that could not be made may be asked for again.
const RETRY_AFTER_SECONDS: u64 = 5;

#[derive(Clone, Debug, thiserror::Error)]
pub enum PageError {
    /// The visitor must sign in first; `continue_to` is a path of ours.
    #[error("sign-in needed")]
    SignInNeeded { continue_to: String },
    /// The user must prove again who they are; `to` is the page of ours that asks.
    #[error("a fresh proof needed")]
    ProofNeeded { to: String },
    #[error("no such page or thing")]
    NotFound,
    /// Signed in, but not with the role it takes.
    #[error("not allowed: {0}")]
    Forbidden(Cow<'static, str>),
    /// The form is stale, was sent from elsewhere or twice.
    #[error("the form is no longer valid")]
    StaleForm,
    /// An authorization request that was answered before, or took too long.
    #[error("the authorization request is over")]
    RequestOver,
    /// A link of a message that was used, overtaken by a change, or came too late.
    #[error("the link is over")]
    LinkOver,
    #[error("bad request: {0}")]
    BadRequest(Cow<'static, str>),
    /// A wrong authorization request whose redirect URI cannot be trusted (attacks R1, R6).
    #[error("authorization request refused: {for_developers}")]
    Authorize { what_happened: String, for_developers: String },
    /// The thing is not in a state in which this can be done.
    #[error("conflict: {0}")]
    Conflict(Cow<'static, str>),
    #[error("too many attempts")]
    Throttled { wait: Duration },
    /// More wants to be done than can be. Worth trying again soon.
    #[error("too busy")]
    Busy,
    /// The database cannot be reached or is full. Worth trying again.
    #[error("unavailable: {0}")]
    Unavailable(String),
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<DbError> for PageError {
    fn from(error: DbError) -> Self {
        if error.is_transient() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.to_string())
        }
    }
}

impl From<FormError> for PageError {
    fn from(error: FormError) -> Self {
        Self::BadRequest(error.to_string().into())
    }
}

impl From<protocol::params::Duplicate> for PageError {
    fn from(error: protocol::params::Duplicate) -> Self {
        Self::BadRequest(error.to_string().into())
    }
}

impl PageError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SignInNeeded { .. } | Self::ProofNeeded { .. } => StatusCode::SEE_OTHER,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::StaleForm | Self::RequestOver | Self::BadRequest(_) | Self::Authorize { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::LinkOver => StatusCode::GONE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Title, what happened, what to do.
    fn words(&self) -> (&'static str, String, String) {
        let plain = |title, happened: &str, to_do: &str| (title, happened.into(), to_do.into());
        match self {
            Self::SignInNeeded { .. } | Self::ProofNeeded { .. } => {
                plain("Please sign in", "This page is for signed-in users.", "Sign in.")
            }
            Self::NotFound => plain(
                "There is nothing here",
                "The address may be mistyped, or the thing it named is gone.",
                "Check the address, or start over.",
            ),
            Self::Forbidden(why) => {
                plain("This is not open to you", why, "Sign in with an account that may do this.")
            }
            Self::StaleForm => plain(
                "This form is no longer valid",
                "It was made for another session, or it was sent before.",
                "Go back, reload the page and try again.",
            ),
            Self::RequestOver => plain(
                "This request is over",
                "The app’s request was answered before, or it took longer than half an hour.",
                "Go back to the app and start again.",
            ),
            Self::LinkOver => plain(
                "This link is over",
                "It was used before, a newer change has overtaken it, or its time has passed.",
                "If you still need it, ask for another one.",
            ),
            Self::BadRequest(what) => {
                plain("We cannot read this request", what, "Go back and try again.")
            }
            Self::Authorize { what_happened, .. } => plain(
                "This app sent you here with a wrong request",
                what_happened,
                "Go back to the app and try again. If it happens again, tell the app’s developer.",
            ),
            Self::Conflict(what) => {
                plain("This cannot be done now", what, "Reload the page to see how things stand.")
            }
            Self::Throttled { wait } => (
                "Too many attempts",
                "To protect the account, we stopped looking at attempts for a while.".into(),
                format!("Wait {} and try again.", duration_words(*wait)),
            ),
            Self::Busy => plain(
                "Too many people at once",
                "More people than we can serve want the same right now. Nothing was changed.",
                "Wait a few seconds and try again.",
            ),
            Self::Unavailable(_) => plain(
                "We cannot do this right now",
                "A part of our service does not answer. Nothing was changed.",
                "Try again in a minute.",
            ),
            Self::Internal(_) => plain(
                "Something went wrong on our side",
                "The mistake is ours and was logged. Nothing was changed.",
                "Try again. If it happens again, tell support the request id below.",
            ),
        }
    }

    fn for_developers(&self) -> Option<String> {
        match self {
            Self::Authorize { for_developers, .. } => Some(for_developers.clone()),
            _ => None,
        }
    }
}

/// At least one second, in the words of the pages.
pub fn duration_words(duration: Duration) -> String {
    let seconds = i64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    words::duration(seconds.max(1))
}

impl IntoResponse for PageError {
    /// An empty answer that [`render`] fills; a redirect is complete as it is.
    fn into_response(self) -> Response {
        if let Self::SignInNeeded { continue_to } = &self {
            // Only forms lead to the start page: see `sign_in::show`.
            let query = match continue_to.as_str() {
                "/" => form_query(&[("continue", "/"), ("after", "form")]),
                path => form_query(&[("continue", path)]),
            };
            return Redirect::to(&format!("/sign-in?{query}")).into_response();
        }
        if let Self::ProofNeeded { to } = &self {
            return Redirect::to(to).into_response();
        }
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// `name=value&…`, encoded.
pub fn form_query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The id under which a request is logged; the error page shows it.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Render the [`PageError`] of a response, give every request an id and every answer the headers
/// that all have, and tell the listener what the request was: it logs each once. Failures of ours
/// are logged here too, with all there is to know. One layer, as each costs every request a copy of
/// the service below.
pub async fn render(State(provider): State<Shared>, mut request: Request, next: Next) -> Response {
    let given = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let id = given.unwrap_or_else(|| provider.request_ids.make());
    request.extensions_mut().insert(RequestId(id.clone()));
    let noted = Noted::default();
    request.extensions_mut().insert(noted.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, began) = (request.method().clone(), Instant::now());
    let mut response = next.run(request).await;
    let mut cause = response.extensions_mut().remove::<Cause>().map(|cause| cause.0);
    if let Some(error) = response.extensions_mut().remove::<PageError>() {
        match &error {
            PageError::Internal(_) | PageError::Unavailable(_) => {
                tracing::error!(request_id = %id, %error, "page failed");
            }
            _ => cause = Some(error.to_string()),
        }
        response = error_page(&provider, &error, &id);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    headers::add(&mut response);
    if let Some(route) = route.as_ref().map(MatchedPath::as_str) {
        let asked =
            TokenAsked { route, method: &method, request_id: &id, latency: began.elapsed() };
        asked.note(&provider, &noted, (response.status(), cause.as_deref()));
    }
    let (app, grant) = (noted.app(), noted.grant());
    response.extensions_mut().insert(Answered { route, app, grant, cause });
    response
}

/// A request that may have come to a token endpoint, for the log of its app's developer.
struct TokenAsked<'a> {
    route: &'a str,
    method: &'a Method,
    request_id: &'a str,
    latency: Duration,
}

impl TokenAsked<'_> {
    fn note(&self, provider: &Shared, noted: &Noted, (status, cause): (StatusCode, Option<&str>)) {
        let policy = provider.policy.load();
        let of_dialect = |dialect: &std::sync::Arc<Dialect>| {
            dialect.tokens.iter().any(|endpoint| endpoint.path == self.route)
        };
        if self.route != "/oauth/token" && !policy.dialects.iter().any(of_dialect) {
            return;
        }
        let Some(app_id) = noted.app().or(noted.named()) else { return };
        // `CODE: TEXT`, in our own words.
        let (reason, detail) =
            cause.map_or(("", ""), |text| text.split_once(": ").unwrap_or((text, "")));
        // Some dialects say with 200 that they refuse.
        let is_ok_in_name = cause.is_some() && status.as_u16() < 400;
        let status = if is_ok_in_name { StatusCode::BAD_REQUEST } else { status };
        provider.store.note_request(&Asked {
            app_id,
            user_id: None,
            mode: None,
            door: Door::Token,
            is_proven: noted.app().is_some(),
            at: provider.now(),
            request_id: self.request_id,
            method: self.method.as_str(),
            route: self.route,
            status: status.as_u16(),
            reason,
            detail: &detail.to_owned(),
            latency: self.latency,
        });
    }
}

fn error_page(provider: &Shared, error: &PageError, request_id: &str) -> Response {
    let (title, what_happened, what_to_do) = error.words();
    let view = ErrorPage {
        layout: Layout::signed_out(""),
        status: error.status().as_u16(),
        title: title.to_owned(),
        what_happened,
        what_to_do,
        for_developers: error.for_developers(),
        link: Some(("/".to_owned(), "Go to the start page".to_owned())),
        request_id: request_id.to_owned(),
    };
    let mut response = crate::view::page_with_status(provider, error.status(), &view);
    let seconds = match error {
        PageError::Throttled { wait } => Some(wait.as_secs().max(1)),
        PageError::Busy | PageError::Unavailable(_) => Some(RETRY_AFTER_SECONDS),
        _ => None,
    };
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

pub async fn not_found() -> PageError {
    PageError::NotFound
}

pub async fn method_not_allowed() -> Response {
    StatusCode::METHOD_NOT_ALLOWED.into_response()
}
