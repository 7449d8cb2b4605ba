//! The use cases of the product in the dialects where they apply. The mobile app stays with the
//! standard: neither provider had clients without a secret. The device without a signed-in user
//! needs user codes, which no dialect has yet.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Browser, Demo, TestApp};

use super::seen::{authorize_url, post};
use super::{bitport, whitebit};
use crate::BINARY;
use crate::use_cases::{assert_audited, buy_order, open_orders};

/// The partner app with what it needs of `alice`, who unticks `unticked`.
async fn partner(demo: &Demo, alice: &Browser, unticked: &[&str]) -> (TestApp, String, String) {
    let app = demo.exchange.app("whitebit-partner");
    let url = authorize_url(&app, whitebit::LOGIN, &[("clientId", &app.client_id)]);
    let mut form = alice.open(&url).await.form("consent").set("decision", "allow");
    for scope in unticked {
        form = form.without("scope", scope);
    }
    let code = alice.submit(&form).await.callback_parameter("code").expect("a code");
    let secret = app.client_secret.clone().unwrap();
    let form = [("client_id", &*app.client_id), ("client_secret", &*secret), ("code", &*code)];
    let answer = post(&app, whitebit::TOKEN, &form).await;
    let (token, scope) = (answer.at("/data/access_token"), answer.at("/data/scope"));
    (app, token, scope)
}

#[tokio::test]
async fn a_trading_bot_of_whitebit_places_modifies_and_cancels_orders_and_nothing_else() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let needed = ["general", "orders.create", "orders.delete", "orders.read"];
    let all = whitebit::registered_scopes(&demo);
    let others: Vec<&str> =
        all.iter().map(String::as_str).filter(|scope| !needed.contains(scope)).collect();
    let (bot, token, scope) = partner(&demo, &alice, &others).await;
    assert_eq!(scope, needed.join(","));

    let placed = bot.call(Method::POST, "/api/v4/order/new", &token, buy_order()).await;
    assert_eq!(placed.status, StatusCode::OK, "{}", placed.body);
    let id = placed.body["orderId"].clone();
    let change = json!({ "market": "BTC_USDT", "orderId": id, "price": "19000" });
    let modified = bot.call(Method::POST, "/api/v4/order/modify", &token, change).await;
    assert_eq!(modified.status, StatusCode::OK, "{}", modified.body);
    let open = open_orders(&bot, &token).await;
    assert_eq!((open.len(), &open[0]["price"]), (1, &json!("19000")));
    let order = json!({ "market": "BTC_USDT", "orderId": open[0]["orderId"] });
    let cancelled = bot.call(Method::POST, "/api/v4/order/cancel", &token, order).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.body);
    assert!(open_orders(&bot, &token).await.is_empty());

    let balance = bot.call(Method::POST, "/api/v4/trade-account/balance", &token, json!({})).await;
    assert_eq!(balance.status, StatusCode::FORBIDDEN);
    let challenge = balance.header("www-authenticate");
    assert!(challenge.contains("balances.read"), "the refusal names what is missing: {challenge}");
    assert!(balance.body["data"]["message"].is_array(), "in the API's envelope: {}", balance.body);
    assert_audited(&demo, "exchange", &bot, &["consent.given", "grant.created"]);
}

#[tokio::test]
async fn a_portfolio_tracker_of_whitebit_reads_balances_and_every_write_is_refused() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let (tracker, token, scope) = partner(&demo, &alice, &["orders.create", "orders.delete"]).await;
    assert!(!scope.contains("create") && !scope.contains("delete"), "{scope}");
    for path in ["/api/v4/trade-account/balance", "/api/v4/accounts/balances/spot"] {
        let balance = tracker.call(Method::POST, path, &token, json!({})).await;
        assert_eq!(balance.status, StatusCode::OK, "{path}: {}", balance.body);
    }
    for path in ["/api/v4/order/new", "/api/v4/order/modify", "/api/v4/order/cancel"] {
        let refused = tracker.call(Method::POST, path, &token, buy_order()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(open_orders(&tracker, &token).await.is_empty(), "nothing reached the exchange");
    assert_audited(&demo, "exchange", &tracker, &["consent.given", "grant.created"]);
}

#[tokio::test]
async fn an_enterprise_of_whitebit_calls_from_its_own_addresses_and_leaves_a_trail() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let (app, token, _) = partner(&demo, &alice, &[]).await;
    let balance = app.call(Method::POST, "/api/v4/accounts/balances/main", &token, json!({})).await;
    assert_eq!(balance.status, StatusCode::OK, "{}", balance.body);
    // It is no app of the standard, and acts for nobody but its users.
    let own = app.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!(own.error(), "invalid_client");
    let url = authorize_url(&app, whitebit::LOGIN, &[("clientId", &app.client_id)]);
    let again = alice.open(&url).await.callback_parameter("code").expect("a remembered consent");
    let secret = app.client_secret.clone().unwrap();
    let form = [("client_id", &*app.client_id), ("client_secret", &*secret), ("code", &*again)];
    post(&app, whitebit::TOKEN, &form).await.at("/data/access_token");
    let replayed = post(&app, whitebit::TOKEN, &form).await;
    assert_eq!(replayed.status, 401, "{}", replayed.text);
    let kinds = ["consent.given", "grant.created", "code.replayed"];
    assert_audited(&demo, "exchange", &app, &kinds);
}

#[tokio::test]
async fn a_web_app_of_bitport_reads_files_with_a_code_from_a_redirect() {
    let demo = Demo::start(BINARY).await;
    let bob = demo.drive.signed_in("bob").await;
    let web = demo.drive.app("web");
    let url = authorize_url(&web, bitport::AUTHORIZE, &[("client_id", &web.client_id)]);
    let form = bob.open(&url).await.form("consent").set("decision", "allow");
    let form = form.without("scope", "files.write");
    let code = bob.submit(&form).await.callback_parameter("code").expect("a code");
    let secret = web.client_secret.clone().unwrap();
    let form = [
        ("client_id", &*web.client_id),
        ("client_secret", &*secret),
        ("grant_type", "authorization_code"),
        ("code", &*code),
    ];
    let token = post(&web, bitport::TOKEN, &form).await.at("/access_token");

    let cloud = web.call(Method::GET, "/v2/cloud", &token, Value::Null).await;
    let files = cloud.body["data"][0]["files"].as_array().expect("files").clone();
    let code = files[0]["code"].as_str().expect("code");
    let download = format!("/v2/files/{code}/download");
    let link = web.call(Method::GET, &download, &token, Value::Null).await;
    assert_eq!(link.status, StatusCode::FOUND);
    let location = url::Url::parse(&web.issuer).unwrap().join(link.header("location")).unwrap();
    let part = web.client.get(location).header("range", "bytes=0-3").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap().len(), 4);

    let deleted = web.call(Method::DELETE, &format!("/v2/files/{code}"), &token, Value::Null).await;
    assert_eq!(deleted.body["status"], "error", "in Bitport's envelope: {}", deleted.body);
    let still = web.call(Method::GET, &format!("/v2/files/{code}"), &token, Value::Null).await;
    assert_eq!(still.body["status"], "success", "the file is still there");
    assert_audited(&demo, "drive", &web, &["consent.given", "grant.created"]);
}
