//! Second factors: set up, asked for at sign-in and before what is risky, guessed at, taken away.

use std::net::IpAddr;
use std::time::Duration;

use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::id::UserId;
use domain::policy::HighTierRule;
use domain::second_factor::open_secret;
use domain::user::User;
use http::StatusCode;
use protocol::totp;
use store::{Tx, second_factors};
use testkit::passkey::{Fields, VirtualPasskey};

use crate::harness::{Answer, Browser, ISSUER, PASSWORD, TestApp, start};

const STEP: Duration = Duration::from_secs(30);
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// The code that the user's only authenticator app shows.
async fn code(app: &TestApp, user: UserId) -> String {
    let find = async move |tx: &mut Tx<'_>| second_factors::find_enrolled(tx, user).await;
    let enrolled = app.write(find).await;
    let totp = enrolled.totps.first().unwrap();
    let secret = open_secret(&app.provider.keyring(), user, &totp.secret).unwrap();
    totp::code(&secret, app.provider.now().as_seconds() / totp::STEP_SECONDS)
}

async fn send(browser: &Browser<'_>, path: &str, fields: &[(&str, &str)], more: Fields) -> Answer {
    let fields = fields.iter().copied();
    let more = more.iter().map(|(name, value)| (*name, value.as_str()));
    browser.post(path, &fields.chain(more).collect::<Vec<_>>()).await
}

/// The value of `attribute` on the page.
fn attribute(page: &Answer, name: &str) -> String {
    let text = page.text();
    let (_, rest) = text.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{text}"));
    rest.split('"').next().unwrap().to_owned()
}

/// Set up an authenticator app and give the recovery codes that came with it.
async fn enrol_app(app: &TestApp, browser: &Browser<'_>) -> Vec<String> {
    let form = browser.get("/security/app").await;
    assert_eq!(form.status, StatusCode::OK, "{form:?}");
    let (new, csrf) = (form.hidden("new"), form.hidden("csrf"));
    let secret = form.text().split("id=\"secret\"").nth(1).unwrap().to_owned();
    let secret = secret.split(['>', '<']).nth(1).unwrap().replace(' ', "");
    let code = totp::code(&from_base32(&secret), app.provider.now().as_seconds() / 30);
    let fields = [("new", &*new), ("csrf", &*csrf), ("name", "Phone"), ("code", &*code)];
    let answer = browser.post("/security/app", &fields).await;
    assert!([200, 303].contains(&answer.status.as_u16()), "{answer:?}");
    // The code of this moment has been used.
    app.clock.advance(STEP);
    codes_on(&answer)
}

fn codes_on(page: &Answer) -> Vec<String> {
    let text = page.text();
    text.split("<li><code>").skip(1).map(|rest| rest[..14].to_owned()).collect()
}

fn from_base32(text: &str) -> Vec<u8> {
    let digit = |c| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
    let bits: String = text.chars().map(|c| format!("{:05b}", digit(c))).collect();
    let whole = bits.as_bytes().chunks_exact(8);
    whole.map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}

/// Make a passkey for whoever is signed in.
async fn enrol_passkey(browser: &Browser<'_>) -> VirtualPasskey {
    let form = browser.get("/security/passkey").await;
    assert_eq!(form.status, StatusCode::OK, "{form:?}");
    let passkey = VirtualPasskey::new(ISSUER, &attribute(&form, "data-user-id"));
    let answer = add_passkey(browser, &form, &passkey).await;
    assert!([200, 303].contains(&answer.status.as_u16()), "{answer:?}");
    passkey
}

async fn add_passkey(browser: &Browser<'_>, form: &Answer, passkey: &VirtualPasskey) -> Answer {
    let (state, csrf) = (form.hidden("passkey"), form.hidden("csrf"));
    let fields = [("passkey", &*state), ("csrf", &*csrf), ("name", "Laptop")];
    let made = passkey.create(&attribute(form, "data-challenge"));
    send(browser, "/security/passkey", &fields, made).await
}

/// The answer to the right password, or to a wrong one.
async fn give_password(browser: &Browser<'_>, user: &User, password: &str) -> Answer {
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    let fields = [("email", &*user.email), ("password", password), ("csrf", &csrf)];
    browser.post("/sign-in", &fields).await
}

async fn give_code(browser: &Browser<'_>, page: &Answer, code: &str) -> Answer {
    let (half_way, csrf) = (page.hidden("half_way"), page.hidden("csrf"));
    let fields =
        [("half_way", &*half_way), ("csrf", &*csrf), ("code", code), ("continue", "/connected")];
    browser.post("/sign-in/second-factor", &fields).await
}

async fn sign_in_with(browser: &Browser<'_>, page: &Answer, passkey: &VirtualPasskey) -> Answer {
    let (state, csrf) = (page.hidden("passkey"), page.hidden("csrf"));
    let fields = [("passkey", &*state), ("csrf", &*csrf), ("continue", "/connected")];
    let used = passkey.get(&attribute(page, "data-challenge"));
    send(browser, "/sign-in/passkey", &fields, used).await
}

async fn is_signed_in(browser: &Browser<'_>, user: &User) -> bool {
    browser.get("/").await.text().contains(&user.email)
}

/// Alice with an authenticator app, and her recovery codes.
async fn alice_with_app() -> (TestApp, User, Vec<String>) {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    let codes = enrol_app(&app, &browser).await;
    assert_eq!(codes.len(), 10);
    (app, alice, codes)
}

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

async fn always(app: &TestApp) {
    app.change_policy(|policy| policy.high_tier = HighTierRule::Always);
}

#[tokio::test]
async fn a_high_tier_scope_takes_a_second_factor_before_the_consent_page() {
    let (app, alice, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&alice).await;
    let path = client.authorize_path(&[]);
    assert_eq!(browser.get(&path).await.status, StatusCode::OK, "who has none is not asked");
    always(&app).await;
    let low = client.authorize_path(&[("scope", "balances.read orders.read")]);
    assert_eq!(browser.get(&low).await.status, StatusCode::OK, "nothing of high tier");
    let to_step_up = browser.get(&path).await;
    assert!(to_step_up.location().starts_with("/step-up?continue="), "{to_step_up:?}");
    let page = browser.get(to_step_up.location()).await;
    let link = page.text().split("href=\"/security/app?").nth(1).unwrap().to_owned();
    let link = format!("/security/app?{}", link.split('"').next().unwrap().replace("&amp;", "&"));
    let form = browser.get(&link).await;
    let continue_to = form.hidden("continue");
    enrol_app(&app, &browser).await;
    let consent = browser.get(&continue_to).await;
    assert_eq!(consent.status, StatusCode::OK);
    let answer = browser.decide(&consent, "allow", &["orders.create"]).await;
    assert!(answer.redirected("code").is_some(), "{answer:?}");

    // Another day: it is asked for again, and then given with a code.
    app.clock.advance(QUARTER);
    let path = client.authorize_path(&[("prompt", "consent")]);
    let to_step_up = browser.get(&path).await;
    let page = browser.get(to_step_up.location()).await;
    let (csrf, to) = (page.hidden("csrf"), page.hidden("continue"));
    let code = code(&app, alice.id).await;
    let fields = [("csrf", &*csrf), ("code", &*code), ("continue", &*to)];
    let back = browser.post("/step-up", &fields).await;
    assert_eq!(browser.get(back.location()).await.status, StatusCode::OK, "the consent page");
}

#[tokio::test]
async fn s5_the_consent_page_of_a_high_tier_scope_cannot_be_reached_around_the_second_factor() {
    let (app, alice, client) = start(AppKind::Web).await;
    always(&app).await;
    let browser = app.signed_in(&alice).await;
    let to_step_up = browser.get(&client.authorize_path(&[])).await;
    // Just going on leads back.
    let on = to_step_up.redirected("continue").unwrap();
    assert!(browser.get(&on).await.location().starts_with("/step-up?continue="));
    let sealed = on.split("request=").nth(1).unwrap().to_owned();
    let csrf = browser.csrf();
    let fields = [
        ("request", &*sealed),
        ("csrf", &*csrf),
        ("decision", "allow"),
        ("scope", "orders.create"),
    ];
    let forged = browser.post("/oauth/consent", &fields).await;
    assert_eq!(forged.status, StatusCode::BAD_REQUEST);
    assert!(app.live_grants(&alice, &client.app).await.is_empty());
}

#[tokio::test]
async fn a_user_who_gives_no_second_factor_goes_back_to_the_app_with_the_error_of_rfc_9470() {
    let (app, alice, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&alice).await;
    let path = client.authorize_path(&[("acr_values", "2fa")]);
    let page = browser.get(browser.get(&path).await.location()).await;
    let cancel = page.text().split("id=\"cancel\" href=\"").nth(1).unwrap().to_owned();
    let back = browser.get(&cancel.split('"').next().unwrap().replace("&amp;", "&")).await;
    assert_eq!(back.redirected("error").as_deref(), Some("unmet_authentication_requirements"));
    assert_eq!(back.redirected("state").as_deref(), Some("xyz"));
    assert_eq!(back.redirected("iss").as_deref(), Some(ISSUER));
}

#[tokio::test]
async fn acr_values_are_met_or_refused_and_tokens_say_what_was() {
    let (app, alice, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&alice).await;
    let unknown = browser.get(&client.authorize_path(&[("acr_values", "gold silver")])).await;
    assert_eq!(unknown.redirected("error").as_deref(), Some("unmet_authentication_requirements"));
    let silent = [("acr_values", "2fa"), ("prompt", "none")];
    let silent = browser.get(&client.authorize_path(&silent)).await;
    assert_eq!(silent.redirected("error").as_deref(), Some("interaction_required"));

    enrol_app(&app, &browser).await;
    let two = client.authorize_path(&[("acr_values", "gold 2fa")]);
    let answer = browser.get(&two).await;
    let answer = browser.decide(&answer, "allow", &["orders.create"]).await;
    let code = answer.redirected("code").unwrap();
    client.redeem(&app, &code).await;
    let grant = crate::harness::only_grant(&app, &alice, &client).await;
    assert_eq!(grant.acr.as_deref(), Some("2fa"));
    assert_eq!(grant.amr.as_deref(), Some("pwd otp mfa"));

    // An authenticator app can be phished; a passkey cannot.
    let phr = client.authorize_path(&[("acr_values", "phr")]);
    let to_step_up = browser.get(&phr).await;
    let page = browser.get(to_step_up.location()).await;
    assert!(!page.text().contains("id=\"code\""), "a code is no use");
    assert!(page.text().contains("/security/passkey?continue="), "{}", page.text());
    enrol_passkey(&browser).await;
    let back = to_step_up.redirected("continue").unwrap();
    let answer = browser.get(&back).await;
    assert!(answer.redirected("code").is_some(), "{answer:?}");
}

#[tokio::test]
async fn max_age_asks_for_both_factors_again() {
    let (app, alice, client) = start(AppKind::Web).await;
    let browser = app.signed_in(&alice).await;
    enrol_app(&app, &browser).await;
    app.clock.advance(QUARTER);
    let old = browser.get(&client.authorize_path(&[("max_age", "60")])).await;
    assert!(old.location().starts_with("/sign-in?continue="));
    let form = browser.get(old.location()).await;
    let (csrf, to) = (form.hidden("csrf"), form.hidden("continue"));
    let fields =
        [("email", &*alice.email), ("password", PASSWORD), ("csrf", &*csrf), ("continue", &*to)];
    let page = browser.post("/sign-in", &fields).await;
    let (half_way, csrf) = (page.hidden("half_way"), page.hidden("csrf"));
    let code = code(&app, alice.id).await;
    let fields = [("half_way", &*half_way), ("csrf", &*csrf), ("code", &*code), ("continue", &*to)];
    let on = browser.post("/sign-in/second-factor", &fields).await;
    assert_eq!(browser.get(on.location()).await.status, StatusCode::OK, "the consent page");
}

#[tokio::test]
async fn s5_a_device_and_a_shown_code_take_the_second_factor_too() {
    let (app, alice, client) = start(AppKind::Native).await;
    always(&app).await;
    let asked = [("client_id", "bot"), ("scope", "orders.create")];
    let told = app.post("/oauth/device_authorization", &[], &asked).await.json();
    let browser = app.signed_in(&alice).await;
    let csrf = browser.csrf();
    let code = told["user_code"].as_str().unwrap();
    let page = browser.post("/device", &[("user_code", code), ("csrf", &csrf)]).await;
    let request = page.hidden("request");
    let fields = [("request", &*request), ("csrf", &*csrf), ("decision", "mine")];
    let to_step_up = browser.post("/device/confirm", &fields).await;
    assert!(to_step_up.location().starts_with("/step-up?continue="), "{to_step_up:?}");
    let on = to_step_up.redirected("continue").unwrap();
    assert!(browser.get(&on).await.location().starts_with("/step-up?"), "going on leads back");
    let mallory = app.add_user("mallory", &[]).await;
    let other = app.signed_in(&mallory).await;
    enrol_app(&app, &other).await;
    assert!(other.get(&on).await.location().starts_with("/sign-in?"), "it is Alice's to decide");
    enrol_app(&app, &browser).await;
    let consent = browser.get(&on).await;
    assert_eq!(consent.status, StatusCode::OK, "{consent:?}");
    let done = browser.decide(&consent, "allow", &["orders.create"]).await;
    assert!(done.text().contains("Go back to your device"), "{}", done.text());
    assert!(client.secret.is_none());
}
