//! Register an app, see it, delete it. Changes are in `changes`, secrets in `secrets`.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::RevokeReason;
use domain::id::{AppId, UserId};
use domain::time::Timestamp;
use protocol::params::Params;
use protocol::scope::ScopeSet;
use serde_json::json;
use store::{Tx, apps, audit, changes, client_secrets, consents, usage};

use super::app_view::{OwnApp, Typed};
use super::form;
use super::registration::{self, NewSecret, Standing};
use crate::account::taking_back::TakingBack;
use crate::actor::{AppOwner, Developer, SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::display;
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{
    AppCard, AppForm, AppFormErrors, DeleteApp, MyApps, NewApp, STANDARD, SecretOnce, Section,
};
use crate::provider::{Provider, Shared};
use crate::view;

/// Of one developer. Whoever needs more talks to the operator.
pub const APPS_PER_DEVELOPER_MAX: usize = 100;

pub async fn list(
    State(provider): State<Shared>,
    Developer(user): Developer,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let (owner, now) = (user.user.id, provider.now());
    let cards = provider
        .store
        .db
        .read(async move |tx| {
            let mut cards = Vec::new();
            for app in apps::list_of_owner(tx, owner).await? {
                cards.push(card(tx, &app, now).await?);
            }
            Ok::<_, PageError>(cards)
        })
        .await?;
    let layout = user.layout().in_section(Section::Apps).with_flash(flash);
    view::page(&provider, &MyApps { layout, apps: cards })
}

async fn card(tx: &mut Tx<'_>, app: &App, now: Timestamp) -> Result<AppCard, PageError> {
    let last_call_at = usage::last_call_of_app(tx, app.id).await?;
    Ok(AppCard {
        id: app.id.to_string(),
        name: app.name.clone(),
        kind: display::app_kind(app.kind),
        status: display::app_status(app),
        client_id: app.client_id.clone(),
        user_count: consents::count_given_to(tx, app.id).await?,
        last_call_at: last_call_at.map(|at| display::moment(now, at)),
    })
}

/// `?wire=NAME` chooses the wire format, for links from where its developers come from.
pub async fn new(
    State(provider): State<Shared>,
    Developer(user): Developer,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    check_may_register(&provider, &user)?;
    let scopes = form::offered_scopes(&provider.policy(), &ScopeSet::new());
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let wire = params.one("wire")?.unwrap_or(STANDARD).to_owned();
    let form = AppForm { scopes, wire, ..AppForm::blank() };
    view::page(&provider, &new_page(&provider, &user, form, AppFormErrors::default()))
}

fn check_may_register(provider: &Provider, user: &SignedInUser) -> Result<(), PageError> {
    if registration::may_register(&provider.policy(), &user.user) {
        return Ok(());
    }
    Err(PageError::Forbidden("New apps are registered by our staff. Ask them for one.".into()))
}

fn new_page(
    provider: &Provider,
    user: &SignedInUser,
    form: AppForm,
    errors: AppFormErrors,
) -> NewApp {
    let policy = provider.policy();
    NewApp {
        layout: user.layout().in_section(Section::Apps),
        form,
        errors,
        needs_review: Standing::of(&policy, &user.user) == Standing::Reviewed,
        dialects: form::offered_dialects(&policy),
    }
}

/// Register an app. A confidential one gets its first secret in the answer.
pub async fn create(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Developer(user): Developer,
    form: SignedForm,
) -> Result<Response, PageError> {
    check_may_register(&provider, &user)?;
    let policy = provider.policy();
    let mut typed = form::read(&form.params, form::offered_scopes(&policy, &ScopeSet::new()))?;
    let kind = form.params.one("kind")?.unwrap_or_default();
    let draft = match form::check(&mut typed, kind, &policy, provider.pages.brand_name()) {
        Ok(draft) => draft,
        Err(errors) => {
            return view::page_again(&provider, &new_page(&provider, &user, typed, *errors));
        }
    };
    let (now, entropy) = (provider.now(), &*provider.entropy);
    let standing = Standing::of(&policy, &user.user);
    let app = registration::new_app(draft, &user.user, standing, entropy, now);
    let app = policy.admit_unseen(app, now);
    let secret = app
        .kind
        .is_confidential()
        .then(|| registration::new_secret(app.id, &provider.keyring(), entropy, now));
    let row = secret.as_ref().map(|secret| secret.row.clone());
    let event = AuditEvent::new(now, AuditKind::AppCreated, AuditActor::User(user.user.id))
        .app(app.id)
        .address(address)
        .detail(json!({ "name": app.name, "client_id": app.client_id }));
    let written = app.clone();
    provider
        .store
        .db
        .write(async move |tx| {
            if apps::list_of_owner(tx, written.owner).await?.len() >= APPS_PER_DEVELOPER_MAX {
                let text = "You have as many apps as one account may have. Delete one first.";
                return Err(PageError::Conflict(text.into()));
            }
            if !apps::insert(tx, &written).await? {
                return Err(PageError::Internal("a random client id came twice".to_owned()));
            }
            if let Some(row) = &row {
                client_secrets::insert(tx, row).await?;
            }
            audit::record(tx, &event).await?;
            Ok(())
        })
        .await?;
    match secret {
        Some(secret) => secret_page(&provider, &user, app, secret, true),
        None => Ok(Done::AppCreated.redirect(&path_of(app.id)).into_response()),
    }
}

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
    AppOwner { user, app }: AppOwner,
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
    AppOwner { user, app }: AppOwner,
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
        let app = owned(tx, id, user.user.id).await?;
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
        Ok::<_, PageError>(())
    };
    provider.store.db.write(write).await?;
    Ok(Done::AppDeleted.redirect("/apps").into_response())
}

pub(super) fn path_of(app: AppId) -> String {
    format!("/apps/{app}")
}

/// The app as it stands in this transaction, if it is still `owner`'s.
pub(super) async fn owned(tx: &mut Tx<'_>, id: AppId, owner: UserId) -> Result<App, PageError> {
    apps::find(tx, id).await?.filter(|app| app.owner == owner).ok_or(PageError::NotFound)
}
