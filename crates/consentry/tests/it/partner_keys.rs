//! WhiteBIT's "Fast API Key" as its partners know it: the flow, and every answer of the facts byte
//! for byte, against `consentry demo`.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use testkit::app::VERIFIER;
use testkit::{Browser, Demo, Page, TestApp};

use crate::BINARY;
use crate::dialects::seen::{Seen, authorize_url, post, seen};
use crate::phone::Phone;
use crate::use_cases::assert_audited;

const LOGIN: &str = "/auth/login";
const TOKEN: &str = "/oauth2/token";
const INFO: &str = "/oauth2/api-key/info";
/// The headers of every answer.
const JSON: &str = "cache-control: no-store\ncontent-type: application/json\n\n";
const NO_KEY: &str = r#"{"data":{"exists":false,"isEnabled":false,"externalId":null,"apiKey":null,"permissions":[]}}"#;

struct World {
    demo: Demo,
    user: Browser,
    phone: Phone,
    app: TestApp,
}

async fn world() -> World {
    let demo = Demo::start(BINARY).await;
    let user = demo.exchange.signed_in("alice").await;
    let app = demo.exchange.app("key-partner");
    World { demo, user, phone: Phone::default(), app }
}

impl World {
    /// Where a partner sends a user for a key.
    fn key_url(&self) -> String {
        let standard = self.app.authorize_url("general", "S");
        let challenge = standard.query_pairs().find(|(name, _)| name == "code_challenge");
        let query = [
            ("clientId", &*self.app.client_id),
            ("state", "S"),
            ("redirect_uri", &*self.app.redirect_uri),
            ("code_challenge", &*challenge.unwrap().1),
            ("code_challenge_method", "S256"),
        ];
        authorize_url(&self.app, LOGIN, &query)
    }

    /// The user picks `picked`, proves to be the user, and is back at the partner.
    async fn make(&mut self, picked: &[(&str, &str)]) -> Page {
        let page = self.user.open(&self.key_url()).await;
        let mut form = page.form("consent").set("decision", "allow");
        for (name, value) in picked {
            assert!(form.unticked.contains(&((*name).to_owned(), (*value).to_owned())), "{value}");
            form = form.add(name, value);
        }
        let asked = self.user.submit(&form).await;
        self.phone.prove(&self.user, asked).await
    }

    async fn trade(&self, callback: &Page) -> Seen {
        let code = callback.callback_parameter("code").unwrap();
        self.token(&[("code", &*code), ("code_verifier", VERIFIER)]).await
    }

    async fn token(&self, more: &[(&str, &str)]) -> Seen {
        let secret = self.app.client_secret.clone().unwrap();
        let own = [("client_id", &*self.app.client_id), ("client_secret", &*secret)];
        post(&self.app, TOKEN, &own.iter().chain(more).copied().collect::<Vec<_>>()).await
    }

    /// A key with these permissions, and a token of its app.
    async fn key(&mut self, picked: &[(&str, &str)]) -> Key {
        let callback = self.make(picked).await;
        let token = self.trade(&callback).await.at("/data/access_token");
        let info = self.call("GET", INFO, &token).await;
        let public = callback.callback_parameter("apiKey").unwrap();
        assert_eq!(info.at("/data/apiKey"), public);
        Key { id: info.at("/data/externalId"), public, token }
    }

    /// A token of an ordinary sign-in, as a partner has one before it asks for a key.
    async fn plain_token(&self, user: &Browser) -> String {
        let url = authorize_url(&self.app, LOGIN, &[("clientId", &*self.app.client_id)]);
        let callback = self.app.allow(user, user.open(&url).await).await;
        let code = callback.callback_parameter("code").unwrap();
        self.token(&[("code", &*code)]).await.at("/data/access_token")
    }

    async fn call(&self, method: &str, path: &str, token: &str) -> Seen {
        let url = format!("{}{path}", self.app.issuer);
        let request = self.app.client.request(method.parse().unwrap(), url);
        seen(match token {
            "" => request,
            token => request.header("authorization", format!("Bearer {token}")),
        })
        .await
    }
}

struct Key {
    id: String,
    public: String,
    token: String,
}

impl Key {
    fn secret_path(&self) -> String {
        format!("/oauth2/api-key/{}/secret", self.id)
    }

    fn path(&self) -> String {
        format!("/oauth2/api-key/{}", self.id)
    }
}

fn ok(body: &str) -> String {
    format!("HTTP 200\n{JSON}{body}")
}

fn refused(status: u16, message: &str) -> String {
    format!("HTTP {status}\n{JSON}{{\"data\":{{\"message\":[\"{message}\"]}}}}")
}

#[tokio::test]
async fn a_partner_gets_a_key_that_the_user_has_picked_and_its_secret_once() {
    let mut world = world().await;
    let before = world.plain_token(&world.user).await;
    assert_eq!(world.call("GET", INFO, &before).await.text, ok(NO_KEY));

    let picked = [
        ("group", "balances"),
        ("permission", "trading /api/v4/order/new"),
        ("permission", "trading /api/v4/order/cancel"),
    ];
    let callback = world.make(&picked).await;
    let public = callback.callback_parameter("apiKey").unwrap();
    assert!(public.len() == 32 && public.bytes().all(|byte| byte.is_ascii_hexdigit()), "{public}");
    let code = callback.callback_parameter("code").unwrap();
    let expected = format!("{}?code={code}&apiKey={public}&state=S", world.app.redirect_uri);
    assert_eq!(callback.callback().as_str(), expected);

    let tokens = world.trade(&callback).await;
    let scopes = "apikeys.create,apikeys.delete,apikeys.read,balances.read,deals.read,\
                  orders.create,orders.delete,orders.read,orders_history.read";
    assert_eq!(
        tokens.text,
        ok(&format!(
            "{{\"data\":{{\"access_token\":\"ACCESS\",\"expires_in\":14400,\"scope\":\"{scopes}\",\
             \"token_type\":\"Bearer\"}}}}"
        )),
        "four hours, and no refresh token"
    );
    let token = tokens.at("/data/access_token");
    let info = world.call("GET", INFO, &token).await;
    let id = info.at("/data/externalId");
    let urls = |prefix: &str, urls: &[(&str, bool)]| {
        let one = |(url, enable): &(&str, bool)| {
            format!(r#"{{"url":"/api/v4/{prefix}{url}","enable":{enable}}}"#)
        };
        urls.iter().map(one).collect::<Vec<_>>().join(",")
    };
    let balances = urls(
        "",
        &[
            ("trade-account/balance", true),
            ("main-account/balance", true),
            ("main-account/history", true),
            ("trade-account/order/history", true),
            ("trade-account/executed-history", true),
            ("trade-account/order", true),
        ],
    );
    let trading = urls(
        "order",
        &[
            ("s", false),
            ("/new", true),
            ("/market", false),
            ("/stock_market", false),
            ("/modify", false),
            ("/cancel", true),
            ("/cancel/all", false),
        ],
    );
    let conversions =
        urls("convert/", &[("estimate", false), ("confirm", false), ("history", false)]);
    let transfers = urls("main-account/", &[("transfer", false)]);
    let group = |name: &str, title: &str, urls: &str| {
        format!(r#"{{"name":"{name}","title":"{title}","urls":[{urls}]}}"#)
    };
    let permissions = [
        group("balances", "See balances and history", &balances),
        group("trading", "Trading", &trading),
        group("conversions", "Conversions", &conversions),
        group("transfers", "Move money", &transfers),
    ]
    .join(",");
    assert_eq!(
        info.text,
        ok(&format!(
            "{{\"data\":{{\"exists\":true,\"isEnabled\":true,\"externalId\":\"{id}\",\
             \"apiKey\":\"{public}\",\"permissions\":[{permissions}]}}}}"
        ))
    );

    let key = Key { id, public, token };
    let told = world.call("GET", &key.secret_path(), &key.token).await;
    let secret = told.at("/data/apiSecret");
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(told.text, ok(&format!("{{\"data\":{{\"apiSecret\":\"{secret}\"}}}}")));
    let again = world.call("GET", &key.secret_path(), &key.token).await;
    assert_eq!(again.text, refused(409, "Secret already retrieved."));

    let deleted = world.call("DELETE", &key.path(), &key.token).await;
    assert_eq!(deleted.text, ok("{\"data\":[]}"));
    assert_eq!(world.call("GET", INFO, &key.token).await.text, ok(NO_KEY));
    for (method, path) in [("GET", key.secret_path()), ("DELETE", key.path())] {
        let gone = world.call(method, &path, &key.token).await;
        assert_eq!(gone.text, refused(404, "Key not found."), "{method}");
    }
    let kinds = ["partner_key.issued", "partner_key.secret_read", "partner_key.ended"];
    assert_audited(&world.demo, "exchange", &world.app, &kinds);
    let database = world.demo.data().join("exchange").join("consentry.db");
    let rows = std::fs::read(database).unwrap();
    let log = std::fs::read(world.demo.data().join("exchange").join("consentry.db-wal"));
    for (what, bytes) in [("rows", rows), ("log", log.unwrap_or_default())] {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the secret is in the {what} as it stands");
    }
}

#[tokio::test]
async fn nobody_without_the_right_token_hears_anything_of_a_key() {
    let mut world = world().await;
    let key = world.key(&[("group", "trading")]).await;
    let unauthorized = refused(401, "Unauthorized.");
    let other = world.demo.exchange.app("whitebit-partner");
    let url = authorize_url(&other, LOGIN, &[("clientId", &*other.client_id)]);
    let callback = other.allow(&world.user, world.user.open(&url).await).await;
    let code = callback.callback_parameter("code").unwrap();
    let secret = other.client_secret.clone().unwrap();
    let form = [("client_id", &*other.client_id), ("client_secret", &*secret), ("code", &*code)];
    let without_scope = post(&other, TOKEN, &form).await.at("/data/access_token");
    let bot = world.demo.exchange.app("trading-bot");
    let of_the_standard = bot.connect(&world.user, "orders.read").await.access;
    let paths = [("GET", INFO.to_owned()), ("GET", key.secret_path()), ("DELETE", key.path())];
    for (method, path) in &paths {
        for token in ["", "nonsense", &without_scope, &of_the_standard] {
            let answer = world.call(method, path, token).await;
            assert_eq!(answer.text, unauthorized, "{method} {path} {token}");
        }
    }
    // Another user of the same app.
    let bob = world.demo.exchange.signed_in("bob").await;
    let his = world.plain_token(&bob).await;
    assert_eq!(world.call("GET", INFO, &his).await.text, ok(NO_KEY));
    for (method, path) in &paths[1..] {
        let answer = world.call(method, path, &his).await;
        assert_eq!(answer.text, refused(403, "Forbidden."), "{method}");
        let unknown = path.replace(&key.id, "550e8400-e29b-41d4-a716-446655440000");
        let answer = world.call(method, &unknown, &key.token).await;
        assert_eq!(answer.text, refused(404, "Key not found."), "{method}");
    }
    assert_eq!(world.call("GET", &key.secret_path(), &key.token).await.status, 200);
}

#[tokio::test]
async fn of_a_hundred_retrievals_one_hears_the_secret_and_the_others_why_not() {
    let mut world = world().await;
    let key = world.key(&[]).await;
    let path = key.secret_path();
    let answers = join_all((0..100).map(|_| world.call("GET", &path, &key.token))).await;
    let told = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(told.count(), 1);
    let others: BTreeSet<&str> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .map(|answer| answer.text.as_str())
        .collect();
    let locked = format!(
        "HTTP 423\n{}retry-after: 1\n\n{}",
        JSON.trim_end_matches('\n').to_owned() + "\n",
        r#"{"data":{"message":["Temporary lock, retry shortly."]}}"#
    );
    let read = refused(409, "Secret already retrieved.");
    assert!(others.iter().all(|text| *text == locked || *text == read), "{others:?}");
}

#[tokio::test]
async fn a_second_key_is_refused_until_the_user_removes_the_first() {
    let mut world = world().await;
    let key = world.key(&[("group", "trading")]).await;
    let refused = world.user.open(&world.key_url()).await;
    let expected = format!(
        "{}?error=partner_key_active_exists&error_description=the+user+has+an+active+key+for+this+\
         app&state=S",
        world.app.redirect_uri
    );
    assert_eq!(refused.callback().as_str(), expected);
    let list = world.user.open("/connected").await;
    let link = list.html.split("href=\"").find(|rest| rest.starts_with("/connected/")).unwrap();
    let page = world.user.open(link.split('"').next().unwrap()).await;
    assert!(page.html.contains(&key.public), "{}", page.html);
    world.user.submit(&page.form("remove-key")).await;
    assert_eq!(world.call("GET", INFO, &key.token).await.text, ok(NO_KEY));
    let again = world.key(&[]).await;
    assert_ne!(again.id, key.id);
}

#[tokio::test]
async fn money_takes_a_warning_and_a_second_yes() {
    let mut world = world().await;
    let page = world.user.open(&world.key_url()).await;
    assert!(page.html.contains("id=\"money-warning\""));
    let form = page.form("consent").set("decision", "allow").add("group", "transfers");
    let again = world.user.submit(&form).await;
    assert_eq!(again.status, 422);
    let form = again.form("consent");
    assert_eq!(form.values("group"), ["transfers"], "what was ticked stays");
    let form = form.set("decision", "allow").add("confirm_money", "yes");
    let asked = world.user.submit(&form).await;
    let callback = world.phone.prove(&world.user, asked).await;
    assert!(callback.callback_parameter("apiKey").is_some());
}

#[tokio::test]
async fn without_pkce_a_partner_signs_users_in_as_always_and_makes_no_key() {
    let world = world().await;
    let url = authorize_url(&world.app, LOGIN, &[("clientId", &*world.app.client_id)]);
    let page = world.user.open(&url).await;
    assert!(!page.html.contains("The key that it gets"));
    let callback = world.app.allow(&world.user, page).await;
    assert_eq!(callback.callback_parameter("apiKey"), None);
    let code = callback.callback_parameter("code").unwrap();
    let tokens = world.token(&[("code", &*code)]).await;
    assert!(tokens.text.contains("\"expires_in\":300,\"refresh_token\":\"REFRESH\""));
    assert!(!tokens.text.contains("apikeys.create"), "{}", tokens.text);
}
