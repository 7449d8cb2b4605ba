//! `cargo xtask bench soak`: everything that leaves nothing behind, in turn, for half an hour.
//! Memory and the tables that are swept have to stay where they are, and no answer may be wrong.
//! Tokens live two minutes, so that what is revoked is swept within the run. The file itself grows
//! with the audit trail, which is kept for ever and has a row for each revocation.

use std::path::Path;
use std::time::{Duration, Instant};

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
/// Memory and rows may go up and down by so much.
const FLAT: f64 = 1.10;

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
    rows: f64,
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
    println!("{:>6} {:>10} {:>8} {:>8} {:>8}", "min", "answers", "wrong", "MiB", "rows");
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
        let stand = Stand { memory_mib, rows: swept_rows(&backend.site.database())? };
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        let Stand { memory_mib, rows } = stand;
        println!("{minutes:>6.1} {answers:>10} {wrong:>8} {memory_mib:>8.1} {rows:>8.0}");
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
    let of = |part: &[Stand], field: fn(&Stand) -> f64| median(part.iter().map(field));
    let middle = stands.get(third..2 * third).unwrap_or_default();
    let last = stands.get(2 * third..).unwrap_or_default();
    for (what, field) in
        [("MiB", (|s| s.memory_mib) as fn(&Stand) -> f64), ("rows", |s: &Stand| s.rows)]
    {
        let (before, after) = (of(middle, field), of(last, field));
        let verdict = if after <= before * FLAT { "flat, met" } else { "MISSED" };
        println!("{what}: {before:.1} in the middle third, {after:.1} in the last: {verdict}");
    }
    println!("wrong answers: {wrong} (target: 0)");
}

/// Rows of the tables that are swept.
fn swept_rows(file: &Path) -> Outcome<f64> {
    let count = || -> rusqlite::Result<f64> {
        let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let sql = "SELECT (SELECT COUNT(*) FROM revoked_tokens) + \
                   (SELECT COUNT(*) FROM used_once) + (SELECT COUNT(*) FROM throttles)";
        db.query_row(sql, [], |row| row.get(0))
    };
    count().map_err(|error| format!("{}: {error}", file.display()))
}
