//! Phase 3, authorize: whether the caller's scopes suffice for the route, or the permissions of a
//! key. The refusal names all that is missing at once.

use domain::policy::Policy;
use domain::time::Timestamp;

use crate::error::GatewayError;
use crate::phase::authenticate::{Caller, Proof};
use crate::phase::matching::Matched;

pub(crate) fn authorize(
    policy: &Policy,
    matched: &Matched<'_>,
    caller: Option<&Caller>,
    now: Timestamp,
) -> Result<(), GatewayError> {
    let Some(caller) = caller else { return Ok(()) };
    match &caller.proof {
        Proof::Token { access, .. } => {
            let missing = matched.route.access.missing(&access.scopes);
            if missing.is_empty() { Ok(()) } else { Err(GatewayError::InsufficientScope(missing)) }
        }
        Proof::Key { live, signing } => live
            .permit(policy.partner_keys.as_ref(), matched.route, now)
            .map_err(|why| GatewayError::Signed(signing.refusal(why))),
    }
}
