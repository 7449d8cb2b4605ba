//! Secrets of confidential apps. A secret is told once, in the answer that made it.

use axum::Json;
use axum::extract::{Path, State};
use domain::app::{CLIENT_SECRETS_MAX, ClientSecret};
use domain::audit::AuditKind;
use domain::change::Change;
use domain::grant::Mode;
use domain::grant::RevokeReason;
use domain::id::CredentialId;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use store::{Tx, audit, changes, client_secrets, grants};

use super::actor::Admin;
use super::apps::{location, named};
use super::page::Page;
use super::problem::Problem;
use super::schema::wire;
use super::version::{Created, Found, IfMatch, Versioned, etag_of};
use super::{rfc3339, write};
use crate::portal::registration;
use crate::provider::Shared;

wire! {
    /// What is known of a secret.
    #[derive(Clone, Debug, Serialize)]
    pub struct SecretRecord {
        /// What it is called here.
        pub id: CredentialId,
        /// Its last characters, so that people can tell secrets apart.
        pub ends_with: String,
        /// When it was made.
        pub created_at: String,
        /// When it was last used, coarsely.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub last_used_at: Option<String>,
        /// From when on it is no longer good.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub expires_at: Option<String>,
        /// The secret, in the answer that made it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub client_secret: Option<String>,
    }
}

impl Versioned for SecretRecord {
    fn etag(&self) -> String {
        etag_of(&(self.id, &self.ends_with, &self.expires_at))
    }
}

pub async fn list(
    State(provider): State<Shared>,
    _: Admin,
    Path(client_id): Path<String>,
) -> Result<Json<Page<SecretRecord>>, Problem> {
    let read = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        Ok::<_, Problem>(client_secrets::list_of_app(tx, app.id).await?)
    };
    let secrets = provider.store.db.read(read).await?;
    // There are never more than a handful.
    Ok(Json(Page { items: secrets.iter().map(record).collect(), next_cursor: None }))
}

pub async fn show(
    State(provider): State<Shared>,
    _: Admin,
    Path((client_id, secret)): Path<(String, String)>,
) -> Result<Found<SecretRecord>, Problem> {
    let read = async move |tx: &mut Tx<'_>| find(tx, &client_id, &secret).await;
    Ok(Found(record(&provider.store.db.read(read).await?)))
}

pub async fn create(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
) -> Result<Created<SecretRecord>, Problem> {
    let (now, keyring, entropy) = (provider.now(), provider.keyring(), provider.entropy.clone());
    let name = client_id.clone();
    let work = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        if !app.kind.is_confidential() {
            let text = "a public app cannot keep a secret; it proves itself with PKCE";
            return Err(Problem::conflict(text));
        }
        let secrets = client_secrets::list_of_app(tx, app.id).await?;
        if !registration::has_room_for_secret(&secrets, Mode::Live) {
            let text = format!(
                "the app has {CLIENT_SECRETS_MAX} secrets already; remove one that is not used"
            );
            return Err(Problem::conflict(text));
        }
        let secret = registration::new_secret(app.id, &keyring, &*entropy, now);
        client_secrets::insert(tx, &secret.row).await?;
        changes::record(tx, Change::App(app.id)).await?;
        let detail = json!({ "secret": secret.row.id, "ends_with": secret.row.hint });
        audit::record(tx, &admin.event(now, AuditKind::SecretCreated, detail).app(app.id)).await?;
        Ok(SecretRecord { client_secret: Some(secret.text), ..record(&secret.row) })
    };
    let made = write(&provider, work).await?;
    Ok(Created(format!("{}/secrets/{}", location("apps", &name), made.id), made))
}

/// Remove a secret and end what the app got for itself with it.
pub async fn remove(
    State(provider): State<Shared>,
    admin: Admin,
    Path((client_id, secret)): Path<(String, String)>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let secret = find(tx, &client_id, &secret).await?;
        if_match.check(&record(&secret).etag())?;
        for grant in grants::list_live_of_credential(tx, secret.id, now).await? {
            grants::revoke(tx, grant.id, RevokeReason::Staff, now).await?;
            changes::record(tx, Change::Grant(grant.id)).await?;
        }
        client_secrets::delete(tx, secret.id).await?;
        changes::record(tx, Change::App(secret.app_id)).await?;
        let detail = json!({ "secret": secret.id });
        let event = admin.event(now, AuditKind::SecretRemoved, detail).app(secret.app_id);
        audit::record(tx, &event).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    write(&provider, work).await
}

async fn find(tx: &mut Tx<'_>, client_id: &str, secret: &str) -> Result<ClientSecret, Problem> {
    let app = named(tx, client_id).await?;
    let secrets = client_secrets::list_of_app(tx, app.id).await?;
    let found = secrets.into_iter().find(|known| known.id.to_string() == secret);
    found.ok_or_else(|| Problem::not_found(format!("the app has no secret {secret}")))
}

fn record(secret: &ClientSecret) -> SecretRecord {
    SecretRecord {
        id: secret.id,
        ends_with: secret.hint.clone(),
        created_at: rfc3339(secret.created_at),
        last_used_at: secret.last_used_at.map(rfc3339),
        expires_at: secret.expires_at.map(rfc3339),
        client_secret: None,
    }
}
