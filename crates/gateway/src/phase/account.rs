//! Phase 6, account: what "connected apps" and the developer's request log will say of the call.
//! Returns at once; whoever keeps it writes it later.

use std::net::IpAddr;

use domain::authority::Authority;
use domain::grant::Mode;
use domain::id::{AppId, UserId};
use domain::policy::RouteRule;
use domain::request_log::{Detail, Door, Request};
use domain::usage::Use;
use http::{HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use crate::error::{GatewayError, Source};
use crate::pass::Inner;
use crate::phase::authenticate::Caller;

/// A call on its way, as both logs need it.
pub(crate) struct Course<'a> {
    pub(crate) route: &'a RouteRule,
    pub(crate) method: &'a Method,
    pub(crate) client: IpAddr,
    pub(crate) request_id: &'a HeaderValue,
    pub(crate) began: Instant,
}

/// Whose call it was, also where it was refused before that was proven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) app: AppId,
    pub(crate) user: Option<UserId>,
    pub(crate) mode: Mode,
}

pub(crate) fn account<A: Authority>(
    gateway: &Inner<A>,
    course: &Course<'_>,
    caller: Option<&Caller>,
    (status, error): (StatusCode, Option<&GatewayError>),
) {
    let Some(caller) = caller else { return };
    let known = caller.proof.known();
    gateway.authority.account(Use {
        by: caller.proof.used_by(),
        app_id: known.app,
        user_id: known.user,
        family: course.route.family.clone(),
        status: status.as_u16(),
        address: course.client,
        at: gateway.clock.now(),
    });
    note(gateway, course, known, (status, error));
}

/// For the app's developer alone: a call that nobody was let in with is no use of a grant.
pub(crate) fn note<A: Authority>(
    gateway: &Inner<A>,
    course: &Course<'_>,
    known: Known,
    (status, error): (StatusCode, Option<&GatewayError>),
) {
    let none: &dyn Detail = &();
    let (reason, detail) = match error {
        Some(GatewayError::InsufficientScope(missing)) => ("scope", missing as &dyn Detail),
        Some(error) => (error.why(), none),
        None if status.as_u16() >= 400 => ("api", none),
        None => ("", none),
    };
    let reached_api = error.is_none_or(|error| error.source() == Source::Upstream);
    gateway.authority.note_request(&Request {
        app_id: known.app,
        user_id: known.user,
        mode: Some(known.mode),
        door: Door::Api { passed: reached_api },
        is_proven: true,
        at: gateway.clock.now(),
        request_id: course.request_id.to_str().unwrap_or_default(),
        method: course.method.as_str(),
        route: &course.route.pattern,
        status: status.as_u16(),
        reason,
        detail,
        latency: course.began.elapsed(),
    });
}
