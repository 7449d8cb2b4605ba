//! WebSockets: after the upstream has agreed, bytes go both ways until one side ends, both are
//! silent for too long, or the access ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::authority::Authority;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::time::{Instant, sleep_until};

use crate::api::Target;
use crate::body::Body;
use crate::error::GatewayError;
use crate::headers;
use crate::pass::Inner;
use crate::watch::{Cut, Ends, Watched};

/// Answers 101 and joins both sides once the client has it.
pub(crate) fn open<A: Authority>(
    gateway: &Arc<Inner<A>>,
    target: &Target,
    client: OnUpgrade,
    mut answer: Response<Incoming>,
    shares_origin: bool,
    watched: Option<Watched<A>>,
) -> Result<Response<Body>, GatewayError> {
    if !headers::is_websocket(answer.headers()) {
        return Err(GatewayError::BadAnswer("an upgrade to something else".to_owned()));
    }
    let upstream = hyper::upgrade::on(&mut answer);
    let idle_max = target.declared.idle_timeout;
    let shutdown = gateway.shutdown.clone();
    gateway.tunnels.spawn(async move {
        let cut = async {
            match watched {
                Some(watched) => Watched { ends: Ends::WithToken, ..watched }.until_cut().await,
                None => {
                    shutdown.cancelled().await;
                    Cut::ShuttingDown
                }
            }
        };
        tokio::select! {
            // Dropping both sides closes both connections.
            cut = cut => tracing::info!(%cut, "an open WebSocket was cut"),
            result = join(client, upstream, idle_max) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a WebSocket ended");
                }
            }
        }
    });
    let (parts, _) = answer.into_parts();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = parts.headers;
    headers::clean_answer(response.headers_mut(), shares_origin);
    headers::add_websocket(response.headers_mut());
    Ok(response)
}

async fn join(client: OnUpgrade, upstream: OnUpgrade, idle_max: Duration) -> io::Result<()> {
    let (client, upstream) =
        futures_util::future::try_join(client, upstream).await.map_err(io::Error::other)?;
    let activity = Arc::new(Activity { started: Instant::now(), last: AtomicU64::new(0) });
    let mut client = Observed { inner: TokioIo::new(client), activity: Arc::clone(&activity) };
    let mut upstream = Observed { inner: TokioIo::new(upstream), activity: Arc::clone(&activity) };
    let silence = async {
        loop {
            let end = activity.last() + idle_max;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    };
    tokio::select! {
        result = copy_bidirectional(&mut client, &mut upstream) => result.map(|_| ()),
        () = silence => Err(io::ErrorKind::TimedOut.into()),
    }
}

struct Activity {
    started: Instant,
    /// Milliseconds from `started`.
    last: AtomicU64,
}

impl Activity {
    fn note(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.started + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// Notes when something was read.
struct Observed<T> {
    inner: T,
    activity: Arc<Activity>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Observed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if polled.is_ready() {
            self.activity.note();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Observed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
