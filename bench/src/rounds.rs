//! Rounds: every contender of a group in turn, so that drift hits all alike, with a fixed piece of
//! work before and after each that tells whether somebody else used the machine meanwhile.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::load::{self, Pace, Source};
use crate::process::Used;

/// Fixed work that took so much longer than the fastest of the run marks a round as disturbed.
const DISTURBED_ABOVE: f64 = 1.15;

/// One thing that is measured under the same load as the others of its group.
pub struct Contender {
    pub name: String,
    pub drive: Drive,
}

/// Makes the requests of a round that are used up by it.
pub type Refill = Box<dyn FnMut() -> Outcome<Box<dyn Source>>>;

pub enum Drive {
    Http {
        address: SocketAddr,
        /// Whose processor time and memory are counted.
        pid: u32,
        source: Box<dyn Source>,
        /// Makes a new source before each round, outside of what is measured.
        refill: Option<Refill>,
    },
    Pgbench {
        program: PathBuf,
        url: String,
        script: PathBuf,
    },
}

/// One contender in one round. Latencies in milliseconds; 0 when they are not known.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Round {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub cpu_seconds_per_1000: f64,
    pub peak_memory_mib: f64,
    /// Answers that were not what was asked for. They do not count for anything else.
    pub wrong: u64,
    /// Fixed work around it, in milliseconds: the slower of before and after.
    pub calibration_ms: f64,
}

impl Round {
    pub fn is_disturbed(&self, fastest_ms: f64) -> bool {
        self.calibration_ms > fastest_ms * DISTURBED_ABOVE
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub connections: usize,
    pub round: Duration,
    pub warm_up: Duration,
}

impl Contender {
    /// One round at `pace`, or as fast as it goes.
    pub fn round(&mut self, load: Load, pace: Option<f64>) -> Outcome<Round> {
        let failed = |error: String| format!("{}: {error}", self.name);
        match &mut self.drive {
            Drive::Pgbench { program, url, script } => {
                let before = calibrate();
                let mut round = pgbench(program, url, script, load).map_err(failed)?;
                round.calibration_ms = before.max(calibrate());
                Ok(round)
            }
            Drive::Http { address, pid, source, refill } => {
                if let Some(refill) = refill {
                    *source = refill().map_err(failed)?;
                } else {
                    let pace = Pace::Closed(load.warm_up);
                    load::run(*address, load.connections, pace, &mut **source).map_err(failed)?;
                }
                let pace = match pace {
                    Some(rate) => Pace::Fixed(load.round, rate),
                    None => Pace::Closed(load.round),
                };
                http_round(*address, *pid, load.connections, pace, &mut **source).map_err(failed)
            }
        }
    }
}

fn http_round(
    address: SocketAddr,
    pid: u32,
    connections: usize,
    pace: Pace,
    source: &mut dyn Source,
) -> Outcome<Round> {
    let (calibration, before) = (calibrate(), Used::by(pid));
    let measured = load::run(address, connections, pace, source)?;
    let after = Used::by(pid);
    if let Err(wrong) = measured.check("measuring") {
        eprintln!("{wrong}");
    }
    #[expect(clippy::cast_precision_loss, reason = "microseconds and counts, far below 2^52")]
    let (quantile, answers, peak) = (
        |q: f64| measured.latency.value_at_quantile(q) as f64 / 1000.0,
        measured.answers.max(1) as f64,
        after.memory_peak_kib as f64,
    );
    Ok(Round {
        per_second: measured.per_second(),
        p50_ms: quantile(0.5),
        p99_ms: quantile(0.99),
        p999_ms: quantile(0.999),
        cpu_seconds_per_1000: (after.cpu_seconds - before.cpu_seconds) / answers * 1000.0,
        peak_memory_mib: peak / 1024.0,
        wrong: measured.wrong,
        calibration_ms: calibration.max(calibrate()),
    })
}

/// What the database itself manages: one-row updates, each its own transaction.
fn pgbench(program: &PathBuf, url: &str, script: &PathBuf, load: Load) -> Outcome<Round> {
    // It counts the time in which its connections are made.
    let seconds = load.round.as_secs().max(3).to_string();
    let connections = load.connections.to_string();
    let output = Command::new(program)
        .args(["-n", "-M", "prepared", "-j", "1", "-c", &connections, "-T", &seconds, "-f"])
        .arg(script)
        .arg(url)
        .output()
        .map_err(|error| format!("pgbench: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |line: &str| {
        let (_, rest) = text.split_once(line)?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    let per_second = number("\ntps = ").ok_or_else(|| {
        format!("pgbench said: {text}{}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(Round { per_second, p50_ms: 0.0, ..Round::default() })
}

/// Fixed work on both cores at once; the milliseconds of the slower one.
fn calibrate() -> f64 {
    let work = || {
        let began = Instant::now();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..8_000_000_u32 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        std::hint::black_box(state);
        began.elapsed()
    };
    let other = std::thread::spawn(work);
    let own = work();
    own.max(other.join().unwrap_or(own)).as_secs_f64() * 1000.0
}

/// The middle one; of an even number the mean of the two in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    if values.len().is_multiple_of(2) {
        f64::midpoint(at(upper.saturating_sub(1)), at(upper))
    } else {
        at(upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median([]).abs() < 1e-9);
    }
}
