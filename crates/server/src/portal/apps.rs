//! One app of a developer: its pages, and whose it is. Registering is in `register`, changes in
//! `changes`, secrets in `secrets`, its end in `danger`.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::app::{App, SECRET_NAME_MAX};
use domain::grant::Mode;
use domain::id::{AppId, UserId};
use domain::team::{TeamError, TeamRole};
use domain::time::Timestamp;
use protocol::params::Params;
use store::Tx;

use super::app_view::{OwnApp, Typed};
use super::registration::{NewSecret, Standing};
use crate::actor::{AppOwner, SignedInUser, find_app};
use crate::display;
use crate::error::PageError;
use crate::flash::Told;
use crate::pages::views::{AppTab, Flash, SecretOnce, Section};
use crate::provider::{Provider, Shared};
use crate::view;

/// Of one developer. Whoever needs more talks to the operator.
pub const APPS_PER_DEVELOPER_MAX: usize = 100;

/// The only answer that ever contains the secret.
pub(super) fn secret_page(
    provider: &Provider,
    user: &SignedInUser,
    app: App,
    secret: NewSecret,
    (app_is_new, old_ends_at): (bool, Option<Timestamp>),
) -> Result<Response, PageError> {
    let test = secret.row.mode == Mode::Test;
    let now = provider.now();
    let page = SecretOnce {
        layout: user.layout().in_section(Section::Apps),
        app_id: app.id.to_string(),
        client_id: if test { app.test_client_id() } else { app.client_id },
        app_name: app.name,
        secret: secret.text,
        test,
        old_ends_at: old_ends_at.map(|at| display::moment(now, at)),
        app_is_new,
    };
    view::page(provider, &page)
}

pub async fn show(
    State(provider): State<Shared>,
    owner: AppOwner,
    Told(flash): Told,
) -> Result<Response, PageError> {
    show_tab(&provider, owner, flash, Typed::default()).await
}

/// `?name=` and `?test_name=` bring back what was typed before the user had to prove who they are.
pub async fn credentials(
    State(provider): State<Shared>,
    owner: AppOwner,
    RawQuery(query): RawQuery,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let name = |field| -> Result<String, PageError> {
        let typed = params.one(field)?.unwrap_or_default();
        Ok(typed.chars().filter(|c| !c.is_control()).take(SECRET_NAME_MAX).collect())
    };
    let typed = Typed {
        tab: AppTab::Credentials,
        secret_name: name("name")?,
        test_secret_name: name("test_name")?,
        ..Typed::default()
    };
    show_tab(&provider, owner, flash, typed).await
}

pub async fn settings(
    State(provider): State<Shared>,
    owner: AppOwner,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let typed = Typed { tab: AppTab::Settings, ..Typed::default() };
    show_tab(&provider, owner, flash, typed).await
}

pub async fn scopes(
    State(provider): State<Shared>,
    owner: AppOwner,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let typed = Typed { tab: AppTab::Scopes, ..Typed::default() };
    show_tab(&provider, owner, flash, typed).await
}

pub async fn messages(
    State(provider): State<Shared>,
    owner: AppOwner,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let typed = Typed { tab: AppTab::Messages, ..Typed::default() };
    show_tab(&provider, owner, flash, typed).await
}

async fn show_tab(
    provider: &Provider,
    owner: AppOwner,
    flash: Option<Flash>,
    typed: Typed,
) -> Result<Response, PageError> {
    let own = load(provider, owner.app).await?;
    let (policy, layout) = (provider.policy(), owner.user.layout().with_flash(flash));
    let standing = Standing::of(&policy, &owner.user.user);
    view::page(provider, &own.page(layout, &policy, standing, provider.now(), typed))
}

/// The app's page once more, with what was typed and what is wrong with it.
pub(super) async fn show_again(
    provider: &Provider,
    owner: AppOwner,
    typed: Typed,
) -> Result<Response, PageError> {
    let own = load(provider, owner.app).await?;
    let (policy, layout) = (provider.policy(), owner.user.layout());
    let standing = Standing::of(&policy, &owner.user.user);
    view::page_again(provider, &own.page(layout, &policy, standing, provider.now(), typed))
}

async fn load(provider: &Provider, app: App) -> Result<OwnApp, PageError> {
    let now = provider.now();
    let read =
        async move |tx: &mut Tx<'_>| Ok::<_, PageError>(OwnApp::load(tx, app.clone(), now).await?);
    provider.store.db.read(read).await
}

/// May this user consent to tests of the app? Whoever may change it.
pub(crate) async fn may_test(tx: &mut Tx<'_>, id: AppId, user: UserId) -> Result<bool, PageError> {
    match owned(tx, id, user).await {
        Ok(_) => Ok(true),
        Err(PageError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn path_of(app: AppId) -> String {
    format!("/apps/{app}")
}

/// The app as it stands in this transaction, if `user` may still change it.
pub(crate) async fn owned(tx: &mut Tx<'_>, id: AppId, user: UserId) -> Result<App, PageError> {
    find_app(tx, id, user).await?.map(|(app, _)| app).ok_or(PageError::NotFound)
}

/// The same for what only its owner does, or an owner of its team.
pub(super) async fn held(
    tx: &mut Tx<'_>,
    id: AppId,
    user: UserId,
) -> Result<Result<App, PageError>, PageError> {
    Ok(match find_app(tx, id, user).await? {
        Some((app, TeamRole::Owner)) => Ok(app),
        Some(_) => Err(PageError::Forbidden(TeamError::NotOwner.to_string().into())),
        None => Err(PageError::NotFound),
    })
}
