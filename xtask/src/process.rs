//! Finding and running other programs, and the progress lines that say so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

/// `Err` is a sentence for the person at the terminal.
pub type Outcome<T> = Result<T, String>;

/// Prints `text` with the seconds since the first such line.
#[expect(clippy::disallowed_methods, reason = "no runtime here, and no test of what it prints")]
pub fn progress(text: &str) {
    static START: OnceLock<Instant> = OnceLock::new();
    let seconds = START.get_or_init(Instant::now).elapsed().as_secs_f32();
    println!("[{seconds:6.1} s] {text}");
}

/// The first of `names` that is on `PATH` or in `more_folders`.
pub fn find_program(names: &[&str], more_folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        std::env::split_paths(&path).chain(more_folders.iter().cloned()).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// Runs with this terminal's output; `false` when the command reported failure.
pub fn run_visibly(command: &mut Command) -> Outcome<bool> {
    let status = command.status().map_err(|error| could_not_start(command, &error))?;
    Ok(status.success())
}

/// Runs silently; a failure carries the last lines that the command printed.
pub fn run_quietly(command: &mut Command) -> Outcome<String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| could_not_start(command, &error))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last_lines = if stderr.trim().is_empty() { tail(&stdout) } else { tail(&stderr) };
    Err(format!("`{}` failed ({}): {last_lines}", shown(command), output.status))
}

pub fn could_not_start(command: &Command, error: &std::io::Error) -> String {
    format!("`{}` could not be started: {error}", shown(command))
}

/// The command as one would type it, without its folder.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" | ")
}
