//! A provider that accepts connections, and its orderly end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connections::Connections;
use super::control_socket;
use super::cores::Cores;
use super::gate::Gate;
use super::instance::Instance;
use super::internal::Internal;
use super::jobs::JobSet;
use super::listener::{Accepting, BindError, bind};
use super::observe::{Metrics, Observer, Watched};
use super::site::Site;
use crate::cli::Failure;
use crate::config::{Config, Listen};

/// Probes, scrapes, and proxies that ask for forward-auth.
const INTERNAL_CONNECTIONS_MAX: usize = 2_000;
/// For the last spans: the collector may be gone.
const TRACES_DRAIN: Duration = Duration::from_secs(2);

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

fn accept_public(
    accepting: &Accepting,
    listeners: Vec<TcpListener>,
    site: &Arc<Site>,
    listen: &Listen,
) -> Vec<Arc<Connections>> {
    let accept = |listener| {
        let (site, proxies) = (Arc::clone(site), listen.trusted_proxies.clone());
        let places = Connections::new(listen.connections_max, proxies);
        accepting.spawn(listener, Arc::clone(&places), move |request, peer| {
            let site = Arc::clone(&site);
            // On the heap, once: the layers of a connection move what they are given.
            Box::pin(async move { site.answer(request, peer).await })
        });
        places
    };
    listeners.into_iter().map(accept).collect()
}

/// With places of its own: a probe is answered however full the others are.
fn accept_internal(
    accepting: &Accepting,
    listener: TcpListener,
    internal: Arc<Internal>,
    listen: &Listen,
) {
    let places = Connections::new(INTERNAL_CONNECTIONS_MAX, listen.forward_auth_peers.clone());
    accepting.spawn(listener, places, move |request, peer| {
        let internal = Arc::clone(&internal);
        async move { internal.answer(request, peer).await }
    });
}

pub struct Running {
    instance: Instance,
    accepting: Accepting,
    jobs: JobSet,
    /// Sends what is left while the rest stops, and no longer.
    traces: JoinSet<()>,
    control: tokio::task::JoinHandle<()>,
    control_shutdown: CancellationToken,
    control_path: PathBuf,
    drain: Duration,
}

impl Running {
    pub fn start(instance: Instance, sockets: Sockets, config: &Config) -> Result<Self, Failure> {
        let policy = instance.provider.policy();
        let accepting = Accepting::new(Cores::start()?);
        let started_at = instance.provider.now();
        let (observer, sending) = Observer::new(
            &config.telemetry,
            config.issuer(),
            Arc::clone(&instance.provider.clock),
            Arc::clone(&instance.provider.entropy),
        );
        let observer = Arc::new(observer);
        let mut traces = JoinSet::new();
        if let Some(sending) = sending {
            traces.spawn(sending);
        }
        // Before anybody is told that the server is ready: commands go by it.
        let socket = control_socket::bind(&config.data_dir).map_err(|error| {
            let path = control_socket::path(&config.data_dir);
            Failure::Failed(format!("cannot make the control socket {}: {error}", path.display()))
        })?;
        let listen = &config.listen;
        let tokens = Arc::new(Gate::new("tokens", listen.tokens_in_service));
        let people = Arc::new(Gate::new("pages", listen.pages_in_service));
        let site = Arc::new(Site {
            pages: server::router(instance.provider.clone()),
            gateway: instance.gateway.clone(),
            trusted_proxies: config.listen.trusted_proxies.clone(),
            proxy_warning: std::sync::Once::new(),
            host: config.issuer_host().to_owned(),
            policy: Arc::clone(&instance.provider.policy),
            observer: Arc::clone(&observer),
            tokens: Arc::clone(&tokens),
            people: Arc::clone(&people),
            api_hosts: policy.resources.iter().filter_map(|api| api.host.clone()).collect(),
        });
        let connections = accept_public(&accepting, sockets.public, &site, listen);
        let admin = server::admin_router(instance.provider.clone());
        if let Some(listener) = sockets.internal {
            let metrics = Metrics::of(Watched {
                provider: instance.provider.clone(),
                gateway: instance.gateway.clone(),
                observer: Arc::clone(&observer),
                gates: vec![tokens, people],
                connections,
                started_at,
            });
            let internal = Arc::new(Internal {
                observer,
                metrics,
                admin: admin.clone(),
                health: server::health_router(instance.provider.clone()),
                gateway: instance.gateway.clone(),
                forward_auth_peers: config.listen.forward_auth_peers.clone(),
            });
            accept_internal(&accepting, listener, internal, listen);
        }
        let control_shutdown = CancellationToken::new();
        let control = tokio::spawn(control_socket::serve(socket, admin, control_shutdown.clone()));
        let jobs = JobSet::start(&instance);
        Ok(Self {
            instance,
            accepting,
            jobs,
            traces,
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
    pub async fn stop(mut self, hurry: &CancellationToken) {
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
        let rest = async { while self.traces.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(TRACES_DRAIN, rest).await;
    }
}
