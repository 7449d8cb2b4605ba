//! Who takes care of an app, and whether its brand is verified: both apart from what is decided
//! about its scopes.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::AppId;
use domain::user::Role;
use serde_json::json;
use store::{Tx, apps, audit, changes, teams, users};

use crate::actor::{Reviewer, SignedForm};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::Done;
use crate::provider::Shared;

/// In characters.
const EVIDENCE_MAX: usize = 1000;

/// To oneself, to a colleague by their address, or to nobody.
pub async fn assign(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id: AppId = id.parse().map_err(|_| PageError::NotFound)?;
    let to = form.params.one("to")?.unwrap_or_default().to_owned();
    let colleague = form.params.one("colleague")?.unwrap_or_default().trim().to_owned();
    let (by, now) = (user.user.id, provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        let Some(app) = apps::find(tx, id).await? else { return Ok(Err(PageError::NotFound)) };
        let to = match to.as_str() {
            "me" => Some(by),
            "nobody" => None,
            _ => match users::find_by_email(tx, &colleague).await? {
                Some(found) if found.is_active() && found.has_role(Role::Reviewer) => {
                    Some(found.id)
                }
                _ => {
                    let text = format!("Nobody of staff has the address “{colleague}”.");
                    return Ok(Err(PageError::Conflict(text.into())));
                }
            },
        };
        if app.review.assigned_to == to {
            return Ok(Ok(()));
        }
        apps::review::assign(tx, id, to).await?;
        let detail = json!({ "from": app.review.assigned_to, "to": to });
        let event = AuditEvent::new(now, AuditKind::AppAssigned, AuditActor::User(by)).app(id);
        audit::record(tx, &event.address(address).detail(detail)).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::Assigned.redirect(&format!("/staff/review/{id}")).into_response())
}

/// Staff have seen that name, logo and publisher belong together, and say how; or take that back.
pub async fn brand(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id: AppId = id.parse().map_err(|_| PageError::NotFound)?;
    let evidence = form.params.one("evidence")?.unwrap_or_default().trim().to_owned();
    let is_verified = form.params.one("brand")? == Some("verify");
    if evidence.is_empty() || evidence.chars().count() > EVIDENCE_MAX {
        let text = "Write in at most 1000 characters what you have seen.";
        return Err(PageError::BadRequest(text.into()));
    }
    let (by, now) = (user.user.id, provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        let Some(app) = apps::find(tx, id).await? else { return Ok(Err(PageError::NotFound)) };
        if teams::role_for(tx, &app, by).await?.is_some() {
            let text = "You or your team registered this app. Somebody else has to decide.";
            return Ok(Err(PageError::Forbidden(text.into())));
        }
        let detail = json!({ "evidence": evidence, "name": app.name, "publisher": app.publisher });
        let (app, kind) = match is_verified {
            true => (app.verify_brand(by, now), AuditKind::AppBrandVerified),
            false => (app.unverify_brand(now), AuditKind::AppBrandUnverified),
        };
        apps::save(tx, &app).await?;
        changes::record(tx, Change::App(id)).await?;
        let event = AuditEvent::new(now, kind, AuditActor::User(by)).app(id).address(address);
        audit::record(tx, &event.detail(detail)).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::BrandDecided.redirect(&format!("/staff/review/{id}")).into_response())
}
