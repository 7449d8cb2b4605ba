//! Asking about tokens (RFC 7662).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::app::AppKind;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::json;

use crate::harness::{API, API_SECRET, Answer, ISSUER, JWT_API, TestApp};

/// An API's server asks with its own credentials.
async fn ask(app: &TestApp, id: &str, secret: &str, token: &str) -> Answer {
    let header = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    app.post("/oauth/introspect", &[(AUTHORIZATION, &header)], &[("token", token)]).await
}

#[tokio::test]
async fn a_resource_server_learns_what_a_token_of_its_audience_may_do_now() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let tokens = client.tokens(&app, &user).await;
    let now = app.provider.now().as_seconds();
    let answer = ask(&app, "api", API_SECRET, &tokens.access).await;
    assert_eq!(answer.status, StatusCode::OK);
    let mut said = answer.json();
    said.as_object_mut().unwrap().remove("jti").unwrap();
    let expected = json!({
        "active": true,
        "iss": ISSUER,
        "sub": user.id.to_string(),
        "aud": [API],
        "client_id": "bot",
        "scope": "balances.read orders.create orders.read",
        "token_type": "Bearer",
        "iat": now,
        "exp": now + 600,
        "auth_time": now,
        "acr": "1fa",
    });
    assert_eq!(said, expected);
    let mut fewer = client.app.clone();
    fewer.approved = "balances.read".parse().unwrap();
    app.save_app(fewer).await;
    let answer = ask(&app, "api", API_SECRET, &tokens.access).await;
    assert_eq!(answer.json()["scope"], "balances.read");
}

#[tokio::test]
async fn t7_a_token_of_another_audience_is_inactive_to_everyone_but_its_app() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let other = app.add_app("other", AppKind::Web, |_| {}).await;
    let tokens = client.tokens(&app, &user).await;
    assert_eq!(
        ask(&app, "other-api", API_SECRET, &tokens.access).await.text(),
        r#"{"active":false}"#
    );
    let secret = other.secret.as_deref().unwrap();
    assert_eq!(ask(&app, "other", secret, &tokens.access).await.text(), r#"{"active":false}"#);
    let secret = client.secret.as_deref().unwrap();
    assert_eq!(ask(&app, "bot", secret, &tokens.access).await.json()["active"], true);
    let about_refresh = ask(&app, "bot", secret, &tokens.refresh).await.json();
    assert_eq!(about_refresh["token_type"], "refresh_token");
    assert_eq!(ask(&app, "api", API_SECRET, &tokens.refresh).await.text(), r#"{"active":false}"#);
}

#[tokio::test]
async fn t7_whoever_cannot_prove_who_they_are_learns_nothing() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("mobile", AppKind::Native, |_| {}).await;
    let tokens = client.tokens(&app, &user).await;
    for (id, secret) in [("api", "wrong"), ("api", ""), ("nobody", API_SECRET), ("mobile", "")] {
        let answer = ask(&app, id, secret, &tokens.access).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{id}");
        assert_eq!(answer.error(), "invalid_client");
    }
    let answer = client.post(&app, "/oauth/introspect", &[("token", &tokens.access)]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_has_ended_is_inactive() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let tokens = client.tokens(&app, &user).await;
    let now = app.provider.now();
    let active =
        async |token: &str| ask(&app, "api", API_SECRET, token).await.json()["active"].clone();
    assert_eq!(active(&tokens.access).await, true);
    app.save_user(user.clone().block("abuse".to_owned(), now)).await;
    assert_eq!(active(&tokens.access).await, false);
    app.save_user(user.clone()).await;
    app.save_app(client.app.clone().suspend("abuse".to_owned(), now).unwrap()).await;
    assert_eq!(active(&tokens.access).await, false);
    app.save_app(client.app.clone()).await;
    assert_eq!(active(&tokens.access).await, true);
    app.clock.advance(Duration::from_secs(600));
    assert_eq!(active(&tokens.access).await, false);
    for never in ["", "x", "cs_at_", "a.b.c", &"x".repeat(10_000)] {
        let answer = ask(&app, "api", API_SECRET, never).await;
        let said = if never.is_empty() { "invalid_request".to_owned() } else { String::new() };
        assert_eq!(answer.json()["error"].as_str().unwrap_or_default(), said);
    }
}

#[tokio::test]
async fn a_jwt_is_introspected_like_any_other_token() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[("resource", JWT_API)])).await;
    let code = browser.decide(&page, "allow", &[]).await.redirected("code").unwrap();
    let token = crate::harness::Tokens::of(&client.redeem(&app, &code).await).access;
    assert_eq!(ask(&app, "jwt-api", API_SECRET, &token).await.json()["active"], true);
    assert_eq!(ask(&app, "api", API_SECRET, &token).await.json()["active"], false);
    let answer = client.post(&app, "/oauth/revoke", &[("token", &token)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(ask(&app, "jwt-api", API_SECRET, &token).await.json()["active"], false);
}
