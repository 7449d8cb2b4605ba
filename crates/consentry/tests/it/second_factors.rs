//! Second factors against the demo: Sam has an authenticator app whose secret everybody knows, Alice
//! sets one up on the way to an app that asks for it.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::totp;
use reqwest::StatusCode;
use rusqlite::Connection;
use testkit::browser::Page;
use testkit::demo::{email, password};
use testkit::passkey::VirtualPasskey;
use testkit::{Browser, Demo, DemoProvider};

use crate::BINARY;

#[expect(clippy::disallowed_methods, reason = "the demo runs by the real clock")]
pub fn step_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() / totp::STEP_SECONDS
}

pub fn from_base32(text: &str) -> Vec<u8> {
    let digit = |c| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
    let bits: String = text.chars().map(|c| format!("{:05b}", digit(c))).collect();
    let whole = bits.as_bytes().chunks_exact(8);
    whole.map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}

/// The secret that `demo.json` tells.
fn secret_of(provider: &DemoProvider, name: &str) -> Vec<u8> {
    let users = provider.json()["users"].as_array().unwrap();
    let user = users.iter().find(|user| user["email"] == email(name)).unwrap();
    from_base32(user["totp_secret"].as_str().unwrap())
}

/// What follows `before` on the page, to the next quote or tag.
fn after<'p>(page: &'p Page, before: &str) -> &'p str {
    let (_, rest) = page.html.split_once(before).unwrap_or_else(|| panic!("{}", page.html));
    rest.split(['"', '<']).next().unwrap()
}

async fn give_password(browser: &Browser, name: &str) -> Page {
    browser.sign_in(&email(name), &password(name)).await
}

async fn give_code(browser: &Browser, page: &Page, code: &str) -> Page {
    browser.submit(&page.form("second-factor").set("code", code)).await
}

fn audited(demo: &Demo) -> Vec<String> {
    let database = Connection::open(demo.data().join("exchange/consentry.db")).unwrap();
    let mut statement = database.prepare("SELECT kind FROM audit ORDER BY position").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn x2_a_code_of_an_authenticator_app_signs_in_once_and_guesses_are_slowed() {
    let demo = Demo::start(BINARY).await;
    let secret = secret_of(&demo.exchange, "sam");
    // Of the step that has just begun or the one after: both are good for half a minute.
    let step = step_now();
    let (code, next) = (totp::code(&secret, step), totp::code(&secret, step + 1));
    let browser = Browser::new(&demo.exchange.issuer);
    let page = give_password(&browser, "sam").await;
    assert!(page.html.contains("Second step"), "{}", page.html);
    let nothing = browser.open("/connected").await;
    assert!(nothing.url.path() == "/sign-in", "the password alone opens nothing");
    let home = give_code(&browser, &page, &code).await;
    assert!(home.html.contains(&email("sam")), "{}", home.html);

    let thief = Browser::new(&demo.exchange.issuer);
    let page = give_password(&thief, "sam").await;
    let again = give_code(&thief, &page, &code).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "somebody looked over Sam's shoulder");
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(give_code(&thief, &page, "000000").await.status);
    }
    assert_eq!(answers[..4], [StatusCode::UNAUTHORIZED; 4]);
    assert_eq!(answers[4], StatusCode::TOO_MANY_REQUESTS);
    let right = give_code(&thief, &page, &next).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS, "even the right one waits");
    let kinds = audited(&demo);
    assert_eq!(kinds.iter().filter(|kind| *kind == "second_factor.failed").count(), 5);
}

#[tokio::test]
async fn s2_a_half_way_sign_in_is_worth_nothing_in_another_browser() {
    let demo = Demo::start(BINARY).await;
    let secret = secret_of(&demo.exchange, "sam");
    let (sam, thief) = (Browser::new(&demo.exchange.issuer), Browser::new(&demo.exchange.issuer));
    let page = give_password(&sam, "sam").await;
    let half_way = page.form("second-factor").values("half_way")[0].to_owned();
    let own = give_password(&thief, "alice").await;
    assert!(own.html.contains(&email("alice")));
    let form = page.form("second-factor").set("code", &totp::code(&secret, step_now()));
    let with_sams_token = thief.submit(&form).await;
    assert_eq!(with_sams_token.status, StatusCode::BAD_REQUEST);
    let token = thief.open("/sign-in?again=yes").await.form("sign-in").values("csrf")[0].to_owned();
    let form = form.set("csrf", &token).set("half_way", &half_way);
    let with_own_token = thief.submit(&form).await;
    assert_eq!(with_own_token.status, StatusCode::BAD_REQUEST);
    assert!(thief.open("/connected").await.html.contains(&email("alice")));
}

#[tokio::test]
async fn an_app_that_asks_for_two_factors_gets_them_and_its_token_says_so() {
    let demo = Demo::start(BINARY).await;
    let app = demo.exchange.app("portfolio-tracker");
    let alice = demo.exchange.signed_in("alice").await;
    let mut url = app.authorize_url("balances.read", "two");
    url.query_pairs_mut().append_pair("acr_values", "2fa");
    let step_up = alice.open(url.as_str()).await;
    let path = after(&step_up, "id=\"set-up-app\" href=\"").replace("&amp;", "&");
    let page = alice.open(&path).await;
    let secret = after(&page, "id=\"secret\" class=\"copy-value\">").replace(' ', "");
    let code = totp::code(&from_base32(&secret), step_now());
    let codes = alice.submit(&page.form("add-app").set("code", &code)).await;
    assert_eq!(codes.html.matches("<li><code>").count(), 10, "{}", codes.html);
    let on = after(&codes, "id=\"stored\" href=\"").replace("&amp;", "&");
    let consent = alice.open(&on).await;
    let back = alice.submit(&consent.form("consent").set("decision", "allow")).await;
    let tokens = app.redeem(&back.callback_parameter("code").unwrap()).await.tokens();
    let told = app.introspect(&tokens.access).await;
    assert_eq!(told.body["acr"], "2fa", "{}", told.body);

    // The same without: back to the app with the error that RFC 9470 has for it.
    let bob = demo.exchange.signed_in("bob").await;
    let page = bob.open(url.as_str()).await;
    let cancel = after(&page, "id=\"cancel\" href=\"").replace("&amp;", "&");
    let refused = bob.open(&cancel).await.callback_parameter("error");
    assert_eq!(refused.as_deref(), Some("unmet_authentication_requirements"));

    // A recovery code stands in for the phone, once.
    let recovery = after(&codes, "<li><code>").to_owned();
    for expected in [StatusCode::OK, StatusCode::UNAUTHORIZED] {
        let browser = Browser::new(&demo.exchange.issuer);
        let page = give_password(&browser, "alice").await;
        assert_eq!(give_code(&browser, &page, &recovery).await.status, expected);
    }
}

#[tokio::test]
async fn s7_a_passkey_opens_its_own_account_and_no_other() {
    let demo = Demo::start(BINARY).await;
    let bob = demo.exchange.signed_in("bob").await;
    let page = bob.open("/security/passkey").await;
    let mut passkey = VirtualPasskey::new(&demo.exchange.issuer, after(&page, "data-user-id=\""));
    let mut form = page.form("add-passkey").set("name", "Laptop");
    for (name, value) in passkey.create(after(&page, "data-challenge=\"")) {
        form = form.add(name, &value);
    }
    assert!(bob.submit(&form).await.html.contains("Laptop is added"));

    let sign_in = async |passkey: &VirtualPasskey| {
        let browser = Browser::new(&demo.exchange.issuer);
        let page = browser.open("/sign-in?continue=%2Fconnected").await;
        let mut form = page.form("passkey");
        for (name, value) in passkey.get(after(&page, "data-challenge=\"")) {
            form = form.add(name, &value);
        }
        browser.submit(&form).await
    };
    let page = sign_in(&passkey).await;
    assert!(page.html.contains(&email("bob")), "{}", page.html);
    // Bob's device says that it is somebody else's.
    passkey.user_handle[0] ^= 1;
    assert_eq!(sign_in(&passkey).await.status, StatusCode::UNAUTHORIZED);
    passkey.user_handle[0] ^= 1;
    passkey.origin = "https://phishing.example".to_owned();
    assert_eq!(sign_in(&passkey).await.status, StatusCode::UNAUTHORIZED);
}
