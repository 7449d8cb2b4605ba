//! The decision on the consent page, and what is remembered of it.

use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::grant::Mode;
use http::StatusCode;
use http::header::CONTENT_SECURITY_POLICY;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use store::Tx;

use crate::harness::{Client, ISSUER, TestApp, Tokens};

async fn scopes_remembered(app: &TestApp, client: &Client, user: &domain::user::User) -> String {
    let (user, app_id) = (user.id, client.app.id);
    let find =
        async move |tx: &mut Tx<'_>| store::consents::find_of(tx, user, app_id, Mode::Live).await;
    app.write(find).await.map(|consent| consent.scopes.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn the_page_tells_who_asks_for_what_and_why_and_where_it_leads() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let page = app.signed_in(&user).await.get(&client.authorize_path(&[])).await;
    let text = page.text();
    for told in [
        "The bot",
        "Northwind Labs",
        "bot.example.com",
        "alice@example.com",
        "See your balances",
        "To use balances.read.",
        "until you take it back",
        "/sign-in?continue=",
    ] {
        assert!(text.contains(told), "{told} is missing in {text}");
    }
    let policy = page.header(CONTENT_SECURITY_POLICY).unwrap();
    assert!(policy.contains("form-action 'self' https://bot.example.com"), "{policy}");
}

#[tokio::test]
async fn optional_scopes_can_be_left_out_and_required_ones_cannot() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    let answer = browser.decide(&page, "allow", &["orders.read"]).await;
    let answer = client.redeem(&app, &answer.redirected("code").unwrap()).await;
    assert_eq!(answer.json()["scope"], "balances.read orders.read");
    assert_eq!(scopes_remembered(&app, &client, &user).await, "balances.read orders.read");
}

#[tokio::test]
async fn s5_a_scope_that_was_not_asked_cannot_be_ticked() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[("scope", "balances.read")])).await;
    // Approved for the app and not asked; known to the provider alone; no scope at all.
    for added in ["orders.create", "withdraw", "no such thing"] {
        let answer = browser.decide(&page, "allow", &["balances.read", added]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{added}");
        assert_eq!(app.audited().await.last(), Some(&AuditKind::ConsentFormRefused), "{added}");
        assert_eq!(scopes_remembered(&app, &client, &user).await, "", "{added}");
    }
    let answer = browser.decide(&page, "allow", &["balances.read"]).await;
    let answer = client.redeem(&app, &answer.redirected("code").unwrap()).await;
    assert_eq!(answer.json()["scope"], "balances.read");
}

#[tokio::test]
async fn denying_goes_back_with_access_denied_and_remembers_nothing() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    for _ in 0..2 {
        let answer = browser.decide(&page, "deny", &["orders.read"]).await;
        assert_eq!(answer.redirected("error").as_deref(), Some("access_denied"));
        assert_eq!(answer.redirected("state").as_deref(), Some("xyz"));
        assert_eq!(answer.redirected("iss").as_deref(), Some(ISSUER));
    }
    assert_eq!(scopes_remembered(&app, &client, &user).await, "");
    assert_eq!(app.audited().await, [AuditKind::ConsentDenied]);
    let answer = browser.decide(&page, "allow", &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "a form is answered once");
}

#[tokio::test]
async fn s5_a_consent_form_of_somebody_else_or_without_its_token_is_refused() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.add_user("alice", &[]).await, app.add_user("bob", &[]).await);
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let (hers, his) = (app.signed_in(&alice).await, app.signed_in(&bob).await);
    let page = hers.get(&client.authorize_path(&[])).await;
    let request = page.hidden("request");
    let send = async |csrf: &str| {
        let fields = [("request", &*request), ("csrf", csrf), ("decision", "allow")];
        his.post("/oauth/consent", &fields).await
    };
    assert_eq!(send(&his.csrf()).await.status, StatusCode::BAD_REQUEST, "her request, his session");
    assert_eq!(send(&hers.csrf()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send("").await.status, StatusCode::BAD_REQUEST);
    // Nor does signing in again carry the page over.
    hers.sign_in_as(&alice).await;
    let csrf = hers.csrf();
    let fields = [("request", &*request), ("csrf", &*csrf), ("decision", "allow")];
    assert_eq!(hers.post("/oauth/consent", &fields).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(app.audited().await, []);
}

#[tokio::test]
async fn s2_s5_no_stage_can_be_skipped_and_nothing_sealed_can_be_changed() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.browser();
    let continue_to =
        browser.get(&client.authorize_path(&[])).await.redirected("continue").unwrap();
    let early = continue_to.split_once("request=").unwrap().1.to_owned();
    browser.sign_in_as(&user).await;
    let page = browser.get(&continue_to).await;
    let late = page.hidden("request");
    let csrf = browser.csrf();
    let mut flipped = late.clone();
    flipped.replace_range(60..61, if &late[60..61] == "A" { "B" } else { "A" });
    for request in ["", &early, &flipped, &late[..late.len() - 1], "cs_fm_", &csrf] {
        let fields = [("request", request), ("csrf", &*csrf), ("decision", "allow")];
        let answer = browser.post("/oauth/consent", &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{request}");
    }
    let empty = browser.post("/oauth/consent", &[("csrf", &*csrf)]).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    let undecided = browser.post("/oauth/consent", &[("csrf", &*csrf), ("request", &*late)]).await;
    assert_eq!(undecided.status, StatusCode::BAD_REQUEST);
    let reused = browser.get(&format!("/oauth/authorize/continue?request={late}")).await;
    assert_eq!(reused.status, StatusCode::BAD_REQUEST);
    assert_eq!(app.audited().await, []);
}

#[tokio::test]
async fn a_consent_clicked_twice_makes_one_grant() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    let first = browser.decide(&page, "allow", &["orders.read"]).await;
    let second = browser.decide(&page, "allow", &["orders.read"]).await;
    assert!(first.redirected("code").is_some());
    let answer = client.redeem(&app, &second.redirected("code").unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(app.live_grants(&user, &client.app).await.len(), 1);
    let consents = app.audited().await;
    assert_eq!(consents, [AuditKind::ConsentGiven, AuditKind::GrantCreated]);
    // Once the app has its grant, the form is over.
    let third = browser.decide(&page, "allow", &["orders.read"]).await;
    assert_eq!(third.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_remembered_consent_of_a_web_app_goes_straight_on() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    browser.decide(&page, "allow", &["orders.read"]).await;
    // Also where something optional was left out, also silently.
    for change in [("prompt", ""), ("prompt", "none")] {
        let answer = browser.get(&client.authorize_path(&[change])).await;
        let answer = client.redeem(&app, &answer.redirected("code").unwrap()).await;
        assert_eq!(answer.json()["scope"], "balances.read orders.read");
    }
    for prompt in ["consent", "select_account"] {
        let page = browser.get(&client.authorize_path(&[("prompt", prompt)])).await;
        assert_eq!(page.status, StatusCode::OK, "{prompt}");
    }
}

#[tokio::test]
async fn s4_a_public_app_is_asked_again_on_every_request() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("mobile", AppKind::Native, |_| {}).await;
    client.tokens(&app, &user).await;
    let browser = app.signed_in(&user).await;
    assert_eq!(browser.get(&client.authorize_path(&[])).await.status, StatusCode::OK);
    let silent = browser.get(&client.authorize_path(&[("prompt", "none")])).await;
    assert_eq!(silent.redirected("error").as_deref(), Some("consent_required"));
}

#[tokio::test]
async fn what_is_new_since_the_last_consent_is_shown_as_a_difference() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[("scope", "balances.read")])).await;
    assert!(!page.text().contains("consent-changes"));
    browser.decide(&page, "allow", &[]).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    assert_eq!(page.status, StatusCode::OK);
    let expected = page.text();
    assert!(expected.contains("Buy and sell") && expected.to_lowercase().contains("new"));
}

#[tokio::test]
async fn allowing_less_narrows_the_grants_there_are_for_good() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let tokens = client.tokens(&app, &user).await;
    let browser = app.signed_in(&user).await;
    let again = client.authorize_path(&[("prompt", "consent")]);
    let page = browser.get(&again).await;
    browser.decide(&page, "allow", &["orders.read"]).await;
    let answer = client.refresh(&app, &tokens.refresh, &[]).await;
    assert_eq!(answer.json()["scope"], "balances.read orders.read");
    assert!(app.audited().await.contains(&AuditKind::ConsentNarrowed));
    // Allowing it again later revives nothing in the old grant.
    let page = browser.get(&again).await;
    browser.decide(&page, "allow", &["orders.read", "orders.create"]).await;
    let refresh = Tokens::of(&answer).refresh;
    let answer = client.refresh(&app, &refresh, &[]).await;
    assert_eq!(answer.json()["scope"], "balances.read orders.read");
}

#[tokio::test]
async fn the_destination_is_said_loudly_when_it_is_this_computer_or_a_scheme() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let uris = ["http://127.0.0.1/cb", "com.example.app:/cb"];
    let client = app
        .add_app("mobile", AppKind::Native, |app| {
            let register = |uri| RedirectUri::register(RedirectPolicy::Native, uri).unwrap();
            app.redirect_uris = uris.map(register).to_vec();
        })
        .await;
    let browser = app.signed_in(&user).await;
    let loopback = "http://127.0.0.1:49152/cb";
    for (uri, place, target) in [
        (loopback, "127.0.0.1:49152", "http://127.0.0.1:49152"),
        ("com.example.app:/cb", "com.example.app", "com.example.app:"),
    ] {
        let page = browser.get(&client.authorize_path(&[("redirect_uri", uri)])).await;
        assert!(page.text().contains(place), "{uri}");
        let policy = page.header(CONTENT_SECURITY_POLICY).unwrap();
        assert!(policy.ends_with(&format!("form-action 'self' {target}")), "{policy}");
        let answer = browser.decide(&page, "allow", &[]).await;
        assert!(answer.location().starts_with(&format!("{uri}?code=")), "{}", answer.location());
    }
}

#[tokio::test]
async fn a_request_answered_once_is_over_for_the_back_button() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    client.tokens(&app, &user).await;
    let browser = app.browser();
    let continue_to =
        browser.get(&client.authorize_path(&[])).await.redirected("continue").unwrap();
    browser.sign_in_as(&user).await;
    let code = browser.get(&continue_to).await.redirected("code").unwrap();
    let tokens = Tokens::of(&client.redeem(&app, &code).await);
    let again = browser.get(&continue_to).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn t8_an_app_that_is_suspended_while_the_user_decides_gets_nothing() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    let now = app.provider.now();
    app.save_app(client.app.clone().suspend("abuse".to_owned(), now).unwrap()).await;
    let answer = browser.decide(&page, "allow", &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers.get("location"), None);
}
