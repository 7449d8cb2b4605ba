//! What was found, as a table for people and as JSON for comparing commits.

use std::fmt::Write as _;
use std::process::Command;

use serde::Serialize;

use crate::cases::Case;
use crate::peers::FACTORS;
use crate::rounds::{Round, median};

#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub commit: String,
    pub connections: usize,
    pub seconds_per_round: f64,
    /// The fastest fixed work of the whole run; rounds far above it are marked.
    pub calibration_ms: f64,
    pub groups: Vec<GroupReport>,
    pub half_load: Vec<HalfLoad>,
    pub footprint: Option<Footprint>,
}

#[derive(Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
}

impl Machine {
    pub fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, label: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(label));
            line.map(|rest| rest.trim_start_matches([':', ' ', '\t']).to_owned())
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let memory_kib: u64 =
            memory.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or_default();
        Self {
            processor: after(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory_kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct GroupReport {
    pub case: &'static str,
    pub about: &'static str,
    pub contenders: Vec<ContenderReport>,
}

#[derive(Debug, Serialize)]
pub struct ContenderReport {
    pub name: String,
    pub rounds: Vec<Round>,
    /// Medians of the rounds in which nobody disturbed, or of all when that leaves fewer than two.
    pub median: Round,
    pub disturbed: usize,
    /// Of the first contender, round by round.
    pub ratio: f64,
    /// The smallest ratio that is good enough; 0: none is set.
    pub target: f64,
}

/// Latency at the same fixed rate with the gateway and without.
#[derive(Debug, Serialize)]
pub struct HalfLoad {
    pub case: &'static str,
    pub per_second: f64,
    pub proxy: Round,
    pub gateway: Round,
}

#[derive(Debug, Serialize)]
pub struct Footprint {
    pub idle_memory_mib: f64,
    pub binary_mb: f64,
    pub cold_start_ms: f64,
}

impl GroupReport {
    pub fn new(case: &Case, found: Vec<(String, Vec<Round>)>, fastest_ms: f64) -> Self {
        let base = found.first().map(|(_, rounds)| rounds.clone()).unwrap_or_default();
        let contenders = found.into_iter().map(|(name, rounds)| {
            let ratio = ratio(&rounds, &base, fastest_ms);
            let is_ours = name.starts_with("consentry");
            // The durable targets of the limit are SQLite's; PostgreSQL has its own yardstick.
            let counts = is_ours && !name.ends_with("postgres");
            let target = if counts { case.target } else { 0.0 };
            let disturbed = rounds.iter().filter(|round| round.is_disturbed(fastest_ms)).count();
            let median = median_round(&rounds, fastest_ms);
            ContenderReport { name, rounds, median, disturbed, ratio, target }
        });
        Self { case: case.name, about: case.about, contenders: contenders.collect() }
    }
}

/// The median over rounds of both in the same round: what disturbs one mostly disturbs both.
fn ratio(rounds: &[Round], base: &[Round], fastest_ms: f64) -> f64 {
    let pairs = || rounds.iter().zip(base);
    let quiet: Vec<f64> = pairs()
        .filter(|(own, base)| !own.is_disturbed(fastest_ms) && !base.is_disturbed(fastest_ms))
        .map(|(own, base)| own.per_second / base.per_second.max(1e-9))
        .collect();
    if quiet.len() >= 2 {
        return median(quiet);
    }
    median(pairs().map(|(own, base)| own.per_second / base.per_second.max(1e-9)))
}

pub fn median_round(rounds: &[Round], fastest_ms: f64) -> Round {
    let quiet: Vec<Round> =
        rounds.iter().filter(|round| !round.is_disturbed(fastest_ms)).copied().collect();
    let kept = if quiet.len() >= 2 { quiet } else { rounds.to_vec() };
    let of = |field: fn(&Round) -> f64| median(kept.iter().map(field));
    Round {
        per_second: of(|round| round.per_second),
        p50_ms: of(|round| round.p50_ms),
        p99_ms: of(|round| round.p99_ms),
        p999_ms: of(|round| round.p999_ms),
        cpu_seconds_per_1000: of(|round| round.cpu_seconds_per_1000),
        wrong: rounds.iter().map(|round| round.wrong).sum(),
        peak_memory_mib: kept.iter().map(|round| round.peak_memory_mib).fold(0.0, f64::max),
        calibration_ms: of(|round| round.calibration_ms),
    }
}

impl Report {
    pub fn table(&self) -> String {
        let mut text = String::new();
        let Machine { processor, cores, memory_mib, kernel } = &self.machine;
        // Writing into a `String` does not fail.
        let _ = writeln!(
            text,
            "{processor}, {cores} cores, {memory_mib} MiB, Linux {kernel}; commit {}; \
             {} connections; rounds of {} s",
            self.commit, self.connections, self.seconds_per_round
        );
        let _ = writeln!(
            text,
            "\n{:<15} {:<22} {:>8} {:>6} {:>7} {:>7} {:>7} {:>8} {:>6}  target",
            "case", "server", "req/s", "ratio", "p50 ms", "p99 ms", "p999 ms", "cpu s/k", "MiB"
        );
        for group in &self.groups {
            for contender in &group.contenders {
                text.push_str(&contender.line(group.case));
            }
        }
        text.push_str(&self.factors());
        for half in &self.half_load {
            let _ = writeln!(
                text,
                "{} at half load, {:.0} a second: p99 {:.2} ms through the proxy, {:.2} ms through \
                 the gateway: {:+.2} ms (target: under 1)",
                half.case,
                half.per_second,
                half.proxy.p99_ms,
                half.gateway.p99_ms,
                half.gateway.p99_ms - half.proxy.p99_ms
            );
        }
        if let Some(footprint) = &self.footprint {
            let _ = writeln!(
                text,
                "idle memory {:.1} MiB (target 30), binary {:.1} MB (target 40), \
                 cold start {:.0} ms (target 100)",
                footprint.idle_memory_mib, footprint.binary_mb, footprint.cold_start_ms
            );
        }
        text
    }
}

impl Report {
    /// How many times as fast as the peers that took part.
    fn factors(&self) -> String {
        let mut text = String::new();
        for (case, peer, wanted) in FACTORS {
            let Some(group) = self.groups.iter().find(|group| group.case == case) else { continue };
            let of = |name: &str| group.contenders.iter().find(|one| one.name == name);
            let (Some(ours), Some(theirs)) = (of("consentry sqlite"), of(peer)) else { continue };
            let factor = ours.ratio / theirs.ratio.max(1e-9);
            let verdict = if factor >= wanted { "met" } else { "MISSED" };
            let _ = writeln!(text, "{case}: {factor:.1} x {peer} (target {wanted}) {verdict}");
        }
        text
    }
}

impl ContenderReport {
    fn line(&self, case: &str) -> String {
        let Round {
            per_second,
            p50_ms,
            p99_ms,
            p999_ms,
            cpu_seconds_per_1000,
            peak_memory_mib,
            ..
        } = self.median;
        let verdict = match self.target {
            0.0 => String::new(),
            target if self.ratio >= target => format!("{target:.2} met"),
            target => format!("{target:.2} MISSED"),
        };
        let wrong = match self.median.wrong {
            0 => String::new(),
            count => format!(" {count} WRONG ANSWERS"),
        };
        let disturbed = match self.disturbed {
            0 => String::new(),
            count => format!(" (~{count} of {} rounds disturbed)", self.rounds.len()),
        };
        format!(
            "{case:<15} {:<22} {per_second:>8.0} {:>6.2} {p50_ms:>7.2} {p99_ms:>7.2} \
             {p999_ms:>7.2} \
             {cpu_seconds_per_1000:>8.4} {peak_memory_mib:>6.0}  {verdict}{wrong}{disturbed}\n",
            self.name, self.ratio
        )
    }
}

/// The commit of the work tree, with a mark when it has changes of its own.
pub fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(per_second: f64, calibration_ms: f64) -> Round {
        Round { per_second, calibration_ms, ..Round::default() }
    }

    #[test]
    fn disturbed_rounds_do_not_count_when_others_are_left() {
        let own = [round(50.0, 10.0), round(5.0, 20.0), round(70.0, 10.0)];
        let base = [round(100.0, 10.0), round(100.0, 10.0), round(100.0, 10.0)];
        assert!((ratio(&own, &base, 10.0) - 0.6).abs() < 1e-9);
        assert!((median_round(&own, 10.0).per_second - 60.0).abs() < 1e-9);
    }

    #[test]
    fn with_too_few_quiet_rounds_all_count() {
        let own = [round(50.0, 10.0), round(40.0, 20.0), round(30.0, 20.0)];
        assert!((median_round(&own, 10.0).per_second - 40.0).abs() < 1e-9);
    }
}
