//! `consentry import …`: what moves here from another system. The file is read twice, so that one
//! that cannot be read imports nothing, and in batches, so that its size does not matter.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use server::control::import::{FIELDS, ImportAnswer, Outcome};
use tokio::sync::mpsc;

use super::control::Control;
use super::output::{self, plain};
use super::{ControlArgs, Failure, block_on};
use crate::config::{Environment, nearest};

mod csv;
mod json;
mod reader;

/// Entries of one request.
const BATCH: usize = 200;
/// Bytes of one request, about; the server takes twice as many.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes of one app; none needs as many.
const ENTRY_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Bring apps here with their client ids and their secrets, or hashes of their secrets
    ///
    /// Each line stands alone: it becomes an app, is there already, or is refused with the reason
    /// and changes nothing. Running it again is harmless. Exit code 1: something was refused.
    Apps(AppsArgs),
}

#[derive(Debug, Args)]
struct AppsArgs {
    /// CSV with a heading, or JSON: an array of objects. It holds secrets: keep it to yourself
    file: PathBuf,
    /// What the file is, when its name does not say so
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// E-mail address of the developer of apps that name no `owner`
    #[arg(long, value_name = "EMAIL")]
    owner: Option<String>,
    /// Check everything and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Json,
}

/// One app of the file: where it begins, and its fields or why they cannot be read.
struct Line {
    number: u64,
    entry: Result<Map<String, Value>, String>,
}

/// What readers hand each line to. `Err` stops the reading.
type Each<'e> = &'e mut dyn FnMut(Line) -> Result<(), Failure>;

pub fn run(arguments: &ImportArgs, environment: &Environment) -> Result<(), Failure> {
    let ImportCommand::Apps(apps) = &arguments.command;
    let format = apps.format.map_or_else(|| format_of(&apps.file), Ok)?;
    let mut total = 0;
    read(&apps.file, format, &mut |_| {
        total += 1;
        Ok(())
    })?;
    let mut import = Import {
        apps,
        total,
        as_json: arguments.control.json,
        seen: HashMap::new(),
        tally: Tally::default(),
    };
    block_on(async {
        let mut control = Control::open(&arguments.control.config, environment).await?;
        let done = import.run(&mut control, format).await;
        control.close().await;
        done
    })?;
    import.report()
}

fn format_of(file: &Path) -> Result<Format, Failure> {
    let extension = file.extension().and_then(|text| text.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => Ok(Format::Csv),
        "json" => Ok(Format::Json),
        _ => Err(Failure::Usage(format!(
            "{} ends in neither .csv nor .json: say what it is with --format",
            file.display()
        ))),
    }
}

fn read(file: &Path, format: Format, each: Each<'_>) -> Result<(), Failure> {
    match format {
        Format::Csv => csv::read(file, each),
        Format::Json => json::read(file, each),
    }
}

/// What is wrong with a field that does not exist.
fn unknown_field(name: &str) -> Option<String> {
    if FIELDS.contains(&name) {
        return None;
    }
    Some(match nearest(name, FIELDS.iter().copied()) {
        Some(similar) => format!("there is no field {name}. Did you mean {similar}?"),
        None => format!("there is no field {name}. The fields are: {}", FIELDS.join(", ")),
    })
}

#[derive(Default)]
struct Tally {
    imported: u64,
    already_there: u64,
    refused: u64,
    /// Kept for programs only; people see each as it comes.
    refusals: Vec<Value>,
}

struct Import<'a> {
    apps: &'a AppsArgs,
    total: u64,
    as_json: bool,
    /// Client ids with the lines that have them.
    seen: HashMap<String, u64>,
    tally: Tally,
}

#[derive(Default)]
struct Batch {
    numbers: Vec<u64>,
    entries: Vec<Value>,
    bytes: usize,
}

impl Import<'_> {
    async fn run(&mut self, control: &mut Control, format: Format) -> Result<(), Failure> {
        let (sender, mut lines) = mpsc::channel(BATCH);
        let file = self.apps.file.clone();
        let reading = tokio::task::spawn_blocking(move || {
            read(&file, format, &mut |line| {
                let gone = |_| Failure::Failed("the import was given up".to_owned());
                sender.blocking_send(line).map_err(gone)
            })
        });
        let mut batch = Batch::default();
        while let Some(Line { number, entry }) = lines.recv().await {
            match entry.and_then(|entry| self.complete(entry, number)) {
                Err(reason) => self.refuse(number, &[reason])?,
                Ok((entry, bytes)) => {
                    batch.bytes += bytes;
                    batch.numbers.push(number);
                    batch.entries.push(entry);
                }
            }
            if batch.entries.len() == BATCH || batch.bytes >= BATCH_BYTES {
                self.send(control, std::mem::take(&mut batch)).await?;
            }
        }
        self.send(control, batch).await?;
        self.show_progress(false)?;
        reading.await.map_err(|_| Failure::Failed("reading the file broke off".to_owned()))?
    }

    /// Fill in the owner; the entry with its size. Refused: unknown fields, a client id that came
    /// before, more than fits into a request.
    fn complete(
        &mut self,
        mut entry: Map<String, Value>,
        number: u64,
    ) -> Result<(Value, usize), String> {
        if let Some(reason) = entry.keys().find_map(|name| unknown_field(name)) {
            return Err(reason);
        }
        if let Some(owner) = &self.apps.owner {
            let given = entry.entry("owner").or_insert(Value::Null);
            if given.is_null() || given.as_str().is_some_and(|text| text.trim().is_empty()) {
                *given = owner.as_str().into();
            }
        }
        let client_id = match entry.get("client_id") {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        if !client_id.is_empty()
            && let Some(before) = self.seen.insert(client_id.clone(), number)
        {
            return Err(format!("client_id: line {before} has {client_id} too"));
        }
        let entry = Value::from(entry);
        match entry.to_string().len() {
            bytes if bytes > ENTRY_BYTES_MAX => {
                Err(format!("the app has {bytes} bytes, and {ENTRY_BYTES_MAX} are allowed"))
            }
            bytes => Ok((entry, bytes)),
        }
    }

    async fn send(&mut self, control: &mut Control, batch: Batch) -> Result<(), Failure> {
        if batch.entries.is_empty() {
            return Ok(());
        }
        let body = json!({ "dry_run": self.apps.dry_run, "apps": batch.entries });
        let answer = control.send(Method::POST, "/import/apps", Some(body)).await;
        let answer = answer.and_then(|answer| {
            ImportAnswer::deserialize(answer).map_err(|error| Failure::Failed(error.to_string()))
        });
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                self.show_progress(false)?;
                let first = batch.numbers.first().copied().unwrap_or_default();
                return Err(Failure::Failed(format!(
                    "{failure}\nThe import stopped at line {first}. Run it again: apps that are \
                     there already are recognised."
                )));
            }
        };
        for (number, outcome) in batch.numbers.into_iter().zip(answer.outcomes) {
            match outcome {
                Outcome::Imported => self.tally.imported += 1,
                Outcome::AlreadyThere => self.tally.already_there += 1,
                Outcome::Refused { reasons } => self.refuse(number, &reasons)?,
            }
        }
        self.show_progress(true)
    }

    fn refuse(&mut self, number: u64, reasons: &[String]) -> Result<(), Failure> {
        self.tally.refused += 1;
        if self.as_json {
            self.tally.refusals.push(json!({ "line": number, "reasons": reasons }));
            return Ok(());
        }
        self.show_progress(false)?;
        let mut stderr = io::stderr().lock();
        for reason in reasons {
            writeln!(stderr, "{}:{number}: {}", self.apps.file.display(), plain(reason))?;
        }
        Ok(())
    }

    /// A line that is written over, for a person who watches.
    fn show_progress(&self, show: bool) -> Result<(), Failure> {
        let mut stderr = io::stderr().lock();
        if !stderr.is_terminal() {
            return Ok(());
        }
        let Tally { imported, already_there, refused, .. } = &self.tally;
        let done = imported + already_there + refused;
        match show {
            true => write!(stderr, "\r\u{1b}[K{done}/{}", self.total)?,
            false => write!(stderr, "\r\u{1b}[K")?,
        }
        Ok(stderr.flush()?)
    }

    fn report(self) -> Result<(), Failure> {
        let Tally { imported, already_there, refused, refusals } = self.tally;
        let told = if self.as_json {
            output::json(&json!({
                "dry_run": self.apps.dry_run,
                "imported": imported,
                "already_there": already_there,
                "refused": refusals,
            }))
        } else {
            let verb = if self.apps.dry_run { "would import" } else { "imported" };
            output::line(&format!(
                "{verb} {imported}, refused {refused}, already there {already_there}"
            ))
        };
        match refused {
            0 => told,
            _ => Err(Failure::Failed(format!("{refused} of {} apps were refused", self.total))),
        }
    }
}
