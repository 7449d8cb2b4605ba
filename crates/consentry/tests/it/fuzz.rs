//! The fuzz targets' checks on their seeds and on a fixed number of mutations of them: the same in
//! every run. How the targets are run for longer: docs/dev/fuzzing.md.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../../../../fuzz/src/lib.rs"]
mod checks;

/// All targets together take a few seconds.
const MUTATIONS: usize = 3_000;
const LENGTH_MAX: usize = 4096;

/// Bytes that mean something to one of the decoders.
const TELLING: &[u8] = b"%&=+;:,/?#@[]{}\"'\\.*$ 0aA\n\r\t\0\x7f\x80\xc3\xff";

#[test]
fn no_seed_of_a_fuzz_target_breaks_a_promise() {
    for (name, check) in checks::TARGETS {
        for seed in seeds(name) {
            run(name, check, &seed);
        }
    }
}

#[test]
fn no_mutation_of_a_seed_breaks_a_promise() {
    for (name, check) in checks::TARGETS {
        let seeds = seeds(name);
        let mut dice = Dice(0x5eed);
        for _ in 0..MUTATIONS {
            run(name, check, &mutated(&seeds, &mut dice));
        }
    }
}

#[test]
fn every_check_is_a_fuzz_target() {
    let mut targets: Vec<String> = files_of("fuzz_targets")
        .iter()
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    targets.sort();
    assert_eq!(targets, checks::TARGETS.map(|(name, _)| name));
}

/// A broken promise tells the input, to be saved as a seed.
fn run(name: &str, check: fn(&[u8]), data: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| check(data)));
    assert!(outcome.is_ok(), "the check `{name}` fails on b\"{}\"", data.escape_ascii());
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    files_of(&format!("seeds/{name}")).iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// In the order of their names, so that every machine rolls the same mutations.
fn files_of(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut data = dice.pick(seeds).clone();
    for _ in 0..=dice.below(6) {
        let (from, to) = (dice.below(data.len() + 1), dice.below(data.len() + 1));
        let range = from.min(to)..from.max(to).min(from.min(to) + 16);
        match dice.below(6) {
            0 => drop(data.drain(range)),
            1 => drop(data.splice(range.start..range.start, [*dice.pick(TELLING)])),
            2 => {
                let copy = data[range].to_vec();
                data.splice(to..to, copy);
            }
            3 => {
                let other = dice.pick(seeds);
                let cut = dice.below(other.len() + 1);
                data.splice(from.., other[cut..].iter().copied());
            }
            4 if from < data.len() => data[from] = *dice.pick(TELLING),
            _ if from < data.len() => data[from] ^= 1 << dice.below(8),
            _ => data.push(*dice.pick(TELLING)),
        }
    }
    data.truncate(LENGTH_MAX);
    data
}

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut roll = self.0;
        roll = (roll ^ (roll >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        roll = (roll ^ (roll >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((roll ^ (roll >> 31)) % end as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
