//! Orders that are not plain limit orders: at any price, maker only, immediate or cancel.

use rust_decimal::Decimal;

use super::orders::{number, start};
use super::*;

#[tokio::test]
async fn a_market_order_to_buy_spends_money_and_its_fee_comes_on_top() {
    let world = World::new();
    let body = json!({ "market": "BTC_USDT", "side": "buy", "amount": "3003" });
    let order = world.trade("alice", "/api/v4/order/market", body).await.json();
    assert_eq!(order["type"], "market");
    assert_eq!((&order["dealStock"], &order["dealMoney"]), (&json!("0.05"), &json!("3003")));
    assert_eq!((&order["dealFee"], &order["status"]), (&json!("3.003"), &json!("FILLED")));
    let balance = world.trade_balance("alice").await;
    let spent = start("alice", "USDT") - number(&balance["USDT"]["available"]);
    assert_eq!(spent, "3006.003".parse::<Decimal>().unwrap());
    assert_eq!(balance["USDT"]["freeze"], "0");
    let open = world.trade("alice", "/api/v4/orders", json!({})).await;
    assert_eq!(open.json(), json!([]), "nothing of it waits in the book");
}

#[tokio::test]
async fn an_amount_of_stock_is_sold_at_one_price_after_the_other() {
    let world = World::new();
    for (user, price) in [("bob", "2999"), ("carol", "2998")] {
        world.place(user, ["ETH_USDT", "buy", "1", price]).await;
    }
    let body = json!({ "market": "ETH_USDT", "side": "sell", "amount": "1.5" });
    let sold = world.trade("alice", "/api/v4/order/stock_market", body).await.json();
    assert_eq!((&sold["type"], &sold["left"]), (&json!("stock market"), &json!("0")));
    assert_eq!(sold["dealMoney"], "4498");
    let deals = json!({ "orderId": sold["orderId"] });
    let deals = world.trade("alice", "/api/v4/trade-account/order", deals).await.json();
    let seen: Vec<_> =
        deals["records"].as_array().unwrap().iter().map(|d| (&d["price"], &d["fee"])).collect();
    let expected = [(json!("2998"), json!("1.499")), (json!("2999"), json!("2.999"))];
    assert_eq!(seen, expected.each_ref().map(|(price, fee)| (price, fee)));
}

#[tokio::test]
async fn a_market_order_beyond_the_balance_or_the_book_is_refused_and_changes_nothing() {
    let world = World::new();
    let before = world.trade_balance("alice").await;
    let all = before["USDT"]["available"].clone();
    let body = json!({ "market": "BTC_USDT", "side": "buy", "amount": all });
    let refused = world.trade("alice", "/api/v4/order/market", body).await;
    assert_eq!(refused.status, 400, "the fee comes on top: {}", refused.text());
    assert_eq!(refused.json()["code"], 10);
    // Less than one step of stock.
    let body = json!({ "market": "BTC_USDT", "side": "buy", "amount": "0.01" });
    let refused = world.trade("alice", "/api/v4/order/market", body).await;
    assert_eq!(refused.json()["errors"]["total"][0], "Total(amount * price) is less than 5");
    let body = json!({ "market": "BTC_USDT", "side": "sell", "amount": "0.0000001" });
    let refused = world.trade("alice", "/api/v4/order/market", body).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (422, &json!(32)));
    assert_eq!(world.trade_balance("alice").await, before);
}

#[tokio::test]
async fn an_order_that_may_only_be_a_maker_is_refused_where_it_would_take() {
    let world = World::new();
    let order = |price: &str, option: &str| {
        let (market, amount) = ("BTC_USDT", "0.01");
        json!({ "market": market, "side": "buy", "amount": amount, "price": price, option: true })
    };
    let placed = world.trade("alice", "/api/v4/order/new", order("59950", "postOnly")).await.json();
    assert_eq!((&placed["postOnly"], &placed["status"]), (&json!(true), &json!("NEW")));
    let taking = "The order would be executed at once as a taker.";
    let refused = world.trade("alice", "/api/v4/order/new", order("60060", "postOnly")).await;
    assert_eq!(refused.json()["errors"]["postOnly"][0], taking);
    let change = json!({ "market": "BTC_USDT", "orderId": placed["orderId"], "price": "60060" });
    let refused = world.trade("alice", "/api/v4/order/modify", change).await;
    assert_eq!(refused.json()["errors"]["postOnly"][0], taking);

    let mut both = order("59950", "postOnly");
    both["ioc"] = json!(true);
    let refused = world.trade("alice", "/api/v4/order/new", both).await.json();
    assert_eq!(refused["errors"]["ioc"][0], "Either ioc or postOnly can be true.");
    let mut wrong = order("59950", "postOnly");
    wrong["postOnly"] = json!("yes");
    let refused = world.trade("alice", "/api/v4/order/new", wrong).await.json();
    assert_eq!(refused["errors"]["postOnly"][0], "PostOnly field should be a boolean.");
}

#[tokio::test]
async fn what_an_immediate_order_cannot_trade_is_cancelled_and_its_money_free_again() {
    let world = World::new();
    world.place("bob", ["ETH_USDT", "sell", "0.4", "3001"]).await;
    let body = json!({ "market": "ETH_USDT", "side": "buy", "amount": "1", "price": "3001",
        "ioc": true });
    let order = world.trade("alice", "/api/v4/order/new", body).await.json();
    assert_eq!((&order["status"], &order["left"]), (&json!("CANCELED"), &json!("0.6")));
    let balance = world.trade_balance("alice").await;
    assert_eq!(balance["USDT"]["freeze"], "0");
    let spent = start("alice", "USDT") - number(&balance["USDT"]["available"]);
    assert_eq!(spent, "1201.6004".parse::<Decimal>().unwrap());
    let history = world.trade("alice", "/api/v4/trade-account/order/history", json!({})).await;
    assert_eq!(history.json()["ETH_USDT"][0]["status"], "CANCELED");
}

#[tokio::test]
async fn the_depth_of_the_order_book_can_be_chosen_within_bounds() {
    let world = World::new();
    let book = async |query: &str| {
        let uri = format!("/api/v4/public/orderbook/BTC_USDT?{query}");
        send(&world.exchange, Request::get(uri).body(Body::empty()).unwrap()).await
    };
    assert_eq!(book("limit=1").await.json()["asks"], json!([["60060", "2"]]));
    assert_eq!(book("").await.json()["asks"].as_array().unwrap().len(), 5);
    for query in ["limit=0", "limit=101", "limit=x", "limit=1&limit=2"] {
        let refused = book(query).await;
        assert_eq!(refused.status, 422, "{query}");
        assert_eq!(refused.json()["errors"]["limit"][0], "Limit should be from 1 to 100.");
    }
}
