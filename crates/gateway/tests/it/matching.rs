//! Attacks G1, G2 and G12: what a request means is decided once.

use bytes::Bytes;
use gateway::Gateway;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::upstream::Echo;
use crate::world::{HOST, World};

#[tokio::test]
async fn a_path_that_two_programs_could_read_differently_is_refused_g1() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let paths = [
        "/api/v4/orders/..%2fadmin",
        "/api/v4/orders/%2e%2e/admin",
        "/api/v4/orders/../admin",
        "/api/v4/orders/./1",
        "/api/v4//orders",
        "/api/v4/orders/%252e%252e",
        "/api/v4/orders/..;/admin",
        "/api/v4/orders/%5cadmin",
        "/api/v4/orders/%00",
        "/api/v4/orders/%zz",
        "/api/v4/orders/%c0%ae",
    ];
    for path in paths {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer.header("consentry-error-source"), "client", "{path}");
    }
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn exactly_what_was_matched_is_forwarded_g1() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let answer = world.get("/api/v4/orders/%7E%41%3a?q=%2e%2e%2f&a=b").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["uri"], "/api/v4/orders/~A%3A?q=%2e%2e%2f&a=b");
}

#[tokio::test]
async fn a_path_of_the_upstream_takes_the_place_of_the_prefix() {
    let upstream = Echo::start().await;
    let world = World::with_resource(upstream.address, |resource| {
        let upstream = resource.upstream.as_mut().unwrap();
        upstream.url.push_str("/inner/v1");
    })
    .await;
    assert_eq!(world.get("/api/v4/orders?a=1").await.json()["uri"], "/inner/v1/orders?a=1");
}

#[tokio::test]
async fn other_case_a_trailing_slash_and_path_parameters_are_other_paths_g1() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    for path in ["/API/v4/orders", "/api/v4/Orders", "/api/v4/orders/", "/api/v4/orders;a=1"] {
        assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn what_matches_no_route_is_refused_in_the_envelope_g2() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let unknown = world.get("/api/v4/nothing").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.header("content-type"), "application/problem+json");
    assert_eq!(unknown.json()["error"], "not_found");
    let request = world.request(Method::DELETE, "/api/v4/orders", &world.token("orders.read"));
    let wrong_method = world.send(request).await;
    assert_eq!(wrong_method.status, StatusCode::METHOD_NOT_ALLOWED);
    let allow: Vec<_> = wrong_method.header("allow").split(", ").collect();
    for method in ["GET", "POST", "PUT"] {
        assert!(allow.contains(&method), "{allow:?}");
    }
    let preflight = world.request(Method::OPTIONS, "/api/v4/orders", "");
    assert_eq!(world.send(preflight).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn headers_that_override_method_or_path_never_reach_the_upstream_g2() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let mut request = world.request(Method::GET, "/api/v4/orders", &world.token("orders.read"));
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x_http_method_override",
        "x-original-url",
        "x-rewrite-url",
    ] {
        request.headers_mut().insert(name, "DELETE".parse().unwrap());
    }
    let answer = world.send(request).await;
    assert_eq!(answer.json()["method"], "GET");
    assert!(!answer.body.contains("DELETE"), "{}", answer.body);
}

#[tokio::test]
async fn head_is_get_without_the_content() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let request = world.request(Method::HEAD, "/api/v4/orders", &world.token("orders.read"));
    let answer = world.send(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "");
    assert_ne!(answer.header("content-length"), "0");
    let request = world.request(Method::HEAD, "/api/v4/orders", &world.token("orders.create"));
    assert_eq!(world.send(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_request_for_another_host_is_refused_g12() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let other = format!("GET http://{}/api/v4/orders", upstream.address);
    let answer = world.raw(&world.head(&other, "Connection: close\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let same = format!("GET http://{HOST}/api/v4/orders");
    let answer = world.raw(&world.head(&same, "Connection: close\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let unknown_host: Request<Full<Bytes>> = Request::builder()
        .uri("/api/v4/orders")
        .header("host", "other.test")
        .body(Full::default())
        .unwrap();
    assert_eq!(world.send(unknown_host).await.status, StatusCode::NOT_FOUND);
    let connect = format!("CONNECT {} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", upstream.address);
    let mut raw = world.connect().await;
    raw.send(&connect).await;
    assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn a_redirect_of_the_upstream_is_passed_on_and_never_followed_g12() {
    let target = Echo::start().await;
    let location: &'static str =
        Box::leak(format!("http://{}/secret", target.address).into_boxed_str());
    let upstream = Echo::answering(StatusCode::FOUND, &[("location", location)]).await;
    let world = World::new(upstream.address).await;
    let answer = world.get("/api/v4/orders").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.header("location"), location);
    assert_eq!(target.calls(), 0);
}

#[tokio::test]
async fn the_gateway_says_which_requests_are_its_own() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let owns = |host: &str, path: &str| Gateway::owns(&world.gateway, host, path);
    assert!(owns(HOST, "/api/v4/orders"));
    assert!(owns("PAGES.test", "/api/v4"));
    assert!(owns("drive.test", "/anything"));
    assert!(!owns(HOST, "/api/v4beta"));
    assert!(!owns(HOST, "/sign-in"));
    assert!(!owns("other.test", "/api/v4/orders"));
    assert!(!owns("drive.test", "/.well-known/oauth-protected-resource"));
}

#[tokio::test]
async fn a_new_policy_holds_from_the_next_call_on() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    assert_eq!(world.get("/api/v4/orders").await.status, StatusCode::OK);
    let mut policy = (*world.policy.load_full()).clone();
    policy.resources.remove(0);
    world.policy.store(policy.into());
    assert_eq!(world.get("/api/v4/orders").await.status, StatusCode::NOT_FOUND);
}
