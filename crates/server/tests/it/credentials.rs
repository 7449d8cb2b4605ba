//! Secrets with an end, keys instead of secrets, the checklist, the preview and the pause: what
//! developers do on the pages of one app.

use std::time::Duration;

use domain::app::{App, AppKeys, AppKind, ClientSecret};
use domain::grant::Mode;
use http::StatusCode;
use protocol::client_auth::ASSERTION_TYPE;
use protocol::jose::{Algorithm, SigningKey};
use serde_json::{Value, json};
use store::Tx;

use crate::forms::{assert_done, find_app, submit};
use crate::harness::{Answer, Browser, Client, ISSUER, TestApp, Tokens};
use crate::my_apps::{live_app, shown_secret};

const SERVICE: [(&str, &str); 1] = [("grant_type", "client_credentials")];

async fn secrets_of(app: &TestApp, client: &Client) -> Vec<ClientSecret> {
    let id = client.app.id;
    app.write(async move |tx: &mut Tx<'_>| store::client_secrets::list_of_app(tx, id).await).await
}

async fn add(browser: &Browser<'_>, client: &Client, fields: &[(&str, &str)]) -> Answer {
    submit(browser, &format!("/apps/{}/secrets", client.app.id), fields).await
}

#[tokio::test]
async fn a_secret_is_named_and_one_for_tests_proves_the_test_client_id_only() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let made = add(&browser, &client, &[("mode", "test"), ("test_secret_name", "Laptop")]).await;
    assert!(made.text().contains("Test client id"), "{}", made.text());
    let secret = Some(shown_secret(&made));
    let tests = Client { app: client.app.clone().in_test_mode(), secret: secret.clone() };
    assert_eq!(tests.post(&app, "/oauth/token", &SERVICE).await.status, StatusCode::OK);
    let mixed = Client { secret, ..client.clone() };
    assert_eq!(mixed.post(&app, "/oauth/token", &SERVICE).await.error(), "invalid_client");
    let page = browser.get(&format!("/apps/{}/credentials", client.app.id)).await.text();
    assert!(page.contains("Laptop") && page.contains(&tests.app.client_id), "{page}");
    add(&browser, &client, &[("mode", "test")]).await;
    let third = add(&browser, &client, &[("mode", "test"), ("test_secret_name", "Desk")]).await;
    assert_eq!(third.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(third.text().contains("2 for tests already"), "{}", third.text());
    let long = "x".repeat(41);
    let named = add(&browser, &client, &[("secret_name", &long)]).await;
    assert!(named.text().contains(&long) && named.text().contains("at most 40"));
    assert_eq!(secrets_of(&app, &client).await.len(), 3);
}

#[tokio::test]
async fn a_live_secret_is_made_by_who_has_just_proven_who_they_are() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    app.clock.advance(Duration::from_secs(16 * 60));
    let asked = add(&browser, &client, &[("secret_name", "Night servers")]).await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    assert!(asked.location().starts_with("/sign-in?again=yes"), "{}", asked.location());
    assert!(asked.location().contains("name%3DNight"), "{}", asked.location());
    let again = browser.get(&format!("/apps/{}/credentials?name=Night", client.app.id)).await;
    assert!(again.text().contains("value=\"Night\""), "{}", again.text());
    assert_eq!(add(&browser, &client, &[("mode", "test")]).await.status, StatusCode::OK);
    assert_eq!(secrets_of(&app, &client).await.len(), 2, "the first one, and one for tests");
}

#[tokio::test]
async fn a_rolled_secret_overlaps_with_the_old_one_for_as_long_as_was_chosen() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let path = format!("/apps/{}/secrets/roll", client.app.id);
    let old = secrets_of(&app, &client).await.remove(0).id.to_string();
    let wrong = submit(&browser, &path, &[("secret", &old), ("overlap", "2")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let made = submit(&browser, &path, &[("secret", &old), ("overlap", "1")]).await;
    assert!(made.text().contains("id=\"old-ends\""), "{}", made.text());
    let next = Client { secret: Some(shown_secret(&made)), ..client.clone() };
    for both in [&client, &next] {
        assert_eq!(both.post(&app, "/oauth/token", &SERVICE).await.status, StatusCode::OK);
    }
    app.clock.advance(Duration::from_secs(3600));
    assert_eq!(client.post(&app, "/oauth/token", &SERVICE).await.error(), "invalid_client");
    assert_eq!(next.post(&app, "/oauth/token", &SERVICE).await.status, StatusCode::OK);
    let page = browser.get(&format!("/apps/{}/credentials", client.app.id)).await.text();
    assert!(page.contains("ended <time"), "{page}");
}

#[tokio::test]
async fn a_secret_that_is_rolled_at_once_ends_with_what_it_brought() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let service = Tokens::of(&client.post(&app, "/oauth/token", &SERVICE).await);
    let old = secrets_of(&app, &client).await.remove(0).id.to_string();
    let path = format!("/apps/{}/secrets/roll", client.app.id);
    let made = submit(&browser, &path, &[("secret", &old), ("overlap", "0")]).await;
    let next = Client { secret: Some(shown_secret(&made)), ..client.clone() };
    assert_eq!(client.post(&app, "/oauth/token", &SERVICE).await.error(), "invalid_client");
    assert_eq!(crate::forms::live_scope(&app, &next, &service).await, None);
    assert_eq!(secrets_of(&app, &client).await.len(), 1);
}

#[tokio::test]
async fn the_last_day_of_a_secret_is_set_changed_and_cleared() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let path = format!("/apps/{}/secrets/end", client.app.id);
    let id = secrets_of(&app, &client).await.remove(0).id.to_string();
    let back = format!("/apps/{}/credentials", client.app.id);
    for bad in ["1999-12-31", "soon", "2999-02-30"] {
        let answer = submit(&browser, &path, &[("secret", &id), ("ends_on", bad)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
        assert!(answer.text().contains(&format!("secret-{id}-error")), "{bad}");
    }
    let set = submit(&browser, &path, &[("secret", &id), ("ends_on", "2999-12-31")]).await;
    assert_done(&set, &format!("{back}?done=secret-end-saved"));
    assert!(secrets_of(&app, &client).await[0].expires_at.is_some());
    assert!(browser.get(&back).await.text().contains("value=\"2999-12-31\""));
    let cleared = submit(&browser, &path, &[("secret", &id), ("ends_on", "")]).await;
    assert_done(&cleared, &format!("{back}?done=secret-stays"));
    assert_eq!(secrets_of(&app, &client).await[0].expires_at, None);
}

/// What `key` says for `client`, with claims replaced.
fn assertion(app: &TestApp, client: &Client, key: &SigningKey, change: &[(&str, Value)]) -> String {
    let now = app.provider.now().as_seconds();
    let id = client.app.client_id.as_str();
    let mut claims =
        json!({ "iss": id, "sub": id, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": "one" });
    for (name, value) in change {
        claims[*name] = value.clone();
    }
    key.sign("JWT", &claims).unwrap()
}

async fn by_assertion(app: &TestApp, text: &str) -> Answer {
    let named = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", text)];
    app.post("/oauth/token", &[], &[SERVICE[0], named[0], named[1]]).await
}

fn key_set(key: &SigningKey) -> String {
    json!({ "keys": [key.public_jwk()] }).to_string()
}

#[tokio::test]
async fn an_app_proves_itself_with_a_key_that_it_pasted() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let path = format!("/apps/{}/keys", client.app.id);
    let bad = [("keys_from", "pasted"), ("jwks", "{}"), ("jwks_uri", "")];
    let answer = submit(&browser, &path, &bad).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("id=\"jwks-error\""), "{}", answer.text());
    let jwks = key_set(&key);
    let saved = submit(&browser, &path, &[("keys_from", "pasted"), ("jwks", &jwks)]).await;
    assert_done(&saved, &format!("/apps/{}/credentials?done=keys-saved", client.app.id));
    let answer = by_assertion(&app, &assertion(&app, &client, &key, &[])).await;
    let tokens = Tokens::of(&answer);
    assert!(crate::forms::live_scope(&app, &client, &tokens).await.is_some());
    let endpoint = json!(format!("{ISSUER}/oauth/token"));
    let other = [("aud", endpoint), ("jti", json!("two"))];
    let answer = by_assertion(&app, &assertion(&app, &client, &key, &other)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    // Tests are named by the test client id, with the same key.
    let tests = Client { app: client.app.clone().in_test_mode(), secret: None };
    let answer = by_assertion(&app, &assertion(&app, &tests, &key, &[])).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let removed = submit(&browser, &path, &[("keys_from", "none")]).await;
    assert_done(&removed, &format!("/apps/{}/credentials?done=keys-removed", client.app.id));
    assert_eq!(crate::forms::live_scope(&app, &client, &tokens).await, None);
}

#[tokio::test]
async fn t5_an_assertion_is_good_once_and_for_us_alone() {
    let app = TestApp::start().await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwks = key_set(&key);
    let change = move |app: &mut App| app.keys = Some(AppKeys::Pasted(jwks));
    let client = app.add_app("bot", AppKind::Web, change).await;
    let other = app.add_app("other", AppKind::Web, |_| {}).await;
    let good = assertion(&app, &client, &key, &[]);
    assert_eq!(by_assertion(&app, &good).await.status, StatusCode::OK);
    assert_eq!(by_assertion(&app, &good).await.error(), "invalid_client", "replayed");
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let far = app.provider.now().as_seconds() + 3600;
    let next = |change: (&'static str, Value)| [("jti", json!("next")), change];
    for (why, text) in [
        ("long exp", assertion(&app, &client, &key, &next(("exp", json!(far))))),
        ("wrong aud", assertion(&app, &client, &key, &next(("aud", json!("https://x.example"))))),
        ("aud array", assertion(&app, &client, &key, &next(("aud", json!([ISSUER]))))),
        ("another key", assertion(&app, &client, &stranger, &next(("iat", json!(0))))),
        ("another app", assertion(&app, &other, &key, &next(("iat", json!(0))))),
    ] {
        assert_eq!(by_assertion(&app, &text).await.error(), "invalid_client", "{why}");
    }
    // One of a secret beside it, and a type that is none.
    let text = assertion(&app, &client, &key, &next(("iat", json!(0))));
    let named = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &*text)];
    let two = client.post(&app, "/oauth/token", &[SERVICE[0], named[0], named[1]]).await;
    assert_ne!(two.status, StatusCode::OK, "two ways at once");
    let typeless = app.post("/oauth/token", &[], &[SERVICE[0], named[1]]).await;
    assert_ne!(typeless.status, StatusCode::OK);
    assert_eq!(by_assertion(&app, &text).await.status, StatusCode::OK, "it was not used up");
}

#[tokio::test]
async fn t4_an_assertion_without_a_signature_proves_nothing() {
    let app = TestApp::start().await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwks = key_set(&key);
    let change = move |app: &mut App| app.keys = Some(AppKeys::Pasted(jwks));
    let client = app.add_app("bot", AppKind::Web, change).await;
    app.add_app("mobile", AppKind::Native, |_| {}).await;
    let good = assertion(&app, &client, &key, &[]);
    let parts: Vec<_> = good.split('.').collect();
    // {"alg":"none"}
    for text in [
        format!("eyJhbGciOiJub25lIn0.{}.", parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        good.replace(parts[2], &"A".repeat(parts[2].len())),
    ] {
        assert_eq!(by_assertion(&app, &text).await.error(), "invalid_client", "{text}");
    }
    let mut mobile = client.clone();
    mobile.app.client_id = "mobile".to_owned();
    let of_public = assertion(&app, &mobile, &key, &[]);
    assert_eq!(by_assertion(&app, &of_public).await.error(), "invalid_client");
}

#[tokio::test]
async fn a_key_set_is_fetched_kept_and_asked_for_again_once_a_minute_for_a_new_key() {
    let app = TestApp::start().await;
    let uri = "https://login.example/jwks";
    let change = move |app: &mut App| app.keys = Some(AppKeys::At(uri.to_owned()));
    let client = app.add_app("bot", AppKind::Web, change).await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let publish = |key: &SigningKey| {
        let public = serde_json::to_value(key.public_jwk()).unwrap();
        app.identity_provider.state().published = Some(vec![public]);
    };
    let asked = || app.identity_provider.state().asked.len();
    publish(&key);
    for jti in ["one", "two", "three"] {
        let text = assertion(&app, &client, &key, &[("jti", json!(jti))]);
        assert_eq!(by_assertion(&app, &text).await.status, StatusCode::OK, "{jti}");
    }
    assert_eq!(asked(), 1, "kept");
    let next = SigningKey::generate(Algorithm::Es256).unwrap();
    publish(&next);
    let at_once = assertion(&app, &client, &next, &[("jti", json!("four"))]);
    assert_eq!(by_assertion(&app, &at_once).await.error(), "invalid_client");
    assert_eq!(asked(), 1, "not more than once a minute");
    app.clock.advance(Duration::from_secs(61));
    let later = assertion(&app, &client, &next, &[("jti", json!("five"))]);
    assert_eq!(by_assertion(&app, &later).await.status, StatusCode::OK);
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn the_overview_says_what_is_left_to_do_until_users_come() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let page = browser.get(&format!("/apps/{}", client.app.id)).await.text();
    let is_done = |step: &str| {
        let (_, rest) = page.split_once(&format!("id=\"step-{step}\" class=\"")).unwrap();
        rest.starts_with("done")
    };
    for done in ["redirect-uri", "purposes", "live-secret", "submitted", "approved"] {
        assert!(is_done(done), "{done}: {page}");
    }
    for open in ["privacy", "test-call", "live-call"] {
        assert!(!is_done(open), "{open}: {page}");
    }
    assert!(page.contains(&format!("href=\"/apps/{}/settings\"", client.app.id)));
}

#[tokio::test]
async fn the_preview_is_the_consent_page_with_nothing_to_press() {
    let app = TestApp::start().await;
    let change = |app: &mut App| {
        app.requested[0].purpose = "To watch over your money.".to_owned();
        app.approved = "orders.read".parse().unwrap();
    };
    let client = app.add_app("bot", AppKind::Web, change).await;
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let browser = app.signed_in(&dev.unwrap()).await;
    let path = format!("/apps/{}/consent-preview", client.app.id);
    let now = browser.get(&path).await.text();
    assert!(now.contains("See your orders") && !now.contains("See your balances"), "{now}");
    assert!(!now.contains("<form") || !now.contains("name=\"consent\""), "{now}");
    let then = browser.get(&format!("{path}?as=proposed")).await.text();
    assert!(then.contains("To watch over your money.") && then.contains("inert"), "{then}");
}

#[tokio::test]
async fn its_developer_pauses_an_app_and_lets_it_go_on_but_not_what_staff_suspended() {
    let app = TestApp::start().await;
    let (browser, client, tokens) = live_app(&app).await;
    let path = format!("/apps/{}", client.app.id);
    let paused = submit(&browser, &format!("{path}/pause"), &[]).await;
    assert_done(&paused, &format!("{path}?done=app-paused"));
    assert!(!crate::forms::is_accepted(&app, &tokens).await);
    assert!(browser.get(&path).await.text().contains("You paused it"));
    let again = submit(&browser, &format!("{path}/pause"), &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let on = submit(&browser, &format!("{path}/unpause"), &[]).await;
    assert_done(&on, &format!("{path}?done=app-unpaused"));
    assert!(crate::forms::is_accepted(&app, &tokens).await);
    let stands = find_app(&app, client.app.id).await.unwrap();
    let stands = stands.suspend("Phishing".to_owned(), app.provider.now()).unwrap();
    app.save_app(stands.pause(app.provider.now()).unwrap()).await;
    submit(&browser, &format!("{path}/unpause"), &[]).await;
    assert!(!crate::forms::is_accepted(&app, &tokens).await, "staff stopped it");
}

#[tokio::test]
async fn deleting_says_before_what_it_breaks() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let path = format!("/apps/{}/delete", client.app.id);
    let page = browser.get(&path).await.text();
    assert!(page.contains("1 user loses") && page.contains("1 live grant"), "{page}");
    assert!(!page.contains("in the last 7 days"), "it was never called");
    let (id, hour) = (client.app.id, domain::calendar::hour_of(app.provider.now()));
    let calls = domain::request_log::Counts { calls: 1234, ..Default::default() };
    let add =
        async move |tx: &mut store::Tx<'_>| store::app_counts::add(tx, id, hour, calls, None).await;
    app.write(add).await;
    let page = browser.get(&path).await.text();
    assert!(page.contains("1,234 calls in the last 7 days"), "{page}");
    assert_eq!(secrets_of(&app, &client).await[0].mode, Mode::Live);
}
