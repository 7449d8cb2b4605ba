//! `consentry audit …`: the trail for people who must show or check it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use domain::audit_chain::{AuditRow, Checkpoint, TrailCheck, TrailError, TrailReport};
use http::Method;
use protocol::jwk::Jwk;
use serde_json::Value;
use server::review::csv;

use super::control::Control;
use super::{ControlArgs, Failure, block_on, output};
use crate::config::Environment;

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Print every event, block by block, one JSON object a line, and behind them the checkpoints
    Export {
        /// JSON lines can be checked again; a table opens in a spreadsheet
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
    },
    /// Is anything missing, was anything rewritten or cut off? Of the server's trail, or of a copy
    Verify(VerifyArgs),
    /// Sign what is there now and print it, to be kept elsewhere
    Checkpoint,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// A copy that `audit export` made; no server and no database are needed
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A checkpoint that was kept elsewhere, as `audit checkpoint` printed it; may be repeated
    #[arg(long, value_name = "FILE", requires = "file")]
    checkpoint: Vec<PathBuf>,
    /// The public key (a JWK) that signed; without it, whatever key came along is believed
    #[arg(long, value_name = "FILE", requires = "file")]
    key: Option<PathBuf>,
}

pub fn run(arguments: &AuditArgs, environment: &Environment) -> Result<(), Failure> {
    match &arguments.command {
        AuditCommand::Export { format } => export(arguments, *format, environment),
        AuditCommand::Verify(VerifyArgs { file: Some(file), checkpoint, key }) => {
            verify_copy(arguments, file, checkpoint, key.as_deref())
        }
        AuditCommand::Verify(_) => verify(arguments, environment),
        AuditCommand::Checkpoint => {
            let made = call(arguments, environment, Method::POST, "/audit/checkpoints")?;
            output::line(&made.get("checkpoint").unwrap_or(&Value::Null).to_string())
        }
    }
}

fn export(arguments: &AuditArgs, format: Format, environment: &Environment) -> Result<(), Failure> {
    if matches!(format, Format::Csv) {
        output::line(csv::HEAD.trim_end())?;
    }
    let (mut block, mut after) = (0, 0);
    loop {
        let path = format!("/audit/copy?block={block}&after={after}");
        let answer = call(arguments, environment, Method::GET, &path)?;
        let events = answer.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(last) = events.last() else { break };
        let number = |name: &str| last.get(name).and_then(Value::as_i64).unwrap_or_default();
        (block, after) = (number("block"), number("position"));
        for event in events {
            match format {
                Format::Jsonl => output::line(&event.to_string())?,
                Format::Csv => output::line(csv_line(event)?.trim_end())?,
            }
        }
    }
    match format {
        Format::Csv => Ok(()),
        Format::Jsonl => export_checkpoints(arguments, environment),
    }
}

fn csv_line(event: Value) -> Result<String, Failure> {
    let at = event.get("at").and_then(Value::as_str).unwrap_or_default().to_owned();
    let row = AuditRow::imported(event).map_err(Failure::Failed)?;
    let mut text = String::new();
    csv::push_row(&mut text, &row, &at);
    Ok(text)
}

fn export_checkpoints(arguments: &AuditArgs, environment: &Environment) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let path = format!("/audit/checkpoints?after={after}");
        let answer = call(arguments, environment, Method::GET, &path)?;
        let found = answer.get("checkpoints").and_then(Value::as_array).cloned();
        let found = found.unwrap_or_default();
        let Some(last) = found.last().and_then(|one| one.get("number")?.as_i64()) else {
            return Ok(());
        };
        for checkpoint in &found {
            output::line(&serde_json::json!({ "checkpoint": checkpoint }).to_string())?;
        }
        after = last;
    }
}

fn verify(arguments: &AuditArgs, environment: &Environment) -> Result<(), Failure> {
    let answer = call(arguments, environment, Method::GET, "/audit/verify")?;
    if arguments.control.json {
        return output::json(&answer);
    }
    let number = |name: &str| answer.get(name).and_then(Value::as_i64).unwrap_or_default();
    let hash = answer.get("hash").and_then(Value::as_str).unwrap_or_default();
    let blocks = match number("blocks") {
        1 => "1 block".to_owned(),
        blocks => format!("{blocks} blocks"),
    };
    let checkpoints = match number("checkpoints") {
        0 => String::new(),
        1 => ", 1 checkpoint".to_owned(),
        checkpoints => format!(", {checkpoints} checkpoints"),
    };
    output::line(&format!(
        "The audit trail is whole: {blocks}{checkpoints}.\nKeep the hash of the newest block \
         elsewhere; it proves later that nothing up to here was rewritten:\n{hash}"
    ))
}

/// A copy, without anything else. Read twice: checkpoints come behind what they vouch for.
fn verify_copy(
    arguments: &AuditArgs,
    file: &Path,
    kept: &[PathBuf],
    key: Option<&Path>,
) -> Result<(), Failure> {
    let key: Option<Jwk> = key.map(read_json).transpose()?;
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    for path in kept {
        checkpoints.push(read_json(path)?);
    }
    each_line(file, |value| {
        if let Some(checkpoint) = value.get_mut("checkpoint") {
            let read = serde_json::from_value(checkpoint.take());
            checkpoints.push(read.map_err(|error| error.to_string())?);
        }
        Ok(())
    })?;
    let wrong = |error: TrailError| Failure::Failed(error.to_string());
    let mut check = TrailCheck::new(checkpoints, key.as_ref()).map_err(wrong)?;
    let mut found: Result<(), TrailError> = Ok(());
    each_line(file, |value| {
        if found.is_ok() && value.get("checkpoint").is_none() {
            found = check.add(&AuditRow::imported(value.take())?);
        }
        Ok(())
    })?;
    found.map_err(wrong)?;
    let report = check.finish().map_err(wrong)?;
    if arguments.control.json {
        let TrailReport { blocks, rows, unsealed, checkpoints, proven_to, hash } = report;
        return output::json(&serde_json::json!({
            "blocks": blocks, "rows": rows, "unsealed": unsealed, "checkpoints": checkpoints,
            "proven_to": proven_to, "hash": hash,
        }));
    }
    output::line(&words(&report, key.is_some()))
}

fn words(report: &TrailReport, has_key: bool) -> String {
    let TrailReport { blocks, rows, checkpoints, proven_to, hash, .. } = report;
    let vouched = match (checkpoints, has_key) {
        (0, _) => {
            "No checkpoint vouches for it: that nothing was cut off is not proven.".to_owned()
        }
        (_, true) => {
            format!("Up to block {proven_to} it is what the key that you gave has signed.")
        }
        (_, false) => format!(
            "Up to block {proven_to} it is what was signed, by the key that came along. Give the \
             key that you know with --key."
        ),
    };
    format!("The copy is whole: {rows} events in {blocks} blocks.\n{vouched}\n{hash}")
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let read = || -> Result<T, String> {
        let text = std::fs::read(path).map_err(|error| error.to_string())?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    };
    read().map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

fn each_line(
    file: &Path,
    mut visit: impl FnMut(&mut Value) -> Result<(), String>,
) -> Result<(), Failure> {
    let lines = File::open(file).map(BufReader::new).map(BufReader::lines);
    let lines = lines.map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    for (number, line) in (1..).zip(lines) {
        let mut read = || -> Result<(), String> {
            let line = line.as_ref().map_err(ToString::to_string)?;
            visit(&mut serde_json::from_str(line).map_err(|error| error.to_string())?)
        };
        let unreadable = |what| TrailError::Unreadable { line: number, what };
        read().map_err(|what| Failure::Failed(unreadable(what).to_string()))?;
    }
    Ok(())
}

fn call(
    arguments: &AuditArgs,
    environment: &Environment,
    method: Method,
    path: &str,
) -> Result<Value, Failure> {
    block_on(async {
        let control = Control::open(&arguments.control, environment).await?;
        control.call(method, path, None).await
    })
}
