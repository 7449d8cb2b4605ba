//! Trading with a partner key: requests signed as WhiteBIT's clients sign them and by HTTP Message
//! Signatures, what the exchange holds afterwards, and every way to misuse one. The published
//! clients are at the end.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::mac::{Digest, MacKey};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use testkit::Demo;

use crate::BINARY;
use crate::dialects::seen::{Seen, seen};
use crate::partner_keys::{Key, World, world};
use crate::use_cases::buy_order;

const NEW: &str = "/api/v4/order/new";
const TRADING: [(&str, &str); 2] = [("group", "trading"), ("group", "balances")];

/// What an app holds once a user has given it a key.
struct Signer {
    base: String,
    public: String,
    secret: String,
    client: reqwest::Client,
}

impl Signer {
    async fn of(world: &mut World, picked: &[(&str, &str)]) -> (Self, Key) {
        let key = world.key(picked).await;
        let secret = world.call("GET", &key.secret_path(), &key.token).await.at("/data/apiSecret");
        let (base, client) = (world.app.issuer.clone(), world.app.client.clone());
        (Self { base, public: key.public.clone(), secret, client }, key)
    }

    /// As the samples of the documentation do it.
    fn sign(&self, path: &str, nonce: i64, more: &Value) -> RequestBuilder {
        let mut body = more.clone();
        body["request"] = path.into();
        body["nonce"] = nonce.into();
        let body = body.to_string();
        let payload = STANDARD.encode(&body);
        let mac = MacKey::new(self.secret.as_bytes()).sign(Digest::Sha512, payload.as_bytes());
        let signature: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        self.client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("X-TXC-APIKEY", &self.public)
            .header("X-TXC-PAYLOAD", payload)
            .header("X-TXC-SIGNATURE", signature)
            .body(body)
    }

    async fn call(&self, path: &str, nonce: i64, more: &Value) -> Seen {
        seen(self.sign(path, nonce, more)).await
    }
}

#[expect(clippy::disallowed_methods, reason = "the demo runs on the real clock")]
fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Status and body, where the answer is the gateway's own.
fn refused(seen: &Seen) -> String {
    format!("{} {}", seen.status.as_u16(), seen.body)
}

fn whitebit(message: &str) -> String {
    format!("400 {}", json!({ "code": 9, "message": message }))
}

#[tokio::test]
async fn a_trading_bot_with_a_partner_key_places_modifies_and_cancels() {
    let mut world = world().await;
    let (bot, _) = Signer::of(&mut world, &TRADING).await;
    let placed = bot.call(NEW, 1, &buy_order()).await;
    assert_eq!(placed.status, 200, "{}", placed.text);
    let id = placed.body["orderId"].clone();
    let change = json!({ "market": "BTC_USDT", "orderId": id, "price": "19000" });
    let modified = bot.call("/api/v4/order/modify", 2, &change).await;
    assert_eq!(modified.status, 200, "{}", modified.text);
    let market = json!({ "market": "BTC_USDT" });
    let open = bot.call("/api/v4/orders", 3, &market).await;
    assert_eq!(open.body[0]["price"], "19000", "{}", open.text);
    let named = json!({ "market": "BTC_USDT", "orderId": open.body[0]["orderId"] });
    assert_eq!(bot.call("/api/v4/order/cancel", 4, &named).await.status, 200);
    assert_eq!(bot.call("/api/v4/orders", 5, &market).await.body, json!([]));
    let balance = bot.call("/api/v4/trade-account/balance", 6, &json!({ "ticker": "USDT" })).await;
    assert_eq!(balance.body["freeze"], "0", "{}", balance.text);

    // It was not let near money, and says so in the audit trail.
    let moved = json!({ "ticker": "USDT", "amount": "1", "from": "spot", "to": "main" });
    let moved = bot.call("/api/v4/main-account/transfer", 7, &moved).await;
    let message =
        "You don't have permission to use this endpoint. Please contact support for more details";
    assert_eq!(refused(&moved), whitebit(message));
    assert_refusals(&mut world, &["not_permitted"]).await;
}

/// The reasons of refused signed requests in the audit trail, once the process has ended well.
async fn assert_refusals(world: &mut World, expected: &[&str]) {
    assert!(world.demo.interrupt().await.success());
    let path = world.demo.data().join("exchange").join("consentry.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT detail, address FROM audit WHERE kind = 'partner_key.refused'";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>().unwrap();
    let why = |(detail, _): &(String, String)| {
        serde_json::from_str::<Value>(detail).unwrap()["why"].as_str().unwrap().to_owned()
    };
    let mut found: Vec<String> = rows.iter().map(why).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn n1_replays_forgeries_and_stolen_keys_are_refused_and_audited() {
    let mut world = world().await;
    let (bot, key) = Signer::of(&mut world, &TRADING).await;
    let order = buy_order();
    assert_eq!(bot.call(NEW, 7, &order).await.status, 200);

    let used = whitebit("Too many requests.");
    assert_eq!(refused(&bot.call(NEW, 7, &order).await), used, "a replay");
    let text = json!({ "market": "BTC_USDT" });
    assert_eq!(refused(&bot.call("/api/v4/orders", 7, &text).await), used, "a reused nonce");
    assert_eq!(refused(&bot.call(NEW, 6, &order).await), used);

    let altered = bot.sign(NEW, 8, &order).body(order.to_string());
    assert_eq!(refused(&seen(altered).await), whitebit("Invalid payload."));
    let mut elsewhere = bot.sign(NEW, 8, &order).build().unwrap();
    elsewhere.url_mut().set_path("/api/v4/order/market");
    let elsewhere = RequestBuilder::from_parts(bot.client.clone(), elsewhere);
    assert_eq!(refused(&seen(elsewhere).await), whitebit("Invalid payload."), "a wrong path");

    let forger =
        Signer { secret: "a guess".to_owned(), client: bot.client.clone(), ..world.copy(&bot) };
    assert_eq!(refused(&forger.call(NEW, 8, &order).await), whitebit("Unauthorized request."));
    let elsewhere = reqwest::Client::builder().local_address("127.0.0.2".parse().ok());
    let thief = Signer { client: elsewhere.build().unwrap(), ..world.copy(&bot) };
    let stolen = thief.call(NEW, 8, &order).await;
    assert_eq!(refused(&stolen), whitebit("Unauthorized request."), "from another address");

    // None of them used its nonce up, and exactly one order was placed.
    let open = bot.call("/api/v4/orders", 8, &json!({ "market": "BTC_USDT" })).await;
    assert_eq!(open.body.as_array().unwrap().len(), 1, "{}", open.text);
    let window = |nonce: i64| json!({ "market": "BTC_USDT", "nonceWindow": true, "n": nonce });
    let nonce = now_ms();
    assert_eq!(bot.call("/api/v4/orders", nonce, &window(1)).await.status, 200);
    assert_eq!(refused(&bot.call("/api/v4/orders", nonce, &window(2)).await), used);
    let old = bot.call("/api/v4/orders", nonce - 60_000, &window(3)).await;
    let message = "Your nonce is more than 5 seconds lesser than the current nonce";
    assert_eq!(refused(&old), whitebit(message));

    // Deleted by its app: nobody knows it any more.
    assert_eq!(world.call("DELETE", &key.path(), &key.token).await.status, 200);
    let gone = bot.call("/api/v4/orders", 9, &json!({ "market": "BTC_USDT" })).await;
    assert_eq!(refused(&gone), whitebit("Unauthorized request."));
    let why = [
        "address_not_allowed",
        "nonce_early",
        "nonce_used",
        "payload_invalid",
        "request_mismatch",
        "signature_invalid",
    ];
    assert_refusals(&mut world, &why).await;
}

impl World {
    fn copy(&self, signer: &Signer) -> Signer {
        Signer {
            base: signer.base.clone(),
            public: signer.public.clone(),
            secret: signer.secret.clone(),
            client: self.app.client.clone(),
        }
    }
}

#[tokio::test]
async fn n1_a_request_is_refused_after_the_process_was_killed() {
    let mut world = world().await;
    let (bot, _) = Signer::of(&mut world, &TRADING).await;
    let market = json!({ "market": "BTC_USDT" });
    let began = now_ms();
    let mut last = began;
    for _ in 0..10 {
        last = now_ms().max(last + 1);
        assert_eq!(bot.call("/api/v4/orders", last, &market).await.status, 200);
    }
    world.demo.kill().await;
    let folder = world.demo.data().to_owned();
    let port = world.app.issuer.rsplit_once(':').unwrap().1.to_owned();
    let _demo = Demo::start_on(BINARY, &folder, &port).await;
    for nonce in [began, last] {
        let replayed = bot.call("/api/v4/orders", nonce, &market).await;
        assert_eq!(refused(&replayed), whitebit("Too many requests."));
    }
    // A bot whose nonces are the time of day goes on by itself: nothing ahead was refused for long.
    assert_eq!(bot.call("/api/v4/orders", last + 5001, &market).await.status, 200);
}

#[cfg(feature = "full-tests")]
mod published {
    use super::*;
    use crate::clients::Program;

    async fn run(program: Program) -> (World, Value) {
        let mut world = world().await;
        let (bot, _) = Signer::of(&mut world, &TRADING).await;
        let config = json!({ "base": bot.base, "key": bot.public, "secret": bot.secret });
        let found = program.report(&config).await;
        (world, found)
    }

    #[tokio::test]
    async fn ccxt_trades_with_a_partner_key() {
        let (_world, found) = run(Program::ccxt("ccxt_signed.py")).await;
        assert_eq!(found["placed"]["status"], "NEW", "{found}");
        assert_eq!(found["edited"]["price"], 19000.0, "{found}");
        assert_eq!(found["open"], 1, "{found}");
        assert_eq!(found["after_cancel"], 0, "{found}");
        assert!(found["free_usdt"].as_f64().unwrap() > 0.0, "{found}");
        assert_eq!(found["window"], 0, "{found}");
        assert_eq!(found["refused"]["transfer"], "ExchangeError", "{found}");
        assert_eq!(found["refused"]["wrong_secret"], "AuthenticationError", "{found}");
    }

    #[tokio::test]
    async fn whitebits_python_sdk_trades_with_a_partner_key() {
        let (_world, found) = run(Program::python("whitebit_sdk_signed.py")).await;
        assert_eq!(found["modified_price"], "19000", "{found}");
        assert_eq!((&found["open"], &found["after_cancel"]), (&json!(1), &json!(0)), "{found}");
        assert_eq!(found["replayed"], json!([400, "Too many requests."]), "{found}");
        let wanted = "You don't have permission to use this endpoint. Please contact support for more details";
        assert_eq!(found["transfer"], json!([400, wanted]), "{found}");
    }

    #[tokio::test]
    async fn a_client_of_message_signatures_trades_with_a_partner_key() {
        let (_world, found) = run(Program::python("message_signatures.py")).await;
        assert_eq!(found["placed"][0], 200, "{found}");
        assert_eq!(found["open"], 1, "{found}");
        assert_eq!(found["cancelled"][0], 200, "{found}");
        for misuse in ["replayed", "altered", "uncovered", "old", "wrong_path"] {
            assert_eq!(found[misuse][0], 401, "{misuse}: {found}");
        }
        assert_eq!(found["transfer"][0], 403, "{found}");
    }
}
