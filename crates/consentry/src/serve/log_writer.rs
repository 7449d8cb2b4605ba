//! Writes the log on a thread of its own: whoever reads the log slowly must not hold up those who
//! answer requests. Lines that pile up behind a slow reader are lost, counted, and said to be.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// About a second of a busy server.
const LINES_MAX: usize = 16_384;
/// Lines that are written at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// At the end of the process.
const FLUSH_MAX: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Takes lines and returns at once.
#[derive(Clone)]
pub(super) struct LogWriter {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

/// Dropped at the end of the process: what is queued is written.
pub struct LogGuard(LogWriter);

impl LogWriter {
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        Ok(Self::with_room_for(LINES_MAX, out)?.0)
    }

    fn with_room_for(
        lines_max: usize,
        out: impl Write + Send + 'static,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (queue, lines) = sync_channel(lines_max);
        let lost = Arc::new(AtomicU64::new(0));
        let lost_there = Arc::clone(&lost);
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&lines, &lost_there, out))?;
        Ok((Self { queue, lost }, thread))
    }

    pub(super) fn guard(&self) -> LogGuard {
        LogGuard(self.clone())
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let (done, is_done) = sync_channel(1);
        // A full queue has a reader that has stopped: there is nothing to wait for.
        if self.0.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = is_done.recv_timeout(FLUSH_MAX);
        }
    }
}

/// Gets each event whole.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Message::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn write_all(lines: &Receiver<Message>, lost: &AtomicU64, mut out: impl Write) {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut flushes = Vec::new();
    while let Ok(message) = lines.recv() {
        let mut next = Some(message);
        while let Some(message) = next {
            match message {
                Message::Line(line) => chunk.extend_from_slice(&line),
                Message::Flush(done) => flushes.push(done),
            }
            next = if chunk.len() < CHUNK_BYTES { lines.try_recv().ok() } else { None };
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let words = "lines of the log were lost: nobody read them in time";
            let line = format!("{{\"level\":\"WARN\",\"message\":\"{words}\",\"lost\":{lost}}}\n");
            chunk.extend_from_slice(line.as_bytes());
        }
        // A full disk under the log is no reason to stop serving.
        let _ = out.write_all(&chunk);
        chunk.clear();
        for done in flushes.drain(..) {
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

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
        let (mut log, thread) = LogWriter::with_room_for(2, slow).unwrap();
        log.write_all(b"first\n").unwrap();
        has_come.recv().unwrap();
        for line in ["second\n", "third\n", "lost\n", "lost\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        drop(let_go);
        drop(log);
        thread.join().unwrap();
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
        let mut log = LogWriter::start(out).unwrap();
        log.write_all(b"stopped\n").unwrap();
        drop(log.guard());
        assert_eq!(written.lock().unwrap().as_slice(), b"stopped\n");
    }
}
