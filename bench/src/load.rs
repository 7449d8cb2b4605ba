//! The load generator: keep-alive connections on one thread, in a closed loop (as fast as answers
//! come) or at a fixed rate. At a fixed rate the latency counts from when a request was due, not
//! from when a connection was free for it, so a stall is seen by all requests that it held up.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::Outcome;
use crate::wire::{Answer, Inbox};

/// What is sent, and whether what comes back is right.
pub trait Source {
    /// Append the next request of `connection`; `false`: there is none.
    fn next(&mut self, connection: usize, out: &mut Vec<u8>) -> bool;
    /// `false`: a wrong answer, which spoils the run.
    fn answered(&mut self, connection: usize, answer: &Answer<'_>) -> bool;
}

#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Until the time is over or nothing is left.
    Closed(Duration),
    /// Until nothing is left.
    ToTheEnd,
    /// So many requests a second.
    Fixed(Duration, f64),
}

/// What one run found. Latencies are in microseconds.
pub struct Measured {
    pub answers: u64,
    pub wrong: u64,
    pub first_wrong: Option<String>,
    pub elapsed: Duration,
    pub latency: Histogram<u64>,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let answers = self.answers as f64;
        answers / self.elapsed.as_secs_f64().max(1e-9)
    }

    pub fn check(&self, what: &str) -> Outcome<()> {
        match &self.first_wrong {
            None => Ok(()),
            Some(wrong) => Err(format!("{what}: {} wrong answers, first:\n{wrong}", self.wrong)),
        }
    }
}

pub fn run(
    address: SocketAddr,
    connections: usize,
    pace: Pace,
    source: &mut dyn Source,
) -> Outcome<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the load generator cannot start: {error}"))?;
    runtime.block_on(tokio::task::unconstrained(drive_all(address, connections, pace, source)))
}

struct Shared<'a> {
    source: RefCell<&'a mut dyn Source>,
    measured: RefCell<Measured>,
    tickets: Option<Arc<Tickets>>,
    end: Option<Instant>,
}

async fn drive_all(
    address: SocketAddr,
    connections: usize,
    pace: Pace,
    source: &mut dyn Source,
) -> Outcome<Measured> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(connect(address).await?);
    }
    let latency = Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|e| e.to_string())?;
    let began = Instant::now();
    let (end, tickets) = match pace {
        Pace::ToTheEnd => (None, None),
        Pace::Closed(time) => (Some(began + time), None),
        Pace::Fixed(time, rate) => (None, Some(Tickets::start(time, rate))),
    };
    let measured =
        Measured { answers: 0, wrong: 0, first_wrong: None, elapsed: Duration::ZERO, latency };
    let shared =
        Shared { source: RefCell::new(source), measured: RefCell::new(measured), tickets, end };
    let mut driving: FuturesUnordered<_> = streams
        .into_iter()
        .enumerate()
        .map(|(connection, stream)| drive(address, connection, stream, &shared))
        .collect();
    while let Some(done) = driving.next().await {
        done?;
    }
    drop(driving);
    let mut measured = shared.measured.into_inner();
    measured.elapsed = began.elapsed();
    Ok(measured)
}

async fn connect(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("{address} takes no connection: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

async fn drive(
    address: SocketAddr,
    connection: usize,
    mut stream: TcpStream,
    shared: &Shared<'_>,
) -> Outcome<()> {
    let (mut out, mut inbox) = (Vec::new(), Inbox::default());
    loop {
        let due = match &shared.tickets {
            Some(tickets) => tickets.take().await,
            None => Some(Instant::now()),
        };
        let Some(began) = due else { return Ok(()) };
        if shared.end.is_some_and(|end| began >= end) {
            return Ok(());
        }
        out.clear();
        if !shared.source.borrow_mut().next(connection, &mut out) {
            return Ok(());
        }
        let broke = |error: std::io::Error| format!("{address} broke off: {error}");
        stream.write_all(&out).await.map_err(broke)?;
        let closes = loop {
            if let Some(answer) = inbox.answer()? {
                let took = began.elapsed();
                let is_right = shared.source.borrow_mut().answered(connection, &answer);
                note(&mut shared.measured.borrow_mut(), took, is_right, &answer);
                break answer.closes;
            }
            if stream.read_buf(inbox.buffer()).await.map_err(broke)? == 0 {
                return Err(format!("{address} closed a connection in the middle of an answer"));
            }
        };
        inbox.forget_last();
        if closes {
            stream = connect(address).await?;
        }
    }
}

fn note(measured: &mut Measured, took: Duration, is_right: bool, answer: &Answer<'_>) {
    if !is_right {
        measured.wrong += 1;
        measured.first_wrong.get_or_insert_with(|| answer.describe());
        return;
    }
    measured.answers += 1;
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    measured.latency.saturating_record(micros);
}

/// Requests that are due, handed out by a thread that does nothing but look at the clock: the
/// runtime's own timers are a millisecond coarse.
struct Tickets {
    due: Mutex<VecDeque<Instant>>,
    available: Semaphore,
    is_over: AtomicBool,
}

impl Tickets {
    const STEP: Duration = Duration::from_micros(200);

    fn start(time: Duration, per_second: f64) -> Arc<Self> {
        let tickets = Arc::new(Self {
            due: Mutex::new(VecDeque::new()),
            available: Semaphore::new(0),
            is_over: AtomicBool::new(false),
        });
        let pacer = Arc::clone(&tickets);
        std::thread::spawn(move || pacer.pace(time, per_second));
        tickets
    }

    fn pace(&self, time: Duration, per_second: f64) {
        let began = Instant::now();
        let mut issued = 0_u32;
        loop {
            let elapsed = began.elapsed();
            if elapsed >= time {
                break;
            }
            let mut count = 0;
            loop {
                let at = Duration::from_secs_f64(f64::from(issued) / per_second);
                if at > elapsed {
                    break;
                }
                self.lock().push_back(began + at);
                issued += 1;
                count += 1;
            }
            self.available.add_permits(count);
            std::thread::sleep(Self::STEP);
        }
        self.is_over.store(true, Ordering::Release);
        // Wakes every connection that waits; what is still due is done first.
        self.available.close();
    }

    async fn take(&self) -> Option<Instant> {
        match self.available.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) if self.is_over.load(Ordering::Acquire) => {}
            Err(_) => return None,
        }
        self.lock().pop_front()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
