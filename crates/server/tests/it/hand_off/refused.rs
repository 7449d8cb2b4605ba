//! What comes back from another system and is worth nothing.

use super::*;

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
    let now = app.provider.now().as_seconds();
    let cases = [
        ("exp", json!(now)),
        ("exp", json!(now + 301)),
        ("iat", json!(now + 60)),
        ("aud", json!("https://other.example")),
        ("iss", json!("https://evil.example")),
    ];
    for (name, value) in cases {
        let request = request_at_desk(&browser.get("/sign-in/with/desk").await);
        let mut claims = return_of(&app, &request);
        claims[name] = value;
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
