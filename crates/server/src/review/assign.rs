//! Who takes care of an app, and whether its brand is verified: both apart from what is decided
//! about its scopes.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::{AppId, UserId};
use domain::time::Timestamp;
use domain::user::Role;
use serde_json::json;
use store::{DbError, Tx, apps, audit, changes, teams, users};

use super::queue;
use crate::actor::{Reviewer, SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::Done;
use crate::pages::views::{CareForm, ReviewApp};
use crate::provider::{Provider, Shared};
use crate::view;

/// In characters.
const EVIDENCE_MAX: usize = 1000;

/// Who did it and from where, as the audit trail says it.
type Sign<'a> = &'a (dyn Fn(AuditEvent) -> AuditEvent + Sync);

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
    let (by, now, typed) = (user.user.id, provider.now(), colleague.clone());
    let write = async move |tx: &mut Tx<'_>| {
        let Some(app) = apps::find(tx, id).await? else { return Ok(Err(PageError::NotFound)) };
        let to = match to.as_str() {
            "me" => Some(by),
            "nobody" => None,
            _ => match find_colleague(tx, &colleague).await? {
                Some(found) => Some(found),
                None => return Ok(Ok(false)),
            },
        };
        let sign = |event| AuditEvent { actor: AuditActor::User(by), ..event }.address(address);
        assign_to(tx, &app, to, now, &sign).await?;
        Ok::<_, PageError>(Ok(true))
    };
    if provider.store.db.write(write).await?? {
        return Ok(Done::Assigned.redirect(&format!("/staff/review/{id}")).into_response());
    }
    let error = Some("Nobody of staff has this address.".to_owned());
    let care = CareForm { colleague: typed, colleague_error: error, ..CareForm::default() };
    again(&provider, &user, id, care).await
}

/// The page once more, with what was typed and what is wrong with it.
async fn again(
    provider: &Provider,
    user: &SignedInUser,
    id: AppId,
    care: CareForm,
) -> Result<Response, PageError> {
    let page = queue::page(provider, user, id).await?;
    view::page_again(provider, &ReviewApp { care, ..page })
}

/// The member of staff who has this address.
pub(crate) async fn find_colleague(
    tx: &mut Tx<'_>,
    email: &str,
) -> Result<Option<UserId>, DbError> {
    let found = users::find_by_email(tx, email).await?;
    let found = found.filter(|user| user.is_active() && user.has_role(Role::Reviewer));
    Ok(found.map(|user| user.id))
}

/// Whoever it is assigned to already stays.
pub(crate) async fn assign_to(
    tx: &mut Tx<'_>,
    app: &App,
    to: Option<UserId>,
    now: Timestamp,
    sign: Sign<'_>,
) -> Result<(), DbError> {
    if app.review.assigned_to == to {
        return Ok(());
    }
    apps::review::assign(tx, app.id, to).await?;
    let detail = json!({ "from": app.review.assigned_to, "to": to });
    let event = AuditEvent::new(now, AuditKind::AppAssigned, AuditActor::System).app(app.id);
    audit::record(tx, &sign(event.detail(detail))).await
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
    let verdict = BrandVerdict {
        is_verified: form.params.one("brand")? == Some("verify"),
        evidence: form.params.one("evidence")?.unwrap_or_default().trim().to_owned(),
        at: provider.now(),
    };
    if let Some(error) = verdict.error() {
        let (evidence, evidence_error) = (verdict.evidence, Some(error.to_owned()));
        let care = CareForm { evidence, evidence_error, ..CareForm::default() };
        return again(&provider, &user, id, care).await;
    }
    let by = user.user.id;
    let write = async move |tx: &mut Tx<'_>| {
        let Some(app) = apps::find(tx, id).await? else { return Ok(Err(PageError::NotFound)) };
        let sign = |event: AuditEvent| event.address(address);
        match verdict.apply(tx, app, by, &sign).await? {
            Some(_) => Ok::<_, PageError>(Ok(())),
            None => {
                let text = "You or your team registered this app. Somebody else has to decide.";
                Ok(Err(PageError::Forbidden(text.into())))
            }
        }
    };
    provider.store.db.write(write).await??;
    Ok(Done::BrandDecided.redirect(&format!("/staff/review/{id}")).into_response())
}

/// What staff say about a brand.
#[derive(Clone, Debug)]
pub(crate) struct BrandVerdict {
    pub(crate) is_verified: bool,
    /// What was seen.
    pub(crate) evidence: String,
    pub(crate) at: Timestamp,
}

impl BrandVerdict {
    /// What is wrong with the evidence.
    pub(crate) fn error(&self) -> Option<&'static str> {
        let is_wrong = self.evidence.is_empty() || self.evidence.chars().count() > EVIDENCE_MAX;
        is_wrong.then_some("Write in at most 1,000 characters what you have seen.")
    }

    /// `None`: whoever looks after the app decides nothing about it.
    pub(crate) async fn apply(
        &self,
        tx: &mut Tx<'_>,
        app: App,
        by: UserId,
        sign: Sign<'_>,
    ) -> Result<Option<App>, DbError> {
        if teams::role_for(tx, &app, by).await?.is_some() {
            return Ok(None);
        }
        let detail =
            json!({ "evidence": self.evidence, "name": app.name, "publisher": app.publisher });
        let (app, kind) = match self.is_verified {
            true => (app.verify_brand(by, self.at), AuditKind::AppBrandVerified),
            false => (app.unverify_brand(self.at), AuditKind::AppBrandUnverified),
        };
        apps::save(tx, &app).await?;
        changes::record(tx, Change::App(app.id)).await?;
        let event = AuditEvent::new(self.at, kind, AuditActor::User(by)).app(app.id);
        audit::record(tx, &sign(event.detail(detail))).await?;
        Ok(Some(app))
    }
}
