//! The token endpoint: who may ask, what a code, a refresh token and a credential yield, and what
//! is left in the database after a refusal.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::change::Change;
use domain::grant::{
    Grant, GrantStatus, LIVE_GRANTS_PER_APP_AND_USER_MAX, REFRESH_WINDOW, RevokeReason,
};
use domain::token::CODE_LIFETIME;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use store::Tx;

use crate::harness::{
    ADDRESS, API, Answer, CALLBACK, Client, JWT_API, OTHER_API, TestApp, Tokens, VERIFIER, encode,
    form_request, request,
};

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

async fn start(kind: AppKind) -> (TestApp, domain::user::User, Client) {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", kind, |_| {}).await;
    (app, user, client)
}

async fn only_grant(app: &TestApp, user: &domain::user::User, client: &Client) -> Grant {
    let mut grants = app.live_grants(user, &client.app).await;
    assert_eq!(grants.len(), 1);
    grants.remove(0)
}

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
async fn http_basic_is_read_in_its_three_encodings() {
    let (app, _, client) = start(AppKind::Web).await;
    let secret = "p%20a-b+c~d";
    let mac = app.provider.keyring().secret_mac(secret.as_bytes());
    let id = client.app.id;
    app.write(async move |tx: &mut Tx<'_>| {
        let mut stored = store::client_secrets::list_of_app(tx, id).await?.remove(0);
        stored.id = domain::id::CredentialId::from_bytes([9; 16]);
        stored.mac = mac;
        store::client_secrets::insert(tx, &stored).await
    })
    .await;
    let form = [("grant_type", "client_credentials")];
    for spelled in [secret, "p%2520a-b%2Bc~d", "%70%2520a%2Db%2Bc%7Ed"] {
        let header = basic("bot", spelled);
        let answer = app.post("/oauth/token", &[(AUTHORIZATION, &header)], &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{spelled}");
    }
}

#[tokio::test]
async fn x2_every_wrong_client_gets_the_same_answer() {
    let (app, _, client) = start(AppKind::Web).await;
    app.add_app("mobile", AppKind::Native, |_| {}).await;
    let form = ("grant_type", "client_credentials");
    let right = client.secret.clone().unwrap();
    let mut bodies = Vec::new();
    for fields in [
        vec![form, ("client_id", "nobody"), ("client_secret", "x")],
        vec![form, ("client_id", "nobody")],
        vec![form, ("client_id", "bot"), ("client_secret", "x")],
        vec![form, ("client_id", "bot")],
        vec![form, ("client_id", "mobile"), ("client_secret", &right)],
        vec![form],
    ] {
        let answer = app.post("/oauth/token", &[], &fields).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{fields:?}");
        assert_eq!(answer.error(), "invalid_client");
        assert_eq!(answer.header(WWW_AUTHENTICATE), None, "only who tried Basic is challenged");
        bodies.push(answer.text());
    }
    let header = basic("bot", "wrong");
    let answer = app.post("/oauth/token", &[(AUTHORIZATION, &header)], &[form]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header(WWW_AUTHENTICATE).unwrap().starts_with("Basic"));
    bodies.push(answer.text());
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
}

#[tokio::test]
async fn x2_guessing_secrets_is_slowed_down_for_one_address_and_not_for_others() {
    let (app, _, client) = start(AppKind::Web).await;
    let guess = async || {
        let fields =
            [("grant_type", "client_credentials"), ("client_id", "bot"), ("client_secret", "x")];
        app.post("/oauth/token", &[], &fields).await
    };
    let mut answer = guess().await;
    for _ in 0..30 {
        answer = guess().await;
    }
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.header(RETRY_AFTER).unwrap().parse::<u32>().unwrap() >= 1);
    let right = [
        ("grant_type", "client_credentials"),
        ("client_id", "bot"),
        ("client_secret", client.secret.as_deref().unwrap()),
    ];
    let elsewhere = form_request("/oauth/token", &[], &right);
    let answer = app.send_from("203.0.113.9".parse().unwrap(), elsewhere).await;
    assert_eq!(answer.status, StatusCode::OK);
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(app.post("/oauth/token", &[], &right).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_secret_that_expired_is_no_secret() {
    let (app, _, client) = start(AppKind::Web).await;
    let (id, now) = (client.app.id, app.provider.now());
    app.write(async move |tx: &mut Tx<'_>| {
        let mut secret = store::client_secrets::list_of_app(tx, id).await?.remove(0);
        store::client_secrets::delete(tx, secret.id).await?;
        secret.expires_at = Some(now);
        store::client_secrets::insert(tx, &secret).await
    })
    .await;
    let answer = client.post(&app, "/oauth/token", &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.error(), "invalid_client");
}

#[tokio::test]
async fn the_last_use_of_a_secret_is_noted_coarsely() {
    let (app, _, client) = start(AppKind::Web).await;
    let id = client.app.id;
    let noted = async || {
        let list = async move |tx: &mut Tx<'_>| store::client_secrets::list_of_app(tx, id).await;
        app.write(list).await[0].last_used_at
    };
    let form = [("grant_type", "client_credentials")];
    client.post(&app, "/oauth/token", &form).await;
    let first = noted().await;
    assert_eq!(first, Some(app.provider.now()));
    app.clock.advance(Duration::from_secs(60));
    client.post(&app, "/oauth/token", &form).await;
    assert_eq!(noted().await, first);
    app.clock.advance(Duration::from_secs(3600));
    client.post(&app, "/oauth/token", &form).await;
    assert_eq!(noted().await, Some(app.provider.now()));
}

#[tokio::test]
async fn x4_credentials_in_the_url_get_and_two_methods_and_other_forms_are_refused() {
    let (app, _, client) = start(AppKind::Web).await;
    let secret = client.secret.clone().unwrap();
    let header = basic("bot", &secret);
    let form = [("grant_type", "client_credentials")];
    let in_url = format!("/oauth/token?{}", encode(&client.credentials()));
    assert_eq!(app.post(&in_url, &[], &form).await.error(), "invalid_request");
    let code_in_url = "/oauth/token?code=x&grant_type=authorization_code";
    let answer = client.post(&app, code_in_url, &[]).await;
    assert_eq!(answer.error(), "invalid_request");
    assert_eq!(app.get("/oauth/token").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let both = [form[0], ("client_id", "bot"), ("client_secret", &*secret)];
    let answer = app.post("/oauth/token", &[(AUTHORIZATION, &header)], &both).await;
    assert_eq!(answer.error(), "invalid_request");
    let other = [form[0], ("client_id", "somebody-else")];
    let answer = app.post("/oauth/token", &[(AUTHORIZATION, &header)], &other).await;
    assert_eq!(answer.error(), "invalid_request");
    for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        let body = encode(&[form[0], ("client_id", "bot"), ("client_secret", &*secret)]);
        let asked = Request::post("/oauth/token").header(CONTENT_TYPE, content_type);
        let answer = app.send(asked.body(body.into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.error(), "invalid_request", "{content_type}");
    }
    let unnamed = Request::post("/oauth/token").body("grant_type=refresh_token".into()).unwrap();
    assert_eq!(app.send(unnamed).await.error(), "invalid_request");
}

#[tokio::test]
async fn x1_malformed_token_requests_get_an_answer() {
    let (app, _, client) = start(AppKind::Web).await;
    let big = "x".repeat(70_000);
    for body in ["%ff=%ff", "%", "a=%00", "client_id=bot&client_id=bot", &big] {
        let asked = Request::post("/oauth/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.to_owned().into())
            .unwrap();
        let answer = app.send(asked).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.error(), "invalid_request");
    }
    for (fields, error) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![("grant_type", "authorization_code")], "invalid_request"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "client_credentials"), ("scope", "\"")], "invalid_scope"),
        (vec![("grant_type", "client_credentials"), ("resource", "not a uri")], "invalid_target"),
    ] {
        assert_eq!(client.post(&app, "/oauth/token", &fields).await.error(), error, "{fields:?}");
    }
    let header = "Basic !!!";
    let answer = app.post("/oauth/token", &[(AUTHORIZATION, header)], &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
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
        let consent = store::consents::find_of(tx, user_id, app_id).await?.unwrap();
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
async fn an_allow_list_keeps_other_addresses_from_every_token_endpoint() {
    let app = TestApp::start().await;
    let net = "127.0.0.1/32".parse().unwrap();
    let client = app.add_app("enterprise", AppKind::Web, |app| app.addresses = vec![net]).await;
    let form = [("grant_type", "client_credentials"), ("token", "x")];
    let fields: Vec<_> = client.credentials().into_iter().chain(form).collect();
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        let call = || form_request(path, &[], &fields);
        let answer = app.send_from("203.0.113.9".parse().unwrap(), call()).await;
        assert_eq!(answer.error(), "unauthorized_client", "{path}");
        for address in [ADDRESS, "::ffff:127.0.0.1".parse().unwrap()] {
            assert_eq!(app.send_from(address, call()).await.status, StatusCode::OK, "{path}");
        }
    }
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

#[tokio::test]
async fn apps_in_browsers_may_call_from_any_origin_without_cookies() {
    let app = TestApp::start().await;
    for path in ["/oauth/token", "/oauth/revoke"] {
        let mut asked = request(Method::OPTIONS, path);
        asked.headers_mut().insert("origin", "https://spa.example".parse().unwrap());
        let answer = app.send(asked).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
    }
    let refused = app.post("/oauth/token", &[], &[("grant_type", "x")]).await;
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    let page = app.get("/oauth/authorize").await;
    assert_eq!(page.header("access-control-allow-origin"), None, "pages are not for scripts");
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
