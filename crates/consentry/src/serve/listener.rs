//! Accepts connections and hands each request, with the address of its peer, to one function.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use gateway::{ConnectionLimits, serve_connection};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// More wait in the kernel's queue until one ends.
const CONNECTIONS_MAX: usize = 20_000;

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{address} is in use by another program. Stop that one, or change {setting}.")]
    InUse { address: SocketAddr, setting: String },
    #[error("cannot listen on {address}: {source}. Change {setting}.")]
    Other { address: SocketAddr, setting: String, source: io::Error },
}

/// `setting` is what a person changes to get another address.
pub async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, BindError> {
    let setting = setting.to_owned();
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, setting },
        _ => BindError::Other { address, setting, source },
    })
}

/// What connections share.
#[derive(Clone)]
pub(super) struct Accepting {
    pub(super) limits: Arc<ConnectionLimits>,
    /// Cancelled: accept no more, answer what has begun.
    pub(super) shutdown: CancellationToken,
    /// Cancelled: the patience is over, connections are cut.
    pub(super) cut: CancellationToken,
    pub(super) connections: TaskTracker,
}

impl Accepting {
    pub(super) fn new() -> Self {
        Self {
            limits: Arc::new(ConnectionLimits::default()),
            shutdown: CancellationToken::new(),
            cut: CancellationToken::new(),
            connections: TaskTracker::new(),
        }
    }

    /// Serve `listener` until the shutdown.
    pub(super) fn spawn<H, F>(&self, listener: TcpListener, handle: H)
    where
        H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        self.connections.spawn(accept_all(self.clone(), listener, handle));
    }
}

async fn accept_all<H, F>(accepting: Accepting, listener: TcpListener, handle: H)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = accepting.shutdown.cancelled() => return,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        let (Ok(place), Ok((stream, peer))) = accepted else {
            // Out of file descriptors, mostly: without a pause this would spin.
            tracing::warn!("a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (handle, shared) = (handle.clone(), accepting.clone());
        accepting.connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = handle(request, peer);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            let serving = serve_connection(stream, service, &shared.limits, &shared.shutdown);
            tokio::select! {
                result = serving => if let Err(error) = result {
                    tracing::debug!(%peer, %error, "connection ended");
                },
                () = shared.cut.cancelled() => tracing::info!(%peer, "connection cut"),
            }
            drop(place);
        });
    }
}
