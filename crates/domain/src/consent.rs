//! A user's remembered decision for an app.

use protocol::scope::{ScopeName, ScopeSet};

use crate::entropy::{Entropy, random_bytes};
use crate::grant::Mode;
use crate::id::{AppId, ConsentId, UserId};
use crate::time::Timestamp;

/// Unguessable and read from the database at redemption, so that a stolen sealing key alone forges
/// no authorization code. Renewed whenever a consent loses something.
pub type Epoch = [u8; 16];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentStatus {
    Given,
    Withdrawn { at: Timestamp },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    pub id: ConsentId,
    pub app_id: AppId,
    pub user_id: UserId,
    /// A consent to tests is none to the real thing.
    pub mode: Mode,
    pub epoch: Epoch,
    /// What the user allowed.
    pub scopes: ScopeSet,
    /// Everything a consent page has asked for since `given_at`. What is in it and not in `scopes`
    /// was declined, and is not asked again by itself.
    pub asked: ScopeSet,
    pub status: ConsentStatus,
    /// When the user first said yes.
    pub given_at: Timestamp,
    /// When the user last changed it.
    pub changed_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    #[error("this access was already withdrawn")]
    AlreadyWithdrawn,
    #[error("this permission is not part of the consent")]
    NoSuchScope,
}

impl Consent {
    /// In live mode.
    pub fn give(
        entropy: &dyn Entropy,
        app_id: AppId,
        user_id: UserId,
        asked: ScopeSet,
        scopes: ScopeSet,
        now: Timestamp,
    ) -> Self {
        Self {
            id: ConsentId::random(entropy),
            app_id,
            user_id,
            mode: Mode::Live,
            epoch: random_bytes(entropy),
            scopes,
            asked,
            status: ConsentStatus::Given,
            given_at: now,
            changed_at: now,
        }
    }

    pub fn is_given(&self) -> bool {
        self.status == ConsentStatus::Given
    }

    /// The scopes that hold now: none once withdrawn.
    pub fn live_scopes(&self) -> ScopeSet {
        if self.is_given() { self.scopes.clone() } else { ScopeSet::default() }
    }

    /// The user answered a page that asked for `asked` and allowed `allowed` of it. What was not on
    /// the page stays as it was; what was and is not allowed goes. Losing a scope renews the epoch;
    /// a withdrawn consent starts afresh.
    #[must_use]
    pub fn renew(
        mut self,
        entropy: &dyn Entropy,
        asked: &ScopeSet,
        allowed: &ScopeSet,
        now: Timestamp,
    ) -> Self {
        let kept = self.live_scopes().difference(asked);
        let scopes = kept.union(&allowed.intersection(asked));
        self.asked = if self.is_given() { self.asked.union(asked) } else { asked.clone() };
        if !self.is_given() {
            self.given_at = now;
        }
        if !self.is_given() || !self.scopes.is_subset(&scopes) {
            self.epoch = random_bytes(entropy);
        }
        self.scopes = scopes;
        self.status = ConsentStatus::Given;
        self.changed_at = now;
        self
    }

    /// Take one scope back. The caller narrows the grants under it too, so that a later consent
    /// revives nothing.
    pub fn remove_scope(
        mut self,
        entropy: &dyn Entropy,
        scope: &ScopeName,
        now: Timestamp,
    ) -> Result<Self, ConsentError> {
        if !self.is_given() {
            return Err(ConsentError::AlreadyWithdrawn);
        }
        if !self.scopes.contains(scope.as_str()) {
            return Err(ConsentError::NoSuchScope);
        }
        self.scopes = self.scopes.iter().filter(|name| *name != scope).cloned().collect();
        self.epoch = random_bytes(entropy);
        self.changed_at = now;
        Ok(self)
    }

    pub fn withdraw(mut self, entropy: &dyn Entropy, now: Timestamp) -> Result<Self, ConsentError> {
        if !self.is_given() {
            return Err(ConsentError::AlreadyWithdrawn);
        }
        self.status = ConsentStatus::Withdrawn { at: now };
        self.epoch = random_bytes(entropy);
        self.changed_at = now;
        Ok(self)
    }
}
