//! What happens in the database when access is taken back, by the user, staff or the developer.
//! Always inside the transaction of the decision: the rows, the change events by which every node
//! learns of it, and the audit trail stand or fall together.

use std::net::IpAddr;

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::consent::Consent;
use domain::entropy::Entropy;
use domain::grant::{Grant, RevokeReason};
use domain::partner_key::EndedWhy;
use domain::time::Timestamp;
use protocol::scope::ScopeName;
use serde_json::json;
use store::webhooks::{self, GrantNews};
use store::{DbError, Tx, audit, changes, consents, grants, partner_keys};

/// Who takes back, when, and why.
#[derive(Clone, Copy, Debug)]
pub struct TakingBack {
    pub actor: AuditActor,
    pub reason: RevokeReason,
    /// `None`: not through a browser.
    pub address: Option<IpAddr>,
    pub now: Timestamp,
}

impl TakingBack {
    fn event(&self, kind: AuditKind, consent: &Consent) -> AuditEvent {
        let event = AuditEvent::new(self.now, kind, self.actor)
            .app(consent.app_id)
            .user(consent.user_id)
            .consent(consent.id);
        match self.address {
            Some(address) => event.address(address),
            None => event,
        }
    }

    /// End everything that stands on `consent`. Done before: nothing happens.
    pub async fn withdraw(
        &self,
        tx: &mut Tx<'_>,
        consent: Consent,
        entropy: &dyn Entropy,
    ) -> Result<(), DbError> {
        let Ok(consent) = consent.withdraw(entropy, self.now) else { return Ok(()) };
        consents::save(tx, &consent).await?;
        changes::record(tx, Change::Consent(consent.id)).await?;
        audit::record(tx, &self.event(AuditKind::ConsentWithdrawn, &consent)).await?;
        for grant in live_grants(tx, &consent, self.now).await? {
            self.end_grant(tx, &consent, grant).await?;
        }
        // Out is out: with the key too.
        if let Some(key) = partner_keys::find_of_consent(tx, &consent).await? {
            let why = match self.reason {
                RevokeReason::User => EndedWhy::AccessWithdrawn,
                _ => EndedWhy::AppDeleted,
            };
            partner_keys::end(tx, &key, why, self.actor, self.now).await?;
        }
        Ok(())
    }

    /// Take one scope out of `consent` and of the grants under it, so that a later consent revives
    /// nothing. A grant that is left with nothing ends. `false`: it was not there.
    pub async fn narrow(
        &self,
        tx: &mut Tx<'_>,
        consent: Consent,
        scope: &ScopeName,
        entropy: &dyn Entropy,
    ) -> Result<bool, DbError> {
        let Ok(consent) = consent.remove_scope(entropy, scope, self.now) else { return Ok(false) };
        consents::save(tx, &consent).await?;
        changes::record(tx, Change::Consent(consent.id)).await?;
        let detail = json!({ "scope": scope });
        audit::record(tx, &self.event(AuditKind::ConsentNarrowed, &consent).detail(detail)).await?;
        for mut grant in live_grants(tx, &consent, self.now).await? {
            if !grant.scopes.remove(scope.as_str()) {
                continue;
            }
            if grant.scopes.is_empty() {
                self.end_grant(tx, &consent, grant).await?;
            } else {
                grants::save(tx, &grant).await?;
                changes::record(tx, Change::Grant(grant.id)).await?;
                webhooks::queue_grant(tx, &grant, GrantNews::Changed, self.now).await?;
            }
        }
        Ok(true)
    }

    pub async fn end_grant(
        &self,
        tx: &mut Tx<'_>,
        consent: &Consent,
        grant: Grant,
    ) -> Result<(), DbError> {
        let grant = grant.revoke(self.reason, self.now);
        grants::save(tx, &grant).await?;
        changes::record(tx, Change::Grant(grant.id)).await?;
        let news = GrantNews::Revoked(self.reason);
        webhooks::queue_grant(tx, &grant, news, self.now).await?;
        audit::record(tx, &self.event(AuditKind::GrantRevoked, consent).grant(grant.id)).await
    }
}

async fn live_grants(
    tx: &mut Tx<'_>,
    consent: &Consent,
    now: Timestamp,
) -> Result<Vec<Grant>, DbError> {
    grants::list_live_of_consent(tx, consent.id, now).await
}
