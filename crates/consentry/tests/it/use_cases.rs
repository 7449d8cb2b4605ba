//! The use cases of the product, from sign-in to the API call and the refusal. Each looks at what
//! the upstream holds afterwards, and at the audit trail.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Browser, Demo, TestApp};

use crate::BINARY;

pub fn buy_order() -> Value {
    json!({ "market": "BTC_USDT", "side": "buy", "amount": "0.01", "price": "20000" })
}

/// The kinds of audit events that concern the app called `client_id`, in order, read from the
/// provider's own database.
fn audit_kinds(demo: &Demo, provider: &str, client_id: &str) -> Vec<String> {
    let path = demo.data().join(provider).join("consentry.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT a.kind FROM audit a JOIN client_ids c ON c.app_id = a.app_id \
               WHERE c.wire_id = ?1 ORDER BY a.position";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([client_id], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[track_caller]
pub fn assert_audited(demo: &Demo, provider: &str, app: &TestApp, kinds: &[&str]) {
    let found = audit_kinds(demo, provider, &app.client_id);
    for kind in kinds {
        assert!(found.iter().any(|known| known == kind), "no {kind} among {found:?}");
    }
}

/// The open orders of whoever `token` is for.
pub async fn open_orders(app: &TestApp, token: &str) -> Vec<Value> {
    let body = json!({ "market": "BTC_USDT" });
    let answer = app.call(Method::POST, "/api/v4/orders", token, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body.as_array().expect("a list of orders").clone()
}

#[tokio::test]
async fn a_trading_bot_places_modifies_and_cancels_orders_and_nothing_else() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let bot = demo.exchange.app("trading-bot");
    let token = bot.connect(&alice, "orders.create orders.read orders.delete").await.access;

    let placed = bot.call(Method::POST, "/api/v4/order/new", &token, buy_order()).await;
    assert_eq!(placed.status, StatusCode::OK, "{}", placed.body);
    let id = placed.body["orderId"].clone();

    let change = json!({ "market": "BTC_USDT", "orderId": id, "price": "19000" });
    let modified = bot.call(Method::POST, "/api/v4/order/modify", &token, change).await;
    assert_eq!(modified.status, StatusCode::OK, "{}", modified.body);
    let open = open_orders(&bot, &token).await;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0]["price"], "19000");

    let order = json!({ "market": "BTC_USDT", "orderId": open[0]["orderId"] });
    let cancelled = bot.call(Method::POST, "/api/v4/order/cancel", &token, order).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.body);
    assert!(open_orders(&bot, &token).await.is_empty());

    let balance = bot.call(Method::POST, "/api/v4/trade-account/balance", &token, json!({})).await;
    assert_eq!(balance.status, StatusCode::FORBIDDEN);
    let challenge = balance.header("www-authenticate");
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    assert!(challenge.contains("balances.read"), "the refusal names what is missing: {challenge}");
    assert!(balance.body["data"]["message"].is_array(), "in the API's envelope: {}", balance.body);
    assert_audited(&demo, "exchange", &bot, &["consent.given", "grant.created"]);
}

#[tokio::test]
async fn a_portfolio_tracker_reads_balances_and_every_write_is_refused() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let tracker = demo.exchange.app("portfolio-tracker");
    let token = tracker.connect(&alice, "balances.read orders.read").await.access;

    let balance =
        tracker.call(Method::POST, "/api/v4/trade-account/balance", &token, json!({})).await;
    assert_eq!(balance.status, StatusCode::OK, "{}", balance.body);
    assert!(balance.body["USDT"].is_object(), "{}", balance.body);

    for path in ["/api/v4/order/new", "/api/v4/order/modify", "/api/v4/order/cancel"] {
        let refused = tracker.call(Method::POST, path, &token, buy_order()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(open_orders(&tracker, &token).await.is_empty(), "nothing reached the exchange");

    // It cannot even ask for what it was not approved for.
    let url = tracker.authorize_url("orders.create", "s");
    let page = alice.open(url.as_str()).await;
    assert_eq!(page.callback_parameter("error").as_deref(), Some("invalid_scope"));
    assert_eq!(page.callback_parameter("state").as_deref(), Some("s"));
    assert_audited(&demo, "exchange", &tracker, &["consent.given", "grant.created"]);
}

#[tokio::test]
async fn a_mobile_app_without_a_secret_uses_pkce_and_any_loopback_port() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let mut mobile = demo.exchange.app("mobile");
    assert!(mobile.client_secret.is_none());
    let mut uri = url::Url::parse(&mobile.redirect_uri).unwrap();
    uri.set_port(Some(51_234)).unwrap();
    mobile.redirect_uri = uri.to_string();

    let tokens = mobile.connect(&alice, "balances.read").await;
    let call =
        mobile.call(Method::POST, "/api/v4/trade-account/balance", &tokens.access, json!({})).await;
    assert_eq!(call.status, StatusCode::OK, "{}", call.body);

    // A public client proves nothing about itself, so it is asked for again (attack S4).
    let page = alice.open(mobile.authorize_url("balances.read", "again").as_str()).await;
    assert!(page.left_to.is_none(), "a public app was let in without being asked for");
    let code = mobile.authorize(&alice, "balances.read").await;
    let stolen = mobile
        .token(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &mobile.redirect_uri.clone()),
        ])
        .await;
    assert_eq!(stolen.error(), "invalid_grant", "a code without its verifier is worth nothing");
    assert_audited(&demo, "exchange", &mobile, &["consent.given", "grant.created"]);
}

#[tokio::test]
async fn an_enterprise_integration_acts_for_itself_within_its_own_ceiling() {
    let demo = Demo::start(BINARY).await;
    let enterprise = demo.exchange.app("enterprise");
    let answer = enterprise.token(&[("grant_type", "client_credentials")]).await;
    let tokens = answer.tokens();
    assert!(tokens.refresh.is_none(), "RFC 6749 §4.4.3: no refresh token");
    let allowed: Vec<&str> = tokens.scope.split(' ').collect();
    assert!(!allowed.contains(&"orders.create"), "{allowed:?}");
    let raised =
        enterprise.token(&[("grant_type", "client_credentials"), ("scope", "orders.create")]).await;
    assert_eq!(raised.error(), "invalid_scope");

    let alice = demo.exchange.signed_in("alice").await;
    let of_alice = enterprise.connect(&alice, "balances.read").await;
    let call = enterprise
        .call(Method::POST, "/api/v4/trade-account/balance", &of_alice.access, json!({}))
        .await;
    assert_eq!(call.status, StatusCode::OK, "{}", call.body);
    let kinds = ["service_token.issued", "consent.given", "grant.created"];
    assert_audited(&demo, "exchange", &enterprise, &kinds);
}

#[tokio::test]
async fn a_web_app_reads_files_with_a_code_from_a_redirect() {
    let demo = Demo::start(BINARY).await;
    let bob = demo.drive.signed_in("bob").await;
    let web = demo.drive.app("web");
    assert!(web.client_id.bytes().all(|b| b.is_ascii_digit()), "numeric ids, as Bitport's are");
    let token = web.connect(&bob, "account.read files.read").await.access;

    let me = web.call(Method::GET, "/v2/me", &token, Value::Null).await;
    assert_eq!(me.body["status"], "success", "{}", me.body);
    let cloud = web.call(Method::GET, "/v2/cloud", &token, Value::Null).await;
    let files = cloud.body["data"][0]["files"].as_array().expect("files").clone();
    let code = files[0]["code"].as_str().expect("code");

    let download = format!("/v2/files/{code}/download");
    let link = web.call(Method::GET, &download, &token, Value::Null).await;
    assert_eq!(link.status, StatusCode::FOUND);
    let location = web.issuer.clone() + link.header("location");
    let part = web.client.get(location).header("range", "bytes=0-3").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap().len(), 4);

    let deleted = web.call(Method::DELETE, &format!("/v2/files/{code}"), &token, Value::Null).await;
    assert_eq!(deleted.body["status"], "error", "in Bitport's envelope: {}", deleted.body);
    let still = web.call(Method::GET, &format!("/v2/files/{code}"), &token, Value::Null).await;
    assert_eq!(still.body["status"], "success", "the file is still there");
    assert_audited(&demo, "drive", &web, &["consent.given", "grant.created"]);
}

#[tokio::test]
async fn a_user_who_unticks_a_scope_grants_the_rest_and_the_app_is_told() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let tracker = demo.exchange.app("portfolio-tracker");
    let url = tracker.authorize_url("balances.read orders.read", "s");
    let page = alice.open(url.as_str()).await;
    let form = page.form("consent");
    let optional = if form.values("scope").contains(&"orders.read") {
        form
    } else {
        form.add("scope", "orders.read")
    };
    let form = optional.without("scope", "orders.read").set("decision", "allow");
    let code = alice.submit(&form).await.callback_parameter("code").expect("a code");
    let tokens = tracker.redeem(&code).await.tokens();
    assert_eq!(tokens.scope, "balances.read", "RFC 6749 §5.1: the scope that was really granted");
    let refused = tracker.call(Method::POST, "/api/v4/orders", &tokens.access, json!({})).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_user_who_denies_goes_back_with_access_denied_and_nothing_is_granted() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let bot = demo.exchange.app("trading-bot");
    let page = alice.open(bot.authorize_url("orders.read", "the-state").as_str()).await;
    let answer = alice.submit(&page.form("consent").set("decision", "deny")).await;
    assert_eq!(answer.callback_parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(answer.callback_parameter("state").as_deref(), Some("the-state"));
    assert_eq!(answer.callback_parameter("iss").as_deref(), Some(bot.issuer.as_str()));
    let connected = alice.open("/connected").await;
    assert!(!connected.html.contains("Trading Bot"), "{}", connected.html);
    assert_audited(&demo, "exchange", &bot, &["consent.denied"]);
}

#[tokio::test]
async fn a_user_who_is_not_signed_in_signs_in_on_the_way_to_the_consent() {
    let demo = Demo::start(BINARY).await;
    let browser = Browser::new(&demo.exchange.issuer);
    let bot = demo.exchange.app("trading-bot");
    let page = browser.open(bot.authorize_url("orders.read", "test-state").as_str()).await;
    let wrong = browser.sign_in_on(&page, "alice@example.com", "not the password").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let page = browser.sign_in_on(&wrong, "alice@example.com", "demo-alice-password").await;
    let done = bot.allow(&browser, page).await;
    assert!(done.callback_parameter("code").is_some());
}
