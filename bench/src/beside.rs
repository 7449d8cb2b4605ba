//! What one thing costs another: `cargo xtask bench storm` asks for tokens while hundreds of people
//! sign in, and `cargo xtask bench telemetry` with the log, metrics and traces on and off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::Outcome;
use crate::bare::Bare;
use crate::cases::{Backend, CASES, Case, Supply};
use crate::load::{self, Pace};
use crate::people::sign_in_forms;
use crate::process::Server;
use crate::report::median_round;
use crate::rounds::{Load, Round, median};
use crate::site::{Settings, Site};
use crate::sources::Cycle;
use crate::tools::Tools;

const SQLITE: &str = "sqlite:data/bench.db";
/// People who send the sign-in form at the same time, each again as soon as they are answered.
const STORM: usize = 32;

#[derive(Clone, Debug, clap::Args)]
pub struct Beside {
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Token requests a second during the storm
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    #[command(flatten)]
    tools: Tools,
}

fn backend(
    name: &'static str,
    tools: &Tools,
    upstream: SocketAddr,
    settings: Settings<'_>,
) -> Outcome<Backend> {
    let (binary, work) = (tools.binary()?, tools.work()?);
    let mut site = Site::new(name, &binary, &work, SQLITE, upstream, settings)?;
    site.start()?;
    Backend::prepare(site, Supply { rounds: 0, codes_per_round: 0, grants: 500, keys: 0 })
}

fn case(name: &str) -> Outcome<&'static Case> {
    CASES.iter().find(|case| case.name == name).ok_or_else(|| format!("there is no case {name}"))
}

/// Token requests at a fixed rate, alone and with sign-ins beside them.
pub fn storm(beside: &Beside) -> Outcome<()> {
    let tools = &beside.tools;
    let (_upstream, upstream) = Server::bare(&Bare::Upstream)?;
    // Each from an address of its own, as behind a proxy: one address would be slowed down.
    let settings = Settings { trusts_loopback: true, ..Settings::default() };
    let backend = backend("storm", tools, upstream, settings)?;
    let forms = Arc::new(sign_in_forms(&backend.site, 2_000)?);
    let mut tokens = backend.contender(case("token-opaque")?)?;
    let (mut alone, mut amid, mut signed_in) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..beside.rounds {
        alone.push(tokens.round(tools.load(), Some(beside.rate))?);
        let (address, forms, load) = (backend.site.address, Arc::clone(&forms), tools.load());
        let people = std::thread::spawn(move || people(address, forms, load));
        amid.push(tokens.round(tools.load(), Some(beside.rate))?);
        signed_in.push(people.join().map_err(|_| "the storm broke off")??);
    }
    let (alone, amid) = (median_round(&alone, f64::INFINITY), median_round(&amid, f64::INFINITY));
    println!("{:.0} token requests a second; p50, p99 in ms", beside.rate);
    println!("alone                       {:>8.2} {:>8.2}", alone.p50_ms, alone.p99_ms);
    println!(
        "with {:>5.0} sign-ins a second {:>8.2} {:>8.2}",
        median(signed_in),
        amid.p50_ms,
        amid.p99_ms
    );
    Ok(())
}

/// How many a second are let in. Who is sent away because too many wait, tries again.
fn people(address: SocketAddr, forms: Arc<Vec<Vec<u8>>>, load: Load) -> Outcome<f64> {
    let time = load.warm_up + load.round + Duration::from_millis(200);
    let mut source = Cycle::new(forms, 303);
    let measured = load::run(address, STORM, Pace::Closed(time), &mut source)?;
    Ok(measured.per_second())
}

/// All of it on, as an operator would have it, and all of it off.
pub fn telemetry(beside: &Beside) -> Outcome<()> {
    let tools = &beside.tools;
    let (_upstream, upstream) = Server::bare(&Bare::Upstream)?;
    let (_collector, collector) = Server::bare(&Bare::Upstream)?;
    let traces = format!("\n[telemetry]\notlp_endpoint = \"http://{collector}\"\n");
    let sampled = format!("{traces}otlp_one_in = 100\n");
    let silent = "\n[telemetry]\nmetrics = false\n";
    let with = |more, log| Settings { more, log, ..Settings::default() };
    let backends = [
        ("nothing", backend("silent", tools, upstream, with(silent, "off"))?),
        ("metrics", backend("counted", tools, upstream, with("", "off"))?),
        ("metrics, log", backend("logged", tools, upstream, with("", "info"))?),
        (
            "metrics, log, 1 trace in 100",
            backend("sampled", tools, upstream, with(&sampled, "info"))?,
        ),
        ("metrics, log, all traces", backend("traced", tools, upstream, with(&traces, "info"))?),
        // What this differs from the first by is what these rounds cannot tell.
        ("nothing, once more", backend("silent-too", tools, upstream, with(silent, "off"))?),
    ];
    for name in ["token-opaque", "gateway-opaque"] {
        let case = case(name)?;
        let mut contenders = Vec::new();
        for (words, backend) in &backends {
            contenders.push((*words, backend.contender(case)?, Vec::<Round>::new()));
        }
        for round in 0..beside.rounds {
            // Nobody always comes after the same neighbour.
            let first = round % contenders.len();
            let (late, early) = contenders.split_at_mut(first);
            for (_, contender, found) in early.iter_mut().chain(late) {
                found.push(contender.round(tools.load(), None)?);
            }
        }
        println!("{name}: processor seconds per 1,000, answers a second");
        let mut bare = None;
        for (words, _, found) in &contenders {
            let Round { cpu_seconds_per_1000: cpu, per_second, .. } =
                median_round(found, f64::INFINITY);
            let bare = *bare.get_or_insert(cpu);
            let more = (cpu / bare - 1.0) * 100.0;
            println!("{words:<30} {cpu:>8.4} {per_second:>8.0} {more:>+6.1} %");
        }
    }
    Ok(())
}
