//! What the operator's policy asks of review: tiers, conditions of approvals, looking again, apps that
//! nobody uses; who takes care of what.

use std::time::Duration;

use domain::app::{App, AppKind, AppStatus, Approval};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::condition::{Conditions, ScopeCondition};
use domain::policy::{CannedAnswer, ScopeTier};
use domain::usage::{Use, UsedBy};
use domain::user::{Role, User};
use http::StatusCode;
use protocol::scope::ScopeSet;
use server::review::jobs;

use crate::forms::{assert_done, find_app, is_accepted, live_scope, submit};
use crate::harness::{Answer, Browser, Client, TestApp, only_grant};
use crate::test_mode::{in_tests, owner};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn reviewer(app: &TestApp) -> User {
    app.add_user("review", &[Role::Reviewer]).await
}

async fn waiting(app: &TestApp) -> Client {
    app.add_app("newcomer", AppKind::Web, |app| {
        app.status = AppStatus::InReview;
        app.approved = ScopeSet::new();
    })
    .await
}

fn path_of(client: &Client) -> String {
    format!("/staff/review/{}", client.app.id)
}

async fn decide(browser: &Browser<'_>, client: &Client, fields: &[(&str, &str)]) -> Answer {
    let revision = browser.get(&path_of(client)).await.hidden("revision");
    let mut fields = fields.to_vec();
    fields.push(("revision", &revision));
    submit(browser, &path_of(client), &fields).await
}

const ALL: [(&str, &str); 4] = [
    ("decision", "approve"),
    ("scope", "balances.read"),
    ("scope", "orders.read"),
    ("scope", "orders.create"),
];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    ALL.iter().chain(more).copied().collect()
}

async fn due(app: &TestApp, unused: &jobs::Unused) {
    jobs::run(&app.provider, unused).await.unwrap();
}

#[tokio::test]
async fn an_approval_until_a_day_ends_at_the_next_call_and_waits_for_staff_again() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let day = domain::time::Timestamp::after(app.provider.now(), 2 * DAY);
    let day = server::display::iso_date(day);
    let answer = decide(&browser, &client, &with(&[("until.orders.read", &day)])).await;
    assert_done(&answer, "/staff/review?done=app-approved");
    let alice = app.add_user("alice", &[]).await;
    let page = app.signed_in(&alice).await.get(&client.authorize_path(&[])).await.text();
    assert!(page.contains("Until "), "{page}");
    let tokens = client.tokens(&app, &alice).await;
    let before = live_scope(&app, &client, &tokens).await.unwrap();
    assert!(before.contains("orders.read"), "{before}");
    app.clock.advance(3 * DAY);
    let answer = client.refresh(&app, &tokens.refresh, &[]).await;
    let after = answer.json()["scope"].as_str().unwrap().to_owned();
    assert!(!after.contains("orders.read") && after.contains("balances.read"), "{after}");
    due(&app, &jobs::Unused::default()).await;
    let found = find_app(&app, client.app.id).await.unwrap();
    assert!(found.is_live() && found.awaits_review());
    assert_eq!(app.audited().await.last(), Some(&AuditKind::AppApprovalEnded));
}

#[tokio::test]
async fn a_scope_for_so_many_users_is_refused_to_the_next_and_kept_by_the_first() {
    let app = TestApp::start().await;
    let client = app
        .add_app("bot", AppKind::Web, |app| {
            let one = ScopeCondition { user_max: Some(1), ..ScopeCondition::default() };
            app.review.conditions = Conditions::from([("orders.read".parse().unwrap(), one)]);
        })
        .await;
    let (alice, bob) = (app.add_user("alice", &[]).await, app.add_user("bob", &[]).await);
    let both = app.signed_in(&bob).await;
    let offered = both.get(&client.authorize_path(&[])).await;
    let first = app.signed_in(&alice).await;
    let page = first.get(&client.authorize_path(&[])).await;
    let answer = first.decide(&page, "allow", &["balances.read", "orders.read"]).await;
    let tokens = client.redeem(&app, &answer.redirected("code").unwrap()).await.json();
    assert_eq!(tokens["scope"], "balances.read orders.read");
    // Bob's page was made when there was a place: what he ticked is not his fault.
    let answer = both.decide(&offered, "allow", &["balances.read", "orders.read"]).await;
    let tokens = client.redeem(&app, &answer.redirected("code").unwrap()).await.json();
    assert_eq!(tokens["scope"], "balances.read");
    let page = both.get(&client.authorize_path(&[("prompt", "consent")])).await.text();
    assert!(page.contains("Not available: See your orders."), "{page}");
    let again = first.get(&client.authorize_path(&[("prompt", "consent")])).await.text();
    assert!(!again.contains("Not available"), "who has a place keeps it");
    let only = both.get(&client.authorize_path(&[("scope", "orders.read")])).await;
    assert_eq!(only.redirected("error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn a_scope_for_tests_is_not_approved_and_does_not_wait() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let answer = decide(&browser, &client, &with(&[("tests.orders.create", "yes")])).await;
    assert_done(&answer, "/staff/review?done=app-approved");
    let found = find_app(&app, client.app.id).await.unwrap();
    assert_eq!(found.approved, "balances.read orders.read".parse().unwrap());
    assert!(found.requested_scopes().contains("orders.create") && !found.awaits_review());
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let page =
        app.signed_in(&dev.unwrap()).await.get(&format!("/apps/{}/scopes", client.app.id)).await;
    assert!(page.text().contains("Tests only"), "{}", page.text());
}

#[tokio::test]
async fn a_condition_that_means_nothing_is_told_and_what_was_typed_stays() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let fields = with(&[("users.orders.read", "many"), ("note", "Welcome.")]);
    let answer = decide(&browser, &client, &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text();
    assert!(page.contains("whole number") && page.contains("many") && page.contains("Welcome."));
    assert_eq!(find_app(&app, client.app.id).await.unwrap().status, AppStatus::InReview);
}

#[tokio::test]
async fn scopes_of_tiers_that_nobody_looks_at_are_approved_at_once_and_say_so() {
    let app = TestApp::start_with(|policy| {
        policy.review.tiers = vec![ScopeTier::Sensitive, ScopeTier::High];
    })
    .await;
    let client = app
        .add_app("bot", AppKind::Web, |app| {
            app.requested.retain(|request| request.scope.as_str() != "orders.read");
            app.approved = "balances.read orders.create".parse().unwrap();
        })
        .await;
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let browser = app.signed_in(&dev.unwrap()).await;
    let fields = [
        ("scope", "orders.read"),
        ("purpose.orders.read", "To show them."),
        ("scope", "withdraw"),
        ("purpose.withdraw", "To move money."),
    ];
    submit(&browser, &format!("/apps/{}/scopes", client.app.id), &fields).await;
    let found = find_app(&app, client.app.id).await.unwrap();
    assert!(found.approved.contains("orders.read") && !found.approved.contains("withdraw"));
    assert!(found.awaits_review(), "the other one waits");
    let alice = app.add_user("alice", &[]).await;
    let page = app.signed_in(&alice).await.get(&client.authorize_path(&[])).await.text();
    assert!(page.contains("Nobody at staff looked at this one."), "{page}");
}

#[tokio::test]
async fn a_live_app_is_looked_at_again_after_a_time_and_stays_live() {
    let app = TestApp::start_with(|policy| policy.review.again_after = Some(365 * DAY)).await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    decide(&browser, &client, &ALL).await;
    due(&app, &jobs::Unused::default()).await;
    assert!(!find_app(&app, client.app.id).await.unwrap().awaits_review());
    app.clock.advance(366 * DAY);
    due(&app, &jobs::Unused::default()).await;
    due(&app, &jobs::Unused::default()).await;
    let found = find_app(&app, client.app.id).await.unwrap();
    assert!(found.is_live() && found.awaits_review());
    assert_eq!(app.audited().await.last(), Some(&AuditKind::AppDueAgain));
    let browser = app.signed_in(&staff).await;
    let again = browser.get("/staff/review?kind=again").await.text();
    assert!(again.contains("The newcomer") && again.contains("Due again"));
    assert!(!browser.get("/staff/review?kind=new").await.text().contains("The newcomer"));
    let nothing = [("decision", "reject"), ("note", "No.")];
    let answer = decide(&browser, &client, &nothing).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "there is nothing new to reject");
    decide(&browser, &client, &ALL).await;
    assert!(!find_app(&app, client.app.id).await.unwrap().awaits_review());
}

#[tokio::test]
async fn an_app_that_nobody_uses_is_reminded_then_retired_and_its_developer_wakes_it() {
    let app = TestApp::start_with(|policy| policy.review.unused_after = Some(30 * DAY)).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    let tokens = client.tokens(&app, &alice).await;
    let unused = jobs::Unused::default();
    due(&app, &unused).await;
    assert!(find_app(&app, client.app.id).await.unwrap().review.reminded_at.is_none());
    app.clock.advance(31 * DAY);
    due(&app, &unused).await;
    due(&app, &unused).await;
    let reminded = async || {
        let mails = app.queued().await;
        mails.iter().filter(|mail| mail.kind.name() == "app_unused").count()
    };
    assert_eq!(reminded().await, 1);
    assert!(find_app(&app, client.app.id).await.unwrap().is_live());
    app.clock.advance(31 * DAY);
    due(&app, &unused).await;
    let retired = find_app(&app, client.app.id).await.unwrap();
    assert!(matches!(retired.status, AppStatus::Retired { .. }), "{:?}", retired.status);
    assert!(!is_accepted(&app, &tokens).await);
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let browser = app.signed_in(&dev.unwrap()).await;
    let path = format!("/apps/{}", client.app.id);
    assert!(browser.get(&path).await.text().contains("Wake it up"));
    let answer = submit(&browser, &format!("{path}/wake"), &[]).await;
    assert_done(&answer, &format!("{path}?done=app-woken"));
    assert!(find_app(&app, client.app.id).await.unwrap().is_live());
    assert_eq!(app.audited().await.last(), Some(&AuditKind::AppWoken));
    let twice = submit(&browser, &format!("{path}/wake"), &[]).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_app_that_its_developer_alone_tries_is_reminded_as_if_nobody_used_it() {
    let app = TestApp::start_with(|policy| policy.review.unused_after = Some(30 * DAY)).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let (tests, dev) = (in_tests(&app, &client).await, owner(&app).await);
    app.clock.advance(31 * DAY);
    tests.tokens(&app, &dev).await;
    let grant = only_grant(&app, &dev, &tests).await;
    let call = Use {
        by: UsedBy::Grant(grant.id),
        app_id: client.app.id,
        user_id: Some(dev.id),
        family: "items".to_owned(),
        status: 200,
        address: [127, 0, 0, 1].into(),
        at: app.provider.now(),
    };
    app.write(async move |tx| store::usage::add(tx, std::slice::from_ref(&call)).await).await;
    due(&app, &jobs::Unused::default()).await;
    assert!(find_app(&app, client.app.id).await.unwrap().review.reminded_at.is_some());
}

#[tokio::test]
async fn somebody_takes_care_hands_over_and_releases() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let colleague = app.add_user("rita", &[Role::Reviewer]).await;
    app.add_user("alice", &[]).await;
    let browser = app.signed_in(&staff).await;
    let path = format!("{}/assign", path_of(&client));
    let assigned = async || find_app(&app, client.app.id).await.unwrap().review.assigned_to;
    submit(&browser, &path, &[("to", "me")]).await;
    assert_eq!(assigned().await, Some(staff.id));
    assert!(browser.get("/staff/review?assigned=me").await.text().contains("The newcomer"));
    assert!(!browser.get("/staff/review?assigned=nobody").await.text().contains("The newcomer"));
    let fields = [("to", "colleague"), ("colleague", "rita@example.com")];
    submit(&browser, &path, &fields).await;
    assert_eq!(assigned().await, Some(colleague.id));
    let stranger = [("to", "colleague"), ("colleague", "alice@example.com")];
    let refused = submit(&browser, &path, &stranger).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("id=\"colleague-error\""), "{}", refused.text());
    assert!(refused.text().contains("value=\"alice@example.com\""), "what was typed stays");
    submit(&browser, &path, &[("to", "nobody")]).await;
    assert_eq!(assigned().await, None);
    let kinds = app.audited().await;
    assert_eq!(kinds.iter().filter(|kind| **kind == AuditKind::AppAssigned).count(), 3);
    assert_done(&decide(&browser, &client, &ALL).await, "/staff/review?done=app-approved");
}

#[tokio::test]
async fn an_answer_is_inserted_without_a_script_and_nothing_typed_is_lost() {
    let app = TestApp::start_with(|policy| {
        let (title, text) = ("Which host?".to_owned(), "Which host is yours?".to_owned());
        policy.review.answers = vec![CannedAnswer { title, text }];
    })
    .await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let fields = [
        ("insert", "yes"),
        ("answer", "Which host?"),
        ("note", "Hello."),
        ("scope", "orders.read"),
        ("condition.orders.read", "Once a minute."),
    ];
    let answer = decide(&browser, &client, &fields).await;
    assert_eq!(answer.status, StatusCode::OK);
    let page = answer.text();
    assert!(page.contains("Hello.\n\nWhich host is yours?"), "{page}");
    assert!(page.contains("Once a minute."));
    assert_eq!(find_app(&app, client.app.id).await.unwrap().status, AppStatus::InReview);
    let path = format!("/staff/apps/{}/messages", client.app.id);
    let fields = [("insert", "yes"), ("answer", "Which host?"), ("message", "")];
    let page = submit(&browser, &path, &fields).await.text();
    assert!(page.contains("Which host is yours?"), "{page}");
}

#[tokio::test]
async fn a_brand_is_verified_apart_from_scopes_and_shown_to_users() {
    let app = TestApp::start().await;
    let (client, staff) = (app.add_app("bot", AppKind::Web, |_| {}).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let path = format!("{}/brand", path_of(&client));
    let long = "e".repeat(1001);
    for evidence in [" ", &long] {
        let without = submit(&browser, &path, &[("brand", "verify"), ("evidence", evidence)]).await;
        assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY);
        let page = without.text();
        assert!(page.contains("id=\"evidence-error\"") && page.contains(evidence.trim()), "{page}");
    }
    submit(&browser, &path, &[("brand", "verify"), ("evidence", "Register of companies.")]).await;
    let found = find_app(&app, client.app.id).await.unwrap();
    assert!(found.brand_is_verified());
    let unreviewed = matches!(found.status, AppStatus::Live { approval: Approval::Unreviewed, .. });
    assert!(unreviewed, "its scopes are still nobody's business");
    let alice = app.add_user("alice", &[]).await;
    let page = app.signed_in(&alice).await.get(&client.authorize_path(&[])).await.text();
    assert!(page.contains("Brand verified"), "{page}");
    submit(&browser, &path, &[("brand", "unverify"), ("evidence", "Sold.")]).await;
    assert!(!find_app(&app, client.app.id).await.unwrap().brand_is_verified());
}

#[tokio::test]
async fn the_review_shows_what_was_decided_before() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    decide(&browser, &client, &[("decision", "ask"), ("note", "What for?")]).await;
    let found = find_app(&app, client.app.id).await.unwrap();
    app.save_app(App { turn: domain::app::Turn::Staff, ..found }).await;
    let page = browser.get(&path_of(&client)).await.text();
    assert!(page.contains("Changes asked") && page.contains("What for?"), "{page}");
}

#[tokio::test]
async fn live_apps_that_nobody_has_looked_at_are_found_and_those_that_changed_hands_among_them() {
    let app = TestApp::start().await;
    let staff = reviewer(&app).await;
    let (sold, _kept) = (
        app.add_app("sold", AppKind::Web, |app| app.name = "Sold App".to_owned()).await,
        app.add_app("kept", AppKind::Web, |app| app.name = "Kept App".to_owned()).await,
    );
    app.add_app("seen", AppKind::Web, |app| {
        app.name = "Seen App".to_owned();
        let approval = Approval::Reviewed { at: app.created_at, by: app.owner };
        app.status = AppStatus::Live { since: app.created_at, approval };
    })
    .await;
    let (id, now) = (sold.app.id, app.provider.now());
    let transferred = AuditEvent::new(now, AuditKind::AppTransferred, AuditActor::System).app(id);
    app.write(async move |tx: &mut store::Tx<'_>| store::audit::record(tx, &transferred).await)
        .await;
    let browser = app.signed_in(&staff).await;
    let listed = async |query: &str| {
        let page = browser.get(&format!("/staff/review{query}")).await.text();
        ["Sold App", "Kept App", "Seen App"].map(|name| page.contains(&format!(">{name}</a>")))
    };
    assert_eq!(listed("").await, [false; 3], "nothing waits");
    assert_eq!(listed("?whom=nobody").await, [true, true, false]);
    assert_eq!(listed("?whom=nobody&kind=transferred").await, [true, false, false]);
}
