//! `consentry serve`: a provider with its listeners and jobs, from start to the last drained
//! request.

use crate::cli::{ConfigArgs, Failure, block_on};
use crate::config::{Config, Environment};

mod connections;
pub mod control_socket;
mod cores;
mod data_dir;
mod gate;
mod instance;
mod internal;
mod jobs;
mod listener;
mod log_line;
mod log_writer;
pub mod logging;
mod observe;
mod running;
mod shed;
mod signal;
mod site;
mod smtp;

pub(crate) use data_dir::{close_folder, create_private_folder};
pub use instance::Instance;
pub use listener::{BindError, bind};
pub use running::{Running, Sockets};
pub use signal::StopSignal;

pub fn run(arguments: &ConfigArgs, environment: &Environment) -> Result<(), Failure> {
    let _log = logging::start(environment, "info")?;
    let config = Config::load(&arguments.config, environment)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    let mut stop = StopSignal::listen()?;
    let files = observe::raise_open_files();
    // A call through the gateway takes two, a database some.
    if files / 2 < config.listen.connections_max as u64 {
        tracing::warn!(
            files,
            connections_max = config.listen.connections_max,
            "this process may open too few files for that many connections; raise its limit \
             (LimitNOFILE in systemd, ulimit -n)"
        );
    }
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
