//! The whole way of an outside developer in a real Chromium, from the sign-up to the refusal after
//! a suspension; every page works without JavaScript too.

use fantoccini::Locator;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::Demo;

use crate::BINARY;
use crate::accounts::{letter, link};
use crate::browser::{LoopbackApp, Person, in_a_browser};

const BALANCE: &str = "/api/v4/trade-account/balance";
const PASSWORD: &str = "a password nobody guesses";

impl Person {
    /// Pages run no scripts from now on, as with a browser that has them switched off.
    async fn switches_scripts_off(&self) {
        let off = json!({ "value": true });
        let command = json!({ "cmd": "Emulation.setScriptExecutionDisabled", "params": off });
        self.tell_driver("goog/cdp/execute", &command).await;
    }

    /// Scripts uncover the copy buttons.
    async fn can_copy(&self) -> bool {
        self.element("button[data-copy]").await.is_displayed().await.unwrap()
    }

    async fn follows(&self, text: &str) {
        let link = self.browser.find(Locator::LinkText(text)).await;
        link.unwrap_or_else(|e| panic!("no link {text}: {e}")).click().await.unwrap();
    }

    async fn signs_up(&self, demo: &Demo, issuer: &str, address: &str) {
        self.go(&format!("{issuer}/sign-up")).await;
        self.types("#name", "Zoë").await;
        self.types("#email", address).await;
        self.types("#password", PASSWORD).await;
        self.click("#sign-up #submit").await;
        self.sees("main h1").await;
        self.go(&link(&letter(demo, address, "Finish your").await)).await;
        self.click("#finish #submit").await;
        self.sees("details.account").await;
    }

    /// One question after the other, with an address that is refused first.
    async fn registers_an_app(&self, issuer: &str) {
        self.go(&format!("{issuer}/apps/new")).await;
        self.click("#kind-native").await;
        self.click("#next").await;
        self.click("#wire-standard").await;
        self.click("#next").await;
        self.types("#redirect_uris", "http://ledger.example.com/callback").await;
        self.click("#next").await;
        self.sees("#redirect_uris-error").await;
        self.element("#redirect_uris").await.clear().await.unwrap();
        self.types("#redirect_uris", "http://127.0.0.1/callback").await;
        self.click("#next").await;
        self.types("#name", "Pocket Ledger").await;
        self.types("#description", "Keeps a diary of your balances.").await;
        self.click("#next").await;
        self.types("#homepage", "https://ledger.example.com/").await;
        self.click("#next").await;
        self.click("[id='scope-balances.read']").await;
        self.types("[id='purpose.balances.read']", "To write them down every evening.").await;
        self.click("#next").await;
        self.sees("#answers").await;
        self.click("#submit").await;
        self.sees("#status-note").await;
    }

    async fn asks_for_orders(&self) {
        self.follows("Scopes").await;
        self.click("details.more summary").await;
        self.click("#request-scopes [id='scope-orders.read']").await;
        self.types("#request-scopes [id='purpose.orders.read']", "To list what is open.").await;
        self.click("#request-scopes > button").await;
        self.sees("[id='remove-scope-orders.read']").await;
    }

    async fn decides(&self, issuer: &str, note: &str, button: &str) {
        self.go(&format!("{issuer}/staff/review")).await;
        self.sign_in("review").await;
        self.sees("a.cover").await;
        // The questions above the queue may name the app too.
        let entry = "//a[contains(@class, 'cover')][normalize-space() = 'Pocket Ledger']";
        let entry = self.browser.find(Locator::XPath(entry)).await.unwrap();
        entry.click().await.unwrap();
        if !note.is_empty() {
            self.types("#note", note).await;
        }
        self.click(button).await;
        self.sees("#flash").await;
        self.signs_out().await;
    }

    async fn returns_as(&self, issuer: &str, address: &str) {
        self.go(&format!("{issuer}/apps")).await;
        self.types("#email", address).await;
        self.types("#password", PASSWORD).await;
        self.click("#sign-in #submit").await;
        self.sees("a.cover").await;
        self.follows("Pocket Ledger").await;
    }

    async fn suspends(&self, issuer: &str) {
        self.go(&format!("{issuer}/staff/apps?q=Pocket+Ledger")).await;
        self.sign_in("review").await;
        self.click("main details.more summary").await;
        self.types("main details.more input[name=reason]", "It sells what it reads.").await;
        self.click("main details.more button").await;
        self.sees("#flash").await;
        self.signs_out().await;
    }
}

async fn the_whole_way(demo: &Demo, person: &Person) {
    let mut app = LoopbackApp::of(&demo.exchange).await;
    let issuer = app.app.issuer.clone();
    let address = "zoe@example.org";
    person.signs_up(demo, &issuer, address).await;
    person.registers_an_app(&issuer).await;
    person.asks_for_orders().await;
    person.follows("Credentials").await;
    app.app.client_id = person.element("#client-id").await.text().await.unwrap();
    person.signs_out().await;

    person.decides(&issuer, "Which host is yours?", "#ask").await;
    person.returns_as(&issuer, address).await;
    let asked = person.element("#asked").await.text().await.unwrap();
    assert!(asked.contains("Which host is yours?"), "{asked}");
    person.follows("Messages").await;
    person.types("#send-again #message", "ledger.example.com, since 2019.").await;
    person.click("#send-again button").await;
    person.sees("#status-note").await;
    person.signs_out().await;
    person.decides(&issuer, "", "#approve").await;

    person.go(app.app.authorize_url("balances.read orders.read", "live").as_str()).await;
    person.sign_in("alice").await;
    person.click("#allow").await;
    let code = app.arrival("live").await.parameter("code").to_owned();
    person.sees("#back").await;
    let tokens = app.app.redeem(&code).await.tokens();
    assert_eq!(app.status(BALANCE, &tokens.access).await, StatusCode::OK);
    assert_eq!(app.status("/api/v4/orders", &tokens.access).await, StatusCode::OK);
    person.go(&format!("{issuer}/connected")).await;
    person.signs_out().await;

    person.suspends(&issuer).await;
    assert_eq!(app.status(BALANCE, &tokens.access).await, StatusCode::UNAUTHORIZED);
    let refresh = app.app.refresh(tokens.refresh.as_deref().unwrap()).await;
    assert_ne!(refresh.status, StatusCode::OK, "{}", refresh.body);
    person.returns_as(&issuer, address).await;
    let told = person.element("#status-note").await.text().await.unwrap();
    assert!(told.contains("It sells what it reads."), "{told}");
}

#[tokio::test]
async fn a_developer_comes_from_sign_up_to_a_live_call_and_is_suspended() {
    let demo = Demo::start(BINARY).await;
    in_a_browser(async |person| {
        the_whole_way(&demo, person).await;
        assert!(person.can_copy().await);
        // That answers with wrong fields are 422 is told in the console; nothing else is.
        let complaints = person.complaints().await;
        let is_expected = |entry: &Value| entry["message"].as_str().unwrap().contains("422");
        assert!(complaints.iter().all(is_expected), "{complaints:?}");
    })
    .await;
}

#[tokio::test]
async fn a_developer_needs_no_javascript_from_sign_up_to_a_live_call() {
    let demo = Demo::start(BINARY).await;
    in_a_browser(async |person| {
        person.switches_scripts_off().await;
        the_whole_way(&demo, person).await;
        assert!(!person.can_copy().await, "the scripts are on");
    })
    .await;
}
