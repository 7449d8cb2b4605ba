//! The task runner, started as `cargo xtask`: everything a contributor or CI does beyond `cargo`.
//! It is no part of the product and knows it only from outside.

mod bench;
mod fuzz;
mod postgres;
mod process;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test [FILTER] [--no-clippy]
        set up what the tests need (database, browser, real clients) and run everything:
        formatting, tidy, clippy, all tests, documentation. With FILTER: only the set-up and
        the tests whose name contains it.
  fuzz TARGET [--seconds N]
        one fuzz target, for ten minutes unless told (docs/dev/fuzzing.md)
  screenshots [FOLDER [PAGE]]
        every page, or those whose name contains PAGE, in light, dark and phone width as
        pictures in FOLDER (target/screenshots), checked as the tests check them
  tidy  check the house rules that no compiler knows: layers, sizes, words, links
  bench [--quick] [--only NAME] [--with-peers] [--json FILE] [--help]
        build release and measure it against the limit of this machine
        (docs/dev/performance.md); --help lists every option
  help  print this

What the set-up installs, and the variables that replace it, are listed in CONTRIBUTING.md.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = workspace_root();
    let outcome = match words.as_slice() {
        [] | ["help" | "-h" | "--help"] => {
            println!("{HELP}");
            Ok(())
        }
        ["bench", rest @ ..] => bench::run(&root, rest),
        ["fuzz", rest @ ..] => fuzz::run(&root, rest),
        ["screenshots", rest @ ..] => test::screenshots::run(&root, rest),
        ["tidy"] => tidy::run(&root),
        ["test", rest @ ..] => {
            test::Options::parse(rest).and_then(|options| test::run(&root, &options))
        }
        _ => Err(format!("`{}` is no command of xtask; `cargo xtask help`", words.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace's `Cargo.toml`. Cargo tells it at run time; a copied `target`
/// folder keeps a stale compile-time answer, so that one is only the fallback.
fn workspace_root() -> PathBuf {
    let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest_dir.parent().unwrap_or(Path::new(".")).to_path_buf()
}
