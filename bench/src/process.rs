//! Servers as processes: started, asked for what they used, and ended with this process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Outcome;
use crate::bare::Bare;

/// A server that ends when this value does.
pub struct Server {
    child: Child,
}

impl Server {
    pub fn start(command: &mut Command) -> Outcome<Self> {
        let shown = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("{shown} cannot be started: {error}"))?;
        Ok(Self { child })
    }

    /// One that prints its address as the first line.
    pub fn start_printing(command: &mut Command) -> Outcome<(Self, SocketAddr)> {
        let mut server = Self::start(command.stdout(Stdio::piped()))?;
        let mut line = String::new();
        if let Some(output) = server.child.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        }
        let address = line.trim().parse();
        Ok((server, address.map_err(|_| format!("a server printed no address: {line}"))?))
    }

    /// One of the servers that do nothing.
    pub fn bare(bare: &Bare) -> Outcome<(Self, SocketAddr)> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(this);
        match bare {
            Bare::Limit { answers } => command.arg("limit").args(answers),
            Bare::Proxy { upstream } => command.args(["proxy", &upstream.to_string()]),
            Bare::Upstream => command.arg("upstream"),
        };
        Self::start_printing(&mut command)
    }

    /// `perf`, watching another process until it is stopped.
    pub fn perf(pid: u32, data: &Path) -> Outcome<Self> {
        let mut perf = Command::new("perf");
        perf.args(["record", "-q", "-e", "cpu-clock", "-F", "997", "-g", "-p", &pid.to_string()]);
        Self::start(perf.arg("-o").arg(data))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// An orderly stop, waited for.
    pub fn stop(mut self) -> Outcome<()> {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        sent.map_err(|error| format!("kill: {error}"))?;
        self.child.wait().map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, and nothing can be done about one that cannot be ended. TERM
        // first: nginx takes its workers with it.
        let pid = self.pid().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `/proc` says of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// User and system time, in seconds.
    pub cpu_seconds: f64,
    pub memory_now_kib: u64,
    pub memory_peak_kib: u64,
}

impl Used {
    /// A process and its children: nginx works in those.
    pub fn by(pid: u32) -> Self {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        children.map(Self::by_one).fold(Self::by_one(pid), |all, child| Self {
            cpu_seconds: all.cpu_seconds + child.cpu_seconds,
            memory_now_kib: all.memory_now_kib + child.memory_now_kib,
            memory_peak_kib: all.memory_peak_kib + child.memory_peak_kib,
        })
    }

    fn by_one(pid: u32) -> Self {
        let folder = format!("/proc/{pid}");
        let read =
            |name: &str| std::fs::read_to_string(Path::new(&folder).join(name)).unwrap_or_default();
        let status = read("status");
        let kib = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        Self {
            cpu_seconds: cpu_seconds(&read("stat")),
            memory_now_kib: kib("VmRSS:"),
            memory_peak_kib: kib("VmHWM:"),
        }
    }
}

/// Fields 14 and 15 of `/proc/PID/stat`, in ticks of which Linux counts 100 a second for everyone.
fn cpu_seconds(stat: &str) -> f64 {
    // The name of the program is in parentheses and may hold anything.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_strange_name_is_counted_too() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 106 0 0 0 150 50 0 0 20 0 3 0 9 1 2";
        assert!((cpu_seconds(stat) - 2.0).abs() < 1e-9);
    }
}
