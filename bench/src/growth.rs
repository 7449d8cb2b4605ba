//! `cargo xtask bench growth`: the same requests at an empty database and at one that holds a
//! million users, a hundred thousand apps and five million live grants.
//!
//! Both are set up through the pages; then rows are copied inside the file of the second, while its
//! server is stopped: users, apps with their names and secrets, consents and grants, five to a
//! user, under ids that are spread evenly over all there are. What is measured are the grants that
//! were made through the pages; they lie scattered among the copies.

use std::path::Path;

use crate::Outcome;
use crate::bare::Bare;
use crate::cases::{Backend, CASES, Case, Supply};
use crate::filling::Database;
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
const TABLES: [&str; 6] = ["users", "apps", "client_ids", "client_secrets", "consents", "grants"];
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
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let count = |full: f64| (full * scale).max(10.0) as u64;
    let (users, apps) = (count(USERS), count(APPS));
    let grants = users * GRANTS_PER_USER;
    let db = Database::sqlite(file)?;
    let indexes = db.drop_indexes(&TABLES)?;
    let user = db.id("01", "n.i", users);
    let app = db.id("02", "n.i", apps);
    // Another app for each grant of a user.
    let app_of_grant = db.id("02", &format!("n.i * 7919 % {apps}"), apps);
    let user_of_grant = db.id("01", &format!("n.i / {GRANTS_PER_USER}"), users);
    let consent = db.id("03", "n.i", grants);
    let email = "'copy' || n.i || '@example.com'";
    let one = "LIMIT 1";
    db.copy("users", one, users, &[("id", &user), ("email", email), ("email_normalized", email)])?;
    db.copy(
        "apps",
        one,
        apps,
        &[
            ("id", &app),
            ("name", "'Copy ' || n.i"),
            ("name_normalized", "'copy ' || n.i"),
            ("skeleton", "'copy' || n.i"),
            ("search_text", "'copy ' || n.i"),
        ],
    )?;
    // Each is known by two: one of them is for tests.
    let of_first = "WHERE app_id = (SELECT app_id FROM client_ids LIMIT 1)";
    let wire_id = [("wire_id", "t.mode || '-' || n.i"), ("app_id", &*app)];
    db.copy("client_ids", of_first, apps, &wire_id)?;
    let secret = db.id("04", "n.i", apps);
    db.copy("client_secrets", one, apps, &[("id", &secret), ("app_id", &app)])?;
    let given = [("id", &*consent), ("user_id", &user_of_grant), ("app_id", &app_of_grant)];
    db.copy("consents", one, grants, &given)?;
    let [id, code, attempt] = ["05", "06", "07"].map(|kind| db.id(kind, "n.i", grants));
    db.copy(
        "grants",
        one,
        grants,
        &[
            ("id", &id),
            ("user_id", &user_of_grant),
            ("app_id", &app_of_grant),
            ("consent_id", &consent),
            ("code_id", &code),
            ("attempt_id", &attempt),
        ],
    )?;
    db.close(indexes)?;
    Ok(format!("{users} users, {apps} apps, {grants} live grants more"))
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn gigabytes(file: &Path) -> f64 {
    std::fs::metadata(file).map_or(0.0, |found| found.len() as f64 / 1e9)
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn kib_as_mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
