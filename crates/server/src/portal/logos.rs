//! The logo of an app: shown to its developers and to staff at once, and to users when the brand is
//! verified. Another logo is a revision and waits for review where the policy says so.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::LogoId;
use domain::revision::Revision;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use store::{Tx, app_logos, apps, audit, changes};

use super::apps::{owned, path_of};
use super::changes::Rules;
use crate::actor::{AppOwner, SignedUpload};
use crate::address::ClientAddress;
use crate::display;
use crate::error::PageError;
use crate::logo::LogoError;
use crate::pages::views::{AppLogo, Section};
use crate::provider::{Provider, Shared};
use crate::view;

pub async fn form(State(provider): State<Shared>, owner: AppOwner) -> Result<Response, PageError> {
    view::page(&provider, &page(&owner, &provider, None))
}

fn page(owner: &AppOwner, provider: &Provider, error: Option<String>) -> AppLogo {
    let (app, latest) = (&owner.app, owner.app.latest_revision().logo);
    AppLogo {
        layout: owner.user.layout().in_section(Section::Apps),
        id: app.id.to_string(),
        name: app.name.clone(),
        logo_url: latest.map(display::logo_path),
        waits: app.is_live() && latest != app.logo,
        brand_verified: app.brand_is_verified(),
        reviewed: provider.policy().reviewed.contains(&domain::revision::RevisionField::Logo),
        error,
    }
}

/// Another logo, or none (`remove`).
pub async fn change(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    upload: SignedUpload,
) -> Result<Response, PageError> {
    let removes = upload.params.one("remove")? == Some("yes");
    let drawn = match upload.file {
        _ if removes => None,
        None => return again(&provider, &owner, "Choose a file.".to_owned()),
        Some(file) => match provider.logos.draw(file).await {
            Ok(drawn) => Some(drawn),
            Err(LogoError::Busy) => return Err(PageError::Busy),
            Err(error) => return again(&provider, &owner, error.to_string()),
        },
    };
    let rules = Rules::of(&provider, &owner);
    let (id, user, now) = (owner.app.id, owner.user.user.id, provider.now());
    let logo = drawn.as_ref().map(|drawn| drawn.id(id));
    let write = async move |tx: &mut Tx<'_>| {
        let app = owned(tx, id, user).await?;
        let to = Revision { logo, ..app.latest_revision() };
        let changed = match rules.revise(app, to, now) {
            Ok(changed) => changed,
            Err(error) => return Ok(Err(PageError::Conflict(error.to_string().into()))),
        };
        if let Some((drawn, logo)) = drawn.as_ref().zip(logo) {
            app_logos::insert(tx, logo, id, drawn.png()).await?;
        }
        apps::save(tx, &changed.app).await?;
        app_logos::delete_unused(tx, &changed.app).await?;
        changes::record(tx, Change::App(id)).await?;
        let event = AuditEvent::new(now, AuditKind::AppChanged, AuditActor::User(user))
            .app(id)
            .address(address)
            .detail(changed.detail);
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(changed.done))
    };
    let done = provider.store.db.write(write).await??;
    Ok(done.redirect(&path_of(id)).into_response())
}

fn again(provider: &Provider, owner: &AppOwner, error: String) -> Result<Response, PageError> {
    view::page_again(provider, &page(owner, provider, Some(error)))
}

/// `GET /logos/{id}`, for everyone who was told the id. What is behind an id never changes.
pub async fn serve(
    State(provider): State<Shared>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let id: LogoId = id.parse().map_err(|_| PageError::NotFound)?;
    let find = async move |tx: &mut Tx<'_>| Ok::<_, PageError>(app_logos::find(tx, id).await?);
    let png = provider.store.db.read(find).await?.ok_or(PageError::NotFound)?;
    let headers = [
        (CONTENT_TYPE, "image/png"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    Ok((StatusCode::OK, headers, png).into_response())
}

/// The app with the logo that came with its registration.
pub(super) fn with_logo(app: App, drawn: Option<&crate::logo::Drawn>) -> App {
    App { logo: drawn.map(|drawn| drawn.id(app.id)), ..app }
}
