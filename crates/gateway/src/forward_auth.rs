//! For companies that keep their own proxy: it asks here about every call and forwards it itself.
//! The style is part of the address, so that no header of a client can choose how the others are
//! read. Meant for an internal listener and trusted peers only (attack G8).

use std::net::IpAddr;
use std::sync::Arc;

use domain::authority::Authority;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use ipnet::IpNet;
use protocol::path::Ambiguous;
use tokio::time::Instant;

use crate::body::Body;
use crate::error::GatewayError;
use crate::facts::{Facts, RequestId};
use crate::headers::REQUEST_ID;
use crate::identity;
use crate::pass::Gateway;
use crate::phase::account::{Course, account, note};
use crate::phase::authenticate::authenticate;
use crate::phase::matching::match_route;
use crate::target::{TargetError, host_of};

/// Which proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardAuthStyle {
    /// `auth_request`: `X-Original-Method`, `X-Original-URI`, the original `Host`.
    Nginx,
    /// `ForwardAuth`: `X-Forwarded-Method`, `-Uri` and `-Host`.
    Traefik,
    /// `ext_authz` over HTTP with a `path_prefix`: method, host and the rest of the path.
    Envoy,
}

/// The call that a proxy asks about.
#[derive(Debug)]
struct Original {
    method: Method,
    host: String,
    path_and_query: String,
    client: IpAddr,
}

impl ForwardAuthStyle {
    /// `/forward-auth/nginx`, `/forward-auth/traefik`, `/forward-auth/envoy/…`.
    pub fn of_path(path: &str) -> Option<Self> {
        match path.strip_prefix("/forward-auth/")? {
            "nginx" => Some(Self::Nginx),
            "traefik" => Some(Self::Traefik),
            rest if rest == "envoy" || rest.starts_with("envoy/") => Some(Self::Envoy),
            _ => None,
        }
    }

    fn original(self, parts: &Parts, peer: IpAddr) -> Result<Original, GatewayError> {
        let header = |name: &str| one(&parts.headers, name);
        let method =
            |name: &str| Method::from_bytes(header(name)?.as_bytes()).map_err(|_| unclear());
        let (method, host, path_and_query) = match self {
            Self::Nginx => {
                (method("x-original-method")?, host_of(parts)?, header("x-original-uri")?)
            }
            Self::Traefik => (
                method("x-forwarded-method")?,
                header("x-forwarded-host")?,
                header("x-forwarded-uri")?,
            ),
            Self::Envoy => {
                let whole = parts.uri.path_and_query().map_or("", |whole| whole.as_str());
                let rest = whole.strip_prefix("/forward-auth/envoy").ok_or_else(unclear)?;
                (parts.method.clone(), host_of(parts)?, rest)
            }
        };
        Ok(Original {
            method,
            host: host.to_owned(),
            path_and_query: path_and_query.to_owned(),
            // The proxy itself writes the last entry. Without one, an app's list of addresses is
            // held against the proxy's own, which refuses rather than lets through.
            client: last_forwarded_for(&parts.headers).unwrap_or(peer),
        })
    }
}

impl<A: Authority> Gateway<A> {
    /// Answers 204 with identity headers and no body, or a refusal with 401, 403, 429 or 503. All
    /// else that is wrong with a call is 403: to some proxies every other status is an error of
    /// this server, and a 2xx of an API's envelope would be a yes.
    pub async fn forward_auth<B>(
        &self,
        request: Request<B>,
        peer: IpAddr,
        trusted: &[IpNet],
    ) -> Response<Body> {
        let peer = peer.to_canonical();
        if !trusted.iter().any(|net| net.contains(&peer)) {
            tracing::warn!(%peer, "forward-auth was asked by a peer that is not trusted");
            return status_only(StatusCode::FORBIDDEN);
        }
        let (mut parts, _) = request.into_parts();
        let mut facts = Facts::default();
        let Some(style) = ForwardAuthStyle::of_path(parts.uri.path()) else {
            return status_only(StatusCode::NOT_FOUND);
        };
        let given = parts.extensions.remove::<RequestId>().map(|id| id.0);
        let request_id = given.unwrap_or_else(|| self.new_request_id());
        let mut response = match style.original(&parts, peer) {
            Ok(original) => {
                self.judge(style, &original, &parts.headers, (&request_id, &mut facts)).await
            }
            Err(error) => {
                facts.refused = Some(error.refused());
                refusal(&error, style, None)
            }
        };
        response.headers_mut().insert(REQUEST_ID, request_id);
        response.extensions_mut().insert(facts);
        response
    }

    /// Phases 1 to 4 and 6.
    async fn judge(
        &self,
        style: ForwardAuthStyle,
        original: &Original,
        headers: &HeaderMap,
        (request_id, facts): (&HeaderValue, &mut Facts),
    ) -> Response<Body> {
        let Original { method, host, path_and_query, client } = original;
        let began = Instant::now();
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query.as_str(), None),
        };
        let apis = self.0.apis();
        let Some(api) = apis.find(host, path) else {
            facts.refused = Some(GatewayError::UnknownRoute.refused());
            return refusal(&GatewayError::UnknownRoute, style, None);
        };
        facts.api = Some(Arc::clone(api));
        let judged = async {
            let matched = match_route(api, method, path)?;
            // The proxy forwards what it got, not what was matched: only what is the same passes.
            if matched.path.as_str() != path {
                return Err(GatewayError::AmbiguousPath(Ambiguous::Character));
            }
            facts.route = Some((matched.route.family.clone(), matched.route.pattern.clone()));
            let course =
                Course { route: matched.route, method, client: *client, request_id, began };
            let mut known = None;
            let caller =
                authenticate(&self.0, &matched, (headers, query), *client, &mut known).await;
            let caller = caller.inspect_err(|error| {
                if let Some(known) = known {
                    note(&self.0, &course, known, (error.status(), Some(error)));
                }
            })?;
            let caller = caller.as_ref();
            facts.set_caller(caller);
            let mut response = status_only(StatusCode::NO_CONTENT);
            let admitted = self.0.admit(&matched, caller, *client).await.and_then(|allowance| {
                allowance.write(response.headers_mut());
                identity::clear(response.headers_mut());
                let Some(caller) = caller else { return Ok(()) };
                let now = self.0.clock.now();
                api.identities.write(response.headers_mut(), caller, &matched, now)
            });
            let outcome = match &admitted {
                Ok(()) => (response.status(), None),
                Err(error) => (error.status(), Some(error)),
            };
            account(&self.0, &course, caller, outcome);
            admitted.map(|()| response)
        };
        match judged.await {
            Ok(response) => response,
            Err(error) => {
                error.log(Some(&api.resource), request_id);
                facts.refused = Some(error.refused());
                refusal(&error, style, Some(api))
            }
        }
    }
}

fn refusal(
    error: &GatewayError,
    style: ForwardAuthStyle,
    api: Option<&crate::api::Api>,
) -> Response<Body> {
    let status = match error.status() {
        StatusCode::INTERNAL_SERVER_ERROR => StatusCode::SERVICE_UNAVAILABLE,
        status @ (StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE) => status,
        _ => StatusCode::FORBIDDEN,
    };
    let mut response = error.respond(api);
    if style == ForwardAuthStyle::Nginx {
        // nginx closes the connection after an answer with a body, and shows it to nobody.
        response = status_only(status);
        *response.headers_mut() = error.headers(api);
    }
    *response.status_mut() = status;
    response
}

fn status_only(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn unclear() -> GatewayError {
    TargetError::UnclearHost.into()
}

/// The one value of a header; two are as bad as none.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, GatewayError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(unclear()),
    }
}

fn last_forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}
