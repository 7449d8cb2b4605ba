//! How the operator creates an app: by the rules of the pages, live at once.

use domain::app::{App, AppKind, ClientSecret, ScopeRequest};
use domain::audit::AuditKind;
use domain::policy::Policy;
use domain::time::Timestamp;
use domain::user::User;
use protocol::redirect_uri::RedirectUri;
use protocol::scope::{ScopeName, ScopeSet};
use serde_json::json;
use store::{Tx, apps, audit, client_secrets, users};

use super::{AppRecord, NewApp, record};
use crate::admin::actor::{Admin, own_app};
use crate::admin::operator::Operator;
use crate::admin::problem::Problem;
use crate::admin::users::unknown_user;
use crate::admin::write;
use crate::pages::views::AppFormErrors;
use crate::portal::form::{self, About, Draft};
use crate::portal::registration::{self, Standing};
use crate::provider::Provider;

/// On the wire a client id is at most this long.
const CLIENT_ID_MAX: usize = 100;
/// Shorter ones can be guessed.
const SECRET_MIN: usize = 16;

/// Register an app that the program brings itself.
pub async fn register(provider: &Provider, new: NewApp) -> Result<AppRecord, Problem> {
    register_by(provider, Admin::operator(Operator::program()), new).await
}

/// Register an app as the operator. The answer holds its secret, if it has one, for the only time.
pub(super) async fn register_by(
    provider: &Provider,
    admin: Admin,
    new: NewApp,
) -> Result<AppRecord, Problem> {
    let policy = provider.policy();
    let draft = match check(&new, &policy) {
        Ok(draft) => draft,
        Err(mut mistakes) => {
            let owner = new.owner.clone();
            let find = async move |tx: &mut Tx<'_>| users::find_by_email(tx, &owner).await;
            if provider.store.db.read(find).await?.is_none() {
                mistakes.push(format!("owner: {}", unknown_user(&new.owner)));
            }
            return Err(Problem::invalid(&mistakes));
        }
    };
    let (now, entropy) = (provider.now(), provider.entropy.clone());
    let (keyring, given) = (provider.keyring(), new.client_secret.clone());
    let secret = draft
        .kind
        .is_confidential()
        .then(|| given.unwrap_or_else(|| registration::random_secret(&*entropy)));
    let shown = secret.clone();
    let work = async move |tx: &mut Tx<'_>| {
        let owner = users::find_by_email(tx, &new.owner).await?;
        let owner = owner.ok_or_else(|| unknown_user(&new.owner))?;
        if admin.person() == Some(owner.id) {
            return Err(own_app(&owner));
        }
        let app = operators_app(&new, draft.clone(), &owner, &*entropy, now);
        if !apps::insert(tx, &app).await? {
            let text = format!("there is an app with the client id {} already", app.client_id);
            return Err(Problem::conflict(text));
        }
        if let Some(text) = &secret {
            let row: ClientSecret =
                registration::secret_row(app.id, text, &keyring, &*entropy, now);
            client_secrets::insert(tx, &row).await?;
        }
        let detail = json!({ "name": app.name, "client_id": app.client_id });
        let event = admin.event(now, AuditKind::AppCreated, detail).app(app.id).user(owner.id);
        audit::record(tx, &event).await?;
        record(tx, app).await
    };
    let record = write(provider, work).await?;
    Ok(AppRecord { client_secret: shown, ..record })
}
fn operators_app(
    new: &NewApp,
    draft: Draft,
    owner: &User,
    entropy: &dyn domain::entropy::Entropy,
    now: Timestamp,
) -> App {
    let app = registration::new_app(draft, owner, Standing::Unreviewed, entropy, now);
    let service_scopes = match (app.kind, new.service_scopes.is_empty()) {
        (AppKind::Service, true) => app.approved.clone(),
        _ => new.service_scopes.clone(),
    };
    App {
        client_id: new.client_id.clone().unwrap_or(app.client_id),
        publisher: new.publisher.clone().unwrap_or(app.publisher),
        addresses: new.addresses.clone(),
        also_standard: app.dialect.is_some() && new.also_standard,
        service_scopes,
        ..app
    }
}

/// The rules of the pages; every mistake at once.
fn check(new: &NewApp, policy: &Policy) -> Result<Draft, Vec<String>> {
    let name = new.name.trim().to_owned();
    let mut mistakes = Vec::new();
    mistakes.extend(form::name_error(&name).map(|error| format!("name: {error}")));
    let homepage = new.homepage.as_deref().and_then(form::url_error);
    mistakes.extend(homepage.map(|error| format!("homepage: {error}")));
    let redirect_uris = check_redirect_uris(new, &mut mistakes);
    check_scopes(new, policy, &mut mistakes);
    let dialect = new.dialect.as_deref().and_then(|name| policy.dialect(name));
    let wire = dialect.and_then(|dialect| form::wire_error(dialect, new.kind));
    mistakes.extend(wire.map(|error| format!("dialect: {error}")));
    let unknown = new.dialect.as_deref().filter(|name| policy.dialect(name).is_none());
    mistakes.extend(
        unknown.map(|name| format!("dialect: {name} is not among the `dialects` of the config")),
    );
    check_credentials(new, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let request = |(scope, purpose): (&ScopeName, &String)| ScopeRequest {
        scope: scope.clone(),
        purpose: purpose.clone(),
        required: new.required.contains(scope.as_str()),
    };
    Ok(Draft {
        about: About {
            name,
            description: new.description.trim().to_owned(),
            homepage: new.homepage.clone(),
            privacy_url: None,
            terms_url: None,
        },
        kind: new.kind,
        dialect: new.dialect.clone(),
        redirect_uris,
        requested: new.scopes.iter().map(request).collect(),
    })
}

fn check_redirect_uris(new: &NewApp, mistakes: &mut Vec<String>) -> Vec<RedirectUri> {
    let mut errors = AppFormErrors::default();
    let text = new.redirect_uris.join("\n");
    let uris = form::check_redirect_uris(new.kind, &text, &mut errors);
    let lines = errors.redirect_lines.iter();
    mistakes.extend(lines.map(|bad| format!("redirect_uris: {}: {}", bad.uri, bad.reason)));
    mistakes.extend(errors.redirect_uris.map(|error| format!("redirect_uris: {error}")));
    uris
}

fn check_scopes(new: &NewApp, policy: &Policy, mistakes: &mut Vec<String>) {
    let names: ScopeSet = new.scopes.keys().cloned().collect();
    let asked = names.union(&new.required).union(&new.service_scopes);
    let unknown = asked.difference(&policy.scope_names());
    let unknown = unknown.iter();
    mistakes.extend(unknown.map(|name| format!("scopes: {name} is not a scope of this provider")));
    let extra = asked.difference(&names);
    let extra = extra.iter();
    mistakes.extend(extra.map(|name| format!("scopes: {name} is not among the app's scopes")));
    if !new.service_scopes.is_empty() && !new.kind.is_confidential() {
        mistakes.push("service_scopes: a public app has no client credentials".to_owned());
    }
}

fn check_credentials(new: &NewApp, mistakes: &mut Vec<String>) {
    // RFC 6749 Appendix A.1 and A.2 allow VSCHAR; a colon or a space would be read in three
    // different ways in HTTP Basic.
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if let Some(id) = &new.client_id
        && (id.is_empty() || id.len() > CLIENT_ID_MAX || !plain(id))
    {
        mistakes.push(format!(
            "client_id: use 1 to {CLIENT_ID_MAX} visible ASCII characters, no colon"
        ));
    }
    match &new.client_secret {
        Some(_) if !new.kind.is_confidential() => {
            mistakes.push("client_secret: a public app has none".to_owned());
        }
        Some(secret) if secret.len() < SECRET_MIN || !plain(secret) => mistakes
            .push(format!("client_secret: use at least {SECRET_MIN} visible ASCII characters")),
        _ => {}
    }
}
