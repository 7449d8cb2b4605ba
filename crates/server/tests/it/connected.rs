//! Connected apps: what a user sees, takes back and reports, and that the app feels it at once.

use std::time::Duration;

use domain::app::AppKind;
use domain::audit::{AuditActor, AuditKind};
use domain::time::Clock as _;
use domain::usage::{Use, UsedBy};
use domain::user::{Role, User};
use http::StatusCode;
use protocol::scope::ScopeSet;
use store::Tx;

use crate::forms::{assert_done, consent_of, live_scope, submit};
use crate::harness::{ADDRESS, Client, TestApp, Tokens};

/// Alice has let the app in and it holds tokens.
async fn connected(app: &TestApp) -> (User, Client, Tokens) {
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    let tokens = client.tokens(app, &alice).await;
    assert!(live_scope(app, &client, &tokens).await.is_some());
    (alice, client, tokens)
}

async fn path_of(app: &TestApp, user: &User, client: &Client) -> String {
    format!("/connected/{}", consent_of(app, user, client).await.id)
}

#[tokio::test]
async fn revoking_an_app_ends_its_tokens_at_once() {
    let app = TestApp::start().await;
    let (alice, client, tokens) = connected(&app).await;
    let (browser, path) = (app.signed_in(&alice).await, path_of(&app, &alice, &client).await);
    assert!(browser.get("/connected").await.text().contains("The bot"));
    let answer = submit(&browser, &format!("{path}/revoke"), &[]).await;
    assert_done(&answer, "/connected?done=access-revoked");
    assert_eq!(live_scope(&app, &client, &tokens).await, None);
    let refreshed = client.refresh(&app, &tokens.refresh, &[]).await;
    assert_eq!((refreshed.status, &*refreshed.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
    assert!(!browser.get("/connected").await.text().contains("The bot"));
    assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND);
    assert!(app.live_grants(&alice, &client.app).await.is_empty());
    let audited = app.audited().await;
    assert!(audited.ends_with(&[AuditKind::ConsentWithdrawn, AuditKind::GrantRevoked]));
}

#[tokio::test]
async fn a_scope_that_was_taken_back_is_gone_from_tokens_and_comes_back_with_new_ones_only() {
    let app = TestApp::start().await;
    let (alice, client, tokens) = connected(&app).await;
    let (browser, path) = (app.signed_in(&alice).await, path_of(&app, &alice, &client).await);
    let fields = [("scope", "orders.create")];
    let answer = submit(&browser, &format!("{path}/scopes/remove"), &fields).await;
    assert_done(&answer, &format!("{path}?done=scope-taken-back"));
    let left = live_scope(&app, &client, &tokens).await;
    assert_eq!(left.as_deref(), Some("balances.read orders.read"));
    let page = browser.get(&path).await.text();
    assert!(page.contains("You took back “Buy and sell”."), "{page}");
    assert!(!page.contains("id=\"remove-scope-orders.create\""), "{page}");

    // It is not asked again by itself: the app has to insist, and the user sees it.
    let asking = browser.get(&client.authorize_path(&[("prompt", "consent")])).await;
    let all = ["balances.read", "orders.read", "orders.create"];
    let code = browser.decide(&asking, "allow", &all).await.redirected("code").unwrap();
    let again = Tokens::of(&client.redeem(&app, &code).await);
    let new = live_scope(&app, &client, &again).await;
    assert_eq!(new.as_deref(), Some("balances.read orders.create orders.read"));
    let old = live_scope(&app, &client, &tokens).await;
    assert_eq!(old.as_deref(), Some("balances.read orders.read"));
}

#[tokio::test]
async fn taking_back_what_the_app_needs_ends_its_access_and_the_page_says_so_before() {
    let app = TestApp::start().await;
    let (alice, client, tokens) = connected(&app).await;
    let (browser, path) = (app.signed_in(&alice).await, path_of(&app, &alice, &client).await);
    let page = browser.get(&path).await.text();
    assert!(page.contains("id=\"ends-access-balances.read\""), "{page}");
    assert!(!page.contains("id=\"ends-access-orders.read\""), "{page}");
    let fields = [("scope", "balances.read")];
    let answer = submit(&browser, &format!("{path}/scopes/remove"), &fields).await;
    assert_done(&answer, "/connected?done=access-revoked");
    assert_eq!(live_scope(&app, &client, &tokens).await, None);
}

#[tokio::test]
async fn taking_back_the_last_scope_ends_the_access() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |app| {
        app.requested.iter_mut().for_each(|request| request.required = false);
    });
    let client = client.await;
    let alice = app.add_user("alice", &[]).await;
    let tokens = client.tokens(&app, &alice).await;
    let (browser, path) = (app.signed_in(&alice).await, path_of(&app, &alice, &client).await);
    for scope in ["orders.create", "orders.read"] {
        let fields = [("scope", scope)];
        let answer = submit(&browser, &format!("{path}/scopes/remove"), &fields).await;
        assert_done(&answer, &format!("{path}?done=scope-taken-back"));
    }
    assert!(browser.get(&path).await.text().contains("id=\"ends-access-balances.read\""));
    let fields = [("scope", "balances.read")];
    let answer = submit(&browser, &format!("{path}/scopes/remove"), &fields).await;
    assert_done(&answer, "/connected?done=access-revoked");
    assert_eq!(live_scope(&app, &client, &tokens).await, None);
}

#[tokio::test]
async fn a_scope_that_is_not_there_cannot_be_taken_back() {
    let app = TestApp::start().await;
    let (alice, client, tokens) = connected(&app).await;
    let (browser, path) = (app.signed_in(&alice).await, path_of(&app, &alice, &client).await);
    for (scope, status) in [("withdraw", 409), ("", 400), ("a\"b", 400)] {
        let fields = [("scope", scope)];
        let answer = submit(&browser, &format!("{path}/scopes/remove"), &fields).await;
        assert_eq!(answer.status.as_u16(), status, "{scope}");
    }
    assert!(live_scope(&app, &client, &tokens).await.is_some());
}

#[tokio::test]
async fn ending_one_sign_in_leaves_the_others() {
    let app = TestApp::start().await;
    let (alice, client, phone) = connected(&app).await;
    let phone_grant = app.live_grants(&alice, &client.app).await[0].id.to_string();
    app.clock.advance(Duration::from_secs(60));
    let laptop = client.tokens(&app, &alice).await;
    let (browser, path) = (app.signed_in(&alice).await, path_of(&app, &alice, &client).await);
    let fields = [("grant", &*phone_grant)];
    let answer = submit(&browser, &format!("{path}/grants/end"), &fields).await;
    assert_done(&answer, &format!("{path}?done=grant-ended"));
    assert_eq!(live_scope(&app, &client, &phone).await, None);
    assert!(live_scope(&app, &client, &laptop).await.is_some());
    let again = submit(&browser, &format!("{path}/grants/end"), &fields).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "it has ended already");
}

#[tokio::test]
async fn a2_another_users_consent_does_not_exist() {
    let app = TestApp::start().await;
    let (alice, client, tokens) = connected(&app).await;
    let bob = app.add_user("bob", &[Role::Admin]).await;
    let bobs_tokens = client.tokens(&app, &bob).await;
    let (browser, path) = (app.signed_in(&bob).await, path_of(&app, &alice, &client).await);
    let grant = app.live_grants(&alice, &client.app).await[0].id.to_string();
    for below in ["", "/report"] {
        assert_eq!(browser.get(&format!("{path}{below}")).await.status, StatusCode::NOT_FOUND);
    }
    let fields = [("scope", "orders.read"), ("grant", &*grant), ("what", "x"), ("revoke", "yes")];
    for below in ["/revoke", "/scopes/remove", "/grants/end", "/report"] {
        let answer = submit(&browser, &format!("{path}{below}"), &fields).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{below}");
    }
    // Nor does her grant below his own consent.
    let own = path_of(&app, &bob, &client).await;
    let answer = submit(&browser, &format!("{own}/grants/end"), &fields).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let all = Some("balances.read orders.create orders.read");
    assert_eq!(live_scope(&app, &client, &tokens).await.as_deref(), all);
    assert_eq!(live_scope(&app, &client, &bobs_tokens).await.as_deref(), all);
}

#[tokio::test]
async fn s5_without_its_own_token_a_form_takes_nothing_back() {
    let app = TestApp::start().await;
    let (alice, client, tokens) = connected(&app).await;
    let (browser, path) = (app.signed_in(&alice).await, path_of(&app, &alice, &client).await);
    let others = app.signed_in(&alice).await.csrf();
    for csrf in ["", "0000", &others] {
        let answer = browser.post(&format!("{path}/revoke"), &[("csrf", csrf)]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    assert!(live_scope(&app, &client, &tokens).await.is_some());
}

#[tokio::test]
async fn the_page_says_what_the_app_did_from_where_and_when() {
    let app = TestApp::start().await;
    let (alice, client, _) = connected(&app).await;
    let grant = app.live_grants(&alice, &client.app).await[0].id;
    let (user_id, app_id, at) = (alice.id, client.app.id, app.clock.now());
    let call = move |family: &str, status| Use {
        by: UsedBy::Grant(grant),
        app_id,
        user_id: Some(user_id),
        family: family.to_owned(),
        status,
        address: ADDRESS,
        at,
    };
    app.write(async move |tx: &mut Tx<'_>| {
        let calls = [call("orders", 200), call("orders", 200), call("withdraw", 403)];
        store::usage::add(tx, &calls).await
    })
    .await;
    app.clock.advance(Duration::from_secs(3 * 60));
    let browser = app.signed_in(&alice).await;
    let page = browser.get(&path_of(&app, &alice, &client).await).await.text();
    assert!(page.contains("3 minutes ago") && page.contains("from 127.0.0.1"), "{page}");
    assert!(page.contains("<code>withdraw</code>") && page.contains("<code>orders</code>"));
    assert!(page.contains("You allowed 3 permissions."), "{page}");
    assert!(page.contains("It signed in."), "{page}");
}

#[tokio::test]
async fn an_app_that_was_not_used_for_90_days_is_marked() {
    let app = TestApp::start().await;
    let (alice, client, _) = connected(&app).await;
    let path = path_of(&app, &alice, &client).await;
    for (days, marked) in [(89, false), (1, true)] {
        app.clock.advance(Duration::from_secs(days * 24 * 3600));
        let page = app.signed_in(&alice).await.get(&path).await.text();
        assert_eq!(page.contains("id=\"unused\""), marked, "{page}");
    }
}

#[tokio::test]
async fn a_report_is_kept_word_for_word_and_staff_see_it() {
    let app = TestApp::start().await;
    let (alice, client, tokens) = connected(&app).await;
    let (browser, path) = (app.signed_in(&alice).await, path_of(&app, &alice, &client).await);
    let report = format!("{path}/report");
    assert_eq!(browser.get(&report).await.status, StatusCode::OK);
    for bad in ["  ", &"x".repeat(2001)] {
        let answer = submit(&browser, &report, &[("what", bad), ("revoke", "yes")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert!(live_scope(&app, &client, &tokens).await.is_some(), "nothing was done yet");

    let words = "It sold <everything> at night";
    let answer = submit(&browser, &report, &[("what", words)]).await;
    assert_done(&answer, &format!("{path}?done=reported"));
    assert!(live_scope(&app, &client, &tokens).await.is_some());
    let list =
        async |tx: &mut Tx<'_>| store::audit::list_of_kind(tx, AuditKind::AppReported, 10).await;
    let [event] = app.write(list).await.try_into().unwrap();
    assert_eq!((event.actor, event.app_id), (AuditActor::User(alice.id), Some(client.app.id)));
    assert_eq!(event.detail["text"], words);
    let staff = app.add_user("review", &[Role::Reviewer]).await;
    let page = app.signed_in(&staff).await.get("/staff/apps").await.text();
    assert!(page.contains("It sold &lt;everything&gt; at night"), "{page}");

    let answer = submit(&browser, &report, &[("what", "Again"), ("revoke", "yes")]).await;
    assert_done(&answer, "/connected?done=reported-and-revoked");
    assert_eq!(live_scope(&app, &client, &tokens).await, None);
}

#[tokio::test]
async fn a_withdrawn_consent_is_asked_again() {
    let app = TestApp::start().await;
    let (alice, client, _) = connected(&app).await;
    let (browser, path) = (app.signed_in(&alice).await, path_of(&app, &alice, &client).await);
    submit(&browser, &format!("{path}/revoke"), &[]).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    assert_eq!(page.status, StatusCode::OK, "the consent page is shown");
    let consent = consent_of(&app, &alice, &client).await;
    assert_eq!(consent.live_scopes(), ScopeSet::new());
}

#[tokio::test]
async fn the_history_says_what_was_left_out() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    browser.decide(&page, "allow", &["orders.read"]).await;
    let consent = consent_of(&app, &user, &client).await;
    let text = browser.get(&format!("/connected/{}", consent.id)).await.text();
    assert!(text.contains("You allowed 2 permissions and left out “"), "{text}");

    let all = ["balances.read", "orders.read", "orders.create"];
    // Left out once, it is not asked again until the app says so.
    let answer = browser.get(&client.authorize_path(&[])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let page = browser.get(&client.authorize_path(&[("prompt", "consent")])).await;
    browser.decide(&page, "allow", &all).await;
    let text = browser.get(&format!("/connected/{}", consent.id)).await.text();
    assert!(text.contains("You allowed 3 permissions."), "{text}");
}
