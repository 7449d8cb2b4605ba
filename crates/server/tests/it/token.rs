//! The token endpoint: what a code and a credential yield, and what is left in the database after a
//! refusal.

use std::time::Duration;

use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::change::Change;
use domain::grant::{GrantStatus, LIVE_GRANTS_PER_APP_AND_USER_MAX, Mode, RevokeReason};
use domain::token::CODE_LIFETIME;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use store::Tx;

use crate::harness::{
    API, Answer, CALLBACK, Client, JWT_API, OTHER_API, Tokens, VERIFIER, only_grant, start,
};

#[tokio::test]
async fn a_code_becomes_tokens_in_exactly_the_form_that_clients_insist_on() {
    let (app, user, client) = start(AppKind::Web).await;
    let code = app.signed_in(&user).await.authorize(&client).await;
    let answer = client.redeem(&app, &code).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(CONTENT_TYPE), Some("application/json"));
    assert_eq!(answer.header(CACHE_CONTROL), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let json = answer.json();
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["expires_in"], 600);
    assert_eq!(json["scope"], "balances.read orders.create orders.read");
    assert!(json["access_token"].as_str().unwrap().starts_with("cs_at_"));
    assert!(json["refresh_token"].as_str().unwrap().starts_with("cs_rt_"));
    assert!(!answer.text().contains(": "), "compact");
    assert_eq!(app.audited().await, [AuditKind::ConsentGiven, AuditKind::GrantCreated]);
}

#[tokio::test]
async fn a_public_app_needs_no_secret_and_gets_no_less_proof() {
    let (app, user, client) = start(AppKind::Native).await;
    let code = app.signed_in(&user).await.authorize(&client).await;
    let unproven = client.redeem_with(&app, &code, &[("code_verifier", "")]).await;
    assert_eq!(unproven.error(), "invalid_grant");
    assert_eq!(client.redeem(&app, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn c1_a_code_used_twice_revokes_what_it_yielded_also_after_it_expired() {
    for pause in [Duration::ZERO, CODE_LIFETIME * 2] {
        let (app, user, client) = start(AppKind::Web).await;
        let code = app.signed_in(&user).await.authorize(&client).await;
        let tokens = Tokens::of(&client.redeem(&app, &code).await);
        let id = only_grant(&app, &user, &client).await.id;
        app.clock.advance(pause);
        assert_eq!(client.redeem(&app, &code).await.error(), "invalid_grant");
        assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.error(), "invalid_grant");
        // The refusal is committed with what it had to do (attack K2).
        let GrantStatus::Revoked { reason, .. } = app.find_grant(id).await.unwrap().status else {
            panic!("the grant lives on")
        };
        assert_eq!(reason, RevokeReason::CodeReplayed);
        assert_eq!(app.audited().await.last(), Some(&AuditKind::CodeReplayed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_of_twelve_parallel_redemptions_exactly_one_wins() {
    let (app, user, client) = start(AppKind::Web).await;
    let code = app.signed_in(&user).await.authorize(&client).await;
    let calls = (0..12).map(|_| client.redeem(&app, &code));
    let answers: Vec<Answer> = futures_util::future::join_all(calls).await;
    let won = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(won, 1);
    assert!(app.live_grants(&user, &client.app).await.is_empty(), "and the grant is revoked");
}

#[tokio::test]
async fn c2_a_code_shown_by_another_app_is_refused_and_stays_good_for_its_own() {
    let (app, user, client) = start(AppKind::Web).await;
    let thief = app.add_app("thief", AppKind::Web, |_| {}).await;
    let code = app.signed_in(&user).await.authorize(&client).await;
    assert_eq!(thief.redeem(&app, &code).await.error(), "invalid_grant");
    let unproven = Client { secret: Some("wrong".to_owned()), ..client.clone() };
    assert_eq!(unproven.redeem(&app, &code).await.error(), "invalid_client");
    let tokens = Tokens::of(&client.redeem(&app, &code).await);
    // Nor does it count as a replay afterwards, nor work with the refresh token.
    assert_eq!(thief.redeem(&app, &code).await.error(), "invalid_grant");
    assert_eq!(unproven.redeem(&app, &code).await.error(), "invalid_client");
    assert_eq!(thief.refresh(&app, &tokens.refresh, &[]).await.error(), "invalid_grant");
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn c3_p1_p3_a_code_without_its_whole_proof_changes_nothing() {
    let (app, user, client) = start(AppKind::Web).await;
    let code = app.signed_in(&user).await.authorize(&client).await;
    let other = "x".repeat(43);
    let long = "x".repeat(129);
    let refuse = async |when: &str| {
        for (change, error) in [
            (("redirect_uri", ""), "invalid_grant"),
            (("redirect_uri", "https://bot.example.com/other"), "invalid_grant"),
            (("code_verifier", ""), "invalid_grant"),
            (("code_verifier", &*other), "invalid_grant"),
            // The challenge itself, as `plain` would have it.
            (("code_verifier", crate::harness::CHALLENGE), "invalid_grant"),
            (("code_verifier", "short"), "invalid_request"),
            (("code_verifier", &*long), "invalid_request"),
            (("code_verifier", "dBjftJeZ4CVP mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), "invalid_request"),
            (("resource", OTHER_API), "invalid_target"),
        ] {
            let answer = client.redeem_with(&app, &code, &[change]).await;
            assert_eq!(answer.error(), error, "{when}: {change:?}");
        }
    };
    refuse("before").await;
    let tokens = Tokens::of(&client.redeem(&app, &code).await);
    refuse("after").await;
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn c3_an_expired_code_is_refused() {
    let (app, user, client) = start(AppKind::Web).await;
    let code = app.signed_in(&user).await.authorize(&client).await;
    app.clock.advance(CODE_LIFETIME);
    assert_eq!(client.redeem(&app, &code).await.error(), "invalid_grant");
    assert!(app.live_grants(&user, &client.app).await.is_empty());
}

#[tokio::test]
async fn t8_a_code_is_worth_nothing_once_user_app_or_consent_are_gone() {
    let (app, user, client) = start(AppKind::Web).await;
    let now = app.provider.now();
    let code = app.signed_in(&user).await.authorize(&client).await;
    app.save_user(user.clone().block("abuse".to_owned(), now)).await;
    assert_eq!(client.redeem(&app, &code).await.error(), "invalid_grant");
    app.save_user(user.clone()).await;

    app.save_app(client.app.clone().suspend("abuse".to_owned(), now).unwrap()).await;
    assert_eq!(client.redeem(&app, &code).await.error(), "invalid_client");
    app.save_app(client.app.clone()).await;

    let (user_id, app_id) = (user.id, client.app.id);
    let entropy = app.entropy.clone();
    app.write(async move |tx: &mut Tx<'_>| {
        let consent = store::consents::find_of(tx, user_id, app_id, Mode::Live).await?.unwrap();
        store::consents::save(tx, &consent.withdraw(&*entropy, now).unwrap()).await
    })
    .await;
    assert_eq!(client.redeem(&app, &code).await.error(), "invalid_grant");
}

#[tokio::test]
async fn t3_texts_that_are_not_ours_or_for_something_else_get_one_uniform_answer() {
    let (app, user, client) = start(AppKind::Web).await;
    let tokens = client.tokens(&app, &user).await;
    let code = app.signed_in(&user).await.authorize(&client).await;
    let flip = |text: &str| {
        let at = text.len() - 5;
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &text[..at], &text[at + 1..])
    };
    let renamed = |text: &str, prefix: &str| format!("{prefix}{}", &text[6..]);
    let mut bodies = Vec::new();
    for bad in [
        tokens.access.clone(),
        code.clone(),
        flip(&tokens.refresh),
        tokens.refresh[..tokens.refresh.len() - 1].to_owned(),
        format!("{}=", tokens.refresh),
        renamed(&tokens.access, "cs_rt"),
        "cs_rt_".to_owned(),
        "x".to_owned(),
        "é".repeat(2000),
    ] {
        let answer = client.refresh(&app, &bad, &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        bodies.push(answer.text());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    for bad in [&tokens.refresh, &tokens.access, &flip(&code), &renamed(&tokens.access, "cs_ac")] {
        assert_eq!(client.redeem(&app, bad).await.error(), "invalid_grant");
    }
    assert_eq!(client.redeem(&app, &code).await.status, StatusCode::OK);
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn t2_client_credentials_stay_below_their_own_ceiling() {
    let (app, _, client) = start(AppKind::Web).await;
    let ask = async |fields: &[(&str, &str)]| {
        let form = [("grant_type", "client_credentials")];
        let fields: Vec<_> = form.into_iter().chain(fields.iter().copied()).collect();
        client.post(&app, "/oauth/token", &fields).await
    };
    let answer = ask(&[]).await;
    assert_eq!(answer.json()["scope"], "balances.read");
    assert_eq!(answer.json().get("refresh_token"), None);
    assert_eq!(ask(&[("scope", "orders.create")]).await.error(), "invalid_scope");
    assert_eq!(ask(&[("resource", OTHER_API)]).await.status, StatusCode::OK);
    assert_eq!(ask(&[("resource", "https://unknown.example")]).await.error(), "invalid_target");
    assert_eq!(app.audited().await, [AuditKind::ServiceTokenIssued], "one grant, one row");

    let public = app.add_app("mobile", AppKind::Native, |_| {}).await;
    let form = [("grant_type", "client_credentials")];
    let answer = public.post(&app, "/oauth/token", &form).await;
    assert_eq!(answer.error(), "unauthorized_client");
    let none = |app: &mut domain::app::App| app.service_scopes = Default::default();
    let without = app.add_app("web", AppKind::Web, none).await;
    let answer = without.post(&app, "/oauth/token", &form).await;
    assert_eq!(answer.error(), "unauthorized_client");
}

#[tokio::test]
async fn a_service_grant_that_was_ended_is_not_revived() {
    let (app, _, client) = start(AppKind::Service).await;
    let form = [("grant_type", "client_credentials")];
    let grant_of = async |answer: &Answer| {
        let text = Tokens::of(answer).access;
        let keyring = app.provider.keyring();
        domain::access::open_access_token(&keyring, &text, app.provider.now()).unwrap().grant_id
    };
    let first = grant_of(&client.post(&app, "/oauth/token", &form).await).await;
    let now = app.provider.now();
    app.write(async move |tx: &mut Tx<'_>| {
        store::grants::revoke(tx, first, RevokeReason::Staff, now).await?;
        store::changes::record(tx, Change::Grant(first)).await
    })
    .await;
    let second = grant_of(&client.post(&app, "/oauth/token", &form).await).await;
    assert_ne!(first, second);
    assert_eq!(app.find_grant(first).await, None);
}

#[tokio::test]
async fn a_token_is_for_the_resource_that_was_asked_for() {
    let (app, user, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let path = client.authorize_path(&[]);
    let both = format!("{path}&resource={API}&resource={OTHER_API}");
    let page = browser.get(&both).await;
    let code = browser.decide(&page, "allow", &[]).await.redirected("code").unwrap();
    let answer = client.redeem_with(&app, &code, &[("resource", OTHER_API)]).await;
    let audience = |answer: &Answer| {
        let text = Tokens::of(answer).access;
        let keyring = app.provider.keyring();
        domain::access::open_access_token(&keyring, &text, app.provider.now()).unwrap().audience
    };
    assert_eq!(audience(&answer), OTHER_API);
    let refresh = Tokens::of(&answer).refresh;
    let answer = client.refresh(&app, &refresh, &[("resource", JWT_API)]).await;
    assert_eq!(answer.error(), "invalid_target");
    let answer = client.refresh(&app, &refresh, &[]).await;
    assert_eq!(audience(&answer), API, "without one: the first of the grant");
}

#[tokio::test]
async fn a_resource_that_wants_jwts_gets_them() {
    let (app, user, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[("resource", JWT_API)])).await;
    let code = browser.decide(&page, "allow", &[]).await.redirected("code").unwrap();
    let tokens = Tokens::of(&client.redeem(&app, &code).await);
    assert_eq!(tokens.access.split('.').count(), 3);
    let keyring = app.provider.keyring();
    let claims =
        protocol::jose::verify(keyring.verifying_keys(), "at+jwt", &tokens.access).unwrap();
    let now = app.provider.now().as_seconds();
    assert_eq!(claims["iss"], crate::harness::ISSUER);
    assert_eq!(claims["aud"], JWT_API);
    assert_eq!(claims["sub"], user.id.to_string());
    assert_eq!(claims["client_id"], "bot");
    assert_eq!(claims["scope"], "balances.read");
    assert_eq!(claims["exp"], now + 600);
    assert_eq!(claims["grant_id"], only_grant(&app, &user, &client).await.id.to_string());
}

#[tokio::test]
async fn live_grants_of_one_app_and_user_are_capped_and_the_longest_unused_goes() {
    let (app, user, client) = start(AppKind::Web).await;
    let first = client.tokens(&app, &user).await;
    app.clock.advance(Duration::from_secs(1));
    let second = client.tokens(&app, &user).await;
    app.clock.advance(Duration::from_secs(1));
    let first = Tokens::of(&client.refresh(&app, &first.refresh, &[]).await);
    let browser = app.signed_in(&user).await;
    for _ in 2..=LIVE_GRANTS_PER_APP_AND_USER_MAX {
        app.clock.advance(Duration::from_secs(1));
        let code = browser.get(&client.authorize_path(&[])).await.redirected("code").unwrap();
        Tokens::of(&client.redeem(&app, &code).await);
    }
    let live = app.live_grants(&user, &client.app).await;
    assert_eq!(live.len(), LIVE_GRANTS_PER_APP_AND_USER_MAX);
    assert_eq!(client.refresh(&app, &second.refresh, &[]).await.error(), "invalid_grant");
    assert_eq!(client.refresh(&app, &first.refresh, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_redirect_uri_that_was_left_out_need_not_be_repeated() {
    let (app, user, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[("redirect_uri", "")])).await;
    let code = browser.decide(&page, "allow", &[]).await.redirected("code").unwrap();
    let wrong = client.redeem_with(&app, &code, &[("redirect_uri", "https://evil.example")]).await;
    assert_eq!(wrong.error(), "invalid_grant");
    let fields =
        [("grant_type", "authorization_code"), ("code", &*code), ("code_verifier", VERIFIER)];
    assert_eq!(client.post(&app, "/oauth/token", &fields).await.status, StatusCode::OK);
    assert_eq!(client.app.redirect_uris[0].as_str(), CALLBACK);
}
