//! What a call turned out to be, for whoever logs and counts it, and what the gateway as a whole is
//! doing. Plain values: nothing here knows how metrics or logs are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::id::{AppId, GrantId, PartnerKeyId};
use domain::usage::UsedBy;
use http::HeaderValue;

use crate::api::Api;
use crate::phase::authenticate::Caller;

/// The id of a request, given by the listener in its extensions. The answer and the upstream get
/// it too.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

/// In the extensions of every answer.
#[derive(Clone, Default)]
pub struct Facts {
    pub(crate) api: Option<Arc<Api>>,
    /// The route's family and pattern, once it is known.
    pub route: Option<(String, String)>,
    pub app: Option<AppId>,
    pub grant: Option<GrantId>,
    /// The partner key, where it was not a grant.
    pub key: Option<PartnerKeyId>,
    pub refused: Option<Refused>,
    /// How long the upstream took until the head of its answer.
    pub upstream: Option<Duration>,
}

impl Facts {
    pub(crate) fn set_caller(&mut self, caller: Option<&Caller>) {
        self.app = caller.map(|caller| caller.proof.app().id);
        match caller.map(|caller| caller.proof.used_by()) {
            Some(UsedBy::Grant(id)) => self.grant = Some(id),
            Some(UsedBy::PartnerKey(id)) => self.key = Some(id),
            None => {}
        }
    }

    /// The name of the API, if the call was of one.
    pub fn api(&self) -> Option<&str> {
        self.api.as_ref().map(|api| api.resource.name.as_str())
    }
}

/// In which phase a call ended and why, in words of which there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub phase: &'static str,
    pub reason: &'static str,
}

/// One look at everything.
#[derive(Clone, Debug)]
pub struct GatewayStats {
    /// Open WebSockets.
    pub tunnels: usize,
    /// Answers that are being sent, event streams among them.
    pub streams: usize,
    /// Access tokens that are remembered as opened.
    pub opened_tokens: usize,
    pub opened_hits: u64,
    pub opened_misses: u64,
    pub apis: Vec<ApiStats>,
}

#[derive(Clone, Debug)]
pub struct ApiStats {
    pub name: String,
    /// Calls that wait for the head of the upstream's answer.
    pub in_service: usize,
    pub in_service_max: usize,
}

/// One of the things that are counted while they are open.
#[derive(Debug)]
pub(crate) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(crate) fn among(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
