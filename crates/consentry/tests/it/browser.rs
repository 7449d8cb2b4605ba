//! A real Chromium on our pages: its own idea of forms, cookies, redirects and content security
//! policies. What the console complains about fails the test.

use std::panic::AssertUnwindSafe;
use std::process::Stdio;
use std::time::Duration;

use axum::body::Bytes;
use fantoccini::{Client, ClientBuilder, Locator};
use futures_util::FutureExt as _;
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::demo::{email, password};
use testkit::{Demo, DemoProvider, TestApp};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use url::{Url, form_urlencoded};

use crate::BINARY;
use crate::clients::variable;

const PATIENCE: Duration = Duration::from_secs(60);
/// What a small phone shows, in CSS pixels.
const PHONE_WIDTH: u32 = 390;

/// Someone in front of a Chromium with a profile of its own.
pub struct Person {
    pub browser: Client,
    /// The session at the driver, for what WebDriver does not standardise.
    session: String,
    http: reqwest::Client,
}

/// Runs `test` in a new browser and closes it, however the test ends.
pub async fn in_a_browser(test: impl AsyncFnOnce(&Person)) {
    let profile = TempDir::new().unwrap();
    let (mut driver, address) = start_driver().await;
    let person = Person::start(&address, &profile).await;
    let outcome = AssertUnwindSafe(test(&person)).catch_unwind().await;
    // Without this the browser would outlive its driver.
    person.browser.close().await.unwrap();
    driver.kill().await.unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// A WebDriver server on a port that it chose, and its address. The driver takes a free port of
/// IPv4, wants the same one of IPv6, and gives up when someone has it: then another one is asked.
async fn start_driver() -> (Child, String) {
    for _ in 0..10 {
        if let Some(started) = try_to_start_driver().await {
            return started;
        }
    }
    panic!("the driver found no port ten times");
}

async fn try_to_start_driver() -> Option<(Child, String)> {
    let mut driver = Command::new(variable("CONSENTRY_TEST_CHROMEDRIVER"))
        .arg("--port=0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next_line().await.unwrap()?;
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            break port.trim_end_matches('.').to_owned();
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Some((driver, format!("http://127.0.0.1:{port}")))
}

impl Person {
    async fn start(driver: &str, profile: &TempDir) -> Self {
        let capabilities = json!({
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": variable("CONSENTRY_TEST_CHROMIUM"),
                "args": [
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--window-size=1280,900",
                    format!("--user-data-dir={}", profile.path().display()),
                ],
            },
        });
        let browser = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(driver)
            .await
            .unwrap();
        let id = browser.session_id().await.unwrap().expect("a session");
        let session = format!("{driver}/session/{id}");
        Self { browser, session, http: reqwest::Client::new() }
    }

    pub async fn go(&self, url: &str) {
        self.browser.goto(url).await.unwrap();
    }

    /// Wait until `css` is on the page.
    pub async fn sees(&self, css: &str) {
        self.element(css).await;
    }

    /// Wait until `css` is on the page, and the page fits the phone.
    async fn sees_on_the_phone(&self, css: &str) {
        self.sees(css).await;
        self.needs_no_sideways_scrolling().await;
    }

    pub async fn types(&self, css: &str, text: &str) {
        self.element(css).await.send_keys(text).await.unwrap();
    }

    pub async fn signs_out(&self) {
        self.click("details.account summary").await;
        self.click("#sign-out button").await;
        self.sees("a[href^='/sign-in']").await;
    }

    pub async fn element(&self, css: &str) -> fantoccini::elements::Element {
        let waiting = self.browser.wait().at_most(PATIENCE);
        match waiting.for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => {
                let url = self.browser.current_url().await;
                let source = self.browser.source().await;
                panic!("no {css} on {url:?}: {error}\n{source:?}")
            }
        }
    }

    pub async fn click(&self, css: &str) {
        self.element(css).await.click().await.unwrap();
    }

    /// Fill in the sign-in page that is open.
    pub async fn sign_in(&self, name: &str) {
        self.types("#email", &email(name)).await;
        self.types("#password", &password(name)).await;
        self.click("#sign-in #submit").await;
    }

    /// Look at everything through a small phone from now on.
    async fn takes_a_phone(&self) {
        // Not as a "mobile" device: that one zooms out until whatever is too wide fits.
        let screen = json!({
            "width": PHONE_WIDTH, "height": 844, "deviceScaleFactor": 1, "mobile": false,
        });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": screen });
        self.tell_driver("goog/cdp/execute", &command).await;
    }

    /// Nothing of the page that is open is wider than the phone.
    async fn needs_no_sideways_scrolling(&self) {
        // The window, the page, and who is to blame.
        let measure = "const wide = [...document.querySelectorAll('main *, header *, footer *')]
            .filter(e => e.getBoundingClientRect().right > innerWidth)
            .map(e => e.outerHTML.slice(0, 80));
            return [innerWidth, document.documentElement.scrollWidth, wide];";
        let measured = self.browser.execute(measure, Vec::new()).await.unwrap();
        let url = self.browser.current_url().await.unwrap();
        assert_eq!(measured[0], PHONE_WIDTH, "the phone is not on");
        let width = measured[1].as_u64().unwrap();
        assert!(width <= u64::from(PHONE_WIDTH), "{url} is {width} px wide: {}", measured[2]);
    }

    /// What the console complained about since the last look.
    pub async fn complaints(&self) -> Vec<Value> {
        let log = self.tell_driver("se/log", &json!({ "type": "browser" })).await;
        let entries = log.as_array().expect("a log").iter();
        entries
            .filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG")
            .cloned()
            .collect()
    }

    pub async fn tell_driver(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/{path}", self.session);
        let response = self.http.post(url).json(body).send().await.unwrap();
        let answer: Value = response.json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].clone()
    }
}

/// What the browser brought to the app's redirect URI.
pub struct Arrival {
    method: Method,
    parameters: Vec<(String, String)>,
}

impl Arrival {
    pub fn parameter(&self, name: &str) -> &str {
        let mut found = self.parameters.iter().filter(|(key, _)| key == name);
        let (_, value) = found.next().unwrap_or_else(|| panic!("no {name}: {:?}", self.parameters));
        assert!(found.next().is_none(), "{name} twice");
        value
    }
}

/// The mobile app, listening at a loopback port as RFC 8252 §7.3 has it.
pub struct LoopbackApp {
    pub app: TestApp,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

impl LoopbackApp {
    pub async fn of(provider: &DemoProvider) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut app = provider.app("mobile");
        let mut redirect_uri = Url::parse(&app.redirect_uri).unwrap();
        redirect_uri.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        app.redirect_uri = redirect_uri.to_string();

        let (sender, arrivals) = mpsc::unbounded_channel();
        let callback = async move |method: Method, uri: http::Uri, body: Bytes| {
            let text = match method {
                Method::POST => body.to_vec(),
                _ => uri.query().unwrap_or_default().as_bytes().to_vec(),
            };
            let parameters = form_urlencoded::parse(&text).into_owned().collect();
            // The test may be over.
            let _ = sender.send(Arrival { method, parameters });
            axum::response::Html("<!doctype html><link rel=icon href='data:,'><p id=back>Back")
        };
        let routes = axum::Router::new().route(redirect_uri.path(), axum::routing::any(callback));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { app, arrivals }
    }

    /// The browser arrives with an answer to the request whose state was `state`.
    pub async fn arrival(&mut self, state: &str) -> Arrival {
        let arriving = tokio::time::timeout(PATIENCE, self.arrivals.recv()).await;
        let arrival = arriving.expect("the browser arrives at the app").unwrap();
        assert_eq!(arrival.parameter("state"), state);
        assert_eq!(arrival.parameter("iss"), self.app.issuer, "RFC 9207 §2");
        arrival
    }

    pub async fn status(&self, path: &str, token: &str) -> StatusCode {
        let order = json!({ "market": "BTC_USDT", "side": "buy", "amount": "0.01", "price": "9" });
        self.app.call(Method::POST, path, token, order).await.status
    }
}

#[tokio::test]
async fn a_person_signs_in_unticks_a_permission_and_later_revokes_the_app() {
    let demo = Demo::start(BINARY).await;
    let mut phone_app = LoopbackApp::of(&demo.exchange).await;
    in_a_browser(async |alice| {
        let wanted = "balances.read orders.read orders.create";
        alice.go(phone_app.app.authorize_url(wanted, "first").as_str()).await;
        alice.sign_in("alice").await;
        let box_to_untick =
            alice.element("#consent input[type=checkbox][value='orders.create']").await;
        assert!(box_to_untick.is_selected().await.unwrap());
        box_to_untick.click().await.unwrap();
        alice.click("#allow").await;
        let code = phone_app.arrival("first").await.parameter("code").to_owned();
        alice.sees("#back").await;

        let tokens = phone_app.app.redeem(&code).await.tokens();
        assert_eq!(tokens.scope, "balances.read orders.read");
        let token = &tokens.access;
        let balance = "/api/v4/trade-account/balance";
        assert_eq!(phone_app.status(balance, token).await, StatusCode::OK);
        assert_eq!(phone_app.status("/api/v4/orders", token).await, StatusCode::OK);
        assert_eq!(phone_app.status("/api/v4/order/new", token).await, StatusCode::FORBIDDEN);

        alice.go(&format!("{}/", phone_app.app.issuer)).await;
        alice.click("a[href='/connected']").await;
        alice.click("a.cover").await;
        alice.click("#revoke-all").await;
        alice.sees("#empty").await;
        assert_eq!(phone_app.status(balance, token).await, StatusCode::UNAUTHORIZED);
        let refresh = phone_app.app.refresh(tokens.refresh.as_deref().unwrap()).await;
        assert_eq!(refresh.error(), "invalid_grant");
        assert_eq!(alice.complaints().await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn a_person_who_denies_is_brought_back_to_the_app() {
    let demo = Demo::start(BINARY).await;
    let mut phone_app = LoopbackApp::of(&demo.exchange).await;
    in_a_browser(async |alice| {
        alice.go(phone_app.app.authorize_url("balances.read", "no").as_str()).await;
        alice.sign_in("alice").await;
        alice.click("#deny").await;
        assert_eq!(phone_app.arrival("no").await.parameter("error"), "access_denied");
        alice.sees("#back").await;
        assert_eq!(alice.complaints().await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn an_answer_by_form_post_reaches_the_app_without_a_click() {
    let demo = Demo::start(BINARY).await;
    let mut phone_app = LoopbackApp::of(&demo.exchange).await;
    in_a_browser(async |alice| {
        let mut url = phone_app.app.authorize_url("balances.read", "posted");
        url.query_pairs_mut().append_pair("response_mode", "form_post");
        alice.go(url.as_str()).await;
        alice.sign_in("alice").await;
        alice.click("#allow").await;
        let arrival = phone_app.arrival("posted").await;
        assert_eq!(arrival.method, Method::POST);
        alice.sees("#back").await;
        let tokens = phone_app.app.redeem(arrival.parameter("code")).await.tokens();
        assert_eq!(tokens.scope, "balances.read");
        assert_eq!(alice.complaints().await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn what_a_user_sees_fits_a_phone() {
    let demo = Demo::start(BINARY).await;
    let mut phone_app = LoopbackApp::of(&demo.exchange).await;
    in_a_browser(async |alice| {
        alice.takes_a_phone().await;
        let wanted = "balances.read orders.read orders.create orders.delete";
        alice.go(phone_app.app.authorize_url(wanted, "phone").as_str()).await;
        alice.sees_on_the_phone("#sign-in").await;
        alice.sign_in("alice").await;
        alice.sees_on_the_phone("#consent").await;
        alice.click("#allow").await;
        let code = phone_app.arrival("phone").await.parameter("code").to_owned();
        phone_app.app.redeem(&code).await.tokens();
        alice.sees("#back").await;

        alice.go(&format!("{}/connected", phone_app.app.issuer)).await;
        alice.sees_on_the_phone("a.cover").await;
        alice.click("a.cover").await;
        alice.sees_on_the_phone("#revoke-all").await;
        alice.click("#report-app").await;
        alice.sees_on_the_phone("#report").await;
        alice.click("details.account summary").await;
        alice.sees_on_the_phone("#sign-out button").await;
        alice.click("#sign-out button").await;
        alice.sees_on_the_phone("a[href^='/sign-in']").await;
        alice.go(&format!("{}/oauth/authorize?client_id=nobody", phone_app.app.issuer)).await;
        alice.sees_on_the_phone("main h1").await;
        // That the page is an error is all that the console has to say.
        let complaints = alice.complaints().await;
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0]["message"].as_str().unwrap().contains("400"), "{complaints:?}");
    })
    .await;
}

#[tokio::test]
async fn a_developer_registers_an_app_on_a_phone_and_staff_lets_it_in() {
    let demo = Demo::start(BINARY).await;
    let mut phone_app = LoopbackApp::of(&demo.exchange).await;
    let issuer = phone_app.app.issuer.clone();
    in_a_browser(async |person| {
        person.takes_a_phone().await;
        person.go(&format!("{issuer}/apps")).await;
        person.sign_in("dev").await;
        person.sees_on_the_phone("#new-app").await;
        person.go(&format!("{issuer}/apps/new?view=all")).await;
        person.sees_on_the_phone("#kind-native").await;
        person.types("#name", "Pocket Ledger").await;
        person.types("#description", "Keeps a diary of your balances.").await;
        person.types("#homepage", "https://ledger.example.com/").await;
        person.click("#kind-native").await;
        person.types("#redirect_uris", "http://127.0.0.1/callback").await;
        person.click("[id='scope-balances.read']").await;
        person.types("[id='purpose.balances.read']", "To write them down every evening.").await;
        person.sees_on_the_phone("#submit").await;
        person.click("#submit").await;
        person.sees_on_the_phone("#status-note").await;
        phone_app.app.client_id = person.element("#client-id").await.text().await.unwrap();
        person.signs_out().await;

        person.go(&format!("{issuer}/staff/apps")).await;
        person.sign_in("review").await;
        person.sees_on_the_phone("#find").await;
        person.go(&format!("{issuer}/staff/review")).await;
        person.sees_on_the_phone("a.cover").await;
        let entry = person.browser.find(Locator::LinkText("Pocket Ledger")).await.unwrap();
        entry.click().await.unwrap();
        person.sees_on_the_phone("#approve").await;
        person.click("#approve").await;
        person.sees_on_the_phone("#flash").await;
        person.signs_out().await;

        person.go(phone_app.app.authorize_url("balances.read", "new").as_str()).await;
        person.sign_in("alice").await;
        person.click("#allow").await;
        let code = phone_app.arrival("new").await.parameter("code").to_owned();
        let token = phone_app.app.redeem(&code).await.tokens().access;
        let balance = phone_app.status("/api/v4/trade-account/balance", &token).await;
        assert_eq!(balance, StatusCode::OK);
        assert_eq!(person.complaints().await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn an_app_and_its_new_secret_fit_a_phone() {
    let demo = Demo::start(BINARY).await;
    let issuer = demo.exchange.issuer.clone();
    in_a_browser(async |dev| {
        dev.takes_a_phone().await;
        dev.go(&format!("{issuer}/apps")).await;
        dev.sign_in("dev").await;
        dev.sees("a.cover").await;
        let app = dev.browser.find(Locator::LinkText("Trading Bot")).await.unwrap();
        app.click().await.unwrap();
        dev.sees_on_the_phone("#delete").await;
        let tab = dev.browser.find(Locator::LinkText("Credentials")).await.unwrap();
        tab.click().await.unwrap();
        dev.sees_on_the_phone("#add-secret").await;
        dev.click("#add-secret button").await;
        dev.sees_on_the_phone("#client-secret").await;
        let secret = dev.element("#client-secret").await.text().await.unwrap();
        let mut bot = demo.exchange.app("trading-bot");
        bot.client_secret = Some(secret);
        let refused = bot.refresh("nothing").await;
        assert_eq!(refused.error(), "invalid_grant", "the secret is good, the token is not");
        assert_eq!(dev.complaints().await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn a_passkey_is_made_and_then_signs_in_without_a_password() {
    let demo = Demo::start(BINARY).await;
    let issuer = demo.exchange.issuer.clone();
    in_a_browser(async |alice| {
        alice.takes_a_phone().await;
        // WebAuthn Level 2, section 11: a device that has seen its owner's finger.
        let device = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true,
        });
        alice.tell_driver("webauthn/authenticator", &device).await;
        alice.go(&format!("{issuer}/security")).await;
        alice.sign_in("alice").await;
        alice.sees_on_the_phone("#no-factor").await;
        alice.click("#add-passkey").await;
        alice.sees_on_the_phone("#add-passkey #submit").await;
        alice.click("#add-passkey #submit").await;
        alice.sees_on_the_phone("#recovery-codes").await;
        alice.click("#stored").await;
        alice.sees_on_the_phone("#codes-left").await;
        alice.signs_out().await;

        alice.go(&format!("{issuer}/security")).await;
        alice.sees_on_the_phone("#use-passkey").await;
        alice.click("#use-passkey").await;
        alice.sees("#codes-left").await;
        alice.signs_out().await;

        // After the password, the passkey is the second step.
        alice.go(&format!("{issuer}/connected")).await;
        alice.sign_in("alice").await;
        alice.sees_on_the_phone("#second-factor").await;
        alice.click("#use-passkey").await;
        alice.sees("#empty").await;

        // And a step-up, which keeps the way back.
        alice.go(&format!("{issuer}/step-up?continue=%2Fsecurity%2Fapp")).await;
        alice.click("#use-passkey").await;
        alice.sees_on_the_phone("#add-app").await;
        assert_eq!(alice.complaints().await, Vec::<Value>::new());
    })
    .await;
}
