//! How many connections a listener has, and how many of them one client may hold: whoever opens
//! thousands and says nothing must not keep others out (attack G11).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

#[derive(Debug)]
pub(super) struct Connections {
    pub(super) max: usize,
    /// Of one address that is no trusted proxy.
    per_address_max: usize,
    trusted_proxies: Vec<IpNet>,
    open: AtomicUsize,
    refused: AtomicU64,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection among those that are counted.
#[derive(Debug)]
pub(super) struct Admitted {
    connections: Arc<Connections>,
    /// `None`: a proxy's.
    address: Option<IpAddr>,
}

impl Connections {
    pub(super) fn new(max: usize, trusted_proxies: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self {
            max,
            per_address_max: (max / 4).max(1),
            trusted_proxies,
            open: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            by_address: Mutex::default(),
        })
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// `None`: there are too many, of all or of this one.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Admitted> {
        let peer = peer.to_canonical();
        let is_proxy = self.trusted_proxies.iter().any(|net| net.contains(&peer));
        let address = (!is_proxy).then(|| household(peer));
        let admitted = self.open() < self.max && address.is_none_or(|address| self.count(address));
        if !admitted {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Admitted { connections: Arc::clone(self), address })
    }

    fn count(&self, address: IpAddr) -> bool {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_address.entry(address).or_default();
        if *open >= self.per_address_max {
            return false;
        }
        *open += 1;
        true
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let connections = &self.connections;
        connections.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut by_address = connections.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_address.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// One client has a whole /64 of IPv6 addresses.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_holds_a_quarter_of_the_connections_and_a_proxy_all() {
        let connections = Connections::new(8, vec!["10.0.0.0/8".parse().unwrap()]);
        let admit = |address: &str| connections.admit(address.parse().unwrap());
        let held = [admit("2001:db8::1"), admit("2001:db8::2")];
        assert!(held.iter().all(Option::is_some));
        assert!(admit("2001:db8::3").is_none(), "the same household");
        assert!(admit("192.0.2.1").is_some());
        let proxied: Vec<_> = (0..6).map(|_| admit("::ffff:10.0.0.1")).collect();
        assert!(proxied.iter().all(Option::is_some));
        assert!(admit("192.0.2.1").is_none(), "all are in use");
        assert_eq!((connections.open(), connections.refused()), (8, 2));
        drop((held, proxied));
        assert_eq!(connections.open(), 0);
        assert!(connections.by_address.lock().unwrap().is_empty(), "memory follows the clients");
        assert!(admit("2001:db8::3").is_some());
    }
}
