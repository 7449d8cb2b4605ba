//! The page of a dialect where a signed-in user gets a code for an app that has no browser. They
//! say which app, or come by a link that says it; the consent page asks as always.

use axum::response::Response;
use domain::app::{App, AppStatus, Approval};
use domain::authorization::Question;
use protocol::authorize::RawAuthorizeRequest;
use protocol::dialect::Dialect;
use protocol::params::Params;
use store::{Tx, apps};

use crate::actor::SignedInUser;
use crate::error::{PageError, form_query};
use crate::oauth::authorize::{find_app, find_consent, step_up_before};
use crate::oauth::consent_page;
use crate::oauth::pending::{Pending, Reply};
use crate::oauth::test_mode;
use crate::oauth::user_limits::{FULL, find_full};
use crate::pages::views;
use crate::provider::Provider;
use crate::view;

/// More are not read; the user writes more of the name.
const FOUND_MAX: i64 = 20;
const TYPED_MAX: usize = 100;

/// `path` of a dialect.
pub(crate) async fn show(
    provider: &Provider,
    user: &SignedInUser,
    query: Option<&str>,
    (dialect, path): (&Dialect, &str),
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    if let Some(client_id) = params.one("client_id")? {
        return start(provider, user, client_id, &dialect.name).await;
    }
    let typed: String =
        params.one("q")?.unwrap_or_default().trim().chars().take(TYPED_MAX).collect();
    let found = match typed.is_empty() {
        true => None,
        false => Some(search(provider, &dialect.name, typed.clone()).await?),
    };
    let link = |app: App| views::FoundApp {
        link: format!("{path}?{}", form_query(&[("client_id", &app.client_id)])),
        reviewed: is_reviewed(&app),
        client_id: app.client_id,
        name: app.name,
        publisher: Some(app.publisher).filter(|publisher| !publisher.is_empty()),
    };
    let page = views::GetAccess {
        layout: user.layout(),
        action: path.to_owned(),
        query: typed,
        found: found.map(|apps| apps.into_iter().map(link).collect()),
    };
    view::page(provider, &page)
}

async fn search(provider: &Provider, dialect: &str, text: String) -> Result<Vec<App>, PageError> {
    let dialect = dialect.to_owned();
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, PageError>(apps::search_of_dialect(tx, &dialect, &text, FOUND_MAX).await?)
    };
    let found = provider.store.db.read(read).await?;
    Ok(found.into_iter().filter(|app| app.kind.has_redirects()).collect())
}

fn is_reviewed(app: &App) -> bool {
    matches!(app.status, AppStatus::Live { approval: Approval::Reviewed { .. }, .. })
}

/// The app was named: ask about it.
async fn start(
    provider: &Provider,
    user: &SignedInUser,
    client_id: &str,
    dialect: &str,
) -> Result<Response, PageError> {
    let mut raw =
        RawAuthorizeRequest { client_id: client_id.to_owned(), ..RawAuthorizeRequest::default() };
    let app = find_app(provider, &raw, Some(dialect)).await?;
    if !app.kind.has_redirects() {
        return Err(PageError::NotFound);
    }
    raw.scope = Some(app.default_scopes(provider.now()).to_string());
    let pending = Pending::new(raw, &app, &*provider.entropy, provider.now());
    let pending = Pending { dialect: Some(dialect.to_owned()), reply: Reply::Shown, ..pending };
    ask(provider, user, pending, &app).await
}

pub(super) async fn ask(
    provider: &Provider,
    user: &SignedInUser,
    pending: Pending,
    app: &App,
) -> Result<Response, PageError> {
    test_mode::admit(provider, user, app).await?;
    let scopes = pending.asked_scopes(app, &provider.policy(), provider.now())?;
    let full = find_full(provider, app, user.user.id, &scopes).await?;
    let scopes = scopes.difference(&full);
    if scopes.is_empty() {
        return Err(PageError::Conflict(FULL.into()));
    }
    if let Some(step_up) = step_up_before(provider, &scopes, &user.session, &pending).await? {
        return Ok(step_up);
    }
    let dialect = pending.dialect.clone();
    let question = Question { app, scopes: &scopes, dialect: dialect.as_deref() };
    let destination =
        views::Destination { kind: views::DestinationKind::Code, place: app.name.clone() };
    let remembered = find_consent(provider, Some(&user.session), app).await?;
    let asked = consent_page::Asked { question, full: &full, destination };
    consent_page::show(provider, user, pending, asked, remembered.as_ref())
}
