//! Phase 3, authorize: whether the caller's scopes suffice for the route. The refusal names all
//! that is missing at once.

use crate::error::GatewayError;
use crate::phase::authenticate::Caller;
use crate::phase::matching::Matched;

pub(crate) fn authorize(
    matched: &Matched<'_>,
    caller: Option<&Caller>,
) -> Result<(), GatewayError> {
    let Some(caller) = caller else { return Ok(()) };
    let missing = matched.route.access.missing(&caller.access.scopes);
    if missing.is_empty() { Ok(()) } else { Err(GatewayError::InsufficientScope(missing)) }
}
