//! What the developer of an app reads of its calls.

use std::sync::Arc;

use domain::grant::Mode;
use domain::plan::Plan;
use domain::policy::Policy;
use domain::request_log::Entry;
use http::{Method, StatusCode};

use crate::upstream::Echo;
use crate::world::{APP, START, World, rate};

fn last(world: &World) -> Entry {
    world.authority.log.lock().unwrap().last().cloned().expect("something was noted")
}

fn with_plan(world: &World, plan: Plan) {
    let plan = Plan { name: "free".to_owned(), is_default: true, ..plan };
    let policy = Policy { plans: vec![plan], ..(**world.policy.load()).clone() };
    world.policy.store(Arc::new(policy));
}

#[tokio::test]
async fn a_call_is_told_by_its_route_and_never_by_what_was_sent() {
    let world = World::new(Echo::start().await.address).await;
    let answer = world.get("/api/v4/orders/4711?secret=1").await;
    let entry = last(&world);
    assert_eq!((entry.method.as_str(), entry.route.as_str()), ("GET", "/api/v4/orders/{id}"));
    assert_eq!((entry.app_id, entry.status, entry.reason.as_str()), (APP, 200, ""));
    assert_eq!(entry.request_id, answer.header("consentry-request-id"));
    assert_eq!((entry.mode, entry.user_mark.as_str()), (Some(Mode::Live), "03030303"));
}

#[tokio::test]
async fn a_refusal_names_the_missing_scope() {
    let world = World::new(Echo::start().await.address).await;
    let token = world.token("orders.cancel");
    world.send(world.request(Method::GET, "/api/v4/orders", &token)).await;
    let entry = last(&world);
    let told = (entry.status, entry.reason.as_str(), entry.detail.as_str());
    assert_eq!(told, (403, "scope", "orders.read"));
}

#[tokio::test]
async fn a_token_that_is_no_good_any_more_is_told_to_its_app_with_the_reason() {
    let world = World::new(Echo::start().await.address).await;
    let token = world.token_with("orders.read", |token| token.audience = "other".to_owned());
    let answer = world.send(world.request(Method::GET, "/api/v4/orders", &token)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!((last(&world).status, last(&world).reason.as_str()), (401, "wrong_audience"));
    assert!(world.authority.uses().is_empty(), "nobody was let in");
    let nobody = world.send(world.request(Method::GET, "/api/v4/orders", "nonsense")).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.authority.log.lock().unwrap().len(), 1, "it names no app");
}

#[tokio::test]
async fn the_quota_of_a_plan_ends_with_its_day_and_refused_calls_use_none_of_it() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    with_plan(&world, Plan { calls_per_day: Some(2), ..Plan::default() });
    let token = world.token("orders.cancel");
    world.send(world.request(Method::GET, "/api/v4/orders", &token)).await;
    for _ in 0..2 {
        assert_eq!(world.get("/api/v4/orders").await.status, StatusCode::OK);
    }
    let refused = world.get("/api/v4/orders").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json()["error"], "rate_limited");
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert_eq!((START / 1000 + wait) % 86_400, 0, "until midnight, UTC");
    assert_eq!(last(&world).reason, "quota");
    assert_eq!(upstream.calls(), 2);
}

#[tokio::test]
async fn the_rate_of_a_plan_holds_through_all_apis_and_says_so() {
    let world = World::with_resource(Echo::start().await.address, |resource| {
        resource.rate_per_app = rate(100);
    })
    .await;
    with_plan(&world, Plan { rate: rate(1), ..Plan::default() });
    let first = world.get("/api/v4/orders").await;
    assert_eq!(first.header("ratelimit-policy"), "\"app\";q=100;w=3600, \"plan\";q=1;w=3600");
    let second = world.get("/api/v4/orders/1").await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(last(&world).reason, "rate");
    with_plan(&world, Plan { rate: rate(1), users_max: Some(1), ..Plan::default() });
    let reloaded = world.get("/api/v4/orders").await;
    assert_eq!(reloaded.status, StatusCode::TOO_MANY_REQUESTS, "a reload forgives nothing");
}
