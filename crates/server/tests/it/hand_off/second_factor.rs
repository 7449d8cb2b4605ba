//! Second factors of people who sign in elsewhere.

use store::identities;

use super::*;

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
async fn s8_an_account_with_a_second_factor_is_linked_only_after_it() {
    let app = start_with(|company| company.links_accounts = true).await;
    let ada = app.add_user("ada", &[]).await;
    let ada = with_verified_email(&app, ada).await;
    enrol_app(&app, &app.signed_in(&ada).await).await;
    let linked = async || {
        let list = async move |tx: &mut Tx<'_>| identities::list_issuers_of(tx, ada.id).await;
        app.write(list).await
    };
    let browser = app.browser();
    let asked = by_company(&app, &browser).await;
    assert!(asked.text().contains("One step is left"), "{}", asked.text());
    assert!(linked().await.is_empty(), "whoever stops here is nobody");
    let answer = give_code(&browser, &asked, &code(&app, ada.id).await).await;
    assert_eq!(answer.location(), "/connected");
    assert_eq!(linked().await, [LOGIN]);
    // The session tells who vouched.
    let rows = app.write(async |tx: &mut Tx<'_>| store::audit::list(tx, 0, 1000).await).await;
    let last = rows.iter().rfind(|row| row.event.kind == AuditKind::SignedIn).unwrap();
    assert_eq!(last.event.detail["provider"], "company");
}
