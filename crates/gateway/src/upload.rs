//! A request's body on its way to the upstream: counted against the limit, and told apart by who is
//! slow, the client that sends or the upstream that takes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::headers;

/// A body as it came from the client.
pub(crate) enum Sent {
    Stream(Incoming),
    /// It had to be seen whole. Trailers are not part of it.
    Whole(Bytes),
}

impl Sent {
    /// What it has at least.
    pub(crate) fn bytes_min(&self) -> u64 {
        match self {
            Self::Stream(body) => http_body::Body::size_hint(body).lower(),
            Self::Whole(bytes) => bytes.len() as u64,
        }
    }
}

/// The body that the upstream's connection reads.
pub(crate) struct Upload(Kind);

enum Kind {
    Empty,
    Whole(Bytes),
    Stream(Reading),
}

struct Reading {
    inner: Incoming,
    left: u64,
    progress: Arc<Progress>,
    /// What must not come in trailers either.
    dropped: Arc<[String]>,
}

/// The request could not be read to its end; [`Progress::fault`] says why.
#[derive(Debug, thiserror::Error)]
#[error("the request's body ended early")]
pub(crate) struct UploadError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// More bytes than this.
    TooLarge(u64),
    /// Bad chunks, fewer bytes than announced, a lost connection.
    Broken,
}

/// How far a body has come, as the waiting side sees it.
pub(crate) struct Progress {
    bytes_max: u64,
    started: Instant,
    /// Milliseconds from `started` to the last piece.
    last: AtomicU64,
    stage: AtomicU8,
}

const TAKING: u8 = 0;
const WAITING_FOR_CLIENT: u8 = 1;
const DONE: u8 = 2;
const TOO_LARGE: u8 = 3;
const BROKEN: u8 = 4;

impl Upload {
    pub(crate) fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// `bytes_max` is the largest body that passes, `dropped` are the operator's reserved headers.
    pub(crate) fn new(
        body: Sent,
        bytes_max: u64,
        dropped: &Arc<[String]>,
    ) -> (Self, Option<Arc<Progress>>) {
        let body = match body {
            Sent::Stream(body) => body,
            Sent::Whole(bytes) if bytes.is_empty() => return (Self::empty(), None),
            Sent::Whole(bytes) => return (Self(Kind::Whole(bytes)), None),
        };
        if http_body::Body::is_end_stream(&body) {
            return (Self::empty(), None);
        }
        let progress = Arc::new(Progress {
            bytes_max,
            started: Instant::now(),
            last: AtomicU64::new(0),
            stage: AtomicU8::new(TAKING),
        });
        let reading = Reading {
            inner: body,
            left: bytes_max,
            progress: Arc::clone(&progress),
            dropped: Arc::clone(dropped),
        };
        (Self(Kind::Stream(reading)), Some(progress))
    }
}

impl Progress {
    /// Why the body ended early, if it did and it was the client's doing.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self.stage.load(Ordering::Acquire) {
            TOO_LARGE => Some(Fault::TooLarge(self.bytes_max)),
            BROKEN => Some(Fault::Broken),
            _ => None,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stage.load(Ordering::Acquire) == DONE
    }

    pub(crate) fn waits_for_client(&self) -> bool {
        self.stage.load(Ordering::Acquire) == WAITING_FOR_CLIENT
    }

    /// When the last piece came.
    pub(crate) fn last(&self) -> Instant {
        self.started + Duration::from_millis(self.last.load(Ordering::Acquire))
    }

    fn note(&self, stage: u8) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Release);
        self.stage.store(stage, Ordering::Release);
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let reading = match &mut self.0 {
            Kind::Empty => return Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Kind::Stream(reading) => reading,
        };
        let polled = http_body::Body::poll_frame(Pin::new(&mut reading.inner), cx);
        if polled.is_pending() {
            reading.progress.stage.store(WAITING_FOR_CLIENT, Ordering::Release);
        }
        let Some(frame) = ready!(polled) else {
            reading.progress.note(DONE);
            return Poll::Ready(None);
        };
        let Ok(mut frame) = frame else {
            reading.progress.note(BROKEN);
            return Poll::Ready(Some(Err(UploadError)));
        };
        if let Some(data) = frame.data_ref() {
            let Some(left) = reading.left.checked_sub(data.len() as u64) else {
                reading.progress.note(TOO_LARGE);
                return Poll::Ready(Some(Err(UploadError)));
            };
            reading.left = left;
        }
        if let Some(trailers) = frame.trailers_mut() {
            headers::clean_request_trailers(trailers, &reading.dropped);
        }
        let done = http_body::Body::is_end_stream(&reading.inner);
        reading.progress.note(if done { DONE } else { TAKING });
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Whole(_) => false,
            Kind::Stream(reading) => http_body::Body::is_end_stream(&reading.inner),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(reading) => http_body::Body::size_hint(&reading.inner),
        }
    }
}
