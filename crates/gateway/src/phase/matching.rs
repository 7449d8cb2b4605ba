//! Phase 1, match: which route of the API this is. The path is normalised once, and what was
//! matched is what is forwarded (attacks G1, G2).

use std::sync::Arc;

use domain::policy::RouteRule;
use http::Method;
use protocol::path::NormalPath;
use protocol::route::Lookup;

use crate::api::Api;
use crate::error::GatewayError;

/// A call whose endpoint is known.
pub(crate) struct Matched<'a> {
    pub(crate) api: &'a Arc<Api>,
    pub(crate) route: &'a RouteRule,
    pub(crate) path: NormalPath,
}

pub(crate) fn match_route<'a>(
    api: &'a Arc<Api>,
    method: &Method,
    raw_path: &str,
) -> Result<Matched<'a>, GatewayError> {
    let path = NormalPath::parse(raw_path)?;
    match api.resource.routes.lookup(method, &path) {
        Lookup::Found(route) => Ok(Matched { api, route, path }),
        Lookup::MethodNotAllowed(allowed) => Err(GatewayError::MethodNotAllowed(allowed)),
        Lookup::NotFound => Err(GatewayError::UnknownRoute),
    }
}

/// The methods that a path has.
pub(crate) fn methods_of(api: &Api, raw_path: &str) -> Result<Vec<Method>, GatewayError> {
    let methods = api.resource.routes.methods(&NormalPath::parse(raw_path)?);
    if methods.is_empty() { Err(GatewayError::UnknownRoute) } else { Ok(methods) }
}
