//! A gateway in front of one upstream, on a real socket.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use domain::authority::Authority as _;
use domain::id::{AppId, GrantId, TokenId, UserId};
use domain::keyring::Keyring;
use domain::policy::{
    AccountPolicy, HighTierRule, Lifetimes, Policy, Rate, Registration, Resource, ReviewPolicy,
    RouteAccess, RouteRule, TokenFormat, Upstream,
};
use domain::seal::Purpose;
use domain::sign_in::SignInPolicy;
use domain::time::{Clock, Timestamp};
use domain::token::AccessToken;
use gateway::{ConnectionLimits, Gateway, serve_connection};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use protocol::envelope::ErrorEnvelope;
use protocol::route::{RoutePattern, RouteTable};
use protocol::scope::ScopeSet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::authority::{CountingEntropy, Fake, FakeClock};

pub(crate) const ISSUER: &str = "http://pages.test:8400";
pub(crate) const HOST: &str = "pages.test:8400";
pub(crate) const API: &str = "http://pages.test:8400/api/v4";
/// Under a host of its own, for answers that share no origin with pages.
pub(crate) const OWN_HOST_API: &str = "http://drive.test";

pub(crate) const START: i64 = 1_800_000_000_000;
/// No test waits longer for anything that should come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const GRANT: GrantId = GrantId::from_bytes([1; 16]);
pub(crate) const APP: AppId = AppId::from_bytes([2; 16]);
pub(crate) const USER: UserId = UserId::from_bytes([3; 16]);
pub(crate) const TOKEN: TokenId = TokenId::from_bytes([4; 16]);

pub(crate) struct World {
    pub(crate) gateway: Gateway<Fake>,
    pub(crate) authority: Fake,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl World {
    pub(crate) async fn new(upstream: SocketAddr) -> Self {
        Self::with(upstream, |_| {}, ConnectionLimits::default()).await
    }

    pub(crate) async fn with_resource(
        upstream: SocketAddr,
        change: impl Fn(&mut Resource),
    ) -> Self {
        Self::with(upstream, change, ConnectionLimits::default()).await
    }

    pub(crate) async fn with(
        upstream: SocketAddr,
        change: impl Fn(&mut Resource),
        limits: ConnectionLimits,
    ) -> Self {
        let clock = Arc::new(FakeClock(AtomicI64::new(START)));
        let authority = Fake::new();
        let policy = Arc::new(ArcSwap::from_pointee(policy(upstream, change)));
        let gateway = Gateway::new(
            authority.clone(),
            Arc::clone(&policy),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(CountingEntropy::default()),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(listen(listener, gateway.clone(), limits, shutdown.clone()));
        Self { gateway, authority, clock, policy, address, shutdown }
    }

    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        self.authority.keyring()
    }

    /// A token of the grant for the API.
    pub(crate) fn token(&self, scopes: &str) -> String {
        self.token_with(scopes, |_| {})
    }

    pub(crate) fn token_with(&self, scopes: &str, change: impl FnOnce(&mut AccessToken)) -> String {
        seal(&self.keyring(), &access_token(scopes, change))
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let sent = tokio::time::timeout(PATIENCE, sender.send_request(request));
        let (parts, body) = sent.await.unwrap().unwrap().into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.unwrap().unwrap();
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// GET with a token that has `orders.read`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, &self.token("orders.read"))).await
    }

    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(path).header("host", HOST);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(Full::default()).unwrap()
    }

    /// Sends bytes as they are and reads until the other side closes.
    pub(crate) async fn raw(&self, text: &str) -> String {
        let mut raw = self.connect().await;
        raw.send(text).await;
        raw.rest().await
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw { stream: TcpStream::connect(self.address).await.unwrap(), read: Vec::new() }
    }

    /// The head of a call with a token, for raw connections.
    pub(crate) fn head(&self, line: &str, more: &str) -> String {
        let token = self.token("orders.read orders.create");
        format!("{line} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
    }
}

/// A connection under a test's hands.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything until and including `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some(at) = text.find(end) {
                let taken = self.read.drain(..at + end.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            let mut buffer = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            let count = read.expect("in time").expect("readable");
            assert_ne!(count, 0, "closed before {end:?}: {text}");
            self.read.extend_from_slice(&buffer[..count]);
        }
    }

    /// Everything until the end, however it comes.
    pub(crate) async fn rest(mut self) -> String {
        let reading = self.stream.read_to_end(&mut self.read);
        let _ = tokio::time::timeout(PATIENCE, reading).await.expect("closed in time");
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

async fn listen(
    listener: TcpListener,
    gateway: Gateway<Fake>,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let (gateway, limits, shutdown) = (gateway.clone(), limits.clone(), shutdown.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let gateway = gateway.clone();
                async move {
                    Ok::<_, std::convert::Infallible>(gateway.handle(request, peer.ip()).await)
                }
            });
            let _ = serve_connection(stream, service, &limits, &shutdown).await;
        });
    }
}

pub(crate) fn scopes(text: &str) -> ScopeSet {
    text.parse().unwrap()
}

pub(crate) fn seal(keyring: &Keyring, token: &AccessToken) -> String {
    keyring.seal(Purpose::Access, token, &CountingEntropy::default()).unwrap()
}

pub(crate) fn access_token(scopes: &str, change: impl FnOnce(&mut AccessToken)) -> AccessToken {
    let mut token = AccessToken {
        grant_id: GRANT,
        token_id: TOKEN,
        scopes: scopes.parse().unwrap(),
        audience: API.to_owned(),
        issued_at: Timestamp::from_millis(START),
        expires_at: Timestamp::from_millis(START + 600_000),
        key_binding: None,
    };
    change(&mut token);
    token
}

fn policy(upstream: SocketAddr, change: impl Fn(&mut Resource)) -> Policy {
    let mut shared = resource(upstream, API, None, "/api/v4");
    let mut own = resource(upstream, OWN_HOST_API, Some("drive.test"), "");
    change(&mut shared);
    change(&mut own);
    Policy {
        issuer: ISSUER.to_owned(),
        scopes: BTreeMap::new(),
        resources: vec![shared, own],
        lifetimes: Lifetimes::default(),
        registration: Registration::Review,
        sign_in: SignInPolicy::default(),
        reviewed: Vec::new(),
        review_mail: Vec::new(),
        review: ReviewPolicy::default(),
        accounts: AccountPolicy::default(),
        high_tier: HighTierRule::IfEnrolled,
        dialects: Vec::new(),
        partner_keys: None,
        docs: domain::policy::DocsReaders::default(),
        plans: Vec::new(),
        perks: Vec::new(),
    }
}

fn resource(
    upstream: SocketAddr,
    identifier: &str,
    host: Option<&str>,
    path_prefix: &str,
) -> Resource {
    Resource {
        identifier: identifier.to_owned(),
        name: "Exchange".to_owned(),
        host: host.map(str::to_owned),
        path_prefix: path_prefix.to_owned(),
        upstream: Some(Upstream {
            url: format!("http://{upstream}"),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(5),
            body_max: 1024,
            signed_body_max: 512,
            in_service_max: 100,
        }),
        test_upstream: None,
        envelope: ErrorEnvelope::problem_json(),
        introspection: None,
        token_format: TokenFormat::Opaque,
        routes: routes(path_prefix),
        api_document: None,
        rate_per_app: None,
        rate_per_user: None,
        cors: None,
        drop_request_headers: [].into(),
    }
}

fn routes(prefix: &str) -> RouteTable<RouteRule> {
    let mut table = RouteTable::new();
    let mut add = |method: Method, path: &str, needs: &[&str]| {
        let pattern = format!("{prefix}{path}");
        let sets = needs.iter().map(|set| scopes(set)).collect::<Vec<_>>();
        let access = if sets.is_empty() { RouteAccess::Public } else { RouteAccess::AnyOf(sets) };
        let rule = RouteRule { access, family: "orders".to_owned(), pattern: pattern.clone() };
        table.insert(method, RoutePattern::parse(&pattern).unwrap(), rule).unwrap();
    };
    add(Method::GET, "/orders", &["orders.read"]);
    add(Method::POST, "/orders", &["orders.read orders.create orders.cancel"]);
    add(Method::PUT, "/orders", &["orders.create", "orders.read orders.cancel"]);
    add(Method::GET, "/orders/{id}", &["orders.read"]);
    add(Method::POST, "/orders/{id}", &["orders.create"]);
    add(Method::GET, "/ticker", &[]);
    add(Method::GET, "/stream", &["orders.read"]);
    add(Method::GET, "/files/{*rest}", &["orders.read"]);
    table
}

pub(crate) fn rate(requests: u32) -> Option<Rate> {
    Some(Rate { requests, period: Duration::from_secs(3600) })
}

pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Its errors are HTTP 200, but for a bad token.
pub(crate) fn bitport_envelope() -> ErrorEnvelope {
    let spec = serde_json::json!({
        "template": r#"{"status":"error","data":null,"errors":[{"message":"{{message}}","code":"{{code}}"}]}"#,
        "statuses": { "not_found": 200, "method_not_allowed": 200, "bad_request": 200 },
        "codes": { "not_found": 404, "method_not_allowed": 404 },
        "messages": {
            "missing_token": "Unauthorized access",
            "invalid_token": "Unauthorized access",
            "not_found": "Method not found",
            "method_not_allowed": "Method not found",
        },
    });
    ErrorEnvelope::new(serde_json::from_value(spec).unwrap()).unwrap()
}
