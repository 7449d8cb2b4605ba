//! In front of every route of the admin API, in this order: who is it, may they, is the body within
//! bounds, is the state named that is to change, was it asked before. Then the handler runs, and
//! what it answers gets what all answers have.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::admin_token::{AdminScope, AdminToken, PREFIX, TEXT_BYTES_MAX};
use domain::audit::AuditActor;
use domain::time::Timestamp;
use domain::user::{Role, User};
use http::header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::{Method, StatusCode};
use serde_json::Value;
use store::{DbError, Tx, admin_tokens, users};

use super::actor::Admin;
use super::idempotency;
use super::operator::Operator;
use super::problem::{Problem, ProblemKind};
use super::version;
use crate::account::limits::Limits;
use crate::address::ClientAddress;
use crate::error::RequestId;
use crate::headers;
use crate::provider::{Provider, Shared};

/// How exactly a token remembers when it was last used: not a write per request.
const TOUCH_AFTER: Duration = Duration::from_secs(3600);

/// What a route asks of whoever comes.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) provider: Shared,
    /// The pattern of the route, for the log.
    pub(super) path: &'static str,
    /// `None`: any token will do.
    pub(super) scope: Option<AdminScope>,
    pub(super) body_max: usize,
    /// A decision about something that was read.
    pub(super) needs_match: bool,
}

pub(super) async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), gate.path);
    let given = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let id = given.unwrap_or_else(|| gate.provider.request_ids.make());
    let if_none_match = version::header(request.headers(), &IF_NONE_MATCH);
    let mut actor = None;
    let mut response = match gate.pass(request, &id, &mut actor).await {
        Ok((request, admin)) if request.method() == Method::POST => {
            idempotency::answer(&gate.provider, &admin, request, next).await
        }
        Ok((request, _)) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let status = response.status();
    let by = actor.map(super::audit::actor_text).unwrap_or_default();
    tracing::info!(%method, path, status = status.as_u16(), by, request_id = %id, "admin");
    if method == Method::GET && status == StatusCode::OK {
        response = unless_known(response, if_none_match.as_deref());
    }
    finish(response, &id).await
}

impl Gate {
    /// The request with its body read and whose it is, or why it goes no further.
    async fn pass(
        &self,
        request: Request,
        id: &str,
        actor: &mut Option<AuditActor>,
    ) -> Result<(Request, Admin), Problem> {
        let (mut parts, body) = request.into_parts();
        let address = parts.extensions.get::<ClientAddress>().map(|address| address.0);
        let admin = match parts.extensions.get::<Operator>() {
            Some(operator) => Admin::operator(operator.clone()),
            None => {
                let address = address.unwrap_or(IpAddr::from([0, 0, 0, 0]));
                let token = authenticate(&self.provider, &parts.headers, address).await?;
                Admin::token(token, address)
            }
        };
        *actor = Some(admin.actor());
        if let Some(scope) = self.scope {
            admin.may(scope)?;
        }
        let changes = [Method::PATCH, Method::DELETE].contains(&parts.method);
        if (changes || self.needs_match) && !parts.headers.contains_key(IF_MATCH) {
            let text = "say in If-Match what you have read (its ETag), or * for whatever it is";
            return Err(Problem::new(ProblemKind::MatchNeeded, text));
        }
        let body = self.read(body).await?;
        parts.extensions.insert(admin.clone());
        parts.extensions.insert(RequestId(id.to_owned()));
        Ok((Request::from_parts(parts, Body::from(body)), admin))
    }

    async fn read(&self, body: Body) -> Result<Bytes, Problem> {
        to_bytes(body, self.body_max).await.map_err(|error| {
            let mut source = std::error::Error::source(&error);
            while let Some(inner) = source {
                if inner.is::<http_body_util::LengthLimitError>() {
                    let text = format!("at most {} bytes are taken here", self.body_max);
                    return Problem::new(ProblemKind::TooLarge, text);
                }
                source = inner.source();
            }
            Problem::new(ProblemKind::Invalid, "the body broke off")
        })
    }
}

/// The token of the request. Wrong ones are counted per address; a right one is never kept waiting,
/// as nobody guesses 256 bits: what is limited is the work that guesses make.
async fn authenticate(
    provider: &Provider,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<AdminToken, Problem> {
    let now = provider.now();
    let refuse = |text: &str| Problem::new(ProblemKind::Unauthorized, text);
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // RFC 9110 §11.1: the scheme is compared without regard to case.
    let text = sent.and_then(|value| value.split_once(' ')).filter(|(scheme, text)| {
        scheme.eq_ignore_ascii_case("bearer")
            && text.starts_with(PREFIX)
            && text.len() <= TEXT_BYTES_MAX
    });
    let Some((_, text)) = text else {
        return match headers.contains_key(AUTHORIZATION) {
            false => Err(refuse("no token was sent: Authorization: Bearer consentry_admin_…")),
            true => Err(refuse("what was sent is no token of the admin API")),
        };
    };
    let mac = provider.keyring().secret_mac(text.as_bytes());
    // The token of somebody who was blocked, or is no reviewer any more, is worth nothing (T8).
    let find = async move |tx: &mut Tx<'_>| {
        let Some(token) = admin_tokens::find_by_mac(tx, &mac).await? else { return Ok(None) };
        if let Some(id) = token.user_id {
            let user = users::find(tx, id).await?;
            let is_staff = |user: &User| user.is_active() && user.has_role(Role::Reviewer);
            if !user.as_ref().is_some_and(is_staff) {
                return Ok(None);
            }
        }
        Ok::<_, DbError>(Some(token))
    };
    let found: Option<AdminToken> = provider.store.db.read(find).await?;
    match found.filter(|token| token.is_live(now)) {
        Some(token) => {
            note_use(provider, &token, now).await;
            Ok(token)
        }
        None => Err(count_failure(provider, address, now).await?),
    }
}

async fn count_failure(
    provider: &Provider,
    address: IpAddr,
    now: Timestamp,
) -> Result<Problem, DbError> {
    let limits = Limits::of_admin_tokens(address);
    let count = async move |tx: &mut Tx<'_>| limits.count(tx, now).await;
    Ok(match provider.store.db.write(count).await? {
        Some(wait) => {
            let text = "too many wrong tokens came from this address";
            Problem { wait: Some(wait), ..Problem::new(ProblemKind::Throttled, text) }
        }
        None => {
            let text = "the token is unknown, expired or revoked";
            Problem::new(ProblemKind::Unauthorized, text)
        }
    })
}

/// Not worth failing a request for.
async fn note_use(provider: &Provider, token: &AdminToken, now: Timestamp) {
    if token.last_used_at.is_some_and(|at| now < at.after(TOUCH_AFTER)) {
        return;
    }
    let id = token.id;
    let touch = async move |tx: &mut Tx<'_>| admin_tokens::touch(tx, id, now).await;
    let noted: Result<(), DbError> = provider.store.db.write_one(touch).await;
    if let Err(error) = noted {
        tracing::warn!(%error, "the last use of an admin token was not noted");
    }
}

/// RFC 9110 §13.1.2: whoever has it already is not sent it again.
fn unless_known(response: Response, if_none_match: Option<&str>) -> Response {
    let etag = response.headers().get(ETAG).cloned();
    let current = etag.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Weak comparison: §13.1.2.
    let strong = if_none_match.map(|list| list.replace("W/", ""));
    match (etag.as_ref(), strong) {
        (Some(value), Some(list)) if version::names(&list, current) => {
            let mut answer = StatusCode::NOT_MODIFIED.into_response();
            answer.headers_mut().insert(ETAG, value.clone());
            answer
        }
        _ => response,
    }
}

/// What every answer has. A problem says in its body too under which id it is logged.
pub(super) async fn finish(mut response: Response, id: &str) -> Response {
    if response.extensions_mut().remove::<Problem>().is_some() {
        response = with_request_id(response, id).await;
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert("x-request-id", value);
    }
    headers::add(&mut response);
    response
}

async fn with_request_id(response: Response, id: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(http::header::CONTENT_LENGTH);
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let body = match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(mut document)) => {
            document.insert("request_id".to_owned(), id.into());
            Bytes::from(Value::Object(document).to_string())
        }
        _ => bytes,
    };
    Response::from_parts(parts, Body::from(body))
}
