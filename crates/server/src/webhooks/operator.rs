//! Webhooks of the operator: from the config into the rows that the outbox knows, at each start.

use std::collections::BTreeSet;

use domain::id::EndpointId;
use domain::webhook::{Endpoint, EndpointOwner, EndpointStatus, EventKind, SealedSecret};
use protocol::secret::Secret;
use store::{DbError, Tx, webhooks};

use crate::provider::Provider;

/// One of the config.
#[derive(Clone, Debug)]
pub struct OperatorWebhook {
    pub name: String,
    pub url: String,
    /// `whsec_…`
    pub secret: Secret,
    pub events: BTreeSet<EventKind>,
}

fn unsealed() -> DbError {
    DbError::Corrupt("the secret of a webhook cannot be sealed".to_owned())
}

/// Make the rows what the config says. One that was switched off is on again; what waits for one
/// that the config no longer has is gone with it.
pub async fn save_operators(
    provider: &Provider,
    configured: Vec<OperatorWebhook>,
) -> Result<(), DbError> {
    let (keyring, entropy, now) = (provider.keyring(), provider.entropy.clone(), provider.now());
    let save = async move |tx: &mut Tx<'_>| {
        let known = webhooks::list_of_operator(tx).await?;
        let name_of = |endpoint: &Endpoint| match &endpoint.owner {
            EndpointOwner::Operator(name) => name.clone(),
            EndpointOwner::App(_) => String::new(),
        };
        for gone in &known {
            if !configured.iter().any(|one| one.name == name_of(gone)) {
                webhooks::delete(tx, gone).await?;
            }
        }
        for one in &configured {
            let found = known.iter().find(|endpoint| name_of(endpoint) == one.name);
            let id = found.map_or_else(|| EndpointId::random(&*entropy), |endpoint| endpoint.id);
            let secret = SealedSecret::seal(&keyring, id, &one.secret, &*entropy);
            let endpoint = Endpoint {
                id,
                owner: EndpointOwner::Operator(one.name.clone()),
                url: one.url.clone(),
                events: one.events.clone(),
                secret: secret.ok_or_else(unsealed)?,
                former: None,
                status: EndpointStatus::Active,
                failing_since: None,
                created_at: found.map_or(now, |endpoint| endpoint.created_at),
            };
            match found {
                Some(_) => webhooks::save(tx, &endpoint).await?,
                None => webhooks::insert(tx, &endpoint).await?,
            }
        }
        Ok(())
    };
    provider.store.db.write(save).await
}
