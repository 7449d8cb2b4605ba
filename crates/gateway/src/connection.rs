//! How a connection is served: HTTP/1.1 or HTTP/2 with limits on everything a client could drag out
//! (attack G11). Used by the public listener for pages and APIs alike.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

use crate::framing::Framing;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What one connection may take.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// From the connection, or the end of the answer before, to the end of the next head.
    pub head_timeout: Duration,
    /// How long a client may refuse to take a byte of an answer.
    pub write_timeout: Duration,
    pub headers_max: usize,
    pub head_bytes_max: usize,
    /// HTTP/2 requests at a time.
    pub streams_max: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            headers_max: 100,
            head_bytes_max: 32 * 1024,
            streams_max: 128,
        }
    }
}

impl ConnectionLimits {
    fn builder(&self) -> auto::Builder<TokioExecutor> {
        const PING: Duration = Duration::from_secs(20);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .max_headers(self.headers_max)
            .max_buf_size(self.head_bytes_max);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .max_concurrent_streams(self.streams_max)
            .max_header_list_size(u32::try_from(self.head_bytes_max).unwrap_or(u32::MAX));
        builder
    }
}

/// Serves one connection to its end. When `shutdown` is cancelled, requests that have begun are
/// answered and no more are taken.
pub async fn serve_connection<I, S, B>(
    io: I,
    service: S,
    limits: &ConnectionLimits,
    shutdown: &CancellationToken,
) -> Result<(), BoxError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let stage = Arc::new(Stage::default());
    let service = {
        let stage = Arc::clone(&stage);
        service_fn(move |request| {
            stage.began.store(true, Ordering::Relaxed);
            let (answering, stage) = (service.call(request), Arc::clone(&stage));
            async move {
                let answer = answering.await?;
                // Before the client can know of it. Hyper reads no other request after this one.
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    stage.upgraded.store(true, Ordering::Release);
                }
                Ok::<_, S::Error>(answer)
            }
        })
    };
    let io = Guarded {
        inner: io,
        framing: Framing::default(),
        stage: Arc::clone(&stage),
        patience: limits.write_timeout,
        waiting: None,
    };
    let builder = limits.builder();
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    // hyper's own timeout starts only when it knows which protocol it is.
    let mut first_head = pin!(sleep(limits.head_timeout));
    let mut waits_for_first = true;
    let mut drains = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => return result,
            () = shutdown.cancelled(), if !drains => {
                drains = true;
                connection.as_mut().graceful_shutdown();
            }
            () = first_head.as_mut(), if waits_for_first => {
                waits_for_first = false;
                if !stage.began.load(Ordering::Relaxed) {
                    return Err("no request came in time".into());
                }
            }
        }
    }
}

/// How far a connection has come.
#[derive(Default)]
struct Stage {
    /// A request was read.
    began: AtomicBool,
    /// One was answered with 101.
    upgraded: AtomicBool,
}

/// Gives up when the other side takes nothing for too long, and looks at what it sends.
struct Guarded<I> {
    inner: I,
    framing: Framing,
    stage: Arc<Stage>,
    patience: Duration,
    /// Runs while a write waits. Kept for the next wait.
    waiting: Option<(Pin<Box<Sleep>>, bool)>,
}

impl<I> Guarded<I> {
    fn judge<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            if let Some((_, runs)) = &mut self.waiting {
                *runs = false;
            }
            return polled;
        }
        let patience = self.patience;
        let (timer, runs) = self.waiting.get_or_insert_with(|| (Box::pin(sleep(patience)), true));
        if !*runs {
            timer.as_mut().reset(Instant::now() + patience);
            *runs = true;
        }
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guarded<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(end) = self.framing.end_for(buf.remaining()) {
            // What was sent behind a refused line is nobody's.
            buf.put_slice(end);
            return Poll::Ready(Ok(()));
        }
        if self.stage.upgraded.load(Ordering::Acquire) {
            self.framing.upgraded();
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Some(read) = buf.filled_mut().get_mut(before..) {
            let passed = self.framing.follow(read);
            buf.set_filled(before + passed);
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Guarded<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.judge(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(polled, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(polled, cx)
    }
}
