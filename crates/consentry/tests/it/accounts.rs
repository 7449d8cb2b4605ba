//! Accounts from outside: made, lost and found again through the demo's mailbox.

use reqwest::StatusCode;
use serde_json::Value;
use testkit::browser::Page;
use testkit::demo::password;
use testkit::{Browser, Demo};

use crate::BINARY;
use crate::served::until;

const CHOSEN: &str = "a password nobody guesses";

/// The newest letter to `to` whose subject has these words; waits until the demo has sent it.
pub async fn letter(demo: &Demo, to: &str, words: &str) -> Value {
    until(words, async || {
        let mut letters = demo.letters(to).await.into_iter();
        letters.find(|letter| letter["subject"].as_str().unwrap().contains(words))
    })
    .await
}

pub fn link(letter: &Value) -> String {
    let lines = letter["text"].as_str().unwrap().lines();
    let mut links = lines.filter(|line| line.contains("?link="));
    links.next().unwrap_or_else(|| panic!("no link: {letter}")).to_owned()
}

async fn ask_reset(browser: &Browser, email: &str) -> Page {
    let page = browser.open("/forgotten-password").await;
    browser.submit(&page.form("forgotten").set("email", email)).await
}

#[tokio::test]
async fn somebody_signs_up_by_mail_and_registers_an_app() {
    let demo = Demo::start(BINARY).await;
    let browser = Browser::new(&demo.exchange.issuer);
    let page = browser.open("/sign-in").await;
    assert!(page.html.contains("id=\"to-sign-up\""), "{}", page.html);
    let page = browser.open("/sign-up").await;
    let form = page.form("sign-up").set("name", "Zoë").set("email", "zoe@example.org");
    let page = browser.submit(&form.set("password", CHOSEN)).await;
    assert!(page.html.contains("zoe@example.org"), "{}", page.html);
    let letter = letter(&demo, "zoe@example.org", "Finish your").await;
    assert_eq!(letter["provider"], "Practice Exchange");
    let page = browser.open(&link(&letter)).await;
    let page = browser.submit(&page.form("finish")).await;
    assert!(page.html.contains("Your account is ready"), "{}", page.html);
    // The demo lets everybody with a confirmed address register apps.
    let page = browser.open("/apps").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    assert_eq!(demo.letters("zoe@example.org").await.len(), 1, "no notice of this browser");
}

#[tokio::test]
async fn s6_a_forgotten_password_is_changed_once_and_by_whoever_asked() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    letter(&demo, "alice@example.com", "New sign-in").await;
    let browser = Browser::new(&demo.exchange.issuer);
    let page = ask_reset(&browser, "alice@example.com").await;
    assert!(page.html.contains("Look into your mailbox"), "{}", page.html);
    let link = link(&letter(&demo, "alice@example.com", "Choose another").await);

    let stranger = Browser::new(&demo.exchange.issuer);
    let page = stranger.open(&link).await;
    assert!(page.html.contains("Did you ask for another password?"), "{}", page.html);

    let page = browser.open(&link).await;
    let form = page.form("reset").set("password", CHOSEN);
    let page = browser.submit(&form).await;
    assert!(page.html.contains("Sign in with the new one"), "{}", page.html);
    assert_eq!(browser.submit(&form).await.status, StatusCode::GONE);
    assert_eq!(stranger.open(&link).await.status, StatusCode::GONE);

    let page = alice.open("/account").await;
    assert!(page.html.contains("id=\"sign-in\""), "her other browser is out:\n{}", page.html);
    let page = browser.sign_in("alice@example.com", &password("alice")).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    let page = browser.sign_in("alice@example.com", CHOSEN).await;
    assert!(page.html.contains("alice@example.com"), "{}", page.html);
    letter(&demo, "alice@example.com", "password was changed").await;
}

#[tokio::test]
async fn x2_who_asks_for_a_link_learns_nothing_about_the_address() {
    let demo = Demo::start(BINARY).await;
    let mut answers = Vec::new();
    for email in ["nobody@example.com", "alice@example.com"] {
        let page = ask_reset(&Browser::new(&demo.exchange.issuer), email).await;
        answers.push((page.status, page.html.replace(email, "")));
    }
    assert_eq!(answers[0], answers[1]);
    letter(&demo, "alice@example.com", "Choose another").await;
    assert_eq!(demo.letters("nobody@example.com").await, [Value::Null; 0]);
}

#[tokio::test]
async fn another_password_and_signing_out_everywhere_end_other_browsers() {
    let demo = Demo::start(BINARY).await;
    let (here, there) =
        (demo.exchange.signed_in("bob").await, demo.exchange.signed_in("bob").await);
    let page = here.open("/account/password").await;
    let form = page.form("change-password").set("current_password", &password("bob"));
    let page = here.submit(&form.set("new_password", CHOSEN)).await;
    assert!(page.html.contains("Your password is changed"), "{}", page.html);
    let page = there.open("/account").await;
    assert!(page.html.contains("id=\"sign-in\""), "{}", page.html);

    there.sign_in("bob@example.com", CHOSEN).await;
    let page = here.open("/account").await;
    assert_eq!(page.html.matches("name=\"end-session\"").count(), 2, "{}", page.html);
    let page = here.submit(&page.form("end-sessions").set("which", "all")).await;
    assert!(page.html.contains("signed out"), "{}", page.html);
    for browser in [&here, &there] {
        let page = browser.open("/account").await;
        assert!(page.html.contains("id=\"sign-in\""), "{}", page.html);
    }
}

#[tokio::test]
async fn an_app_that_is_let_in_and_one_whose_token_was_stolen_are_told_by_mail() {
    let demo = Demo::start(BINARY).await;
    let app = demo.exchange.app("trading-bot");
    let alice = demo.exchange.signed_in("alice").await;
    let first = app.connect(&alice, "orders.read").await.refresh.unwrap();
    letter(&demo, "alice@example.com", "may use your Practice Exchange account").await;
    let second = app.refresh(&first).await.tokens().refresh.unwrap();
    app.refresh(&second).await.tokens();
    assert_eq!(app.refresh(&first).await.error(), "invalid_grant");
    letter(&demo, "alice@example.com", "We ended the access").await;
}
