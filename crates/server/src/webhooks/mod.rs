//! Webhooks on their way: [`Sender`] takes what is due from the outbox and calls the servers of
//! apps and of the operator, a few at a time for each. What is told and when is decided elsewhere
//! (`domain::webhook`, `store::webhooks`).

mod operator;
mod sender;

use std::sync::atomic::{AtomicU64, Ordering};

use domain::policy::Policy;
use domain::webhook::{EndpointOwner, URL_MAX};
use protocol::openid::is_plain_loopback;
use url::{Host, Url};

use crate::outbound::{Reach, is_public};

pub use operator::{OperatorWebhook, save_operators};
pub use sender::Sender;

/// What became of attempts since the start.
#[derive(Debug, Default)]
pub struct WebhookStats {
    delivered: AtomicU64,
    retried: AtomicU64,
    dead: AtomicU64,
}

impl WebhookStats {
    /// With the words of the metric.
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("delivered", read(&self.delivered)),
            ("retried", read(&self.retried)),
            ("dead", read(&self.dead)),
        ]
    }
}

/// Does this deployment let apps be called on this machine? Only one that is on it itself, for
/// whoever develops.
pub fn allows_loopback(policy: &Policy) -> bool {
    Url::parse(&policy.issuer).is_ok_and(|issuer| is_plain_loopback(&issuer))
}

/// How far a call to `url` may lead.
fn reach(owner: &EndpointOwner, url: &Url, policy: &Policy) -> Reach {
    match owner {
        EndpointOwner::Operator(_) => Reach::Configured,
        EndpointOwner::App(_) if is_plain_loopback(url) && allows_loopback(policy) => {
            Reach::Configured
        }
        EndpointOwner::App(_) => Reach::Public,
    }
}

/// What is wrong with the address that a developer typed. What it leads to is looked at again each
/// time it is called (attack F1).
pub fn url_error(text: &str, policy: &Policy) -> Option<&'static str> {
    if text.is_empty() {
        return Some("Write the address that takes the events.");
    }
    if text.len() > URL_MAX {
        return Some("Use at most 2000 characters.");
    }
    let Ok(url) = Url::parse(text) else {
        return Some("This is no address. It begins with https://");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("Leave out user and password; our signature shows that it is us.");
    }
    if url.fragment().is_some() {
        return Some("Leave out what begins with #; it is never sent.");
    }
    if is_plain_loopback(&url) && allows_loopback(policy) {
        return None;
    }
    if url.scheme() != "https" {
        return Some("Use https.");
    }
    let is_inside = match url.host() {
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => true,
    };
    is_inside.then_some("This address is inside a private network. We call public ones only.")
}
