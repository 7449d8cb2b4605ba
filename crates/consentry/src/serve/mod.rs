//! `consentry serve`: a provider with its listeners and jobs, from start to the last drained
//! request.

use crate::cli::{ConfigArgs, Failure, block_on};
use crate::config::{Config, Environment};

pub mod control_socket;
mod data_dir;
mod instance;
mod internal;
mod jobs;
mod listener;
pub mod logging;
mod running;
mod signal;
mod site;

pub(crate) use data_dir::{close_folder, create_private_folder};
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
