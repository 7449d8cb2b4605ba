//! Apps that move here from another system, with their ids and secrets. Each entry stands alone: it
//! is imported whole, was there already, or is refused with every reason and changes nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::app::{App, ClientSecret, SecretProof};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::entropy::Entropy;
use domain::foreign_hash::ForeignHash;
use domain::grant::Mode;
use domain::id::{AppId, CredentialId};
use domain::keyring::Keyring;
use domain::time::Timestamp;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{DbError, Tx, apps, audit, changes, client_secrets, users};

use super::error::{Body, ControlError};
use crate::portal::registration;
use crate::provider::{Provider, Shared};

mod entry;

pub use entry::FIELDS;
use entry::{Entry, GivenSecret};

/// Entries of one request.
pub const BATCH_MAX: usize = 500;
/// Bytes of one request.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Transactions under way: SQLite makes them durable together.
const PARALLEL: usize = 64;

/// Holds secrets: never printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Objects with [`FIELDS`].
    pub apps: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportAnswer {
    /// One per entry, in their order.
    pub outcomes: Vec<Outcome>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Imported,
    /// An app with this client id and this content: nothing was changed.
    AlreadyThere,
    /// Each reason begins with the field that it is about.
    Refused {
        reasons: Vec<String>,
    },
}

impl Outcome {
    fn refused(reason: String) -> Self {
        Self::Refused { reasons: vec![reason] }
    }
}

pub async fn import(
    State(provider): State<Shared>,
    Body(request): Body<ImportRequest>,
) -> Result<Json<ImportAnswer>, ControlError> {
    if request.apps.len() > BATCH_MAX {
        return Err(ControlError::Invalid(format!("apps: send at most {BATCH_MAX} at once")));
    }
    let outcomes = stream::iter(request.apps)
        .map(|entry| import_one(&provider, entry, request.dry_run))
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    Ok(Json(ImportAnswer { outcomes }))
}

async fn import_one(provider: &Provider, entry: Value, dry_run: bool) -> Result<Outcome, DbError> {
    let entry = match entry::check(&entry, &provider.policy()) {
        Ok(entry) => entry,
        Err(reasons) => return Ok(Outcome::Refused { reasons }),
    };
    let newcomer = Newcomer {
        entry: Arc::new(entry),
        keyring: provider.keyring(),
        entropy: Arc::clone(&provider.entropy),
        now: provider.now(),
    };
    if dry_run {
        let read = async move |tx: &mut Tx<'_>| {
            Ok::<_, DbError>(newcomer.decide(tx).await?.err().unwrap_or(Outcome::Imported))
        };
        return provider.store.db.read(read).await;
    }
    let write = async move |tx: &mut Tx<'_>| match newcomer.decide(tx).await? {
        Ok((app, secret)) => newcomer.insert(tx, &app, secret).await,
        Err(outcome) => Ok(outcome),
    };
    provider.store.db.write(write).await
}

/// An entry that is right in itself, and what it takes to make an app of it.
struct Newcomer {
    entry: Arc<Entry>,
    keyring: Arc<Keyring>,
    entropy: Arc<dyn Entropy>,
    now: Timestamp,
}

impl Newcomer {
    /// The rows to insert, or why there is nothing to insert.
    async fn decide(
        &self,
        tx: &mut Tx<'_>,
    ) -> Result<Result<(App, Option<ClientSecret>), Outcome>, DbError> {
        let entry = &*self.entry;
        let Some(owner) = users::find_by_email(tx, &entry.owner).await? else {
            return Ok(Err(Outcome::refused(format!(
                "owner: there is no user {email}; create the account first \
                 (consentry user create {email} --role developer)",
                email = entry.owner
            ))));
        };
        let app = entry.to_app(&owner, &*self.entropy, self.now);
        let Some(known) = apps::find_by_client_id(tx, &entry.client_id).await? else {
            let secret = self.secret_row(app.id);
            return Ok(Ok((app, secret)));
        };
        let secrets = client_secrets::list_of_app(tx, known.id).await?;
        let mut differing = entry.differences(&app, &known);
        differing.extend(self.secret_difference(&secrets));
        Ok(Err(match differing.is_empty() {
            true => Outcome::AlreadyThere,
            false => Outcome::refused(format!(
                "client_id: there is an app {} already, and it differs in {}; it was left as it is",
                entry.client_id,
                differing.join(", ")
            )),
        }))
    }

    async fn insert(
        &self,
        tx: &mut Tx<'_>,
        app: &App,
        secret: Option<ClientSecret>,
    ) -> Result<Outcome, DbError> {
        if !apps::insert(tx, app).await? {
            return Ok(Outcome::refused("client_id: somebody took it just now".to_owned()));
        }
        if let Some(secret) = &secret {
            client_secrets::insert(tx, secret).await?;
        }
        changes::record(tx, Change::App(app.id)).await?;
        let event = AuditEvent::new(self.now, AuditKind::AppImported, AuditActor::System)
            .app(app.id)
            .user(app.owner)
            .detail(json!({ "name": app.name, "client_id": app.client_id }));
        audit::record(tx, &event).await?;
        Ok(Outcome::Imported)
    }

    fn secret_row(&self, app: AppId) -> Option<ClientSecret> {
        match &self.entry.secret {
            GivenSecret::None => None,
            GivenSecret::Text(secret) => Some(registration::secret_row(
                app,
                secret.expose(),
                &self.keyring,
                &*self.entropy,
                self.now,
            )),
            GivenSecret::Hash(hash) => Some(ClientSecret {
                id: self.id_of(hash),
                app_id: app,
                mode: Mode::Live,
                name: String::new(),
                proof: SecretProof::Foreign(hash.clone()),
                hint: String::new(),
                created_at: self.now,
                last_used_at: None,
                expires_at: None,
            }),
        }
    }

    /// Follows from the hash, so that a second import knows it again when the first use of the
    /// secret has replaced it.
    fn id_of(&self, hash: &ForeignHash) -> CredentialId {
        let input = format!("{}\0{}", self.entry.client_id, hash.as_text());
        CredentialId::from_bytes(self.keyring.derive_id("imported secret", input.as_bytes()))
    }

    fn secret_difference(&self, secrets: &[ClientSecret]) -> Option<&'static str> {
        let (field, is_known) = match &self.entry.secret {
            GivenSecret::None => return None,
            GivenSecret::Text(given) => {
                let given = given.expose().as_bytes();
                let is_known = secrets.iter().any(|secret| match &secret.proof {
                    SecretProof::Mac(mac) => self.keyring.secret_matches(given, mac),
                    SecretProof::Foreign(_) => false,
                });
                ("client_secret", is_known)
            }
            GivenSecret::Hash(hash) => {
                let id = self.id_of(hash);
                ("client_secret_hash", secrets.iter().any(|secret| secret.id == id))
            }
        };
        (!is_known).then_some(field)
    }
}
