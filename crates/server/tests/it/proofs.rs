//! What users of tests have besides a password, and how they give it.

use std::time::Duration;

use domain::id::UserId;
use domain::second_factor::open_secret;
use domain::user::User;
use http::StatusCode;
use protocol::totp;
use store::{Tx, second_factors};
use testkit::passkey::{Fields, VirtualPasskey};

use crate::harness::{Answer, Browser, ISSUER, TestApp};

pub const STEP: Duration = Duration::from_secs(30);
pub const QUARTER: Duration = Duration::from_secs(15 * 60);

/// The code that the user's only authenticator app shows.
pub async fn code(app: &TestApp, user: UserId) -> String {
    let find = async move |tx: &mut Tx<'_>| second_factors::find_enrolled(tx, user).await;
    let enrolled = app.write(find).await;
    let totp = enrolled.totps.first().unwrap();
    let secret = open_secret(&app.provider.keyring(), user, &totp.secret).unwrap();
    totp::code(&secret, app.provider.now().as_seconds() / totp::STEP_SECONDS)
}

pub async fn send(
    browser: &Browser<'_>,
    path: &str,
    fields: &[(&str, &str)],
    more: Fields,
) -> Answer {
    let fields = fields.iter().copied();
    let more = more.iter().map(|(name, value)| (*name, value.as_str()));
    browser.post(path, &fields.chain(more).collect::<Vec<_>>()).await
}

/// The value of `attribute` on the page.
pub fn attribute(page: &Answer, name: &str) -> String {
    let text = page.text();
    let (_, rest) = text.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{text}"));
    rest.split('"').next().unwrap().to_owned()
}

/// Set up an authenticator app and give the recovery codes that came with it.
pub async fn enrol_app(app: &TestApp, browser: &Browser<'_>) -> Vec<String> {
    let form = browser.get("/security/app").await;
    assert_eq!(form.status, StatusCode::OK, "{form:?}");
    let (new, csrf) = (form.hidden("new"), form.hidden("csrf"));
    let secret = form.text().split("id=\"secret\"").nth(1).unwrap().to_owned();
    let secret = secret.split(['>', '<']).nth(1).unwrap().replace(' ', "");
    let code = totp::code(&from_base32(&secret), app.provider.now().as_seconds() / 30);
    let fields = [("new", &*new), ("csrf", &*csrf), ("name", "Phone"), ("code", &*code)];
    let answer = browser.post("/security/app", &fields).await;
    assert!([200, 303].contains(&answer.status.as_u16()), "{answer:?}");
    // The code of this moment has been used.
    app.clock.advance(STEP);
    codes_on(&answer)
}

pub fn codes_on(page: &Answer) -> Vec<String> {
    let text = page.text();
    text.split("<li><code>").skip(1).map(|rest| rest[..14].to_owned()).collect()
}

pub fn from_base32(text: &str) -> Vec<u8> {
    let digit = |c| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
    let bits: String = text.chars().map(|c| format!("{:05b}", digit(c))).collect();
    let whole = bits.as_bytes().chunks_exact(8);
    whole.map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}

/// Make a passkey for whoever is signed in.
pub async fn enrol_passkey(browser: &Browser<'_>) -> VirtualPasskey {
    let form = browser.get("/security/passkey").await;
    assert_eq!(form.status, StatusCode::OK, "{form:?}");
    let passkey = VirtualPasskey::new(ISSUER, &attribute(&form, "data-user-id"));
    let answer = add_passkey(browser, &form, &passkey).await;
    assert!([200, 303].contains(&answer.status.as_u16()), "{answer:?}");
    passkey
}

pub async fn add_passkey(browser: &Browser<'_>, form: &Answer, passkey: &VirtualPasskey) -> Answer {
    let (state, csrf) = (form.hidden("passkey"), form.hidden("csrf"));
    let fields = [("passkey", &*state), ("csrf", &*csrf), ("name", "Laptop")];
    let made = passkey.create(&attribute(form, "data-challenge"));
    send(browser, "/security/passkey", &fields, made).await
}

/// The answer to the right password, or to a wrong one.
pub async fn give_password(browser: &Browser<'_>, user: &User, password: &str) -> Answer {
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    let fields = [("email", &*user.email), ("password", password), ("csrf", &csrf)];
    browser.post("/sign-in", &fields).await
}

pub async fn give_code(browser: &Browser<'_>, page: &Answer, code: &str) -> Answer {
    let (half_way, csrf) = (page.hidden("half_way"), page.hidden("csrf"));
    let fields =
        [("half_way", &*half_way), ("csrf", &*csrf), ("code", code), ("continue", "/connected")];
    browser.post("/sign-in/second-factor", &fields).await
}

pub async fn sign_in_with(
    browser: &Browser<'_>,
    page: &Answer,
    passkey: &VirtualPasskey,
) -> Answer {
    let (state, csrf) = (page.hidden("passkey"), page.hidden("csrf"));
    let fields = [("passkey", &*state), ("csrf", &*csrf), ("continue", "/connected")];
    let used = passkey.get(&attribute(page, "data-challenge"));
    send(browser, "/sign-in/passkey", &fields, used).await
}

pub async fn is_signed_in(browser: &Browser<'_>, user: &User) -> bool {
    browser.get("/").await.text().contains(&user.email)
}

/// Alice with an authenticator app, and her recovery codes.
pub async fn alice_with_app() -> (TestApp, User, Vec<String>) {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let codes = enrol_app(&app, &browser).await;
    assert_eq!(codes.len(), 10);
    (app, alice, codes)
}
