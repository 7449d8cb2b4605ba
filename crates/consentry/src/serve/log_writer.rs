//! Writes the log on a thread of its own: whoever reads the log slowly must not hold up those who
//! answer requests. Lines that pile up behind a slow reader are lost, counted, and said to be.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// About a second of a busy server.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Room that is kept for the next lines.
const KEPT_BYTES: usize = 64 * 1024;
/// How long lines gather before they are written. Waking a thread for each line costs more than
/// the line: on two cores it was a fifth of a token request.
const GATHER: Duration = Duration::from_millis(10);
/// At the end of the process.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Takes lines and returns at once.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Queue>);

/// Dropped at the end of the process: what is queued is written.
pub struct LogGuard(LogWriter);

struct Queue {
    state: Mutex<State>,
    /// For the thread that writes.
    wanted: Condvar,
    /// For whoever flushes.
    written: Condvar,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    lost: u64,
    /// The thread waits for the first line.
    is_idle: bool,
    /// Somebody waits for what is queued to be written.
    is_urgent: bool,
    /// Chunks taken and written so far.
    taken: u64,
    written: u64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next lines, into `chunk`, and how many were lost behind them.
    fn take(&self, chunk: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        state.is_idle = state.lines.is_empty();
        let is_idle = |state: &mut State| state.lines.is_empty();
        state = self.wanted.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner);
        let gathers = |state: &mut State| !state.is_urgent;
        let gathered = self.wanted.wait_timeout_while(state, GATHER, gathers);
        let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.lines, chunk);
        state.is_urgent = false;
        state.taken += 1;
        std::mem::take(&mut state.lost)
    }

    fn note_written(&self) {
        let mut state = self.lock();
        state.written = state.taken;
        drop(state);
        self.written.notify_all();
    }

    /// What is queued by now is written, or the time for it is over.
    fn flush(&self) {
        let mut state = self.lock();
        let chunk = state.taken + u64::from(!state.lines.is_empty());
        state.is_urgent = true;
        self.wanted.notify_all();
        let is_queued = |state: &mut State| state.written < chunk;
        drop(self.written.wait_timeout_while(state, FLUSH_MAX, is_queued));
    }
}

impl LogWriter {
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        Self::with_room_for(BYTES_MAX, out)
    }

    /// The thread lasts as long as the process.
    fn with_room_for(bytes_max: usize, out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            wanted: Condvar::new(),
            written: Condvar::new(),
            bytes_max,
        });
        let theirs = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&theirs, out))?;
        Ok(Self(queue))
    }

    pub(super) fn guard(&self) -> LogGuard {
        LogGuard(self.clone())
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.0.flush();
    }
}

/// Gets each event whole.
impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.lines.len() + line.len() > self.0.bytes_max {
            state.lost += 1;
        } else {
            state.lines.extend_from_slice(line);
        }
        if std::mem::take(&mut state.is_idle) {
            drop(state);
            self.0.wanted.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

fn write_all(queue: &Queue, mut out: impl Write) -> ! {
    let mut chunk = Vec::new();
    loop {
        let lost = queue.take(&mut chunk);
        if lost > 0 {
            let words = "lines of the log were lost: nobody read them in time";
            let line = format!("{{\"level\":\"WARN\",\"message\":\"{words}\",\"lost\":{lost}}}\n");
            chunk.extend_from_slice(line.as_bytes());
        }
        // A full disk under the log is no reason to stop serving.
        let _ = out.write_all(&chunk);
        chunk.clear();
        chunk.shrink_to(KEPT_BYTES);
        queue.note_written();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader that says when something arrives, and takes it when it is let.
    struct Slow {
        came: Sender<()>,
        go_on: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.came.send(());
            let _ = self.go_on.recv();
            self.written.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_reads_the_log_slowly_holds_up_nobody_and_is_told_what_was_lost() {
        let ((came, has_come), (let_go, go_on)) = (channel(), channel());
        let written = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow { came, go_on, written: Arc::clone(&written) };
        let log = LogWriter::with_room_for("second\nthird\n".len(), slow).unwrap();
        (&log).write_all(b"first\n").unwrap();
        has_come.recv().unwrap();
        for line in ["second\n", "third\n", "lost\n", "lost\n"] {
            (&log).write_all(line.as_bytes()).unwrap();
        }
        drop(let_go);
        drop(log.guard());
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(written.starts_with("first\nsecond\nthird\n{"), "{written}");
        assert!(written.ends_with("\"lost\":2}\n"), "{written}");
    }

    #[test]
    fn what_is_queued_is_written_before_the_end() {
        let ((came, _has_come), (let_go, go_on)) = (channel(), channel());
        let written = Arc::new(Mutex::new(Vec::new()));
        let out = Slow { came, go_on, written: Arc::clone(&written) };
        drop(let_go);
        let log = LogWriter::start(out).unwrap();
        (&log).write_all(b"stopped\n").unwrap();
        drop(log.guard());
        assert_eq!(written.lock().unwrap().as_slice(), b"stopped\n");
    }
}
