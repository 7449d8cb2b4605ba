//! `cargo xtask tidy`: the house rules that no compiler checks. Each finding says where, which
//! rule, and what to do; `style.md` in people's heads is not enough.

mod functions;
mod layers;
mod links;
mod mask;
mod rust_files;
mod text_files;

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::process::{Outcome, run_quietly};

/// Source files that may be longer than the limit, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[
    ("crates/server/tests/it/harness.rs", "the actors of the tests, one after another"),
    ("crates/store/tests/it/rows.rs", "a true list: a case for every statement"),
];

/// One place that breaks one rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    advice: String,
    /// A warning is printed and fails nothing.
    is_warning: bool,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, advice: advice.into(), is_warning: false }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.is_warning { "warning" } else { "error" };
        write!(out, "{}:{}: {level} [{}] {}", self.path, self.line, self.rule, self.advice)
    }
}

/// A file of the repository, by its path from the root with `/`.
pub struct File {
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Checks the whole work tree; `Err` when a rule is broken.
pub fn run(root: &Path) -> Outcome<()> {
    let files = list_files(root)?;
    let mut findings = layers::check(&files);
    for file in &files {
        findings.extend(check_file(root, file));
    }
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| !finding.is_warning).count();
    let warnings = findings.len() - errors;
    println!("tidy: {} files, {errors} errors, {warnings} warnings", files.len());
    if errors > 0 { Err(format!("tidy found {errors} broken rules")) } else { Ok(()) }
}

fn check_file(root: &Path, file: &File) -> Vec<Finding> {
    let mut findings = text_files::check(file);
    if file.is_rust() {
        findings.extend(rust_files::check(file, LONG_FILES));
        findings.extend(functions::check(file));
    }
    if file.path.ends_with(".md") {
        findings.extend(links::check(file, |target| root.join(target).exists()));
    }
    let lines: Vec<&str> = file.text.lines().collect();
    findings.retain(|finding| !is_excused(&lines, finding));
    findings
}

/// A line may break a rule when it, or the line above, says why: `tidy-allow(RULE): reason`.
fn is_excused(lines: &[&str], finding: &Finding) -> bool {
    let marker = format!("tidy-allow({}):", finding.rule);
    let index = finding.line.saturating_sub(1);
    [Some(index), index.checked_sub(1)]
        .into_iter()
        .flatten()
        .filter_map(|index| lines.get(index)?.split_once(&marker))
        .any(|(_, reason)| reason.trim().len() > 3)
}

/// Everything git tracks or would track, that is text. Build output is ignored by git already.
fn list_files(root: &Path) -> Outcome<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let listing = run_quietly(&mut git)?;
    let mut paths: Vec<&str> = listing.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let files = paths.into_iter().filter_map(|path| {
        // A path that is listed but gone was deleted and not yet committed; binary is not ours.
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    });
    Ok(files.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_needs_a_reason() {
        let finding = Finding::new("a.rs", 2, "sleep", "…");
        assert!(is_excused(&["// tidy-allow(sleep): the kernel needs it", "x"], &finding));
        assert!(is_excused(&["", "x // tidy-allow(sleep): the kernel needs it"], &finding));
        assert!(!is_excused(&["// tidy-allow(sleep):", "x"], &finding));
        assert!(!is_excused(&["// tidy-allow(width): other rule", "x"], &finding));
        assert!(!is_excused(&["x", "x", "// tidy-allow(sleep): too late"], &finding));
    }

    #[test]
    fn a_finding_names_place_rule_and_remedy() {
        let finding = Finding::new("crates/a/src/lib.rs", 7, "width", "break the line");
        assert_eq!(finding.to_string(), "crates/a/src/lib.rs:7: error [width] break the line");
    }
}
