//! Phase 6, account: what "connected apps" and the developer's log will say of the call. Returns at
//! once; whoever keeps it writes it later.

use std::net::IpAddr;

use domain::authority::Authority;
use domain::policy::RouteRule;
use domain::usage::Use;
use http::StatusCode;

use crate::pass::Inner;
use crate::phase::authenticate::Caller;

pub(crate) fn account<A: Authority>(
    gateway: &Inner<A>,
    route: &RouteRule,
    caller: Option<&Caller>,
    client: IpAddr,
    status: StatusCode,
) {
    let Some(caller) = caller else { return };
    gateway.authority.account(Use {
        by: caller.proof.used_by(),
        app_id: caller.proof.app().id,
        user_id: caller.proof.user_id(),
        family: route.family.clone(),
        status: status.as_u16(),
        address: client,
        at: gateway.clock.now(),
    });
}
