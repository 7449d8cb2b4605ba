//! The checklist of known attacks (`tests/attacks.txt`): every row is there, every test that a row
//! names exists, a row without a test says why, and `docs/dev/attacks.md` says the same. So does
//! every test exist that `docs/dev/dialect-endpoints.md` names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const CHECKLIST: &str = include_str!("../attacks.txt");
const PAGE: &str = include_str!("../../../../docs/dev/attacks.md");
const ENDPOINTS: &str = include_str!("../../../../docs/dev/dialect-endpoints.md");

/// Every row that there must be. An attack is never dropped, only answered.
const ROWS: &str = "R1 R2 R3 R4 R5 R6 R7 R8 R9 C1 C2 C3 C4 P1 P2 P3 M1 M2 T1 T2 T3 T4 T5 T6 T7 T8 \
                    T9 D1 S1 S2 S3 S4 S5 S6 S7 S8 S9 F1 F2 F3 A1 A2 X1 X2 X3 X4 B1 G1 G2 G3 G4 \
                    G5 G6 G7 G8 G9 G10 G11 G12 K1 K2 K3 N1 N2 N3 W1 W2";

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

/// Where `page` does not say what `checklist` says: another attack under a row, other tests.
fn differences(checklist: &str, page: &str) -> Vec<String> {
    let mut differences = Vec::new();
    let mut rows: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(row, _)| *row != "row")
        .collect();
    for line in checklist.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [row, status, attack, proof] = columns[..] else { continue };
        let Some(at) = rows.iter().position(|(there, _)| *there == row) else {
            differences.push(format!("{row}: the row is missing"));
            continue;
        };
        let (_, rest) = rows.swap_remove(at);
        let Some((there, rest)) = rest.split_once(" | ") else { continue };
        if there != attack {
            differences.push(format!("{row}: `{there}` is `{attack}` in the checklist"));
        }
        if status != "covered" {
            continue;
        }
        // What stands between backticks in the last column is a test.
        let tests = rest.rsplit_once(" | ").map_or("", |(_, tests)| tests);
        let named: BTreeSet<&str> = tests.split('`').skip(1).step_by(2).collect();
        let proven: BTreeSet<&str> = proof.split(", ").collect();
        let odd = named.symmetric_difference(&proven);
        differences.extend(odd.map(|name| format!("{row}: only one of the two names `{name}`")));
    }
    differences.extend(rows.iter().map(|(row, _)| format!("{row}: not in the checklist")));
    differences
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
fn every_endpoint_of_a_dialect_has_a_test() {
    let tests = test_names();
    let rows = ENDPOINTS.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows: Vec<_> = rows.filter(|row| *row != "endpoint | test").collect();
    assert!(rows.len() > 25, "the page was not understood");
    for row in rows {
        let named: Vec<_> =
            row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row}");
        for name in named {
            assert!(tests.contains(name), "there is no test `{name}`");
        }
    }
}

#[test]
fn the_page_for_people_says_what_the_checklist_says() {
    let differences = differences(CHECKLIST, PAGE);
    assert!(differences.is_empty(), "docs/dev/attacks.md:\n{}", differences.join("\n"));
}

#[test]
fn the_comparison_notices_a_lost_row_another_attack_and_another_test() {
    let checklist = "R1 | covered | a | one, two\nR2 | open | b | not offered";
    let page = "| row | attack | answer | tests |\n| R1 | a | no | x: `one`; y: `two` |\n\
                | R2 | b | not offered |";
    assert_eq!(differences(checklist, page), [""; 0]);
    let found = |change: (&str, &str), mistake: &str| {
        let found = differences(checklist, &page.replacen(change.0, change.1, 1));
        assert!(found.iter().any(|line| line.contains(mistake)), "{mistake}: {found:?}");
    };
    found(("`two`", "`three`"), "R1: only one of the two names `three`");
    found(("`two`", "`three`"), "R1: only one of the two names `two`");
    found(("| b |", "| c |"), "R2: `c` is `b`");
    found(("| R2 |", "| R3 |"), "R2: the row is missing");
    found(("| R2 |", "| R3 |"), "R3: not in the checklist");
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
