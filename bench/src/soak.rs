//! `cargo xtask bench soak`: everything that leaves nothing behind, in turn, for half an hour.
//! Memory has to stay where it is, what ended has to be swept, and no answer may be wrong. Tokens
//! live two minutes, so that what is revoked is swept within the run. How many rows there are
//! follows the rate of requests and judges nothing. The file itself grows with the audit trail,
//! which is kept for ever and has a row for each revocation.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};

use crate::Outcome;
use crate::bare::Bare;
use crate::cases::{Backend, CASES, Supply};
use crate::load::{self, Pace};
use crate::process::{Server, Used};
use crate::rounds::{Contender, Drive, median};
use crate::site::{Settings, Site};
use crate::tools::Tools;

const MIXED: [&str; 5] = ["token-opaque", "refresh", "gateway-jwt", "revoke", "authorize"];
/// Memory may go up and down by so much.
const FLAT: f64 = 1.10;
/// Rows that ended so long ago are overdue: they are swept every 30 s.
const OVERDUE: Duration = Duration::from_secs(60);
/// Overdue rows that a sweep may have left to the next one.
const OVERDUE_MAX: i64 = 100;

#[derive(Clone, Debug, clap::Args)]
pub struct Soak {
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    #[command(flatten)]
    tools: Tools,
}

/// How things stood after one turn through all cases.
#[derive(Clone, Copy, Debug)]
struct Stand {
    memory_mib: f64,
    /// Rows of the tables that are swept that ended more than a minute ago.
    overdue: i64,
}

pub fn run(soak: &Soak) -> Outcome<()> {
    let tools = &soak.tools;
    let (_upstream, upstream) = Server::bare(&Bare::Upstream)?;
    let settings = Settings { access_token: "2m", ..Settings::default() };
    let (binary, work) = (tools.binary()?, tools.work()?);
    let mut site = Site::new("soak", &binary, &work, "sqlite:data/bench.db", upstream, settings)?;
    site.start()?;
    let supply = Supply { rounds: 0, codes_per_round: 500, grants: 1_000, keys: 0 };
    let backend = Backend::prepare(site, supply)?;
    let mut refresh = None;
    let (began, time) = (Instant::now(), Duration::from_secs_f64(soak.minutes * 60.0));
    let (mut stands, mut answers, mut wrong) = (Vec::new(), 0_u64, 0_u64);
    println!(
        "{:>6} {:>10} {:>8} {:>8} {:>8} {:>8}",
        "min", "answers", "wrong", "MiB", "rows", "overdue"
    );
    while began.elapsed() < time {
        for name in MIXED {
            let case = CASES.iter().find(|case| case.name == name);
            let case = case.ok_or_else(|| format!("there is no case {name}"))?;
            // Its tokens go on from turn to turn; all others are made anew, as tokens end.
            let mut made = match (name, refresh.take()) {
                ("refresh", Some(kept)) => kept,
                (_, kept) => {
                    refresh = kept;
                    backend.contender(case)?
                }
            };
            let measured = turn(&mut made, tools)?;
            answers += measured.0;
            wrong += measured.1;
            if name == "refresh" {
                refresh = Some(made);
            }
        }
        let used = Used::by(backend.site.pid());
        #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
        let memory_mib = used.memory_now_kib as f64 / 1024.0;
        let (rows, overdue) = swept_rows(&backend.site.database())?;
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        println!(
            "{minutes:>6.1} {answers:>10} {wrong:>8} {memory_mib:>8.1} {rows:>8} {overdue:>8}"
        );
        let stand = Stand { memory_mib, overdue };
        stands.push(stand);
    }
    judge(&stands, wrong);
    Ok(())
}

fn turn(contender: &mut Contender, tools: &Tools) -> Outcome<(u64, u64)> {
    let Drive::Http { address, source, refill, .. } = &mut contender.drive else {
        return Err("only servers are soaked".into());
    };
    if let Some(refill) = refill {
        *source = refill()?;
    }
    let load = tools.load();
    let measured = load::run(*address, load.connections, Pace::Closed(load.round), &mut **source)?;
    if let Err(text) = measured.check(&contender.name) {
        eprintln!("{text}");
    }
    Ok((measured.answers, measured.wrong))
}

/// The second third against the last one: the first fills caches.
fn judge(stands: &[Stand], wrong: u64) {
    let third = stands.len() / 3;
    let memory = |part: Option<&[Stand]>| {
        median(part.unwrap_or_default().iter().map(|stand| stand.memory_mib))
    };
    let (before, after) = (memory(stands.get(third..2 * third)), memory(stands.get(2 * third..)));
    let verdict = if after <= before * FLAT { "flat, met" } else { "MISSED" };
    println!("MiB: {before:.1} in the middle third, {after:.1} in the last: {verdict}");
    let overdue = stands.iter().map(|stand| stand.overdue).max().unwrap_or_default();
    let verdict = if overdue <= OVERDUE_MAX { "met" } else { "MISSED" };
    println!("overdue rows: {overdue} at most (target: within {OVERDUE_MAX}): {verdict}");
    println!("wrong answers: {wrong} (target: 0)");
}

/// Rows of the tables that are swept, and how many of them are overdue.
fn swept_rows(file: &Path) -> Outcome<(i64, i64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = u64::try_from(now.saturating_sub(OVERDUE).as_millis()).unwrap_or_default();
    let sql = format!(
        "SELECT COUNT(*), COALESCE(SUM(expires_at < {before}), 0) FROM \
         (SELECT expires_at FROM revoked_tokens UNION ALL SELECT expires_at FROM used_once \
         UNION ALL SELECT expires_at FROM throttles)"
    );
    let count = || -> rusqlite::Result<(i64, i64)> {
        let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    };
    count().map_err(|error| format!("{}: {error}", file.display()))
}
