//! Messages: what is told when, and what becomes of a message that cannot be sent.

use std::net::IpAddr;
use std::time::Duration;

use domain::app::AppKind;
use domain::mail::{Letter, NOTICE_LIFETIME, NotSent};
use domain::user::User;
use http::StatusCode;
use store::Tx;
use testkit::Mailbox;

use crate::forms::submit;
use crate::harness::{Answer, Browser, PASSWORD, TestApp, Tokens, start};

pub async fn sign_in(browser: &Browser<'_>, email: &str, password: &str) -> Answer {
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    browser.post("/sign-in", &[("email", email), ("password", password), ("csrf", &csrf)]).await
}

/// Everything that was sent, by subject.
async fn subjects(app: &TestApp) -> Vec<String> {
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    mailbox.letters().into_iter().map(|letter| letter.subject).collect()
}

#[tokio::test]
async fn a_browser_that_was_not_seen_before_is_told_and_one_that_was_is_not() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    let address: IpAddr = "203.0.113.7".parse().unwrap();
    let browser = app.browser_at(address);
    let answer = sign_in(&browser, "alice@example.com", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let letter = mailbox.last("alice@example.com");
    assert_eq!(letter.subject, "New sign-in to your Test Exchange account");
    assert!(letter.text.contains("2026-04-02 09:00 UTC, from 203.0.113.7"), "{}", letter.text);
    assert!(letter.message_id.ends_with("@localhost>"), "{}", letter.message_id);

    let session = app.provider.cookies.session.clone();
    browser.set_cookie(&session, "gone");
    sign_in(&browser, "alice@example.com", PASSWORD).await;
    assert_eq!(subjects(&app).await, [""; 0]);
    assert_eq!(app.queued().await, []);
}

#[tokio::test]
async fn a_wrong_password_tells_nobody_anything() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    sign_in(&app.browser(), "alice@example.com", "wrong password").await;
    assert_eq!(app.queued().await, []);
}

#[tokio::test]
async fn an_app_that_is_let_in_is_told_once_and_again_when_it_may_do_more() {
    let (app, user, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let consent = async |scope: &str, ticked: &[&str]| {
        let path = client.authorize_path(&[("scope", scope), ("prompt", "consent")]);
        let page = browser.get(&path).await;
        browser.decide(&page, "allow", ticked).await;
    };
    consent("balances.read", &["balances.read"]).await;
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let letter = mailbox.last("alice@example.com");
    assert_eq!(letter.subject, "The bot may use your Test Exchange account");
    assert!(letter.text.lines().any(|line| line.starts_with("- ")), "{}", letter.text);
    consent("balances.read", &["balances.read"]).await;
    assert_eq!(subjects(&app).await, [""; 0], "nothing new");
    consent("balances.read orders.read", &["balances.read", "orders.read"]).await;
    assert_eq!(subjects(&app).await, ["The bot may use your Test Exchange account"]);
}

#[tokio::test]
async fn the_user_is_told_once_of_a_stolen_refresh_token() {
    let (app, user, client) = start(AppKind::Web).await;
    let first = client.tokens(&app, &user).await;
    subjects(&app).await;
    let second = Tokens::of(&client.refresh(&app, &first.refresh, &[]).await);
    Tokens::of(&client.refresh(&app, &second.refresh, &[]).await);
    for _ in 0..2 {
        let stolen = client.refresh(&app, &first.refresh, &[]).await;
        assert_eq!(stolen.error(), "invalid_grant");
    }
    assert_eq!(subjects(&app).await, ["We ended the access of The bot"]);
}

#[tokio::test]
async fn the_user_is_told_of_a_code_that_was_used_twice() {
    let (app, user, client) = start(AppKind::Web).await;
    let code = app.signed_in(&user).await.authorize(&client).await;
    client.redeem(&app, &code).await;
    subjects(&app).await;
    assert_eq!(client.redeem(&app, &code).await.error(), "invalid_grant");
    assert_eq!(subjects(&app).await, ["We ended the access of The bot"]);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_now_is_tried_again_later_and_stays_the_same() {
    let app = TestApp::start().await;
    app.add_user("alice", &[]).await;
    sign_in(&app.browser(), "alice@example.com", PASSWORD).await;
    let mailbox = Mailbox::default();
    mailbox.fail_next(NotSent::Later("450 try later".to_owned()));
    app.deliver(&mailbox).await;
    let waiting = app.queued().await;
    assert_eq!(waiting[0].last_error.as_deref(), Some("450 try later"));
    app.deliver(&mailbox).await;
    assert_eq!(mailbox.letters(), [], "not before its time");
    app.clock.advance(Duration::from_secs(5));
    app.deliver(&mailbox).await;
    let letter = mailbox.last("alice@example.com");
    let id = format!("<{}.{}@", waiting[0].id, waiting[0].created_at.as_millis());
    assert!(letter.message_id.starts_with(&id));
    assert_eq!(app.queued().await, []);
    let counts = app.provider.mail_stats.counts();
    assert_eq!(counts, [("sent", 1), ("retried", 1), ("given_up", 0), ("dropped", 0)]);
}

#[tokio::test]
async fn a_message_is_given_up_when_it_is_refused_or_was_tried_for_three_days() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let mailbox = Mailbox::default();
    sign_in(&app.browser(), "alice@example.com", PASSWORD).await;
    mailbox.fail_next(NotSent::Never("550 no such user".to_owned()));
    app.deliver(&mailbox).await;
    assert_eq!(app.queued().await[0].next_attempt_at, None);

    test_mail(&app, &alice).await;
    let mut attempts = 0;
    while app.queued().await[0].next_attempt_at.is_some() {
        mailbox.fail_next(NotSent::Later("no answer".to_owned()));
        app.deliver(&mailbox).await;
        attempts += 1;
        if let Some(at) = app.queued().await[0].next_attempt_at {
            app.clock.advance(at.since(app.provider.now()));
        }
    }
    assert_eq!((attempts, mailbox.letters().len()), (10, 0));
    app.clock.advance(NOTICE_LIFETIME);
    app.provider.store.sweep().await.unwrap();
    assert_eq!(app.queued().await, []);
}

async fn test_mail(app: &TestApp, user: &User) {
    let (user, now) = (user.id, app.provider.now());
    let mail = domain::mail::Mail::to_user(user, domain::mail::MailKind::Test, now);
    app.write(async move |tx: &mut Tx<'_>| store::mails::queue(tx, &mail).await).await;
}

#[tokio::test]
async fn messages_speak_the_users_language() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let answer = submit(&browser, "/account/language", &[("language", "de")]).await;
    assert_eq!(answer.location(), "/account?done=account-saved");
    let page = browser.get("/account").await.text();
    assert!(page.contains("value=\"de\" checked"), "{page}");
    test_mail(&app, &alice).await;
    assert_eq!(subjects(&app).await, ["Test Exchange kann Nachrichten schicken"]);
    submit(&browser, "/account/language", &[("language", "../../etc")]).await;
    test_mail(&app, &alice).await;
    assert_eq!(subjects(&app).await, ["Test Exchange can send mail"]);
}

/// What a person sees of a letter.
#[tokio::test]
async fn a_letter_reads_well() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    test_mail(&app, &alice).await;
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let Letter { text, html, language, .. } = mailbox.last("alice@example.com");
    assert_eq!(
        text,
        "This is a test. Who reads it knows that messages from Test Exchange arrive here.\n\n-- \n\
         You get this message because of your Test Exchange account. Nothing in it tells us \
         whether you read it. If somebody\nasks you for a code or a password, it is not us.\n\
         http://localhost:8400/\n"
    );
    assert!(html.starts_with("<!doctype html><html lang=\"en\">") && !html.contains("<img"));
    assert_eq!(language, "en");
}
