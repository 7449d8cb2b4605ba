//! What the upstream learns of the caller, and what nobody can make it believe: attacks G5, G6, G7.

use std::sync::Arc;
use std::time::Duration;

use domain::app::App;
use http::{Method, StatusCode};
use protocol::jose;
use serde_json::{Value, json};

use crate::upstream::Echo;
use crate::world::{API, GRANT, ISSUER, USER, World};

async fn seen_headers(world: &World) -> Value {
    let answer = world.get("/api/v4/orders").await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json()["headers"].clone()
}

fn assertion(headers: &Value) -> String {
    headers["consentry-assertion"][0].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_upstream_learns_who_calls_and_can_prove_it() {
    let world = World::new(Echo::start().await.address).await;
    let headers = seen_headers(&world).await;
    assert_eq!(headers["consentry-subject"], json!([USER.to_string()]));
    assert_eq!(headers["consentry-client-id"], json!(["trading-bot"]));
    assert_eq!(headers["consentry-scopes"], json!(["orders.read"]));
    assert_eq!(headers["x-forwarded-for"], json!(["127.0.0.1"]));
    assert_eq!(headers["x-forwarded-host"], json!(["pages.test:8400"]));
    assert_eq!(headers["x-forwarded-proto"], json!(["http"]));
    assert!(headers.get("authorization").is_none());

    let keyring = world.keyring();
    let typ = "consentry-assertion+jwt";
    let claims = jose::verify(keyring.verifying_keys(), typ, &assertion(&headers)).unwrap();
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["sub"], USER.to_string());
    assert_eq!(claims["aud"], API);
    assert_eq!(claims["client_id"], "trading-bot");
    assert_eq!(claims["scope"], "orders.read");
    assert_eq!(claims["grant_id"], GRANT.to_string());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
}

#[tokio::test]
async fn an_assertion_serves_half_a_minute_and_dies_with_the_rows() {
    let world = World::new(Echo::start().await.address).await;
    let first = assertion(&seen_headers(&world).await);
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(assertion(&seen_headers(&world).await), first);
    world.clock.advance(Duration::from_secs(1));
    let second = assertion(&seen_headers(&world).await);
    assert_ne!(second, first);
    world.authority.change(|rows| rows.app = Arc::new(App::clone(&rows.app)));
    assert_ne!(assertion(&seen_headers(&world).await), second);
}

#[tokio::test]
async fn tokens_with_other_scopes_have_other_assertions() {
    let world = World::new(Echo::start().await.address).await;
    let mut seen = Vec::new();
    for scopes in ["orders.read", "orders.read orders.create", "orders.read"] {
        let request = world.request(Method::GET, "/api/v4/orders", &world.token(scopes));
        let headers = world.send(request).await.json()["headers"].clone();
        assert_eq!(headers["consentry-scopes"].as_array().unwrap().len(), 1);
        seen.push((assertion(&headers), headers["consentry-scopes"][0].clone()));
    }
    assert_ne!(seen[0].0, seen[1].0);
    assert_eq!(seen[0], seen[2]);
    assert_eq!(seen[1].1, "orders.create orders.read");
}

#[tokio::test]
async fn lookalikes_of_framing_headers_never_reach_the_upstream_g3() {
    let world = World::new(Echo::start().await.address).await;
    let more = "Content-Length: 2\r\nContent_Length: 9\r\nTransfer_Encoding: chunked\r\n\
                Connection: close\r\n";
    let answer = world.raw(&(world.head("POST /api/v4/orders/1", more) + "ab")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("content_length") && !answer.contains("transfer_enc"), "{answer}");
}

#[tokio::test]
async fn forged_identity_headers_never_reach_the_upstream_g5() {
    let world = World::new(Echo::start().await.address).await;
    let names = [
        "Consentry-Subject",
        "consentry_subject",
        "CONSENTRY-SUBJECT",
        "consentry.scopes",
        "Consentry_Client-Id",
        "Consentry-Assertion",
        "Consentry-Unheard-Of",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded-Prefix",
        "Forwarded",
        "X-Real-IP",
    ];
    let forged: String = names.iter().map(|name| format!("{name}: forged\r\n")).collect();
    for path in ["/api/v4/orders", "/api/v4/ticker"] {
        let head = world.head(&format!("GET {path}"), &format!("{forged}Connection: close\r\n"));
        let answer = world.raw(&head).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.contains("forged"), "{answer}");
    }
}

#[tokio::test]
async fn a_public_route_says_nothing_of_a_caller() {
    let world = World::new(Echo::start().await.address).await;
    let token = world.token("orders.read");
    let answer = world.send(world.request(Method::GET, "/api/v4/ticker", &token)).await;
    let headers = answer.json()["headers"].clone();
    for name in ["authorization", "consentry-subject", "consentry-assertion"] {
        assert!(headers.get(name).is_none(), "{name}");
    }
    assert!(world.authority.uses().is_empty());
}

#[tokio::test]
async fn cookies_of_our_pages_stay_with_us_and_none_is_set_g6() {
    let cookies = [("set-cookie", "__Host-cs-session-1=stolen; Path=/"), ("x-other", "1")];
    let upstream = Echo::answering(StatusCode::OK, &cookies).await;
    let world = World::new(upstream.address).await;
    let mut request = world.request(Method::GET, "/api/v4/orders", &world.token("orders.read"));
    let sent = "theirs=1; __Host-cs-session-1=secret; cs-visitor-1=secret";
    request.headers_mut().insert("cookie", sent.parse().unwrap());
    let answer = world.send(request).await;
    assert_eq!(answer.json()["headers"]["cookie"], json!(["theirs=1"]));
    assert_eq!(answer.header("set-cookie"), "");
    assert_eq!(answer.header("x-other"), "1");
}

#[tokio::test]
async fn an_answer_on_the_origin_of_the_pages_cannot_act_there_g7() {
    let page = [("content-type", "text/html"), ("clear-site-data", "\"cookies\"")];
    let upstream = Echo::answering(StatusCode::OK, &page).await;
    let world = World::new(upstream.address).await;
    let shared = world.get("/api/v4/orders").await;
    assert_eq!(shared.header("x-content-type-options"), "nosniff");
    assert_eq!(shared.header("content-security-policy"), "sandbox");
    assert_eq!(shared.header("clear-site-data"), "");
    assert_eq!(shared.header("content-type"), "text/html");

    let token = world
        .token_with("orders.read", |token| token.audience = crate::world::OWN_HOST_API.to_owned());
    let mut own = world.request(Method::GET, "/orders", &token);
    own.headers_mut().insert("host", "drive.test".parse().unwrap());
    let own = world.send(own).await;
    assert_eq!(own.status, StatusCode::OK);
    assert_eq!(own.header("content-security-policy"), "");
}

#[tokio::test]
async fn every_call_can_be_found_again_in_both_logs() {
    let world = World::new(Echo::start().await.address).await;
    let answer = world.get("/api/v4/orders").await;
    let id = answer.header("consentry-request-id");
    assert_eq!(id.len(), 16);
    assert_eq!(answer.json()["headers"]["consentry-request-id"], json!([id]));
    let refused = world.send(world.request(Method::GET, "/api/v4/orders", "")).await;
    assert_eq!(refused.header("consentry-request-id").len(), 16);
    assert_ne!(refused.header("consentry-request-id"), id);
}
