//! What a partner key may do right now: computed at each use from the rows as they stand, as for
//! tokens (see [`crate::access`]).

use std::net::IpAddr;
use std::sync::Arc;

use protocol::mac::MacKey;
use protocol::scope::ScopeSet;
use protocol::signed_request::SignedRefusal;

use crate::app::App;
use crate::id::{AppId, PartnerKeyId, UserId};
use crate::key_terms::KeyTerms;
use crate::partner_key::PartnerKey;
use crate::policy::{RouteAccess, RouteRule};
use crate::time::Timestamp;
use crate::user::User;

/// The rows a key's meaning depends on, as they stand now.
#[derive(Clone, Debug)]
pub struct LiveKey {
    pub key: Arc<PartnerKey>,
    /// `None`: it is forgotten, and the key disabled.
    pub secret: Option<Arc<MacKey>>,
    pub app: Arc<App>,
    pub user: Arc<User>,
}

/// A signed request that was refused, though it named a key that there is.
#[derive(Clone, Debug)]
pub struct KeyRefused {
    pub key_id: PartnerKeyId,
    pub app_id: AppId,
    pub user_id: UserId,
    pub why: SignedRefusal,
    pub address: IpAddr,
    pub at: Timestamp,
}

impl LiveKey {
    /// Whether the key is good for anything from `address`.
    pub fn check(&self, address: IpAddr) -> Result<(), SignedRefusal> {
        if !self.key.is_active() {
            return Err(SignedRefusal::KeyDisabled);
        }
        if !self.app.is_live() || !self.user.is_active() {
            return Err(SignedRefusal::NotActive);
        }
        if !self.app.admits(address) {
            return Err(SignedRefusal::AddressNotAllowed);
        }
        Ok(())
    }

    /// Whether the user allowed `route`, and the app is approved for what it takes. Without `terms`
    /// there are no partner keys any more.
    pub fn permit(
        &self,
        terms: Option<&KeyTerms>,
        route: &RouteRule,
        now: Timestamp,
    ) -> Result<(), SignedRefusal> {
        match terms.is_some_and(|terms| terms.permits(&self.key, &self.app, route, now)) {
            true => Ok(()),
            false => Err(SignedRefusal::NotPermitted),
        }
    }

    /// What a call to `route` takes, of the ways that the app is approved for.
    pub fn scopes_for(&self, route: &RouteRule, now: Timestamp) -> ScopeSet {
        let RouteAccess::AnyOf(sets) = &route.access else { return ScopeSet::default() };
        let approved = self.app.approved_at(now);
        let is_approved = |set: &&ScopeSet| set.difference(&approved).is_empty();
        sets.iter().find(is_approved).cloned().unwrap_or_default()
    }
}
