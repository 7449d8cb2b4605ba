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
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::Connections;
use super::cores::Cores;

/// For whoever finds no place. Written without a look at what was asked.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n\
                      connection: close\r\ncontent-length: 0\r\n\r\n";

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
    cores: Arc<Cores>,
}

impl Accepting {
    pub(super) fn new(cores: Cores) -> Self {
        Self {
            cores: Arc::new(cores),
            limits: Arc::new(ConnectionLimits::default()),
            shutdown: CancellationToken::new(),
            cut: CancellationToken::new(),
            connections: TaskTracker::new(),
        }
    }

    /// Serve `listener` until the shutdown; `places` are its connections.
    pub(super) fn spawn<H, F>(&self, listener: TcpListener, places: Arc<Connections>, handle: H)
    where
        H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        self.connections.spawn(accept_all(self.clone(), listener, places, handle));
    }
}

async fn accept_all<H, F>(
    accepting: Accepting,
    listener: TcpListener,
    places: Arc<Connections>,
    handle: H,
) where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            () = accepting.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, mostly: without a pause this would spin.
            tracing::warn!("a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Some(place) = places.admit(peer.ip()) else {
            // It fits into the socket's buffer, or nobody reads it.
            let _ = stream.try_write(BUSY);
            continue;
        };
        let _ = stream.set_nodelay(true);
        let Ok(stream) = stream.into_std() else { continue };
        let (handle, limits) = (handle.clone(), Arc::clone(&accepting.limits));
        // Tokens of their own: whenever a connection does something it looks at them, which would
        // make all connections wait for one lock.
        let (shutdown, cut) = (accepting.shutdown.child_token(), accepting.cut.child_token());
        let connection = async move {
            let stream = match TcpStream::from_std(stream) {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "a connection could not be served"),
            };
            let service = service_fn(move |request| {
                let answer = handle(request, peer);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            let serving = serve_connection(stream, service, &limits, &shutdown);
            tokio::select! {
                result = serving => if let Err(error) = result {
                    tracing::debug!(%peer, %error, "connection ended");
                },
                () = cut.cancelled() => tracing::info!(%peer, "connection cut"),
            }
            drop(place);
        };
        accepting.cores.spawn(accepting.connections.track_future(connection));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;

    use super::*;

    const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

    fn places() -> Arc<Connections> {
        Connections::new(100, Vec::new())
    }

    #[tokio::test]
    async fn a_connection_too_many_is_told_so_and_closed() {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepting, places) =
            (Accepting::new(Cores::start().unwrap()), Connections::new(4, Vec::new()));
        accepting.spawn(listener, Arc::clone(&places), |_, _| async {
            Response::new(Body::from("done"))
        });
        let mut held = TcpStream::connect(address).await.unwrap();
        let mut answer = String::new();
        let mut refused = TcpStream::connect(address).await.unwrap();
        refused.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("retry-after: 5"), "{answer}");
        assert_eq!((places.open(), places.refused()), (1, 1));
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        held.write_all(request).await.unwrap();
        answer.clear();
        held.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
    }

    #[tokio::test]
    async fn a_port_in_use_is_told_with_what_to_change() {
        let taken = TcpListener::bind(ANY).await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address, "--exchange-port").await.unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.ends_with("or change --exchange-port."), "{error}");
    }

    #[tokio::test]
    async fn a_request_that_has_begun_is_answered_during_the_shutdown() {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let accepting = Accepting::new(Cores::start().unwrap());
        let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
        accepting.spawn(listener, places(), move |_, _| {
            let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
            async move {
                tell.notify_one();
                wait.notified().await;
                Response::new(Body::from("done"))
            }
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        begun.notified().await;

        accepting.shutdown.cancel();
        accepting.connections.close();
        go_on.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("done"), "{answer}");
        accepting.connections.wait().await;
        assert!(TcpStream::connect(address).await.is_err(), "nothing new is accepted");
    }

    #[tokio::test]
    async fn a_connection_that_does_not_end_is_cut_in_the_end() {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let begun = Arc::new(Notify::new());
        let accepting = Accepting::new(Cores::start().unwrap());
        let tell = Arc::clone(&begun);
        accepting.spawn(listener, places(), move |_, _| {
            tell.notify_one();
            std::future::pending::<Response<Body>>()
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        begun.notified().await;
        accepting.shutdown.cancel();
        accepting.cut.cancel();
        accepting.connections.close();
        accepting.connections.wait().await;
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "{read:?}");
    }
}
