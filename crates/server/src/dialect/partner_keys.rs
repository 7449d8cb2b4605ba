//! A dialect's endpoints about partner keys: the same operations as the standard's, dressed.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use http::StatusCode;
use protocol::dialect::{Dialect, PartnerKeys, RenderedAnswer};
use zeroize::Zeroizing;

use super::token::send;
use crate::oauth::partner_keys::standard::{quoted, tell};
use crate::oauth::partner_keys::{KeyCall, KeyError};
use crate::provider::Shared;

#[derive(Clone, Copy)]
enum Asked {
    Info,
    Secret,
    Delete,
}

pub(super) fn routes(router: Router<Shared>, dialect: &Arc<Dialect>) -> Router<Shared> {
    let Some(keys) = &dialect.partner_keys else { return router };
    let handler = |asked: Asked| {
        let dialect = Arc::clone(dialect);
        async move |State(provider): State<Shared>, id: Option<Path<String>>, request: Request| {
            let id = id.map(|Path(id)| id).unwrap_or_default();
            match &dialect.partner_keys {
                Some(keys) => answer(&provider, (&dialect, keys), asked, &id, request).await,
                None => StatusCode::NOT_FOUND.into_response(),
            }
        }
    };
    router
        .route(&keys.info.path, get(handler(Asked::Info)))
        .route(&keys.secret.path, get(handler(Asked::Secret)))
        .route(&keys.delete.path, delete(handler(Asked::Delete)))
}

async fn answer(
    provider: &Shared,
    (dialect, keys): (&Dialect, &PartnerKeys),
    asked: Asked,
    id: &str,
    request: Request,
) -> Response {
    let (mut parts, _) = request.into_parts();
    let answered = async {
        let call = KeyCall::authenticate(provider, &mut parts, Some(&dialect.name)).await?;
        Ok::<_, KeyError>(match asked {
            Asked::Info => send(keys.tell_info(&call.info(provider).await?)),
            Asked::Secret => {
                let secret = call.secret(provider, id).await?;
                let RenderedAnswer { status, body, .. } = keys.tell_secret(id, &quoted(&secret));
                tell(status, Zeroizing::new(body))
            }
            Asked::Delete => {
                call.delete(provider, id).await?;
                send(keys.tell_deleted(id))
            }
        })
    };
    match answered.await {
        Ok(response) => response,
        Err(error) => {
            let mut response = send(keys.refuse(error.failure));
            error.note(&mut response);
            response
        }
    }
}
