//! What every measurement of its own takes: the binary, a folder, and the usual load. `cargo xtask
//! bench` fills most of it in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;
use crate::rounds::Load;

#[derive(Clone, Debug, clap::Args)]
pub struct Tools {
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Length of a round
    #[arg(long, value_name = "N", default_value_t = 2.0)]
    seconds: f64,
    #[arg(long, value_name = "FILE", default_value = "target/release/consentry", hide = true)]
    binary: PathBuf,
    #[arg(long, value_name = "DIR", default_value = "target/bench", hide = true)]
    work: PathBuf,
    /// For `pages`: a database of PostgreSQL that may be filled. All else is measured on SQLite
    #[arg(long, value_name = "URL", hide = true)]
    postgres: Option<String>,
    #[arg(long, value_name = "FILE", hide = true)]
    pgbench: Option<PathBuf>,
}

impl Tools {
    pub fn binary(&self) -> Outcome<PathBuf> {
        absolute(&self.binary)
    }

    pub fn work(&self) -> Outcome<PathBuf> {
        absolute(&self.work)
    }

    /// A database on PostgreSQL, and where its programs are.
    pub fn postgres(&self) -> Option<(&str, Option<&PathBuf>)> {
        Some((self.postgres.as_deref()?, self.pgbench.as_ref()))
    }

    pub fn load(&self) -> Load {
        Load {
            connections: self.connections,
            round: Duration::try_from_secs_f64(self.seconds).unwrap_or(Duration::from_secs(2)),
            warm_up: Duration::from_millis(300),
        }
    }
}

pub fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}
