//! The facts about WhiteBIT's API behind OAuth, one test each, byte for byte.

use super::*;

/// An account with one open order (32), one executed (33) and one conversion.
async fn account() -> World {
    let world = World::new();
    let good = async |path: &str, body: Value| {
        assert_eq!(world.trade("alice", path, body).await.status, 200, "{path}");
    };
    let order = json!({ "market": "BTC_USDT", "side": "buy", "amount": "0.1", "price": "50000",
        "clientOrderId": "mine" });
    good("/api/v4/order/new", order).await;
    let order = json!({ "market": "ETH_USDT", "side": "buy", "amount": "300" });
    good("/api/v4/order/market", order).await;
    let offer = json!({ "from": "BTC", "to": "USDT", "direction": "from", "amount": "0.01" });
    good("/api/v4/convert/estimate", offer).await;
    good("/api/v4/convert/confirm", json!({ "quoteId": "1" })).await;
    world
}

/// The bytes of an answer to a POST with a JSON body.
async fn text(world: &World, path: &str, body: Value) -> String {
    let answer = world.trade("alice", path, body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    answer.text()
}

const OPEN: &str = concat!(
    r#"{"amount":"0.1","clientOrderId":"mine","dealFee":"0","dealMoney":"0","dealStock":"0","#,
    r#""ioc":false,"left":"0.1","makerFee":"0.0005","market":"BTC_USDT","orderId":32,"#,
    r#""postOnly":false,"price":"50000","side":"buy","status":"NEW","takerFee":"0.001","#,
    r#""timestamp":1795521600.0,"type":"limit"}"#,
);
const EXECUTED: &str = concat!(
    r#"{"amount":"300","clientOrderId":"","ctime":1795521600.0,"dealFee":"0.2999997","#,
    r#""dealMoney":"299.9997","dealStock":"0.0999","feeAsset":"USDT","ftime":1795521600.0,"#,
    r#""id":33,"ioc":false,"makerFee":"0.0005","postOnly":false,"price":"0","side":"buy","#,
    r#""status":"FILLED","takerFee":"0.001","type":"market"}"#,
);
const DEAL: &str = concat!(
    r#"{"amount":"0.0999","clientOrderId":"","deal":"299.9997","fee":"0.2999997","#,
    r#""feeAsset":"USDT","id":3,"orderId":33,"price":"3003","role":2,"side":"buy","#,
    r#""time":1795521600.0}"#,
);

#[tokio::test]
async fn whitebit_fact_account_transactions_are_a_page_of_records() {
    let world = account().await;
    let expected = concat!(
        r#"{"limit":1,"offset":0,"records":["#,
        r#"{"address":"cd39363aa870d15506270f48893b78e859f49cde","#,
        r#""amount":"250","confirmations":{"actual":12,"required":12},"createdAt":1795435200,"#,
        r#""currency":"Tether US","description":"","fee":"5","memo":"","method":2,"#,
        r#""network":"ERC20","status":3,"ticker":"USDT","transactionHash":"#,
        r#""cd39363aa870d15506270f48893b78e859f49cde73c76975207c9bf1c8b00054","#,
        r#""transactionId":"4","uniqueId":null}],"total":4}"#,
    );
    for path in ["/api/v4/accounts/transactions", "/api/v4/main-account/history"] {
        assert_eq!(text(&world, path, json!({ "limit": 1 })).await, expected, "{path}");
    }
}

#[tokio::test]
async fn whitebit_fact_account_converts_are_a_page_of_records() {
    let world = account().await;
    let expected = concat!(
        r#"{"limit":50,"offset":0,"records":[{"date":1795521600,"give":"0.01","id":"1","#,
        r#""path":[{"from":"BTC","rate":"59700","to":"USDT"}],"rate":"59700","receive":"597"}],"#,
        r#""total":1}"#,
    );
    for path in ["/api/v4/accounts/converts", "/api/v4/convert/history"] {
        assert_eq!(text(&world, path, json!({})).await, expected, "{path}");
    }
}

#[tokio::test]
async fn whitebit_fact_account_orders_are_executed_orders_by_market() {
    let world = account().await;
    let expected = format!(r#"{{"ETH_USDT":[{EXECUTED}]}}"#);
    for path in ["/api/v4/accounts/orders", "/api/v4/trade-account/order/history"] {
        let body = json!({ "market": "ETH_USDT" });
        assert_eq!(text(&world, path, body).await, expected, "{path}");
    }
}

#[tokio::test]
async fn whitebit_fact_account_deals_are_a_list_of_one_market_and_lists_of_all() {
    let world = account().await;
    for path in ["/api/v4/accounts/deals", "/api/v4/trade-account/executed-history"] {
        let one = text(&world, path, json!({ "market": "ETH_USDT" })).await;
        assert_eq!(one, format!("[{DEAL}]"), "{path}");
        let all = text(&world, path, json!({ "limit": 1 })).await;
        assert_eq!(all, format!(r#"{{"ETH_USDT":[{DEAL}]}}"#), "{path}");
    }
}

#[tokio::test]
async fn whitebit_fact_account_balances_main_and_spot() {
    let world = account().await;
    let main = concat!(
        r#"{"BTC":{"main_balance":"0.116"},"ETH":{"main_balance":"1.06"},"#,
        r#""USDT":{"main_balance":"1430"}}"#,
    );
    let spot = concat!(
        r#"{"BTC":{"available":"1.15","freeze":"0"},"ETH":{"available":"10.6999","freeze":"0"},"#,
        r#""USDT":{"available":"9591.7003003","freeze":"5005"}}"#,
    );
    for (path, expected) in [
        ("/api/v4/accounts/balances/main", main),
        ("/api/v4/main-account/balance", main),
        ("/api/v4/accounts/balances/spot", spot),
        ("/api/v4/trade-account/balance", spot),
    ] {
        assert_eq!(text(&world, path, json!({})).await, expected, "{path}");
    }
    let one = text(&world, "/api/v4/trade-account/balance", json!({ "ticker": "BTC" })).await;
    assert_eq!(one, r#"{"available":"1.15","freeze":"0"}"#);
}

#[tokio::test]
async fn whitebit_fact_any_401_of_an_account_read_says_unauthorized() {
    let world = World::new();
    for path in ["transactions", "converts", "orders", "deals", "balances/main", "balances/spot"] {
        let request = Request::post(format!("/api/v4/accounts/{path}"));
        let refused = send(&world.exchange, request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.text(), r#"{"data":{"message":["Unauthorized."]}}"#, "{path}");
    }
}

#[tokio::test]
async fn whitebit_fact_an_order_is_placed_listed_modified_and_cancelled() {
    let world = account().await;
    let name = json!({ "market": "BTC_USDT", "orderId": 32 });
    assert_eq!(text(&world, "/api/v4/orders", json!({})).await, format!("[{OPEN}]"));
    let mut change = name.clone();
    change["price"] = json!("49000");
    let modified = text(&world, "/api/v4/order/modify", change).await;
    assert_eq!(modified, OPEN.replace("50000", "49000"));
    let cancelled = text(&world, "/api/v4/order/cancel", name).await;
    assert_eq!(cancelled, OPEN.replace("50000", "49000").replace("NEW", "CANCELED"));
    assert_eq!(text(&world, "/api/v4/order/cancel/all", json!({})).await, "[]");
}

#[tokio::test]
async fn whitebit_fact_a_market_order_has_no_price() {
    let world = World::new();
    let body = json!({ "market": "BTC_USDT", "side": "buy", "amount": "60.06" });
    let placed = text(&world, "/api/v4/order/market", body).await;
    let expected = concat!(
        r#"{"amount":"60.06","clientOrderId":"","dealFee":"0.06006","dealMoney":"60.06","#,
        r#""dealStock":"0.001","left":"0","makerFee":"0.0005","market":"BTC_USDT","orderId":32,"#,
        r#""side":"buy","status":"FILLED","takerFee":"0.001","timestamp":1795521600.0,"#,
        r#""type":"market"}"#,
    );
    assert_eq!(placed, expected);
}

#[tokio::test]
async fn whitebit_fact_errors_have_a_code_a_message_and_a_list_for_each_field() {
    let world = World::new();
    let wrong = world.trade("alice", "/api/v4/order/new", json!({ "market": "X" })).await;
    assert_eq!(wrong.status, 422);
    let expected = concat!(
        r#"{"code":30,"errors":{"amount":["Amount field is required."],"#,
        r#""market":["Market is not available."],"price":["Price field is required."],"#,
        r#""side":["Side field is required."]},"message":"Validation failed"}"#,
    );
    assert_eq!(wrong.text(), expected);
    let poor = json!({ "market": "BTC_USDT", "side": "sell", "amount": "9", "price": "60000" });
    let refused = world.trade("alice", "/api/v4/order/new", poor).await;
    assert_eq!(refused.status, 400);
    let expected = concat!(
        r#"{"code":10,"errors":{"amount":["Not enough balance."]},"#,
        r#""message":"Inner validation failed"}"#,
    );
    assert_eq!(refused.text(), expected);
}

#[tokio::test]
async fn whitebit_fact_market_data_is_public() {
    let world = World::new();
    let read = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        send(&world.exchange, request).await.text()
    };
    let markets = read("/api/v4/public/markets").await;
    let first = concat!(
        r#"[{"feePrec":"4","isCollateral":false,"makerFee":"0.05","minAmount":"0.0001","#,
        r#""minTotal":"5","money":"USDT","moneyPrec":"2","name":"BTC_USDT","stock":"BTC","#,
        r#""stockPrec":"6","takerFee":"0.1","tradesEnabled":true,"type":"spot"},"#,
    );
    assert!(markets.starts_with(first), "{markets}");
    let ticker = read("/api/v4/public/ticker").await;
    let first = concat!(
        r#"{"BTC_USDT":{"base_volume":"0","change":"0","isFrozen":false,"last_price":"60000","#,
        r#""quote_volume":"0"},"#,
    );
    assert!(ticker.starts_with(first), "{ticker}");
    let book = read("/api/v4/public/orderbook/ETH_BTC?limit=1").await;
    let expected = concat!(
        r#"{"asks":[["0.05005","30"]],"bids":[["0.04995","30"]],"ticker_id":"ETH_BTC","#,
        r#""timestamp":1795521600}"#,
    );
    assert_eq!(book, expected);
}
