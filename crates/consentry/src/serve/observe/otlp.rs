//! Sends finished spans to a collector: OTLP over HTTP in its JSON encoding
//! (opentelemetry-proto, "JSON Protobuf Encoding"), in batches, beside the requests. What the
//! collector does not take in time is lost and counted; nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::time::Timestamp;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::trace::{Context, hex};

/// Spans that wait to be sent.
const QUEUE_MAX: usize = 8_192;
const BATCH_MAX: usize = 512;
/// How long a batch is filled.
const COLLECT_FOR: Duration = Duration::from_secs(1);
const SEND_MAX: Duration = Duration::from_secs(5);

/// One request that has been answered.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) context: Context,
    /// `POST /oauth/token`: method and route pattern.
    pub(super) name: String,
    pub(super) began_at: Timestamp,
    pub(super) took: Duration,
    pub(super) status: u16,
    pub(super) attributes: Vec<(&'static str, String)>,
    /// The call to the upstream at its end.
    pub(super) upstream: Option<Duration>,
}

/// Where spans are handed in.
#[derive(Clone, Debug)]
pub(super) struct Exporter {
    queue: mpsc::Sender<Span>,
    lost: Arc<AtomicU64>,
}

impl Exporter {
    /// The second part runs until the exporter and its clones are gone and all is sent.
    pub(super) fn new(url: &str, service: &str) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, spans) = mpsc::channel(QUEUE_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let sending = send_all(spans, url.to_owned(), service.to_owned(), Arc::clone(&lost));
        (Self { queue, lost }, sending)
    }

    pub(super) fn export(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

async fn send_all(
    mut spans: mpsc::Receiver<Span>,
    url: String,
    service: String,
    lost: Arc<AtomicU64>,
) {
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut was_well = true;
    while let Some(first) = spans.recv().await {
        batch.push(first);
        let fill = async {
            while batch.len() < BATCH_MAX {
                let Some(span) = spans.recv().await else { return };
                batch.push(span);
            }
        };
        // Full, or old enough.
        let _ = timeout(COLLECT_FOR, fill).await;
        let sent = timeout(SEND_MAX, send(&client, &url, document(&service, &batch))).await;
        let failure = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some("it does not answer in time".to_owned()),
        };
        if let Some(error) = &failure {
            lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
            if was_well {
                tracing::warn!(%error, url, "traces cannot be sent to the collector");
            }
        }
        was_well = failure.is_none();
        batch.clear();
    }
}

async fn send(
    client: &Client<HttpConnector, Full<Bytes>>,
    url: &str,
    document: Value,
) -> Result<(), String> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(document.to_string()))
        .map_err(|error| error.to_string())?;
    let answer = client.request(request).await.map_err(|error| error.to_string())?;
    match answer.status() {
        StatusCode::OK | StatusCode::ACCEPTED => Ok(()),
        status => Err(format!("it answers {status}")),
    }
}

/// `ExportTraceServiceRequest`.
fn document(service: &str, spans: &[Span]) -> Value {
    let resource =
        attributes([("service.name", service), ("service.version", env!("CARGO_PKG_VERSION"))]);
    let spans: Vec<Value> = spans.iter().flat_map(spans_of).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "consentry" }, "spans": spans }],
    }] })
}

/// Enumerations are numbers in this encoding.
const KIND_SERVER: u8 = 2;
const KIND_CLIENT: u8 = 3;
const STATUS_ERROR: u8 = 2;

/// The request, and the call to the upstream in it.
fn spans_of(span: &Span) -> impl Iterator<Item = Value> {
    let Context { trace_id, parent, span: own, upstream_span, .. } = &span.context;
    let (began, ended) = (nanos(span.began_at), nanos(span.began_at) + span.took.as_nanos());
    let told = span.attributes.iter().map(|(name, value)| (*name, value.as_str()));
    let mut request = json!({
        "traceId": hex(trace_id),
        "spanId": hex(own),
        "name": span.name,
        "kind": KIND_SERVER,
        "startTimeUnixNano": began.to_string(),
        "endTimeUnixNano": ended.to_string(),
        "attributes": attributes(told),
        "status": if span.status >= 500 { json!({ "code": STATUS_ERROR }) } else { json!({}) },
    });
    if let (Some(parent), Some(request)) = (parent, request.as_object_mut()) {
        request.insert("parentSpanId".to_owned(), hex(parent).into());
    }
    let upstream = span.upstream.map(|took| {
        json!({
            "traceId": hex(trace_id),
            "spanId": hex(upstream_span),
            "parentSpanId": hex(own),
            "name": "upstream",
            "kind": KIND_CLIENT,
            "startTimeUnixNano": ended.saturating_sub(took.as_nanos()).to_string(),
            "endTimeUnixNano": ended.to_string(),
        })
    });
    [Some(request), upstream].into_iter().flatten()
}

fn nanos(at: Timestamp) -> u128 {
    u128::from(at.as_millis().unsigned_abs()) * 1_000_000
}

fn attributes<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Value> {
    let pair =
        |(key, value): (&str, &str)| json!({ "key": key, "value": { "stringValue": value } });
    pairs.into_iter().map(pair).collect()
}
