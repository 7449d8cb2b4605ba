//! Long calls are watched: when the rows behind one change, it is judged again as a new call would
//! be, and cut if that one were refused (attack G9).

use std::net::IpAddr;
use std::sync::Arc;

use domain::access::{AccessRefusal, LiveRows, check_access, grant_scopes};
use domain::authority::{Authority, Unverifiable};
use domain::time::Timestamp;
use domain::token::AccessToken;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Method;
use protocol::path::NormalPath;
use protocol::route::Lookup;
use protocol::scope::ScopeSet;

use crate::api::Api;
use crate::pass::Inner;
use crate::phase::authenticate::Proof;

/// Why an open call was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    #[error("the access was taken back or has expired")]
    Ended,
    #[error("the access cannot be verified any more")]
    Unverifiable,
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// When a call ends that nobody takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// An answer that began in time is sent to its end.
    WithItself,
    /// A WebSocket and an event stream have no end of their own: theirs is the token's.
    WithToken,
}

/// Everything that judging a call again takes.
pub(crate) struct Watched<A> {
    pub(crate) gateway: Arc<Inner<A>>,
    pub(crate) api: Arc<Api>,
    pub(crate) method: Method,
    pub(crate) path: NormalPath,
    pub(crate) client: IpAddr,
    pub(crate) proof: Proof,
    pub(crate) ends: Ends,
}

impl<A> Clone for Watched<A> {
    fn clone(&self) -> Self {
        Self {
            gateway: Arc::clone(&self.gateway),
            api: Arc::clone(&self.api),
            method: self.method.clone(),
            path: self.path.clone(),
            client: self.client,
            proof: self.proof.clone(),
            ends: self.ends,
        }
    }
}

impl<A: Authority> Watched<A> {
    /// Resolves when the call must be cut.
    pub(crate) async fn until_cut(mut self) -> Cut {
        loop {
            // The watch begins before the rows are read: nothing falls between.
            let changed = self.changed();
            match self.read_again().await {
                Ok(true) => {}
                Ok(false) => return Cut::Ended,
                Err(_) => return Cut::Unverifiable,
            }
            let now = self.gateway.clock.now();
            if !self.would_pass(now) {
                return Cut::Ended;
            }
            let expiry = async {
                match (self.ends, &self.proof) {
                    (Ends::WithToken, Proof::Token { token, .. }) => {
                        tokio::time::sleep(token.expires_at.since(now)).await;
                    }
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                // Judged in the next round; a sleep may also end a moment early.
                () = changed => tokio::task::yield_now().await,
                () = expiry => {}
                () = self.gateway.shutdown.cancelled() => return Cut::ShuttingDown,
            }
        }
    }

    fn changed(&self) -> BoxFuture<'static, ()> {
        let authority = &self.gateway.authority;
        match &self.proof {
            Proof::Token { token, rows, .. } => authority.changed(rows, token.token_id).boxed(),
            Proof::Key { live, .. } => authority.key_changed(live).boxed(),
        }
    }

    /// `false`: the grant or the key is gone.
    async fn read_again(&mut self) -> Result<bool, Unverifiable> {
        let authority = &self.gateway.authority;
        match &mut self.proof {
            Proof::Token { token, rows, .. } => {
                let found = authority.live_rows(token.grant_id, token.token_id).await?;
                Ok(found.map(|found| *rows = found).is_some())
            }
            Proof::Key { live, .. } => {
                let found = authority.partner_key(&live.key.public).await?;
                Ok(found.map(|found| *live = found).is_some())
            }
        }
    }

    /// Whether the same call would be let through now. Its nonce was used up by it.
    fn would_pass(&self, now: Timestamp) -> bool {
        let apis = self.gateway.apis();
        let Some(api) = apis.named(&self.api.resource.identifier) else { return false };
        let Lookup::Found(route) = api.resource.routes.lookup(&self.method, &self.path) else {
            return false;
        };
        match &self.proof {
            Proof::Token { token, rows, .. } => self
                .scopes(token, rows, now)
                .is_ok_and(|scopes| route.access.missing(&scopes).is_empty()),
            Proof::Key { live, .. } => {
                let policy = self.gateway.policy();
                live.check(self.client).is_ok()
                    && live.permit(policy.partner_keys.as_ref(), route, now).is_ok()
            }
        }
    }

    fn scopes(
        &self,
        token: &AccessToken,
        rows: &LiveRows,
        now: Timestamp,
    ) -> Result<ScopeSet, AccessRefusal> {
        if self.ends == Ends::WithToken || now < token.expires_at {
            let client = Some(self.client);
            let audience = &self.api.resource.identifier;
            return check_access(token, rows, audience, client, now).map(|access| access.scopes);
        }
        if rows.token_revoked {
            return Err(AccessRefusal::TokenRevoked);
        }
        Ok(grant_scopes(rows, now)?.intersection(&token.scopes))
    }
}
