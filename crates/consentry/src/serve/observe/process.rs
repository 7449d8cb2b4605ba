//! What the operating system says of this process (Linux: /proc).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProcessStats {
    pub(super) resident_bytes: u64,
    pub(super) cpu_seconds: f64,
    pub(super) open_fds: u64,
    pub(super) max_fds: u64,
}

/// Zeros where the system does not tell.
pub(super) fn stats() -> ProcessStats {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    ProcessStats {
        resident_bytes: resident_bytes(&status),
        cpu_seconds: cpu_ticks(&stat) as f64 / ticks_per_second as f64,
        open_fds: std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
        max_fds: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
    }
}

/// `VmRSS:   1234 kB` (proc_pid_status(5)).
fn resident_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// User and system time, fields 14 and 15 (proc_pid_stat(5)). The second field is a name in
/// parentheses that may hold anything.
fn cpu_ticks(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// As many open files as the system allows this user; each connection is one, each gateway call
/// two. Returns how many that are.
pub(in crate::serve) fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_ok() {
        return limit.maximum.unwrap_or(u64::MAX);
    }
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_understood() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 99 0 0 0 250 50 0 0 20 0 9 0 1 1 1";
        assert_eq!(cpu_ticks(stat), 300);
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), 2 * 1024 * 1024);
        assert_eq!((cpu_ticks(""), resident_bytes("")), (0, 0));
        let own = stats();
        assert!(own.resident_bytes > 0 && own.open_fds > 0 && own.max_fds > 0, "{own:?}");
    }
}
