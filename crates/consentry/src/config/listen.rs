//! Where connections are accepted, and who is believed behind them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::issuer::Issuer;
use super::reader::Section;
use super::{Addresses, DRAIN, Networks, quantity};

#[derive(Clone, Debug)]
pub struct Listen {
    pub public: Addresses,
    pub internal: Option<SocketAddr>,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
    /// Networks that may ask for forward-auth.
    pub forward_auth_peers: Networks,
    /// How long running requests may finish after a stop signal.
    pub drain: Duration,
    pub connections_max: usize,
    pub tokens_in_service: usize,
    pub pages_in_service: usize,
}

/// `None` when a problem was reported.
pub(super) fn read(section: &Section<'_>, issuer: Option<&Issuer>) -> Option<Listen> {
    let public = match section.texts("public") {
        None => default_public(issuer),
        Some(texts) => {
            if texts.is_empty() {
                let to_do = "Write at least one HOST:PORT.";
                let spot = section.spot_of("public");
                section.document.problem(&spot, "`public` is empty", to_do);
            }
            let addresses = texts
                .into_iter()
                .map(|text| section.meaning("public", text, address).map(|at| at.value));
            addresses.collect::<Vec<_>>().into_iter().collect::<Option<_>>()?
        }
    };
    let loopback = || {
        vec![
            IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ]
    };
    let drain = section.parsed("drain", quantity::duration).map_or(DRAIN, |at| at.value);
    let count =
        |name, usual| section.parsed(name, quantity::count).map_or(usual, |at| at.value as usize);
    Some(Listen {
        public,
        internal: section.parsed("internal", address).map(|at| at.value),
        trusted_proxies: networks(section, "trusted_proxies").unwrap_or_default(),
        forward_auth_peers: networks(section, "forward_auth_peers").unwrap_or_else(loopback),
        drain,
        connections_max: count("connections_max", 20_000),
        tokens_in_service: count("tokens_in_service", 512),
        pages_in_service: count("pages_in_service", 128),
    })
}

/// A loopback issuer says its own port. Behind a proxy the port is a free choice.
fn default_public(issuer: Option<&Issuer>) -> Addresses {
    let port = issuer.filter(|issuer| issuer.is_loopback).map_or(8400, |issuer| issuer.port);
    vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let hint = "Write an IP address and a port, such as 127.0.0.1:8400, 0.0.0.0:80 or [::]:80.";
    text.parse().map_err(|_| hint.to_owned())
}

fn networks(section: &Section<'_>, name: &str) -> Option<Networks> {
    let texts = section.texts(name)?;
    let networks = texts.into_iter().filter_map(|text| section.meaning(name, text, network));
    Some(networks.map(|at| at.value).collect())
}

fn network(text: &str) -> Result<IpNet, &'static str> {
    let alone = |text: &str| text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse::<IpNet>()
        .ok()
        .or_else(|| alone(text))
        .map(|network| network.trunc())
        .ok_or("Write an IP address or a network, such as 10.0.0.0/8.")
}
