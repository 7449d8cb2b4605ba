//! `consentry demo`: two complete providers in one process, with practice APIs behind them, people,
//! apps, and a practice app to click. Everything lies in one folder and can be thrown away.

use std::path::{Path, PathBuf};

use clap::Args;
use domain::entropy::random_alphanumeric;
use tokio_util::sync::CancellationToken;

use crate::cli::{Failure, block_on};
use crate::config::Environment;
use crate::serve::{StopSignal, close_folder, logging};
use crate::system::SystemEntropy;

mod apps;
mod cast;
mod description;
mod mailbox;
mod ports;
mod practice_app;
mod provider;
mod upstream;

use mailbox::Mailbox;
use ports::Ports;
use practice_app::PracticeApp;
use provider::{DRIVE, DRIVE_OF_2026, DemoProvider, EXCHANGE, Surroundings};

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Port of the exchange; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 8400)]
    exchange_port: u16,
    /// Port of the drive; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 8500)]
    drive_port: u16,
    /// Port of the practice app, which plays the third party; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 8499)]
    app_port: u16,
    /// Let the drive's /v2/me answer with an object in `data`, instead of a list of one
    #[arg(long)]
    me_as_object: bool,
    /// Folder that is kept between runs; without it a fresh one, removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub fn run(arguments: &DemoArgs, environment: &Environment) -> Result<(), Failure> {
    let _log = logging::start(environment, "warn")?;
    let (folder, is_temporary) = match &arguments.data {
        Some(folder) => (folder.clone(), false),
        None => {
            let name = format!("consentry-demo-{}", random_alphanumeric(&SystemEntropy, 8));
            (std::env::temp_dir().join(name), true)
        }
    };
    let folder = std::path::absolute(&folder)?;
    let done = block_on(play(arguments, &folder));
    if is_temporary {
        // It is in the system's folder for temporary files: what stays is cleaned up there.
        let _ = std::fs::remove_dir_all(&folder);
    }
    done
}

async fn play(arguments: &DemoArgs, folder: &Path) -> Result<(), Failure> {
    let mut stop = StopSignal::listen()?;
    close_folder(folder, "--data")?;
    let sockets = Ports::bind(arguments, folder).await?;
    let app_origin = format!("http://127.0.0.1:{}", sockets.app.port);
    let mailbox = Mailbox::default();
    let around = Surroundings { folder, app_origin: &app_origin, mailbox: &mailbox };
    let exchange = DemoProvider::start(&EXCHANGE, &around, sockets.exchange).await?;
    let script = if arguments.me_as_object { &DRIVE_OF_2026 } else { &DRIVE };
    let drive = match DemoProvider::start(script, &around, sockets.drive).await {
        Ok(drive) => drive,
        Err(failure) => {
            exchange.stop(&CancellationToken::new()).await;
            return Err(failure);
        }
    };
    sockets.app.keep()?;
    let app = PracticeApp::start(sockets.app, &[&exchange, &drive], mailbox.clone());
    let described = description::publish(folder, &app_origin, &exchange, &drive);
    if described.is_ok() {
        stop.wait().await;
    }
    app.stop();
    let hurry = stop.hurry();
    tokio::join!(exchange.stop(&hurry), drive.stop(&hurry));
    described
}
