//! The Unix socket over which the command line speaks to a running server. Whoever may open it is
//! the operator: it lies in a folder that only the server's user can enter.

use std::io;
use std::path::{Path, PathBuf};

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use server::admin::Operator;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::system::user_name;

pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Call it only while holding the data directory: a socket that is there is a dead server's.
pub(super) fn bind(data_dir: &Path) -> io::Result<UnixListener> {
    let path = path(data_dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(listener)
}

/// The user of this machine with the number `uid`.
pub(crate) fn operator(uid: Option<u32>) -> Operator {
    Operator::of_uid(uid, uid.and_then(user_name))
}

/// Until the shutdown; a command that is being answered gets its answer.
pub(super) async fn serve(listener: UnixListener, router: Router, shutdown: CancellationToken) {
    let commands = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        // The kernel vouches for who connected; what a command says of itself does not count.
        let operator = operator(stream.peer_cred().ok().map(|peer| peer.uid()));
        let service = TowerToHyperService::new(router.clone().layer(Extension(operator)));
        let shutdown = shutdown.clone();
        commands.spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            let mut connection =
                std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a command broke off");
            }
        });
    }
    commands.close();
    commands.wait().await;
}
