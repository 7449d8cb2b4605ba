//! The checklist of known attacks (`tests/attacks.txt`): every row is there, every test that a row
//! names exists, and a row without a test says why.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const CHECKLIST: &str = include_str!("../attacks.txt");

/// Every row that there must be. An attack is never dropped, only answered.
const ROWS: &str = "R1 R2 R3 R4 R5 R6 R7 R8 R9 C1 C2 C3 C4 P1 P2 P3 M1 M2 T1 T2 T3 T4 T5 T6 T7 T8 \
                    T9 D1 S1 S2 S3 S4 S5 S6 S7 F1 F2 F3 A1 A2 X1 X2 X3 X4 B1 G1 G2 G3 G4 G5 G6 G7 \
                    G8 G9 G10 G11 G12 K1 K2 K3";

/// What is wrong with `checklist`, when these are the tests there are.
fn mistakes(checklist: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut missing: BTreeSet<&str> = ROWS.split_whitespace().collect();
    for line in checklist.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [row, status, attack, proof] = columns[..] else {
            mistakes.push(format!("not four columns: {line}"));
            continue;
        };
        if !missing.remove(row) {
            mistakes.push(format!("{row}: unknown, or there twice"));
        }
        if attack.is_empty() || proof.len() < 5 {
            mistakes.push(format!("{row}: name the attack, and its tests or why it has none"));
        }
        match status {
            "open" => {}
            "covered" => mistakes.extend(
                proof
                    .split(", ")
                    .filter(|name| !tests.contains(*name))
                    .map(|name| format!("{row}: there is no test `{name}`")),
            ),
            other => mistakes.push(format!("{row}: `{other}` is neither covered nor open")),
        }
    }
    mistakes.extend(missing.iter().map(|row| format!("{row}: the row is missing")));
    mistakes
}

/// Rust files below `folder`.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of all functions. Tests have long names, so nothing else is taken for one.
fn test_names() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    rust_files(crates, &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("fn ") {
            let rest = &text[at + 3..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            names.insert(rest[..end.unwrap_or(rest.len())].to_owned());
        }
    }
    names
}

#[test]
fn every_known_attack_has_a_test_or_a_reason() {
    let mistakes = mistakes(CHECKLIST, &test_names());
    assert!(mistakes.is_empty(), "tests/attacks.txt:\n{}", mistakes.join("\n"));
}

#[test]
fn the_checklist_notices_a_lost_row_a_lost_test_and_a_missing_reason() {
    let tests = test_names();
    let found = |text: &str, mistake: &str| {
        assert!(mistakes(text, &tests).iter().any(|line| line.contains(mistake)), "{mistake}");
    };
    let without_k1: Vec<&str> = CHECKLIST.lines().filter(|line| !line.starts_with("K1 ")).collect();
    found(&without_k1.join("\n"), "K1: the row is missing");
    found("R1 | covered | a | no_such_test_anywhere", "R1: there is no test");
    found("T6 | open | DPoP | ", "T6: name the attack");
    found("Z9 | open | a | a reason", "Z9: unknown");
}
