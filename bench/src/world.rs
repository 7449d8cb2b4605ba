//! One run: servers started, people gathered, groups measured in turn.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;
use crate::bare::Bare;
use crate::cases::{Backend, Case, Sample, Supply};
use crate::peers::Peers;
use crate::process::{Server, Used};
use crate::report::{Footprint, GroupReport, HalfLoad, Machine, Report, commit, median_round};
use crate::rounds::{Contender, Drive, Load, Round, median};
use crate::site::{Settings, Site};

/// What is measured, and how long.
#[derive(Clone, Debug)]
pub struct Plan {
    pub cases: Vec<Case>,
    pub rounds: usize,
    pub load: Load,
    pub supply: Supply,
    pub binary: PathBuf,
    pub work: PathBuf,
    pub postgres: Option<Postgres>,
    pub with_peers: bool,
    pub footprint: bool,
    /// Run `perf` beside ours and leave what it found in the work folder.
    pub perf: bool,
}

#[derive(Clone, Debug)]
pub struct Postgres {
    pub url: String,
    pub pgbench: Option<PathBuf>,
}

/// A group whose servers all run.
struct Group {
    case: Case,
    contenders: Vec<Contender>,
}

pub fn run(plan: &Plan) -> Outcome<Report> {
    let (_upstream, upstream_address) = Server::bare(&Bare::Upstream)?;
    let (proxy, proxy_address) = Server::bare(&Bare::Proxy { upstream: upstream_address })?;
    let backends = start_backends(plan, upstream_address)?;
    let mut groups = Vec::new();
    for case in &plan.cases {
        let needed = backends.iter().filter(|backend| takes_part(case, backend.site.name));
        let contenders = needed.map(|backend| backend.contender(case)).collect::<Outcome<_>>()?;
        groups.push(Group { case: *case, contenders });
    }
    let samples = groups
        .iter_mut()
        .map(|group| Sample::of(group.contenders.first_mut().ok_or("no server runs")?))
        .collect::<Outcome<Vec<Sample>>>()?;
    let sizes = groups.iter().zip(&samples);
    let answers =
        sizes.map(|(group, sample)| format!("{}={}", group.case.name, sample.body_bytes)).collect();
    let (limit, limit_address) = Server::bare(&Bare::Limit { answers })?;
    for (group, sample) in groups.iter_mut().zip(&samples) {
        let base = match group.case.is_gateway() {
            true => sample.proxy(proxy_address, proxy.pid()),
            false => sample.limit(&group.case, limit_address, limit.pid()),
        };
        group.contenders.insert(0, base);
    }
    let peers = match plan.with_peers {
        true => Some(Peers::start(&plan.work, plan.supply.codes_per_round, upstream_address)?),
        false => None,
    };
    for group in &mut groups {
        let of_case = peers.as_ref().map(|peers| peers.contenders(group.case.name)).transpose()?;
        group.contenders.extend(of_case.into_iter().flatten());
    }
    let (groups, half_load, calibration_ms) = measure(plan, groups)?;
    let footprint = plan.footprint.then(|| footprint(plan, backends)).transpose()?;
    Ok(Report {
        machine: Machine::this(),
        commit: commit(),
        connections: plan.load.connections,
        seconds_per_round: plan.load.round.as_secs_f64(),
        calibration_ms,
        groups,
        half_load,
        footprint,
    })
}

/// PostgreSQL is measured where the database is; elsewhere it would only cost time.
fn takes_part(case: &Case, backend: &str) -> bool {
    backend == "sqlite" || case.writes() || case.name == "token-opaque"
}

fn start_backends(plan: &Plan, upstream: SocketAddr) -> Outcome<Vec<Backend>> {
    let mut wanted = vec![("sqlite", "sqlite:data/bench.db".to_owned())];
    let needs_postgres = plan.cases.iter().any(|case| case.writes() || case.name == "token-opaque");
    wanted.extend(
        plan.postgres.iter().filter(|_| needs_postgres).map(|p| ("postgres", p.url.clone())),
    );
    let mut supply = plan.supply;
    if !plan.cases.iter().any(|case| case.name == "code") {
        supply.rounds = 0;
    }
    let mut backends = Vec::new();
    for (name, database) in wanted {
        eprintln!("preparing users, apps and grants on {name}");
        let mut site =
            Site::new(name, &plan.binary, &plan.work, &database, upstream, Settings::default())?;
        site.start()?;
        let is_signed = |case: &Case| case.is_signed() && takes_part(case, name);
        if !plan.cases.iter().any(is_signed) {
            supply.keys = 0;
        }
        backends.push(Backend::prepare(site, supply)?);
    }
    Ok(backends)
}

type Found = (Vec<GroupReport>, Vec<HalfLoad>, f64);

fn measure(plan: &Plan, mut groups: Vec<Group>) -> Outcome<Found> {
    if let Some(postgres) = &plan.postgres
        && let Some(group) = groups.iter_mut().find(|group| group.case.name == "refresh")
        && let Some(pgbench) = pgbench(plan, postgres)?
    {
        group.contenders.push(pgbench);
    }
    let mut rounds: Vec<Vec<Vec<Round>>> =
        groups.iter().map(|group| vec![Vec::new(); group.contenders.len()]).collect();
    for number in 1..=plan.rounds {
        for (group, found) in groups.iter_mut().zip(&mut rounds) {
            eprintln!("round {number} of {}: {}", plan.rounds, group.case.name);
            for (contender, found) in group.contenders.iter_mut().zip(found) {
                let perf = perf(plan, &group.case, contender)?;
                found.push(contender.round(plan.load, None)?);
                perf.map_or(Ok(()), Server::stop)?;
            }
        }
    }
    let all = rounds.iter().flatten().flatten().map(|round| round.calibration_ms);
    let fastest = all.filter(|ms| *ms > 0.0).fold(f64::INFINITY, f64::min);
    let mut half_load = Vec::new();
    for (group, found) in groups.iter_mut().zip(&rounds) {
        if group.case.name == "gateway-opaque" {
            let gateway = found.get(1).map(|rounds| median_round(rounds, fastest));
            let rate = gateway.unwrap_or_default().per_second / 2.0;
            half_load.push(at_half_load(plan, group, rate, fastest)?);
        }
    }
    let reports = groups.iter().zip(rounds).map(|(group, found)| {
        let names = group.contenders.iter().map(|contender| contender.name.clone());
        GroupReport::new(&group.case, names.zip(found).collect(), fastest)
    });
    Ok((reports.collect(), half_load, fastest))
}

fn perf(plan: &Plan, case: &Case, contender: &Contender) -> Outcome<Option<Server>> {
    let Drive::Http { pid, .. } = contender.drive else { return Ok(None) };
    if !plan.perf || !contender.name.starts_with("consentry") {
        return Ok(None);
    }
    let name = format!("{} {}.perf", case.name, contender.name).replace(' ', "-");
    Server::perf(pid, &plan.work.join(name)).map(Some)
}

fn at_half_load(plan: &Plan, group: &mut Group, rate: f64, fastest: f64) -> Outcome<HalfLoad> {
    let [proxy, gateway, ..] = group.contenders.as_mut_slice() else {
        return Err("there is no proxy to compare with".into());
    };
    let (mut of_proxy, mut of_gateway) = (Vec::new(), Vec::new());
    for number in 1..=plan.rounds {
        eprintln!("round {number} of {}: {} at half load", plan.rounds, group.case.name);
        of_proxy.push(proxy.round(plan.load, Some(rate))?);
        of_gateway.push(gateway.round(plan.load, Some(rate))?);
    }
    Ok(HalfLoad {
        case: group.case.name,
        per_second: rate,
        proxy: median_round(&of_proxy, fastest),
        gateway: median_round(&of_gateway, fastest),
    })
}

/// The database without us, where `pgbench` is installed.
fn pgbench(plan: &Plan, postgres: &Postgres) -> Outcome<Option<Contender>> {
    let Some(program) = postgres.pgbench.clone() else { return Ok(None) };
    let psql = program.with_file_name("psql");
    let table = "DROP TABLE IF EXISTS bench_row; \
         CREATE TABLE bench_row (id BIGINT PRIMARY KEY, generation BIGINT, at BIGINT); \
         INSERT INTO bench_row SELECT n, 0, 0 FROM generate_series(1, 10000) n;";
    let made = std::process::Command::new(psql)
        .args(["-q", "-c", table, &postgres.url])
        .output()
        .map_err(|error| format!("psql: {error}"))?;
    if !made.status.success() {
        return Err(format!("psql: {}", String::from_utf8_lossy(&made.stderr)));
    }
    let script = plan.work.join("one-row-update.sql");
    let text = "\\set id random(1, 10000)\n\
         UPDATE bench_row SET generation = generation + 1, at = at + 1 WHERE id = :id;\n";
    std::fs::write(&script, text).map_err(|error| format!("{}: {error}", script.display()))?;
    let drive = Drive::Pgbench { program, url: postgres.url.clone(), script };
    Ok(Some(Contender { name: "pgbench one-row update".to_owned(), drive }))
}

/// Memory without load and the time to the first answer, on the data that the run has left.
fn footprint(plan: &Plan, backends: Vec<Backend>) -> Outcome<Footprint> {
    let site = backends.into_iter().next().map(|backend| backend.site).ok_or("no server ran")?;
    let mut site = std::rc::Rc::into_inner(site).ok_or("the server is still in use")?;
    let mut starts = Vec::new();
    for _ in 0..5 {
        site.stop()?;
        starts.push(site.start()?.as_secs_f64() * 1000.0);
    }
    // The jobs that run at the start have run.
    std::thread::sleep(Duration::from_secs(2));
    let used = Used::by(site.pid());
    site.stop()?;
    Ok(Footprint {
        idle_memory_mib: kib_as_mib(used.memory_now_kib),
        binary_mb: binary_mb(&plan.binary)?,
        cold_start_ms: median(starts),
    })
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn kib_as_mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn binary_mb(binary: &Path) -> Outcome<f64> {
    let length = std::fs::metadata(binary).map_err(|error| error.to_string())?.len();
    Ok(length as f64 / 1e6)
}
