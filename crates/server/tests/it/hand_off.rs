//! Signing in at another system: what it brings. What is refused is in `refused`, what has to do
//! with second factors in `second_factor`.

mod refused;
mod second_factor;

use std::sync::Arc;
use std::time::Duration;

use domain::audit::AuditKind;
use domain::policy::Policy;
use domain::session::session_id_of;
use domain::sign_in::{SecondFactor, SignInProvider, Way};
use domain::user::User;
use http::StatusCode;
use protocol::hand_off::{REQUEST_TYP, RETURN_TYP};
use protocol::jose::{Algorithm, SharedKey, SigningKey};
use protocol::secret::Secret;
use serde_json::{Value, json};
use store::{Tx, users};
use testkit::identity_provider::{CLIENT_ID, CLIENT_SECRET};
use url::Url;

use crate::harness::{Answer, Browser, CALLBACK, ISSUER, TestApp};
use crate::proofs::{code, enrol_app, give_code};

const LOGIN: &str = "https://login.example";
const DESK: &str = "https://desk.example";

fn desk_key() -> SharedKey {
    SharedKey::new(b"a key of thirty-two letters or more").unwrap()
}

/// An OpenID provider.
fn company() -> SignInProvider {
    SignInProvider {
        name: "company".into(),
        title: "Company login".into(),
        issuer: LOGIN.into(),
        way: Way::OpenId {
            client_id: CLIENT_ID.into(),
            client_secret: Some(Secret::new(CLIENT_SECRET)),
            scopes: "openid email profile".into(),
        },
        creates_accounts: true,
        links_accounts: false,
        verifies_emails: false,
        second_factor: SecondFactor { amr: vec!["mfa".into()], ..SecondFactor::default() },
        sign_out_url: None,
    }
}

/// A login page.
fn desk() -> SignInProvider {
    SignInProvider {
        name: "desk".into(),
        title: "The desk".into(),
        issuer: DESK.into(),
        way: Way::SignedRedirect { url: format!("{DESK}/login?theme=dark"), key: desk_key() },
        sign_out_url: Some(format!("{DESK}/out")),
        ..company()
    }
}

async fn start_with(change: impl FnOnce(&mut SignInProvider)) -> TestApp {
    let mut company = company();
    change(&mut company);
    TestApp::start_with(|policy: &mut Policy| {
        policy.sign_in.providers = vec![Arc::new(company), Arc::new(desk())];
    })
    .await
}

async fn start() -> TestApp {
    start_with(|_| {}).await
}

fn local(url: &Url) -> String {
    let path = url.as_str().strip_prefix(ISSUER);
    path.unwrap_or_else(|| panic!("{url} is not ours")).to_owned()
}

/// Leave for the company's login and come back.
async fn by_company(app: &TestApp, browser: &Browser<'_>) -> Answer {
    let away = browser.get("/sign-in/with/company?continue=%2Fconnected").await;
    let back = app.identity_provider.sign_in(away.location());
    browser.get(&local(&back)).await
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// What the desk was asked.
fn request_at_desk(away: &Answer) -> Value {
    let request = parameter(away.location(), "request").unwrap();
    Value::Object(desk_key().verify(REQUEST_TYP, &request).unwrap())
}

/// What the desk says in return.
fn return_of(app: &TestApp, request: &Value) -> Value {
    let now = app.provider.now().as_seconds();
    json!({
        "iss": DESK, "aud": ISSUER, "jti": request["jti"], "iat": now, "exp": now + 60,
        "sub": "user-7", "email": "eve@example.com", "email_verified": true,
    })
}

fn signed(claims: &Value) -> String {
    format!("/sign-in/return/desk?response={}", desk_key().sign(RETURN_TYP, claims).unwrap())
}

async fn user(app: &TestApp, email: &'static str) -> Option<User> {
    app.write(async move |tx: &mut Tx<'_>| users::find_by_email(tx, email).await).await
}

async fn with_verified_email(app: &TestApp, user: User) -> User {
    let verified = User { email_verified_at: Some(app.provider.now()), ..user };
    let stored = verified.clone();
    assert!(app.write(async move |tx: &mut Tx<'_>| users::save_email(tx, &stored).await).await);
    verified
}

async fn is_signed_in(browser: &Browser<'_>) -> bool {
    browser.get("/connected").await.status == StatusCode::OK
}

/// Nobody is signed in, the page says so, and it is in the audit trail.
#[track_caller]
fn refused(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert!(answer.text().contains(words), "no “{words}” in {}", answer.text());
}

async fn last_refusal(app: &TestApp) -> String {
    let rows = app.write(async |tx: &mut Tx<'_>| store::audit::list(tx, 0, 1000).await).await;
    let of_kind = rows.iter().rfind(|row| row.event.kind == AuditKind::HandOffRefused);
    of_kind.unwrap().event.detail["why"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_openid_provider_signs_a_newcomer_in_who_gets_an_account() {
    let app = start().await;
    let browser = app.browser();
    let page = browser.get("/sign-in").await.text();
    assert!(page.contains("Continue with Company login"), "{page}");
    let answer = by_company(&app, &browser).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/connected"));
    assert!(is_signed_in(&browser).await);
    let ada = user(&app, "ada@example.com").await.unwrap();
    assert_eq!((ada.name.as_str(), ada.locale.as_deref()), ("Ada Lovelace", Some("en-GB")));
    assert!(ada.password.is_none() && ada.roles.is_empty() && ada.email_verified_at.is_some());
    let kinds = [AuditKind::UserCreated, AuditKind::IdentityLinked, AuditKind::SignedIn];
    assert_eq!(app.audited().await, kinds);
    // The same person comes back, under another address.
    app.identity_provider.state().user["email"] = json!("lovelace@example.com");
    let again = app.browser();
    assert_eq!(by_company(&app, &again).await.status, StatusCode::SEE_OTHER);
    assert!(again.get("/connected").await.text().contains("ada@example.com"));
    assert!(user(&app, "lovelace@example.com").await.is_none());
}

#[tokio::test]
async fn claims_that_only_userinfo_tells_are_asked_for() {
    let app = start().await;
    app.identity_provider.state().user = json!({ "sub": "user-1" });
    let told = json!({ "sub": "user-1", "email": "ada@example.com", "email_verified": true });
    app.identity_provider.state().user_info = Some(told);
    assert_eq!(by_company(&app, &app.browser()).await.status, StatusCode::SEE_OTHER);
    let mut other = json!({ "sub": "user-2", "email": "bob@example.com", "email_verified": true });
    app.identity_provider.state().user_info = Some(other.take());
    refused(&by_company(&app, &app.browser()).await, 400, "could not make sure");
}

#[tokio::test]
async fn a_login_page_signs_a_newcomer_in_through_a_signed_return() {
    let app = start().await;
    let browser = app.browser();
    let away = browser.get("/sign-in/with/desk?continue=%2Fconnected").await;
    assert!(away.location().starts_with("https://desk.example/login?theme=dark&request="));
    let request = request_at_desk(&away);
    assert_eq!((&request["iss"], &request["aud"]), (&json!(ISSUER), &json!(DESK)));
    assert_eq!(request["return_url"], json!(format!("{ISSUER}/sign-in/return/desk")));
    let answer = browser.get(&signed(&return_of(&app, &request))).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/connected"));
    assert!(is_signed_in(&browser).await);
    assert_eq!(user(&app, "eve@example.com").await.unwrap().name, "eve");
}

#[tokio::test]
async fn s1_coming_back_always_makes_a_new_session_and_ends_the_one_before() {
    let app = start().await;
    let mallory = app.add_user("mallory", &[]).await;
    let browser = app.signed_in(&mallory).await;
    let session = &app.provider.cookies.session;
    let before = browser.cookie(session).unwrap();
    assert_eq!(by_company(&app, &browser).await.status, StatusCode::SEE_OTHER);
    assert_ne!(browser.cookie(session).unwrap(), before);
    let old = app.browser();
    old.set_cookie(session, &before);
    assert!(!is_signed_in(&old).await);
    assert!(browser.get("/connected").await.text().contains("ada@example.com"));
}

#[tokio::test]
async fn a_user_who_says_no_there_is_told_so_and_can_try_again() {
    let app = start().await;
    let browser = app.browser();
    app.identity_provider.state().refuses = Some("access_denied".into());
    let answer = by_company(&app, &browser).await;
    refused(&answer, 403, "did not sign you in");
    assert!(answer.text().contains("/sign-in/with/company?continue=%2Fconnected"));
    let request = request_at_desk(&browser.get("/sign-in/with/desk").await);
    let mut claims = return_of(&app, &request);
    claims["error"] = json!("access_denied");
    refused(&browser.get(&signed(&claims)).await, 403, "did not sign you in");
    assert_eq!(last_refusal(&app).await, "the provider refused: access_denied");
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_to_be_and_left_alone_for_a_moment() {
    let app = start().await;
    app.identity_provider.state().is_down = true;
    for _ in 0..3 {
        let answer = app.browser().get("/sign-in/with/company").await;
        refused(&answer, 503, "cannot be reached");
    }
    assert_eq!(app.identity_provider.state().asked.len(), 1);
    app.identity_provider.state().is_down = false;
    app.clock.advance(Duration::from_secs(6));
    assert_eq!(by_company(&app, &app.browser()).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn where_there_is_one_provider_and_no_password_people_go_straight_there() {
    let app = TestApp::start_with(|policy| {
        policy.sign_in.password = false;
        policy.sign_in.providers = vec![Arc::new(company())];
    })
    .await;
    let browser = app.browser();
    let away = browser.get("/sign-in?continue=%2Fconnected").await;
    assert!(away.location().starts_with("https://login.example/authorize?"), "{away:?}");
    let back = app.identity_provider.sign_in(away.location());
    assert_eq!(browser.get(&local(&back)).await.location(), "/connected");
    // After a form or signing out a page stands between: no form may lead away.
    let page = app.browser().get("/sign-in?continue=%2F&after=form").await;
    assert!(page.text().contains("Continue with Company login"));
    assert!(!page.text().contains("id=\"password\""));
    let stranger = app.browser();
    let csrf = stranger.get("/sign-in?after=form").await;
    assert_eq!(csrf.status, StatusCode::OK);
    for path in ["/forgotten-password", "/reset-password?link=x", "/sign-up"] {
        assert_eq!(stranger.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let refused = app.post("/sign-in", &[], &[("email", "a@b.example"), ("password", "x")]).await;
    assert_ne!(refused.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn s3_an_app_that_wants_a_fresh_sign_in_is_not_content_with_an_old_one() {
    let app = start().await;
    let client = app.add_app("bot", domain::app::AppKind::Web, |_| {}).await;
    let browser = app.browser();
    assert_eq!(by_company(&app, &browser).await.status, StatusCode::SEE_OTHER);
    app.clock.advance(Duration::from_secs(3600));
    let asked = |more: &str| {
        format!(
            "/oauth/authorize?response_type=code&client_id={}&redirect_uri={CALLBACK}\
             &scope=balances.read&state=s&code_challenge={}&code_challenge_method=S256{more}",
            client.app.client_id,
            crate::harness::CHALLENGE,
        )
    };
    let sign_in = browser.get(&asked("&prompt=login&login_hint=ada%40example.com")).await;
    let page = browser.get(sign_in.location()).await.text();
    let link = page.split("href=\"").find(|part| part.starts_with("/sign-in/with/company"));
    let link = link.unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let away = browser.get(&link).await;
    assert_eq!(parameter(away.location(), "prompt").as_deref(), Some("login"));
    assert_eq!(parameter(away.location(), "max_age").as_deref(), Some("0"));
    assert_eq!(parameter(away.location(), "login_hint").as_deref(), Some("ada@example.com"));
    let long_ago = app.provider.now().as_seconds() - 3600;
    let stale: Box<dyn Fn(&mut Value) + Send> =
        Box::new(move |claims| claims["auth_time"] = json!(long_ago));
    app.identity_provider.state().change = Some(stale);
    let back = local(&app.identity_provider.sign_in(away.location()));
    refused(&browser.get(&back).await, 403, "sign in once more");
    app.identity_provider.state().change = None;
    let away = browser.get(&link).await;
    let back = local(&app.identity_provider.sign_in(away.location()));
    let on = browser.get(&back).await;
    assert!(on.location().starts_with("/oauth/authorize/continue?"), "{on:?}");
    assert!(browser.get(on.location()).await.text().contains("id=\"consent\""));
}

#[tokio::test]
async fn signing_out_names_the_system_where_the_user_may_still_be_signed_in() {
    let app = start().await;
    let browser = app.browser();
    let request = request_at_desk(&browser.get("/sign-in/with/desk?continue=%2Fconnected").await);
    browser.get(&signed(&return_of(&app, &request))).await;
    let csrf = browser.get("/connected").await.hidden("csrf");
    let page = browser.post("/sign-out", &[("csrf", &csrf)]).await;
    assert!(page.text().contains("https://desk.example/out"), "{}", page.text());
    assert!(!is_signed_in(&browser).await);
}
