//! How often: per app and per user, said in headers.

use http::{Method, StatusCode};

use crate::upstream::Echo;
use crate::world::{World, rate};

#[tokio::test]
async fn too_many_calls_are_refused_and_the_headers_say_when_to_come_back() {
    let upstream = Echo::start().await;
    let world = World::with_resource(upstream.address, |resource| {
        resource.rate_per_app = rate(2);
        resource.rate_per_user = rate(100);
    })
    .await;
    let first = world.get("/api/v4/orders").await;
    assert_eq!(first.header("ratelimit-policy"), "\"app\";q=2;w=3600, \"user\";q=100;w=3600");
    assert!(first.header("ratelimit").starts_with("\"app\";r=1;t=1800, \"user\";r=99;"));
    assert_eq!(world.get("/api/v4/orders").await.status, StatusCode::OK);
    let third = world.get("/api/v4/orders").await;
    assert_eq!(third.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(third.header("ratelimit").starts_with("\"app\";r=0;t=3600"));
    assert_eq!(third.json()["error"], "rate_limited");
    let wait: u64 = third.header("retry-after").parse().unwrap();
    assert!((1790..=1800).contains(&wait), "{wait}");
    assert_eq!(upstream.calls(), 2);
}

#[tokio::test]
async fn a_reload_of_the_policy_forgives_nothing() {
    let world = World::with_resource(Echo::start().await.address, |resource| {
        resource.rate_per_user = rate(1);
    })
    .await;
    assert_eq!(world.get("/api/v4/orders").await.status, StatusCode::OK);
    let mut policy = (*world.policy.load_full()).clone();
    policy.resources[0].name = "Renamed".to_owned();
    world.policy.store(policy.into());
    assert_eq!(world.get("/api/v4/orders").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn refusals_for_want_of_scopes_do_not_use_up_the_allowance() {
    let world = World::with_resource(Echo::start().await.address, |resource| {
        resource.rate_per_app = rate(1);
    })
    .await;
    for _ in 0..3 {
        let token = world.token("orders.cancel");
        let request = world.request(Method::GET, "/api/v4/orders", &token);
        assert_eq!(world.send(request).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(world.get("/api/v4/orders").await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_limits_there_are_no_headers_about_them() {
    let world = World::new(Echo::start().await.address).await;
    let answer = world.get("/api/v4/orders").await;
    assert_eq!(answer.header("ratelimit"), "");
    assert_eq!(answer.header("ratelimit-policy"), "");
}
