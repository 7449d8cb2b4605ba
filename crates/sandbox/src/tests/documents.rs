//! The OpenAPI documents against the routers: nothing missing, nothing made up, and every route
//! that the document protects refuses a call without an assertion.

use std::collections::BTreeSet;

use super::*;
use crate::routes::Route;

/// The twenty scopes that WhiteBIT documents, those that some route needs first.
const EXCHANGE_SCOPES: [&str; 20] = [
    "balances.read",
    "deals.read",
    "orders.create",
    "orders.delete",
    "orders.read",
    "orders_history.read",
    "users.balances.read",
    "users.converts.read",
    "users.deals.read",
    "users.orders.read",
    "users.transactions.read",
    "apikeys.create",
    "apikeys.delete",
    "apikeys.read",
    "general",
    "markets.read",
    "show.userinfo",
    "users.email.read",
    "users.kyc.read",
    "users.read",
];
const EXCHANGE_SCOPES_USED: usize = 11;
const DRIVE_SCOPES: [&str; 4] = ["account.read", "files.read", "files.write", "full"];

/// One operation of a document: method, path, and the scopes that it needs.
fn operations(document: &str) -> Vec<(String, String, Vec<String>)> {
    let document: Value = serde_saphyr::from_str(document).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation["security"].as_array().expect("every route says who may");
            let scopes = security.iter().flat_map(|each| each["oauth2"].as_array().unwrap());
            let scopes = scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect();
            operations.push((method.to_uppercase(), path.clone(), scopes));
        }
    }
    operations
}

fn names<S>(routes: &[Route<S>]) -> BTreeSet<(String, String)> {
    routes.iter().map(|route| (route.method.to_string(), route.path.to_owned())).collect()
}

fn described(document: &str) -> BTreeSet<(String, String)> {
    operations(document).into_iter().map(|(method, path, _)| (method, path)).collect()
}

fn used_scopes(document: &str) -> BTreeSet<String> {
    operations(document).into_iter().flat_map(|(.., scopes)| scopes).collect()
}

fn declared_scopes(document: &str) -> BTreeSet<String> {
    let document: Value = serde_saphyr::from_str(document).unwrap();
    let flow = &document["components"]["securitySchemes"]["oauth2"]["flows"]["authorizationCode"];
    flow["scopes"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    assert_eq!(names(&exchange::routes()), described(exchange::OPENAPI));
    assert_eq!(names(&drive::routes()), described(drive::OPENAPI));
}

#[test]
fn the_scopes_are_the_agreed_ones_and_all_are_declared() {
    let documented = EXCHANGE_SCOPES.map(str::to_owned);
    let used = documented[..EXCHANGE_SCOPES_USED].iter().cloned().collect();
    assert_eq!(used_scopes(exchange::OPENAPI), used);
    assert_eq!(declared_scopes(exchange::OPENAPI), documented.into());
    assert_eq!(used_scopes(drive::OPENAPI), DRIVE_SCOPES.map(str::to_owned).into());
    assert_eq!(declared_scopes(drive::OPENAPI), used_scopes(drive::OPENAPI));
}

#[tokio::test]
async fn a_protected_route_refuses_a_call_without_an_assertion_and_an_open_one_does_not() {
    let world = World::new();
    let exchange_refusal = json!({ "data": { "message": ["Unauthorized."] } });
    let drive_refusal = json!({
        "status": "error",
        "data": null,
        "errors": [{ "message": "Unauthorized access", "code": 401 }],
    });
    for (document, router, refusal) in [
        (exchange::OPENAPI, &world.exchange, exchange_refusal),
        (drive::OPENAPI, &world.drive, drive_refusal),
    ] {
        for (method, path, scopes) in operations(document) {
            let uri = path.replace("{market}", "BTC_USDT").replace(['{', '}'], "");
            let request = Request::builder().method(method.as_str()).uri(&uri);
            let answer = send(router, request.body(Body::empty()).unwrap()).await;
            if scopes.is_empty() {
                assert_ne!(answer.status, 401, "{method} {path}");
            } else {
                assert_eq!(answer.status, 401, "{method} {path}");
                assert_eq!(answer.json(), refusal, "{method} {path}");
                assert_ne!(answer.header("www-authenticate"), "");
            }
        }
    }
}

#[tokio::test]
async fn an_assertion_for_one_api_is_refused_by_the_other() {
    let world = World::new();
    let token = world.assertion(DRIVE, "alice");
    let request = Request::post("/api/v4/orders").header(ASSERTION_HEADER, token);
    assert_eq!(send(&world.exchange, request.body(Body::empty()).unwrap()).await.status, 401);
    let token = world.assertion(EXCHANGE, "alice");
    let request = Request::get("/v2/me").header(ASSERTION_HEADER, token);
    assert_eq!(send(&world.drive, request.body(Body::empty()).unwrap()).await.status, 401);
}
