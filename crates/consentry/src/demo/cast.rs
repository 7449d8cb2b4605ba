//! The people and apps of the demo. Ids are fixed and secrets follow from the provider's master
//! key, so every start on the same folder has the same ones.

use std::collections::BTreeMap;

use domain::app::{App, AppStatus, Approval};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::{FactorId, UserId};
use domain::keyring::Keyring;
use domain::second_factor::{Totp, seal_secret};
use domain::user::Role;
use protocol::redirect_uri::RedirectUri;
use protocol::totp::{self, SECRET_BYTES};
use server::Shared;
use server::admin::apps::NewApp;
use server::admin::users::NewUser;
use server::admin::{Problem, apps as admin_apps, users as admin_users};
use store::{Tx, apps, audit, changes, second_factors, users};

use super::apps::{AppScript, Callback, Wire};
use crate::cli::Failure;

pub(super) struct Person {
    pub(super) name: &'static str,
    full_name: &'static str,
    pub(super) roles: &'static [Role],
    /// Of an authenticator app that anybody may set up to be this person.
    totp_secret: Option<&'static [u8; SECRET_BYTES]>,
}

pub(super) static PEOPLE: [Person; 6] = [
    person("alice", "Alice Moreau", &[]),
    person("bob", "Bob Okafor", &[]),
    Person { totp_secret: Some(b"demo-sam-totp-secret"), ..person("sam", "Sam Adeyemi", &[]) },
    person("dev", "Devi Larsson", &[Role::Developer]),
    person("review", "Rita Viewer", &[Role::Reviewer]),
    person("admin", "Adam Minh", &[Role::Admin]),
];

const fn person(name: &'static str, full_name: &'static str, roles: &'static [Role]) -> Person {
    Person { name, full_name, roles, totp_secret: None }
}

impl Person {
    pub(super) fn email(&self) -> String {
        format!("{}@example.com", self.name)
    }

    pub(super) fn password(&self) -> String {
        format!("demo-{}-password", self.name)
    }

    /// As authenticator apps take it.
    pub(super) fn totp_secret(&self) -> Option<String> {
        self.totp_secret.map(|secret| totp::base32(secret))
    }
}

/// An app as it stands in the database.
#[derive(Clone, Debug)]
pub(super) struct Seeded {
    pub(super) script: &'static AppScript,
    pub(super) client_secret: Option<String>,
    pub(super) redirect_uri: String,
}

const OWNER: &str = "dev@example.com";
const REVIEWER: &str = "review@example.com";

/// Make who and what is not there yet; practice apps follow the port of this run.
pub(super) async fn seed(
    provider: &Shared,
    scripts: &'static [AppScript],
    app_origin: &str,
) -> Result<Vec<Seeded>, Failure> {
    let failed = |error: Problem| Failure::Failed(format!("the demo's data: {error}"));
    for person in &PEOPLE {
        create_person(provider, person).await.map_err(failed)?;
    }
    let mut seeded = Vec::new();
    for script in scripts {
        seeded.push(create_app(provider, script, app_origin).await.map_err(failed)?);
    }
    Ok(seeded)
}

async fn create_person(provider: &Shared, person: &Person) -> Result<(), Problem> {
    let email = person.email();
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, Problem>(users::find_by_email(tx, &email).await?.is_some())
    };
    if provider.store.db.read(read).await? {
        return Ok(());
    }
    let new = NewUser {
        email: person.email(),
        name: Some(person.full_name.to_owned()),
        password: person.password(),
        roles: person.roles.to_vec(),
    };
    let user = admin_users::register(provider, new).await?.id;
    match person.totp_secret {
        Some(secret) => add_app(provider, user, secret).await,
        None => Ok(()),
    }
}

async fn add_app(provider: &Shared, user: UserId, secret: &[u8]) -> Result<(), Problem> {
    let sealed = seal_secret(&provider.keyring(), user, secret, &*provider.entropy)
        .ok_or_else(|| Problem::conflict("a secret could not be sealed"))?;
    let totp = Totp {
        id: FactorId::random(&*provider.entropy),
        user_id: user,
        name: "Demo app".to_owned(),
        secret: sealed,
        last_step: 0,
        created_at: provider.now(),
        last_used_at: None,
    };
    let write = async move |tx: &mut Tx<'_>| {
        Ok::<_, Problem>(second_factors::insert_totp(tx, &totp).await?)
    };
    provider.store.db.write(write).await
}

async fn create_app(
    provider: &Shared,
    script: &'static AppScript,
    app_origin: &str,
) -> Result<Seeded, Problem> {
    let redirect_uri = match script.callback {
        Callback::PracticeApp => format!("{app_origin}/callback/{}", script.key),
        Callback::Loopback => "http://127.0.0.1/callback".to_owned(),
    };
    let client_secret =
        script.kind.is_confidential().then(|| secret_of(&provider.keyring(), script.client_id));
    let wanted = redirect_uri.clone();
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, Problem>(apps::find_by_client_id(tx, script.client_id).await?)
    };
    match provider.store.db.read(read).await? {
        None => {
            let new = new_app(script, &redirect_uri, client_secret.clone());
            admin_apps::register(provider, new).await?;
            if script.is_reviewed {
                say_reviewed(provider, script.client_id).await?;
            }
        }
        Some(app) if is_as_scripted(&app, script, &wanted) => {}
        Some(app) => follow(provider, app, script, &wanted).await?,
    }
    Ok(Seeded { script, client_secret, redirect_uri })
}

/// 128 bits that nobody without the master key can tell.
fn secret_of(keyring: &Keyring, client_id: &str) -> String {
    let bytes = keyring.derive_id("demo client secret", client_id.as_bytes());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn new_app(script: &AppScript, redirect_uri: &str, client_secret: Option<String>) -> NewApp {
    let parsed = |name: &str| name.parse().ok();
    let scopes: BTreeMap<_, _> = script
        .scopes
        .iter()
        .filter_map(|scope| Some((parsed(scope.name)?, scope.purpose.to_owned())))
        .collect();
    let required = script.scopes.iter().filter(|scope| scope.is_required);
    NewApp {
        name: script.name.to_owned(),
        kind: script.kind,
        owner: OWNER.to_owned(),
        description: script.description.to_owned(),
        homepage: None,
        publisher: Some(script.publisher.to_owned()),
        redirect_uris: vec![redirect_uri.to_owned()],
        scopes,
        required: required.filter_map(|scope| parsed(scope.name)).collect(),
        service_scopes: script.service_scopes.iter().filter_map(|name| parsed(name)).collect(),
        addresses: script.addresses.iter().filter_map(|net| net.parse().ok()).collect(),
        dialect: script.wire.dialect().map(str::to_owned),
        also_standard: matches!(script.wire, Wire::Both(_)),
        client_id: Some(script.client_id.to_owned()),
        client_secret,
    }
}

/// Some apps were looked at, so that both kinds of consent page can be seen.
async fn say_reviewed(provider: &Shared, client_id: &'static str) -> Result<(), Problem> {
    let now = provider.now();
    let write = async move |tx: &mut Tx<'_>| {
        let reviewer = users::find_by_email(tx, REVIEWER).await?;
        let app = apps::find_by_client_id(tx, client_id).await?;
        let (Some(app), Some(reviewer)) = (app, reviewer) else { return Ok(()) };
        let approval = Approval::Reviewed { at: now, by: reviewer.id };
        let app = App { status: AppStatus::Live { since: now, approval }, ..app };
        save(tx, &app, AuditKind::AppApproved).await
    };
    provider.store.db.write(write).await
}

fn is_as_scripted(app: &App, script: &AppScript, redirect_uri: &str) -> bool {
    app.redirect_uris.iter().any(|uri| uri.as_str() == redirect_uri)
        && app.dialect.as_deref() == script.wire.dialect()
}

/// The port of this run, and what an older version of the demo did not know.
async fn follow(
    provider: &Shared,
    app: App,
    script: &AppScript,
    wanted: &str,
) -> Result<(), Problem> {
    let uri = RedirectUri::register(app.kind.redirect_policy(), wanted)
        .map_err(|error| Problem::conflict(error.to_string()))?;
    let app = App {
        redirect_uris: vec![uri],
        dialect: script.wire.dialect().map(str::to_owned),
        also_standard: matches!(script.wire, Wire::Both(_)),
        changed_at: provider.now(),
        ..app
    };
    let write = async move |tx: &mut Tx<'_>| {
        apps::save_dialect(tx, &app).await?;
        save(tx, &app, AuditKind::AppChanged).await
    };
    provider.store.db.write(write).await
}

async fn save(tx: &mut Tx<'_>, app: &App, kind: AuditKind) -> Result<(), Problem> {
    apps::save(tx, app).await?;
    changes::record(tx, Change::App(app.id)).await?;
    let event = AuditEvent::new(app.changed_at, kind, AuditActor::System).app(app.id);
    Ok(audit::record(tx, &event).await?)
}
