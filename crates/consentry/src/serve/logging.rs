//! Logs go to stderr: readable on a terminal, one JSON object a line otherwise.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::log_line::JsonLines;
use super::log_writer::{LogGuard, LogWriter};
use crate::cli::Failure;
use crate::config::{Environment, LOG};

/// `usual` holds unless `CONSENTRY_LOG` says otherwise. Keep what is returned until the end.
pub fn start(environment: &Environment, usual: &str) -> Result<Option<LogGuard>, Failure> {
    let filter = environment.find(LOG).unwrap_or(usual);
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::Usage(format!("{LOG} cannot be `{filter}`: {error}")))?;
    let plain = environment.find("NO_COLOR").is_some_and(|value| !value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would print what it could not write with a macro that panics when it cannot write: a
        // full disk under the log would end the thread that logs.
        .log_internal_errors(false);
    // A second start in the same process has nothing to add.
    if std::io::stderr().is_terminal() {
        drop(builder.with_ansi(!plain).with_writer(std::io::stderr).try_init());
        return Ok(None);
    }
    let writer = LogWriter::start(std::io::stderr())
        .map_err(|error| Failure::Failed(format!("the log cannot be written: {error}")))?;
    let guard = writer.guard();
    drop(builder.event_format(JsonLines).with_writer(writer).try_init());
    Ok(Some(guard))
}
