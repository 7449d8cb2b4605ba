//! Real OAuth clients from the registries, unmodified and pinned, under `target/test-tools`.
//! A second run finds them there and installs nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools::Tools;
use crate::process::{Outcome, progress, run_quietly};

/// Where the scripts that drive the clients live, with the files that pin them.
pub const SCRIPTS: &str = "crates/consentry/tests/clients";

/// Folders of the repository and of what is installed for it.
pub struct Places {
    scripts: PathBuf,
    installed: PathBuf,
}

impl Places {
    pub fn new(root: &Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |target| root.join(target));
        Self { scripts: root.join(SCRIPTS), installed: target.join("test-tools") }
    }

    /// A Python that can import `authlib` and `whitebit`.
    pub fn python(&self, tools: &Tools) -> Outcome<PathBuf> {
        self.environment(tools, "python", "requirements.txt", "authlib and whitebit-python-sdk")
    }

    /// A Python that can import `ccxt`, which no other library of these can be installed beside.
    pub fn ccxt(&self, tools: &Tools) -> Outcome<PathBuf> {
        self.environment(tools, "python-ccxt", "requirements-ccxt.txt", "ccxt")
    }

    fn environment(
        &self,
        tools: &Tools,
        folder: &str,
        requirements: &str,
        name: &str,
    ) -> Outcome<PathBuf> {
        let requirements = self.scripts.join(requirements);
        let folder = self.installed.join(folder);
        let python = folder.join("bin/python");
        install_once(&folder, &[&requirements], name, || {
            run_quietly(Command::new(&tools.python).args(["-m", "venv", "--clear"]).arg(&folder))?;
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--requirement"]);
            run_quietly(pip.arg(&requirements))
        })?;
        Ok(python)
    }

    /// A folder whose `node_modules` has `oauth4webapi`, TypeScript, and what looks at pages.
    pub fn node_folder(&self, tools: &Tools) -> Outcome<PathBuf> {
        let folder = self.installed.join("node");
        let pinned = ["package.json", "package-lock.json"].map(|name| self.scripts.join(name));
        install_once(&folder, &[&pinned[0], &pinned[1]], "oauth4webapi", || {
            for file in &pinned {
                let copy = folder.join(file.file_name().unwrap_or_default());
                std::fs::copy(file, &copy).map_err(|e| format!("{}: {e}", copy.display()))?;
            }
            let mut npm = Command::new(&tools.npm);
            npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            run_quietly(&mut npm)
        })?;
        Ok(folder)
    }

    /// Where `cargo xtask screenshots` writes the pages.
    pub fn gallery(&self) -> PathBuf {
        self.installed.join("gallery")
    }

    /// The compiled client in the folder `name`: `xoauth2` uses `golang.org/x/oauth2`, `bitport`
    /// has the habits of a public client. Go keeps its own cache.
    pub fn go_client(&self, tools: &Tools, name: &str) -> Outcome<PathBuf> {
        let program = self.installed.join(name);
        let mut build = Command::new(&tools.go);
        build.current_dir(self.scripts.join(name));
        build.args(["build", "-buildvcs=false", "-mod=readonly", "-o"]).arg(&program).arg(".");
        // The Go that is installed, never one that it would fetch by itself.
        build.env("GOTOOLCHAIN", "local").env("GOWORK", "off").env_remove("GOFLAGS");
        run_quietly(&mut build)?;
        Ok(program)
    }
}

/// Runs `install` unless `folder` was completed from the same `pinned` files before.
fn install_once(
    folder: &Path,
    pinned: &[&Path],
    name: &str,
    install: impl FnOnce() -> Outcome<String>,
) -> Outcome<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    // The absolute path counts too: a virtual environment does not survive a move.
    let mut state = format!("{}\n", folder.display());
    for file in pinned {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        state.push_str(&text);
    }
    let stamp = folder.join("installed-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|written| written == state) {
        return Ok(());
    }
    progress(&format!("set-up: installing the client {name}"));
    std::fs::create_dir_all(folder).map_err(failed)?;
    install()?;
    std::fs::write(&stamp, state).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_installed_again_only_when_its_pin_changes() {
        let base = std::env::temp_dir().join(format!("consentry-xtask-{}", std::process::id()));
        let (folder, pin) = (base.join("client"), base.join("pin"));
        std::fs::create_dir_all(&base).expect("a temporary folder");
        let mut installs = 0;
        for version in ["1", "1", "2"] {
            std::fs::write(&pin, version).expect("the pin is written");
            let outcome = install_once(&folder, &[&pin], "x", || {
                installs += 1;
                Ok(String::new())
            });
            assert_eq!(outcome, Ok(()));
        }
        std::fs::write(&pin, "3").expect("the pin is written");
        let broken = install_once(&folder, &[&pin], "x", || Err("no network".into()));
        assert_eq!(broken, Err("no network".into()));
        let outcome = install_once(&folder, &[&pin], "x", || {
            installs += 1;
            Ok(String::new())
        });
        assert_eq!((outcome, installs), (Ok(()), 3));
        std::fs::remove_dir_all(&base).expect("the temporary folder goes");
    }
}
