//! The answer for proxies that forward themselves: attack G8.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use domain::policy::Resource;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use ipnet::IpNet;
use serde_json::json;

use crate::upstream::Echo;
use crate::world::{HOST, LOCAL, USER, World, rate};

struct Judged {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

async fn guarded(change: impl Fn(&mut Resource)) -> World {
    World::with_resource(Echo::start().await.address, |resource| {
        resource.upstream = None;
        change(resource);
    })
    .await
}

async fn ask(world: &World, path: &str, headers: &[(&str, &str)]) -> Judged {
    ask_as(world, Method::GET, path, headers, "127.0.0.0/8").await
}

async fn ask_as(
    world: &World,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    trusted: &str,
) -> Judged {
    let token = world.token("orders.read");
    let mut request = Request::builder().method(method).uri(path).header("host", HOST);
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        if !value.is_empty() {
            request = request.header(*name, *value);
        }
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let trusted: [IpNet; 1] = [trusted.parse().unwrap()];
    let (parts, body) = world.gateway.forward_auth(request, LOCAL, &trusted).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Judged { status: parts.status, headers: parts.headers, body }
}

fn nginx<'a>(method: &'a str, uri: &'a str) -> [(&'a str, &'a str); 2] {
    [("x-original-method", method), ("x-original-uri", uri)]
}

#[tokio::test]
async fn each_proxy_asks_in_its_own_way_and_gets_the_identity() {
    let world = guarded(|_| {}).await;
    let traefik = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-host", HOST),
        ("x-forwarded-uri", "/api/v4/orders?a=1"),
    ];
    let answers = [
        ask(&world, "/forward-auth/nginx", &nginx("GET", "/api/v4/orders?a=1")).await,
        ask(&world, "/forward-auth/traefik", &traefik).await,
        ask(&world, "/forward-auth/envoy/api/v4/orders?a=1", &[]).await,
    ];
    for answer in answers {
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(answer.body.is_empty());
        assert_eq!(answer.headers["consentry-subject"], USER.to_string());
        assert_eq!(answer.headers["consentry-client-id"], "trading-bot");
        assert_eq!(answer.headers["consentry-scopes"], "orders.read");
        assert!(!answer.headers["consentry-assertion"].is_empty());
    }
    assert_eq!(world.authority.uses().len(), 3);
}

#[tokio::test]
async fn a_peer_that_is_not_trusted_learns_nothing_g8() {
    let world = guarded(|_| {}).await;
    let asked = nginx("GET", "/api/v4/orders");
    let answer = ask_as(&world, Method::GET, "/forward-auth/nginx", &asked, "10.0.0.0/8").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.headers.is_empty() && answer.body.is_empty());
    assert_eq!(world.authority.row_reads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_original_call_cannot_be_spoofed_g8() {
    let world = guarded(|_| {}).await;
    // A client sends the header of another style along: the address alone decides which is read.
    let traefik = [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-host", HOST),
        ("x-forwarded-uri", "/api/v4/orders"),
        ("x-original-method", "GET"),
        ("x-original-uri", "/api/v4/ticker"),
    ];
    let answer = ask(&world, "/forward-auth/traefik", &traefik).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("scope=\"orders.cancel orders.create\""), "{challenge}");

    let twice = [
        ("x-original-method", "GET"),
        ("x-original-uri", "/api/v4/ticker"),
        ("x-original-uri", "/api/v4/orders"),
    ];
    let missing = [("x-original-uri", "/api/v4/ticker")];
    for headers in [twice.as_slice(), &missing, &[]] {
        let answer = ask(&world, "/forward-auth/nginx", headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(!answer.headers.contains_key("consentry-subject"));
    }
}

#[tokio::test]
async fn only_a_path_that_is_forwarded_as_it_was_matched_passes_g1() {
    let world = guarded(|_| {}).await;
    for path in ["/api/v4/orders/..%2fadmin", "/api/v4/%6Frders", "/api/v4//orders"] {
        let answer = ask(&world, "/forward-auth/nginx", &nginx("GET", path)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn refusals_have_a_status_that_every_proxy_takes_for_a_no() {
    // This envelope says 200 for an unknown endpoint.
    let world = guarded(|resource| {
        resource.envelope = crate::world::bitport_envelope();
        resource.rate_per_app = rate(1);
    })
    .await;
    let unknown = nginx("GET", "/api/v4/nothing");
    let other_method = nginx("DELETE", "/api/v4/orders");
    for asked in [unknown, other_method] {
        let answer = ask(&world, "/forward-auth/nginx", &asked).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.body.is_empty(), "nginx closes the connection after a body");
    }
    let answer = ask(&world, "/forward-auth/envoy/api/v4/nothing", &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let envelope: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(envelope["status"], json!("error"));

    let asked = [nginx("GET", "/api/v4/orders").as_slice(), &[("authorization", "")]].concat();
    let answer = ask(&world, "/forward-auth/nginx", &asked).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.headers.contains_key("www-authenticate"));

    let asked = nginx("GET", "/api/v4/orders");
    assert_eq!(ask(&world, "/forward-auth/nginx", &asked).await.status, StatusCode::NO_CONTENT);
    let limited = ask(&world, "/forward-auth/nginx", &asked).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.headers.contains_key("retry-after"));

    world.authority.cut_feed();
    let answer = ask(&world, "/forward-auth/nginx", &asked).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_public_route_overwrites_forged_identity_with_nothing_g5() {
    let world = guarded(|_| {}).await;
    let asked = [nginx("GET", "/api/v4/ticker").as_slice(), &[("authorization", "")]].concat();
    let answer = ask(&world, "/forward-auth/nginx", &asked).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers["consentry-subject"], "");
    assert_eq!(answer.headers["consentry-assertion"], "");
}

#[tokio::test]
async fn the_address_of_the_caller_is_what_the_proxy_wrote_last() {
    let world = guarded(|_| {}).await;
    world.authority.change(|rows| {
        let mut app = domain::app::App::clone(&rows.app);
        app.addresses = vec!["10.1.1.1/32".parse().unwrap()];
        rows.app = app.into();
    });
    let mut asked = nginx("GET", "/api/v4/orders").to_vec();
    assert_eq!(ask(&world, "/forward-auth/nginx", &asked).await.status, StatusCode::FORBIDDEN);
    asked.push(("x-forwarded-for", "10.1.1.1, 192.0.2.7"));
    assert_eq!(ask(&world, "/forward-auth/nginx", &asked).await.status, StatusCode::FORBIDDEN);
    asked.pop();
    asked.push(("x-forwarded-for", "192.0.2.7, 10.1.1.1"));
    assert_eq!(ask(&world, "/forward-auth/nginx", &asked).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_another_proxy_forwards_is_not_forwarded_here() {
    let world = guarded(|_| {}).await;
    assert!(!world.gateway.owns(HOST, "/api/v4/orders"));
    assert_eq!(world.get("/api/v4/orders").await.status, StatusCode::NOT_FOUND);
    let answer = ask(&world, "/forward-auth/other", &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
