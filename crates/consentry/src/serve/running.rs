//! A provider that accepts connections, and its orderly end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::control_socket;
use super::instance::Instance;
use super::internal::Internal;
use super::jobs::JobSet;
use super::listener::{Accepting, BindError, bind};
use super::site::Site;
use crate::cli::Failure;
use crate::config::{Config, Listen};

/// Bound, not yet accepting.
#[derive(Debug)]
pub struct Sockets {
    pub public: Vec<TcpListener>,
    pub internal: Option<TcpListener>,
}

impl Sockets {
    pub async fn bind(listen: &Listen) -> Result<Self, BindError> {
        let mut public = Vec::new();
        for address in &listen.public {
            public.push(bind(*address, "listen.public in the config").await?);
        }
        let internal = match listen.internal {
            Some(address) => Some(bind(address, "listen.internal in the config").await?),
            None => None,
        };
        Ok(Self { public, internal })
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::Failed(error.to_string())
    }
}

pub struct Running {
    instance: Instance,
    accepting: Accepting,
    jobs: JobSet,
    control: tokio::task::JoinHandle<()>,
    control_shutdown: CancellationToken,
    control_path: PathBuf,
    drain: Duration,
}

impl Running {
    pub fn start(instance: Instance, sockets: Sockets, config: &Config) -> Result<Self, Failure> {
        let policy = instance.provider.policy();
        let accepting = Accepting::new();
        let site = Arc::new(Site {
            pages: server::router(instance.provider.clone()),
            gateway: instance.gateway.clone(),
            trusted_proxies: config.listen.trusted_proxies.clone(),
            proxy_warning: std::sync::Once::new(),
            host: config.issuer_host().to_owned(),
            api_hosts: policy.resources.iter().filter_map(|api| api.host.clone()).collect(),
        });
        for listener in sockets.public {
            let site = Arc::clone(&site);
            accepting.spawn(listener, move |request, peer| {
                let site = Arc::clone(&site);
                // On the heap, once: the layers of a connection move what they are given.
                Box::pin(async move { site.answer(request, peer).await })
            });
        }
        if let Some(listener) = sockets.internal {
            let internal = Arc::new(Internal {
                health: server::health_router(instance.provider.clone()),
                gateway: instance.gateway.clone(),
                forward_auth_peers: config.listen.forward_auth_peers.clone(),
            });
            accepting.spawn(listener, move |request, peer| {
                let internal = Arc::clone(&internal);
                async move { internal.answer(request, peer).await }
            });
        }
        let socket = control_socket::bind(&config.data_dir).map_err(|error| {
            let path = control_socket::path(&config.data_dir);
            Failure::Failed(format!("cannot make the control socket {}: {error}", path.display()))
        })?;
        let control_shutdown = CancellationToken::new();
        let router = server::control_router(instance.provider.clone());
        let control = tokio::spawn(control_socket::serve(socket, router, control_shutdown.clone()));
        let jobs = JobSet::start(&instance);
        Ok(Self {
            instance,
            accepting,
            jobs,
            control,
            control_shutdown,
            control_path: control_socket::path(&config.data_dir),
            drain: config.listen.drain,
        })
    }

    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Accept nothing new, answer what has begun within the time for it or until `hurry` is
    /// cancelled, then write what is only in memory and let the database go.
    pub async fn stop(self, hurry: &CancellationToken) {
        self.accepting.shutdown.cancel();
        self.accepting.connections.close();
        let drained = tokio::select! {
            () = self.accepting.connections.wait() => true,
            () = tokio::time::sleep(self.drain) => false,
            () = hurry.cancelled() => false,
        };
        if !drained {
            let open = self.accepting.connections.len();
            tracing::warn!(open, "connections are cut, the time to finish is over");
        }
        self.accepting.cut.cancel();
        self.instance.gateway.close_streams().await;
        self.accepting.connections.wait().await;
        self.control_shutdown.cancel();
        // Both ways of ending are an end.
        let _ = self.control.await;
        let _ = std::fs::remove_file(&self.control_path);
        self.jobs.stop().await;
        self.instance.close().await;
    }
}
