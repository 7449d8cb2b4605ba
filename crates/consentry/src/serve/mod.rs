//! `consentry serve`: a provider with its listeners and jobs, from start to the last drained
//! request.

use std::path::Path;

use crate::cli::{ConfigArgs, Failure, block_on};
use crate::config::{Config, Environment};

pub mod control_socket;
mod instance;
mod internal;
mod jobs;
mod listener;
pub mod logging;
mod running;
mod signal;
mod site;

pub use instance::Instance;
pub use listener::{BindError, bind};
pub use running::{Running, Sockets};
pub use signal::StopSignal;

pub fn run(arguments: &ConfigArgs, environment: &Environment) -> Result<(), Failure> {
    logging::start(environment, "info")?;
    let config = Config::load(&arguments.config, environment)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    let mut stop = StopSignal::listen()?;
    let instance = Instance::open(&config).await?;
    let sockets = Sockets::bind(&config.listen).await?;
    let running = Running::start(instance, sockets, &config)?;
    for address in &config.listen.public {
        tracing::info!(%address, issuer = config.issuer(), "ready");
    }
    stop.wait().await;
    tracing::info!("stopping: no new requests, the running ones are answered");
    running.stop(&stop.hurry()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Make a folder that only this user can look into.
pub(crate) fn create_private_folder(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }
    #[cfg(not(unix))]
    std::fs::create_dir_all(path)
}
