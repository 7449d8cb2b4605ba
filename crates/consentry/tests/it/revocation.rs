//! Revoked means refused on the next request, whoever takes it back and however.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Browser, Demo, TestApp, Tokens};

use crate::BINARY;

async fn status_of_a_call(app: &TestApp, token: &str) -> StatusCode {
    app.call(Method::POST, "/api/v4/orders", token, json!({})).await.status
}

/// Alice lets the trading bot in.
async fn connected_bot(demo: &Demo) -> (Browser, TestApp, Tokens) {
    let alice = demo.exchange.signed_in("alice").await;
    let bot = demo.exchange.app("trading-bot");
    let tokens = bot.connect(&alice, "orders.create orders.read orders.delete").await;
    assert_eq!(status_of_a_call(&bot, &tokens.access).await, StatusCode::OK);
    (alice, bot, tokens)
}

/// The path of the only connected app's page.
pub async fn connected_path(browser: &Browser) -> String {
    let page = browser.open("/connected").await;
    let link = testkit::html::tags(&page.html)
        .into_iter()
        .filter_map(|tag| tag.attribute("href").map(str::to_owned))
        .find(|href| href.starts_with("/connected/") && href.len() > "/connected/".len());
    link.unwrap_or_else(|| panic!("no connected app on the page:\n{}", page.html))
}

#[tokio::test]
async fn an_app_is_out_on_the_next_request_after_the_user_revokes_it() {
    let demo = Demo::start(BINARY).await;
    let (alice, bot, tokens) = connected_bot(&demo).await;
    let page = alice.open(&connected_path(&alice).await).await;
    let done = alice.submit(&page.form("revoke")).await;
    assert_eq!(done.status, StatusCode::OK);

    let refused = bot.call(Method::POST, "/api/v4/orders", &tokens.access, json!({})).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.header("www-authenticate").contains("invalid_token"));
    let refresh = bot.refresh(tokens.refresh.as_deref().unwrap()).await;
    assert_eq!((refresh.status, refresh.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
    assert_eq!(bot.introspect(&tokens.access).await.body, json!({ "active": false }));
    let connected = alice.open("/connected").await;
    assert!(!connected.html.contains("/connected/"), "the app is gone from the list");
}

#[tokio::test]
async fn one_scope_taken_back_is_refused_and_the_others_go_on() {
    let demo = Demo::start(BINARY).await;
    let (alice, bot, tokens) = connected_bot(&demo).await;
    let page = alice.open(&connected_path(&alice).await).await;
    alice.submit(&page.form("remove-scope-orders.create")).await;

    let order = json!({ "market": "BTC_USDT", "side": "buy", "amount": "0.01", "price": "20000" });
    let refused = bot.call(Method::POST, "/api/v4/order/new", &tokens.access, order).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    assert_eq!(status_of_a_call(&bot, &tokens.access).await, StatusCode::OK);
    let refreshed = bot.refresh(tokens.refresh.as_deref().unwrap()).await.tokens();
    assert!(!refreshed.scope.contains("orders.create"), "{}", refreshed.scope);
}

#[tokio::test]
async fn a_revoked_access_token_ends_alone_and_a_revoked_refresh_token_ends_the_grant() {
    let demo = Demo::start(BINARY).await;
    let (_alice, bot, tokens) = connected_bot(&demo).await;
    assert_eq!(bot.revoke(&tokens.access).await.status, StatusCode::OK);
    assert_eq!(status_of_a_call(&bot, &tokens.access).await, StatusCode::UNAUTHORIZED);
    let renewed = bot.refresh(tokens.refresh.as_deref().unwrap()).await.tokens();
    assert_eq!(status_of_a_call(&bot, &renewed.access).await, StatusCode::OK);

    assert_eq!(bot.revoke(renewed.refresh.as_deref().unwrap()).await.status, StatusCode::OK);
    assert_eq!(status_of_a_call(&bot, &renewed.access).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_suspended_app_is_out_at_once_and_back_when_resumed() {
    let demo = Demo::start(BINARY).await;
    let (_alice, bot, tokens) = connected_bot(&demo).await;
    let review = demo.exchange.signed_in("review").await;
    let page = review.open("/staff/apps").await;
    let forms: Vec<String> = testkit::html::tags(&page.html)
        .iter()
        .filter(|tag| tag.name == "form")
        .filter_map(|tag| tag.attribute("id").map(str::to_owned))
        .filter(|id| id.starts_with("suspend-"))
        .collect();
    assert!(!forms.is_empty(), "{}", page.html);
    for id in &forms {
        review.submit(&page.form(id).set("reason", "A test of suspension.")).await;
    }
    assert_eq!(status_of_a_call(&bot, &tokens.access).await, StatusCode::UNAUTHORIZED);
    assert_eq!(bot.refresh(tokens.refresh.as_deref().unwrap()).await.error(), "invalid_client");

    let page = review.open("/staff/apps").await;
    for id in forms.iter().map(|id| id.replace("suspend-", "resume-")) {
        review.submit(&page.form(&id).set("reason", "The test is over.")).await;
    }
    assert_eq!(status_of_a_call(&bot, &tokens.access).await, StatusCode::OK);
}

#[tokio::test]
async fn an_open_stream_is_cut_when_the_user_revokes_the_app() {
    let demo = Demo::start(BINARY).await;
    let (alice, bot, tokens) = connected_bot(&demo).await;
    let url = format!("{}/api/v4/accounts/stream", bot.issuer);
    let stream = bot.client.get(url).bearer_auth(&tokens.access).send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    let page = alice.open(&connected_path(&alice).await).await;
    alice.submit(&page.form("revoke")).await;
    // Resolves only because the gateway ends it: the upstream never would.
    let _cut = stream.bytes().await;
}

#[tokio::test]
async fn a_second_start_on_kept_data_finds_users_apps_consents_and_orders_again() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut demo = Demo::start_in(BINARY, folder.path()).await;
    let (_alice, bot, tokens) = connected_bot(&demo).await;
    let order = json!({ "market": "BTC_USDT", "side": "buy", "amount": "0.01", "price": "20000" });
    let placed = bot.call(Method::POST, "/api/v4/order/new", &tokens.access, order).await;
    assert_eq!(placed.status, StatusCode::OK, "{}", placed.body);
    let before: Value = demo.exchange.json()["apps"].clone();
    assert!(demo.interrupt().await.success(), "Ctrl-C ends it cleanly");

    let port = bot.issuer.rsplit(':').next().unwrap().to_owned();
    let demo = Demo::start_on(BINARY, folder.path(), &port).await;
    assert_eq!(demo.exchange.json()["apps"], before, "the same apps with the same credentials");
    let orders = bot.call(Method::POST, "/api/v4/orders", &tokens.access, json!({})).await;
    assert_eq!(orders.status, StatusCode::OK, "the token still works: {}", orders.body);
    assert_eq!(orders.body.as_array().map(Vec::len), Some(1), "{}", orders.body);
}
