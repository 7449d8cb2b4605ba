//! Test credentials: they work before approval, for people who may change the app, and nothing of
//! theirs passes for the real thing.

use domain::app::{App, AppKind, AppStatus, ClientSecret, SecretProof};
use domain::grant::Mode;
use domain::id::CredentialId;
use domain::user::User;
use http::StatusCode;
use store::Tx;

use crate::forms::{find_app, is_accepted, live_scope};
use crate::harness::{Client, TestApp, Tokens, only_grant};

const TEST_SECRET: &str = "a-secret-for-tests-of-forty-characters--";

/// The same app as its developer tries it.
pub async fn in_tests(app: &TestApp, client: &Client) -> Client {
    let secret = client.secret.as_ref().map(|_| TEST_SECRET.to_owned());
    if let Some(text) = &secret {
        let row = ClientSecret {
            id: CredentialId::random(&*app.entropy),
            app_id: client.app.id,
            mode: Mode::Test,
            name: "Laptop".to_owned(),
            proof: SecretProof::Mac(app.provider.keyring().secret_mac(text.as_bytes())),
            hint: "ters".to_owned(),
            created_at: app.provider.now(),
            last_used_at: None,
            expires_at: None,
        };
        app.write(async move |tx: &mut Tx<'_>| store::client_secrets::insert(tx, &row).await).await;
    }
    Client { app: client.app.clone().in_test_mode(), secret }
}

pub async fn owner(app: &TestApp) -> User {
    let find = async |tx: &mut Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
    app.write(find).await.unwrap()
}

fn in_review(app: &mut App) {
    app.status = AppStatus::InReview;
    app.approved = Default::default();
}

#[tokio::test]
async fn an_app_that_waits_for_review_is_tried_by_its_developer_with_all_that_it_asks_for() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, in_review).await;
    let (tests, dev) = (in_tests(&app, &client).await, owner(&app).await);
    let browser = app.signed_in(&dev).await;
    assert_eq!(browser.get(&client.authorize_path(&[])).await.status, StatusCode::BAD_REQUEST);
    let page = browser.get(&tests.authorize_path(&[])).await;
    assert!(page.text().contains("Test mode"), "{}", page.text());
    let answer = browser.decide(&page, "allow", &["orders.read"]).await;
    let tokens = Tokens::of(&tests.redeem(&app, &answer.redirected("code").unwrap()).await);
    let scope = live_scope(&app, &tests, &tokens).await;
    assert_eq!(scope.as_deref(), Some("balances.read orders.read"));
    let said = tests.post(&app, "/oauth/introspect", &[("token", &tokens.access)]).await.json();
    assert_eq!(
        (said["mode"].as_str(), said["client_id"].as_str()),
        (Some("test"), Some(&*tests.app.client_id))
    );
    let tokens = Tokens::of(&tests.refresh(&app, &tokens.refresh, &[]).await);
    assert_eq!(only_grant(&app, &dev, &client).await.mode, Mode::Test);
    // An API that has no place for tests does not take its tokens for others.
    assert!(!is_accepted(&app, &tokens).await);
    assert!(browser.get("/connected").await.text().contains("Test mode"));
}

#[tokio::test]
async fn only_people_who_may_change_an_app_consent_to_its_tests() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let tests = in_tests(&app, &client).await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let refused = browser.get(&tests.authorize_path(&[])).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().contains("is being tested"), "{}", refused.text());
    // Not with a page that somebody else got, either.
    let page = app.signed_in(&owner(&app).await).await.get(&tests.authorize_path(&[])).await;
    assert_ne!(browser.decide(&page, "allow", &[]).await.status, StatusCode::SEE_OTHER);
    assert!(app.live_grants(&alice, &client.app).await.is_empty());
}

#[tokio::test]
async fn g10_nothing_of_tests_passes_for_the_real_thing_nor_the_reverse() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let (tests, dev) = (in_tests(&app, &client).await, owner(&app).await);
    let service = [("grant_type", "client_credentials")];
    for (id, secret) in [(&tests, &client), (&client, &tests)] {
        let mixed = Client { secret: secret.secret.clone(), ..id.clone() };
        let answer = mixed.post(&app, "/oauth/token", &service).await;
        assert_eq!(answer.error(), "invalid_client");
    }
    for (one, other) in [(&tests, &client), (&client, &tests)] {
        let code = app.signed_in(&dev).await.authorize(one).await;
        assert_eq!(other.redeem(&app, &code).await.error(), "invalid_grant");
        let tokens = Tokens::of(&one.redeem(&app, &code).await);
        assert_eq!(other.refresh(&app, &tokens.refresh, &[]).await.error(), "invalid_grant");
        assert_eq!(live_scope(&app, other, &tokens).await, None);
        other.post(&app, "/oauth/revoke", &[("token", &tokens.refresh)]).await;
        assert!(live_scope(&app, one, &tokens).await.is_some());
        one.post(&app, "/oauth/revoke", &[("token", &tokens.refresh)]).await;
        assert_eq!(live_scope(&app, one, &tokens).await, None);
    }
}

#[tokio::test]
async fn a_consent_to_tests_is_not_remembered_for_the_real_thing() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let (tests, dev) = (in_tests(&app, &client).await, owner(&app).await);
    let browser = app.signed_in(&dev).await;
    browser.authorize(&tests).await;
    assert_eq!(browser.get(&tests.authorize_path(&[])).await.status, StatusCode::SEE_OTHER);
    let page = browser.get(&client.authorize_path(&[])).await;
    assert_eq!(page.status, StatusCode::OK, "asked anew");
    assert!(!page.text().contains("Test mode"));
}

#[tokio::test]
async fn a_service_in_tests_has_a_grant_of_its_own() {
    let app = TestApp::start().await;
    let client = app.add_app("robot", AppKind::Service, |_| {}).await;
    let tests = in_tests(&app, &client).await;
    let service = [("grant_type", "client_credentials")];
    let live = Tokens::of(&client.post(&app, "/oauth/token", &service).await);
    let test = Tokens::of(&tests.post(&app, "/oauth/token", &service).await);
    let said = tests.post(&app, "/oauth/introspect", &[("token", &test.access)]).await.json();
    assert_eq!(
        (said["mode"].as_str(), said["sub"].as_str()),
        (Some("test"), Some(&*tests.app.client_id))
    );
    assert!(live_scope(&app, &client, &live).await.is_some());
    assert_eq!(live_scope(&app, &tests, &live).await, None);
}

#[tokio::test]
async fn what_staff_suspend_is_suspended_in_tests_too_and_at_once() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let (tests, dev) = (in_tests(&app, &client).await, owner(&app).await);
    let tokens = tests.tokens(&app, &dev).await;
    app.save_app(client.app.clone().suspend("Phishing".into(), app.provider.now()).unwrap()).await;
    assert_eq!(tests.refresh(&app, &tokens.refresh, &[]).await.error(), "invalid_client");
    let page = app.signed_in(&dev).await.get(&tests.authorize_path(&[])).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_its_developer_pauses_is_refused_at_once_but_can_still_be_tried() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let (tests, dev) = (in_tests(&app, &client).await, owner(&app).await);
    let (live, test) = (client.tokens(&app, &dev).await, tests.tokens(&app, &dev).await);
    assert!(is_accepted(&app, &live).await);
    let stands = find_app(&app, client.app.id).await.unwrap();
    app.save_app(stands.pause(app.provider.now()).unwrap()).await;
    assert!(!is_accepted(&app, &live).await);
    assert_eq!(client.refresh(&app, &live.refresh, &[]).await.error(), "invalid_client");
    assert!(live_scope(&app, &tests, &test).await.is_some());
    let paused = find_app(&app, client.app.id).await.unwrap();
    app.save_app(paused.unpause().unwrap()).await;
    assert!(is_accepted(&app, &live).await, "nothing was lost");
}

#[tokio::test]
async fn nobody_but_its_developers_is_sent_to_an_address_that_nobody_approved() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, in_review).await;
    let (tests, dev) = (in_tests(&app, &client).await, owner(&app).await);
    let alice = app.add_user("alice", &[]).await;
    let wrong = tests.authorize_path(&[("response_type", "bad")]);
    for stranger in [app.browser(), app.signed_in(&alice).await] {
        assert_eq!(stranger.get(&wrong).await.status, StatusCode::BAD_REQUEST);
    }
    let answer = app.signed_in(&dev).await.get(&wrong).await;
    assert_eq!(answer.redirected("error").as_deref(), Some("unsupported_response_type"));
}
