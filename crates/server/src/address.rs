//! Where a request comes from. The listener resolves it (through trusted proxies only) and puts it
//! into the request's extensions; no handler reads a forwarding header.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;
use ipnet::IpNet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Without a listener (in-process calls) the address is one that no allow-list contains.
        let nowhere = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(nowhere))
    }
}

/// What is kept of a `User-Agent`, in characters.
const USER_AGENT_MAX: usize = 200;

/// What the other side says it is.
pub fn user_agent(headers: &HeaderMap) -> String {
    let text = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(USER_AGENT_MAX).collect()
}

/// The neighbourhood that limits count together: one IPv6 host has a whole /64 to itself.
pub fn network_of(address: IpAddr, v4_bits: u8, v6_bits: u8) -> IpNet {
    let address = address.to_canonical();
    let bits = if address.is_ipv4() { v4_bits } else { v6_bits };
    IpNet::new(address, bits).unwrap_or_else(|_| IpNet::from(address)).trunc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> String {
        network_of(address.parse().unwrap(), 24, 56).to_string()
    }

    #[test]
    fn neighbours_are_one_network() {
        assert_eq!(network("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:22ff:1::1"), "2001:db8:1:2200::/56");
        let host = network_of("::1".parse().unwrap(), 32, 64).to_string();
        assert_eq!(host, "::/64");
    }
}
