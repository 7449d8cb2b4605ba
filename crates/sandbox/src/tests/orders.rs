//! The exchange over HTTP: what an app sends, what it gets, what is kept.

use http_body_util::BodyExt as _;
use rust_decimal::Decimal;

use super::*;
use crate::exchange::seed::fortune;

pub(super) fn number(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

/// What the user had on the trade account at first sight.
pub(super) fn start(user: &str, currency: &str) -> Decimal {
    fortune(user).into_iter().find(|(name, _)| *name == currency).unwrap().1.available
}

#[tokio::test]
async fn an_order_rests_with_its_cost_frozen_and_a_cancel_gives_it_back() {
    let world = World::new();
    let order = world.place("alice", ["BTC_USDT", "buy", "0.1", "50000"]).await;
    let keys: Vec<&str> = order.as_object().unwrap().keys().map(String::as_str).collect();
    for key in ["orderId", "clientOrderId", "market", "side", "type", "timestamp", "dealMoney"] {
        assert!(keys.contains(&key), "{key}");
    }
    assert_eq!(order["timestamp"], json!(1_795_521_600.0));
    assert_eq!(order["left"], "0.1");
    assert_eq!(order["status"], "NEW");
    let frozen = world.trade_balance("alice").await;
    // The cost, and the most that the fee can be.
    assert_eq!(frozen["USDT"]["freeze"], "5005");
    let free = start("alice", "USDT") - Decimal::from(5005);
    assert_eq!(number(&frozen["USDT"]["available"]), free);

    let cancel = json!({ "market": "BTC_USDT", "orderId": order["orderId"] });
    let cancelled = world.trade("alice", "/api/v4/order/cancel", cancel.clone()).await.json();
    assert_eq!(cancelled["orderId"], order["orderId"]);
    assert_eq!(cancelled["status"], "CANCELED");
    let released = world.trade_balance("alice").await;
    assert_eq!(number(&released["USDT"]["available"]), start("alice", "USDT"));
    assert_eq!(released["USDT"]["freeze"], "0");
    let again = world.trade("alice", "/api/v4/order/cancel", cancel).await;
    assert_eq!(again.status, 400);
    assert_eq!(again.json()["errors"]["orderId"][0], "Unexecuted order was not found.");
}

#[tokio::test]
async fn two_users_meet_and_both_find_the_deal_in_their_history() {
    let world = World::new();
    let ask = world.place("alice", ["BTC_USDT", "sell", "0.2", "60010.5"]).await;
    world.advance(1_500);
    let bid = world.place("bob", ["BTC_USDT", "buy", "0.05", "60050"]).await;
    assert_eq!(bid["status"], "FILLED");
    assert_eq!(bid["dealMoney"], "3000.525");
    let alice = world.trade_balance("alice").await;
    assert_eq!(alice["BTC"]["freeze"], "0.15");
    // Less the maker's fee of 0.05 %.
    let earned = start("alice", "USDT") + "2999.0247375".parse::<Decimal>().unwrap();
    assert_eq!(number(&alice["USDT"]["available"]), earned);
    let bob = world.trade_balance("bob").await;
    assert_eq!(bob["USDT"]["freeze"], "0");
    let bought = start("bob", "BTC") + "0.05".parse::<Decimal>().unwrap();
    assert_eq!(number(&bob["BTC"]["available"]), bought);

    for (user, role, order) in [("alice", 1, &ask), ("bob", 2, &bid)] {
        let body = json!({ "market": "BTC_USDT", "limit": 1 });
        let path = "/api/v4/trade-account/executed-history";
        let deals = world.trade(user, path, body.clone()).await.json();
        assert_eq!(deals[0]["role"], role);
        assert_eq!(deals[0]["orderId"], order["orderId"]);
        assert_eq!(deals[0]["deal"], "3000.525");
        assert_eq!(deals[0]["time"], json!(1_795_521_601.5));
        let same = world.trade(user, "/api/v4/accounts/deals", body).await.json();
        assert_eq!(same, deals);
    }
    let history = world.trade("bob", "/api/v4/trade-account/order/history", json!({})).await.json();
    assert_eq!(history["BTC_USDT"][0]["id"], bid["orderId"]);
    assert_eq!(history["BTC_USDT"][0]["ftime"], json!(1_795_521_601.5));
    let ticker = Request::get("/api/v4/public/ticker").body(Body::empty()).unwrap();
    let ticker = send(&world.exchange, ticker).await.json();
    assert_eq!(ticker["BTC_USDT"]["last_price"], "60010.5");
    assert_eq!(ticker["BTC_USDT"]["base_volume"], "0.05");
}

#[tokio::test]
async fn a_shrunk_order_keeps_its_place_and_a_grown_one_goes_to_the_back() {
    let world = World::new();
    let first = world.place("alice", ["ETH_USDT", "sell", "2", "3001"]).await;
    let second = world.place("bob", ["ETH_USDT", "sell", "2", "3001"]).await;
    let shrink = json!({ "market": "ETH_USDT", "orderId": first["orderId"], "amount": "1" });
    let shrunk = world.trade("alice", "/api/v4/order/modify", shrink).await.json();
    assert_eq!(shrunk["orderId"], first["orderId"]);
    assert_eq!(shrunk["left"], "1");
    world.place("carol", ["ETH_USDT", "buy", "0.5", "3001"]).await;
    let left = |user: &'static str| {
        let open = world.trade(user, "/api/v4/orders", json!({ "market": "ETH_USDT" }));
        async move { open.await.json()[0]["left"].clone() }
    };
    assert_eq!(left("alice").await, "0.5");

    let grow = json!({ "market": "ETH_USDT", "orderId": first["orderId"], "amount": "3" });
    assert_eq!(world.trade("alice", "/api/v4/order/modify", grow).await.json()["left"], "2.5");
    world.place("carol", ["ETH_USDT", "buy", "1.5", "3001"]).await;
    assert_eq!(left("alice").await, "2.5");
    assert_eq!(left("bob").await, "0.5");
    assert_eq!(second["left"], "2");
    let alice = world.trade_balance("alice").await;
    assert_eq!(alice["ETH"]["freeze"], "2.5");
}

#[tokio::test]
async fn a_seller_meets_the_highest_bid_and_the_book_shows_it_first() {
    let world = World::new();
    for price in ["59950", "59960", "59955"] {
        world.place("alice", ["BTC_USDT", "buy", "0.01", price]).await;
    }
    let book = Request::get("/api/v4/public/orderbook/BTC_USDT").body(Body::empty()).unwrap();
    let book = send(&world.exchange, book).await.json();
    let bids: Vec<&Value> = book["bids"].as_array().unwrap().iter().map(|bid| &bid[0]).collect();
    assert_eq!(bids[..4], ["59960", "59955", "59950", "59940"]);
    let asks: Vec<&Value> = book["asks"].as_array().unwrap().iter().map(|ask| &ask[0]).collect();
    assert_eq!(asks, ["60060", "60120", "60180", "60240", "60300"]);
    let sold = world.place("bob", ["BTC_USDT", "sell", "0.015", "59000"]).await;
    assert_eq!(sold["dealMoney"], "899.375");
}

#[tokio::test]
async fn a_new_price_can_trade_at_once() {
    let world = World::new();
    let order = world.place("alice", ["BTC_USDT", "buy", "0.1", "50000"]).await;
    let body = json!({ "market": "BTC_USDT", "orderId": order["orderId"], "price": "60060" });
    let modified = world.trade("alice", "/api/v4/order/modify", body).await.json();
    assert_eq!(modified["status"], "FILLED");
    assert_eq!(modified["dealMoney"], "6006");
}

#[tokio::test]
async fn a_cost_beyond_the_balance_is_refused_and_changes_nothing() {
    let world = World::new();
    let before = world.trade_balance("alice").await;
    let body = json!({ "market": "BTC_USDT", "side": "buy", "amount": "1000", "price": "50000" });
    let refused = world.trade("alice", "/api/v4/order/new", body).await;
    assert_eq!(refused.status, 400);
    let expected = json!({
        "code": 10,
        "message": "Inner validation failed",
        "errors": { "amount": ["Not enough balance."] },
    });
    assert_eq!(refused.json(), expected);
    let order = world.place("alice", ["BTC_USDT", "buy", "0.1", "50000"]).await;
    let body = json!({ "market": "BTC_USDT", "orderId": order["orderId"], "amount": "1000" });
    assert_eq!(world.trade("alice", "/api/v4/order/modify", body).await.status, 400);
    world.trade("alice", "/api/v4/order/cancel/all", json!({})).await;
    assert_eq!(world.trade_balance("alice").await, before);
}

#[tokio::test]
async fn an_answer_names_every_field_that_is_wrong() {
    let world = World::new();
    let good = json!({ "market": "BTC_USDT", "side": "buy", "amount": "0.1", "price": "50000" });
    let cases = [
        (
            json!({}),
            30,
            json!({ "market": ["Market field is required."],
            "side": ["Side field is required."], "amount": ["Amount field is required."],
            "price": ["Price field is required."] }),
        ),
        (json!({ "market": "X" }), 31, json!({ "market": ["Market is not available."] })),
        (json!({ "market": 1 }), 30, json!({ "market": ["Market field should be a string."] })),
        (
            json!({ "amount": "1e3" }),
            32,
            json!({ "amount": ["Amount field should be numeric string or number."] }),
        ),
        (
            json!({ "amount": "-1" }),
            32,
            json!({ "amount": ["Amount field should be numeric string or number."] }),
        ),
        (json!({ "amount": "0" }), 32, json!({ "amount": ["Amount should be greater than 0."] })),
        (
            json!({ "amount": "0.0000001" }),
            32,
            json!({ "amount": ["Min amount step = 0.000001",
            "Given amount is less than min amount 0.0001"] }),
        ),
        (json!({ "price": "1.001" }), 33, json!({ "price": ["Min price step = 0.01"] })),
        (
            json!({ "price": "1000000001" }),
            33,
            json!({ "price": ["Price should not be greater than 1000000000."] }),
        ),
        (json!({ "price": "1" }), 30, json!({ "total": ["Total(amount * price) is less than 5"] })),
        (
            json!({ "clientOrderId": "a b" }),
            36,
            json!({ "clientOrderId":
            ["ClientOrderId field should contain only latin letters, numbers and ._-"] }),
        ),
    ];
    for (change, code, errors) in cases {
        let mut body = if change == json!({}) { json!({}) } else { good.clone() };
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = world.trade("alice", "/api/v4/order/new", body.clone()).await;
        assert_eq!(answer.status, 422, "{body}");
        let expected = json!({ "code": code, "message": "Validation failed", "errors": errors });
        assert_eq!(answer.json(), expected, "{body}");
    }
    let page = json!({ "limit": 101, "offset": -1 });
    let answer = world.trade("alice", "/api/v4/orders", page).await.json();
    assert_eq!(answer["errors"]["limit"][0], "Limit should not be greater than 100.");
    assert_eq!(answer["errors"]["offset"][0], "Offset should be at least 0.");
    let answer = world.trade("alice", "/api/v4/main-account/balance", json!({ "ticker": "X" }));
    assert_eq!(answer.await.json()["errors"]["ticker"][0], "Currency was not found.");
}

#[tokio::test]
async fn a_bare_number_is_the_decimal_that_was_written() {
    let world = World::new();
    let body = json!({ "market": "BTC_USDT", "side": "buy", "amount": 0.1, "price": 50000 });
    let order = world.trade("alice", "/api/v4/order/new", body).await.json();
    assert_eq!((&order["amount"], &order["price"]), (&json!("0.1"), &json!("50000")));
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_gets_a_clear_answer() {
    let world = World::new();
    let deep = format!("{{\"market\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let huge = format!("{{\"market\":\"{}\"}}", "x".repeat(70_000));
    let json = "application/json";
    let cases: [(&str, &[u8], u16); 8] = [
        (json, b"[1]", 400),
        (json, b"{\"market\":", 400),
        (json, b"{\"market\":\"a\",\"market\":\"b\"}", 400),
        (json, b"{\"market\":\"\xff\"}", 400),
        (json, b"null", 400),
        ("text/plain", b"{}", 415),
        (json, deep.as_bytes(), 400),
        (json, huge.as_bytes(), 413),
    ];
    for (content_type, body, status) in cases {
        let request = Request::post("/api/v4/order/new")
            .header(ASSERTION_HEADER, world.assertion(EXCHANGE, "alice"))
            .header("content-type", content_type)
            .body(Body::from(body.to_vec()));
        let answer = send(&world.exchange, request.unwrap()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.json()["message"], "Invalid payload.");
    }
    let lost = Request::get("/api/v4/nowhere").body(Body::empty()).unwrap();
    assert_eq!(send(&world.exchange, lost).await.json()["message"], "Not found.");
    let wrong = Request::get("/api/v4/orders").body(Body::empty()).unwrap();
    assert_eq!(send(&world.exchange, wrong).await.json()["message"], "Method not allowed.");
}

#[tokio::test]
async fn an_order_can_be_named_by_its_owner_and_only_by_him() {
    let world = World::new();
    let body = json!({ "market": "BTC_USDT", "side": "buy", "amount": "0.01", "price": "50000",
        "clientOrderId": "mine-1" });
    assert_eq!(world.trade("alice", "/api/v4/order/new", body.clone()).await.status, 200);
    let twice = world.trade("alice", "/api/v4/order/new", body.clone()).await;
    assert_eq!((twice.status.as_u16(), &twice.json()["code"]), (422, &json!(36)));
    assert_eq!(world.trade("bob", "/api/v4/order/new", body).await.status, 200);

    let name = json!({ "market": "BTC_USDT", "clientOrderId": "mine-1" });
    let cancelled = world.trade("alice", "/api/v4/order/cancel", name.clone()).await;
    assert_eq!(cancelled.json()["clientOrderId"], "mine-1");
    let bobs = world.trade("bob", "/api/v4/orders", json!({})).await.json();
    let foreign = json!({ "market": "BTC_USDT", "orderId": bobs[0]["orderId"] });
    assert_eq!(world.trade("alice", "/api/v4/order/cancel", foreign).await.status, 400);
    assert_eq!(world.trade("bob", "/api/v4/orders", json!({})).await.json(), bobs);
}

#[tokio::test]
async fn open_orders_come_in_pages_newest_first() {
    let world = World::new();
    for price in ["50001", "50002", "50003"] {
        world.place("alice", ["BTC_USDT", "buy", "0.01", price]).await;
    }
    let page = json!({ "limit": 2, "offset": 1 });
    let page = world.trade("alice", "/api/v4/orders", page).await.json();
    let prices: Vec<&Value> = page.as_array().unwrap().iter().map(|each| &each["price"]).collect();
    assert_eq!(prices, ["50002", "50001"]);
    let empty = world.trade("alice", "/api/v4/orders", json!({ "market": "ETH_BTC" })).await;
    assert_eq!(empty.json(), json!([]));
}

#[tokio::test]
async fn everything_is_found_again_after_a_restart() {
    let world = World::new();
    world.place("alice", ["BTC_USDT", "sell", "0.2", "60030"]).await;
    world.place("bob", ["BTC_USDT", "buy", "0.1", "60040"]).await;
    let seen = |world: World| async move {
        let mut seen = Vec::new();
        for user in ["alice", "bob"] {
            for path in ["trade-account/balance", "orders", "trade-account/order/history"] {
                let path = format!("/api/v4/{path}");
                seen.push(world.trade(user, &path, json!({})).await.json());
            }
        }
        let book = Request::get("/api/v4/public/orderbook/BTC_USDT").body(Body::empty()).unwrap();
        seen.push(send(&world.exchange, book).await.json());
        seen
    };
    let restarted = world.restarted();
    let before = seen(world).await;
    assert_eq!(before.last().unwrap()["asks"][0], json!(["60030", "0.1"]));
    assert_eq!(seen(restarted).await, before);
}

#[tokio::test]
async fn balances_of_one_currency_and_of_the_main_account() {
    let world = World::new();
    let one = world.trade("alice", "/api/v4/trade-account/balance", json!({ "ticker": "ETH" }));
    assert_eq!(number(&one.await.json()["available"]), start("alice", "ETH"));
    let main = world.trade("alice", "/api/v4/main-account/balance", json!({})).await.json();
    assert_eq!(number(&main["BTC"]["main_balance"]) * Decimal::TEN, start("alice", "BTC"));
    let same = world.trade("alice", "/api/v4/accounts/balances/main", json!({})).await.json();
    assert_eq!(same, main);
}

#[tokio::test]
async fn the_stream_tells_a_user_of_his_orders_and_nobody_elses() {
    let world = World::new();
    let request = Request::get("/api/v4/accounts/stream")
        .header(ASSERTION_HEADER, world.assertion(EXCHANGE, "alice"))
        .body(Body::empty());
    let response = world.exchange.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(frame.to_vec()).unwrap()
    };
    assert!(next().await.starts_with(": open"));
    world.place("bob", ["BTC_USDT", "buy", "0.01", "50000"]).await;
    let mine = world.place("alice", ["BTC_USDT", "sell", "0.01", "60010"]).await;
    let event = next().await;
    assert!(event.starts_with("event: order\ndata: {"), "{event}");
    assert!(event.contains(&format!("\"orderId\":{}", mine["orderId"])), "{event}");
    // Another user's order fills this one.
    world.place("bob", ["BTC_USDT", "buy", "0.01", "60010"]).await;
    assert!(next().await.contains("\"status\":\"FILLED\""));
}
