//! Rules for one Rust file: its header, its length and width, its name, and words that do not
//! belong into committed code. Functions have a file of their own beside this one.

use super::mask::mask;
use super::{File, Finding};

const LINES_MAX: usize = 500;
const COLUMNS_MAX: usize = 100;
/// A line around one unbreakable token (an address, a hash) longer than this may be wide.
const TOKEN_MAX: usize = 60;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "common", "helper", "helpers", "manager", "managers", "misc", "service", "services", "util",
    "utils",
];
/// Promises to finish later. Spelled in halves so that this file passes its own check.
const PROMISES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "#[ignore"];

pub fn check(file: &File, long_files: &[(&str, &str)]) -> Vec<Finding> {
    let masked = mask(&file.text);
    let mut findings = check_shape(file, long_files);
    findings.extend(check_name(file));
    findings.extend(check_words(file, &masked));
    findings.extend(check_sleeps(file, &masked));
    findings
}

fn check_shape(file: &File, long_files: &[(&str, &str)]) -> Vec<Finding> {
    let File { path, text } = file;
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        let advice = "open the file with one to five lines of `//!`: what it is, what it is not";
        findings.push(Finding::new(path, 1, "header", advice));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX && !long_files.iter().any(|(long, _)| long == path) {
        let advice = format!(
            "{lines} lines, at most {LINES_MAX}: split it, or list it with a reason in LONG_FILES \
             (xtask/src/tidy.rs)"
        );
        findings.push(Finding::new(path, lines, "file-size", advice));
    }
    // Tests hold requests and answers as they are on the wire; rustfmt sees to the rest of them.
    let is_test = ["/tests/", "/tests.rs", "/testkit/"].iter().any(|part| path.contains(part));
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        let longest = line.split_whitespace().map(|token| token.chars().count()).max();
        if columns > COLUMNS_MAX && !is_test && longest.unwrap_or_default() <= TOKEN_MAX {
            let advice = format!("{columns} columns, at most {COLUMNS_MAX}: break the line");
            findings.push(Finding::new(path, index + 1, "width", advice));
        }
    }
    findings
}

fn check_name(file: &File) -> Option<Finding> {
    let stem = file.path.trim_end_matches(".rs");
    let empty = stem.split('/').find(|part| EMPTY_NAMES.contains(part))?;
    let advice = format!("`{empty}` names no thing: call the module after what is in it");
    Some(Finding::new(&file.path, 1, "name", advice))
}

fn check_words(file: &File, masked: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, (line, code)) in file.text.lines().zip(masked.lines()).enumerate() {
        let words = || line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let promise = PROMISES.iter().find(|promise| words().any(|word| word == **promise));
        let unfinished = UNFINISHED.iter().find(|unfinished| code.contains(*unfinished));
        if let Some(word) = promise.or(unfinished) {
            let advice = format!("`{word}`: finish it, or file an issue and remove the mark");
            findings.push(Finding::new(&file.path, index + 1, "unfinished", advice));
        }
    }
    findings
}

/// Tests wait for what they need, never for time to pass: a sleep is slow and still flaky.
fn check_sleeps(file: &File, masked: &str) -> Vec<Finding> {
    let is_test_file = file.path.contains("/tests/") || file.path.starts_with("crates/testkit/");
    let mut in_tests = is_test_file;
    let mut findings = Vec::new();
    for (index, code) in masked.lines().enumerate() {
        in_tests |= code.trim_start().starts_with("#[cfg(test)]");
        if in_tests && code.contains("sleep(") {
            let advice = "tests do not sleep: wait for the event itself, or move the fixed clock; \
                          polling another process may say `// tidy-allow(sleep): why` above";
            findings.push(Finding::new(&file.path, index + 1, "sleep", advice));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        let file = File { path: path.into(), text: text.into() };
        check(&file, &[("crates/a/src/list.rs", "a true list")])
            .into_iter()
            .map(|finding| (finding.rule, finding.line))
            .collect()
    }

    #[test]
    fn a_file_opens_by_saying_what_it_is() {
        assert_eq!(rules("crates/a/src/b.rs", "//! What.\nfn a() {}\n"), []);
        assert_eq!(rules("crates/a/src/b.rs", "fn a() {}\n"), [("header", 1)]);
    }

    #[test]
    fn length_and_width_have_limits() {
        let long = format!("//! x\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(rules("crates/a/src/b.rs", &long), [("file-size", LINES_MAX + 1)]);
        assert_eq!(rules("crates/a/src/list.rs", &long), []);
        let wide = format!("//! x\n// {}\n", "word ".repeat(20));
        assert_eq!(rules("crates/a/src/b.rs", &wide), [("width", 2)]);
        assert_eq!(rules("crates/a/tests/it/b.rs", &wide), []);
        let address = format!("//! x\n// see {}\n", "x".repeat(COLUMNS_MAX));
        assert_eq!(rules("crates/a/src/b.rs", &address), []);
    }

    #[test]
    fn a_module_is_named_after_a_thing() {
        assert_eq!(rules("crates/a/src/utils.rs", "//! x\n"), [("name", 1)]);
        assert_eq!(rules("crates/a/src/helpers/b.rs", "//! x\n"), [("name", 1)]);
        assert_eq!(rules("crates/a/src/useful.rs", "//! x\n"), []);
    }

    #[test]
    fn unfinished_work_is_not_committed() {
        let promise = PROMISES[0];
        assert_eq!(rules("crates/a/src/b.rs", &format!("//! x\n// {promise}: y\n")).len(), 1);
        assert_eq!(rules("crates/a/src/b.rs", "//! x\nfn a() { todo!() }\n"), [("unfinished", 2)]);
        assert_eq!(rules("crates/a/src/b.rs", "//! x\n#[ignore]\n"), [("unfinished", 2)]);
        assert_eq!(rules("crates/a/src/b.rs", "//! x\n// never `todo!`\n"), []);
    }

    #[test]
    fn tests_do_not_sleep_and_the_product_may() {
        let sleeping = "//! x\nfn a() { sleep(b) }\n";
        assert_eq!(rules("crates/a/tests/it/b.rs", sleeping), [("sleep", 2)]);
        assert_eq!(rules("crates/a/src/b.rs", sleeping), []);
        let in_module = "//! x\n#[cfg(test)]\nmod tests { fn a() { sleep(b) } }\n";
        assert_eq!(rules("crates/a/src/b.rs", in_module), [("sleep", 3)]);
    }
}
