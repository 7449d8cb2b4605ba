//! Where a dialect's apps send users to.

use axum::response::Response;
use protocol::authorize::{DirectError, RawAuthorizeRequest};
use protocol::dialect::{DecodeError, Dialect};

use crate::actor::Visitor;
use crate::error::PageError;
use crate::oauth::authorize;
use crate::provider::Provider;

pub(super) async fn start(
    provider: &Provider,
    visitor: &Visitor,
    query: Option<&str>,
    dialect: &Dialect,
) -> Result<Response, PageError> {
    let params = dialect.authorize.decode(query.unwrap_or_default()).map_err(|error| {
        let direct = match error {
            DecodeError::Duplicate(duplicate) => DirectError::Duplicate(duplicate.name),
            DecodeError::Params(error) => error.into(),
            _ => DirectError::ClientIdMissing,
        };
        authorize::direct(&direct, &RawAuthorizeRequest::default())
    })?;
    authorize::start_in_dialect(provider, visitor, &params, &dialect.name).await
}
