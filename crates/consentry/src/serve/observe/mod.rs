//! What is told of every request once it is answered: one line in the log, a few counts, and a span
//! if it is traced. One value per provider. Nothing that was sent is told, only what it was
//! recognised as: patterns of routes, ids of apps and grants, reasons out of a short list.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use domain::entropy::Entropy;
use domain::id::{AppId, GrantId, PartnerKeyId};
use domain::time::{Clock, Timestamp};
use gateway::{Facts, Refused};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use server::Answered;
use tokio::time::Instant;
use tracing::Level;

use crate::config::Telemetry;

mod counts;
mod metrics;
mod otlp;
mod process;
mod trace;

pub(super) use metrics::{Metrics, Watched};
pub(super) use process::raise_open_files;

use counts::{Answers, Table};
use otlp::{Exporter, Span};
use trace::Context;

const REQUEST_ID: HeaderName = HeaderName::from_static("consentry-request-id");
/// What no route matched is one thing.
const UNMATCHED: &str = "unmatched";

#[derive(Debug)]
pub(super) struct Observer {
    counts: Option<Arc<Counts>>,
    exporter: Option<Exporter>,
    /// One request in so many starts a trace.
    one_in: u32,
    turn: AtomicU32,
    /// Requests whose client went before the answer.
    abandoned: AtomicU64,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Everything that is counted by request.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By route pattern and method.
    pages: Table<Answers>,
    /// By API and route family.
    calls: Table<Answers>,
    /// By API and reason; the phase goes with the reason.
    refusals: Table<Refusals>,
}

#[derive(Debug, Default)]
struct Refusals {
    count: AtomicU64,
    phase: std::sync::OnceLock<&'static str>,
}

/// A request that has begun. Dropped before it was answered, its client went.
#[derive(Debug)]
pub(super) struct Begun<'a> {
    observer: &'a Observer,
    method: Method,
    client: IpAddr,
    id: HeaderValue,
    began: Instant,
    trace: Option<(Context, Timestamp)>,
    is_answered: bool,
}

/// What it turned out to be.
#[derive(Default)]
struct Summary {
    api: Option<String>,
    family: Option<String>,
    route: Option<String>,
    app: Option<AppId>,
    grant: Option<GrantId>,
    key: Option<PartnerKeyId>,
    refused: Option<Refused>,
    cause: Option<String>,
    upstream: Option<Duration>,
}

impl Observer {
    /// The second part sends traces; it ends some time after the observer.
    pub(super) fn new(
        telemetry: &Telemetry,
        service: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> (Self, Option<impl Future<Output = ()> + Send + use<>>) {
        let otlp = telemetry.otlp.as_ref();
        let made = otlp.map(|otlp| Exporter::new(&otlp.url, service));
        let (exporter, sending) = made.unzip();
        let observer = Self {
            counts: telemetry.metrics.then(Arc::default),
            exporter,
            one_in: otlp.map_or(1, |otlp| otlp.one_in),
            turn: AtomicU32::new(0),
            abandoned: AtomicU64::new(0),
            clock,
            entropy,
        };
        (observer, sending)
    }

    /// `trusted`: the peer is a proxy of ours, whose trace goes on here.
    pub(super) fn begin(
        &self,
        method: &Method,
        headers: &mut HeaderMap,
        client: IpAddr,
        trusted: bool,
        id: HeaderValue,
    ) -> Begun<'_> {
        if !trusted {
            trace::remove(headers);
        }
        let trace = self.exporter.as_ref().and_then(|_| {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let context = Context::of(headers, &*self.entropy, turn.is_multiple_of(self.one_in))?;
            context.write(headers);
            Some((context, self.clock.now()))
        });
        let (method, began) = (method.clone(), Instant::now());
        Begun { observer: self, method, client, id, began, trace, is_answered: false }
    }
}

impl Begun<'_> {
    /// The answer's head is ready; what streams behind it is not waited for.
    pub(super) fn answered(mut self, response: &mut Response<Body>) {
        self.is_answered = true;
        let (observer, took) = (self.observer, self.began.elapsed());
        response.headers_mut().entry(REQUEST_ID).or_insert_with(|| self.id.clone());
        let summary = Summary::take(response);
        let status = response.status().as_u16();
        if let Some(counts) = &observer.counts {
            counts.count(&summary, &self.method, status, took);
        }
        summary.log(&self, status, took);
        if let (Some(exporter), Some((context, began_at))) = (&observer.exporter, self.trace)
            && context.sampled
        {
            exporter.export(summary.span(context, began_at, &self, status, took));
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.observer.abandoned.fetch_add(1, Ordering::Relaxed);
            let cause = Some("the client went before the answer".to_owned());
            // As nginx writes it; nobody gets it.
            Summary { cause, ..Summary::default() }.log(self, 499, self.began.elapsed());
        }
    }
}

impl Counts {
    fn count(&self, summary: &Summary, method: &Method, status: u16, took: Duration) {
        let route = summary.route.as_deref().unwrap_or(UNMATCHED);
        let Some(api) = &summary.api else {
            self.pages.at(route, method_word(method), |row| row.count(status, took));
            return;
        };
        let family = summary.family.as_deref().unwrap_or(UNMATCHED);
        self.calls.at(api, family, |row| {
            row.count(status, took);
            if let Some(upstream) = summary.upstream {
                row.upstream.observe(upstream);
            }
        });
        if let Some(refused) = summary.refused {
            self.refusals.at(api, refused.reason, |row| {
                row.count.fetch_add(1, Ordering::Relaxed);
                row.phase.get_or_init(|| refused.phase);
            });
        }
    }
}

/// Anybody can invent methods.
fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

impl Summary {
    fn take(response: &mut Response<Body>) -> Self {
        let extensions = response.extensions_mut();
        if let Some(facts) = extensions.remove::<Facts>() {
            let api = facts.api().map(str::to_owned);
            let (family, route) = facts.route.unzip();
            let Facts { app, grant, key, refused, upstream, .. } = facts;
            return Self { api, family, route, app, grant, key, refused, upstream, cause: None };
        }
        let Some(answered) = extensions.remove::<Answered>() else { return Self::default() };
        let route = answered.route.map(|route| route.as_str().to_owned());
        let Answered { app, grant, cause, .. } = answered;
        Self { route, app, grant, cause, ..Self::default() }
    }

    fn log(&self, begun: &Begun<'_>, status: u16, took: Duration) {
        if !tracing::enabled!(target: "consentry::request", Level::INFO) {
            return;
        }
        tracing::info!(
            target: "consentry::request",
            request_id = begun.id.to_str().unwrap_or_default(),
            method = method_word(&begun.method),
            route = self.route.as_deref().unwrap_or(UNMATCHED),
            status,
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            client = %begun.client,
            api = self.api,
            app = self.app.map(tracing::field::display),
            grant = self.grant.map(tracing::field::display),
            key = self.key.map(tracing::field::display),
            refused = self.refused.map(|refused| refused.reason),
            cause = self.cause,
            "request"
        );
    }

    fn span(
        &self,
        context: Context,
        began_at: Timestamp,
        begun: &Begun<'_>,
        status: u16,
        took: Duration,
    ) -> Span {
        let method = method_word(&begun.method);
        let route = self.route.as_deref().unwrap_or(UNMATCHED);
        let id = begun.id.to_str().unwrap_or_default();
        let mut attributes = vec![
            ("http.request.method", method.to_owned()),
            ("http.route", route.to_owned()),
            ("http.response.status_code", status.to_string()),
            ("consentry.request_id", id.to_owned()),
        ];
        let more = [
            ("consentry.api", self.api.clone()),
            ("consentry.app", self.app.map(|app| app.to_string())),
            ("consentry.grant", self.grant.map(|grant| grant.to_string())),
            ("consentry.key", self.key.map(|key| key.to_string())),
            ("consentry.refused", self.refused.map(|refused| refused.reason.to_owned())),
        ];
        attributes.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let (name, upstream) = (format!("{method} {route}"), self.upstream);
        Span { context, name, began_at, took, status, attributes, upstream }
    }
}
