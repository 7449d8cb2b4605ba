//! A person's own account: password, address, sessions, and the way back when the password is
//! forgotten.

use std::net::IpAddr;
use std::time::Duration;

use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::mail::RESET_LINK_LIFETIME;
use domain::policy::Developers;
use domain::user::User;
use http::StatusCode;
use http::header::RETRY_AFTER;
use store::Tx;
use testkit::Mailbox;
use testkit::mailbox::link_in;

use crate::forms::{assert_done, submit};
use crate::harness::{Answer, Browser, ISSUER, PASSWORD, TestApp};
use crate::mails::sign_in;

const OTHER: &str = "another good password";

pub async fn start() -> TestApp {
    TestApp::start_with(|policy| {
        policy.accounts.sends_mail = true;
        policy.accounts.sign_up = true;
    })
    .await
}

async fn is_signed_in(browser: &Browser<'_>, user: &User) -> bool {
    browser.get("/").await.text().contains(&user.email)
}

async fn find(app: &TestApp, user: &User) -> User {
    let id = user.id;
    app.write(async move |tx: &mut Tx<'_>| store::users::find(tx, id).await).await.unwrap()
}

async fn change_password(browser: &Browser<'_>, current: &str, new: &str) -> Answer {
    let fields = [("current_password", current), ("new_password", new)];
    submit(browser, "/account/password", &fields).await
}

/// Ask for a link with which the password is changed, and read it from the mailbox.
async fn ask_reset(app: &TestApp, browser: &Browser<'_>, email: &str) -> Option<String> {
    let csrf = browser.get("/forgotten-password").await.hidden("csrf");
    let answer = browser.post("/forgotten-password", &[("email", email), ("csrf", &csrf)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let letters = mailbox.letters();
    let letter = letters.iter().find(|letter| letter.subject.contains("another"));
    letter.map(|letter| link_in(letter, ISSUER))
}

/// Type a new password on the page behind the link.
async fn reset(browser: &Browser<'_>, link: &str, password: &str) -> Answer {
    let page = browser.get(link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let (sealed, csrf) = (page.hidden("link"), page.hidden("csrf"));
    let fields = [("link", &*sealed), ("password", password), ("csrf", &csrf)];
    browser.post("/reset-password", &fields).await
}

#[tokio::test]
async fn another_password_signs_every_other_browser_out_and_is_told() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let (here, there) = (app.signed_in(&alice).await, app.signed_in(&alice).await);
    assert_done(&change_password(&here, PASSWORD, OTHER).await, "/account?done=password-changed");
    assert!(is_signed_in(&here, &alice).await);
    assert!(!is_signed_in(&there, &alice).await);
    let old = sign_in(&app.browser(), &alice.email, PASSWORD).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    let new = sign_in(&app.browser(), &alice.email, OTHER).await;
    assert_eq!(new.status, StatusCode::SEE_OTHER);
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let told = &mailbox.letters()[0];
    assert_eq!(told.subject, "Your Test Exchange password was changed");
    assert!(app.audited().await.contains(&AuditKind::PasswordChanged));
}

#[tokio::test]
async fn a_new_password_must_be_a_good_one_and_the_old_one_right() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    for (current, new, wrong) in [
        ("guess", OTHER, "current_password-error"),
        (PASSWORD, "short", "new_password-error"),
        (PASSWORD, "Password123", "new_password-error"),
        (PASSWORD, "Alice@example.com", "new_password-error"),
        (PASSWORD, &"x".repeat(2000), "new_password-error"),
    ] {
        let answer = change_password(&browser, current, new).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{new}");
        assert!(answer.text().contains(&format!("id=\"{wrong}\"")), "{}", answer.text());
        assert!(!answer.text().contains(new), "a password is not shown again");
    }
    assert_eq!(find(&app, &alice).await.password, alice.password);
    assert!(app.audited().await.contains(&AuditKind::PasswordCheckFailed));
}

#[tokio::test]
async fn x2_a_borrowed_browser_is_no_place_to_guess_the_password() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    for _ in 0..5 {
        let answer = change_password(&browser, "guess", OTHER).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let answer = change_password(&browser, PASSWORD, OTHER).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.header(RETRY_AFTER).is_some());
    let fields = [("email", "evil@example.com"), ("password", PASSWORD)];
    let answer = submit(&browser, "/account/email", &fields).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "the same count");
    app.clock.advance(Duration::from_secs(5));
    assert_done(
        &change_password(&browser, PASSWORD, OTHER).await,
        "/account?done=password-changed",
    );
}

#[tokio::test]
async fn a_forgotten_password_is_changed_by_a_link() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let there = app.signed_in(&alice).await;
    let browser = app.browser();
    let link = ask_reset(&app, &browser, " Alice@Example.com").await.unwrap();
    let weak = reset(&browser, &link, "12345678").await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY, "and the link still works");
    assert_done(&reset(&browser, &link, OTHER).await, "/sign-in?done=password-reset");
    assert!(!is_signed_in(&there, &alice).await);
    assert!(!is_signed_in(&browser, &alice).await, "a link is no sign-in");
    assert!(browser.get("/sign-in?done=password-reset").await.text().contains("id=\"flash\""));
    assert_eq!(sign_in(&browser, &alice.email, OTHER).await.status, StatusCode::SEE_OTHER);
    assert!(find(&app, &alice).await.email_verified_at.is_some(), "its reader has the address");
    let audited = app.audited().await;
    assert!(audited.contains(&AuditKind::PasswordResetAsked));
    assert!(audited.contains(&AuditKind::PasswordReset));
}

#[tokio::test]
async fn s6_a_reset_link_works_once_and_its_second_use_is_audited() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.browser();
    let link = ask_reset(&app, &browser, &alice.email).await.unwrap();
    let page = browser.get(&link).await;
    let (sealed, csrf) = (page.hidden("link"), page.hidden("csrf"));
    let again = [("link", &*sealed), ("password", "yet another password"), ("csrf", &csrf)];
    reset(&browser, &link, OTHER).await;
    assert_eq!(browser.post("/reset-password", &again).await.status, StatusCode::GONE);
    assert_eq!(browser.get(&link).await.status, StatusCode::GONE);
    assert_eq!(sign_in(&browser, &alice.email, OTHER).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn s6_two_uses_of_a_reset_link_at_once_change_the_password_once() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.browser();
    let link = ask_reset(&app, &browser, &alice.email).await.unwrap();
    let page = browser.get(&link).await;
    let (sealed, csrf) = (page.hidden("link"), page.hidden("csrf"));
    let send = async |password: &str| {
        let fields = [("link", &*sealed), ("password", password), ("csrf", &*csrf)];
        browser.post("/reset-password", &fields).await.status
    };
    let (first, second) = tokio::join!(send("password of the first"), send("password of the next"));
    let statuses = [first, second];
    assert!(statuses.contains(&StatusCode::SEE_OTHER), "{statuses:?}");
    assert!(statuses.contains(&StatusCode::GONE), "{statuses:?}");
}

#[tokio::test]
async fn s6_a_reset_link_opens_only_where_it_was_asked_or_where_a_person_says_so() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let (here, elsewhere) = (app.browser(), app.browser());
    let link = ask_reset(&app, &here, &alice.email).await.unwrap();
    let page = elsewhere.get(&link).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("Did you ask"), "{}", page.text());
    let (sealed, csrf) = (page.hidden("link"), page.hidden("csrf"));

    // The step in between cannot be left out.
    let fields = [("link", &*sealed), ("password", OTHER), ("csrf", &csrf)];
    let skipped = elsewhere.post("/reset-password", &fields).await;
    assert_eq!(skipped.status, StatusCode::FORBIDDEN);
    assert_eq!(find(&app, &alice).await.password, alice.password);
    assert!(app.audited().await.contains(&AuditKind::LinkRefused));

    let fields = [("link", &*sealed), ("csrf", &csrf)];
    let confirmed = elsewhere.post("/reset-password/confirm", &fields).await;
    assert_eq!(confirmed.status, StatusCode::SEE_OTHER);
    let bound = confirmed.location().to_owned();
    assert_done(&reset(&elsewhere, &bound, OTHER).await, "/sign-in?done=password-reset");
    assert_eq!(here.get(&link).await.status, StatusCode::GONE, "it is the same link");
}

#[tokio::test]
async fn s6_a_link_is_overtaken_by_a_newer_password_and_by_time() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.browser();
    let first = ask_reset(&app, &browser, &alice.email).await.unwrap();
    let second = ask_reset(&app, &browser, &alice.email).await.unwrap();
    assert_done(&reset(&browser, &second, OTHER).await, "/sign-in?done=password-reset");
    assert_eq!(browser.get(&first).await.status, StatusCode::GONE);
    let third = ask_reset(&app, &browser, &alice.email).await.unwrap();
    app.clock.advance(RESET_LINK_LIFETIME);
    assert_eq!(browser.get(&third).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn s6_a_link_for_one_thing_does_nothing_else() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let link = ask_reset(&app, &browser, &alice.email).await.unwrap();
    let (_, query) = link.split_once('?').unwrap();
    for path in ["/sign-up/finish", "/account/email/confirm"] {
        assert_eq!(browser.get(&format!("{path}?{query}")).await.status, StatusCode::GONE);
    }
    let sealed = query.strip_prefix("link=").unwrap();
    let answer = submit(&browser, "/account/email/confirm", &[("link", sealed)]).await;
    assert_eq!(answer.status, StatusCode::GONE);
    let tampered = format!("{}A", &sealed[..sealed.len() - 1]);
    for bad in [tampered.as_str(), "", "cs_ml_", "cs_at_xyz"] {
        let answer = browser.get(&format!("/reset-password?link={bad}")).await;
        assert_eq!(answer.status, StatusCode::GONE, "{bad}");
    }
}

#[tokio::test]
async fn x2_asking_for_a_link_tells_nobody_who_has_an_account() {
    let app = start().await;
    app.add_user("alice", &[]).await;
    let blocked = app.add_user("block", &[]).await;
    app.save_user(blocked.block("spam".to_owned(), app.provider.now())).await;
    let mut pages = Vec::new();
    for who in ["alice", "nobod", "block"] {
        let email = format!("{who}@example.com");
        let browser = app.browser();
        let csrf = browser.get("/forgotten-password").await.hidden("csrf");
        let fields = [("email", &*email), ("csrf", &csrf)];
        let answer = browser.post("/forgotten-password", &fields).await;
        pages.push((answer.status, answer.text().replace(&email, "")));
    }
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0], pages[2]);
    // The same rows were written for each; who gets a letter is found out afterwards.
    assert_eq!(app.queued().await.len(), 3);
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let sent: Vec<_> = mailbox.letters().into_iter().map(|letter| letter.to).collect();
    assert_eq!(sent, ["alice@example.com"]);
    assert_eq!(app.queued().await, []);
}

#[tokio::test]
async fn x2_nobody_has_an_address_flooded_with_links() {
    let app = start().await;
    app.add_user("alice", &[]).await;
    let mut statuses = Vec::new();
    for number in 0..6_u8 {
        let browser = app.browser_at(IpAddr::from([203, 0, 113, number]));
        let csrf = browser.get("/forgotten-password").await.hidden("csrf");
        let fields = [("email", "ALICE@example.com"), ("csrf", &csrf)];
        statuses.push(browser.post("/forgotten-password", &fields).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    assert_eq!(app.queued().await.len(), 4);
}

#[tokio::test]
async fn without_mail_there_is_no_link_and_the_page_says_so() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let page = browser.get("/forgotten-password").await;
    assert!(page.text().contains("id=\"no-mail\""));
    assert!(browser.get("/account").await.text().contains("id=\"no-mail\""));
    let fields = [("email", "a@example.com"), ("password", PASSWORD)];
    let answer = submit(&browser, "/account/email", &fields).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/sign-up").await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.queued().await, []);
}

#[tokio::test]
async fn another_address_counts_once_its_reader_has_signed_in_with_the_link() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let ask = async |email: &str, password: &str| {
        submit(&browser, "/account/email", &[("email", email), ("password", password)]).await
    };
    assert_eq!(ask("a@new.example", "guess").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let bad = ask("no address", PASSWORD).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.text().contains("value=\"no address\""), "what was typed stays");
    assert_eq!(app.queued().await, []);
    assert_eq!(ask("a@new.example", PASSWORD).await.status, StatusCode::OK);
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let link = link_in(&mailbox.last("a@new.example"), ISSUER);
    assert_eq!(find(&app, &alice).await.email, alice.email);

    // Who is signed in to another account, or to none, does nothing with it.
    let bob = app.add_user("bob", &[]).await;
    assert_eq!(app.signed_in(&bob).await.get(&link).await.status, StatusCode::GONE);
    assert_eq!(app.browser().get(&link).await.status, StatusCode::SEE_OTHER);

    let sealed = browser.get(&link).await.hidden("link");
    let confirmed = submit(&browser, "/account/email/confirm", &[("link", &sealed)]).await;
    assert_done(&confirmed, "/account?done=address-verified");
    let after = find(&app, &alice).await;
    assert_eq!(after.email, "a@new.example");
    assert!(after.email_verified_at.is_some());
    app.deliver(&mailbox).await;
    let told = mailbox.last("alice@example.com");
    assert!(told.text.contains("a@new.example"), "{}", told.text);
    let again = submit(&browser, "/account/email/confirm", &[("link", &sealed)]).await;
    assert_eq!(again.status, StatusCode::GONE);
    // The browser is known under the new name: nobody is told of a new device.
    browser.set_cookie(&app.provider.cookies.session, "gone");
    sign_in(&browser, "a@new.example", PASSWORD).await;
    assert_eq!(app.queued().await, []);
}

#[tokio::test]
async fn an_address_of_another_account_is_neither_given_nor_told() {
    let app = start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let ask = async |email: &str| {
        let fields = [("email", email), ("password", PASSWORD)];
        submit(&browser, "/account/email", &fields).await
    };
    app.add_user("bob", &[]).await;
    assert_eq!(ask("bob@example.com").await.status, StatusCode::OK);
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    assert_eq!(mailbox.letters(), []);

    // Taken between the message and the click.
    ask("carol@example.com").await;
    app.deliver(&mailbox).await;
    let link = link_in(&mailbox.last("carol@example.com"), ISSUER);
    app.add_user("carol", &[]).await;
    let sealed = browser.get(&link).await.hidden("link");
    let answer = submit(&browser, "/account/email/confirm", &[("link", &sealed)]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(find(&app, &alice).await.email, alice.email);
    assert_eq!(app.queued().await, [], "and nobody is told of a change that was none");
}

#[tokio::test]
async fn who_has_confirmed_an_address_may_register_apps_where_the_operator_says_so() {
    let app = start().await;
    app.change_policy(|policy| policy.accounts.developers = Developers::Verified);
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    assert_eq!(browser.get("/apps").await.status, StatusCode::FORBIDDEN);
    let fields = [("email", alice.email.as_str()), ("password", PASSWORD)];
    submit(&browser, "/account/email", &fields).await;
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let link = link_in(&mailbox.last(&alice.email), ISSUER);
    let sealed = browser.get(&link).await.hidden("link");
    submit(&browser, "/account/email/confirm", &[("link", &sealed)]).await;
    let page = browser.get("/apps").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("My applications"), "the menu has it too");
    app.change_policy(|policy| policy.accounts.developers = Developers::Invited);
    assert_eq!(browser.get("/apps").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all_at_once() {
    let app = start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    let (alice, bob) = (app.add_user("alice", &[]).await, app.add_user("bob", &[]).await);
    let (here, there, third) =
        (app.signed_in(&alice).await, app.signed_in(&alice).await, app.signed_in(&alice).await);
    let bobs = app.signed_in(&bob).await;
    let page = here.get("/account").await.text();
    assert_eq!(page.matches("name=\"end-session\"").count(), 3, "{page}");
    assert_eq!(page.matches("This one").count(), 1);

    let of_bob = bobs.get("/account").await.hidden("session");
    let foreign = submit(&here, "/account/sessions/end", &[("session", &of_bob)]).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert!(is_signed_in(&bobs, &bob).await);

    // Of two that are alike, which is listed first does not matter: one goes.
    let id = server_session(&app, &there);
    let ended = submit(&here, "/account/sessions/end", &[("session", &id)]).await;
    assert_done(&ended, "/account?done=session-ended");
    assert!(!is_signed_in(&there, &alice).await);
    assert!(is_signed_in(&third, &alice).await);

    let ended = submit(&here, "/account/sessions/end-all", &[("which", "others")]).await;
    assert_done(&ended, "/account?done=sessions-ended");
    assert!(!is_signed_in(&third, &alice).await);
    assert!(is_signed_in(&here, &alice).await);
    let ended = submit(&here, "/account/sessions/end-all", &[("which", "all")]).await;
    assert_eq!(ended.status, StatusCode::OK);
    assert!(!is_signed_in(&here, &alice).await);
    assert!(app.audited().await.contains(&AuditKind::SessionsEnded));
}

fn server_session(app: &TestApp, browser: &Browser<'_>) -> String {
    let secret = browser.cookie(&app.provider.cookies.session).unwrap();
    domain::session::session_id_of(secret.as_bytes()).to_string()
}
