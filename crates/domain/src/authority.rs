//! The one small window through which the data plane sees grants: the gateway knows this trait and
//! never SQL. `store::live` implements it on caches fed by the change feed.

use std::future::Future;
use std::sync::Arc;

use crate::access::LiveRows;
use crate::id::{AppId, GrantId, PartnerKeyId, TokenId};
use crate::key_access::{KeyRefused, LiveKey};
use crate::keyring::Keyring;
use crate::nonce::{Nonce, NonceRefusal};
use crate::plan::CallsSoFar;
use crate::request_log::Request;
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

    /// The rows behind the public half of a key. `None`: there is no such key.
    fn partner_key(
        &self,
        public: &str,
    ) -> impl Future<Output = Result<Option<LiveKey>, Unverifiable>> + Send;

    /// As [`Authority::changed`], for a call that was let in by a key.
    fn key_changed(&self, key: &LiveKey) -> impl Future<Output = ()> + Send + 'static;

    /// Use up a nonce of a key whose signature was proven. Durable when it returns.
    fn use_nonce(
        &self,
        key: PartnerKeyId,
        nonce: Nonce,
    ) -> impl Future<Output = Result<Result<(), NonceRefusal>, Unverifiable>> + Send;

    /// Remember a refusal for the audit trail. Returns at once; many alike become one row.
    fn key_refused(&self, refused: KeyRefused);

    /// Remember a call for the pages of its user. Returns at once, writes later in batches.
    fn account(&self, usage: Use);

    /// Count a request of an app, and perhaps remember it for its developer. As [`Self::account`].
    fn note_request(&self, request: &Request<'_>);

    /// What an app has called today and this month, as far as this node knows. Asked only for apps
    /// with a quota; what cannot be read counts as nothing.
    fn calls_so_far(&self, app: AppId) -> impl Future<Output = CallsSoFar> + Send;
}
