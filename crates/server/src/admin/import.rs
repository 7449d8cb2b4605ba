//! Apps that move here from another system, with their ids and secrets: a file at a time, all of it
//! or nothing. What was there already with the same content is no obstacle.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::app::{App, ClientSecret, SecretProof};
use domain::audit::AuditKind;
use domain::change::Change;
use domain::entropy::Entropy;
use domain::foreign_hash::ForeignHash;
use domain::grant::Mode;
use domain::id::{AppId, CredentialId};
use domain::keyring::Keyring;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{DbError, Tx, apps, audit, changes, client_secrets, users};

use super::actor::Admin;
use super::body::Body;
use super::problem::{FieldError, Problem, ProblemKind};
use super::schema::{choices, wire};
use super::write;
use crate::portal::registration;
use crate::provider::{Provider, Shared};

mod entry;

pub use entry::FIELDS;
use entry::{Entry, GivenSecret};

/// Entries of one request: one file.
pub const ENTRIES_MAX: usize = 20_000;
/// Bytes of one request.
pub const BODY_BYTES_MAX: usize = 32 << 20;

wire! {
    /// Apps that move here. It holds secrets: never printed.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct ImportRequest {
        /// Only say what would happen.
        #[serde(default)]
        pub dry_run: bool,
        /// The apps, at most 20,000, with the fields of "Moving here with your apps".
        pub apps: Vec<Value>,
    }

    /// What became of each app. If one had been refused, nothing would have been imported.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct ImportAnswer {
        /// How many are new.
        pub imported: u64,
        /// How many were there with the same content.
        pub already_there: u64,
        /// One per entry, in their order.
        pub outcomes: Vec<Outcome>,
    }
}

choices! {
    /// What became of an entry.
    pub enum Outcome { Imported = "imported", AlreadyThere = "already_there", }
}

/// Why an entry is refused: each begins with the field that it is about.
type Reasons = Vec<String>;

/// All of them or none.
pub async fn import(
    State(provider): State<Shared>,
    admin: Admin,
    Body(request): Body<ImportRequest>,
) -> Result<Json<ImportAnswer>, Problem> {
    if request.apps.len() > ENTRIES_MAX {
        return Err(Problem::one_invalid("apps", &format!("send at most {ENTRIES_MAX} at once")));
    }
    let dry_run = request.dry_run;
    let newcomers = check_all(&provider, admin, request.apps);
    // Looked at before it is written, so that a file with a mistake keeps no writer waiting.
    let looked = Arc::clone(&newcomers);
    let look = async move |tx: &mut Tx<'_>| decide_all(tx, &looked).await;
    let decided = provider.store.db.read_long(look).await?;
    let outcomes = refuse_any(&newcomers, decided)?;
    if dry_run {
        return Ok(Json(told(outcomes.iter().map(outcome).collect())));
    }
    let written = Arc::clone(&newcomers);
    let work = async move |tx: &mut Tx<'_>| {
        let decided = decide_all(tx, &written).await?;
        let decided = refuse_any(&written, decided)?;
        for (newcomer, decided) in written.iter().zip(&decided) {
            if let (Ok(newcomer), Decided::New(app, secret)) = (newcomer, decided) {
                newcomer.insert(tx, app, secret.as_ref()).await?;
            }
        }
        Ok(decided.iter().map(outcome).collect())
    };
    Ok(Json(told(write(&provider, work).await?)))
}

fn told(outcomes: Vec<Outcome>) -> ImportAnswer {
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count() as u64;
    ImportAnswer {
        imported: count(Outcome::Imported),
        already_there: count(Outcome::AlreadyThere),
        outcomes,
    }
}

/// As far as it goes without the database. A client id that comes twice is refused the second time.
fn check_all(
    provider: &Provider,
    admin: Admin,
    entries: Vec<Value>,
) -> Arc<Vec<Result<Newcomer, Reasons>>> {
    let (policy, keyring, now) = (provider.policy(), provider.keyring(), provider.now());
    let mut seen = HashSet::new();
    let check = |entry: Value| {
        let entry = entry::check(&entry, &policy)?;
        if !seen.insert(entry.client_id.clone()) {
            return Err(vec![format!("client_id: {} is there twice", entry.client_id)]);
        }
        let (keyring, entropy) = (Arc::clone(&keyring), Arc::clone(&provider.entropy));
        Ok(Newcomer { entry, admin: admin.clone(), keyring, entropy, now })
    };
    Arc::new(entries.into_iter().map(check).collect())
}

async fn decide_all(
    tx: &mut Tx<'_>,
    newcomers: &[Result<Newcomer, Reasons>],
) -> Result<Vec<Result<Decided, Reasons>>, Problem> {
    let mut decided = Vec::with_capacity(newcomers.len());
    for newcomer in newcomers {
        decided.push(match newcomer {
            Ok(newcomer) => newcomer.decide(tx).await?,
            Err(reasons) => Err(reasons.clone()),
        });
    }
    Ok(decided)
}

/// Every reason against every entry, with pointers into the body.
fn refuse_any(
    newcomers: &[Result<Newcomer, Reasons>],
    decided: Vec<Result<Decided, Reasons>>,
) -> Result<Vec<Decided>, Problem> {
    let mut errors = Vec::new();
    let mut kept = Vec::with_capacity(decided.len());
    for (index, decided) in decided.into_iter().enumerate() {
        match decided {
            Ok(decided) => kept.push(decided),
            Err(reasons) => errors.extend(reasons.iter().map(|reason| pointed(index, reason))),
        }
    }
    if errors.is_empty() {
        return Ok(kept);
    }
    let (refused, all) = (newcomers.len() - kept.len(), newcomers.len());
    let text = format!("{refused} of {all} apps were refused, so nothing was imported");
    Err(Problem { errors, ..Problem::new(ProblemKind::ImportRefused, text) })
}

fn pointed(index: usize, reason: &str) -> FieldError {
    let field = reason.split_once(": ").map(|(field, _)| field);
    let escaped = field.map(|field| format!("/{}", field.replace('~', "~0").replace('/', "~1")));
    let pointer = format!("/apps/{index}{}", escaped.unwrap_or_default());
    FieldError { pointer, detail: reason.to_owned() }
}

/// What is to be done with an entry.
enum Decided {
    New(Box<App>, Option<ClientSecret>),
    AlreadyThere,
}

fn outcome(decided: &Decided) -> Outcome {
    match decided {
        Decided::New(..) => Outcome::Imported,
        Decided::AlreadyThere => Outcome::AlreadyThere,
    }
}

/// An entry that is right in itself, and what it takes to make an app of it.
struct Newcomer {
    entry: Entry,
    admin: Admin,
    keyring: Arc<Keyring>,
    entropy: Arc<dyn Entropy>,
    now: Timestamp,
}

impl Newcomer {
    /// The rows to insert, or why there is nothing to insert.
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Result<Decided, Reasons>, DbError> {
        let entry = &self.entry;
        let Some(owner) = users::find_by_email(tx, &entry.owner).await? else {
            return Ok(Err(vec![format!(
                "owner: there is no user {email}; create the account first \
                 (consentry user create {email} --role developer)",
                email = entry.owner
            )]));
        };
        if self.admin.person() == Some(owner.id) {
            let text = "owner: this token stands for the owner; somebody else has to decide";
            return Ok(Err(vec![text.to_owned()]));
        }
        let app = entry.to_app(&owner, &*self.entropy, self.now);
        let Some(known) = apps::find_by_client_id(tx, &entry.client_id).await? else {
            let secret = self.secret_row(app.id);
            return Ok(Ok(Decided::New(Box::new(app), secret)));
        };
        let secrets = client_secrets::list_of_app(tx, known.id).await?;
        let mut differing = entry.differences(&app, &known);
        differing.extend(self.secret_difference(&secrets));
        Ok(match differing.is_empty() {
            true => Ok(Decided::AlreadyThere),
            false => Err(vec![format!(
                "client_id: there is an app {} already, and it differs in {}; it was left as it is",
                entry.client_id,
                differing.join(", ")
            )]),
        })
    }

    async fn insert(
        &self,
        tx: &mut Tx<'_>,
        app: &App,
        secret: Option<&ClientSecret>,
    ) -> Result<(), Problem> {
        if !apps::insert(tx, app).await? {
            // It was looked at in this transaction: the database breaks its promise.
            return Err(Problem::new(ProblemKind::Internal, "an imported client id is taken"));
        }
        if let Some(secret) = secret {
            client_secrets::insert(tx, secret).await?;
        }
        changes::record(tx, Change::App(app.id)).await?;
        let detail = json!({ "name": app.name, "client_id": app.client_id });
        let event = self.admin.event(self.now, AuditKind::AppImported, detail);
        audit::record(tx, &event.app(app.id).user(app.owner)).await?;
        Ok(())
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
