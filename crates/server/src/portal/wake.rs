//! A retired app comes back when its developer says so, as it was approved.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use store::{Tx, apps, audit, changes};

use super::apps::{owned, path_of};
use crate::actor::{AppOwner, SignedForm};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::Done;
use crate::provider::Shared;

pub async fn wake(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    _form: SignedForm,
) -> Result<Response, PageError> {
    let (id, user, now) = (owner.app.id, owner.user.user.id, provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        let app = match owned(tx, id, user).await?.wake(now) {
            Ok(app) => app,
            Err(error) => return Ok(Err(PageError::Conflict(error.to_string().into()))),
        };
        apps::save(tx, &app).await?;
        changes::record(tx, Change::App(id)).await?;
        let event = AuditEvent::new(now, AuditKind::AppWoken, AuditActor::User(user)).app(id);
        audit::record(tx, &event.address(address)).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::AppWoken.redirect(&path_of(id)).into_response())
}
