//! The policy made ready to serve: one [`Api`] per resource with its upstream address, connection
//! pool and rate limiters. Rebuilt when the policy is swapped; what did not change is carried over,
//! so that a reload neither drops connections nor forgives rate limits.

use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::policy::{Policy, Resource, Upstream};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use protocol::path::NormalPath;
use tokio::runtime::{self, Handle};
use tokio::sync::Semaphore;

use crate::cors::Cors;
use crate::identity::Identities;
use crate::phase::limit::{Limits, PlanLimiters};
use crate::target::without_port;
use crate::upload::Upload;

type HttpClient = Client<HttpConnector, Upload>;

/// A connection pool for each runtime that forwards: an upstream's connection is read where it was
/// made, and another thread's call would have to be woken for its answer.
pub(crate) struct Clients {
    connect_timeout: std::time::Duration,
    pools: ArcSwap<Vec<(Option<runtime::Id>, HttpClient)>>,
}

impl Clients {
    fn new(connect_timeout: std::time::Duration) -> Self {
        Self { connect_timeout, pools: ArcSwap::default() }
    }

    pub(crate) fn request(&self, request: Request<Upload>) -> ResponseFuture {
        let here = Handle::try_current().ok().map(|handle| handle.id());
        if let Some((_, client)) = self.pools.load().iter().find(|(of, _)| *of == here) {
            return client.request(request);
        }
        // The first call of this thread.
        let made = new_client(self.connect_timeout);
        self.pools.rcu(|pools| {
            let others = pools.iter().filter(|(of, _)| *of != here).cloned();
            others.chain([(here, made.clone())]).collect::<Vec<_>>()
        });
        made.request(request)
    }
}

/// Idle connections kept per upstream and thread.
const IDLE_CONNECTIONS_MAX: usize = 256;
/// Shorter than what most servers keep, so that a reused connection is rarely a dead one.
const IDLE_CONNECTION_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// All resources of one policy.
pub(crate) struct Apis {
    /// The policy this was made of; held so that its address stays unique.
    policy: Arc<Policy>,
    apis: Vec<Arc<Api>>,
    plans: PlanLimiters,
}

/// One API behind the gateway.
pub(crate) struct Api {
    pub(crate) resource: Resource,
    /// Host without port, lower case.
    host: String,
    /// Pages and API share a browser origin, so its answers are kept harmless (attack G7).
    pub(crate) shares_origin: bool,
    pub(crate) scheme: HeaderValue,
    /// RFC 9728 §3.1
    pub(crate) metadata_url: String,
    pub(crate) limits: Limits,
    pub(crate) upstream: Option<Target>,
    /// Of test tokens.
    pub(crate) test_upstream: Option<Target>,
    pub(crate) identities: Identities,
    pub(crate) cors: Option<Cors>,
}

/// Where an API's calls go.
pub(crate) struct Target {
    pub(crate) declared: Upstream,
    authority: Authority,
    /// Takes the place of the resource's prefix when it is not empty.
    base: String,
    pub(crate) host: HeaderValue,
    pub(crate) clients: Arc<Clients>,
    /// For the calls that wait for it.
    pub(crate) places: Arc<Semaphore>,
}

impl Apis {
    pub(crate) fn new(policy: Arc<Policy>, before: Option<&Apis>) -> Self {
        let plans = PlanLimiters::new(&policy.plans, before.map(|apis| &apis.plans));
        let make = |resource: &Resource| {
            let old = before.and_then(|apis| apis.named(&resource.identifier));
            let limits = Limits::new(resource, &plans, old.map(|old| &old.limits));
            Arc::new(Api::new(resource.clone(), limits, &policy.issuer, old))
        };
        let apis = policy.resources.iter().map(make).collect();
        Self { policy, apis, plans }
    }

    /// Forget whoever has a full allowance.
    pub(crate) fn sweep(&self) {
        self.plans.sweep();
        self.iter().for_each(|api| api.limits.sweep());
    }

    pub(crate) fn is_of(&self, policy: &Arc<Policy>) -> bool {
        Arc::ptr_eq(&self.policy, policy)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Api>> {
        self.apis.iter()
    }

    /// The API with this resource identifier.
    pub(crate) fn named(&self, identifier: &str) -> Option<&Arc<Api>> {
        self.apis.iter().find(|api| api.resource.identifier == identifier)
    }

    /// The API that a request belongs to: the longest prefix on this host. Prefixes are in normal
    /// form and hold no dots, so the raw path decides as the normalised one would.
    pub(crate) fn find(&self, host: &str, raw_path: &str) -> Option<&Arc<Api>> {
        let host = without_port(host);
        self.apis
            .iter()
            .filter(|api| host.eq_ignore_ascii_case(&api.host) && api.covers(raw_path))
            .max_by_key(|api| api.resource.path_prefix.len())
    }
}

impl Api {
    fn new(resource: Resource, limits: Limits, issuer: &str, old: Option<&Arc<Api>>) -> Self {
        let issuer_host = origin_of(issuer).1;
        let (scheme, _) = origin_of(&resource.identifier);
        let host = without_port(resource.host.as_deref().unwrap_or(issuer_host));
        let target = |declared: &Upstream, old: Option<&Target>| {
            let target = Target::new(declared, old);
            if target.is_none() {
                tracing::error!(api = resource.name, "the upstream URL is not http://host:port");
            }
            target
        };
        let old_target = old.and_then(|old| old.upstream.as_ref());
        let upstream = resource.upstream.as_ref().and_then(|url| target(url, old_target));
        let old_target = old.and_then(|old| old.test_upstream.as_ref());
        let test_upstream = resource.test_upstream.as_ref().and_then(|url| target(url, old_target));
        Self {
            shares_origin: host.eq_ignore_ascii_case(without_port(issuer_host)),
            host: host.to_ascii_lowercase(),
            scheme: HeaderValue::from_static(if scheme == "https" { "https" } else { "http" }),
            metadata_url: metadata_url(&resource.identifier),
            limits,
            identities: Identities::default(),
            cors: resource.cors.as_ref().map(Cors::new),
            upstream,
            test_upstream,
            resource,
        }
    }

    fn covers(&self, raw_path: &str) -> bool {
        match raw_path.strip_prefix(self.resource.path_prefix.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl Target {
    fn new(declared: &Upstream, old: Option<&Target>) -> Option<Self> {
        let url: Uri = declared.url.parse().ok()?;
        if url.scheme() != Some(&Scheme::HTTP) || url.query().is_some() {
            return None;
        }
        let authority = url.authority().filter(|at| !at.as_str().contains('@'))?.clone();
        let clients = match old {
            Some(old) if old.declared.connect_timeout == declared.connect_timeout => {
                Arc::clone(&old.clients)
            }
            _ => Arc::new(Clients::new(declared.connect_timeout)),
        };
        let places = match old {
            Some(old) if old.declared.in_service_max == declared.in_service_max => {
                Arc::clone(&old.places)
            }
            _ => Arc::new(Semaphore::new(declared.in_service_max)),
        };
        Some(Self {
            places,
            host: HeaderValue::from_str(authority.as_str()).ok()?,
            base: url.path().trim_end_matches('/').to_owned(),
            declared: declared.clone(),
            authority,
            clients,
        })
    }

    /// Calls that wait for it.
    pub(crate) fn in_service(&self) -> usize {
        self.declared.in_service_max.saturating_sub(self.places.available_permits())
    }

    /// The address of exactly the path that was matched. A path in the upstream URL takes the place
    /// of the resource's prefix; without one the path is forwarded whole.
    pub(crate) fn uri(&self, prefix: &str, path: &NormalPath, asked: &Uri) -> Option<Uri> {
        let path_and_query = match (self.base.as_str(), asked.path_and_query()) {
            ("", Some(whole)) if whole.path() == path.as_str() => whole.clone(),
            (base, _) => {
                let rest = match base {
                    "" => path.as_str(),
                    _ => path.as_str().strip_prefix(prefix)?,
                };
                let mut text = format!("{base}{rest}");
                if let Some(query) = asked.query() {
                    text.push('?');
                    text.push_str(query);
                }
                PathAndQuery::try_from(text).ok()?
            }
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).ok()
    }
}

fn new_client(connect_timeout: std::time::Duration) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect_timeout));
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        // Only requests of which nothing was sent are repeated by the pool itself.
        .retry_canceled_requests(true)
        .set_host(false)
        .build(connector)
}

/// Scheme and authority of an absolute URL.
fn origin_of(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    (scheme, rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// RFC 9728 §3.1: the well-known part goes between host and path of the identifier.
fn metadata_url(identifier: &str) -> String {
    let (scheme, authority) = origin_of(identifier);
    let origin_end = scheme.len() + "://".len() + authority.len();
    let path = identifier.get(origin_end..).unwrap_or_default().trim_end_matches('/');
    format!("{scheme}://{authority}{METADATA_PATH}{path}")
}

/// Served by the pages' side, on every host.
pub(crate) const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_address_is_made_from_the_identifier() {
        let url = metadata_url("https://api.example:8400/api/v4");
        assert_eq!(url, "https://api.example:8400/.well-known/oauth-protected-resource/api/v4");
        let url = metadata_url("https://api.example");
        assert_eq!(url, "https://api.example/.well-known/oauth-protected-resource");
    }
}
