//! Passkeys: as the only factor, as the second, and of somebody else.

use http::StatusCode;
use http::header::RETRY_AFTER;
use testkit::passkey::VirtualPasskey;

use crate::harness::{Answer, ISSUER, PASSWORD, TestApp};
use crate::proofs::{
    add_passkey, attribute, enrol_passkey, give_password, is_signed_in, send, sign_in_with,
};

#[tokio::test]
async fn a_passkey_signs_in_without_a_password() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let mut passkey = enrol_passkey(&app.signed_in(&alice).await).await;
    let browser = app.browser();
    let page = browser.get("/sign-in").await;
    assert_eq!(sign_in_with(&browser, &page, &passkey).await.location(), "/connected");
    assert!(is_signed_in(&browser, &alice).await);

    let other = app.browser();
    let replayed = sign_in_with(&other, &page, &passkey).await;
    assert_eq!(replayed.status, StatusCode::BAD_REQUEST, "it was asked in another browser");
    browser.set_cookie(&app.provider.cookies.session, "over");
    let replayed = sign_in_with(&browser, &page, &passkey).await;
    assert_eq!(replayed.status, StatusCode::UNAUTHORIZED, "a question is answered once");

    let page = browser.get("/sign-in").await;
    passkey.flags = 0b001;
    let unseen = sign_in_with(&browser, &page, &passkey).await;
    assert_eq!(unseen.status, StatusCode::UNAUTHORIZED, "nobody was looked at");
    passkey.flags = 0b101;
    passkey.origin = "http://localhost.evil.example:8400".to_owned();
    let page = browser.get("/sign-in").await;
    let phished = sign_in_with(&browser, &page, &passkey).await;
    assert_eq!(phished.status, StatusCode::UNAUTHORIZED, "made on another site");
    assert!(!is_signed_in(&browser, &alice).await);
    app.save_user(alice.block("spam".to_owned(), app.provider.now())).await;
    passkey.origin = ISSUER.to_owned();
    let page = browser.get("/sign-in").await;
    let blocked = sign_in_with(&browser, &page, &passkey).await;
    assert_eq!(blocked.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn s7_a_passkey_of_another_user_is_refused() {
    let app = TestApp::start().await;
    let (alice, mallory) = (app.add_user("alice", &[]).await, app.add_user("mallory", &[]).await);
    let mine = enrol_passkey(&app.signed_in(&alice).await).await;
    let mut theirs = enrol_passkey(&app.signed_in(&mallory).await).await;

    // After Alice's password, Mallory's passkey, as it is and with Alice's name on it.
    let browser = app.browser();
    let page = give_password(&browser, &alice, PASSWORD).await;
    let half_way = page.hidden("half_way");
    let try_with = async |page: &Answer, passkey: &VirtualPasskey| {
        let (csrf, state) = (page.hidden("csrf"), page.hidden("passkey"));
        let fields = [("half_way", &*half_way), ("csrf", &*csrf), ("passkey", &*state)];
        let used = passkey.get(&attribute(page, "data-challenge"));
        send(&browser, "/sign-in/second-factor", &fields, used).await
    };
    let refused = try_with(&page, &theirs).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    theirs.user_handle.clone_from(&mine.user_handle);
    let refused = try_with(&refused, &theirs).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    // A question that was asked of nobody in particular is no question about Alice.
    let anybody = browser.get("/sign-in").await;
    let refused = try_with(&anybody, &mine).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(!is_signed_in(&browser, &alice).await);
    // Mallory's passkey with Alice's name opens neither account without a password.
    let refused = sign_in_with(&browser, &browser.get("/sign-in").await, &theirs).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let page = give_password(&browser, &alice, PASSWORD).await;
    let half_way = page.hidden("half_way");
    let (csrf, state) = (page.hidden("csrf"), page.hidden("passkey"));
    let fields = [("half_way", &*half_way), ("csrf", &*csrf), ("passkey", &*state)];
    let used = mine.get(&attribute(&page, "data-challenge"));
    let answer = send(&browser, "/sign-in/second-factor", &fields, used).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(is_signed_in(&browser, &alice).await);
}

#[tokio::test]
async fn s7_a_passkey_that_is_somebodys_is_not_added_to_another_account() {
    let app = TestApp::start().await;
    let (alice, mallory) = (app.add_user("alice", &[]).await, app.add_user("mallory", &[]).await);
    let mine = enrol_passkey(&app.signed_in(&alice).await).await;
    let browser = app.signed_in(&mallory).await;
    let form = browser.get("/security/passkey").await;
    assert_eq!(add_passkey(&browser, &form, &mine).await.status, StatusCode::BAD_REQUEST);
    assert!(browser.get("/security").await.text().contains("id=\"no-factor\""));
    // A form of another browser's page is no use either.
    let theirs = VirtualPasskey::new(ISSUER, &attribute(&form, "data-user-id"));
    let other = app.signed_in(&alice).await;
    let (state, csrf) = (form.hidden("passkey"), other.csrf());
    let fields = [("passkey", &*state), ("csrf", &*csrf), ("name", "x")];
    let made = theirs.create(&attribute(&form, "data-challenge"));
    let answer = send(&other, "/security/passkey", &fields, made).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_passkey_that_signs_less_often_than_before_was_copied() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let mut passkey = enrol_passkey(&app.signed_in(&alice).await).await;
    let browser = app.browser();
    passkey.count = 5;
    let page = browser.get("/sign-in").await;
    assert_eq!(sign_in_with(&browser, &page, &passkey).await.status, StatusCode::SEE_OTHER);
    for count in [4, 5] {
        passkey.count = count;
        let browser = app.browser();
        let page = browser.get("/sign-in").await;
        let refused = sign_in_with(&browser, &page, &passkey).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{count}");
    }
}

#[tokio::test]
async fn who_brings_wrong_passkeys_is_told_how_long_to_wait() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let mut passkey = enrol_passkey(&app.signed_in(&alice).await).await;
    passkey.flags = 0b001;
    let browser = app.browser();
    for _ in 0..30 {
        let page = browser.get("/sign-in").await;
        let refused = sign_in_with(&browser, &page, &passkey).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
    let page = browser.get("/sign-in").await;
    let waits = sign_in_with(&browser, &page, &passkey).await;
    assert_eq!(waits.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(waits.header(RETRY_AFTER).unwrap().parse::<u32>().unwrap() >= 1);
}
