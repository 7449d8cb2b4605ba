//! Upstreams: one that says what it got, and ones that a test drives byte by byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Answers every request with what it was, as JSON.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        Self::answering(StatusCode::OK, &[]).await
    }

    /// The same with a status and headers of the test's.
    pub(crate) async fn answering(
        status: StatusCode,
        headers: &[(&'static str, &'static str)],
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (counted, headers) = (Arc::clone(&counted), headers.clone());
                let service = service_fn(move |request| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    echo(request, status, headers.clone())
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, calls }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn echo(
    request: Request<Incoming>,
    status: StatusCode,
    headers: HeaderMap,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().map(seen);
    let body = String::from_utf8_lossy(&collected.to_bytes()).into_owned();
    let said = json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "headers": seen(&parts.headers),
        "body": body,
        "trailers": trailers,
    });
    let mut response = Response::new(Full::from(said.to_string()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Every header with all its values.
fn seen(headers: &HeaderMap) -> Value {
    let mut map = serde_json::Map::new();
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
        map.insert(name.to_string(), json!(values));
    }
    Value::Object(map)
}

/// An upstream whose connections the test handles itself.
pub(crate) struct Manual {
    pub(crate) address: SocketAddr,
    connections: mpsc::UnboundedReceiver<TcpStream>,
}

impl Manual {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, connections }
    }

    pub(crate) async fn accept(&mut self) -> Peer {
        let next = tokio::time::timeout(crate::world::PATIENCE, self.connections.recv());
        Peer(next.await.expect("a connection in time").unwrap())
    }

    pub(crate) fn has_connection(&mut self) -> bool {
        !self.connections.is_empty()
    }
}

pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    /// The head of the next request, lower-cased.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(crate::world::PATIENCE, self.0.read_u8()).await;
            head.push(byte.expect("a request in time").expect("a whole head"));
        }
        String::from_utf8(head).unwrap().to_lowercase()
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Resolves when the gateway has closed the connection.
    pub(crate) async fn closed(mut self) {
        let mut rest = Vec::new();
        let reading = self.0.read_to_end(&mut rest);
        let _ = tokio::time::timeout(crate::world::PATIENCE, reading).await.expect("closed");
    }
}
