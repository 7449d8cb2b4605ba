//! Refresh tokens: what is harmless, what is theft, and what they can never raise.

use std::time::Duration;

use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::grant::{GrantStatus, REFRESH_WINDOW, RevokeReason};
use http::StatusCode;

use crate::harness::{Answer, TestApp, Tokens, only_grant, start};

#[tokio::test]
async fn t1_a_lost_answer_and_parallel_refreshes_are_harmless() {
    let (app, user, client) = start(AppKind::Web).await;
    let tokens = client.tokens(&app, &user).await;
    let calls = (0..12).map(|_| client.refresh(&app, &tokens.refresh, &[]));
    let answers: Vec<Answer> = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!(only_grant(&app, &user, &client).await.refresh.unwrap().generation, 2);
    // All answers were lost; much later the app tries what it has.
    app.clock.advance(REFRESH_WINDOW + Duration::from_secs(3600));
    let late = Tokens::of(&client.refresh(&app, &tokens.refresh, &[]).await);
    assert_eq!(client.refresh(&app, &late.refresh, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn t1_a_stolen_refresh_token_revokes_the_grant_at_the_second_partys_next_use() {
    let (app, user, client) = start(AppKind::Web).await;
    let stolen = client.tokens(&app, &user).await.refresh;
    let victim = Tokens::of(&client.refresh(&app, &stolen, &[]).await);
    app.clock.advance(REFRESH_WINDOW + Duration::from_millis(1));
    let thief = Tokens::of(&client.refresh(&app, &stolen, &[]).await);
    let id = only_grant(&app, &user, &client).await.id;
    assert_eq!(client.refresh(&app, &victim.refresh, &[]).await.error(), "invalid_grant");
    assert_eq!(client.refresh(&app, &thief.refresh, &[]).await.error(), "invalid_grant");
    let grant = app.find_grant(id).await.unwrap();
    let stolen =
        GrantStatus::Revoked { at: app.provider.now(), reason: RevokeReason::RefreshTheft };
    assert_eq!(grant.status, stolen);
    let audited = app.audited().await;
    assert_eq!(audited.last(), Some(&AuditKind::RefreshTheft));
    assert_eq!(audited.iter().filter(|kind| **kind == AuditKind::RefreshTheft).count(), 1);
}

#[tokio::test]
async fn t1_theft_is_found_whatever_else_is_wrong_with_the_request() {
    let (app, user, client) = start(AppKind::Web).await;
    let old = client.tokens(&app, &user).await.refresh;
    let newer = Tokens::of(&client.refresh(&app, &old, &[]).await).refresh;
    Tokens::of(&client.refresh(&app, &newer, &[]).await);
    let answer = client.refresh(&app, &old, &[("scope", "withdraw")]).await;
    assert_eq!(answer.error(), "invalid_grant");
    assert!(app.live_grants(&user, &client.app).await.is_empty());
}

#[tokio::test]
async fn a_refresh_token_that_this_database_has_not_issued_revokes_nothing() {
    let (app, user, client) = start(AppKind::Web).await;
    client.tokens(&app, &user).await;
    let grant = only_grant(&app, &user, &client).await;
    let ahead = domain::token::RefreshToken { grant_id: grant.id, generation: 7 };
    let keyring = app.provider.keyring();
    let text = keyring.seal(domain::seal::Purpose::Refresh, &ahead, &*app.entropy).unwrap();
    assert_eq!(client.refresh(&app, &text, &[]).await.error(), "invalid_grant");
    assert_eq!(only_grant(&app, &user, &client).await, grant);
}

#[tokio::test]
async fn an_app_without_rotation_keeps_its_refresh_token() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bank", AppKind::Web, |app| app.rotates_refresh_tokens = false).await;
    let tokens = client.tokens(&app, &user).await;
    for _ in 0..3 {
        app.clock.advance(Duration::from_secs(3600));
        let answer = client.refresh(&app, &tokens.refresh, &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn t2_a_refresh_narrows_the_access_token_alone_and_never_raises() {
    let (app, user, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    let answer = browser.decide(&page, "allow", &["orders.read"]).await;
    let code = answer.redirected("code").unwrap();
    let tokens = Tokens::of(&client.redeem(&app, &code).await);
    for raised in ["orders.create", "balances.read withdraw", "no.such.scope"] {
        let answer = client.refresh(&app, &tokens.refresh, &[("scope", raised)]).await;
        assert_eq!(answer.error(), "invalid_scope", "{raised}");
    }
    let answer = client.refresh(&app, &tokens.refresh, &[("scope", "balances.read")]).await;
    assert_eq!(answer.json()["scope"], "balances.read", "and the refused ones used nothing up");
    let answer = client.refresh(&app, &Tokens::of(&answer).refresh, &[]).await;
    assert_eq!(answer.json()["scope"], "balances.read orders.read");
}

#[tokio::test]
async fn lifetimes_are_the_apps_within_the_operators_limits() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let day = Duration::from_secs(86_400);
    let client = app
        .add_app("bot", AppKind::Web, |app| {
            app.lifetimes.access_token = Some(day);
            app.lifetimes.refresh_idle = Some(day);
            app.lifetimes.grant_max = Some(day * 2);
        })
        .await;
    let browser = app.signed_in(&user).await;
    let code = browser.authorize(&client).await;
    let answer = client.redeem(&app, &code).await;
    assert_eq!(answer.json()["expires_in"], 3600);
    let mut refresh = Tokens::of(&answer).refresh;
    // Used each half day it stays; after two days the grant itself is over.
    for _ in 0..3 {
        app.clock.advance(day / 2);
        refresh = Tokens::of(&client.refresh(&app, &refresh, &[]).await).refresh;
    }
    app.clock.advance(day / 2);
    assert_eq!(client.refresh(&app, &refresh, &[]).await.error(), "invalid_grant");
    let idle = client.tokens(&app, &user).await;
    app.clock.advance(day);
    assert_eq!(client.refresh(&app, &idle.refresh, &[]).await.error(), "invalid_grant");
}

#[tokio::test]
async fn t8_a_refresh_ends_with_the_user_the_app_or_the_consent() {
    let (app, user, client) = start(AppKind::Web).await;
    let now = app.provider.now();
    let tokens = client.tokens(&app, &user).await;
    app.save_user(user.clone().block("abuse".to_owned(), now)).await;
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.error(), "invalid_grant");
    app.save_user(user.clone()).await;
    app.save_app(client.app.clone().suspend("abuse".to_owned(), now).unwrap()).await;
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.error(), "invalid_client");
    let mut fewer = client.app.clone();
    fewer.approved = "balances.read".parse().unwrap();
    app.save_app(fewer).await;
    let answer = client.refresh(&app, &tokens.refresh, &[]).await;
    assert_eq!(answer.json()["scope"], "balances.read");
}
