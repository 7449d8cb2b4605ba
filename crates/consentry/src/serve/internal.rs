//! The internal listener: health, metrics, the admin API, and the questions of other proxies
//! (forward-auth).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use gateway::{ForwardAuthStyle, Gateway, RequestId};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use ipnet::IpNet;
use server::ClientAddress;
use store::Store;
use tower::ServiceExt as _;

use super::observe::{Metrics, Observer};

pub(super) struct Internal {
    pub(super) admin: Router,
    pub(super) health: Router,
    pub(super) gateway: Gateway<Store>,
    pub(super) forward_auth_peers: Vec<IpNet>,
    pub(super) observer: Arc<Observer>,
    pub(super) metrics: Option<Metrics>,
}

impl Internal {
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Body> {
        if ForwardAuthStyle::of_path(request.uri().path()).is_some() {
            return self.judge(request, peer).await;
        }
        if let (Some(metrics), "/metrics") = (&self.metrics, request.uri().path()) {
            return told(metrics);
        }
        if request.uri().path().starts_with("/admin/") {
            return self.administer(request, peer).await;
        }
        let path = request.uri().path().to_owned();
        match self.health.clone().oneshot(request.map(Body::new)).await {
            Ok(answer) => {
                // Probes come every few seconds: only whoever looks for them wants to read of them.
                tracing::debug!(%peer, path, status = answer.status().as_u16(), "probed");
                answer
            }
            Err(never) => match never {},
        }
    }

    /// Whoever has a token. An `Operator` is only at the control socket.
    async fn administer(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        request.extensions_mut().insert(ClientAddress(peer.ip()));
        match self.admin.clone().oneshot(request.map(Body::new)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    async fn judge(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let peers = &self.forward_auth_peers;
        let is_trusted = peers.iter().any(|net| net.contains(&peer.ip().to_canonical()));
        let id = self.gateway.new_request_id();
        request.extensions_mut().insert(RequestId(id.clone()));
        let method = request.method().clone();
        let headers = request.headers_mut();
        let begun = self.observer.begin(&method, headers, peer.ip(), is_trusted, id);
        let mut answer = self.gateway.forward_auth(request, peer.ip(), peers).await.map(Body::new);
        begun.answered(&mut answer);
        answer
    }
}

fn told(metrics: &Metrics) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    match metrics.text() {
        Ok(text) => {
            *answer.body_mut() = Body::from(text);
            let content_type = HeaderValue::from_static(Metrics::CONTENT_TYPE);
            answer.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
    }
    answer
}
