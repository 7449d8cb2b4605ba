//! Attack G9: an open stream ends when the access does.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::upstream::{Manual, Peer};
use crate::world::{Raw, World};

const SSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                   Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
const DOWNLOAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nfirst";

/// An answer that has begun and goes on.
async fn open(world: &World, upstream: &mut Manual, answer: &str, first: &str) -> (Raw, Peer) {
    let mut raw = world.connect().await;
    raw.send(&world.head("GET /api/v4/stream", "")).await;
    let mut peer = upstream.accept().await;
    peer.head().await;
    peer.send(answer).await;
    raw.until(first).await;
    (raw, peer)
}

#[tokio::test]
async fn events_pass_one_by_one_while_the_stream_is_open() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let (mut raw, mut peer) = open(&world, &mut upstream, SSE, "data: 1\n\n").await;
    for number in 2..5 {
        peer.send(&format!("9\r\ndata: {number}\n\n\r\n")).await;
        raw.until(&format!("data: {number}\n\n")).await;
    }
}

#[tokio::test]
async fn an_open_answer_is_cut_when_the_access_is_taken_back_g9() {
    type Step = (&'static str, fn(&World));
    let steps: [Step; 4] = [
        ("grant", |world| world.authority.revoke_grant()),
        ("token", |world| world.authority.revoke_token()),
        ("row gone", |world| world.authority.remove_grant()),
        ("cut off", |world| world.authority.cut_feed()),
    ];
    for (answer, first) in [(SSE, "data: 1\n\n"), (DOWNLOAD, "first")] {
        for (what, revoke) in steps {
            let mut upstream = Manual::start().await;
            let world = World::new(upstream.address).await;
            let (raw, peer) = open(&world, &mut upstream, answer, first).await;
            revoke(&world);
            let rest = raw.rest().await;
            assert!(!rest.contains("0\r\n\r\n"), "{what}: it must not look complete: {rest:?}");
            peer.closed().await;
        }
    }
}

#[tokio::test]
async fn a_download_that_never_pauses_is_cut_too_g9() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let (mut raw, mut peer) = open(&world, &mut upstream, DOWNLOAD, "first").await;
    let pouring = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        // Ends only when the gateway closes the connection.
        while peer.0.write_all(&[b'a'; 1000]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    raw.until("aaaa").await;
    world.authority.revoke_grant();
    raw.rest().await;
    tokio::time::timeout(crate::world::PATIENCE, pouring).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_open_answer_is_cut_when_the_scope_of_its_route_is_taken_g9() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let (raw, peer) = open(&world, &mut upstream, SSE, "data: 1\n\n").await;
    world.authority.change(|rows| {
        let mut app = domain::app::App::clone(&rows.app);
        app.approved = crate::world::scopes("orders.create");
        rows.app = app.into();
    });
    raw.rest().await;
    peer.closed().await;
}

#[tokio::test]
async fn news_about_others_cut_nothing() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let (mut raw, mut peer) = open(&world, &mut upstream, SSE, "data: 1\n\n").await;
    for number in 2..5 {
        world.authority.tell();
        peer.send(&format!("9\r\ndata: {number}\n\n\r\n")).await;
        raw.until(&format!("data: {number}\n\n")).await;
    }
}

#[tokio::test]
async fn an_event_stream_ends_with_its_token_and_a_download_does_not_g9() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let (raw, peer) = open(&world, &mut upstream, SSE, "data: 1\n\n").await;
    let (mut download, mut download_peer) = open(&world, &mut upstream, DOWNLOAD, "first").await;
    world.clock.advance(Duration::from_secs(600));
    world.authority.tell();
    raw.rest().await;
    peer.closed().await;
    download_peer.send("second").await;
    download.until("second").await;
    world.authority.revoke_grant();
    download.rest().await;
}

#[tokio::test]
async fn a_call_that_waits_for_its_answer_is_cut_with_401_g9() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let token = world.token("orders.read");
    let asking = world.send(world.request(Method::GET, "/api/v4/stream", &token));
    let revoking = async {
        let mut peer = upstream.accept().await;
        peer.head().await;
        world.authority.revoke_grant();
        peer.closed().await;
    };
    let (answer, ()) = tokio::join!(asking, revoking);
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header("www-authenticate").contains("invalid_token"));
}

#[tokio::test]
async fn closing_the_streams_ends_what_is_open() {
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let (raw, peer) = open(&world, &mut upstream, SSE, "data: 1\n\n").await;
    world.gateway.close_streams().await;
    raw.rest().await;
    peer.closed().await;
}
