//! `cargo xtask test`: sets up what the tests need, then runs every check and every test. It
//! compiles in one configuration, and installs while the compiler works.

mod clients;
pub mod screenshots;
mod setup;
mod tally;
mod tools;

use std::path::Path;
use std::process::Command;

use crate::process::{Outcome, find_program, progress, run_visibly};
use crate::tidy;

use tally::Tally;

/// What a developer may leave out. Nothing is ever left out unasked.
pub struct Options {
    filter: Option<String>,
    with_clippy: bool,
}

impl Options {
    pub fn parse(words: &[&str]) -> Outcome<Self> {
        let mut options = Self { filter: None, with_clippy: true };
        for word in words {
            match *word {
                "--no-clippy" => options.with_clippy = false,
                flag if flag.starts_with('-') => {
                    return Err(format!("`{flag}` is no flag of `test`; `cargo xtask help`"));
                }
                filter if options.filter.is_none() => options.filter = Some(filter.to_owned()),
                more => return Err(format!("`{more}`: only one FILTER is taken")),
            }
        }
        Ok(options)
    }
}

/// The steps that failed, to be told together at the end.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    /// Runs one step to its end. A failure is remembered, and the next step still runs.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome<()>) -> bool {
        progress(name);
        let outcome = work();
        if let Err(message) = &outcome {
            progress(&format!("FAILED: {message}"));
            self.0.push(format!("{name}: {message}"));
        }
        outcome.is_ok()
    }

    fn into_outcome(self) -> Outcome<()> {
        match self.0.as_slice() {
            [] => Ok(()),
            failures => Err(format!("failed:\n  {}", failures.join("\n  "))),
        }
    }
}

pub fn run(root: &Path, options: &Options) -> Outcome<()> {
    let workspace = Workspace::new(root)?;
    let mut failures = Failures::default();
    let run_checks = options.filter.is_none();
    if run_checks {
        failures.step("format", || workspace.succeed(&["fmt", "--check"], "run `cargo fmt`"));
        failures.step("tidy", || tidy::run(root));
    }
    // Downloads wait for the network and the compiler for the processor: both at once.
    let tally = std::thread::scope(|scope| {
        let preparing = scope.spawn(|| setup::prepare(root));
        if run_checks && options.with_clippy {
            failures.step("clippy", || workspace.clippy());
        }
        let is_built = failures.step("build the tests", || workspace.build_tests());
        let prepared = preparing.join().unwrap_or_else(|_| Err("the set-up broke off".into()));
        let mut tally = Tally::default();
        failures.step("tests", || {
            // Lives until the tests are over; dropping it stops the database.
            let setup = prepared?;
            if !is_built {
                return Err("none ran, since they could not be built".into());
            }
            workspace.test(options.filter.as_deref(), setup.variables(), &mut tally)
        });
        tally
    });
    if run_checks {
        failures.step("documentation", || workspace.document());
        failures.step("dependencies", || workspace.check_dependencies());
    }
    progress("done");
    // The last line tells people and CI in any language how much was really run.
    let outcome = failures.into_outcome();
    println!("{} passed, {} failed", tally.passed, tally.failed);
    outcome
}

/// The workspace as cargo sees it: one set of features for every step, so nothing is built twice.
struct Workspace<'a> {
    root: &'a Path,
    features: String,
}

impl<'a> Workspace<'a> {
    fn new(root: &'a Path) -> Outcome<Self> {
        let features = full_test_features(root)?;
        Ok(Self { root, features })
    }

    fn cargo(&self, words: &[&str]) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(self.root).args(words);
        cargo
    }

    fn with_features(&self, words: &[&str]) -> Command {
        let mut cargo = self.cargo(words);
        cargo.args(["--workspace", "--locked"]);
        if !self.features.is_empty() {
            cargo.args(["--features", &self.features]);
        }
        cargo
    }

    fn succeed(&self, words: &[&str], remedy: &str) -> Outcome<()> {
        finish(&mut self.cargo(words), remedy)
    }

    fn clippy(&self) -> Outcome<()> {
        let mut clippy = self.with_features(&["clippy", "--all-targets"]);
        finish(clippy.args(["--", "-D", "warnings"]), "correct the lints above")
    }

    fn build_tests(&self) -> Outcome<()> {
        finish(&mut self.with_features(&["test", "--no-run"]), "the workspace does not compile")
    }

    fn test(
        &self,
        filter: Option<&str>,
        variables: &[(String, String)],
        tally: &mut Tally,
    ) -> Outcome<()> {
        let mut test = self.with_features(&["test", "--no-fail-fast"]);
        test.envs(variables.iter().map(|(name, value)| (name, value))).args(filter);
        let all_passed = tally.run(&mut test, std::io::stdout())?;
        if tally.ignored > 0 {
            return Err(format!("{} tests are ignored: run them or delete them", tally.ignored));
        }
        match (all_passed, tally.passed + tally.failed) {
            (false, 0) => Err("a test program broke off before it ran a test".into()),
            (false, _) => Err(format!("{} tests failed", tally.failed)),
            (true, 0) => Err("no test ran: does the name exist?".into()),
            (true, _) => Ok(()),
        }
    }

    fn document(&self) -> Outcome<()> {
        let mut doc = self.with_features(&["doc", "--no-deps"]);
        finish(doc.env("RUSTDOCFLAGS", "-D warnings"), "correct the documentation above")
    }

    /// Licences, sources and duplicates. Compiling the tool takes longer than all tests, so a
    /// machine without it only says so: the one step that advises and does not decide.
    fn check_dependencies(&self) -> Outcome<()> {
        if find_program(&["cargo-deny"], &[]).is_none() {
            progress(
                "cargo-deny is not installed: to check licences and sources of dependencies, run \
                 `cargo install --locked cargo-deny && cargo deny check`",
            );
            return Ok(());
        }
        let words = ["deny", "check", "bans", "licenses", "sources"];
        self.succeed(&words, "change the dependency or deny.toml, with a reason")
    }
}

fn finish(command: &mut Command, remedy: &str) -> Outcome<()> {
    if run_visibly(command)? { Ok(()) } else { Err(remedy.to_owned()) }
}

/// `consentry-store/full-tests,…` for every crate that has this feature: the tests that need more
/// than a Rust toolchain, which plain `cargo test` leaves out.
fn full_test_features(root: &Path) -> Outcome<String> {
    let crates = root.join("crates");
    let entries =
        std::fs::read_dir(&crates).map_err(|error| format!("{}: {error}", crates.display()))?;
    let mut features: Vec<String> = entries
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("Cargo.toml")).ok())
        .filter_map(|manifest| full_test_feature(&manifest))
        .collect();
    features.sort_unstable();
    Ok(features.join(","))
}

fn full_test_feature(manifest: &str) -> Option<String> {
    const FEATURE: &str = "full-tests";
    let manifest: toml::Table = manifest.parse().ok()?;
    manifest.get("features")?.get(FEATURE)?;
    let package = manifest.get("package")?.get("name")?.as_str()?;
    Some(format!("{package}/{FEATURE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crates_that_have_the_feature_get_it() {
        let with = "[package]\nname = \"a\"\n[features]\nfull-tests = []\n";
        assert_eq!(full_test_feature(with), Some("a/full-tests".into()));
        assert_eq!(full_test_feature("[package]\nname = \"a\"\n"), None);
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        assert!(Options::parse(&["--fast"]).is_err());
        assert!(Options::parse(&["a", "b"]).is_err());
        let options = Options::parse(&["consent", "--no-clippy"]);
        assert!(options.is_ok_and(|options| {
            options.filter.as_deref() == Some("consent") && !options.with_clippy
        }));
    }
}
