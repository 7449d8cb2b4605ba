//! `cargo xtask bench growth`: the same requests at an empty database and at one that holds a
//! million users, a hundred thousand apps and five million live grants.
//!
//! Both are set up through the pages; then rows are copied inside the file of the second, while its
//! server is stopped: users, apps with their names and secrets, consents and grants, five to a
//! user, under ids that are spread evenly over all there are. What is measured are the grants that
//! were made through the pages; they lie scattered among the copies.

use std::path::Path;

use rusqlite::Connection;

use crate::Outcome;
use crate::bare::Bare;
use crate::cases::{Backend, CASES, Case, Supply};
use crate::process::{Server, Used};
use crate::report::median_round;
use crate::rounds::{Contender, Round, median};
use crate::site::{Settings, Site};
use crate::tools::Tools;

/// At scale 1.
const USERS: f64 = 1_000_000.0;
const APPS: f64 = 100_000.0;
const GRANTS_PER_USER: u64 = 5;
/// Live grants that are used.
const USED: usize = 5_000;
const MEASURED: [&str; 3] = ["token-opaque", "refresh", "gateway-opaque"];

#[derive(Clone, Debug, clap::Args)]
pub struct Growth {
    /// Part of the full size; 1 takes about ten minutes and 6 GB
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    tools: Tools,
}

pub fn run(growth: &Growth) -> Outcome<()> {
    let tools = &growth.tools;
    let (_upstream, upstream) = Server::bare(&Bare::Upstream)?;
    let supply = Supply { rounds: 0, codes_per_round: 0, grants: USED, keys: 0 };
    let prepare = |name| {
        eprintln!("preparing {name}");
        let database = "sqlite:data/bench.db";
        let (binary, work) = (tools.binary()?, tools.work()?);
        let mut site = Site::new(name, &binary, &work, database, upstream, Settings::default())?;
        site.start()?;
        Backend::prepare(site, supply)
    };
    let empty = prepare("empty")?;
    let mut full = prepare("grown")?;
    full.site_mut()?.stop()?;
    let began = std::time::Instant::now();
    let size = fill(&full.site.database(), growth.scale)?;
    eprintln!("filled in {:.0} s", began.elapsed().as_secs_f64());
    let start = full.site_mut()?.start()?;
    println!(
        "{size}, database {:.2} GB; start {:.2} s (target: under 2)",
        gigabytes(&full.site.database()),
        start.as_secs_f64()
    );
    let mut rows = Vec::new();
    for name in MEASURED {
        let case = CASES.iter().find(|case| case.name == name).ok_or("no such case")?;
        let pair = [empty.contender(case)?, full.contender(case)?];
        rows.push((case, compare(pair, growth.rounds, tools)?));
    }
    println!(
        "{:<15} {:>10} {:>10} {:>12} {:>12}  p99",
        "case", "empty", "full", "p99 ms", "p99 ms"
    );
    for (case, [empty, full]) in &rows {
        print_row(case, empty, full);
    }
    let used = Used::by(full.site.pid());
    println!("memory {:.0} MiB (target: within 512)", kib_as_mib(used.memory_peak_kib));
    Ok(())
}

fn compare(mut pair: [Contender; 2], rounds: usize, tools: &Tools) -> Outcome<[Vec<Round>; 2]> {
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (contender, found) in pair.iter_mut().zip(&mut found) {
            found.push(contender.round(tools.load(), None)?);
        }
    }
    Ok(found)
}

fn print_row(case: &Case, empty: &[Round], full: &[Round]) {
    let ratios = full.iter().zip(empty).map(|(full, empty)| full.p99_ms / empty.p99_ms.max(1e-9));
    let ratio = median(ratios);
    let of = |rounds: &[Round]| median_round(rounds, f64::INFINITY);
    let (empty, full) = (of(empty), of(full));
    let verdict = if ratio <= 1.5 { "met" } else { "MISSED" };
    println!(
        "{:<15} {:>8.0}/s {:>8.0}/s {:>12.2} {:>12.2}  x {ratio:.2} (target: 1.5) {verdict}",
        case.name, empty.per_second, full.per_second, empty.p99_ms, full.p99_ms
    );
}

/// Copies rows. How many there are then, in words.
fn fill(file: &Path, scale: f64) -> Outcome<String> {
    fill_tables(file, scale).map_err(|error| format!("{}: {error}", file.display()))
}

fn fill_tables(file: &Path, scale: f64) -> rusqlite::Result<String> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let count = |full: f64| (full * scale).max(10.0) as u64;
    let (users, apps) = (count(USERS), count(APPS));
    let grants = users * GRANTS_PER_USER;
    let db = Connection::open(file)?;
    // Nothing here has to survive anything; the server's own settings come back with the last line.
    db.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; \
         PRAGMA foreign_keys = OFF;",
    )?;
    let indexes = drop_indexes(&db)?;
    let id = |kind: &str, n: &str, of: u64| {
        // Ascending, so that rows are appended, and spread over all ids.
        format!("printf('%08x{kind}%022x', {n} * 4294967295 / {of}, {n})")
    };
    let user = |n: &str| id("01", n, users);
    let app = |n: &str| id("02", n, apps);
    // Another app for each grant of a user.
    let app_of_grant = app(&format!("(n.i * 7919 % {apps})"));
    let user_of_grant = user(&format!("(n.i / {GRANTS_PER_USER})"));
    let consent = id("03", "n.i", grants);
    copy(
        &db,
        "users",
        users,
        &[
            ("id", &user("n.i")),
            ("email", "'copy' || n.i || '@example.com'"),
            ("email_normalized", "'copy' || n.i || '@example.com'"),
        ],
    )?;
    copy(
        &db,
        "apps",
        apps,
        &[("id", &app("n.i")), ("name", "'Copy ' || n.i"), ("name_normalized", "'copy ' || n.i")],
    )?;
    copy(&db, "client_ids", apps, &[("wire_id", "'copy-' || n.i"), ("app_id", &app("n.i"))])?;
    copy(&db, "client_secrets", apps, &[("id", &id("04", "n.i", apps)), ("app_id", &app("n.i"))])?;
    copy(
        &db,
        "consents",
        grants,
        &[("id", &consent), ("user_id", &user_of_grant), ("app_id", &app_of_grant)],
    )?;
    copy(
        &db,
        "grants",
        grants,
        &[
            ("id", &id("05", "n.i", grants)),
            ("user_id", &user_of_grant),
            ("app_id", &app_of_grant),
            ("consent_id", &consent),
            ("code_id", &id("06", "n.i", grants)),
            ("attempt_id", &id("07", "n.i", grants)),
        ],
    )?;
    for sql in indexes {
        db.execute_batch(&sql)?;
    }
    db.execute_batch("PRAGMA journal_mode = WAL;")?;
    Ok(format!("{users} users, {apps} apps, {grants} live grants more"))
}

/// Built at the end, they are sorted once.
fn drop_indexes(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut list = db.prepare(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND \
         tbl_name IN ('users', 'apps', 'client_ids', 'client_secrets', 'consents', 'grants')",
    )?;
    let rows =
        list.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let found: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    for (name, _) in &found {
        db.execute_batch(&format!("DROP INDEX {name}"))?;
    }
    Ok(found.into_iter().map(|(_, sql)| sql).collect())
}

/// `count` copies of a row of `table`, `n.i` counting them, with other values in some columns: all
/// others are what the product wrote, whatever columns there are.
fn copy(
    db: &Connection,
    table: &str,
    count: u64,
    different: &[(&str, &str)],
) -> rusqlite::Result<()> {
    let mut columns = db.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
    let columns: Vec<String> =
        columns.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let value = |column: &String| {
        let other = different.iter().find(|(name, _)| name == column);
        other.map_or_else(|| format!("t.{column}"), |(_, value)| (*value).to_owned())
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) \
         INSERT INTO {table} ({}) SELECT {} FROM (SELECT * FROM {table} LIMIT 1) AS t, n",
        columns.join(", "),
        values.join(", "),
    );
    eprintln!("{count} rows of {table}");
    db.execute_batch(&sql)
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn gigabytes(file: &Path) -> f64 {
    std::fs::metadata(file).map_or(0.0, |found| found.len() as f64 / 1e9)
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn kib_as_mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
