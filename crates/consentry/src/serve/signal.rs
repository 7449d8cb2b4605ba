//! Ctrl-C and SIGTERM.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Resolves when someone wants the process to end.
#[derive(Debug)]
pub struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    /// From here on the signals no longer end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
    /// Cancelled by the next signal: whoever asks twice does not want to wait for others' calls.
    pub fn hurry(mut self) -> CancellationToken {
        let token = CancellationToken::new();
        let hurry = token.clone();
        tokio::spawn(async move {
            self.wait().await;
            hurry.cancel();
        });
        token
    }
}
