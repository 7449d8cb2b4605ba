//! Signing in and out.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use domain::audit::AuditKind;
use domain::user::User;
use futures_util::future::join_all;
use http::header::RETRY_AFTER;
use http::{Request, StatusCode};
use store::Tx;

use crate::forms::submit;
use crate::harness::{Answer, Browser, PASSWORD, TestApp, form_request};

async fn sign_in(browser: &Browser<'_>, email: &str, password: &str) -> Answer {
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    browser.post("/sign-in", &[("email", email), ("password", password), ("csrf", &csrf)]).await
}

async fn is_signed_in(browser: &Browser<'_>, user: &User) -> bool {
    browser.get("/").await.text().contains(&user.email)
}

#[tokio::test]
async fn s1_signing_in_makes_a_session_that_nobody_could_have_planted() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let (browser, session) = (app.browser(), &app.provider.cookies.session);
    browser.set_cookie(session, "planted-by-an-attacker");
    assert_eq!(sign_in(&browser, "Alice@Example.com ", PASSWORD).await.location(), "/");
    let first = browser.cookie(session).unwrap();
    assert_ne!(first, "planted-by-an-attacker");
    assert!(is_signed_in(&browser, &alice).await);

    let mallory = app.browser();
    mallory.set_cookie(session, "planted-by-an-attacker");
    assert!(!is_signed_in(&mallory, &alice).await);
    let form = browser.get("/sign-in?continue=/connected").await;
    assert_eq!(form.location(), "/connected", "who is signed in goes on");
}

#[tokio::test]
async fn s1_a_second_sign_in_ends_the_session_before_it() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let (browser, session) = (app.browser(), &app.provider.cookies.session);
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    let fields = [("email", "alice@example.com"), ("password", PASSWORD), ("csrf", &csrf)];
    browser.post("/sign-in", &fields).await;
    let first = browser.cookie(session).unwrap();
    browser.post("/sign-in", &fields).await;
    assert!(is_signed_in(&browser, &alice).await);
    browser.set_cookie(session, &first);
    assert!(!is_signed_in(&browser, &alice).await);
}

#[tokio::test]
async fn x2_a_wrong_password_an_unknown_and_a_blocked_account_look_the_same() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    let blocked = app.add_user("block", &[]).await;
    app.save_user(blocked.block("spam".to_owned(), app.provider.now())).await;
    let tries = [("alice@", "wrong password"), ("nobod@", "wrong password"), ("block@", PASSWORD)];
    let mut pages = Vec::new();
    for (who, password) in tries {
        let email = format!("{who}example.com");
        let browser = app.browser();
        let answer = sign_in(&browser, &email, password).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(browser.cookie(&app.provider.cookies.session), None);
        pages.push(answer.text_for_anybody().replace(&email, ""));
    }
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0], pages[2]);
}

#[tokio::test]
async fn x2_k2_guessing_is_slowed_and_what_was_counted_is_committed() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    let browser = app.browser();
    for _ in 0..5 {
        let answer = sign_in(&browser, "alice@example.com", "wrong password").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let refused = sign_in(&browser, "ALICE@example.com", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.text().contains("Wait 5 seconds"), "{}", refused.text());
    assert_eq!(refused.header(RETRY_AFTER), Some("5"));
    let find = async |tx: &mut Tx<'_>| {
        let key = "sign-in network 127.0.0.0/24 account alice@example.com";
        store::throttles::find(tx, key).await
    };
    assert_eq!(app.write(find).await.unwrap().attempts, 5);
    let failed = app.audited().await.into_iter().filter(|kind| *kind == AuditKind::SignInFailed);
    assert_eq!(failed.count(), 5);

    app.clock.advance(Duration::from_secs(5));
    let answer = sign_in(&browser, "alice@example.com", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(app.write(find).await, None, "success forgets the failures");
}

#[tokio::test]
async fn who_signs_in_during_a_storm_is_sent_away_and_has_not_tried() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.browser();
    let storm: Vec<_> = std::iter::from_fn(|| app.provider.passwords.place().ok()).collect();
    for _ in 0..30 {
        let answer = sign_in(&browser, &alice.email, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(answer.text().contains("Too many people at once"), "{}", answer.text());
    }
    drop(storm);
    sign_in(&browser, &alice.email, PASSWORD).await;
    assert!(is_signed_in(&browser, &alice).await, "nothing was counted against her");
}

#[tokio::test]
async fn x2_guessing_many_accounts_from_one_address_is_slowed_too() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    // Too long to be hashed: the count does not depend on it, and the test is fast.
    let password = "x".repeat(2000);
    let mut statuses = Vec::new();
    for number in 0..31 {
        let email = format!("user{number}@example.com");
        let fields = [("email", &*email), ("password", &password), ("csrf", &csrf)];
        statuses.push(browser.post("/sign-in", &fields).await.status);
    }
    assert!(statuses[..30].iter().all(|status| *status == StatusCode::UNAUTHORIZED));
    assert_eq!(statuses[30], StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn an_office_that_signs_in_with_the_right_passwords_never_waits() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    let mut statuses = Vec::new();
    for _ in 0..31 {
        let answer = sign_in(&app.browser(), "alice@example.com", PASSWORD).await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [StatusCode::SEE_OTHER; 31]);
}

#[tokio::test]
async fn x2_parallel_guesses_of_one_address_are_counted_before_any_is_looked_at() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    let browser = app.browser();
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    let right = async {
        let fields = [("email", "alice@example.com"), ("password", PASSWORD), ("csrf", &*csrf)];
        browser.post("/sign-in", &fields).await.status
    };
    let long = "x".repeat(2000);
    let (browser, csrf, long) = (&browser, &*csrf, &*long);
    let wrong = (0..40).map(|number| async move {
        let email = format!("user{number}@example.com");
        let fields = [("email", &*email), ("password", long), ("csrf", csrf)];
        browser.post("/sign-in", &fields).await.status
    });
    let (_, statuses) = tokio::join!(right, join_all(wrong));
    let looked_at = statuses.iter().filter(|status| **status == StatusCode::UNAUTHORIZED).count();
    assert!((29..=30).contains(&looked_at), "{statuses:?}");
}

/// Guess at `email` from many networks until everyone who is not known has to wait.
async fn guess_from_everywhere(app: &TestApp, email: &str) {
    let long = "x".repeat(2000);
    for number in 0..=100_u8 {
        let address = IpAddr::from([198, 51, number, 7]);
        if sign_in(&app.browser_at(address), email, &long).await.status != StatusCode::UNAUTHORIZED
        {
            return;
        }
    }
    panic!("guessing at {email} is not slowed");
}

#[tokio::test]
async fn x2_a_stranger_cannot_lock_an_account_for_other_networks() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    let [stranger, neighbour, owner] = [[203, 0, 113, 7], [203, 0, 113, 8], [192, 0, 2, 1]]
        .map(|address| app.browser_at(IpAddr::from(address)));
    for _ in 0..5 {
        let answer = sign_in(&stranger, "alice@example.com", "wrong password").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    for browser in [&stranger, &neighbour] {
        let refused = sign_in(browser, "alice@example.com", PASSWORD).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    }
    let answer = sign_in(&owner, "alice@example.com", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let refused = sign_in(&stranger, "alice@example.com", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "still counted");
}

#[tokio::test]
async fn x2_a_browser_that_has_signed_in_before_gets_in_whatever_others_try() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let (own, new) = (app.browser(), app.browser());
    sign_in(&own, "alice@example.com", PASSWORD).await;
    own.set_cookie(&app.provider.cookies.session, "over");
    assert!(!is_signed_in(&own, &alice).await);

    guess_from_everywhere(&app, "alice@example.com").await;
    let refused = sign_in(&new, "alice@example.com", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header(RETRY_AFTER), Some("300"), "one more every five minutes");
    let answer = sign_in(&own, "alice@example.com", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(is_signed_in(&own, &alice).await);
}

#[tokio::test]
async fn x2_a_known_browser_has_a_limit_of_its_own_and_is_known_to_its_accounts_alone() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    app.add_user("bob", &[]).await;
    let (browser, cookie) = (app.browser(), &app.provider.cookies.device);
    sign_in(&browser, "alice@example.com", PASSWORD).await;
    let known = browser.cookie(cookie).unwrap();
    let fresh = || {
        let browser = app.browser();
        browser.set_cookie(cookie, &known);
        browser
    };
    for _ in 0..5 {
        let answer = sign_in(&fresh(), "alice@example.com", "wrong password").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let refused = sign_in(&fresh(), "alice@example.com", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let elsewhere = sign_in(&app.browser(), "alice@example.com", PASSWORD).await;
    assert_eq!(elsewhere.status, StatusCode::SEE_OTHER, "nobody else waits for it");

    guess_from_everywhere(&app, "bob@example.com").await;
    let refused = sign_in(&fresh(), "bob@example.com", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "it never signed in to this one");
}

#[tokio::test]
async fn x2_a_forged_a_foreign_and_an_old_device_cookie_are_worth_nothing() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    app.add_user("bob", &[]).await;
    let (browser, cookie) = (app.browser(), &app.provider.cookies.device);
    sign_in(&browser, "bob@example.com", PASSWORD).await;
    let bobs = browser.cookie(cookie).unwrap();
    browser.set_cookie(&app.provider.cookies.session, "over");
    sign_in(&browser, "alice@example.com", PASSWORD).await;
    let both = browser.cookie(cookie).unwrap();
    assert!(both.ends_with(bobs.split_once('.').unwrap().1), "bob is still known: {both}");
    let renamed = both.replacen(&both[..2], if both.starts_with("AA") { "BB" } else { "AA" }, 1);
    let longer = both.replacen('.', ".9", 1);
    guess_from_everywhere(&app, "alice@example.com").await;
    let try_with = async |value: &str| {
        let browser = app.browser();
        browser.set_cookie(cookie, value);
        sign_in(&browser, "alice@example.com", PASSWORD).await.status
    };
    for worthless in [&*bobs, &*renamed, &*longer, "x", "", &*"a.".repeat(500)] {
        assert_eq!(try_with(worthless).await, StatusCode::TOO_MANY_REQUESTS, "{worthless}");
    }
    assert_eq!(try_with(&both).await, StatusCode::SEE_OTHER);
    app.clock.advance(Duration::from_secs(366 * 24 * 3600));
    guess_from_everywhere(&app, "alice@example.com").await;
    assert_eq!(try_with(&both).await, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn x2_limits_do_not_tell_whether_an_account_exists() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    let mut seen = Vec::new();
    for (network, email) in [(1, "alice@example.com"), (2, "nobod@example.com")] {
        let browser = app.browser_at(IpAddr::from([203, 0, network, 7]));
        let mut answers = Vec::new();
        for _ in 0..6 {
            let answer = sign_in(&browser, email, "wrong password").await;
            let retry = answer.header(RETRY_AFTER).map(str::to_owned);
            let cookies = answer.headers.get_all("set-cookie").iter().count();
            let text = answer.text_for_anybody().replace(email, "");
            answers.push((answer.status, retry, cookies, text));
        }
        guess_from_everywhere(&app, email).await;
        let refused = sign_in(&app.browser(), email, "wrong password").await;
        answers.push((
            refused.status,
            refused.header(RETRY_AFTER).map(str::to_owned),
            0,
            "".into(),
        ));
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn s5_a_sign_in_form_that_another_site_sends_is_refused() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    let (victim, attacker) = (app.browser(), app.browser());
    victim.get("/sign-in").await;
    let theirs = attacker.get("/sign-in").await.hidden("csrf");
    let good = [("email", "alice@example.com"), ("password", PASSWORD)];
    for csrf in [None, Some("csrf"), Some(&*theirs)] {
        let fields: Vec<_> = good.into_iter().chain(csrf.map(|csrf| ("csrf", csrf))).collect();
        assert_eq!(victim.post("/sign-in", &fields).await.status, StatusCode::BAD_REQUEST);
    }
    let own = victim.get("/sign-in").await.hidden("csrf");
    let fields: Vec<_> = good.into_iter().chain([("csrf", &*own)]).collect();
    let headers = [
        (http::HeaderName::from_static("sec-fetch-site"), "cross-site"),
        (http::header::ORIGIN, "https://evil.example"),
    ];
    for header in headers {
        let answer = victim.send(form_request("/sign-in", &[header], &fields)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(victim.cookie(&app.provider.cookies.session), None);
}

#[tokio::test]
async fn after_signing_in_only_paths_of_ours_are_followed() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    for (to, leads) in [("/connected", "/connected"), ("//evil.example/", "/")] {
        let browser = app.browser();
        let path = format!("/sign-in?{}", crate::harness::encode(&[("continue", to)]));
        let csrf = browser.get(&path).await.hidden("csrf");
        let fields = [
            ("email", "alice@example.com"),
            ("password", PASSWORD),
            ("continue", to),
            ("csrf", &csrf),
        ];
        assert_eq!(browser.post("/sign-in", &fields).await.location(), leads);
    }
}

#[tokio::test]
async fn r9_signing_in_answers_303_and_no_answer_is_cached_or_framed() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    let answer = sign_in(&app.browser(), "alice@example.com", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    let ends = ["; Path=/; HttpOnly; SameSite=Lax", "; HttpOnly; SameSite=Lax; Max-Age=31536000"];
    assert_eq!(cookies.len(), ends.len());
    for (cookie, end) in cookies.into_iter().zip(ends) {
        assert!(cookie.to_str().unwrap().ends_with(end), "{cookie:?}");
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_for_whoever_holds_its_cookie() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let stolen = browser.cookie(&app.provider.cookies.session).unwrap();
    assert_eq!(browser.post("/sign-out", &[]).await.status, StatusCode::BAD_REQUEST);
    assert!(is_signed_in(&browser, &alice).await, "without its token the form does nothing");
    let answer = submit(&browser, "/sign-out", &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(browser.cookie(&app.provider.cookies.session).as_deref(), Some(""));
    let thief = app.browser();
    thief.set_cookie(&app.provider.cookies.session, &stolen);
    assert!(!is_signed_in(&thief, &alice).await);
    assert_eq!(app.audited().await, [AuditKind::SignedOut]);
}

#[tokio::test]
async fn a_session_lives_while_it_is_used_and_never_longer_than_two_weeks() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let (used, idle) = (app.signed_in(&alice).await, app.signed_in(&alice).await);
    let twenty_hours = Duration::from_secs(20 * 3600);
    for _ in 0..16 {
        app.clock.advance(twenty_hours);
        assert!(is_signed_in(&used, &alice).await);
    }
    assert!(!is_signed_in(&idle, &alice).await);
    app.clock.advance(twenty_hours);
    assert!(!is_signed_in(&used, &alice).await);
}

#[tokio::test]
async fn a_page_for_signed_in_users_comes_back_to_itself_after_sign_in() {
    let app = TestApp::start().await;
    let request = Request::get("/connected?x=1").body(Body::empty()).unwrap();
    let answer = app.send(request).await;
    assert_eq!(answer.location(), "/sign-in?continue=%2Fconnected%3Fx%3D1");
}

#[tokio::test]
async fn a_message_is_shown_only_if_it_is_one_of_ours() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let told = browser.get("/connected?done=access-revoked").await.text();
    assert!(told.contains("The app is out."), "{told}");
    let own_words = browser.get("/connected?done=Your+account+is+locked").await.text();
    assert!(!own_words.contains("locked"), "{own_words}");
}
