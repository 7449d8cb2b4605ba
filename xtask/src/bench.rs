//! `cargo xtask bench`: builds the release binary and the bench, starts a throw-away PostgreSQL
//! when there is one to start, and measures. What is measured is in the crate `bench`.

use std::path::Path;
use std::process::Command;

use crate::postgres::Cluster;
use crate::process::{Outcome, find_program, progress, run_visibly};

/// Every word is an option of the bench; `--help` lists them.
pub fn run(root: &Path, words: &[&str]) -> Outcome<()> {
    progress("build (the first time takes minutes)");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["build", "--release", "--locked"]);
    cargo.args(["-p", "consentry", "-p", "consentry-bench"]);
    if !run_visibly(&mut cargo)? {
        return Err("it does not compile".into());
    }
    let mut bench = Command::new(root.join("target/release/consentry-bench"));
    bench.current_dir(root).args(words);
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
    if run_visibly(&mut bench)? { Ok(()) } else { Err("the bench broke off".into()) }
}
