//! `consentry import …`: what moves here from another system, a file at a time: all of it or
//! nothing. The file is read to its end first, and goes to the server in one request.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use server::admin::import::{BODY_BYTES_MAX, ENTRIES_MAX, FIELDS, ImportAnswer};

use super::control::{Control, Refused};
use super::output::{self, plain};
use super::{ControlArgs, Failure, block_on};
use crate::config::{Environment, nearest};

mod csv;
mod json;
mod reader;

/// Bytes of all apps: what the server takes, without what is around them.
const FILE_BYTES_MAX: usize = BODY_BYTES_MAX - (1 << 20);
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
    /// All of the file or nothing: when a line is refused, each is told with the reason, and
    /// nothing is changed. What is there already is recognised, so running it again is harmless.
    /// Exit code 1: something was refused.
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
    let mut import = Import::new(apps, arguments.control.json);
    let mut seen = HashMap::new();
    read(&apps.file, format, &mut |line| import.take(line, &mut seen))?;
    let answer = block_on(async {
        let mut control = Control::open(&arguments.control, environment).await?;
        let answer = import.send(&mut control).await;
        control.close().await;
        answer
    })?;
    import.report(answer)
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

/// Which app of the file, where it begins, and what is wrong.
type Refusal = (usize, u64, String);

struct Import<'a> {
    apps: &'a AppsArgs,
    as_json: bool,
    /// Apps of the file so far.
    total: usize,
    /// Of each entry: which app of the file it is, and where it begins.
    numbers: Vec<(usize, u64)>,
    entries: Vec<Value>,
    bytes: usize,
    refusals: Vec<Refusal>,
}

impl<'a> Import<'a> {
    fn new(apps: &'a AppsArgs, as_json: bool) -> Self {
        let (numbers, entries, refusals) = (Vec::new(), Vec::new(), Vec::new());
        Self { apps, as_json, total: 0, numbers, entries, bytes: 0, refusals }
    }

    fn take(&mut self, line: Line, seen: &mut HashMap<String, u64>) -> Result<(), Failure> {
        let Line { number, entry } = line;
        self.total += 1;
        match entry.and_then(|entry| self.complete(entry, number, seen)) {
            Err(reason) => self.refusals.push((self.total, number, reason)),
            Ok((entry, bytes)) => {
                self.bytes += bytes;
                self.numbers.push((self.total, number));
                self.entries.push(entry);
            }
        }
        if self.entries.len() > ENTRIES_MAX || self.bytes > FILE_BYTES_MAX {
            return Err(Failure::Failed(format!(
                "{} is too long: at most {ENTRIES_MAX} apps and {} MiB are imported at once. Make \
                 several files of it.",
                self.apps.file.display(),
                FILE_BYTES_MAX >> 20,
            )));
        }
        Ok(())
    }

    /// Fill in the owner; the entry with its size. Refused: unknown fields, a client id that came
    /// before, more than an app has.
    fn complete(
        &self,
        mut entry: Map<String, Value>,
        number: u64,
        seen: &mut HashMap<String, u64>,
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
            && let Some(before) = seen.insert(client_id.clone(), number)
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

    /// If something is refused already, only to hear what is wrong with the rest. `None`: something
    /// was refused.
    async fn send(&mut self, control: &mut Control) -> Result<Option<ImportAnswer>, Failure> {
        let dry_run = self.apps.dry_run || !self.refusals.is_empty();
        let body = json!({ "dry_run": dry_run, "apps": std::mem::take(&mut self.entries) });
        match control.ask(Method::POST, "/import/apps", Some(body), None).await? {
            Ok(answer) => {
                let read = ImportAnswer::deserialize(answer.value);
                let read = read.map_err(|error| Failure::Failed(error.to_string()))?;
                Ok(self.refusals.is_empty().then_some(read))
            }
            Err(Refused(status, problem)) => {
                let errors = problem.get("errors").and_then(Value::as_array);
                let reasons: Vec<_> =
                    errors.into_iter().flatten().filter_map(|one| self.refusal(one)).collect();
                if reasons.is_empty() {
                    return Err(Refused(status, problem).into());
                }
                self.refusals.extend(reasons);
                Ok(None)
            }
        }
    }

    /// `/apps/7/name` is a line of the file.
    fn refusal(&self, error: &Value) -> Option<Refusal> {
        let index = error.get("pointer")?.as_str()?.split('/').nth(2)?;
        let (which, line) = *self.numbers.get(index.parse::<usize>().ok()?)?;
        Some((which, line, error.get("detail")?.as_str()?.to_owned()))
    }

    fn report(mut self, answer: Option<ImportAnswer>) -> Result<(), Failure> {
        self.refusals.sort_by_key(|(which, ..)| *which);
        let apps: BTreeSet<_> =
            self.refusals.iter().map(|(which, line, _)| (*which, *line)).collect();
        let (refused, total) = (apps.len(), self.total);
        let counts = answer.map(|answer| (answer.imported, answer.already_there));
        let (imported, already_there) = counts.unwrap_or_default();
        if self.as_json {
            let reasons = |app: usize| {
                let of_app = self.refusals.iter().filter(|(which, ..)| *which == app);
                of_app.map(|(.., reason)| reason.as_str()).collect::<Vec<_>>()
            };
            let refusal =
                |(app, line): &(usize, u64)| json!({ "line": line, "reasons": reasons(*app) });
            output::json(&json!({
                "dry_run": self.apps.dry_run,
                "imported": imported,
                "already_there": already_there,
                "refused": apps.iter().map(refusal).collect::<Vec<_>>(),
            }))?;
        } else {
            let mut stderr = io::stderr().lock();
            for (_, number, reason) in &self.refusals {
                writeln!(stderr, "{}:{number}: {}", self.apps.file.display(), plain(reason))?;
            }
            let verb = if self.apps.dry_run { "would import" } else { "imported" };
            output::line(&format!(
                "{verb} {imported}, refused {refused}, already there {already_there}"
            ))?;
        }
        match refused {
            0 => Ok(()),
            _ => Err(Failure::Failed(format!(
                "{refused} of {total} apps were refused, so nothing was imported"
            ))),
        }
    }
}
