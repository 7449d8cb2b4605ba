//! A throw-away PostgreSQL cluster: its own folder, a free port on loopback, a random password,
//! gone when tests or measurements are over, however they end.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::process::{Outcome, could_not_start, run_quietly};

/// Kept by a shell that waits at the other end of a pipe. The pipe closes when this process ends,
/// be it by success, panic, Ctrl-C or SIGKILL; then the shell stops the server and removes the
/// folder. A signal handler would miss the last of these.
const KEEPER: &str = r#"
set -eu
umask 077
folder=$(mktemp -d "${TMPDIR:-/tmp}/consentry-postgres.XXXXXXXX")
finish() {
    "$BIN/pg_ctl" -D "$folder/data" -m immediate -w stop >>"$folder/log" 2>&1 || true
    rm -rf "$folder"
}
trap finish EXIT
trap '' INT TERM HUP
fail() { tail -n 4 "$folder/log" | tr '\n' ' '; exit 1; }
printf %s "$PASSWORD" >"$folder/password"
"$BIN/initdb" -D "$folder/data" -U consentry --pwfile="$folder/password" --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C --no-sync >"$folder/log" 2>&1 </dev/null || fail
"$BIN/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 -o "-h 127.0.0.1 -p $PORT \
    -c unix_socket_directories='$folder' -c max_connections=200 -c fsync=on" \
    start >>"$folder/start" 2>&1 </dev/null || fail
echo ready
read -r _ || true
"#;

const USER: &str = "consentry";
const PORT_TRIES: usize = 3;

/// A running cluster. Dropping it stops the server and waits until its folder is gone.
pub struct Cluster {
    keeper: Child,
    pub url: String,
}

/// Where distributions keep the programs of a server, newest first.
pub fn folders() -> Vec<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    // From version 10 on the names sort by number.
    versions.sort_unstable();
    versions.reverse();
    versions
}

impl Cluster {
    pub fn start(initdb: &Path) -> Outcome<Self> {
        // A link in a folder of `PATH` leads to the folder with the rest of the server.
        let initdb = initdb.canonicalize().map_err(|error| format!("initdb: {error}"))?;
        let bin = initdb.parent().unwrap_or(Path::new("/usr/bin"));
        let mut error = String::new();
        // Between finding a port free and using it, another program may take it.
        for _ in 0..PORT_TRIES {
            match Self::start_on(bin, free_port()?) {
                Ok(cluster) => return Ok(cluster),
                Err(reason) => error = reason,
            }
        }
        Err(format!("PostgreSQL did not start: {error}"))
    }

    fn start_on(bin: &Path, port: u16) -> Outcome<Self> {
        let password = random_password()?;
        let mut shell = unprivileged_shell()?;
        shell.arg("-c").arg(KEEPER).current_dir("/").process_group(0);
        shell.env("BIN", bin).env("PORT", port.to_string()).env("PASSWORD", &password);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = shell.spawn().map_err(|error| could_not_start(&shell, &error))?;
        let said = first_line(&mut keeper);
        let url = format!("postgres://{USER}:{password}@127.0.0.1:{port}/postgres");
        let cluster = Self { keeper, url };
        if said.trim_end() == "ready" { Ok(cluster) } else { Err(said) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Nothing can be done about a keeper that cannot be waited for.
        let _ = self.keeper.wait();
    }
}

fn first_line(keeper: &mut Child) -> String {
    let mut line = String::new();
    if let Some(output) = keeper.stdout.as_mut() {
        // An unreadable pipe reads as an empty line, which is not the line that is waited for.
        let _ = BufReader::new(output).read_line(&mut line);
    }
    line
}

/// PostgreSQL refuses to run as root, so root borrows a user that has no other power.
fn unprivileged_shell() -> Outcome<Command> {
    let is_root = run_quietly(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root {
        return Ok(Command::new("sh"));
    }
    let has_postgres = run_quietly(Command::new("id").args(["-u", "postgres"])).is_ok();
    let user = if has_postgres { "postgres" } else { "nobody" };
    let mut runuser = Command::new("runuser");
    runuser.args(["-u", user, "--", "sh"]);
    Ok(runuser)
}

fn free_port() -> Outcome<u16> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port on loopback: {error}"))
}

fn random_password() -> Outcome<String> {
    let source = PathBuf::from("/dev/urandom");
    let mut bytes = [0_u8; 16];
    std::fs::File::open(&source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| format!("{}: {error}", source.display()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
