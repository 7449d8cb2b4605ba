//! Client credentials: the app acts for itself. Its tokens point to a grant per credential, so that
//! removing a credential ends only its tokens. No refresh token: the credential is one.

use std::sync::Arc;
use std::time::Duration;

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::{Grant, GrantStatus, GrantSubject, Mode};
use domain::id::{AttemptId, CredentialId, GrantId};
use domain::issuance::{narrow_scopes, pick_audience, service_ceiling};
use domain::time::Timestamp;
use protocol::error::OAuthError;
use protocol::scope::ScopeSet;
use serde_json::json;
use store::{DbError, Tx, audit, changes, grants};

use crate::oauth::answer::TokenError;
use crate::oauth::client::AuthenticatedClient;
use crate::oauth::mint::{self, IssuedTokens, Order};
use crate::provider::Provider;

/// How long a service grant stands without being asked for.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// It is prolonged when it has less than this left: not a write per token.
const RENEW_BELOW: Duration = Duration::from_secs(60 * 24 * 3600);

pub(super) async fn client_credentials(
    provider: &Provider,
    client: &AuthenticatedClient,
    requested: Option<&ScopeSet>,
    resources: &[String],
) -> Result<IssuedTokens, TokenError> {
    let Some(credential) = client.credential else {
        return Err(OAuthError::unauthorized_client(
            "client_credentials is for apps that can keep a secret",
        )
        .into());
    };
    let ceiling = service_ceiling(&client.app, provider.now())?;
    let scopes = narrow_scopes(requested, &ceiling)?;
    let known: Vec<String> =
        provider.policy().resources.iter().map(|resource| resource.identifier.clone()).collect();
    let audience = pick_audience(resources, &known)?;
    let wanted = Wanted {
        credential,
        mode: client.app.mode,
        ceiling,
        resources: known,
        now: provider.now(),
    };
    let grant = match wanted.find(provider).await? {
        Some(grant) => grant,
        None => wanted.store(provider, client).await?,
    };
    mint::tokens(provider, &client.app, grant, Order { scopes, audience, generation: None })
}

/// The service grant as it has to be.
#[derive(Clone)]
struct Wanted {
    credential: CredentialId,
    mode: Mode,
    ceiling: ScopeSet,
    resources: Vec<String>,
    now: Timestamp,
}

impl Wanted {
    fn is_met_by(&self, grant: &Grant) -> bool {
        grant.is_live(self.now)
            && grant.scopes == self.ceiling
            && grant.resources == self.resources
            && grant.expires_at.since(self.now) >= RENEW_BELOW
    }

    async fn find(&self, provider: &Provider) -> Result<Option<Grant>, DbError> {
        let found = provider.store.service_grant(self.credential, self.mode).await?;
        Ok(found.filter(|grant| self.is_met_by(grant)).map(Arc::unwrap_or_clone))
    }

    /// Prolong the grant there is, or start a new one: a grant that has ended is never revived,
    /// because its old tokens would be too.
    async fn store(
        self,
        provider: &Provider,
        client: &AuthenticatedClient,
    ) -> Result<Grant, DbError> {
        let fresh = self.fresh(provider, client);
        let event = AuditEvent::new(
            self.now,
            AuditKind::ServiceTokenIssued,
            AuditActor::App(client.app.id),
        )
        .grant(fresh.id)
        .address(client.address)
        .detail(json!({ "credential": self.credential, "scopes": self.ceiling }));
        let write = async move |tx: &mut Tx<'_>| {
            let found = grants::find_of_credential(tx, self.credential, self.mode).await?;
            match found {
                Some(mut grant) if grant.is_live(self.now) => {
                    let (scopes, resources) = (&self.ceiling, &self.resources);
                    let expires_at = fresh.expires_at;
                    grants::renew_service(tx, grant.id, scopes, resources, self.now, expires_at)
                        .await?;
                    changes::record(tx, Change::Grant(grant.id)).await?;
                    grant.scopes.clone_from(scopes);
                    grant.resources.clone_from(resources);
                    (grant.expires_at, grant.idle_expires_at) = (expires_at, expires_at);
                    return Ok(grant);
                }
                Some(ended) => {
                    grants::delete(tx, ended.id).await?;
                    changes::record(tx, Change::Grant(ended.id)).await?;
                }
                None => {}
            }
            if !grants::insert(tx, &fresh).await? {
                return Err(DbError::Conflict("a service grant appeared meanwhile".to_owned()));
            }
            audit::record(tx, &event).await?;
            Ok(fresh.clone())
        };
        provider.store.db.write(write).await
    }

    fn fresh(&self, provider: &Provider, client: &AuthenticatedClient) -> Grant {
        let expires_at = self.now.after(LIFETIME);
        Grant {
            id: GrantId::random(&*provider.entropy),
            app_id: client.app.id,
            subject: GrantSubject::Service { credential_id: self.credential },
            scopes: self.ceiling.clone(),
            resources: self.resources.clone(),
            mode: self.mode,
            // Dialects have no client credentials.
            dialect: None,
            session_id: None,
            auth_time: None,
            acr: None,
            amr: None,
            key_binding: None,
            details_ref: None,
            device_address: None,
            code_id: None,
            attempt_id: AttemptId::random(&*provider.entropy),
            refresh: None,
            status: GrantStatus::Live,
            created_at: self.now,
            last_used_at: self.now,
            expires_at,
            idle_expires_at: expires_at,
        }
    }
}
