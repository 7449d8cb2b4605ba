//! A practice API on a loopback port of its own: what a company's API is in real life.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use domain::entropy::random_bytes;
use sandbox::assertion::AssertionVerifier;
use sandbox::{drive, exchange};
use server::Shared;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cli::{Failure, init::write_new};
use crate::system::SystemEntropy;

#[derive(Clone, Copy)]
pub(super) enum Api {
    Exchange,
    Drive { me_is_object: bool },
}

/// Its port is known before its provider, whose config names it.
pub(super) struct Unstarted {
    listener: TcpListener,
    address: SocketAddr,
}

pub(super) struct Upstream {
    task: JoinHandle<()>,
}

impl Upstream {
    pub(super) async fn bind() -> Result<Unstarted, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Unstarted { listener, address })
    }

    /// Open streams end with it.
    pub(super) fn stop(self) {
        self.task.abort();
    }
}

impl Unstarted {
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn start(
        self,
        api: Api,
        folder: &Path,
        provider: &Shared,
    ) -> Result<Upstream, Failure> {
        let router = router(api, folder, provider)?;
        let listener = self.listener;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "a practice API ended");
            }
        });
        Ok(Upstream { task })
    }
}

fn router(api: Api, folder: &Path, provider: &Shared) -> Result<Router, Failure> {
    let clock = {
        let clock = Arc::clone(&provider.clock);
        Arc::new(move || clock.now().as_millis())
    };
    let policy = provider.policy();
    let audience = policy.resources.first().map(|api| api.identifier.clone()).unwrap_or_default();
    // An API elsewhere would fetch the issuer's /.well-known/jwks.json.
    let keys = {
        let provider = Arc::clone(provider);
        move || {
            let keys = serde_json::to_string(provider.keyring().jwks());
            async move { keys }
        }
    };
    let verifier = AssertionVerifier::new(policy.issuer.as_str(), audience, keys);
    let unusable = |error: sandbox::StorageError| Failure::Failed(error.to_string());
    match api {
        Api::Exchange => {
            let path = folder.join("practice-exchange.db");
            let exchange = exchange::Exchange::open(&path, verifier, clock).map_err(unusable)?;
            Ok(exchange::router(exchange))
        }
        Api::Drive { me_is_object } => {
            let secret = link_secret(folder)?;
            let path = folder.join("practice-drive.db");
            let drive = drive::Drive::open(&path, verifier, clock, &secret).map_err(unusable)?;
            let drive = if me_is_object { drive.with_me_as_object() } else { drive };
            Ok(drive::router(drive))
        }
    }
}

/// Signs download links; kept, so that links survive a restart.
fn link_secret(folder: &Path) -> Result<[u8; 32], Failure> {
    let path = folder.join("practice-drive.key");
    if !path.exists() {
        write_new(&path, &random_bytes::<32>(&SystemEntropy), 0o600)?;
    }
    let bytes = std::fs::read(&path)?;
    bytes
        .try_into()
        .map_err(|_| Failure::Failed(format!("{} is damaged; remove it", path.display())))
}
