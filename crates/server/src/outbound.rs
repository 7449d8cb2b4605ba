//! Requests that we make ourselves, over HTTPS, as a parameter: the process that runs a provider
//! says how (`consentry::outbound`), and tests answer without a network. No redirect is followed,
//! and every call has a bound in bytes and in time (attack F1).

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

/// Whose address a call goes to, and so where it may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anybody's: of an app that was registered here. Only https, and only to addresses that
    /// everybody can reach; nothing inside our own network.
    Public,
    /// The operator's, from the config: also inside, and plain http to this machine itself.
    Configured,
}

pub struct Call {
    pub method: Method,
    pub url: Url,
    pub reach: Reach,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// A longer answer is none.
    pub answer_bytes_max: usize,
    /// From the first look-up of the name to the last byte.
    pub timeout: Duration,
}

/// Neither the body nor the headers, which carry secrets and codes, nor all of the address.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

impl Call {
    pub fn get(url: Url, reach: Reach) -> Self {
        Self {
            method: Method::GET,
            url,
            reach,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            answer_bytes_max: 64 * 1024,
            timeout: Duration::from_secs(10),
        }
    }

    pub fn post(url: Url, reach: Reach, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, body: body.into(), ..Self::get(url, reach) }
    }
}

#[derive(Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A body may hold tokens.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

/// For logs: none of it is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    #[error("an address that may not be called: {0}")]
    NotAllowed(String),
    #[error("the name leads nowhere: {0}")]
    Unresolved(String),
    #[error("no answer in time")]
    Timeout,
    #[error("the answer is too long")]
    TooLong,
    #[error("{0}")]
    Failed(String),
}

pub trait Outbound: Send + Sync + fmt::Debug {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Reply, OutboundError>>;
}

/// Nobody to ask: for a provider whose config names nothing outside.
#[derive(Debug)]
pub struct Nowhere;

impl Outbound for Nowhere {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Reply, OutboundError>> {
        let host = call.url.host_str().unwrap_or_default().to_owned();
        Box::pin(async { Err(OutboundError::NotAllowed(host)) })
    }
}

/// Can everybody reach `address`? Not what the special-purpose registries of RFC 6890 keep for one
/// machine, one network, or no traffic at all, in any spelling of IPv4 inside IPv6.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            // Only 2000::/3 is given to hosts, and in it neither Teredo, 6to4 (which carry an IPv4
            // address), ORCHID, benchmarks nor documentation.
            let [first, second, ..] = segments;
            (0x2000..0x4000).contains(&first)
                && first != 0x2002
                && !(first == 0x2001 && second < 0x0200)
                && !(first == 0x2001 && second == 0x0db8)
                && !(first == 0x3fff && second < 0x1000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_prints_neither_its_secrets_nor_its_query() {
        let url = Url::parse("https://login.example/token?key=hidden").unwrap();
        let call = Call::post(url, Reach::Configured, "client_secret=hidden&code=hidden");
        let shown = format!("{call:?}");
        assert!(shown.contains("POST") && shown.contains("login.example"), "{shown}");
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn f1_only_addresses_that_everybody_can_reach_are_public() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for reachable in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(public(reachable), "{reachable}");
        }
        for inside in [
            "127.0.0.1",
            "127.8.8.8",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(!public(inside), "{inside}");
        }
    }
}
