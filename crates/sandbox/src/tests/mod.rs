//! The practice APIs as the gateway meets them: the real routers over real database files, with a
//! clock that stands still and a gateway that signs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use self::signer::Signer;
use crate::Clock;
use crate::assertion::{ASSERTION_HEADER, AssertionVerifier};
use crate::drive::{self, Drive};
use crate::exchange::{self, Exchange};

mod book;
mod documents;
mod download;
mod drive_api;
mod examples;
mod facts_bitport;
mod facts_whitebit;
mod identity;
mod ledger;
mod market_orders;
mod orders;
mod schema;
mod signer;
mod storage;
mod transfers;
mod wallet;
mod whatever_is_sent;
mod zips;

const ISSUER: &str = "https://issuer.example";
const EXCHANGE: &str = "https://exchange.example";
const DRIVE: &str = "https://drive.example";
const LINK_SECRET: [u8; 32] = [7; 32];
/// 2026-11-24 12:00:00 UTC.
const NOON: i64 = 1_795_521_600_000;

/// Two APIs on one folder, and the gateway in front of them.
struct World {
    folder: Arc<TempDir>,
    now: Arc<AtomicI64>,
    signer: Signer,
    exchange: Router,
    drive: Router,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl World {
    fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::on(folder, Arc::new(AtomicI64::new(NOON)))
    }

    /// The same files and clock, as after a restart.
    fn restarted(&self) -> Self {
        Self::on(self.folder.clone(), self.now.clone())
    }

    fn on(folder: Arc<TempDir>, now: Arc<AtomicI64>) -> Self {
        let signer = Signer::ed25519("one", 1);
        let exchange = open_exchange(folder.path(), clock(&now), verifier(EXCHANGE, &signer));
        let path = folder.path().join("drive.db");
        let verifier = verifier(DRIVE, &signer);
        let drive = Drive::open(&path, verifier, clock(&now), &LINK_SECRET).unwrap();
        Self { folder, now, signer, exchange, drive: drive::router(drive) }
    }

    fn advance(&self, milliseconds: i64) {
        self.now.fetch_add(milliseconds, Ordering::SeqCst);
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn assertion(&self, audience: &str, user: &str) -> String {
        self.signer.sign(&claims(audience, user, self.now()))
    }

    /// A call of `user` to the exchange, which takes JSON everywhere.
    async fn trade(&self, user: &str, path: &str, body: Value) -> Answer {
        let request = Request::post(path)
            .header(ASSERTION_HEADER, self.assertion(EXCHANGE, user))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        send(&self.exchange, request.unwrap()).await
    }

    /// A limit order, as `place("alice", "BTC_USDT", "buy", "0.5", "59000")`.
    async fn place(&self, user: &str, [market, side, amount, price]: [&str; 4]) -> Value {
        let body = json!({ "market": market, "side": side, "amount": amount, "price": price });
        let answer = self.trade(user, "/api/v4/order/new", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn trade_balance(&self, user: &str) -> Value {
        self.trade(user, "/api/v4/trade-account/balance", json!({})).await.json()
    }

    async fn drive(&self, user: &str, method: Method, path: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(ASSERTION_HEADER, self.assertion(DRIVE, user))
            .body(Body::empty());
        send(&self.drive, request.unwrap()).await
    }

    async fn start_transfer(&self, user: &str, link: &str) -> Answer {
        let form =
            form_urlencoded::Serializer::new(String::new()).append_pair("torrent", link).finish();
        let request = Request::post("/v2/transfers")
            .header(ASSERTION_HEADER, self.assertion(DRIVE, user))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form));
        send(&self.drive, request.unwrap()).await
    }

    /// The first of the `data` of a successful call to the drive.
    async fn drive_data(&self, user: &str, path: &str) -> Value {
        let answer = self.drive(user, Method::GET, path).await.json();
        assert_eq!(answer["status"], "success", "{answer}");
        assert_eq!(answer["errors"], Value::Null);
        answer["data"][0].clone()
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn open_exchange(folder: &Path, clock: Clock, verifier: AssertionVerifier) -> Router {
    exchange::router(Exchange::open(&folder.join("exchange.db"), verifier, clock).unwrap())
}

fn clock(now: &Arc<AtomicI64>) -> Clock {
    let now = now.clone();
    Arc::new(move || now.load(Ordering::SeqCst))
}

fn verifier(audience: &str, signer: &Signer) -> AssertionVerifier {
    let jwks = signer.jwks();
    AssertionVerifier::new(ISSUER, audience, move || {
        let jwks = jwks.clone();
        async move { Ok::<_, String>(jwks) }
    })
}

fn claims(audience: &str, user: &str, now: i64) -> Value {
    let now = now / 1000;
    json!({
        "iss": ISSUER,
        "sub": user,
        "aud": audience,
        "iat": now,
        "exp": now + 60,
        "client_id": "trading-bot",
        "scope": "orders.read orders.create",
        "grant_id": "g1",
    })
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}
