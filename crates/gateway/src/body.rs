//! What the gateway answers with: nothing, a refusal, or the upstream's body as it comes. A
//! streamed body is cut when the access behind it ends, and when the upstream falls silent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::facts::Open;
use crate::headers;
use crate::watch::Cut;

/// Most answers are over before this: only longer ones are watched for changes of the grant.
pub(crate) const WATCH_AFTER: Duration = Duration::from_millis(100);

/// The body of every answer of the gateway.
pub struct Body(Kind);

enum Kind {
    Empty,
    Text(Bytes),
    Upstream(Box<Download>),
}

/// Why a body ended before its end. The listener breaks the connection, so the client sees it.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the upstream broke off: {0}")]
    Upstream(#[from] hyper::Error),
    #[error("the upstream fell silent")]
    Silent,
    #[error("the access ended: {0}")]
    Cut(#[from] Cut),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self(Kind::Empty)
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self(Kind::Text(text.into()))
    }

    pub(crate) fn upstream(
        body: Incoming,
        idle_max: Duration,
        watch: Option<Watch>,
        open: Open,
    ) -> Self {
        if http_body::Body::is_end_stream(&body) {
            return Self::empty();
        }
        let now = Instant::now();
        Self(Kind::Upstream(Box::new(Download {
            inner: body,
            idle_max,
            started: now,
            last: now,
            timer: None,
            _open: open,
            watch: watch.map_or(WatchState::Off, WatchState::Ready),
        })))
    }
}

/// Starts to watch the access of a call; the future ends when the access does.
pub(crate) type Watch = Box<dyn FnOnce() -> BoxFuture<'static, Cut> + Send>;

struct Download {
    inner: Incoming,
    idle_max: Duration,
    started: Instant,
    last: Instant,
    /// Made at the first wait: a body that is there at once needs none.
    timer: Option<Pin<Box<Sleep>>>,
    _open: Open,
    watch: WatchState,
}

enum WatchState {
    Off,
    Ready(Watch),
    Running(BoxFuture<'static, Cut>),
}

impl WatchState {
    fn start(&mut self) {
        *self = match std::mem::replace(self, Self::Off) {
            Self::Ready(watch) => Self::Running(watch()),
            other => other,
        };
    }
}

impl Download {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if matches!(self.watch, WatchState::Ready(_)) && self.started.elapsed() >= WATCH_AFTER {
            self.watch.start();
        }
        loop {
            // First, so that not a byte passes after the end, however fast the upstream is.
            if let WatchState::Running(watch) = &mut self.watch
                && let Poll::Ready(cut) = watch.as_mut().poll(cx)
            {
                tracing::info!(%cut, "an open answer was cut");
                return Poll::Ready(Some(Err(cut.into())));
            }
            if let Poll::Ready(frame) = poll_inner(&mut self.inner, cx) {
                self.last = Instant::now();
                return Poll::Ready(frame);
            }
            let idle_max = self.idle_max;
            let timer =
                self.timer.get_or_insert_with(|| Box::pin(sleep(WATCH_AFTER.min(idle_max))));
            ready!(timer.as_mut().poll(cx));
            if self.last.elapsed() >= idle_max {
                tracing::warn!(source = "upstream", "an answer fell silent and was given up");
                return Poll::Ready(Some(Err(BodyError::Silent)));
            }
            self.watch.start();
            timer.as_mut().reset(self.last + idle_max);
        }
    }
}

/// The next frame, with trailers cleaned.
fn poll_inner(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    let frame = ready!(http_body::Body::poll_frame(Pin::new(body), cx));
    Poll::Ready(frame.map(|frame| {
        let mut frame = frame.inspect_err(|error| {
            tracing::warn!(source = "upstream", %error, "an answer broke off");
        })?;
        if let Some(trailers) = frame.trailers_mut() {
            headers::clean_answer_trailers(trailers);
        }
        Ok(frame)
    }))
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Text(text) => {
                let text = std::mem::take(text);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(text))))
            }
            Kind::Upstream(download) => download.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Text(_) => false,
            Kind::Upstream(download) => http_body::Body::is_end_stream(&download.inner),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Text(text) => SizeHint::with_exact(text.len() as u64),
            Kind::Upstream(download) => http_body::Body::size_hint(&download.inner),
        }
    }
}
