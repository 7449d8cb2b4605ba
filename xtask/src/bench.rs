//! `cargo xtask bench`: builds the release binary and the bench, starts a throw-away PostgreSQL
//! when there is one to start, and measures. What is measured is in the crate `bench`.

use std::path::Path;
use std::process::Command;

use crate::postgres::Cluster;
use crate::process::{Outcome, find_program, progress, run_visibly};

/// Every word is an option of the bench; `--help` lists them.
pub fn run(root: &Path, words: &[&str]) -> Outcome<()> {
    progress("build (the first time takes minutes)");
    let profile = if words.contains(&"--perf") { "profiling" } else { "release" };
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["build", "--locked", "--profile", profile]);
    cargo.args(["-p", "consentry", "-p", "consentry-bench"]);
    if !run_visibly(&mut cargo)? {
        return Err("it does not compile".into());
    }
    let built = root.join("target").join(profile);
    let mut bench = Command::new(built.join("consentry-bench"));
    bench.current_dir(root).args(words).arg("--binary").arg(built.join("consentry"));
    let folders = crate::postgres::folders();
    let cluster = match find_program(&["initdb"], &folders) {
        Some(initdb) if !words.contains(&"--help") => Some(Cluster::start(&initdb)?),
        _ => None,
    };
    match &cluster {
        Some(cluster) => bench.args(["--postgres", &cluster.url]),
        None => &mut bench,
    };
    if let Some(pgbench) = find_program(&["pgbench"], &folders) {
        bench.arg("--pgbench").arg(pgbench);
    }
    progress("measure");
    if run_visibly(&mut bench)? {
        Ok(())
    } else {
        Err("the bench broke off, or a target was missed".into())
    }
}
