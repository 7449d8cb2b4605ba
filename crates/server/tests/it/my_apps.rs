//! My applications: registering, changing and deleting an app under each registration policy.

use std::time::Duration;

use domain::app::{App, AppKind, AppStatus, Approval};
use domain::audit::AuditKind;
use domain::policy::Registration;
use domain::user::{Role, User};
use http::StatusCode;
use protocol::scope::ScopeSet;
use store::Tx;

use crate::forms::{assert_done, find_app, live_scope, submit};
use crate::harness::{Answer, Browser, Client, TestApp, Tokens};

pub(crate) const ASKS: [(&str, &str); 6] = [
    ("name", "Night Trader"),
    ("kind", "web"),
    ("redirect_uris", "https://night.example/cb\r\nhttps://night.example/cb2"),
    ("scope", "orders.read"),
    ("purpose.orders.read", "To show your orders."),
    ("required.orders.read", "yes"),
];

/// The form with fields replaced.
pub(crate) fn with<'a>(change: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = ASKS.into_iter().filter(|(name, _)| !change.iter().any(|(n, _)| n == name));
    kept.chain(change.iter().copied()).collect()
}

pub(crate) async fn developer(app: &TestApp) -> User {
    app.add_user("devi", &[Role::Developer]).await
}

pub(crate) async fn apps_of(app: &TestApp, user: &User) -> Vec<App> {
    let id = user.id;
    app.write(async move |tx: &mut Tx<'_>| store::apps::list_of_owner(tx, id).await).await
}

/// Register an app through its form.
pub(crate) async fn register(app: &TestApp, browser: &Browser<'_>, user: &User) -> (App, Answer) {
    let answer = submit(browser, "/apps/new", &ASKS).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    (apps_of(app, user).await.remove(0), answer)
}

fn set(text: &str) -> ScopeSet {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_new_app_waits_for_review_when_the_policy_says_so() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    assert!(browser.get("/apps/new?view=all").await.text().contains("Send for review"));
    let (made, _) = register(&app, &browser, &dev).await;
    assert_eq!(made.status, AppStatus::InReview);
    assert_eq!((made.requested_scopes(), made.approved.clone()), (set("orders.read"), set("")));
    assert!(made.requested[0].required);
    assert_eq!((made.name.as_str(), made.publisher.as_str()), ("Night Trader", "devi"));
    let id = &made.client_id;
    assert!(id.len() == 22 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(app.audited().await, [AuditKind::AppCreated]);
    let page = browser.get(&format!("/apps/{}", made.id)).await.text();
    assert!(page.contains("In review") && page.contains(id.as_str()), "{page}");
}

#[tokio::test]
async fn a_new_app_is_live_at_once_when_the_policy_says_so_and_says_that_nobody_looked() {
    let app = TestApp::start().await;
    app.change_policy(|policy| policy.registration = Registration::Live);
    let dev = developer(&app).await;
    let (made, _) = register(&app, &app.signed_in(&dev).await, &dev).await;
    let live = AppStatus::Live { since: made.created_at, approval: Approval::Unreviewed };
    assert_eq!((made.status, made.approved), (live, set("orders.read")));
}

#[tokio::test]
async fn where_registration_is_closed_only_staff_register_apps() {
    let app = TestApp::start().await;
    app.change_policy(|policy| policy.registration = Registration::Closed);
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    assert_eq!(browser.get("/apps/new").await.status, StatusCode::FORBIDDEN);
    let answer = submit(&browser, "/apps/new", &ASKS).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(apps_of(&app, &dev).await.is_empty());
    let staff = app.add_user("admin", &[Role::Admin]).await;
    let (made, _) = register(&app, &app.signed_in(&staff).await, &staff).await;
    assert!(made.is_live());
}

#[tokio::test]
async fn who_is_no_developer_has_no_applications() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    for path in ["/apps", "/apps/new"] {
        assert_eq!(browser.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(submit(&browser, "/apps/new", &ASKS).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_wrong_form_is_shown_again_with_every_reason_and_stores_nothing() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let uris = "https://night.example/cb\nhttps://night.example/cb#frag\nhttps://u@night.example/";
    let answer = submit(
        &browser,
        "/apps/new",
        &with(&[
            ("name", "N\u{202e}T"),
            ("redirect_uris", uris),
            ("homepage", "http://night.example"),
            ("purpose.orders.read", " "),
        ]),
    )
    .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text();
    for reason in [
        "Leave out control characters",
        "Line 2, <code>https:&#x2f;&#x2f;night.example&#x2f;cb#frag</code>",
        "contains a fragment",
        "Line 3",
        "contains a user name or password",
        "Start with https://",
        "Say in a sentence why the app needs this.",
    ] {
        let plain = page.replace("&#x2f;", "/");
        let reason = reason.replace("&#x2f;", "/");
        assert!(plain.contains(&reason), "{reason} not in {plain}");
    }
    assert!(apps_of(&app, &dev).await.is_empty());
}

#[tokio::test]
async fn only_scopes_of_the_provider_can_be_asked_for() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let fields = with(&[("scope", "admin.everything"), ("purpose.admin.everything", "Because.")]);
    let answer = submit(&browser, "/apps/new", &fields).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(apps_of(&app, &dev).await[0].requested.is_empty());
}

#[tokio::test]
async fn a_secret_is_shown_once_and_works() {
    let app = TestApp::start().await;
    app.change_policy(|policy| policy.registration = Registration::Live);
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let (made, answer) = register(&app, &browser, &dev).await;
    let secret = shown_secret(&answer);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(secret.len() == 43 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let page = browser.get(&format!("/apps/{}/credentials", made.id)).await.text();
    assert!(!page.contains(&secret) && page.contains(&secret[39..]), "{page}");
    let client = Client { app: made, secret: Some(secret) };
    let answer = client.post(&app, "/oauth/introspect", &[("token", "x")]).await;
    assert_eq!(answer.json()["active"], false, "the secret authenticates");
}

pub(crate) fn shown_secret(answer: &Answer) -> String {
    let page = answer.text();
    let (_, rest) = page.split_once("id=\"client-secret\"").unwrap();
    let (_, rest) = rest.split_once('>').unwrap();
    rest.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn an_app_has_at_most_five_secrets_and_a_public_one_has_none() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let (made, _) = register(&app, &browser, &dev).await;
    let path = format!("/apps/{}/secrets", made.id);
    for _ in 0..4 {
        assert_eq!(submit(&browser, &path, &[]).await.status, StatusCode::OK);
    }
    let sixth = submit(&browser, &path, &[("secret_name", "Sixth")]).await;
    assert_eq!(sixth.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(sixth.text().contains("has 5 secrets already"), "{}", sixth.text());
    let native = with(&[("kind", "native"), ("name", "Pocket")]);
    let answer = submit(&browser, "/apps/new", &native).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "no secret, so no page with one");
    let (path, _) = answer.location().split_once('?').unwrap();
    let answer = submit(&browser, &format!("{path}/secrets"), &[]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn removing_a_secret_ends_it_and_what_the_app_got_for_itself_with_it() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let browser = app.signed_in(&dev.unwrap()).await;
    let path = format!("/apps/{}/secrets", client.app.id);
    let second = Client {
        secret: Some(shown_secret(&submit(&browser, &path, &[]).await)),
        ..client.clone()
    };
    let service = [("grant_type", "client_credentials")];
    let by_first = client.post(&app, "/oauth/token", &service).await;
    let by_second = second.post(&app, "/oauth/token", &service).await;
    let (by_first, by_second) = (Tokens::of(&by_first), Tokens::of(&by_second));
    let app_id = client.app.id;
    let list = async move |tx: &mut Tx<'_>| store::client_secrets::list_of_app(tx, app_id).await;
    let first = app.write(list).await.into_iter().find(|secret| secret.hint == "test").unwrap();
    let fields = [("secret", &*first.id.to_string())];
    let answer = submit(&browser, &format!("{path}/remove"), &fields).await;
    assert_done(&answer, &format!("/apps/{app_id}/credentials?done=secret-removed"));
    assert_eq!(client.post(&app, "/oauth/token", &service).await.error(), "invalid_client");
    assert_eq!(live_scope(&app, &second, &by_first).await, None);
    assert!(live_scope(&app, &second, &by_second).await.is_some());
}

/// The developer of `bot`, its browser, and the app as alice connected it.
pub(crate) async fn live_app(app: &TestApp) -> (Browser<'_>, Client, Tokens) {
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    let tokens = client.tokens(app, &alice).await;
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    (app.signed_in(&dev.unwrap()).await, client, tokens)
}

fn details(name: &str) -> [(&'static str, String); 3] {
    let homepage = "https://bot.example.com/new".to_owned();
    [("name", name.to_owned()), ("description", "Says more.".to_owned()), ("homepage", homepage)]
}

async fn save_details(browser: &Browser<'_>, client: &Client, name: &str) -> Answer {
    let fields = details(name);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
    submit(browser, &format!("/apps/{}/details", client.app.id), &fields).await
}

#[tokio::test]
async fn a_description_changes_at_once_and_a_name_waits_while_the_old_one_stays_live() {
    let app = TestApp::start().await;
    let (browser, client, tokens) = live_app(&app).await;
    let path = format!("/apps/{}", client.app.id);
    let page = browser.get(&format!("{path}/settings")).await.text();
    assert!(page.contains("Name: a change waits until a person"), "{page}");
    assert!(page.contains("A new address waits until a person"), "{page}");
    assert_done(
        &save_details(&browser, &client, "The bot").await,
        &format!("{path}/settings?done=app-saved"),
    );
    let changed = find_app(&app, client.app.id).await.unwrap();
    assert!(changed.is_live());
    assert_eq!(changed.homepage.as_deref(), Some("https://bot.example.com/new"));
    assert!(live_scope(&app, &client, &tokens).await.is_some());

    let answer = save_details(&browser, &client, "The better bot").await;
    assert_done(&answer, &format!("{path}/settings?done=revision-to-review"));
    let waiting = find_app(&app, client.app.id).await.unwrap();
    assert!(waiting.is_live() && waiting.awaits_review());
    assert_eq!(waiting.name, "The bot");
    assert!(live_scope(&app, &client, &tokens).await.is_some());
    let page = browser.get(&path).await.text();
    for text in ["Not live yet", "<del>The bot</del>", "<ins>The better bot</ins>"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let back = submit(&browser, &format!("{path}/proposal/withdraw"), &[]).await;
    assert_done(&back, &format!("{path}?done=proposal-withdrawn"));
    assert!(!find_app(&app, client.app.id).await.unwrap().awaits_review());
}

#[tokio::test]
async fn a_new_redirect_uri_waits_while_the_old_ones_work() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let path = format!("/apps/{}/redirect-uris", client.app.id);
    submit(&browser, &path, &[("redirect_uris", "https://bot.example.com/callback\n")]).await;
    assert!(find_app(&app, client.app.id).await.unwrap().is_live());
    let bad = submit(&browser, &path, &[("redirect_uris", "https://*.example.com/")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(find_app(&app, client.app.id).await.unwrap().is_live());
    let both = "https://bot.example.com/callback\nhttps://evil.example/cb";
    submit(&browser, &path, &[("redirect_uris", both)]).await;
    let waiting = find_app(&app, client.app.id).await.unwrap();
    assert!(waiting.is_live() && waiting.awaits_review());
    assert_eq!(waiting.redirect_uris, client.app.redirect_uris);
    let alice = app.add_user("bob", &[]).await;
    client.tokens(&app, &alice).await;
}

#[tokio::test]
async fn under_the_live_policy_a_new_name_stays_live_and_loses_its_review() {
    let app = TestApp::start().await;
    app.change_policy(|policy| policy.registration = Registration::Live);
    let (browser, client, _) = live_app(&app).await;
    let staff = app.add_user("review", &[Role::Reviewer]).await;
    let since = app.provider.now();
    let approval = Approval::Reviewed { at: since, by: staff.id };
    let reviewed = App { status: AppStatus::Live { since, approval }, ..client.app.clone() };
    app.save_app(reviewed).await;
    save_details(&browser, &client, "The better bot").await;
    let status = find_app(&app, client.app.id).await.unwrap().status;
    assert_eq!(status, AppStatus::Live { since, approval: Approval::Unreviewed });
}

#[tokio::test]
async fn more_scopes_wait_while_the_approved_ones_stay_live() {
    let app = TestApp::start().await;
    let (browser, client, tokens) = live_app(&app).await;
    let path = format!("/apps/{}", client.app.id);
    let fields = [("scope", "withdraw"), ("purpose.withdraw", "To pay you out.")];
    let answer = submit(&browser, &format!("{path}/scopes"), &fields).await;
    assert_done(&answer, &format!("{path}/scopes?done=scopes-requested"));
    let changed = find_app(&app, client.app.id).await.unwrap();
    assert!(changed.is_live());
    assert_eq!(changed.pending_scopes(), set("withdraw"));
    assert!(live_scope(&app, &client, &tokens).await.is_some());
    let page = browser.get(&format!("{path}/scopes")).await.text();
    assert!(page.contains("id=\"change-in-review\"") && page.contains("Waits for review"));
    let nothing = submit(&browser, &format!("{path}/scopes"), &[]).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_scope_the_developer_gives_up_is_gone_from_the_next_call_on() {
    let app = TestApp::start().await;
    let (browser, client, tokens) = live_app(&app).await;
    let path = format!("/apps/{}/scopes/remove", client.app.id);
    submit(&browser, &path, &[("scope", "orders.create")]).await;
    let left = live_scope(&app, &client, &tokens).await;
    assert_eq!(left.as_deref(), Some("balances.read orders.read"));
}

#[tokio::test]
async fn lifetimes_stay_within_what_the_operator_allows() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let path = format!("/apps/{}", client.app.id);
    for (minutes, days) in [("0", "30"), ("61", "30"), ("ten", "30"), ("10", "91"), ("", "")] {
        let fields = [("access_minutes", minutes), ("refresh_days", days)];
        let answer = submit(&browser, &format!("{path}/lifetimes"), &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{minutes} {days}");
    }
    let fields = [("access_minutes", "5"), ("refresh_days", "30")];
    submit(&browser, &format!("{path}/lifetimes"), &fields).await;
    let lifetimes = find_app(&app, client.app.id).await.unwrap().lifetimes;
    assert_eq!(lifetimes.access_token, Some(Duration::from_secs(300)));
    assert_eq!(lifetimes.refresh_idle, None, "the operator's own default is no wish");
}

#[tokio::test]
async fn deleting_an_app_takes_its_name_tells_how_many_it_hits_and_ends_all_access() {
    let app = TestApp::start().await;
    let (browser, client, tokens) = live_app(&app).await;
    let other = app.add_app("watcher", AppKind::Web, |_| {}).await;
    let path = format!("/apps/{}/delete", client.app.id);
    assert!(browser.get(&path).await.text().contains("1 user"));
    let wrong = submit(&browser, &path, &[("confirm", "the bot")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(live_scope(&app, &client, &tokens).await.is_some());
    let answer = submit(&browser, &path, &[("confirm", "The bot")]).await;
    assert_done(&answer, "/apps?done=app-deleted");
    assert!(find_app(&app, client.app.id).await.is_none());
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.error(), "invalid_client");
    assert_eq!(live_scope(&app, &other, &tokens).await, None);
    let audited = app.audited().await;
    let tail = [AuditKind::ConsentWithdrawn, AuditKind::GrantRevoked, AuditKind::AppDeleted];
    assert!(audited.ends_with(&tail), "{audited:?}");
}

#[tokio::test]
async fn a2_another_developers_app_does_not_exist() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let stranger = app.add_user("stranger", &[Role::Developer, Role::Reviewer]).await;
    let browser = app.signed_in(&stranger).await;
    let path = format!("/apps/{}", client.app.id);
    for below in
        ["", "/delete", "/credentials", "/settings", "/scopes", "/messages", "/consent-preview"]
    {
        assert_eq!(browser.get(&format!("{path}{below}")).await.status, StatusCode::NOT_FOUND);
    }
    let posts = [
        "details",
        "redirect-uris",
        "addresses",
        "scopes",
        "scopes/remove",
        "lifetimes",
        "delete",
        "secrets",
        "secrets/remove",
        "secrets/roll",
        "secrets/end",
        "keys",
        "pause",
        "unpause",
    ];
    for below in posts {
        let fields = [("confirm", "The bot"), ("scope", "orders.read"), ("name", "Mine now")];
        let answer = submit(&browser, &format!("{path}/{below}"), &fields).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{below}");
    }
    assert_eq!(find_app(&app, client.app.id).await.unwrap().name, "The bot");
}

#[tokio::test]
async fn a_suspended_app_changes_nothing_that_staff_look_at() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let now = app.provider.now();
    app.save_app(client.app.clone().suspend("Phishing".to_owned(), now).unwrap()).await;
    let path = format!("/apps/{}", client.app.id);
    assert!(browser.get(&path).await.text().contains("Phishing"));
    let renamed = save_details(&browser, &client, "Another name").await;
    assert_eq!(renamed.status, StatusCode::CONFLICT);
    let fields = [("scope", "withdraw"), ("purpose.withdraw", "To pay you out.")];
    let asked = submit(&browser, &format!("{path}/scopes"), &fields).await;
    assert_eq!(asked.status, StatusCode::CONFLICT);
    let uris = [("redirect_uris", "https://evil.example/cb")];
    let moved = submit(&browser, &format!("{path}/redirect-uris"), &uris).await;
    assert_eq!(moved.status, StatusCode::CONFLICT);
    let app = find_app(&app, client.app.id).await.unwrap();
    assert_eq!((app.name, app.redirect_uris), (client.app.name, client.app.redirect_uris));
}

#[tokio::test]
async fn s5_a_form_without_this_sessions_token_changes_no_app() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    for below in ["delete", "details", "secrets"] {
        let path = format!("/apps/{}/{below}", client.app.id);
        let answer = browser.post(&path, &[("confirm", "The bot"), ("name", "Mine")]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{below}");
    }
    assert_eq!(find_app(&app, client.app.id).await.unwrap().name, "The bot");
}

#[tokio::test]
async fn nobody_takes_the_providers_name_whatever_the_policy() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let staff = app.add_user("staff", &[Role::Admin]).await;
    let policies =
        [(Registration::Live, &dev), (Registration::Review, &dev), (Registration::Closed, &staff)];
    for (registration, user) in policies {
        app.change_policy(|policy| policy.registration = registration);
        let browser = app.signed_in(user).await;
        for name in ["Test Exchange", "TESТ-Ехchange Official"] {
            let answer = submit(&browser, "/apps/new", &with(&[("name", name)])).await;
            let page = answer.text();
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{registration:?}");
            assert!(page.contains("contains “Test Exchange” or reads like it"), "{page}");
        }
        assert_eq!(apps_of(&app, user).await.len(), 0, "{registration:?}");
    }

    app.change_policy(|policy| policy.registration = Registration::Live);
    let browser = app.signed_in(&dev).await;
    let (made, _) = register(&app, &browser, &dev).await;
    let details = format!("/apps/{}/details", made.id);
    let renamed = submit(&browser, &details, &[("name", "Test 3xchange")]).await;
    assert_eq!(renamed.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", renamed.text());
    assert_eq!(find_app(&app, made.id).await.unwrap().name, "Night Trader");
}

#[tokio::test]
async fn an_app_that_the_operator_named_after_the_provider_keeps_its_name() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let own = app
        .add_app("own", AppKind::Web, |own| {
            own.owner = dev.id;
            own.name = "Test Exchange for Phones".to_owned();
        })
        .await;
    let browser = app.signed_in(&dev).await;
    let path = format!("/apps/{}", own.app.id);
    let fields = [("name", "Test Exchange for Phones"), ("description", "By ourselves.")];
    assert_done(
        &submit(&browser, &format!("{path}/details"), &fields).await,
        &format!("{path}/settings?done=app-saved"),
    );
}
