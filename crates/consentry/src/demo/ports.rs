//! The demo's ports. A port that was given freely (0) is kept with the data, so that a second start
//! is the same issuer and finds its tokens valid again.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::TcpListener;

use super::DemoArgs;
use crate::cli::Failure;
use crate::serve::bind;

/// Listeners on one port: `localhost` is 127.0.0.1 to some programs and ::1 to others.
pub(super) struct Bound {
    pub(super) port: u16,
    pub(super) listeners: Vec<TcpListener>,
    kept: PathBuf,
}

impl Bound {
    /// Remember the port for the next start. Call it while holding the folder: a demo that is
    /// refused must not change what the running one will find.
    pub(super) fn keep(&self) -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        options.open(&self.kept)?.write_all(self.port.to_string().as_bytes())
    }
}

pub(super) struct Ports {
    pub(super) exchange: Bound,
    pub(super) drive: Bound,
    pub(super) app: Bound,
}

impl Ports {
    pub(super) async fn bind(arguments: &DemoArgs, folder: &Path) -> Result<Self, Failure> {
        let kept = |name: &str| folder.join(format!("{name}.port"));
        Ok(Self {
            exchange: one(arguments.exchange_port, "--exchange-port", kept("exchange")).await?,
            drive: one(arguments.drive_port, "--drive-port", kept("drive")).await?,
            app: one(arguments.app_port, "--app-port", kept("app")).await?,
        })
    }
}

async fn one(asked: u16, flag: &str, kept: PathBuf) -> Result<Bound, Failure> {
    let before = std::fs::read_to_string(&kept).ok().and_then(|text| text.trim().parse().ok());
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = match (asked, before) {
        (0, Some(port)) => match bind(local(port), flag).await {
            Ok(listener) => listener,
            Err(_) => bind(local(0), flag).await?,
        },
        (port, _) => bind(local(port), flag).await?,
    };
    let port = listener.local_addr()?.port();
    let mut listeners = vec![listener];
    // A machine may have no IPv6, or another program there; 127.0.0.1 is enough then.
    let also = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    listeners.extend(TcpListener::bind(also).await.ok());
    Ok(Bound { port, listeners, kept })
}
