//! Secrets of a confidential app: several at a time, so that a new one can be rolled out before
//! the old one is removed. A secret is shown once, in the answer that made it.

use axum::extract::State;
use axum::response::{Redirect, Response};
use domain::app::CLIENT_SECRETS_MAX;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::RevokeReason;
use domain::id::CredentialId;
use serde_json::json;
use store::{audit, changes, client_secrets, grants};

use super::apps::{owned, path_of, secret_page};
use super::registration;
use crate::actor::{AppOwner, SignedForm};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::Done;
use crate::provider::Shared;

pub async fn create(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppOwner { user, app }: AppOwner,
    _form: SignedForm,
) -> Result<Response, PageError> {
    if !app.kind.is_confidential() {
        let text = "A public app cannot keep a secret. It proves itself with PKCE.";
        return Err(PageError::Conflict(text.into()));
    }
    let now = provider.now();
    let secret = registration::new_secret(app.id, &provider.keyring(), &*provider.entropy, now);
    let row = secret.row.clone();
    let event = AuditEvent::new(now, AuditKind::SecretCreated, AuditActor::User(user.user.id))
        .app(app.id)
        .address(address)
        .detail(json!({ "secret": row.id, "ends_with": row.hint }));
    let (id, owner) = (app.id, user.user.id);
    provider
        .store
        .db
        .write(async move |tx| {
            owned(tx, id, owner).await?;
            if !registration::has_room_for_secret(&client_secrets::list_of_app(tx, id).await?) {
                let text = format!(
                    "The app has {CLIENT_SECRETS_MAX} secrets already. Remove one that is not used."
                );
                return Err(PageError::Conflict(text.into()));
            }
            client_secrets::insert(tx, &row).await?;
            changes::record(tx, Change::App(id)).await?;
            audit::record(tx, &event).await?;
            Ok(())
        })
        .await?;
    secret_page(&provider, &user, app, secret, false)
}

/// Remove a secret and end what the app got for itself with it.
pub async fn remove(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppOwner { user, app }: AppOwner,
    form: SignedForm,
) -> Result<Redirect, PageError> {
    let secret = form.params.one("secret")?.and_then(|text| text.parse::<CredentialId>().ok());
    let secret = secret.ok_or(PageError::NotFound)?;
    let (id, owner, now) = (app.id, user.user.id, provider.now());
    let event = AuditEvent::new(now, AuditKind::SecretRemoved, AuditActor::User(owner))
        .app(id)
        .address(address)
        .detail(json!({ "secret": secret }));
    provider
        .store
        .db
        .write(async move |tx| {
            owned(tx, id, owner).await?;
            let secrets = client_secrets::list_of_app(tx, id).await?;
            if !secrets.iter().any(|known| known.id == secret) {
                return Err(PageError::NotFound);
            }
            for grant in grants::list_live_of_credential(tx, secret, now).await? {
                grants::revoke(tx, grant.id, RevokeReason::App, now).await?;
                changes::record(tx, Change::Grant(grant.id)).await?;
            }
            client_secrets::delete(tx, secret).await?;
            changes::record(tx, Change::App(id)).await?;
            audit::record(tx, &event).await?;
            Ok(())
        })
        .await?;
    Ok(Done::SecretRemoved.redirect(&path_of(id)))
}
