//! The internal listener: health, and the questions of other proxies (forward-auth).

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use gateway::{ForwardAuthStyle, Gateway};
use http::{Request, Response};
use hyper::body::Incoming;
use ipnet::IpNet;
use store::Store;
use tower::ServiceExt as _;

pub(super) struct Internal {
    pub(super) health: Router,
    pub(super) gateway: Gateway<Store>,
    pub(super) forward_auth_peers: Vec<IpNet>,
}

impl Internal {
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Body> {
        if ForwardAuthStyle::of_path(request.uri().path()).is_some() {
            let peers = &self.forward_auth_peers;
            return self.gateway.forward_auth(request, peer.ip(), peers).await.map(Body::new);
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
}
