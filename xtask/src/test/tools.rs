//! Programs the tests need from the system, found or installed with its package manager.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::postgres;
use crate::process::{Outcome, find_program, progress, run_quietly};

/// A program, the names it goes by, and the Debian packages that bring it.
struct Wanted {
    names: &'static [&'static str],
    packages: &'static [&'static str],
}

const INITDB: Wanted = Wanted { names: &["initdb"], packages: &["postgresql"] };
const CHROMIUM: Wanted =
    Wanted { names: &["chromium", "chromium-browser", "google-chrome"], packages: &["chromium"] };
const CHROMEDRIVER: Wanted = Wanted { names: &["chromedriver"], packages: &["chromium-driver"] };
const STRACE: Wanted = Wanted { names: &["strace"], packages: &["strace"] };
const GO: Wanted = Wanted { names: &["go"], packages: &["golang-go"] };
const NODE: Wanted = Wanted { names: &["node"], packages: &["nodejs"] };
const NPM: Wanted = Wanted { names: &["npm"], packages: &["npm"] };
const PYTHON: Wanted = Wanted { names: &["python3"], packages: &["python3", "python3-venv"] };

/// Where each program is.
pub struct Tools {
    /// Absent when the developer brings a database.
    pub initdb: Option<PathBuf>,
    pub chromium: PathBuf,
    pub chromedriver: PathBuf,
    pub strace: PathBuf,
    pub go: PathBuf,
    pub node: PathBuf,
    pub npm: PathBuf,
    pub python: PathBuf,
}

impl Tools {
    /// Finds every program, installing the missing ones if it may.
    pub fn find_or_install(needs_database: bool) -> Outcome<Self> {
        let missing = list_missing_packages(needs_database);
        if !missing.is_empty() {
            install(&missing)?;
        }
        Ok(Self {
            initdb: if needs_database { Some(INITDB.found()?) } else { None },
            chromium: CHROMIUM.found()?,
            chromedriver: CHROMEDRIVER.found()?,
            strace: STRACE.found()?,
            go: GO.found()?,
            node: NODE.found()?,
            npm: NPM.found()?,
            python: PYTHON.found()?,
        })
    }
}

impl Wanted {
    fn find(&self) -> Option<PathBuf> {
        find_program(self.names, &more_folders())
    }

    fn found(&self) -> Outcome<PathBuf> {
        self.find().ok_or_else(|| {
            format!("`{}` is still missing: {}", self.names.join("` or `"), by_hand(self.packages))
        })
    }
}

/// Folders that distributions and installers use without adding them to `PATH`.
fn more_folders() -> Vec<PathBuf> {
    let go = PathBuf::from("/usr/local/go/bin");
    std::iter::once(go).chain(postgres::folders()).collect()
}

fn list_missing_packages(needs_database: bool) -> Vec<&'static str> {
    let mut wanted = vec![&CHROMIUM, &CHROMEDRIVER, &STRACE, &GO, &NODE, &NPM];
    if needs_database {
        wanted.push(&INITDB);
    }
    let absent = wanted.into_iter().filter(|wanted| wanted.find().is_none());
    let mut packages: Vec<&str> = absent.flat_map(|wanted| wanted.packages).copied().collect();
    if !PYTHON.find().is_some_and(|python| makes_environments(&python)) {
        packages.extend(PYTHON.packages);
    }
    packages
}

/// Debian splits the modules that make a virtual environment from Python itself.
fn makes_environments(python: &Path) -> bool {
    run_quietly(Command::new(python).args(["-c", "import venv, ensurepip"])).is_ok()
}

fn by_hand(packages: &[&str]) -> String {
    format!(
        "run `sudo apt-get install -y --no-install-recommends {}` (or your system's equivalent), \
         then again `cargo xtask test`",
        packages.join(" ")
    )
}

/// Uses `apt-get` as root, or through `sudo` when that asks no password.
fn install(packages: &[&str]) -> Outcome<()> {
    let refuse = |why: &str| Err(format!("missing programs, and {why}: {}", by_hand(packages)));
    let Some(apt_get) = find_program(&["apt-get"], &[]) else {
        return refuse("there is no apt-get here");
    };
    let is_root = run_quietly(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let as_root = |words: &[&str]| {
        let mut command = if is_root {
            Command::new(&apt_get)
        } else {
            let mut sudo = Command::new("sudo");
            sudo.arg("-n").arg(&apt_get);
            sudo
        };
        // Another package job may hold the lock for a while on a new machine.
        command.args(["-o", "DPkg::Lock::Timeout=300", "-qq"]).args(words);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    if !is_root && run_quietly(Command::new("sudo").args(["-n", "true"])).is_err() {
        return refuse("this user may not install");
    }
    progress(&format!("set-up: installing {}", packages.join(" ")));
    let install_words = [&["install", "-y", "--no-install-recommends"], packages].concat();
    let installed = run_quietly(&mut as_root(&["update"]))
        .and_then(|_| run_quietly(&mut as_root(&install_words)));
    installed.map(|_| ()).map_err(|error| format!("{error}; {}", by_hand(packages)))
}
