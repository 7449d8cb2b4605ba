//! `cargo xtask fuzz TARGET`: one fuzz target for a while, from its seeds and what earlier runs
//! found. The lock file of the product is used, so that what is fuzzed is what is shipped.

use std::path::Path;
use std::process::Command;

use crate::process::{Outcome, find_program, run_visibly};

const SECONDS: u32 = 600;
/// What is longer finds nothing that is not found shorter, and is slower.
const BYTES_MAX: u32 = 4096;

pub fn run(root: &Path, words: &[&str]) -> Outcome<()> {
    let fuzz = root.join("fuzz");
    let (target, seconds) = parse(words)?;
    if !fuzz.join("fuzz_targets").join(format!("{target}.rs")).is_file() {
        return Err(format!("`{target}` is no fuzz target; they are in fuzz/fuzz_targets"));
    }
    if find_program(&["cargo-fuzz"], &[]).is_none() {
        return Err("cargo-fuzz is not installed: run `cargo install --locked cargo-fuzz`".into());
    }
    let lock = "Cargo.lock";
    std::fs::copy(root.join(lock), fuzz.join(lock)).map_err(|error| format!("{lock}: {error}"))?;
    let corpus = fuzz.join("corpus").join(target);
    std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    // No sanitizer: it looks for what safe Rust cannot do, and makes a run half as long.
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&fuzz).args(["fuzz", "run", "--sanitizer", "none", target]);
    // Found inputs go into the first folder.
    cargo.arg(corpus).arg(fuzz.join("seeds").join(target)).arg("--");
    cargo.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={BYTES_MAX}"));
    let advice = "a promise is broken: docs/dev/fuzzing.md says what to do with the input above";
    if run_visibly(&mut cargo)? { Ok(()) } else { Err(advice.into()) }
}

fn parse<'a>(words: &[&'a str]) -> Outcome<(&'a str, u32)> {
    match words {
        [target] => Ok((target, SECONDS)),
        [target, "--seconds", number] => {
            let seconds = number.parse().map_err(|_| format!("`{number}` is no number"))?;
            Ok((target, seconds))
        }
        _ => Err("write `cargo xtask fuzz TARGET [--seconds N]`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_runs_for_ten_minutes_unless_told() {
        assert_eq!(parse(&["bodies"]), Ok(("bodies", 600)));
        assert_eq!(parse(&["bodies", "--seconds", "5"]), Ok(("bodies", 5)));
        assert!(parse(&[]).is_err());
        assert!(parse(&["bodies", "--seconds", "x"]).is_err());
    }
}
