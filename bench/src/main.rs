//! Measures Consentry against the limit of this machine and against peers, in one run. Started by
//! `cargo xtask bench`, which builds it and what it measures; docs/dev/performance.md explains.

#![expect(clippy::disallowed_methods, reason = "what is measured is real time")]

mod bare;
mod beside;
mod browser;
mod cases;
mod crowd;
mod filling;
mod growth;
mod keys;
mod load;
mod pages;
mod peers;
mod people;
mod process;
mod report;
mod rounds;
mod signed;
mod site;
mod soak;
mod sources;
mod tools;
mod wire;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

use crate::cases::{CASES, Case, Supply};
use crate::rounds::Load;
use crate::tools::absolute;
use crate::world::{Plan, Postgres};

/// `Err` is a sentence for the person at the terminal.
pub type Outcome<T> = Result<T, String>;

#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    bench: BenchArguments,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Task {
    /// p99, start and memory with a full database against an empty one
    Growth(growth::Growth),
    /// Mixed load for half an hour: memory, rows that are swept, errors
    Soak(soak::Soak),
    /// Server time of pages and lists with 10,000 apps and 1,000,000 rows of the audit trail
    Pages(pages::Pages),
    /// Token requests while many people sign in
    Storm(beside::Beside),
    /// What metrics, log and traces cost
    Telemetry(beside::Beside),
    #[command(flatten)]
    Bare(bare::Bare),
}

#[derive(Debug, clap::Args)]
struct BenchArguments {
    /// Done within two minutes: three short rounds
    #[arg(long)]
    quick: bool,
    /// Only cases whose name contains this. Repeat for more
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Also measure other servers, installed from their registries
    #[arg(long)]
    with_peers: bool,
    /// Write all rounds as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Length of a round
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Record our rounds with `perf`, on a build with debug symbols
    #[arg(long)]
    perf: bool,
    /// The release binary that is measured
    #[arg(long, value_name = "FILE", default_value = "target/release/consentry", hide = true)]
    binary: PathBuf,
    /// Folder for databases and configs; on a disk, since what is measured is durable
    #[arg(long, value_name = "DIR", default_value = "target/bench", hide = true)]
    work: PathBuf,
    /// A database of PostgreSQL that may be filled
    #[arg(long, value_name = "URL", hide = true)]
    postgres: Option<String>,
    #[arg(long, value_name = "FILE", hide = true)]
    pgbench: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { task, bench } = Arguments::parse();
    let done = match task {
        Some(Task::Growth(growth)) => growth::run(&growth),
        Some(Task::Soak(soak)) => soak::run(&soak),
        Some(Task::Pages(pages)) => pages::run(&pages),
        Some(Task::Storm(beside)) => beside::storm(&beside),
        Some(Task::Telemetry(beside)) => beside::telemetry(&beside),
        Some(Task::Bare(bare)) => bare::serve(&bare),
        None => measure(&bench),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &BenchArguments) -> Outcome<()> {
    let report = world::run(&plan(arguments)?)?;
    print!("{}", report.table());
    let Some(file) = &arguments.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn plan(arguments: &BenchArguments) -> Outcome<Plan> {
    let is_wanted = |case: &&Case| {
        let only = &arguments.only;
        only.is_empty() || only.iter().any(|part| case.name.contains(part.as_str()))
    };
    let cases: Vec<Case> = CASES.iter().filter(is_wanted).copied().collect();
    if cases.is_empty() {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        return Err(format!("no case has such a name; there are {}", names.join(", ")));
    }
    let quick = arguments.quick;
    let rounds = arguments.rounds.unwrap_or(if quick { 3 } else { 5 });
    let seconds = arguments.seconds.unwrap_or(if quick { 0.6 } else { 3.0 });
    Ok(Plan {
        cases,
        rounds,
        load: Load {
            connections: arguments.connections,
            round: Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?,
            warm_up: Duration::from_millis(if quick { 100 } else { 300 }),
        },
        supply: Supply {
            // One more than rounds: a sample is taken before them.
            rounds: rounds + 1,
            codes_per_round: if quick { 5_000 } else { 20_000 },
            grants: 1_000,
            keys: arguments.connections,
        },
        binary: absolute(&arguments.binary)?,
        work: absolute(&arguments.work)?,
        postgres: arguments.postgres.clone().map(|url| {
            let pgbench = arguments.pgbench.clone();
            Postgres { url, pgbench }
        }),
        with_peers: arguments.with_peers,
        footprint: arguments.only.is_empty(),
        perf: arguments.perf,
    })
}
