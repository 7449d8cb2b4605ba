//! Single-page apps call an API from a browser (Fetch standard, “CORS protocol”).

use bytes::Bytes;
use domain::policy::{Cors, CorsOrigins, Resource};
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::upstream::Echo;
use crate::world::{Answer, World, rate};

const APP: &str = "https://app.example";

fn listed(resource: &mut Resource) {
    resource.cors = Some(Cors {
        origins: CorsOrigins::Listed(vec!["https://other.example".to_owned(), APP.to_owned()]),
        headers: vec!["Idempotency-Key".to_owned()],
        expose: vec!["X-Total".to_owned()],
    });
}

fn any(resource: &mut Resource) {
    resource.cors = Some(Cors { origins: CorsOrigins::Any, headers: vec![], expose: vec![] });
}

async fn world(change: impl Fn(&mut Resource)) -> (World, Echo) {
    let upstream = Echo::answering(
        StatusCode::OK,
        &[
            ("access-control-allow-origin", "https://upstream.example"),
            ("access-control-allow-credentials", "true"),
            ("vary", "Accept"),
        ],
    )
    .await;
    (World::with_resource(upstream.address, change).await, upstream)
}

fn from(mut request: Request<Full<Bytes>>, origin: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert("origin", origin.parse().unwrap());
    request
}

async fn preflight(world: &World, path: &str, origin: &str) -> Answer {
    let mut request = from(world.request(Method::OPTIONS, path, ""), origin);
    let asked = [
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    for (name, value) in asked {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    world.send(request).await
}

#[tokio::test]
async fn the_gateway_answers_a_preflight_itself() {
    let (world, upstream) = world(listed).await;
    let answer = preflight(&world, "/api/v4/orders/7", APP).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    assert_eq!(answer.header("access-control-allow-methods"), "GET, POST, HEAD");
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "Authorization, Content-Type, Idempotency-Key"
    );
    assert_eq!(answer.header("access-control-max-age"), "600");
    assert_eq!(answer.header("vary"), "Origin");
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    let unknown = preflight(&world, "/api/v4/nothing", APP).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn a_page_of_another_origin_is_not_allowed() {
    let (world, _upstream) = world(listed).await;
    let token = world.token("orders.read");
    for origin in ["https://evil.example", "https://app.example.evil.example", "null", "*"] {
        let asked = preflight(&world, "/api/v4/orders", origin).await;
        let call = from(world.request(Method::GET, "/api/v4/orders", &token), origin);
        for answer in [asked, world.send(call).await] {
            assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
            assert!(answer.headers.get_all("vary").iter().any(|vary| vary == "Origin"));
        }
    }
}

#[tokio::test]
async fn an_answer_says_for_whom_it_is_in_place_of_what_the_upstream_says() {
    let (world, _upstream) = world(listed).await;
    let token = world.token("orders.read");
    let call = from(world.request(Method::GET, "/api/v4/orders", &token), APP);
    let answer = world.send(call).await;
    assert_eq!(answer.status, StatusCode::OK);
    let allowed: Vec<_> = answer.headers.get_all("access-control-allow-origin").iter().collect();
    assert_eq!(allowed, [APP]);
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    let exposed = answer.header("access-control-expose-headers");
    for name in ["WWW-Authenticate", "RateLimit", "Retry-After", "Consentry-Request-Id", "X-Total"]
    {
        assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}: {exposed}");
    }
    let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept", "Origin"]);
    let by_no_page = world.get("/api/v4/orders").await;
    assert!(!by_no_page.headers.contains_key("access-control-allow-origin"));
    assert!(by_no_page.headers.get_all("vary").iter().any(|vary| vary == "Origin"));
}

#[tokio::test]
async fn refusals_can_be_read_by_a_page_too() {
    let (world, _upstream) = world(|resource| {
        any(resource);
        resource.rate_per_app = rate(1);
    })
    .await;
    let read = world.token("orders.read");
    let calls = [
        (Method::GET, "", StatusCode::UNAUTHORIZED),
        (Method::POST, &*read, StatusCode::FORBIDDEN),
        (Method::DELETE, &*read, StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, &*read, StatusCode::OK),
        (Method::GET, &*read, StatusCode::TOO_MANY_REQUESTS),
    ];
    for (method, token, status) in calls {
        let call = from(world.request(method, "/api/v4/orders", token), APP);
        let answer = world.send(call).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{status}");
    }
}

#[tokio::test]
async fn an_api_that_sees_to_it_itself_is_left_alone() {
    let (world, upstream) = world(|_| {}).await;
    let token = world.token("orders.read");
    let call = from(world.request(Method::GET, "/api/v4/orders", &token), APP);
    let answer = world.send(call).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://upstream.example");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    let asked = preflight(&world, "/api/v4/orders", APP).await;
    assert_eq!(asked.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(upstream.calls(), 1);
}
