//! Logs go to stderr: readable on a terminal, one JSON object a line otherwise.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::cli::Failure;
use crate::config::{Environment, LOG};

/// `usual` holds unless `CONSENTRY_LOG` says otherwise.
pub fn start(environment: &Environment, usual: &str) -> Result<(), Failure> {
    let filter = environment.find(LOG).unwrap_or(usual);
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::Usage(format!("{LOG} cannot be `{filter}`: {error}")))?;
    let plain = environment.find("NO_COLOR").is_some_and(|value| !value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would print what it could not write with a macro that panics when it cannot write: a
        // full disk under the log would end the thread that logs.
        .log_internal_errors(false);
    let started = if std::io::stderr().is_terminal() {
        builder.with_ansi(!plain).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // A second provider of the same process has nothing to add.
    drop(started);
    Ok(())
}
