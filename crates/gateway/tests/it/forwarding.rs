//! Bodies, failures of the upstream and retries (part of attack G11).

use std::time::Duration;

use bytes::Bytes;
use domain::policy::Resource;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use tokio::net::TcpListener;

use crate::upstream::{Echo, Manual};
use crate::world::{World, rate};

fn post(world: &World, body: &[u8]) -> Request<Full<Bytes>> {
    let body = Full::from(body.to_vec());
    world.request(Method::POST, "/api/v4/orders/1", &world.token("orders.create")).map(|_| body)
}

fn with_timeouts(millis: u64) -> impl Fn(&mut Resource) {
    move |resource| {
        let upstream = resource.upstream.as_mut().unwrap();
        upstream.answer_timeout = Duration::from_millis(millis);
        upstream.idle_timeout = Duration::from_millis(millis);
    }
}

#[tokio::test]
async fn a_body_passes_with_its_length_or_in_chunks() {
    let world = World::new(Echo::start().await.address).await;
    let answer = world.send(post(&world, b"price=1")).await;
    assert_eq!(answer.json()["body"], "price=1");
    assert_eq!(answer.json()["headers"]["content-length"][0], "7");
    let more = "Connection: close\r\nTransfer-Encoding: chunked\r\n";
    let chunked = world.head("POST /api/v4/orders/1", more) + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let answer = world.raw(&chunked).await;
    assert!(answer.contains("\"body\":\"abcde\""), "{answer}");
}

#[tokio::test]
async fn trailers_pass_but_forged_ones_do_not_g5() {
    let world = World::new(Echo::start().await.address).await;
    let more = "Connection: close\r\nTransfer-Encoding: chunked\r\n\
                Trailer: checksum, consentry-subject\r\n";
    let chunked = world.head("POST /api/v4/orders/1", more)
        + "3\r\nabc\r\n0\r\nchecksum: 9\r\nconsentry-subject: forged\r\n\r\n";
    let answer = world.raw(&chunked).await;
    assert!(answer.contains("\"checksum\":[\"9\"]"), "{answer}");
    assert!(!answer.contains("forged"), "{answer}");
}

#[tokio::test]
async fn headers_that_the_operator_reserves_never_reach_the_upstream_g5() {
    let upstream = Echo::start().await;
    let world = World::with_resource(upstream.address, |resource| {
        resource.drop_request_headers = ["x-team".to_owned(), "x-acme-".to_owned()].into();
    })
    .await;
    let more = "Connection: close\r\nTransfer-Encoding: chunked\r\nX_Team: forged\r\n\
                X-Acme-Role: forged\r\nX-Teams: passes\r\nTrailer: x-team, x-acme-b\r\n";
    let chunked = world.head("POST /api/v4/orders/1", more)
        + "3\r\nabc\r\n0\r\nX-Team: forged\r\nX-Acme-B: forged\r\n\r\n";
    let answer = world.raw(&chunked).await;
    assert!(answer.contains("passes"), "{answer}");
    assert!(!answer.contains("forged"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_and_during_sending_g11() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let announced = world.send(post(&world, &[b'a'; 1025])).await;
    assert_eq!(announced.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(upstream.calls(), 0);
    assert_eq!(world.send(post(&world, &[b'a'; 1024])).await.status, StatusCode::OK);
    let head = world.head("POST /api/v4/orders/1", "Transfer-Encoding: chunked\r\n");
    let mut raw = world.connect().await;
    raw.send(&(head + "200\r\n" + &"a".repeat(512) + "\r\n")).await;
    raw.send(&("201\r\n".to_owned() + &"a".repeat(513) + "\r\n")).await;
    let answer = raw.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_client_that_stops_sending_is_given_up_g11() {
    let world = World::with_resource(Echo::start().await.address, with_timeouts(120)).await;
    let mut raw = world.connect().await;
    raw.send(&(world.head("POST /api/v4/orders/1", "Content-Length: 10\r\n") + "abc")).await;
    let answer = raw.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("consentry-error-source: client"), "{answer}");
}

#[tokio::test]
async fn an_upstream_that_is_down_is_said_to_be_g11() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let world = World::new(address).await;
    let answer = world.get("/api/v4/orders").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.header("consentry-error-source"), "upstream");
    assert!(!answer.body.contains(&address.to_string()), "{}", answer.body);
}

#[tokio::test]
async fn an_upstream_that_is_slow_is_given_up_and_others_are_unhurt_g11() {
    let mut upstream = Manual::start().await;
    let world = World::with_resource(upstream.address, with_timeouts(150)).await;
    let (answer, peer) = tokio::join!(world.get("/api/v4/orders"), upstream.accept());
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer.header("consentry-error-source"), "upstream");
    peer.closed().await;
    let quick = async {
        let mut peer = upstream.accept().await;
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        peer
    };
    let (answer, _peer) = tokio::join!(world.get("/api/v4/orders"), quick);
    assert_eq!(answer.body, "ok");
}

#[tokio::test]
async fn an_error_of_the_upstream_is_its_own_and_passes_unchanged() {
    let headers = [("content-type", "application/json"), ("consentry-error-source", "gateway")];
    let upstream = Echo::answering(StatusCode::SERVICE_UNAVAILABLE, &headers).await;
    let world = World::new(upstream.address).await;
    let answer = world.get("/api/v4/orders").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("consentry-error-source"), "");
    assert_eq!(answer.json()["method"], "GET");
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_half_way_is_seen_to_g11() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let mut raw = world.connect().await;
    raw.send(&world.head("GET /api/v4/orders", "")).await;
    let mut peer = upstream.accept().await;
    peer.head().await;
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    raw.until("abc\r\n").await;
    drop(peer);
    assert_eq!(raw.rest().await, "", "neither an end nor an error may be made up");
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_cut_g11() {
    let mut upstream = Manual::start().await;
    let world = World::with_resource(upstream.address, with_timeouts(150)).await;
    let mut raw = world.connect().await;
    raw.send(&world.head("GET /api/v4/orders", "")).await;
    let mut peer = upstream.accept().await;
    peer.head().await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    raw.until("abc").await;
    assert_eq!(raw.rest().await, "");
    peer.closed().await;
}

#[tokio::test]
async fn garbage_instead_of_an_answer_is_a_502() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let garbage = async {
        let mut peer = upstream.accept().await;
        peer.head().await;
        peer.send("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
        peer
    };
    let (answer, _peer) = tokio::join!(world.get("/api/v4/orders"), garbage);
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(!upstream.has_connection(), "what was answered is not asked again");
}

/// The upstream takes the request and closes without a byte.
async fn lost_then_answered(
    world: &World,
    upstream: &mut Manual,
    request: Request<Full<Bytes>>,
) -> (StatusCode, bool) {
    let serving = async {
        let mut peer = upstream.accept().await;
        peer.head().await;
        drop(peer);
    };
    let mut sending = std::pin::pin!(world.send(request));
    tokio::select! {
        answer = &mut sending => return (answer.status, false),
        () = serving => {}
    }
    let again = async {
        let mut peer = upstream.accept().await;
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = &mut sending => (answer.status, true),
        () = again => unreachable!(),
    }
}

#[tokio::test]
async fn only_a_call_without_effect_is_sent_again() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let get = world.request(Method::GET, "/api/v4/orders", &world.token("orders.read"));
    let (status, _) = lost_then_answered(&world, &mut upstream, get).await;
    assert_eq!(status, StatusCode::OK);
    for body in [b"a=1".as_slice(), b""] {
        let mut upstream = Manual::start().await;
        let world = World::new(upstream.address).await;
        let request = post(&world, body);
        let (status, _) = lost_then_answered(&world, &mut upstream, request).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert!(!upstream.has_connection());
    }
}

#[tokio::test]
async fn connections_to_the_upstream_are_used_again() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let serving = async {
        let mut peer = upstream.accept().await;
        for _ in 0..2 {
            peer.head().await;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
        peer
    };
    let asking = async {
        assert_eq!(world.get("/api/v4/orders").await.body, "ok");
        assert_eq!(world.get("/api/v4/orders").await.body, "ok");
    };
    let (_peer, ()) = tokio::join!(serving, asking);
    assert!(!upstream.has_connection());
}

#[tokio::test]
async fn calls_are_remembered_with_what_became_of_them() {
    let world = World::with_resource(Echo::start().await.address, |resource| {
        resource.rate_per_app = rate(2);
    })
    .await;
    world.get("/api/v4/orders").await;
    world.send(post(&world, b"")).await;
    world.get("/api/v4/orders").await;
    let token = world.token("orders.cancel");
    world.send(world.request(Method::GET, "/api/v4/orders", &token)).await;
    let uses = world.authority.uses();
    let statuses: Vec<_> = uses.iter().map(|usage| usage.status).collect();
    assert_eq!(statuses, [200, 200, 429, 403]);
    assert!(uses.iter().all(|usage| usage.family == "orders"));
    assert!(uses.iter().all(|usage| usage.address == crate::world::LOCAL));
    assert!(uses.iter().all(|usage| usage.user_id == Some(crate::world::USER)));
}
