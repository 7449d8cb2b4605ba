//! Signing in at another system: what it brings, and everything that is refused.

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
use crate::second_factors::{code, enrol_app, give_code};

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
    of_kind.expect("no refusal was audited").event.detail["why"].as_str().unwrap().to_owned()
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
async fn s9_a_return_is_good_once_in_one_browser_for_one_request() {
    let app = start().await;
    let (browser, thief) = (app.browser(), app.browser());
    let request = request_at_desk(&browser.get("/sign-in/with/desk").await);
    let back = signed(&return_of(&app, &request));
    let kept = browser.cookie(&app.provider.cookies.hand_off).unwrap();
    refused(&thief.get(&back).await, 400, "another window");
    assert_eq!(
        last_refusal(&app).await,
        "the answer is for another request, or came in another browser"
    );
    // The thief is on the way too: still not this request.
    thief.get("/sign-in/with/desk").await;
    refused(&thief.get(&back).await, 400, "another window");
    assert!(!is_signed_in(&thief).await);
    // For its own browser it is still good.
    assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER);
    browser.set_cookie(&app.provider.cookies.hand_off, &kept);
    refused(&browser.get(&back).await, 400, "another window");
    assert_eq!(last_refusal(&app).await, "the answer was used before");
}

#[tokio::test]
async fn s9_an_openid_answer_is_good_once_in_one_browser_for_one_request() {
    let app = start().await;
    let (browser, thief) = (app.browser(), app.browser());
    let away = browser.get("/sign-in/with/company").await;
    let back = local(&app.identity_provider.sign_in(away.location()));
    thief.get("/sign-in/with/company").await;
    refused(&thief.get(&back).await, 400, "another window");
    let kept = browser.cookie(&app.provider.cookies.hand_off).unwrap();
    assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER);
    browser.set_cookie(&app.provider.cookies.hand_off, &kept);
    refused(&browser.get(&back).await, 400, "another window");
    assert_eq!(last_refusal(&app).await, "the answer was used before");
    let traded =
        app.identity_provider.state().asked.iter().filter(|path| *path == "/token").count();
    assert_eq!(traded, 1, "nothing but the first answer was traded");
}

#[tokio::test]
async fn s9_of_twelve_parallel_returns_one_signs_in() {
    let app = start().await;
    let browser = app.browser();
    let request = request_at_desk(&browser.get("/sign-in/with/desk").await);
    let back = signed(&return_of(&app, &request));
    let kept = browser.cookie(&app.provider.cookies.hand_off).unwrap();
    let browsers: Vec<_> = (0..12).map(|_| app.browser()).collect();
    let returns = browsers.iter().map(|browser| {
        browser.set_cookie(&app.provider.cookies.hand_off, &kept);
        browser.get(&back)
    });
    let answers = futures_util::future::join_all(returns).await;
    let taken = answers.iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn s9_a_return_that_is_late_or_for_somebody_else_is_refused() {
    let app = start().await;
    let browser = app.browser();
    let cases: [(&str, fn(i64) -> Value); 5] = [
        ("exp", |now| json!(now)),
        ("exp", |now| json!(now + 301)),
        ("iat", |now| json!(now + 60)),
        ("aud", |_| json!("https://other.example")),
        ("iss", |_| json!("https://evil.example")),
    ];
    for (name, value) in cases {
        let request = request_at_desk(&browser.get("/sign-in/with/desk").await);
        let mut claims = return_of(&app, &request);
        claims[name] = value(app.provider.now().as_seconds());
        refused(&browser.get(&signed(&claims)).await, 400, "could not make sure");
        assert!(last_refusal(&app).await.starts_with("the answer is not good"));
    }
    // Who takes longer than a quarter of an hour begins again.
    let request = request_at_desk(&browser.get("/sign-in/with/desk").await);
    app.clock.advance(Duration::from_secs(15 * 60));
    refused(&browser.get(&signed(&return_of(&app, &request))).await, 400, "another window");
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn t4_a_return_under_another_key_or_none_is_refused() {
    let app = start().await;
    let browser = app.browser();
    let request = request_at_desk(&browser.get("/sign-in/with/desk").await);
    let claims = return_of(&app, &request);
    let right = desk_key().sign(RETURN_TYP, &claims).unwrap();
    let (_, rest) = right.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiY29uc2VudHJ5LXNpZ24taW4tcmV0dXJuK2p3dCJ9";
    let other = SharedKey::new(&[9; 32]).unwrap().sign(RETURN_TYP, &claims).unwrap();
    let reflected = desk_key().sign(REQUEST_TYP, &claims).unwrap();
    for token in [format!("{none}.{payload}."), other, reflected, String::new()] {
        let back = format!("/sign-in/return/desk?response={token}");
        refused(&browser.get(&back).await, 400, "could not make sure");
        browser.get("/sign-in/with/desk").await;
    }
    assert!(!is_signed_in(&browser).await);
    assert!(user(&app, "eve@example.com").await.is_none());
}

#[tokio::test]
async fn t4_an_id_token_with_a_wrong_claim_or_signature_is_refused() {
    let app = start().await;
    let changes: [fn(&mut Value); 6] = [
        |claims| claims["aud"] = json!("somebody-else"),
        |claims| claims["aud"] = json!([CLIENT_ID, "somebody-else"]),
        |claims| claims["azp"] = json!("somebody-else"),
        |claims| claims["iss"] = json!("https://evil.example"),
        |claims| claims["nonce"] = json!("of another request"),
        |claims| claims["exp"] = json!(1),
    ];
    for change in changes {
        app.identity_provider.state().change = Some(Box::new(change));
        refused(&by_company(&app, &app.browser()).await, 400, "could not make sure");
    }
    app.identity_provider.state().change = None;
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let forged = stranger.sign("JWT", &json!({ "sub": "user-1" })).unwrap();
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyLTEifQ.".to_owned();
    for token in [forged, none] {
        app.identity_provider.state().id_token = Some(token);
        refused(&by_company(&app, &app.browser()).await, 400, "could not make sure");
    }
    assert!(user(&app, "ada@example.com").await.is_none());
    let refusals = app.audited().await;
    assert_eq!(refusals, [AuditKind::HandOffRefused; 8]);
}

#[tokio::test]
async fn m1_an_answer_of_another_provider_is_refused() {
    let app = start().await;
    let browser = app.browser();
    for iss in [None, Some("https://evil.example".to_owned())] {
        app.identity_provider.state().iss = iss;
        refused(&by_company(&app, &browser).await, 400, "could not make sure");
    }
    // What began with one provider does not end at the address of another.
    app.identity_provider.state().iss = Some(LOGIN.to_owned());
    let away = browser.get("/sign-in/with/company").await;
    let back = local(&app.identity_provider.sign_in(away.location()));
    refused(&browser.get(&back.replace("/company?", "/desk?")).await, 400, "another window");
    assert!(!app.identity_provider.state().asked.contains(&"/token".to_owned()));
}

#[tokio::test]
async fn s8_an_unverified_address_takes_over_no_account_and_prepares_none() {
    let app = start_with(|company| company.links_accounts = true).await;
    let ada = app.add_user("ada", &[]).await;
    app.identity_provider.state().user["email_verified"] = json!(false);
    let browser = app.browser();
    refused(&by_company(&app, &browser).await, 403, "not checked your e-mail address");
    // Verified there and not here: whoever made this account may not be who comes now.
    app.identity_provider.state().user["email_verified"] = json!(true);
    refused(&by_company(&app, &browser).await, 403, "There is an account with this e-mail");
    assert!(!is_signed_in(&browser).await);
    // Verified on both sides.
    let verified = with_verified_email(&app, ada).await;
    assert_eq!(by_company(&app, &browser).await.status, StatusCode::SEE_OTHER);
    assert!(is_signed_in(&browser).await);
    assert_eq!(user(&app, "ada@example.com").await.unwrap().id, verified.id);
    // A stranger with an unverified address does not even get an account of their own.
    let stranger =
        json!({ "sub": "user-2", "email": "victim@example.com", "email_verified": false });
    app.identity_provider.state().user = stranger;
    refused(&by_company(&app, &app.browser()).await, 403, "not checked your e-mail address");
    assert!(user(&app, "victim@example.com").await.is_none());
}

#[tokio::test]
async fn s8_an_account_is_not_linked_unless_the_config_says_so() {
    let app = start().await;
    let ada = app.add_user("ada", &[]).await;
    with_verified_email(&app, ada).await;
    refused(&by_company(&app, &app.browser()).await, 403, "There is an account with this e-mail");
    assert_eq!(
        last_refusal(&app).await,
        "the e-mail address belongs to an account that is not linked"
    );
}

#[tokio::test]
async fn t8_a_blocked_user_stays_blocked_at_every_provider() {
    let app = start().await;
    assert_eq!(by_company(&app, &app.browser()).await.status, StatusCode::SEE_OTHER);
    let ada = user(&app, "ada@example.com").await.unwrap();
    app.save_user(ada.block("abuse".into(), app.provider.now())).await;
    let browser = app.browser();
    refused(&by_company(&app, &browser).await, 403, "This account is blocked");
    assert!(!is_signed_in(&browser).await);
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
async fn f1_a_new_key_is_found_and_unknown_keys_do_not_make_us_ask_again_and_again() {
    let app = start().await;
    assert_eq!(by_company(&app, &app.browser()).await.status, StatusCode::SEE_OTHER);
    let looked = |app: &TestApp| {
        app.identity_provider.state().asked.iter().filter(|path| *path == "/jwks").count()
    };
    assert_eq!(looked(&app), 1);
    app.clock.advance(Duration::from_secs(61));
    app.identity_provider.state().key = SigningKey::generate(Algorithm::Rs256).unwrap();
    assert_eq!(by_company(&app, &app.browser()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(looked(&app), 2);
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let forged = stranger.sign("JWT", &json!({ "sub": "user-1" })).unwrap();
    app.identity_provider.state().id_token = Some(forged);
    for _ in 0..5 {
        refused(&by_company(&app, &app.browser()).await, 400, "could not make sure");
    }
    assert_eq!(looked(&app), 2);
}

#[tokio::test]
async fn x2_returns_from_one_address_are_limited() {
    let app = start().await;
    let browser = app.browser();
    let mut statuses = Vec::new();
    for _ in 0..31 {
        statuses.push(browser.get("/sign-in/return/desk?response=x").await.status.as_u16());
    }
    assert!(statuses[..30].iter().all(|status| *status == 400), "{statuses:?}");
    assert_eq!(statuses[30], 429);
    assert_eq!(app.audited().await.len(), 30, "what is not looked at leaves no row");
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

/// Whether the session of the browser has seen a second factor.
async fn has_second_factor(app: &TestApp, browser: &Browser<'_>) -> bool {
    let secret = browser.cookie(&app.provider.cookies.session).unwrap();
    let id = session_id_of(secret.as_bytes());
    let find = async move |tx: &mut Tx<'_>| store::sessions::find(tx, id).await;
    app.write(find).await.unwrap().second_factor_at.is_some()
}

/// Leave the page that asks for a second factor, and come back.
async fn step_up(app: &TestApp, browser: &Browser<'_>) -> (String, Answer) {
    let page = browser.get("/step-up?continue=%2Fsecurity").await;
    let link = page
        .text()
        .split("href=\"")
        .find(|part| part.starts_with("/sign-in/with/"))
        .unwrap()
        .to_owned();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let away = browser.get(&link).await.location().to_owned();
    let back = local(&app.identity_provider.sign_in(&away));
    (away, browser.get(&back).await)
}

async fn start_with_step_up() -> TestApp {
    start_with(|company| {
        let amr = vec!["mfa".to_owned()];
        company.second_factor = SecondFactor { acr: vec!["gold".into()], amr, on_request: true };
    })
    .await
}

#[tokio::test]
async fn a_second_factor_that_the_provider_has_seen_counts_here() {
    let app = start().await;
    let (plain, strong) = (app.browser(), app.browser());
    assert_eq!(by_company(&app, &plain).await.status, StatusCode::SEE_OTHER);
    assert!(!has_second_factor(&app, &plain).await);
    app.identity_provider.state().user["amr"] = json!(["pwd", "mfa"]);
    assert_eq!(by_company(&app, &strong).await.status, StatusCode::SEE_OTHER);
    assert!(has_second_factor(&app, &strong).await);
}

#[tokio::test]
async fn a_provider_that_can_is_asked_for_the_second_factor_and_the_session_stays() {
    let app = start_with_step_up().await;
    let browser = app.browser();
    assert_eq!(by_company(&app, &browser).await.status, StatusCode::SEE_OTHER);
    let session = browser.cookie(&app.provider.cookies.session);
    // It asked, and did not get one.
    let (_, answer) = step_up(&app, &browser).await;
    refused(&answer, 403, "did not ask you for a second factor");
    assert!(!has_second_factor(&app, &browser).await);
    app.identity_provider.state().user["acr"] = json!("gold");
    let (away, answer) = step_up(&app, &browser).await;
    for (name, value) in [("acr_values", "gold"), ("prompt", "login"), ("max_age", "0")] {
        assert_eq!(parameter(&away, name).as_deref(), Some(value));
    }
    assert_eq!(answer.location(), "/security");
    assert!(has_second_factor(&app, &browser).await);
    assert_eq!(browser.cookie(&app.provider.cookies.session), session);
    assert_eq!(app.audited().await.last(), Some(&AuditKind::SteppedUp));
}

#[tokio::test]
async fn s9_the_second_factor_of_another_user_or_for_another_session_is_refused() {
    let app = start_with_step_up().await;
    let browser = app.browser();
    assert_eq!(by_company(&app, &browser).await.status, StatusCode::SEE_OTHER);
    app.identity_provider.state().user["acr"] = json!("gold");
    let ada = app.identity_provider.state().user.clone();
    app.identity_provider.state().user["sub"] = json!("user-2");
    let (_, answer) = step_up(&app, &browser).await;
    refused(&answer, 403, "somebody else is signed in");
    app.identity_provider.state().user = ada;
    let away = browser.get("/sign-in/with/company?continue=%2F&second_factor=yes").await;
    let back = local(&app.identity_provider.sign_in(away.location()));
    let (session, other) = (&app.provider.cookies.session, app.browser());
    assert_eq!(by_company(&app, &other).await.status, StatusCode::SEE_OTHER);
    browser.set_cookie(session, &other.cookie(session).unwrap());
    refused(&browser.get(&back).await, 400, "another window");
}

#[tokio::test]
async fn s2_a_second_factor_that_is_kept_here_is_asked_whoever_vouches() {
    let app = start().await;
    let first = app.browser();
    assert_eq!(by_company(&app, &first).await.status, StatusCode::SEE_OTHER);
    let ada = user(&app, "ada@example.com").await.unwrap();
    enrol_app(&app, &first).await;
    let browser = app.browser();
    let answer = by_company(&app, &browser).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text().contains("One step is left"), "{}", answer.text());
    assert!(!is_signed_in(&browser).await);
    let answer = give_code(&browser, &answer, &code(&app, ada.id).await).await;
    assert_eq!(answer.location(), "/connected");
    assert!(has_second_factor(&app, &browser).await);
    // Unless the provider has seen one itself.
    let browser = app.browser();
    app.identity_provider.state().user["amr"] = json!(["mfa"]);
    assert_eq!(by_company(&app, &browser).await.status, StatusCode::SEE_OTHER);
    assert!(is_signed_in(&browser).await);
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
