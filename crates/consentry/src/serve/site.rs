//! Everything behind a public listener: decides who a request comes from and whether it belongs to
//! an API (the gateway's) or to the pages and OAuth endpoints.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Once};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use domain::policy::Policy;
use gateway::{Gateway, host_in, without_port};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use ipnet::IpNet;
use serde_json::json;
use server::ClientAddress;
use store::Store;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::gate::Gate;
use super::observe::Observer;
use super::shed::{busy, is_token_endpoint, read_body};

/// Pages and OAuth answers are quick; whoever sends a form slower than this is not sending one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Names of this machine. Nobody outside can make a browser believe that it is one of them.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Whose a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Pages,
    Api,
    Nobody,
}

pub(super) struct Site {
    pub(super) pages: Router,
    pub(super) gateway: Gateway<Store>,
    pub(super) trusted_proxies: Vec<IpNet>,
    /// Once is enough to be found, and a neighbour cannot fill the log.
    pub(super) proxy_warning: Once,
    /// The issuer's host without port.
    pub(super) host: String,
    /// Hosts that belong to APIs alone.
    pub(super) api_hosts: Vec<String>,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) observer: Arc<Observer>,
    /// Requests of apps and of people take no places of each other.
    pub(super) tokens: Arc<Gate>,
    pub(super) people: Arc<Gate>,
}

impl Site {
    pub(super) async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Body> {
        let client = client_address(request.headers(), peer.ip(), &self.trusted_proxies);
        if is_unheard_proxy(request.headers(), peer.ip(), &self.trusted_proxies) {
            self.proxy_warning.call_once(|| warn_of_proxy(peer.ip()));
        }
        let is_trusted = is_in(&self.trusted_proxies, peer.ip());
        let id = self.gateway.new_request_id();
        if let Ok(text) = id.to_str() {
            request.extensions_mut().insert(server::RequestId(text.to_owned()));
        }
        request.extensions_mut().insert(gateway::RequestId(id.clone()));
        let method = request.method().clone();
        let begun = self.observer.begin(&method, request.headers_mut(), client, is_trusted, id);
        let mut response = self.route(request, client).await;
        begun.answered(&mut response);
        response
    }

    async fn route(&self, request: Request<Incoming>, client: IpAddr) -> Response<Body> {
        let path = request.uri().path();
        let owner = match host_in(request.version(), request.uri(), request.headers()) {
            Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
            Ok(host) if self.gateway.owns(host, path) => {
                return self.gateway.handle(request, client).await.map(Body::new);
            }
            Ok(host) => self.owner_of(host),
        };
        match owner {
            // Boxed, so that a call of an API does not carry room for a page.
            Owner::Pages => Box::pin(self.answer_page(request, client)).await,
            // What RFC 9728 wants to find there.
            Owner::Api if path.starts_with("/.well-known/") => {
                Box::pin(self.answer_page(request, client)).await
            }
            Owner::Api => problem(StatusCode::NOT_FOUND, "no API answers under this path"),
            Owner::Nobody => problem(StatusCode::MISDIRECTED_REQUEST, &self.misdirected()),
        }
    }

    /// An API's own origin must not show sign-in pages, and neither must a name that somebody else
    /// has pointed here. Ports may differ: a proxy in front has another one.
    fn owner_of(&self, host: &str) -> Owner {
        let name = without_port(host);
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        let is_loopback = LOOPBACK_NAMES.contains(&self.host.as_str());
        if is_one_of(&[&self.host]) || is_loopback && is_one_of(&LOOPBACK_NAMES) {
            Owner::Pages
        } else if self.api_hosts.iter().any(|api| is_one_of(&[api])) {
            Owner::Api
        } else {
            Owner::Nobody
        }
    }

    /// For the operator, who meets it when a proxy does not pass `Host` on.
    fn misdirected(&self) -> String {
        format!(
            "this server answers as {}, which the Host of this request does not name. A proxy in \
             front must pass Host on unchanged; if the name is meant, correct `issuer` (or the \
             `host` of a [[resource]]) in the config.",
            self.host
        )
    }

    async fn answer_page(&self, request: Request<Incoming>, client: IpAddr) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = match timeout(ANSWER_TIMEOUT, read_body(body)).await {
            Ok(Some(body)) => body,
            Ok(None) => return problem(StatusCode::BAD_REQUEST, "the request was cut short"),
            Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
        };
        let is_app = is_token_endpoint(&self.policy.load(), &parts.method, parts.uri.path());
        let gate = if is_app { &self.tokens } else { &self.people };
        let Some(_place) = gate.enter().await else { return busy(is_app) };
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(ClientAddress(client));
        match timeout(ANSWER_TIMEOUT, self.pages.clone().oneshot(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(never)) => match never {},
            // Nobody knows how far it came: it is not told that nothing was changed.
            Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long"),
        }
    }
}

/// RFC 9457, as the gateway's refusals that are of no API.
fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Who sent a request: the nearest address on its way that is no proxy of ours. What an untrusted
/// peer writes into the header is never looked at.
fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| is_in(trusted, *address);
    let mut client = peer.to_canonical();
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let entries = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
    for entry in entries {
        if !is_trusted(&client) {
            break;
        }
        // What a trusted proxy wrote but nobody can read ends the way at that proxy.
        let Some(address) = parse_address(entry.trim()) else { break };
        client = address.to_canonical();
    }
    client
}

/// Does a neighbour say that it speaks for somebody, and is not believed? From a public address
/// that is an everyday lie; from here it is most likely a proxy that the config does not know.
fn is_unheard_proxy(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    let is_near = match peer {
        IpAddr::V4(peer) => peer.is_loopback() || peer.is_private() || peer.is_link_local(),
        IpAddr::V6(peer) => {
            peer.is_loopback() || peer.is_unique_local() || peer.is_unicast_link_local()
        }
    };
    is_near && headers.contains_key("x-forwarded-for") && !is_in(trusted, peer)
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|net| net.contains(&address))
}

fn warn_of_proxy(peer: IpAddr) {
    tracing::warn!(
        %peer,
        setting = "listen.trusted_proxies",
        "X-Forwarded-For came from a peer that is not trusted, and is ignored: everybody behind it \
         counts as one address. If it is your proxy, add it to the setting",
    );
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn parse_address(text: &str) -> Option<IpAddr> {
    let socket = |text: &str| text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| socket(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        client_address(&headers, peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        assert_eq!(client("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", &["[2001:db8::1]:99"]), "2001:db8::1");
    }

    #[test]
    fn a_neighbour_that_forwards_without_being_trusted_is_noticed() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let unheard = |peer: &str, header: &'static str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(header),
                HeaderValue::from_static("198.51.100.1"),
            )]);
            is_unheard_proxy(&headers, peer.parse().unwrap(), &trusted)
        };
        for peer in ["127.0.0.1", "::1", "192.168.1.5", "::ffff:172.17.0.1", "fd00::1"] {
            assert!(unheard(peer, "x-forwarded-for"), "{peer}");
            assert!(!unheard(peer, "forwarded"), "{peer}");
        }
        assert!(!unheard("10.0.0.1", "x-forwarded-for"), "trusted");
        assert!(!unheard("203.0.113.7", "x-forwarded-for"), "anyone on the internet");
    }

    #[test]
    fn what_nobody_can_read_names_nobody() {
        assert_eq!(client("10.0.0.1", &["6.6.6.6, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }
}
