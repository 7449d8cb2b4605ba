//! Long calls are watched: when the rows behind one change, it is judged again as a new call would
//! be, and cut if that one were refused (attack G9).

use std::net::IpAddr;
use std::sync::Arc;

use domain::access::{AccessRefusal, LiveRows, check_access, grant_scopes};
use domain::authority::Authority;
use domain::time::Timestamp;
use domain::token::AccessToken;
use http::Method;
use protocol::path::NormalPath;
use protocol::route::Lookup;
use protocol::scope::ScopeSet;

use crate::api::Api;
use crate::pass::Inner;

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
    pub(crate) token: Arc<AccessToken>,
    pub(crate) rows: LiveRows,
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
            token: Arc::clone(&self.token),
            rows: self.rows.clone(),
            ends: self.ends,
        }
    }
}

impl<A: Authority> Watched<A> {
    /// Resolves when the call must be cut.
    pub(crate) async fn until_cut(mut self) -> Cut {
        loop {
            // The watch begins before the rows are read: nothing falls between.
            let changed = self.gateway.authority.changed(&self.rows, self.token.token_id);
            let (grant_id, token_id) = (self.token.grant_id, self.token.token_id);
            match self.gateway.authority.live_rows(grant_id, token_id).await {
                Ok(Some(rows)) => self.rows = rows,
                Ok(None) => return Cut::Ended,
                Err(_) => return Cut::Unverifiable,
            }
            let now = self.gateway.clock.now();
            if !self.would_pass(now) {
                return Cut::Ended;
            }
            let expiry = async {
                match self.ends {
                    Ends::WithItself => std::future::pending().await,
                    Ends::WithToken => tokio::time::sleep(self.token.expires_at.since(now)).await,
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

    /// Whether the same call would be let through now.
    fn would_pass(&self, now: Timestamp) -> bool {
        let Ok(scopes) = self.scopes(now) else { return false };
        let apis = self.gateway.apis();
        let Some(api) = apis.named(&self.api.resource.identifier) else { return false };
        match api.resource.routes.lookup(&self.method, &self.path) {
            Lookup::Found(route) => route.access.missing(&scopes).is_empty(),
            Lookup::MethodNotAllowed(_) | Lookup::NotFound => false,
        }
    }

    fn scopes(&self, now: Timestamp) -> Result<ScopeSet, AccessRefusal> {
        if self.ends == Ends::WithToken || now < self.token.expires_at {
            let client = Some(self.client);
            let audience = &self.api.resource.identifier;
            return check_access(&self.token, &self.rows, audience, client, now)
                .map(|access| access.scopes);
        }
        if self.rows.token_revoked {
            return Err(AccessRefusal::TokenRevoked);
        }
        Ok(grant_scopes(&self.rows, now)?.intersection(&self.token.scopes))
    }
}
