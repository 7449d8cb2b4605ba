//! How a partner key ends, and who sees it until then.

use std::time::Duration;

use axum::body::Body;
use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::consent::Consent;
use domain::grant::Mode;
use domain::partner_key::UNUSED_MAX;
use http::{Method, Request, StatusCode};
use protocol::scope::ScopeSet;
use serde_json::json;
use store::{Tx, consents, partner_keys};
use tower::ServiceExt as _;

use crate::harness::{Browser, PASSWORD};
use crate::partner_keys::{World, refusal, world};

#[tokio::test]
async fn a_key_that_is_not_used_for_fourteen_days_is_disabled() {
    let world = world().await;
    let (key, _) = world.key().await;
    let store = &world.app.provider.store;
    world.app.clock.advance(Duration::from_secs(3 * 24 * 3600));
    let (id, used_at) = (key.id, world.app.provider.now());
    let note = async move |tx: &mut Tx<'_>| partner_keys::note_use(tx, id, used_at).await;
    world.app.write(note).await;
    world.app.clock.advance(UNUSED_MAX - Duration::from_millis(1));
    store.disable_unused_keys().await.unwrap();
    assert!(world.stored().await.unwrap().is_active());
    world.app.clock.advance(Duration::from_millis(1));
    store.disable_unused_keys().await.unwrap();
    let disabled = world.stored().await.unwrap();
    assert!(!disabled.is_active());
    assert_eq!(disabled.secret.as_stored(), "", "nobody can sign with it any more");
    let messages = world.messages().await;
    assert!(messages.last().unwrap().contains(r#""why":"unused""#), "{messages:?}");
    // Its permissions are still told; its secret and its end are the user's business.
    let browser = world.app.signed_in(&world.alice).await;
    let read = world.client.authorize_path(&[("scope", "apikeys.read apikeys.delete")]);
    let code = browser.get(&read).await.redirected("code").unwrap();
    let tokens = world.client.redeem(&world.app, &code).await.json();
    let token = tokens["access_token"].as_str().unwrap();
    let info = world.info(token).await;
    assert_eq!((&info["exists"], &info["is_enabled"]), (&json!(true), &json!(false)));
    assert_eq!(info["permissions"][0]["urls"][0]["enable"], json!(true));
    let id = info["external_id"].as_str().unwrap();
    let secret = world.call(Method::GET, &format!("{id}/secret"), token).await;
    assert_eq!(refusal(&secret), (404, "not_found".to_owned()));
    let deleted = world.call(Method::DELETE, id, token).await;
    assert_eq!(refusal(&deleted), (404, "not_found".to_owned()));
}

/// The page of the app among the user's connected apps.
async fn connected(world: &World, browser: &Browser<'_>) -> (String, String) {
    let list = browser.get("/connected").await.text();
    let (_, rest) = list.split_once("href=\"/connected/").unwrap();
    let path = format!("/connected/{}", rest.split('"').next().unwrap());
    let page = browser.get(&path).await.text();
    assert!(page.contains(&world.client.app.name));
    (path, page)
}

#[tokio::test]
async fn the_user_sees_the_key_and_removes_it_also_a_disabled_one() {
    let world = world().await;
    for is_disabled in [false, true] {
        let (key, _) = world.key().await;
        if is_disabled {
            world.app.clock.advance(UNUSED_MAX);
            world.app.provider.store.disable_unused_keys().await.unwrap();
        }
        let browser = world.app.signed_in(&world.alice).await;
        let list = browser.get("/connected").await.text();
        let badge = if is_disabled { "Its key is disabled" } else { "Has a key" };
        assert!(list.contains(badge), "{list}");
        let (path, page) = connected(&world, &browser).await;
        assert!(page.contains(&key.public) && page.contains("/api/orders/new"), "{page}");
        assert_eq!(page.contains("key-disabled"), is_disabled);
        let csrf = browser.csrf();
        let answer = browser.post(&format!("{path}/key/remove"), &[("csrf", &csrf)]).await;
        assert_eq!(answer.location(), format!("{path}?done=key-removed"));
        assert_eq!(world.stored().await, None);
        let (_, page) = connected(&world, &browser).await;
        assert!(page.contains("You removed its key.") && !page.contains("remove-key"), "{page}");
        let again = browser.post(&format!("{path}/key/remove"), &[("csrf", &csrf)]).await;
        assert_eq!(again.status, StatusCode::NOT_FOUND);
    }
    let told = world.messages().await.join("");
    assert!(!told.contains(r#""why":"user""#), "nobody is told what they did: {told}");
}

#[tokio::test]
async fn a_key_ends_with_the_access_of_its_app() {
    let world = world().await;
    let (_, _) = world.key().await;
    let browser = world.app.signed_in(&world.alice).await;
    let (path, _) = connected(&world, &browser).await;
    let csrf = browser.csrf();
    let fields = [("csrf", &*csrf), ("scope", "apikeys.create")];
    browser.post(&format!("{path}/scopes/remove"), &fields).await;
    assert_eq!(world.stored().await, None, "the permission by which it got the key");
    world.key().await;
    let browser = world.app.signed_in(&world.alice).await;
    let csrf = browser.csrf();
    browser.post(&format!("{path}/revoke"), &[("csrf", &csrf)]).await;
    assert_eq!(world.stored().await, None);
}

#[tokio::test]
async fn keys_end_when_the_password_changes_and_the_user_is_told() {
    let world = world().await;
    world.key().await;
    let browser = world.app.signed_in(&world.alice).await;
    let csrf = browser.csrf();
    let fields =
        [("csrf", &*csrf), ("current_password", PASSWORD), ("new_password", "another good one")];
    let answer = browser.post("/account/password", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    assert_eq!(world.stored().await, None);
    let messages = world.messages().await;
    assert!(messages.iter().any(|one| one.contains(r#""why":"password""#)), "{messages:?}");
    assert!(world.app.audited().await.contains(&AuditKind::PartnerKeyEnded));
}

#[tokio::test]
async fn keys_end_when_the_account_is_blocked_and_do_not_come_back_with_it() {
    let world = world().await;
    world.key().await;
    for done in ["block", "unblock"] {
        let body = json!({ "reason": "stolen phone" }).to_string();
        let request = Request::post(format!("/admin/v1/users/alice@example.com/{done}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let control = crate::admin::at_socket(&world.app);
        assert_eq!(control.oneshot(request).await.unwrap().status(), StatusCode::OK);
        assert_eq!(world.stored().await, None, "{done}");
    }
    let messages = world.messages().await;
    assert!(messages.last().unwrap().contains(r#""why":"blocked""#), "{messages:?}");
}

#[tokio::test]
async fn keys_end_with_their_app_and_their_users_are_told() {
    let world = world().await;
    world.key().await;
    let find = async |tx: &mut Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
    let dev = world.app.write(find).await.unwrap();
    let browser = world.app.signed_in(&dev).await;
    let (csrf, app) = (browser.csrf(), &world.client.app);
    let fields = [("csrf", &*csrf), ("confirm", &*app.name)];
    browser.post(&format!("/apps/{}/delete", app.id), &fields).await;
    assert_eq!(world.stored().await, None);
    let messages = world.messages().await;
    let last = messages.last().unwrap();
    assert!(last.contains("partner_key_ended") && last.contains(&app.name), "{messages:?}");
}

#[tokio::test]
async fn the_developer_sees_the_keys_of_the_app() {
    let world = world().await;
    let find = async |tx: &mut Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
    let dev = world.app.write(find).await.unwrap();
    let browser = world.app.signed_in(&dev).await;
    let path = format!("/apps/{}/credentials", world.client.app.id);
    assert!(browser.get(&path).await.text().contains("No user has let the app have a key."));
    let (key, _) = world.key().await;
    let page = browser.get(&path).await.text();
    assert!(page.contains(&key.public) && page.contains("Secret not retrieved"), "{page}");
    assert!(!page.contains(&world.alice.email), "whose it is, the app knows from its tokens");
    let plain = world.app.add_app("plain", AppKind::Web, |_| {}).await;
    let page = browser.get(&format!("/apps/{}/credentials", plain.app.id)).await.text();
    assert!(!page.contains("Partner keys"), "it may not ask for any");
}

#[tokio::test]
async fn whatever_becomes_of_tests_the_key_of_the_real_app_stays() {
    let world = world().await;
    world.key().await;
    let (app, now) = (&world.app, world.app.provider.now());
    let scopes: ScopeSet = "apikeys.create balances.read".parse().unwrap();
    let ids = (world.client.app.id, world.alice.id);
    let given = Consent::give(&*app.entropy, ids.0, ids.1, scopes.clone(), scopes, now);
    let tests = Consent { mode: Mode::Test, ..given };
    let path = format!("/connected/{}", tests.id);
    app.write(async move |tx: &mut Tx<'_>| consents::save(tx, &tests).await).await;
    let browser = app.signed_in(&world.alice).await;
    assert!(browser.get(&path).await.text().contains("Test mode"));
    let csrf = browser.csrf();
    let removed = browser.post(&format!("{path}/key/remove"), &[("csrf", &csrf)]).await;
    assert_eq!(removed.status, StatusCode::NOT_FOUND);
    let fields = [("csrf", &*csrf), ("scope", "apikeys.create")];
    browser.post(&format!("{path}/scopes/remove"), &fields).await;
    browser.post(&format!("{path}/revoke"), &[("csrf", &csrf)]).await;
    assert!(world.stored().await.is_some_and(|key| key.is_active()));
}
