//! Accounts that people make themselves.

use std::time::Duration;

use domain::audit::AuditKind;
use domain::mail::ADDRESS_LINK_LIFETIME;
use domain::user::User;
use http::{Request, StatusCode};
use store::Tx;
use testkit::Mailbox;
use testkit::mailbox::link_in;

use crate::account::start;
use crate::forms::assert_done;
use crate::harness::{Answer, Browser, ISSUER, TestApp, form_request};
use crate::mails::sign_in;

const CHOSEN: &str = "a password nobody guesses";

async fn ask(browser: &Browser<'_>, email: &str, password: &str) -> Answer {
    let csrf = browser.get("/sign-up").await.hidden("csrf");
    let fields = [("name", "Zoë"), ("email", email), ("password", password), ("csrf", &csrf)];
    browser.post("/sign-up", &fields).await
}

async fn letter_to(app: &TestApp, email: &str) -> domain::mail::Letter {
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    mailbox.last(email)
}

async fn find(app: &TestApp, email: &'static str) -> Option<User> {
    app.write(async move |tx: &mut Tx<'_>| store::users::find_by_email(tx, email).await).await
}

async fn finish(browser: &Browser<'_>, link: &str, password: Option<&str>) -> Answer {
    let page = browser.get(link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let (sealed, csrf) = (page.hidden("link"), page.hidden("csrf"));
    let mut fields = vec![("link", &*sealed), ("csrf", &*csrf)];
    fields.extend(password.map(|password| ("password", password)));
    browser.post("/sign-up/finish", &fields).await
}

#[tokio::test]
async fn an_account_is_there_once_the_link_was_used_and_its_browser_is_signed_in() {
    let app = start().await;
    let browser = app.browser();
    let answer = ask(&browser, "zoe@example.com", CHOSEN).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(find(&app, "zoe@example.com").await.is_none(), "not before");
    let link = link_in(&letter_to(&app, "zoe@example.com").await, ISSUER);
    browser.get(&link).await;
    assert!(find(&app, "zoe@example.com").await.is_none(), "looking makes nothing");
    assert_done(&finish(&browser, &link, None).await, "/account?done=account-created");
    let user = find(&app, "zoe@example.com").await.unwrap();
    assert_eq!((user.name.as_str(), user.roles.len()), ("Zoë", 0));
    assert_eq!(user.email_verified_at, Some(app.provider.now()));
    assert!(browser.get("/account").await.text().contains("Confirmed"));
    let audited = app.audited().await;
    for kind in [AuditKind::SignUpAsked, AuditKind::UserCreated, AuditKind::SignedIn] {
        assert!(audited.contains(&kind), "{kind:?}");
    }
    browser.set_cookie(&app.provider.cookies.session, "gone");
    let again = sign_in(&browser, "zoe@example.com", CHOSEN).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(app.queued().await, [], "this browser is a known one");
}

#[tokio::test]
async fn s6_a_sign_up_link_works_once() {
    let app = start().await;
    let browser = app.browser();
    ask(&browser, "zoe@example.com", CHOSEN).await;
    let link = link_in(&letter_to(&app, "zoe@example.com").await, ISSUER);
    finish(&browser, &link, None).await;
    let again = finish(&app.browser(), &link, Some(CHOSEN)).await;
    assert_eq!(again.status, StatusCode::GONE);
    assert!(app.audited().await.contains(&AuditKind::LinkRefused));
}

#[tokio::test]
async fn s6_a_link_that_somebody_else_asked_for_makes_no_account_for_them() {
    let app = start().await;
    let mallory = app.browser();
    ask(&mallory, "victim@example.com", "mallory knows this").await;
    let link = link_in(&letter_to(&app, "victim@example.com").await, ISSUER);
    let victim = app.browser();
    let page = victim.get(&link).await;
    assert!(page.text().contains("Another browser asked"), "{}", page.text());
    for guess in [None, Some("my own password")] {
        let answer = finish(&victim, &link, guess).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert!(find(&app, "victim@example.com").await.is_none());
    app.clock.advance(ADDRESS_LINK_LIFETIME);
    assert_eq!(mallory.get(&link).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn in_another_browser_the_password_is_asked_that_was_chosen() {
    let app = start().await;
    ask(&app.browser(), "zoe@example.com", CHOSEN).await;
    let link = link_in(&letter_to(&app, "zoe@example.com").await, ISSUER);
    let phone = app.browser();
    for _ in 0..5 {
        let wrong = finish(&phone, &link, Some("guess")).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let waits = finish(&phone, &link, Some(CHOSEN)).await;
    assert_eq!(waits.status, StatusCode::TOO_MANY_REQUESTS);
    app.clock.advance(Duration::from_secs(5));
    let done = finish(&phone, &link, Some(CHOSEN)).await;
    assert_done(&done, "/account?done=account-created");
}

#[tokio::test]
async fn x2_signing_up_tells_nobody_who_has_an_account() {
    let app = start().await;
    app.add_user("alice", &[]).await;
    let mut pages = Vec::new();
    for email in ["alice@example.com", "nobod@example.com"] {
        let answer = ask(&app.browser(), email, CHOSEN).await;
        pages.push((answer.status, answer.text().replace(email, "")));
    }
    assert_eq!(pages[0], pages[1]);
    assert_eq!(app.queued().await.len(), 2);
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let letters = mailbox.letters();
    let to_alice = letters.iter().find(|letter| letter.to == "alice@example.com").unwrap();
    assert_eq!(to_alice.subject, "You have a Test Exchange account already");
    assert!(!to_alice.text.contains("?link="));
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_is_not_taken_over() {
    let app = start().await;
    let browser = app.browser();
    ask(&browser, "zoe@example.com", CHOSEN).await;
    let link = link_in(&letter_to(&app, "zoe@example.com").await, ISSUER);
    let zoe = app.add_user("zoe", &[]).await;
    let answer = finish(&browser, &link, None).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(find(&app, "zoe@example.com").await.unwrap().id, zoe.id);
    assert_eq!(browser.cookie(&app.provider.cookies.session), None);
}

#[tokio::test]
async fn a_form_with_mistakes_keeps_what_was_typed_but_not_the_password() {
    let app = start().await;
    let browser = app.browser();
    let csrf = browser.get("/sign-up").await.hidden("csrf");
    let fields =
        [("name", " "), ("email", "<zoe"), ("password", "passw0rd"), ("csrf", csrf.as_str())];
    let answer = browser.post("/sign-up", &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text();
    for wrong in ["name-error", "email-error", "password-error"] {
        assert!(page.contains(&format!("id=\"{wrong}\"")), "{wrong}: {page}");
    }
    assert!(page.contains("value=\"&lt;zoe\"") && !page.contains("passw0rd"), "{page}");
    assert_eq!(app.queued().await, []);
}

#[tokio::test]
async fn the_language_of_the_browser_becomes_the_accounts() {
    let app = start().await;
    let browser = app.browser();
    let csrf = browser.get("/sign-up").await.hidden("csrf");
    let fields = [
        ("name", "Zoë"),
        ("email", "zoe@example.com"),
        ("password", CHOSEN),
        ("csrf", csrf.as_str()),
    ];
    let mut request: Request<_> = form_request("/sign-up", &[], &fields);
    request.headers_mut().insert("accept-language", "de-AT,de;q=0.9".parse().unwrap());
    browser.send(request).await;
    let letter = letter_to(&app, "zoe@example.com").await;
    assert_eq!(letter.language, "de");
    finish(&browser, &link_in(&letter, ISSUER), None).await;
    assert_eq!(find(&app, "zoe@example.com").await.unwrap().locale.as_deref(), Some("de"));
}
