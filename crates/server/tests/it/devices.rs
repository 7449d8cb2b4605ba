//! Devices without a browser (RFC 8628): what they ask, what their users type, what they get.

use std::net::IpAddr;
use std::time::Duration;

use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::grant::GrantStatus;
use futures_util::future::join_all;
use http::StatusCode;
use http::header::USER_AGENT;
use protocol::token::DEVICE_CODE_GRANT;

use crate::harness::{API, Answer, Browser, Client, TestApp, only_grant, start};

const DEVICE_AT: &str = "203.0.113.7";

/// What a device has in hand.
struct Asked {
    device_code: String,
    user_code: String,
}

impl Client {
    async fn ask_for_codes(&self, app: &TestApp, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> = self.credentials().into_iter().chain(fields.iter().copied()).collect();
        let path = "/oauth/device_authorization";
        let agent = [(USER_AGENT, "Player/2.1 (TV)")];
        let request = crate::harness::form_request(path, &agent, &fields);
        app.send_from(DEVICE_AT.parse().unwrap(), request).await
    }

    async fn start_device(&self, app: &TestApp) -> Asked {
        let answer = self.ask_for_codes(app, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
        Asked { device_code: text("device_code"), user_code: text("user_code") }
    }

    async fn poll(&self, app: &TestApp, asked: &Asked) -> Answer {
        let fields = [("grant_type", DEVICE_CODE_GRANT), ("device_code", &asked.device_code)];
        self.post(app, "/oauth/token", &fields).await
    }
}

impl Browser<'_> {
    async fn type_code(&self, code: &str) -> Answer {
        let csrf = self.csrf();
        self.post("/device", &[("user_code", code), ("csrf", &csrf)]).await
    }

    async fn confirm(&self, page: &Answer, decision: &str) -> Answer {
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let (request, csrf) = (page.hidden("request"), page.hidden("csrf"));
        let fields = [("request", &*request), ("csrf", &*csrf), ("decision", decision)];
        self.post("/device/confirm", &fields).await
    }

    /// All the way to the consent page.
    async fn consent_page_of(&self, code: &str) -> Answer {
        let page = self.type_code(code).await;
        self.confirm(&page, "mine").await
    }

    async fn let_in(&self, code: &str) {
        let page = self.consent_page_of(code).await;
        let done = self.decide(&page, "allow", &["orders.read"]).await;
        assert!(done.text().contains("Go back to your device"), "{done:?}");
    }
}

#[track_caller]
fn assert_error(answer: &Answer, error: &str) {
    assert_eq!((answer.status, answer.error().as_str()), (StatusCode::BAD_REQUEST, error));
}

#[tokio::test]
async fn a_device_gets_its_tokens_when_its_user_has_said_yes() {
    let (app, user, client) = start(AppKind::Native).await;
    let answer = client.ask_for_codes(&app, &[("scope", "balances.read orders.read")]).await;
    let told = answer.json();
    assert_eq!((told["expires_in"].as_u64(), told["interval"].as_u64()), (Some(600), Some(5)));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let asked = Asked {
        device_code: told["device_code"].as_str().unwrap().to_owned(),
        user_code: told["user_code"].as_str().unwrap().to_owned(),
    };
    let uri = told["verification_uri"].as_str().unwrap();
    let complete = told["verification_uri_complete"].as_str().unwrap();
    assert_eq!(complete, format!("{uri}?user_code={}", asked.user_code));
    assert_error(&client.poll(&app, &asked).await, "authorization_pending");

    let browser = app.signed_in(&user).await;
    let filled_in = browser.get(&format!("/device?user_code={}", asked.user_code)).await;
    assert!(filled_in.text().contains(&format!("value=\"{}\"", asked.user_code)));
    let page = browser.type_code(&asked.user_code.to_lowercase().replace('-', " ")).await;
    for told in ["The bot", DEVICE_AT, "Player/2.1 (TV)", &asked.user_code, "just now"] {
        assert!(page.text().contains(told), "{told} is missing: {}", page.text());
    }
    let page = browser.confirm(&page, "mine").await;
    for told in ["See your balances", "See your orders", DEVICE_AT, "You stay here"] {
        assert!(page.text().contains(told), "{told} is missing: {}", page.text());
    }
    assert!(!page.text().contains("Buy and sell"), "it did not ask for that");
    let done = browser.decide(&page, "allow", &[]).await;
    assert!(done.text().contains("Go back to your device"), "{done:?}");

    let tokens = client.poll(&app, &asked).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    assert_eq!(tokens.json()["scope"], "balances.read", "what was ticked and what is required");
    let refresh = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(client.refresh(&app, &refresh, &[]).await.status, StatusCode::OK);
    let grant = only_grant(&app, &user, &client).await;
    assert_eq!(grant.device_address, Some(DEVICE_AT.parse::<IpAddr>().unwrap()));
    assert_eq!(grant.resources, [API]);
    let kinds = [AuditKind::UserCodeEntered, AuditKind::ConsentGiven, AuditKind::GrantCreated];
    assert_eq!(app.audited().await, kinds);

    let list = browser.get("/connected").await.text();
    let id = list.split("/connected/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let page = browser.get(&format!("/connected/{id}")).await.text();
    for told in ["Device that you gave a code to", DEVICE_AT, "It signed in on a device at"] {
        assert!(page.contains(told), "{told} is missing: {page}");
    }
}

#[tokio::test]
async fn d1_c2_a_device_code_is_worth_nothing_to_another_app_and_is_not_used_up() {
    let (app, user, client) = start(AppKind::Native).await;
    let thief = app.add_app("thief", AppKind::Native, |_| {}).await;
    let asked = client.start_device(&app).await;
    assert_error(&thief.poll(&app, &asked).await, "invalid_grant");
    app.signed_in(&user).await.let_in(&asked.user_code).await;
    assert_error(&thief.poll(&app, &asked).await, "invalid_grant");
    assert_eq!(client.poll(&app, &asked).await.status, StatusCode::OK);
    assert_error(&thief.poll(&app, &asked).await, "invalid_grant");
    assert_eq!(only_grant(&app, &user, &client).await.status, GrantStatus::Live);
}

#[tokio::test]
async fn d1_a_device_that_polls_too_fast_is_slowed_down_and_still_gets_its_tokens() {
    let (app, user, client) = start(AppKind::Native).await;
    let asked = client.start_device(&app).await;
    assert_error(&client.poll(&app, &asked).await, "authorization_pending");
    assert_error(&client.poll(&app, &asked).await, "slow_down");
    app.clock.advance(Duration::from_secs(5));
    assert_error(&client.poll(&app, &asked).await, "slow_down");
    app.clock.advance(Duration::from_secs(15));
    assert_error(&client.poll(&app, &asked).await, "authorization_pending");
    app.signed_in(&user).await.let_in(&asked.user_code).await;
    assert_eq!(client.poll(&app, &asked).await.status, StatusCode::OK);
}

#[tokio::test]
async fn c1_a_device_code_that_is_used_twice_ends_its_grant_also_later() {
    let (app, user, client) = start(AppKind::Native).await;
    let asked = client.start_device(&app).await;
    app.signed_in(&user).await.let_in(&asked.user_code).await;
    assert_eq!(client.poll(&app, &asked).await.status, StatusCode::OK);
    let grant = only_grant(&app, &user, &client).await.id;
    app.clock.advance(Duration::from_secs(900));
    assert_error(&client.poll(&app, &asked).await, "invalid_grant");
    let status = app.find_grant(grant).await.unwrap().status;
    assert!(matches!(status, GrantStatus::Revoked { .. }), "{status:?}");
    assert_eq!(app.audited().await.last(), Some(&AuditKind::CodeReplayed));
}

#[tokio::test]
async fn c1_of_parallel_polls_one_wins() {
    let (app, user, client) = start(AppKind::Native).await;
    let asked = client.start_device(&app).await;
    app.signed_in(&user).await.let_in(&asked.user_code).await;
    let answers = join_all((0..8).map(|_| client.poll(&app, &asked))).await;
    let won = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(won, 1, "{answers:?}");
    assert!(app.live_grants(&user, &client.app).await.is_empty(), "the others were replays");
}

#[tokio::test]
async fn no_and_too_late_are_told_apart() {
    let (app, user, client) = start(AppKind::Native).await;
    let browser = app.signed_in(&user).await;
    let (denied, not_mine, late) = (
        client.start_device(&app).await,
        client.start_device(&app).await,
        client.start_device(&app).await,
    );
    let page = browser.consent_page_of(&denied.user_code).await;
    let done = browser.decide(&page, "deny", &[]).await;
    assert!(done.text().contains("Nothing was allowed"), "{done:?}");
    let page = browser.type_code(&not_mine.user_code).await;
    for _ in 0..2 {
        let done = browser.confirm(&page, "not-mine").await;
        assert!(done.text().contains("Nothing was allowed"), "{done:?}");
    }
    assert_eq!(browser.confirm(&page, "mine").await.status, StatusCode::BAD_REQUEST);
    for asked in [&denied, &not_mine] {
        assert_error(&client.poll(&app, asked).await, "access_denied");
        let again = browser.type_code(&asked.user_code).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "it is decided");
    }
    let page = browser.consent_page_of(&late.user_code).await;
    app.clock.advance(Duration::from_secs(600));
    assert_error(&client.poll(&app, &late).await, "expired_token");
    let answer = browser.decide(&page, "allow", &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "what has expired cannot be allowed");
    assert!(!app.audited().await.contains(&AuditKind::ConsentGiven));
    app.clock.advance(Duration::from_secs(3600));
    app.provider.store.sweep().await.unwrap();
    assert_error(&client.poll(&app, &late).await, "invalid_grant");
}

#[tokio::test]
async fn d1_x2_codes_cannot_be_guessed_without_end_not_even_between_good_ones() {
    let (app, user, client) = start(AppKind::Native).await;
    let browser = app.signed_in(&user).await;
    let asked = client.start_device(&app).await;
    for wrong in ["BBBB-BBBB", "no code", "", "BBBB-BBBC", "BBBBBBBD"] {
        let answer = browser.type_code(wrong).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        let good = browser.type_code(&asked.user_code).await;
        assert_eq!(good.status, StatusCode::OK, "a good code is no attempt");
    }
    for _ in 5..10 {
        let answer = browser.type_code("CCCC-CCCC").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let answer = browser.type_code(&asked.user_code).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "the right one has to wait too");
    assert!(answer.header("retry-after").is_some());
    let wrong = app.audited().await;
    let count = wrong.iter().filter(|kind| **kind == AuditKind::UserCodeWrong).count();
    assert_eq!(count, 10);
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(browser.type_code(&asked.user_code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn x2_an_address_that_guesses_as_many_users_waits() {
    let (app, _, client) = start(AppKind::Native).await;
    let asked = client.start_device(&app).await;
    for number in 0..3 {
        let user = app.add_user(&format!("user{number}"), &[]).await;
        let browser = app.signed_in(&user).await;
        for _ in 0..10 {
            let answer = browser.type_code("CCCC-CCCC").await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
    }
    let user = app.add_user("fresh", &[]).await;
    let answer = app.signed_in(&user).await.type_code(&asked.user_code).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn d1_a_link_and_an_earlier_consent_allow_nothing() {
    let (app, user, client) = start(AppKind::Web).await;
    // The app was let in before, through the browser.
    client.tokens(&app, &user).await;
    let asked = client.start_device(&app).await;
    let browser = app.signed_in(&user).await;
    let link = format!("/device?user_code={}", asked.user_code);
    assert_eq!(browser.get(&link).await.status, StatusCode::OK);
    assert_error(&client.poll(&app, &asked).await, "authorization_pending");
    let page = browser.consent_page_of(&asked.user_code).await;
    assert!(page.text().contains("id=\"allow\""), "the user is asked again");
    app.clock.advance(Duration::from_secs(5));
    assert_error(&client.poll(&app, &asked).await, "authorization_pending");
    // Words in a link are no code and do not get on the page.
    let page = browser.get("/device?user_code=Call+0800+now").await;
    assert!(!page.text().contains("0800"));
}

#[tokio::test]
async fn s5_no_stage_is_skipped_and_nobody_answers_for_somebody_else() {
    let (app, user, client) = start(AppKind::Native).await;
    let asked = client.start_device(&app).await;
    let browser = app.signed_in(&user).await;
    let asks = browser.type_code(&asked.user_code).await;
    let skipped = browser.decide(&asks, "allow", &[]).await;
    assert_eq!(skipped.status, StatusCode::BAD_REQUEST, "over the question whether it is theirs");
    let mallory = app.add_user("mallory", &[]).await;
    let other = app.signed_in(&mallory).await;
    let (request, csrf) = (asks.hidden("request"), other.csrf());
    let fields = [("request", &*request), ("csrf", &*csrf), ("decision", "mine")];
    assert_eq!(other.post("/device/confirm", &fields).await.status, StatusCode::BAD_REQUEST);
    let fields = [("request", &*request), ("csrf", ""), ("decision", "mine")];
    assert_eq!(browser.post("/device/confirm", &fields).await.status, StatusCode::BAD_REQUEST);
    let path = format!("/oauth/authorize/continue?request={request}");
    assert_eq!(browser.get(&path).await.status, StatusCode::BAD_REQUEST);

    let page = browser.confirm(&asks, "mine").await;
    let more = browser.decide(&page, "allow", &["balances.read", "withdraw"]).await;
    assert_eq!(more.status, StatusCode::BAD_REQUEST);
    assert_eq!(app.audited().await.last(), Some(&AuditKind::ConsentFormRefused));
    assert_error(&client.poll(&app, &asked).await, "authorization_pending");
}

#[tokio::test]
async fn who_is_decided_once_and_a_second_window_says_the_same() {
    let (app, user, client) = start(AppKind::Native).await;
    let asked = client.start_device(&app).await;
    let browser = app.signed_in(&user).await;
    let page = browser.consent_page_of(&asked.user_code).await;
    let mallory = app.add_user("mallory", &[]).await;
    let other = app.signed_in(&mallory).await;
    let of_mallory = other.consent_page_of(&asked.user_code).await;
    for _ in 0..2 {
        let done = browser.decide(&page, "allow", &[]).await;
        assert!(done.text().contains("Go back to your device"), "{done:?}");
    }
    let late = other.decide(&of_mallory, "allow", &[]).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
    assert_eq!(client.poll(&app, &asked).await.status, StatusCode::OK);
    assert_eq!(only_grant(&app, &user, &client).await.user_id(), Some(user.id));
}

#[tokio::test]
async fn a_user_may_switch_the_account_on_the_way() {
    let (app, user, client) = start(AppKind::Native).await;
    let asked = client.start_device(&app).await;
    let browser = app.signed_in(&user).await;
    let page = browser.type_code(&asked.user_code).await.text();
    let link = page.split("id=\"switch-account\" href=\"").nth(1).unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let sign_in = browser.get(&link).await;
    assert!(sign_in.text().contains("The bot"), "{sign_in:?}");
    let on = sign_in.hidden("continue").replace("&amp;", "&").replace("&#x2f;", "/");
    // The same session is not good enough.
    assert!(browser.get(&on).await.location().starts_with("/sign-in?"));
    let bob = app.add_user("bob", &[]).await;
    browser.sign_in_as(&bob).await;
    let page = browser.get(&on).await;
    assert!(page.text().contains("bob@example.com"), "{page:?}");
    let page = browser.confirm(&page, "mine").await;
    browser.decide(&page, "allow", &[]).await;
    assert_eq!(client.poll(&app, &asked).await.status, StatusCode::OK);
    assert_eq!(only_grant(&app, &bob, &client).await.user_id(), Some(bob.id));
}

#[tokio::test]
async fn a_device_asks_for_what_its_app_may_have_and_not_too_often() {
    let (app, _, client) = start(AppKind::Web).await;
    let more = client.ask_for_codes(&app, &[("scope", "withdraw")]).await;
    assert_error(&more, "invalid_scope");
    let elsewhere = client.ask_for_codes(&app, &[("resource", "https://evil.example/")]).await;
    assert_error(&elsewhere, "invalid_target");
    for kind in [AppKind::Service, AppKind::SinglePage] {
        let other = app.add_app(&format!("{kind:?}"), kind, |_| {}).await;
        assert_error(&other.ask_for_codes(&app, &[]).await, "unauthorized_client");
    }
    let id = client.app.client_id.as_str();
    let wrong = [("client_id", id), ("client_secret", "wrong")];
    let refused = app.post("/oauth/device_authorization", &[], &wrong).await;
    assert_eq!((refused.status, &*refused.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    let mut status = StatusCode::OK;
    for _ in 0..31 {
        status = client.ask_for_codes(&app, &[]).await.status;
    }
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn t8_an_app_that_is_suspended_gets_nothing_for_its_device_code() {
    let (app, user, client) = start(AppKind::Native).await;
    let asked = client.start_device(&app).await;
    let browser = app.signed_in(&user).await;
    browser.let_in(&asked.user_code).await;
    let now = app.provider.now();
    app.save_app(client.app.clone().suspend("abuse".to_owned(), now).unwrap()).await;
    assert_eq!(client.poll(&app, &asked).await.error(), "invalid_client");
    let other = app.add_app("other", AppKind::Native, |_| {}).await;
    let asked = other.start_device(&app).await;
    app.save_app(other.app.clone().suspend("abuse".to_owned(), now).unwrap()).await;
    let answer = browser.type_code(&asked.user_code).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}
