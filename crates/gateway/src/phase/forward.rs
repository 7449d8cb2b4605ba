//! Phase 5, forward: the call goes to the upstream with a clean head and a proven identity, and the
//! answer comes back as it is made. Bodies are never held; what waits, waits with a limit.

use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::authority::Authority;
use domain::grant::Mode;
use futures_util::FutureExt as _;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::{Api, Target};
use crate::body::{Body, WATCH_AFTER, Watch};
use crate::cors;
use crate::error::GatewayError;
use crate::facts::Open;
use crate::headers::{self, Hop, REQUEST_ID};
use crate::pass::Inner;
use crate::phase::authenticate::{Caller, Proof};
use crate::phase::matching::Matched;
use crate::tunnel;
use crate::upload::{Fault, Progress, Sent, Upload};
use crate::watch::{Ends, Watched};

/// A call that may go on.
pub(crate) struct Call<'a> {
    pub(crate) matched: Matched<'a>,
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) client: IpAddr,
    pub(crate) request_id: &'a HeaderValue,
}

pub(crate) async fn forward<A: Authority>(
    gateway: &Arc<Inner<A>>,
    call: Call<'_>,
    mut parts: Parts,
    body: Sent,
) -> Result<(Response<Body>, Duration), GatewayError> {
    let api = call.matched.api;
    // Whoever tests never reaches the real API (attack G10).
    let upstream = match call.caller.map_or(Mode::Live, |caller| caller.proof.mode()) {
        Mode::Live => &api.upstream,
        Mode::Test => &api.test_upstream,
    };
    let target = upstream.as_ref().ok_or(GatewayError::Internal("no upstream"))?;
    let bytes_max = target.declared.body_max;
    // Said before a byte is read; what is not announced is counted on its way.
    if body.bytes_min() > bytes_max {
        return Err(GatewayError::BodyTooLarge(bytes_max));
    }
    let place = Arc::clone(&target.places).try_acquire_owned().map_err(|_| GatewayError::Busy)?;
    let client_upgrade = parts.extensions.remove::<OnUpgrade>();
    let method = parts.method.clone();
    let (head, hop) = head_for(gateway.as_ref(), target, &call, parts)?;
    let watched = call.caller.map(|caller| Watched {
        gateway: Arc::clone(gateway),
        api: Arc::clone(api),
        method,
        path: call.matched.path,
        client: call.client,
        proof: caller.proof.clone(),
        ends: Ends::WithItself,
    });
    let upload = Upload::new(body, bytes_max, &api.resource.drop_request_headers);
    let sent_at = Instant::now();
    let answer = exchange(target, head, upload, watched.as_ref(), place).await?;
    let took = sent_at.elapsed();
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client_upgrade) = client_upgrade.filter(|_| hop.asks_websocket) else {
            return Err(GatewayError::BadAnswer("an upgrade that nobody asked for".to_owned()));
        };
        let shares_origin = api.shares_origin;
        let answer = tunnel::open(gateway, target, client_upgrade, answer, shares_origin, watched)?;
        return Ok((answer, took));
    }
    let open = Open::among(&gateway.streams);
    Ok((answer_of(answer, target, api, watched, open), took))
}

/// The request's head as the upstream gets it.
fn head_for<A: Authority>(
    gateway: &Inner<A>,
    target: &Target,
    call: &Call<'_>,
    parts: Parts,
) -> Result<(Request<()>, Hop), GatewayError> {
    let api = call.matched.api;
    let Parts { method, uri, mut headers, .. } = parts;
    let host = headers.remove(HOST).or_else(|| {
        uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
    });
    let hop = headers::clean_request(&mut headers, &api.resource.drop_request_headers);
    // All that is added below, at once.
    headers.reserve(13);
    headers::add_forwarded(&mut headers, call.client, host, &api.scheme);
    headers.insert(HOST, target.host.clone());
    headers.insert(REQUEST_ID, call.request_id.clone());
    if hop.takes_trailers {
        headers::add_takes_trailers(&mut headers);
    }
    if hop.asks_websocket {
        headers::add_websocket(&mut headers);
    }
    if let Some(caller) = call.caller {
        if let Proof::Key { signing, .. } = &caller.proof {
            signing.clean(&mut headers);
        }
        let now = gateway.clock.now();
        api.identities.write(&mut headers, caller, &call.matched, now)?;
    }
    let mut head = Request::new(());
    *head.method_mut() = method;
    *head.version_mut() = Version::HTTP_11;
    *head.uri_mut() = target
        .uri(&api.resource.path_prefix, &call.matched.path, &uri)
        .ok_or(GatewayError::Internal("the upstream's address could not be made"))?;
    *head.headers_mut() = headers;
    Ok((head, hop))
}

/// Sends the request and waits for the head of the answer. A call without a body and without effect
/// (RFC 9110 §9.2.1) is sent once more when the connection, usually one that the upstream was just
/// closing, ended before a byte of the answer.
async fn exchange<A: Authority>(
    target: &Target,
    head: Request<()>,
    (upload, progress): (Upload, Option<Arc<Progress>>),
    watched: Option<&Watched<A>>,
    place: OwnedSemaphorePermit,
) -> Result<Response<Incoming>, GatewayError> {
    let mut place = Some(place);
    let is_safe = matches!(*head.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let spare = (is_safe && progress.is_none()).then(|| head.clone());
    let request = head.map(|()| upload);
    let first = attempt(target, request, progress.as_deref(), watched, &mut place);
    match (first.await, spare) {
        (Err(Failure::LostConnection(_)), Some(head)) => {
            let request = head.map(|()| Upload::empty());
            Ok(attempt(target, request, None, watched, &mut place).await?)
        }
        (answer, _) => Ok(answer?),
    }
}

enum Failure {
    /// Before a byte of the answer.
    LostConnection(String),
    Other(GatewayError),
}

impl From<Failure> for GatewayError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::LostConnection(cause) => Self::BadAnswer(cause),
            Failure::Other(error) => error,
        }
    }
}

async fn attempt<A: Authority>(
    target: &Target,
    request: Request<Upload>,
    progress: Option<&Progress>,
    watched: Option<&Watched<A>>,
    place: &mut Option<OwnedSemaphorePermit>,
) -> Result<Response<Incoming>, Failure> {
    let started = Instant::now();
    let mut answer = pin!(target.clients.request(request));
    let failed = |error| failure_of(&error, progress);
    // Nearly every call ends here.
    let first = WATCH_AFTER.min(target.declared.answer_timeout);
    if let Ok(answer) = timeout(first, &mut answer).await {
        return answer.map_err(failed);
    }
    let mut cut = pin!(async {
        match watched {
            Some(watched) => watched.clone().until_cut().await,
            None => std::future::pending().await,
        }
    });
    loop {
        // It is the client that is slow: it must not keep others from the upstream.
        if progress.is_some_and(Progress::waits_for_client) {
            drop(place.take());
        }
        let (deadline, overdue) = deadline_of(target, started, progress);
        let wake = match progress.filter(|progress| place.is_some() && !progress.is_done()) {
            Some(_) => deadline.min(Instant::now() + WATCH_AFTER),
            None => deadline,
        };
        tokio::select! {
            answer = &mut answer => return answer.map_err(failed),
            cut = &mut cut => return Err(Failure::Other(GatewayError::Cut(cut))),
            () = sleep_until(wake) => {
                // The body may have moved on while this slept.
                if deadline_of(target, started, progress).0 <= Instant::now() {
                    return Err(Failure::Other(overdue));
                }
            }
        }
    }
}

/// When waiting ends if nothing happens, and whose fault that is. An upload may take as long as it
/// goes on; the upstream's time starts when it has the whole request.
fn deadline_of(
    target: &Target,
    started: Instant,
    progress: Option<&Progress>,
) -> (Instant, GatewayError) {
    let declared = &target.declared;
    match progress {
        Some(progress) if !progress.is_done() => {
            let overdue = match progress.waits_for_client() {
                true => GatewayError::ClientStalled,
                false => GatewayError::AnswerTimeout("it stopped reading the request"),
            };
            (progress.last() + declared.idle_timeout, overdue)
        }
        _ => {
            let sent_at = progress.map_or(started, Progress::last);
            (sent_at + declared.answer_timeout, GatewayError::AnswerTimeout("no answer in time"))
        }
    }
}

fn failure_of(error: &hyper_util::client::legacy::Error, progress: Option<&Progress>) -> Failure {
    let fault = progress.and_then(Progress::fault);
    if let Some(fault) = fault {
        return Failure::Other(match fault {
            Fault::TooLarge(bytes_max) => GatewayError::BodyTooLarge(bytes_max),
            Fault::Broken => GatewayError::BodyBroken,
        });
    }
    let mut next = error.source();
    let mut text = error.to_string();
    let mut lost = false;
    let mut timed_out = false;
    while let Some(cause) = next {
        next = cause.source();
        text = format!("{text}: {cause}");
        if let Some(cause) = cause.downcast_ref::<hyper::Error>() {
            lost |= cause.is_incomplete_message() || cause.is_canceled();
        }
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut};
            lost |= matches!(cause.kind(), BrokenPipe | ConnectionAborted | ConnectionReset);
            timed_out |= cause.kind() == TimedOut;
        }
    }
    match (error.is_connect(), timed_out, lost) {
        (true, true, _) => Failure::Other(GatewayError::AnswerTimeout("no connection in time")),
        (true, false, _) => Failure::Other(GatewayError::Unreachable(text)),
        (false, _, true) => Failure::LostConnection(text),
        (false, _, false) => Failure::Other(GatewayError::BadAnswer(text)),
    }
}

/// The upstream's answer as the client gets it. Redirects pass like any other answer: following
/// one would send the gateway wherever the upstream points (attack G12).
fn answer_of<A: Authority>(
    answer: Response<Incoming>,
    target: &Target,
    api: &Api,
    watched: Option<Watched<A>>,
    open: Open,
) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    let mut headers = parts.headers;
    let ends = if is_event_stream(&headers) { Ends::WithToken } else { Ends::WithItself };
    headers::clean_answer(&mut headers, api.shares_origin);
    if api.cors.is_some() {
        cors::remove_theirs(&mut headers);
    }
    let body = match http_body::Body::is_end_stream(&body) {
        true => Body::empty(),
        false => {
            let watch = watched.map(|watched| {
                let watched = Watched { ends, ..watched };
                Box::new(move || watched.until_cut().boxed()) as Watch
            });
            Body::upstream(body, target.declared.idle_timeout, watch, open)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    response
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let start = value.as_bytes().get(..EVENT_STREAM.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
    })
}
