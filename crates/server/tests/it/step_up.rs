//! A second factor for what is about to be done: high-tier scopes, `acr_values`, `max_age`.

use std::time::Duration;

use domain::app::AppKind;
use domain::policy::HighTierRule;
use http::StatusCode;

use crate::forms::{find_app, submit};
use crate::harness::{ISSUER, PASSWORD, TestApp, start};
use crate::my_apps::live_app;
use crate::proofs::{QUARTER, code, enrol_app, enrol_passkey};

async fn always(app: &TestApp) {
    app.change_policy(|policy| policy.high_tier = HighTierRule::Always);
}

#[tokio::test]
async fn a_high_tier_scope_takes_a_second_factor_before_the_consent_page() {
    let (app, alice, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&alice).await;
    let path = client.authorize_path(&[]);
    assert_eq!(browser.get(&path).await.status, StatusCode::OK, "who has none is not asked");
    always(&app).await;
    let low = client.authorize_path(&[("scope", "balances.read orders.read")]);
    assert_eq!(browser.get(&low).await.status, StatusCode::OK, "nothing of high tier");
    let to_step_up = browser.get(&path).await;
    assert!(to_step_up.location().starts_with("/step-up?continue="), "{to_step_up:?}");
    let page = browser.get(to_step_up.location()).await;
    let link = page.text().split("href=\"/security/app?").nth(1).unwrap().to_owned();
    let link = format!("/security/app?{}", link.split('"').next().unwrap().replace("&amp;", "&"));
    let form = browser.get(&link).await;
    let continue_to = form.hidden("continue");
    enrol_app(&app, &browser).await;
    let consent = browser.get(&continue_to).await;
    assert_eq!(consent.status, StatusCode::OK);
    let answer = browser.decide(&consent, "allow", &["orders.create"]).await;
    assert!(answer.redirected("code").is_some(), "{answer:?}");

    // Another day: it is asked for again, and then given with a code.
    app.clock.advance(QUARTER);
    let path = client.authorize_path(&[("prompt", "consent")]);
    let to_step_up = browser.get(&path).await;
    let page = browser.get(to_step_up.location()).await;
    let (csrf, to) = (page.hidden("csrf"), page.hidden("continue"));
    let code = code(&app, alice.id).await;
    let fields = [("csrf", &*csrf), ("code", &*code), ("continue", &*to)];
    let back = browser.post("/step-up", &fields).await;
    assert_eq!(browser.get(back.location()).await.status, StatusCode::OK, "the consent page");
}

#[tokio::test]
async fn s5_the_consent_page_of_a_high_tier_scope_cannot_be_reached_around_the_second_factor() {
    let (app, alice, client) = start(AppKind::Web).await;
    always(&app).await;
    let browser = app.signed_in(&alice).await;
    let to_step_up = browser.get(&client.authorize_path(&[])).await;
    // Just going on leads back.
    let on = to_step_up.redirected("continue").unwrap();
    assert!(browser.get(&on).await.location().starts_with("/step-up?continue="));
    let sealed = on.split("request=").nth(1).unwrap().to_owned();
    let csrf = browser.csrf();
    let fields = [
        ("request", &*sealed),
        ("csrf", &*csrf),
        ("decision", "allow"),
        ("scope", "orders.create"),
    ];
    let forged = browser.post("/oauth/consent", &fields).await;
    assert_eq!(forged.status, StatusCode::BAD_REQUEST);
    assert!(app.live_grants(&alice, &client.app).await.is_empty());
}

#[tokio::test]
async fn a_user_who_gives_no_second_factor_goes_back_to_the_app_with_the_error_of_rfc_9470() {
    let (app, alice, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&alice).await;
    let path = client.authorize_path(&[("acr_values", "2fa")]);
    let page = browser.get(browser.get(&path).await.location()).await;
    let cancel = page.text().split("id=\"cancel\" href=\"").nth(1).unwrap().to_owned();
    let back = browser.get(&cancel.split('"').next().unwrap().replace("&amp;", "&")).await;
    assert_eq!(back.redirected("error").as_deref(), Some("unmet_authentication_requirements"));
    assert_eq!(back.redirected("state").as_deref(), Some("xyz"));
    assert_eq!(back.redirected("iss").as_deref(), Some(ISSUER));
}

#[tokio::test]
async fn acr_values_are_met_or_refused_and_tokens_say_what_was() {
    let (app, alice, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&alice).await;
    let unknown = browser.get(&client.authorize_path(&[("acr_values", "gold silver")])).await;
    assert_eq!(unknown.redirected("error").as_deref(), Some("unmet_authentication_requirements"));
    let silent = [("acr_values", "2fa"), ("prompt", "none")];
    let silent = browser.get(&client.authorize_path(&silent)).await;
    assert_eq!(silent.redirected("error").as_deref(), Some("interaction_required"));

    enrol_app(&app, &browser).await;
    let two = client.authorize_path(&[("acr_values", "gold 2fa")]);
    let answer = browser.get(&two).await;
    let answer = browser.decide(&answer, "allow", &["orders.create"]).await;
    let code = answer.redirected("code").unwrap();
    client.redeem(&app, &code).await;
    let grant = crate::harness::only_grant(&app, &alice, &client).await;
    assert_eq!(grant.acr.as_deref(), Some("2fa"));
    assert_eq!(grant.amr.as_deref(), Some("pwd otp mfa"));

    // An authenticator app can be phished; a passkey cannot.
    let phr = client.authorize_path(&[("acr_values", "phr")]);
    let to_step_up = browser.get(&phr).await;
    let page = browser.get(to_step_up.location()).await;
    assert!(!page.text().contains("id=\"code\""), "a code is no use");
    assert!(page.text().contains("/security/passkey?continue="), "{}", page.text());
    enrol_passkey(&browser).await;
    let back = to_step_up.redirected("continue").unwrap();
    let answer = browser.get(&back).await;
    assert!(answer.redirected("code").is_some(), "{answer:?}");
}

#[tokio::test]
async fn max_age_asks_for_both_factors_again() {
    let (app, alice, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&alice).await;
    enrol_app(&app, &browser).await;
    app.clock.advance(QUARTER);
    let old = browser.get(&client.authorize_path(&[("max_age", "60")])).await;
    assert!(old.location().starts_with("/sign-in?continue="));
    let form = browser.get(old.location()).await;
    let (csrf, to) = (form.hidden("csrf"), form.hidden("continue"));
    let fields =
        [("email", &*alice.email), ("password", PASSWORD), ("csrf", &*csrf), ("continue", &*to)];
    let page = browser.post("/sign-in", &fields).await;
    let (half_way, csrf) = (page.hidden("half_way"), page.hidden("csrf"));
    let code = code(&app, alice.id).await;
    let fields = [("half_way", &*half_way), ("csrf", &*csrf), ("code", &*code), ("continue", &*to)];
    let on = browser.post("/sign-in/second-factor", &fields).await;
    assert_eq!(browser.get(on.location()).await.status, StatusCode::OK, "the consent page");
}

#[tokio::test]
async fn s5_a_device_and_a_shown_code_take_the_second_factor_too() {
    let (app, alice, client) = start(AppKind::Native).await;
    always(&app).await;
    let asked = [("client_id", "bot"), ("scope", "orders.create")];
    let told = app.post("/oauth/device_authorization", &[], &asked).await.json();
    let browser = app.signed_in(&alice).await;
    let csrf = browser.csrf();
    let code = told["user_code"].as_str().unwrap();
    let page = browser.post("/device", &[("user_code", code), ("csrf", &csrf)]).await;
    let request = page.hidden("request");
    let fields = [("request", &*request), ("csrf", &*csrf), ("decision", "mine")];
    let to_step_up = browser.post("/device/confirm", &fields).await;
    assert!(to_step_up.location().starts_with("/step-up?continue="), "{to_step_up:?}");
    let on = to_step_up.redirected("continue").unwrap();
    assert!(browser.get(&on).await.location().starts_with("/step-up?"), "going on leads back");
    let mallory = app.add_user("mallory", &[]).await;
    let other = app.signed_in(&mallory).await;
    enrol_app(&app, &other).await;
    assert!(other.get(&on).await.location().starts_with("/sign-in?"), "it is Alice's to decide");
    enrol_app(&app, &browser).await;
    let consent = browser.get(&on).await;
    assert_eq!(consent.status, StatusCode::OK, "{consent:?}");
    let done = browser.decide(&consent, "allow", &["orders.create"]).await;
    assert!(done.text().contains("Go back to your device"), "{}", done.text());
    assert!(client.secret.is_none());
}

#[tokio::test]
async fn nobody_deletes_an_app_with_a_session_that_was_left_open() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let path = format!("/apps/{}/delete", client.app.id);
    app.clock.advance(Duration::from_secs(3600));
    for answer in
        [browser.get(&path).await, submit(&browser, &path, &[("confirm", "The bot")]).await]
    {
        assert!(answer.location().starts_with("/sign-in?again=yes&continue="), "{answer:?}");
        assert_eq!(answer.redirected("continue").as_deref(), Some(&*path));
    }
    assert!(find_app(&app, client.app.id).await.is_some());
}
