//! Money outside the order book: transfers between accounts, conversions, deposits and withdrawals.

use rust_decimal::Decimal;

use super::orders::{number, start};
use super::*;

const TRANSFER: &str = "/api/v4/main-account/transfer";
const ESTIMATE: &str = "/api/v4/convert/estimate";
const CONFIRM: &str = "/api/v4/convert/confirm";

async fn main_balance(world: &World, user: &str, ticker: &str) -> Decimal {
    let body = json!({ "ticker": ticker });
    let balance = world.trade(user, "/api/v4/main-account/balance", body).await.json();
    number(&balance["main_balance"])
}

#[tokio::test]
async fn a_transfer_moves_money_between_the_accounts_and_back() {
    let world = World::new();
    let there = json!({ "ticker": "BTC", "amount": "0.05", "from": "main", "to": "spot" });
    let moved = world.trade("alice", TRANSFER, there).await;
    assert_eq!((moved.status.as_u16(), moved.text().as_str()), (201, "[]"));
    let twentieth = Decimal::new(5, 2);
    let before = start("alice", "BTC") / Decimal::TEN;
    assert_eq!(main_balance(&world, "alice", "BTC").await, before - twentieth);
    let trade = world.trade_balance("alice").await;
    assert_eq!(number(&trade["BTC"]["available"]), start("alice", "BTC") + twentieth);
    let back = json!({ "ticker": "BTC", "amount": "0.05", "method": "withdraw" });
    assert_eq!(world.trade("alice", TRANSFER, back).await.status, 201);
    assert_eq!(main_balance(&world, "alice", "BTC").await, before);
}

#[tokio::test]
async fn a_transfer_of_more_than_there_is_says_what_there_is() {
    let world = World::new();
    let body = json!({ "ticker": "BTC", "amount": "7", "from": "main", "to": "spot" });
    let refused = world.trade("alice", TRANSFER, body).await;
    assert_eq!(refused.status, 422);
    let message = "You don't have such amount for transfer (available 0.116, in amount: 7)";
    let expected = json!({
        "code": 3,
        "message": "Inner validation failed",
        "errors": { "amount": [message] },
    });
    assert_eq!(refused.json(), expected);
    for (body, field) in [
        (json!({ "ticker": "BTC", "amount": "1", "from": "main", "to": "main" }), "to"),
        (json!({ "ticker": "BTC", "amount": "1", "to": "main" }), "from"),
        (json!({ "ticker": "BTC", "amount": "1", "method": "steal" }), "method"),
        (json!({ "ticker": "X", "amount": "1", "method": "deposit" }), "ticker"),
        (json!({ "ticker": "BTC", "amount": "0.000000001", "method": "deposit" }), "amount"),
    ] {
        let refused = world.trade("alice", TRANSFER, body.clone()).await;
        assert_eq!(refused.status, 422, "{body}");
        assert!(refused.json()["errors"].get(field).is_some(), "{body}: {}", refused.text());
    }
}

#[tokio::test]
async fn a_conversion_gives_and_brings_what_was_offered_and_is_found_in_the_history() {
    let world = World::new();
    let body = json!({ "from": "BTC", "to": "USDT", "direction": "from", "amount": "0.1" });
    let offer = world.trade("alice", ESTIMATE, body).await.json();
    // The last price is 60000, and half a per cent is the house's.
    assert_eq!((&offer["give"], &offer["receive"]), (&json!("0.1"), &json!("5970")));
    assert_eq!(offer["rate"], "59700");
    assert_eq!(offer["expireAt"], 1_795_521_610);
    assert_eq!(world.trade_balance("alice").await["BTC"]["available"], "1.16", "not yet");
    let quote = json!({ "quoteId": offer["id"] });
    let done = world.trade("alice", CONFIRM, quote.clone()).await.json();
    assert_eq!(done, json!({ "finalGive": "0.1", "finalReceive": "5970" }));
    let balance = world.trade_balance("alice").await;
    assert_eq!(balance["BTC"]["available"], "1.06");
    assert_eq!(
        number(&balance["USDT"]["available"]),
        start("alice", "USDT") + Decimal::from(5_970)
    );
    let again = world.trade("alice", CONFIRM, quote).await;
    assert_eq!((again.status.as_u16(), &again.json()["code"]), (422, &json!(1)));

    for (filter, count) in [
        (json!({}), 1),
        (json!({ "fromTicker": "BTC", "toTicker": "USDT" }), 1),
        (json!({ "quoteId": offer["id"] }), 1),
        (json!({ "fromTicker": "USDT" }), 0),
    ] {
        let path = "/api/v4/accounts/converts";
        let history = world.trade("alice", path, filter.clone()).await.json();
        assert_eq!(history["total"], count, "{filter}");
    }
    let others = world.trade("bob", "/api/v4/convert/history", json!({})).await.json();
    assert_eq!(others["records"], json!([]));
}

#[tokio::test]
async fn an_offer_to_convert_ends_after_ten_seconds_and_is_its_owners_alone() {
    let world = World::new();
    let body = json!({ "from": "USDT", "to": "ETH", "direction": "to", "amount": "0.1" });
    let offer = world.trade("alice", ESTIMATE, body.clone()).await.json();
    assert_eq!(offer["receive"], "0.1");
    let quote = json!({ "quoteId": offer["id"] });
    let before = world.trade_balance("alice").await;
    assert_eq!(world.trade("bob", CONFIRM, quote.clone()).await.status, 422);
    world.advance(10_000);
    let late = world.trade("alice", CONFIRM, quote).await;
    let message = "Quote was not found or has expired.";
    assert_eq!(late.json()["errors"]["quoteId"][0], message);
    assert_eq!(world.trade_balance("alice").await, before);
    for _ in 0..20 {
        assert_eq!(world.trade("alice", ESTIMATE, body.clone()).await.status, 200);
    }
    let many = world.trade("alice", ESTIMATE, body.clone()).await;
    assert_eq!(many.status, 422, "{}", many.text());
    world.advance(10_000);
    assert_eq!(world.trade("alice", ESTIMATE, body).await.status, 200);
}

#[tokio::test]
async fn a_conversion_beyond_the_balance_or_the_house_is_refused_and_changes_nothing() {
    let world = World::new();
    let convert = async |amount: &str| {
        let body = json!({ "from": "USDT", "to": "BTC", "direction": "to", "amount": amount });
        let offer = world.trade("alice", ESTIMATE, body).await.json();
        world.trade("alice", CONFIRM, json!({ "quoteId": offer["id"] })).await
    };
    let before = world.trade_balance("alice").await;
    let poor = convert("50").await;
    assert_eq!((poor.status.as_u16(), &poor.json()["code"]), (400, &json!(10)));
    let dry = convert("1000").await;
    assert_eq!(dry.json()["errors"]["amount"][0], "Not enough liquidity.");
    assert_eq!(world.trade_balance("alice").await, before);
}

#[tokio::test]
async fn deposits_and_withdrawals_come_in_pages_and_by_kind() {
    let world = World::new();
    let list = async |body: Value| {
        world.trade("alice", "/api/v4/accounts/transactions", body).await.json()
    };
    let all = list(json!({})).await;
    assert_eq!((&all["total"], &all["limit"]), (&json!(4), &json!(50)));
    assert_eq!(all["records"][0]["method"], 2, "the newest first");
    let deposits = list(json!({ "transactionMethod": "1", "limit": 2, "offset": 1 })).await;
    assert_eq!((&deposits["total"], &deposits["offset"]), (&json!(3), &json!(1)));
    let tickers: Vec<&Value> =
        deposits["records"].as_array().unwrap().iter().map(|each| &each["ticker"]).collect();
    assert_eq!(tickers, ["ETH", "BTC"]);
    assert_eq!(list(json!({ "ticker": "ETH" })).await["total"], 1);
    let wrong = list(json!({ "transactionMethod": 3, "limit": 0 })).await;
    assert_eq!(
        wrong["errors"]["transactionMethod"][0],
        "TransactionMethod field should be 1 or 2."
    );
    assert_eq!(wrong["errors"]["limit"][0], "Limit should be at least 1.");
}
