//! Slow upstreams and slow clients hold up nobody else (part of attack G11).

use domain::policy::Resource;
use http::{Method, StatusCode};

use crate::upstream::{Echo, Manual};
use crate::world::{PATIENCE, World};

fn one_at_a_time(resource: &mut Resource) {
    resource.upstream.as_mut().unwrap().in_service_max = 1;
}

#[tokio::test]
async fn calls_for_an_upstream_that_has_too_many_already_are_refused_at_once_g11() {
    let mut upstream = Manual::start().await;
    let world = World::with_resource(upstream.address, one_at_a_time).await;
    let token = world.token("orders.read");
    let first = world.send(world.request(Method::GET, "/api/v4/orders", &token));
    let second = async {
        let mut peer = upstream.accept().await;
        peer.head().await;
        let refused = world.get("/api/v4/ticker").await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        (refused, peer)
    };
    let (answered, (refused, mut peer)) = tokio::join!(first, second);
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("consentry-error-source"), "gateway");
    let again = async {
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    };
    let (answered, ()) = tokio::join!(world.get("/api/v4/ticker"), again);
    assert_eq!(answered.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_sends_slowly_keeps_nobody_from_the_upstream_g11() {
    let world = World::with_resource(Echo::start().await.address, one_at_a_time).await;
    let mut slow = world.connect().await;
    let head = world.head("POST /api/v4/orders/1", "Content-Length: 100\r\n");
    slow.send(&(head + "price=")).await;
    // It gives its place back, and it is never taken for long.
    let answered = async { while world.get("/api/v4/ticker").await.status != StatusCode::OK {} };
    tokio::time::timeout(PATIENCE, answered).await.expect("others are served");
    slow.send(&"1".repeat(94)).await;
    assert!(slow.until("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
}
