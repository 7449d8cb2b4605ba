//! Whatever is sent to the exchange over HTTP, by whomever: no server error, no balance below zero,
//! and of every currency as much as before.

use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::Map;

use super::ledger::count_money;
use super::*;

/// Every call that can move money or orders; placing an order more often than the others.
const PATHS: [&str; 12] = [
    "order/new",
    "order/new",
    "order/new",
    "order/new",
    "order/market",
    "order/stock_market",
    "order/modify",
    "order/cancel",
    "order/cancel/all",
    "main-account/transfer",
    "convert/estimate",
    "convert/confirm",
];
const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// Fields with values that often make sense, and now and then none.
fn body() -> impl Strategy<Value = Value> {
    let one_of =
        |values: &'static [&'static str]| proptest::sample::select(values).prop_map(Value::from);
    let amount = prop_oneof![
        one_of(&["0.001", "0.01", "0.02", "0.3", "0.7", "1", "60", "0.00000001"]),
        (1_u32..3_000).prop_map(|number| json!(f64::from(number) / 1000.0)),
    ];
    // Around the house's prices of ether, the market that most calls are about.
    let price = prop_oneof![
        6 => (2_980_u32..3_020).prop_map(|number| json!(number)),
        1 => one_of(&["60000", "59940", "60060", "0.05", "0.05005", "1"]),
    ];
    let order_id = (34_i64..42).prop_map(Value::from);
    let quote_id = (1_i64..8).prop_map(|id| json!(id.to_string()));
    let currency = || one_of(&["BTC", "ETH", "USDT"]);
    let fields: Vec<(&str, BoxedStrategy<Value>)> = vec![
        ("market", one_of(&["ETH_USDT", "ETH_USDT", "ETH_USDT", "BTC_USDT", "ETH_BTC"]).boxed()),
        ("side", one_of(&["buy", "sell"]).boxed()),
        ("amount", amount.boxed()),
        ("price", price.boxed()),
        ("orderId", order_id.boxed()),
        ("quoteId", quote_id.boxed()),
        ("ticker", currency().boxed()),
        ("from", prop_oneof![currency(), one_of(&["main", "spot"])].boxed()),
        ("to", prop_oneof![currency(), one_of(&["main", "spot"])].boxed()),
        ("direction", one_of(&["from", "to"]).boxed()),
        ("ioc", any::<bool>().prop_map(Value::from).boxed()),
        ("postOnly", proptest::bool::weighted(0.2).prop_map(Value::from).boxed()),
    ];
    let rubbish = prop_oneof![
        Just(Value::Null),
        Just(json!([{}])),
        "\\PC{0,30}".prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
    ];
    let field = |(name, sense): (&'static str, BoxedStrategy<Value>)| {
        let value = prop_oneof![30 => sense, 1 => rubbish.clone()];
        value.prop_map(move |value| (name.to_owned(), value))
    };
    let all: Vec<_> = fields.into_iter().map(field).collect();
    all.prop_map(|fields| Value::Object(Map::from_iter(fields)))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_sent_money_is_conserved_and_no_balance_is_below_zero(
        calls in proptest::collection::vec(
            (proptest::sample::select(&USERS[..]), proptest::sample::select(&PATHS[..]), body()),
            1..150,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(NOON));
        let signer = Signer::ed25519("one", 1);
        let exchange = open_exchange(folder.path(), clock(&now), verifier(EXCHANGE, &signer));
        let post = |user: &str, path: &str, body: &Value| {
            let request = Request::post(format!("/api/v4/{path}"))
                .header(ASSERTION_HEADER, signer.sign(&claims(EXCHANGE, user, NOON)))
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()));
            runtime.block_on(send(&exchange, request.unwrap()))
        };
        for user in USERS {
            post(user, "orders", &json!({}));
        }
        let mut file = Connection::open(folder.path().join("exchange.db")).unwrap();
        let before = count_money(&mut file, 4);
        for (user, path, body) in &calls {
            let answer = post(user, path, body);
            prop_assert!(answer.status.as_u16() < 500, "{path} {body}: {}", answer.text());
        }
        prop_assert_eq!(count_money(&mut file, 4), before);
    }
}
