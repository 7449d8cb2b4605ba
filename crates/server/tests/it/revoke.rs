//! Giving tokens back (RFC 7009).

use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::grant::{GrantStatus, RevokeReason};
use http::StatusCode;

use crate::harness::{Client, TestApp, Tokens};

async fn is_active(app: &TestApp, client: &Client, token: &str) -> bool {
    let answer = client.post(app, "/oauth/introspect", &[("token", token)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["active"].as_bool().unwrap()
}

#[tokio::test]
async fn an_access_token_ends_alone() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let tokens = client.tokens(&app, &user).await;
    let next = Tokens::of(&client.refresh(&app, &tokens.refresh, &[]).await);
    for _ in 0..2 {
        let answer = client.post(&app, "/oauth/revoke", &[("token", &tokens.access)]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body.is_empty());
    }
    assert!(!is_active(&app, &client, &tokens.access).await);
    assert!(is_active(&app, &client, &next.access).await);
    assert_eq!(client.refresh(&app, &next.refresh, &[]).await.status, StatusCode::OK);
    let audited = app.audited().await;
    assert_eq!(audited.iter().filter(|kind| **kind == AuditKind::TokenRevoked).count(), 1);
}

#[tokio::test]
async fn a_refresh_token_ends_its_grant_and_all_its_tokens() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let tokens = client.tokens(&app, &user).await;
    let id = app.live_grants(&user, &client.app).await[0].id;
    let fields = [("token", &*tokens.refresh), ("token_type_hint", "access_token")];
    let answer = client.post(&app, "/oauth/revoke", &fields).await;
    assert_eq!(answer.status, StatusCode::OK, "a wrong hint is only a hint");
    assert!(!is_active(&app, &client, &tokens.access).await);
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.error(), "invalid_grant");
    let GrantStatus::Revoked { reason, .. } = app.find_grant(id).await.unwrap().status else {
        panic!("the grant lives on")
    };
    assert_eq!(reason, RevokeReason::App);
    assert_eq!(app.audited().await.last(), Some(&AuditKind::GrantRevoked));
}

#[tokio::test]
async fn t9_somebody_elses_token_and_nobodys_are_answered_alike_and_nothing_happens() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let other = app.add_app("other", AppKind::Web, |_| {}).await;
    let tokens = client.tokens(&app, &user).await;
    let before = app.audited().await;
    let mut answers = Vec::new();
    for token in [&*tokens.access, &*tokens.refresh, "nobody's", "cs_rt_AAAA", "cs_at_"] {
        let answer = other.post(&app, "/oauth/revoke", &[("token", token)]).await;
        answers.push((answer.status, answer.text()));
    }
    answers.dedup();
    assert_eq!(answers, [(StatusCode::OK, String::new())]);
    assert!(is_active(&app, &client, &tokens.access).await);
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.status, StatusCode::OK);
    assert_eq!(app.audited().await, before);
}

#[tokio::test]
async fn who_gives_a_token_back_says_who_they_are() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let public = app.add_app("mobile", AppKind::Native, |_| {}).await;
    let tokens = public.tokens(&app, &user).await;
    let answer = app.post("/oauth/revoke", &[], &[("token", &tokens.refresh)]).await;
    assert_eq!(answer.error(), "invalid_client");
    let answer = client.post(&app, "/oauth/revoke", &[]).await;
    assert_eq!(answer.error(), "invalid_request");
    let answer = public.post(&app, "/oauth/revoke", &[("token", &tokens.refresh)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(public.refresh(&app, &tokens.refresh, &[]).await.error(), "invalid_grant");
}
