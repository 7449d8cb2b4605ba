//! One app of a developer: see it, delete it. Registering is in `register`, changes in `changes`,
//! secrets in `secrets`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::RevokeReason;
use domain::id::{AppId, UserId};
use domain::team::{TeamError, TeamRole};
use serde_json::json;
use store::{Tx, apps, audit, changes, consents};

use super::app_view::{OwnApp, Typed};
use super::registration::{NewSecret, Standing};
use crate::account::taking_back::TakingBack;
use crate::actor::{AppHolder, AppOwner, SignedForm, SignedInUser, find_app};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{DeleteApp, SecretOnce, Section};
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
    app_is_new: bool,
) -> Result<Response, PageError> {
    let page = SecretOnce {
        layout: user.layout().in_section(Section::Apps),
        app_id: app.id.to_string(),
        app_name: app.name,
        client_id: app.client_id,
        secret: secret.text,
        app_is_new,
    };
    view::page(provider, &page)
}

pub async fn show(
    State(provider): State<Shared>,
    owner: AppOwner,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let own = load(&provider, owner.app).await?;
    let page = own.page(
        owner.user.layout().with_flash(flash),
        &provider.policy(),
        Standing::of(&provider.policy(), &owner.user.user),
        provider.now(),
        Typed::default(),
    );
    view::page(&provider, &page)
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

pub async fn confirm_delete(
    State(provider): State<Shared>,
    AppHolder { user, app }: AppHolder,
) -> Result<Response, PageError> {
    let page = delete_page(&provider, &user, &app, None).await?;
    view::page(&provider, &page)
}

async fn delete_page(
    provider: &Provider,
    user: &SignedInUser,
    app: &App,
    error: Option<String>,
) -> Result<DeleteApp, PageError> {
    let id = app.id;
    let count =
        async move |tx: &mut Tx<'_>| Ok::<_, PageError>(consents::count_given_to(tx, id).await?);
    Ok(DeleteApp {
        layout: user.layout().in_section(Section::Apps),
        id: id.to_string(),
        name: app.name.clone(),
        user_count: provider.store.db.read(count).await?,
        error,
    })
}

/// Delete the app, after ending all access of it.
pub async fn delete(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppHolder { user, app }: AppHolder,
    form: SignedForm,
) -> Result<Response, PageError> {
    if form.params.one("confirm")?.map(str::trim) != Some(app.name.as_str()) {
        let error = Some("That is not the app’s name.".to_owned());
        let page = delete_page(&provider, &user, &app, error).await?;
        return view::page_again(&provider, &page);
    }
    let back = TakingBack {
        actor: AuditActor::User(user.user.id),
        reason: RevokeReason::Staff,
        address: Some(address),
        now: provider.now(),
    };
    let (id, entropy) = (app.id, provider.entropy.clone());
    let write = async move |tx: &mut Tx<'_>| {
        let app = match held(tx, id, user.user.id).await? {
            Ok(app) => app,
            Err(refused) => return Ok(Err(refused)),
        };
        let given = consents::list_given_to(tx, id).await?;
        let event = AuditEvent::new(back.now, AuditKind::AppDeleted, back.actor)
            .app(id)
            .address(address)
            .detail(json!({
                "name": app.name, "client_id": app.client_id, "users": given.len(),
            }));
        for consent in given {
            back.withdraw(tx, consent, &*entropy).await?;
        }
        apps::delete(tx, id).await?;
        changes::record(tx, Change::App(id)).await?;
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::AppDeleted.redirect("/apps").into_response())
}

pub(super) fn path_of(app: AppId) -> String {
    format!("/apps/{app}")
}

/// The app as it stands in this transaction, if `user` may still change it.
pub(super) async fn owned(tx: &mut Tx<'_>, id: AppId, user: UserId) -> Result<App, PageError> {
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
