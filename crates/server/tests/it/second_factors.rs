//! Second factors: set up, asked for at sign-in, guessed at, taken away.

use std::net::IpAddr;
use std::time::Duration;

use domain::audit::AuditKind;
use domain::user::User;
use http::StatusCode;
use protocol::totp;
use store::{Tx, second_factors};
use testkit::Mailbox;

use crate::harness::{Answer, PASSWORD, TestApp};
use crate::proofs::{
    QUARTER, alice_with_app, code, codes_on, enrol_app, enrol_passkey, from_base32, give_code,
    give_password, is_signed_in,
};

#[tokio::test]
async fn sign_in_asks_for_the_second_factor_and_there_is_no_session_before_it() {
    let (app, alice, _) = alice_with_app().await;
    let browser = app.browser();
    let page = give_password(&browser, &alice, PASSWORD).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("Second step"));
    assert_eq!(browser.cookie(&app.provider.cookies.session), None);
    assert_eq!(browser.cookie(&app.provider.cookies.device), None, "not known before it either");
    assert!(!is_signed_in(&browser, &alice).await);
    let answer = give_code(&browser, &page, &code(&app, alice.id).await).await;
    assert_eq!(answer.location(), "/connected");
    assert!(is_signed_in(&browser, &alice).await);
}

#[tokio::test]
async fn x2_a_wrong_password_does_not_tell_that_there_is_a_second_factor() {
    let (app, alice, _) = alice_with_app().await;
    let page = give_password(&app.browser(), &alice, "wrong password").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(!page.text().contains("half_way"));
}

#[tokio::test]
async fn a_code_of_an_authenticator_app_counts_once() {
    let (app, alice, _) = alice_with_app().await;
    let (first, second) = (app.browser(), app.browser());
    let (one, two) = (
        give_password(&first, &alice, PASSWORD).await,
        give_password(&second, &alice, PASSWORD).await,
    );
    let code = code(&app, alice.id).await;
    assert_eq!(give_code(&first, &one, &code).await.location(), "/connected");
    let again = give_code(&second, &two, &code).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "somebody looked over the shoulder");
    assert!(app.audited().await.contains(&AuditKind::SecondFactorFailed));
}

#[tokio::test]
async fn a_recovery_code_counts_once_and_new_ones_end_the_old() {
    let (app, alice, codes) = alice_with_app().await;
    let browser = app.browser();
    let page = give_password(&browser, &alice, PASSWORD).await;
    let typed = codes[0].to_lowercase().replace('-', " ");
    assert_eq!(give_code(&browser, &page, &typed).await.location(), "/connected");
    let other = app.browser();
    let page = give_password(&other, &alice, PASSWORD).await;
    assert_eq!(give_code(&other, &page, &codes[0]).await.status, StatusCode::UNAUTHORIZED);

    let security = browser.get("/security").await;
    assert!(security.text().contains("9 codes are left"), "{}", security.text());
    let csrf = security.hidden("csrf");
    let new = codes_on(&browser.post("/security/recovery-codes", &[("csrf", &csrf)]).await);
    assert_eq!(new.len(), 10);
    assert_eq!(give_code(&other, &page, &codes[1]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(give_code(&other, &page, &new[1]).await.location(), "/connected");
}

#[tokio::test]
async fn s2_a_half_way_sign_in_opens_nothing_in_another_browser_nor_twice_nor_later() {
    let (app, alice, codes) = alice_with_app().await;
    let browser = app.browser();
    let page = give_password(&browser, &alice, PASSWORD).await;
    let mallory = app.browser();
    let csrf = mallory.get("/sign-in").await.hidden("csrf");
    let half_way = page.hidden("half_way");
    let fields = [("half_way", &*half_way), ("csrf", &*csrf), ("code", &*codes[0])];
    let stolen = mallory.post("/sign-in/second-factor", &fields).await;
    assert_eq!(stolen.status, StatusCode::BAD_REQUEST);
    // Nor does what was sealed for another step stand in for it.
    let challenge = browser.get("/sign-in").await.hidden("passkey");
    let (csrf, code) = (page.hidden("csrf"), code(&app, alice.id).await);
    let fields = [("half_way", &*challenge), ("csrf", &*csrf), ("code", &*code)];
    let other = browser.post("/sign-in/second-factor", &fields).await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);

    assert_eq!(give_code(&browser, &page, &codes[0]).await.location(), "/connected");
    let again = give_code(&browser, &page, &codes[1]).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "it became a session before");
    let browser = app.browser();
    let page = give_password(&browser, &alice, PASSWORD).await;
    app.clock.advance(Duration::from_secs(601));
    assert_eq!(give_code(&browser, &page, &codes[2]).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn s2_blocking_and_another_password_end_what_is_half_way() {
    let (app, alice, codes) = alice_with_app().await;
    let browser = app.browser();
    let page = give_password(&browser, &alice, PASSWORD).await;
    let other = domain::password::PasswordHash::from_phc("$argon2id$other".to_owned());
    app.save_user(User { password: Some(other), ..alice.clone() }).await;
    assert_eq!(give_code(&browser, &page, &codes[0]).await.status, StatusCode::BAD_REQUEST);
    app.save_user(alice.clone().block("spam".to_owned(), app.provider.now())).await;
    assert_eq!(give_code(&browser, &page, &codes[0]).await.status, StatusCode::BAD_REQUEST);
    app.save_user(alice.clone()).await;
    assert_eq!(give_code(&browser, &page, &codes[0]).await.location(), "/connected");
}

#[tokio::test]
async fn x2_guessing_codes_is_slowed_whoever_guesses_from_wherever() {
    let (app, alice, codes) = alice_with_app().await;
    let mut refused = 0;
    for network in 0..40_u8 {
        let browser = app.browser_at(IpAddr::from([203, 0, network, 7]));
        let page = give_password(&browser, &alice, PASSWORD).await;
        let answer = give_code(&browser, &page, "000000").await;
        assert!([401, 429].contains(&answer.status.as_u16()), "{answer:?}");
        refused += u32::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 40 - 24);
    // The right code waits too, else one could tell.
    let browser = app.browser();
    let page = give_password(&browser, &alice, PASSWORD).await;
    let answer = give_code(&browser, &page, &codes[0]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    app.clock.advance(QUARTER);
    let page = give_password(&browser, &alice, PASSWORD).await;
    assert_eq!(give_code(&browser, &page, &codes[0]).await.location(), "/connected");
}

#[tokio::test]
async fn x2_one_network_waits_longer_and_longer_and_a_known_browser_does_not_wait_for_it() {
    let (app, alice, codes) = alice_with_app().await;
    let home = app.browser();
    let page = give_password(&home, &alice, PASSWORD).await;
    assert_eq!(give_code(&home, &page, &codes[0]).await.location(), "/connected");
    let thief = app.browser();
    let page = give_password(&thief, &alice, PASSWORD).await;
    for _ in 0..5 {
        assert_eq!(give_code(&thief, &page, "000000").await.status, StatusCode::UNAUTHORIZED);
    }
    let answer = give_code(&thief, &page, "000000").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    home.set_cookie(&app.provider.cookies.session, "over");
    let page = give_password(&home, &alice, PASSWORD).await;
    assert_eq!(give_code(&home, &page, &codes[1]).await.location(), "/connected");
}

#[tokio::test]
async fn changing_factors_takes_a_proof_of_a_moment_ago() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    app.clock.advance(QUARTER);
    // Without any factor it is the password.
    let to_sign_in = browser.get("/security/app?continue=%2Fconnected").await;
    assert!(to_sign_in.location().starts_with("/sign-in?again=yes&"), "{to_sign_in:?}");
    assert_eq!(browser.get(to_sign_in.location()).await.status, StatusCode::OK);
    browser.sign_in_as(&alice).await;
    enrol_app(&app, &browser).await;
    enrol_passkey(&browser).await;
    app.clock.advance(QUARTER);
    // With one, it is that.
    for path in ["/security/app", "/security/passkey"] {
        assert!(browser.get(path).await.location().starts_with("/step-up?continue="), "{path}");
    }
    let page = browser.get("/security").await;
    let factor = page.text().split("id=\"remove-").nth(1).unwrap()[..32].to_owned();
    let csrf = page.hidden("csrf");
    let remove = [("factor", &*factor), ("csrf", &*csrf)];
    let refused = browser.post("/security/remove", &remove).await;
    assert_eq!(refused.location(), "/step-up?continue=%2Fsecurity");
    let page = browser.get(refused.location()).await;
    let code = code(&app, alice.id).await;
    let fields = [("csrf", &*csrf), ("code", &*code), ("continue", &*page.hidden("continue"))];
    assert_eq!(browser.post("/step-up", &fields).await.location(), "/security");
    let removed = browser.post("/security/remove", &remove).await;
    assert_eq!(removed.location(), "/security?done=factor-removed");
    let kinds = app.audited().await;
    for kind in [
        AuditKind::SecondFactorAdded,
        AuditKind::RecoveryCodesMade,
        AuditKind::SteppedUp,
        AuditKind::SecondFactorRemoved,
    ] {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
}

#[tokio::test]
async fn recovery_codes_end_with_the_last_factor() {
    let (app, alice, _) = alice_with_app().await;
    let browser = app.browser();
    let page = give_password(&browser, &alice, PASSWORD).await;
    give_code(&browser, &page, &code(&app, alice.id).await).await;
    let page = browser.get("/security").await;
    let factor = page.text().split("id=\"remove-").nth(1).unwrap()[..32].to_owned();
    let csrf = page.hidden("csrf");
    browser.post("/security/remove", &[("factor", &factor), ("csrf", &csrf)]).await;
    let id = alice.id;
    let find = async move |tx: &mut Tx<'_>| second_factors::find_enrolled(tx, id).await;
    let left = app.write(find).await;
    assert!(left.is_empty() && left.recovery_codes_left == 0);
    let answer = give_password(&app.browser(), &alice, PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "the password is enough again");
}

#[tokio::test]
async fn a2_nobody_removes_the_factor_of_another_user() {
    let (app, alice, _) = alice_with_app().await;
    let id = alice.id;
    let find = async move |tx: &mut Tx<'_>| second_factors::find_enrolled(tx, id).await;
    let factor = app.write(find).await.totps[0].id.to_string();
    let mallory = app.add_user("mallory", &[]).await;
    let browser = app.signed_in(&mallory).await;
    let csrf = browser.csrf();
    let answer = browser.post("/security/remove", &[("factor", &factor), ("csrf", &csrf)]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(app.write(find).await.totps.len(), 1);
}

#[tokio::test]
async fn a_wrong_code_keeps_the_secret_and_the_name_of_a_new_app() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let form = browser.get("/security/app").await;
    let (new, csrf) = (form.hidden("new"), form.hidden("csrf"));
    let fields = [("new", &*new), ("csrf", &*csrf), ("name", "My <phone>"), ("code", "000000")];
    let again = browser.post("/security/app", &fields).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = again.text();
    assert!(text.contains("id=\"code-error\"") && text.contains("My &lt;phone&gt;"), "{text}");
    let secret =
        |page: &Answer| page.text().split("id=\"secret\"").nth(1).unwrap()[..80].to_owned();
    assert_eq!(secret(&again), secret(&form));
}

#[tokio::test]
async fn users_are_told_of_new_and_removed_factors_and_of_recovery_codes_that_were_used() {
    let (app, alice, codes) = alice_with_app().await;
    let browser = app.browser();
    let page = give_password(&browser, &alice, PASSWORD).await;
    give_code(&browser, &page, &codes[0]).await;
    let page = browser.get("/security").await;
    let csrf = page.hidden("csrf");
    browser.post("/security/recovery-codes", &[("csrf", &csrf)]).await;
    let factor = page.text().split("id=\"remove-").nth(1).unwrap()[..32].to_owned();
    browser.post("/security/remove", &[("factor", &factor), ("csrf", &csrf)]).await;
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let letters: Vec<_> =
        mailbox.letters().into_iter().map(|letter| (letter.subject, letter.text)).collect();
    let expected = [
        ("Your Test Exchange account has a new second factor", "“Phone”"),
        ("A recovery code of your Test Exchange account was used", "9 are left"),
        ("New sign-in to your Test Exchange account", "127.0.0.1"),
        ("Your Test Exchange account has a new second factor", "New recovery codes"),
        ("A second factor of your Test Exchange account was removed", "“Phone”"),
    ];
    assert_eq!(letters.len(), expected.len(), "{letters:?}");
    for (subject, part) in expected {
        let is_there = |(s, text): &(String, String)| s == subject && text.contains(part);
        assert!(letters.iter().any(is_there), "{subject}, {part}: {letters:?}");
    }
}

#[tokio::test]
async fn the_first_factor_ends_sessions_that_have_not_shown_it() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let (thief, owner) = (app.signed_in(&alice).await, app.signed_in(&alice).await);
    assert!(is_signed_in(&thief, &alice).await);
    enrol_app(&app, &owner).await;
    assert!(!is_signed_in(&thief, &alice).await, "the password alone is not enough any more");
    assert!(is_signed_in(&owner, &alice).await);
}

#[tokio::test]
async fn a_form_that_adds_an_app_makes_one_factor_however_often_it_is_sent() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let form = browser.get("/security/app").await;
    let (new, csrf) = (form.hidden("new"), form.hidden("csrf"));
    let secret = form.text().split("id=\"secret\"").nth(1).unwrap().to_owned();
    let secret = secret.split(['>', '<']).nth(1).unwrap().replace(' ', "");
    let code = totp::code(&from_base32(&secret), app.provider.now().as_seconds() / 30);
    let fields = [("new", &*new), ("csrf", &*csrf), ("name", "Phone"), ("code", &*code)];
    assert_eq!(browser.post("/security/app", &fields).await.status, StatusCode::OK);
    assert_ne!(browser.post("/security/app", &fields).await.status, StatusCode::OK);
    let find = async move |tx: &mut Tx<'_>| second_factors::find_enrolled(tx, alice.id).await;
    assert_eq!(app.write(find).await.totps.len(), 1);
}
