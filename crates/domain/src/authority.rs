//! The one small window through which the data plane sees grants: the gateway knows this trait and
//! never SQL. `store::live` implements it on caches fed by the change feed.

use std::future::Future;
use std::sync::Arc;

use crate::access::LiveRows;
use crate::id::{GrantId, TokenId};
use crate::keyring::Keyring;
use crate::usage::Use;

/// The rows cannot be read, or this node can no longer be sure that they are current (its lease
/// ran out, its change feed is cut). Callers fail closed: 503, never "valid".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("authorizations cannot be verified right now: {reason}")]
pub struct Unverifiable {
    pub reason: String,
}

pub trait Authority: Send + Sync + 'static {
    /// The keys of this provider as of now.
    fn keyring(&self) -> Arc<Keyring>;

    /// A text names a key that [`Authority::keyring`] does not have. Reloads at most once a second;
    /// the caller asks for the keyring again and tries once more.
    fn reload_keys(&self) -> impl Future<Output = ()> + Send;

    /// The rows behind a token. `None`: there is no such grant, so the token is refused.
    fn live_rows(
        &self,
        grant: GrantId,
        token: TokenId,
    ) -> impl Future<Output = Result<Option<LiveRows>, Unverifiable>> + Send;

    /// Resolves when something about `rows` or `token` may have changed, or this node can no longer
    /// be sure. A long call then asks [`Authority::live_rows`] again and is cut if refused.
    fn changed(&self, rows: &LiveRows, token: TokenId)
    -> impl Future<Output = ()> + Send + 'static;

    /// Remember a call for the pages. Returns at once, writes later in batches.
    fn account(&self, usage: Use);
}
