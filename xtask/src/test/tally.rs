//! Counts what the test binaries report, while showing it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::process::{Outcome, could_not_start};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub ignored: usize,
}

impl Tally {
    /// Runs `command`, passes its output on to `terminal`, and adds up its results. `Ok(true)`
    /// when it succeeded.
    pub fn run(&mut self, command: &mut Command, mut terminal: impl Write) -> Outcome<bool> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| could_not_start(command, &error))?;
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n') {
                let line = line.map_err(|error| format!("reading test output: {error}"))?;
                // A closed terminal must not stop the count.
                let _ = terminal.write_all(&line).and_then(|()| terminal.write_all(b"\n"));
                self.add(&String::from_utf8_lossy(&line));
            }
        }
        let status = child.wait().map_err(|error| format!("waiting for tests: {error}"))?;
        Ok(status.success())
    }

    /// `test result: ok. 12 passed; 0 failed; 0 ignored; …`
    fn add(&mut self, line: &str) {
        let Some((_, numbers)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in numbers.split(';') {
            let Some((number, word)) = part.trim().split_once(' ') else { continue };
            let number = number.parse().unwrap_or(0);
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_binaries_add_up() {
        let mut tally = Tally::default();
        tally.add("running 3 tests");
        tally.add("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        tally.add("test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 9 filtered out");
        assert_eq!(tally, Tally { passed: 4, failed: 2, ignored: 1 });
    }

    #[test]
    fn output_is_counted_as_it_passes_through() {
        let mut tally = Tally::default();
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: ok. 5 passed; 0 failed; 0 ignored'; exit 3"]);
        let mut shown = Vec::new();
        assert_eq!(tally.run(&mut command, &mut shown), Ok(false));
        assert_eq!(tally.passed, 5);
        assert!(shown.starts_with(b"test result: ok. 5 passed"));
    }
}
