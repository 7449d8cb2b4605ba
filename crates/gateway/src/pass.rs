//! The gateway, and the way of a call through it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use domain::authority::Authority;
use domain::entropy::Entropy;
use domain::policy::Policy;
use domain::request_id::RequestIds;
use domain::time::Clock;
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Api, Apis, METADATA_PATH};
use crate::body::Body;
use crate::cors;
use crate::error::{GatewayError, SignedError};
use crate::facts::{ApiStats, Facts, GatewayStats, RequestId};
use crate::headers::REQUEST_ID;
use crate::phase::account::{Course, account, note};
use crate::phase::authenticate::{Caller, Proof, authenticate};
use crate::phase::authorize::authorize;
use crate::phase::forward::{Call, forward};
use crate::phase::limit::limit;
use crate::phase::matching::{Matched, match_route, methods_of};
use crate::phase::signed::{self, Signing};
use crate::target::host_of;
use crate::token_cache::TokenCache;
use crate::upload::Sent;

/// Guards every API of one provider. Cheap to clone.
pub struct Gateway<A>(pub(crate) Arc<Inner<A>>);

pub(crate) struct Inner<A> {
    pub(crate) authority: A,
    pub(crate) clock: Arc<dyn Clock>,
    request_ids: RequestIds,
    policy: Arc<ArcSwap<Policy>>,
    apis: ArcSwap<Apis>,
    rebuilding: Mutex<()>,
    pub(crate) opened: TokenCache,
    /// Cancelled: no call is watched any more, every open stream ends.
    pub(crate) shutdown: CancellationToken,
    pub(crate) tunnels: TaskTracker,
    pub(crate) streams: Arc<AtomicUsize>,
}

impl<A> Clone for Gateway<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Authority> Gateway<A> {
    /// `policy` may be swapped at any time; the next call sees the new one.
    pub fn new(
        authority: A,
        policy: Arc<ArcSwap<Policy>>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let apis = Apis::new(policy.load_full(), None);
        Self(Arc::new(Inner {
            authority,
            clock,
            request_ids: RequestIds::new(entropy.as_ref()),
            policy,
            apis: ArcSwap::from_pointee(apis),
            rebuilding: Mutex::new(()),
            opened: TokenCache::default(),
            shutdown: CancellationToken::new(),
            tunnels: TaskTracker::new(),
            streams: Arc::default(),
        }))
    }

    /// Whether a request belongs to an API that this gateway forwards to. `host` may have a port
    /// (see [`host_of`]); `raw_path` is as the client sent it, without query. The metadata of
    /// RFC 9728 does not: the pages' side serves it on every host.
    pub fn owns(&self, host: &str, raw_path: &str) -> bool {
        let is_metadata = raw_path
            .strip_prefix(METADATA_PATH)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // A dialect's endpoints may lie under an API's prefix, as the API's did.
        let is_its_own =
            |api: &Arc<Api>| !(api.shares_origin && self.0.policy().is_dialect_path(raw_path));
        !is_metadata && find_forwarded(&self.0.apis(), host, raw_path).is_some_and(is_its_own)
    }

    /// Answers one call. `client` is who sent it, found through trusted proxies only.
    pub async fn handle(&self, request: Request<Incoming>, client: IpAddr) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let given = parts.extensions.remove::<RequestId>().map(|id| id.0);
        let request_id = given.unwrap_or_else(|| self.new_request_id());
        let mut facts = Facts::default();
        let apis = self.0.apis();
        let found = host_of(&parts).map_err(GatewayError::from).and_then(|host| {
            find_forwarded(&apis, host, parts.uri.path()).ok_or(GatewayError::UnknownRoute)
        });
        let origin = parts.headers.get(ORIGIN).cloned();
        let (api, answer) = match found {
            Ok(api) => {
                facts.api = Some(Arc::clone(api));
                let call = Arriving { parts, body, client, request_id: &request_id };
                (Some(api), self.pass(api, call, &mut facts).await)
            }
            Err(error) => (None, Err(error)),
        };
        let mut response = answer.unwrap_or_else(|error| {
            error.log(api.map(|api| &api.resource), &request_id);
            facts.refused = Some(error.refused());
            error.respond(api.map(Arc::as_ref))
        });
        response.headers_mut().insert(REQUEST_ID, request_id);
        response.extensions_mut().insert(facts);
        // Refusals too: a browser shows a page nothing of an answer without.
        if let Some(cors) = api.and_then(|api| api.cors.as_ref()) {
            cors.write(origin.as_ref(), response.headers_mut());
        }
        response
    }

    /// The phases of a call, in order.
    async fn pass(
        &self,
        api: &Arc<Api>,
        Arriving { parts, body, client, request_id }: Arriving<'_>,
        facts: &mut Facts,
    ) -> Result<Response<Body>, GatewayError> {
        let (gateway, began) = (&self.0, Instant::now());
        let (headers, query) = (&parts.headers, parts.uri.query());
        // Without a token, always: so it is answered before anybody asks for one.
        if let Some(cors) = &api.cors
            && cors::is_preflight(&parts.method, headers)
        {
            return Ok(cors.preflight(&methods_of(api, parts.uri.path())?));
        }
        let matched = match_route(api, &parts.method, parts.uri.path())?;
        facts.route = Some((matched.route.family.clone(), matched.route.pattern.clone()));
        let (route, method) = (matched.route, parts.method.clone());
        let course = Course { route, method: &method, client, request_id, began };
        let mut known = None;
        let identified = match Signing::of(gateway, &matched, &parts) {
            Some(signing) => {
                signed::authenticate(gateway, &matched, &signing, &parts, body, client)
                    .await
                    .map(|(caller, body)| (Some(caller), Sent::Whole(body)))
            }
            None => authenticate(gateway, &matched, (headers, query), client, &mut known)
                .await
                .map(|caller| (caller, Sent::Stream(body))),
        };
        let (caller, body) = identified.inspect_err(|error| {
            if let Some(known) = known.or(error.known()) {
                let status = error.status_in(&api.resource.envelope);
                note(gateway, &course, known, (status, Some(error)));
            }
        })?;
        facts.set_caller(caller.as_ref());
        let caller = caller.as_ref();
        let call = Call { matched, caller, client, request_id };
        let answer = self.admit(call, parts, body, facts).await;
        let outcome = match &answer {
            Ok(response) => (response.status(), None),
            Err(error) => (error.status_in(&api.resource.envelope), Some(error)),
        };
        account(gateway, &course, caller, outcome);
        answer
    }

    async fn admit(
        &self,
        call: Call<'_>,
        parts: Parts,
        body: Sent,
        facts: &mut Facts,
    ) -> Result<Response<Body>, GatewayError> {
        let allowance = self.0.admit(&call.matched, call.caller, call.client).await?;
        let (mut response, took) = forward(&self.0, call, parts, body).await?;
        facts.upstream = Some(took);
        allowance.write(response.headers_mut());
        Ok(response)
    }

    /// To be run now and then (about once a minute): keeps the rate limiters' memory small.
    pub fn sweep(&self) {
        self.0.apis().sweep();
    }

    /// What there is to measure.
    pub fn stats(&self) -> GatewayStats {
        let (gateway, apis) = (&self.0, self.0.apis());
        let api = |api: &Arc<Api>| {
            let upstream = api.upstream.as_ref()?;
            Some(ApiStats {
                name: api.resource.name.clone(),
                in_service: upstream.in_service(),
                in_service_max: upstream.declared.in_service_max,
            })
        };
        GatewayStats {
            tunnels: gateway.tunnels.len(),
            streams: gateway.streams.load(Ordering::Relaxed),
            opened_tokens: gateway.opened.len(),
            opened_hits: gateway.opened.hits.load(Ordering::Relaxed),
            opened_misses: gateway.opened.misses.load(Ordering::Relaxed),
            apis: apis.iter().filter_map(api).collect(),
        }
    }

    /// 16 random hex digits: enough to find one request in the logs of a day.
    pub fn new_request_id(&self) -> HeaderValue {
        self.0.request_id()
    }

    /// Ends every stream and tunnel that is still open, and waits for the tunnels. Run it when
    /// draining takes too long.
    pub async fn close_streams(&self) {
        self.0.shutdown.cancel();
        self.0.tunnels.close();
        self.0.tunnels.wait().await;
    }
}

/// A call as it came in.
struct Arriving<'a> {
    parts: Parts,
    body: Incoming,
    client: IpAddr,
    request_id: &'a HeaderValue,
}

impl<A: Authority> Inner<A> {
    /// Phases 3 and 4.
    pub(crate) async fn admit(
        &self,
        matched: &Matched<'_>,
        caller: Option<&Caller>,
        client: IpAddr,
    ) -> Result<crate::phase::limit::Allowance, GatewayError> {
        authorize(&self.policy(), matched, caller, self.clock.now()).inspect_err(|error| {
            if let GatewayError::Signed(SignedError { why, .. }) = error
                && let Some(Proof::Key { live, .. }) = caller.map(|caller| &caller.proof)
            {
                signed::note_refusal(self, live, *why, client);
            }
        })?;
        limit(self, &matched.api.limits, caller).await
    }
}

impl<A> Inner<A> {
    pub(crate) fn policy(&self) -> arc_swap::Guard<Arc<Policy>> {
        self.policy.load()
    }

    /// The APIs of the policy as it stands.
    pub(crate) fn apis(&self) -> Arc<Apis> {
        let policy = self.policy.load();
        let apis = self.apis.load_full();
        if apis.is_of(&policy) {
            return apis;
        }
        let _one = self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = self.policy.load_full();
        let apis = self.apis.load_full();
        if apis.is_of(&policy) {
            return apis;
        }
        let apis = Arc::new(Apis::new(policy, Some(&apis)));
        self.apis.store(Arc::clone(&apis));
        apis
    }

    fn request_id(&self) -> HeaderValue {
        HeaderValue::try_from(self.request_ids.make())
            .unwrap_or(HeaderValue::from_static("unknown"))
    }
}

fn find_forwarded<'a>(apis: &'a Apis, host: &str, raw_path: &str) -> Option<&'a Arc<Api>> {
    apis.find(host, raw_path).filter(|api| api.resource.upstream.is_some())
}
