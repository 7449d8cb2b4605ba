//! The servers that do nothing: the limit server (what the HTTP stack allows), the proxy without a
//! check, and the API behind both. Each is a process of its own, started from this binary, with the
//! listener settings of `consentry serve`.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Bare {
    /// Parses a form and answers with as many bytes of JSON as asked for
    Limit {
        /// `NAME=BYTES`: under `/NAME` the answer has a body of BYTES
        answers: Vec<String>,
    },
    /// Forwards every call as it is
    Proxy { upstream: SocketAddr },
    /// Answers every call with the same few bytes
    Upstream,
}

/// Serves on a free port of loopback, printed as the only line, until the process is ended.
pub fn serve(bare: &Bare) -> Outcome<()> {
    let mut builder = match bare {
        // The API itself must not be what limits the proxies.
        Bare::Upstream => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|e| e.to_string())?;
        println!("{}", listener.local_addr().map_err(|e| e.to_string())?);
        match bare {
            Bare::Limit { answers } => limit(listener, &limit_router(answers)?).await,
            Bare::Proxy { upstream } => proxy(listener, *upstream).await,
            Bare::Upstream => upstream_api(listener).await,
        }
    })
}

/// As in `consentry serve`.
fn listener_settings() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .max_headers(100)
        .max_buf_size(32 * 1024);
    builder
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            // A socket that refuses it is slower and still right.
            let _ = stream.set_nodelay(true);
            return stream;
        }
    }
}

async fn limit(listener: TcpListener, router: &Router) -> ! {
    let settings = listener_settings();
    loop {
        let stream = TokioIo::new(accept(&listener).await);
        let service = TowerToHyperService::new(router.clone());
        let settings = settings.clone();
        tokio::spawn(async move { settings.serve_connection(stream, service).await });
    }
}

/// What a token answer looks like, filled up to the wanted size.
#[derive(Clone, Serialize)]
struct Filler {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
}

fn limit_router(answers: &[String]) -> Outcome<Router> {
    let mut router = Router::new();
    for answer in answers {
        let parsed = answer
            .split_once('=')
            .and_then(|(name, size)| Some((name, size.parse::<usize>().ok()?)));
        let (name, size) = parsed.ok_or_else(|| format!("`{answer}` is not NAME=BYTES"))?;
        let mut filler =
            Filler { access_token: String::new(), token_type: "Bearer", expires_in: 600 };
        let frame = serde_json::to_string(&filler).map_err(|error| error.to_string())?.len();
        filler.access_token = "x".repeat(size.saturating_sub(frame));
        let is_empty = size == 0;
        let handler = move |body: Bytes| {
            let filler = filler.clone();
            async move { parse_and_answer(&body, filler, is_empty) }
        };
        router = router.route(&format!("/{name}"), any(handler));
    }
    Ok(router)
}

fn parse_and_answer(body: &[u8], filler: Filler, is_empty: bool) -> Response {
    let fields: Vec<_> = form_urlencoded::parse(body).collect();
    // Used, so that the compiler cannot leave the parsing out.
    if fields.len() > 100 {
        return StatusCode::BAD_REQUEST.into_response();
    }
    if is_empty {
        return StatusCode::NO_CONTENT.into_response();
    }
    Json(filler).into_response()
}

async fn proxy(listener: TcpListener, upstream: SocketAddr) -> ! {
    let settings = listener_settings();
    let authority: Authority =
        upstream.to_string().parse().unwrap_or_else(|_| Authority::from_static("localhost"));
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    // As the gateway's own pool.
    let client: Client<HttpConnector, Incoming> = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(15))
        .pool_max_idle_per_host(256)
        .set_host(false)
        .build(connector);
    let shared = Arc::new((client, authority));
    loop {
        let stream = TokioIo::new(accept(&listener).await);
        let (shared, settings) = (Arc::clone(&shared), settings.clone());
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(forward(&shared, request).await) }
        });
        tokio::spawn(async move { settings.serve_connection(stream, service).await });
    }
}

async fn forward(
    (client, authority): &(Client<HttpConnector, Incoming>, Authority),
    mut request: Request<Incoming>,
) -> Response<Body> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.clone());
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    match client.request(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn upstream_api(listener: TcpListener) -> ! {
    let body = Bytes::from(format!(r#"{{"items":["{}"]}}"#, "x".repeat(180)));
    let settings = listener_settings();
    loop {
        let stream = TokioIo::new(accept(&listener).await);
        let (body, settings) = (body.clone(), settings.clone());
        let service = service_fn(move |_: Request<Incoming>| {
            let mut answer = http::Response::new(Full::new(body.clone()));
            let kind = http::HeaderValue::from_static("application/json");
            answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(async move { settings.serve_connection(stream, service).await });
    }
}
