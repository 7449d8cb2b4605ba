//! Review and suspension: what staff see, decide and stop.

use domain::app::{App, AppKind, AppStatus, Approval, ScopeRequest};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::revision::{Revision, RevisionField};
use domain::user::{Role, User};
use http::StatusCode;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use protocol::scope::ScopeSet;
use store::Tx;

use crate::forms::{assert_done, find_app, is_accepted, submit};
use crate::harness::{Answer, Browser, Client, TestApp};

async fn reviewer(app: &TestApp) -> User {
    app.add_user("review", &[Role::Reviewer]).await
}

/// An app that nobody has looked at.
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

/// Look at the app and decide.
async fn decide(browser: &Browser<'_>, client: &Client, fields: &[(&str, &str)]) -> Answer {
    let revision = browser.get(&path_of(client)).await.hidden("revision");
    let mut fields = fields.to_vec();
    fields.push(("revision", &revision));
    submit(browser, &path_of(client), &fields).await
}

async fn last_event(app: &TestApp, client: &Client) -> AuditEvent {
    let id = client.app.id;
    let list = async move |tx: &mut Tx<'_>| store::audit::list_of_app(tx, id, 1).await;
    app.write(list).await.remove(0)
}

#[tokio::test]
async fn staff_approve_scope_by_scope_and_the_developer_reads_why() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    assert!(browser.get("/staff/review").await.text().contains("The newcomer"));
    let fields = [
        ("decision", "approve"),
        ("scope", "balances.read"),
        ("scope", "orders.read"),
        ("condition.orders.read", "Once a minute."),
        ("condition.orders.create", "A newcomer does not need this."),
    ];
    let answer = decide(&browser, &client, &fields).await;
    assert_done(&answer, "/staff/review?done=app-approved");
    let approved = find_app(&app, client.app.id).await.unwrap();
    let now = app.provider.now();
    let status =
        AppStatus::Live { since: now, approval: Approval::Reviewed { at: now, by: staff.id } };
    assert_eq!(approved.status, status);
    assert_eq!(approved.approved, "balances.read orders.read".parse().unwrap());
    let event = last_event(&app, &client).await;
    assert_eq!((event.kind, event.actor), (AuditKind::AppApproved, AuditActor::User(staff.id)));
    assert!(!browser.get("/staff/review").await.text().contains("The newcomer"));

    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let page =
        app.signed_in(&dev.unwrap()).await.get(&format!("/apps/{}/scopes", client.app.id)).await;
    for text in ["Once a minute.", "A newcomer does not need this.", "Rejected"] {
        assert!(page.text().contains(text), "{text}");
    }
}

#[tokio::test]
async fn a_rejection_needs_a_note_which_the_developer_reads_and_answers() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let answer = decide(&browser, &client, &[("decision", "reject"), ("note", " ")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(find_app(&app, client.app.id).await.unwrap().status, AppStatus::InReview);
    let note = "Say who you are.";
    let answer = decide(&browser, &client, &[("decision", "reject"), ("note", note)]).await;
    assert_done(&answer, "/staff/review?done=app-rejected");
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let (dev, path) = (app.signed_in(&dev.unwrap()).await, format!("/apps/{}", client.app.id));
    assert!(dev.get(&path).await.text().contains(note));
    let fields = [("name", "The newcomer"), ("description", "We are Northwind Labs.")];
    submit(&dev, &format!("{path}/details"), &fields).await;
    assert_eq!(find_app(&app, client.app.id).await.unwrap().status, AppStatus::InReview);
}

/// The developer's browser and the page of the app.
async fn developer<'a>(app: &'a TestApp, client: &Client) -> (Browser<'a>, String) {
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    (app.signed_in(&dev.unwrap()).await, format!("/apps/{}", client.app.id))
}

#[tokio::test]
async fn staff_ask_for_changes_and_see_the_app_again_when_the_developer_has_answered() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let answer = decide(&browser, &client, &[("decision", "ask")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let note = "Who runs the server?";
    let answer = decide(&browser, &client, &[("decision", "ask"), ("note", note)]).await;
    assert_done(&answer, "/staff/review?done=changes-asked");
    assert_eq!(last_kind_of_decision(&app, &client).await, AuditKind::AppChangesAsked);
    assert!(!browser.get("/staff/review").await.text().contains("The newcomer"));
    let page = browser.get(&path_of(&client)).await.text();
    assert!(page.contains("nothing-waits"), "{page}");

    let (dev, path) = developer(&app, &client).await;
    let page = dev.get(&path).await.text();
    assert!(page.contains("Staff ask you for changes") && page.contains(note), "{page}");
    let again = submit(&dev, &format!("{path}/send-again"), &[("message", "")]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields = [("message", "We do, in <b>Oslo</b>.")];
    let again = submit(&dev, &format!("{path}/send-again"), &fields).await;
    assert_done(&again, &format!("{path}/messages?done=sent-again"));
    let twice = submit(&dev, &format!("{path}/send-again"), &fields).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let queue = browser.get("/staff/review").await.text();
    assert!(queue.contains("The newcomer"), "{queue}");
    assert!(!queue.contains("id=\"questions-title\""), "an answer is no question: {queue}");
    let page = browser.get(&path_of(&client)).await.text();
    assert!(page.contains(note) && page.contains("We do, in &lt;b&gt;Oslo"), "{page}");
    assert!(find_app(&app, client.app.id).await.unwrap().awaits_review());
}

async fn last_kind_of_decision(app: &TestApp, client: &Client) -> AuditKind {
    let id = client.app.id;
    let list = async move |tx: &mut Tx<'_>| store::audit::list_of_app(tx, id, 9).await;
    let events = app.write(list).await;
    let is_decision = |event: &&AuditEvent| event.detail.get("shown").is_some();
    events.iter().find(is_decision).unwrap().kind
}

#[tokio::test]
async fn a_change_is_reviewed_as_a_difference_and_the_audit_says_what_was_shown() {
    let app = TestApp::start().await;
    let staff = reviewer(&app).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let uri = RedirectUri::register(RedirectPolicy::Web, "https://new.example/cb").unwrap();
    let to = Revision {
        name: "The better bot".into(),
        redirect_uris: vec![client.app.redirect_uris[0].clone(), uri],
        ..client.app.revision()
    };
    let reviewed = RevisionField::REVIEWED_BY_DEFAULT;
    let now = app.provider.now();
    let (changed, _) = client.app.clone().revise(to.clone(), &reviewed, now).unwrap();
    app.save_app(changed.clone()).await;
    let browser = app.signed_in(&staff).await;
    assert!(browser.get("/staff/review").await.text().contains("New redirect host"));
    let page = browser.get(&path_of(&client)).await.text();
    for text in ["<del>The bot</del>", "<ins>The better bot</ins>", "Users would be sent to new"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let scopes: Vec<_> = client.app.requested.iter().map(|r| ("scope", r.scope.as_str())).collect();
    let fields = [&[("decision", "approve")], &*scopes].concat();
    assert_done(&decide(&browser, &client, &fields).await, "/staff/review?done=app-approved");
    let after = find_app(&app, client.app.id).await.unwrap();
    assert_eq!((after.revision(), after.proposed), (to, None));
    let event = last_event(&app, &client).await;
    assert_eq!(event.detail["shown"]["revision"]["name"], "The better bot");
    assert_eq!(event.detail["shown"]["changes"][0]["before"], "The bot");

    // Rejected, it leaves what was approved as it was.
    let to = Revision { name: "Another bot".into(), ..after_revision(&app, &client).await };
    let stands = find_app(&app, client.app.id).await.unwrap();
    let (changed, _) = stands.clone().revise(to, &reviewed, now).unwrap();
    app.save_app(changed).await;
    decide(&browser, &client, &[("decision", "reject"), ("note", "No.")]).await;
    let after = find_app(&app, client.app.id).await.unwrap();
    assert!(after.is_live() && after.proposed.is_none());
    assert_eq!(after.name, "The better bot");
}

async fn after_revision(app: &TestApp, client: &Client) -> Revision {
    find_app(app, client.app.id).await.unwrap().revision()
}

#[tokio::test]
async fn a_developers_question_waits_until_staff_have_answered_it() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let (dev, path) = developer(&app, &client).await;
    let thread = format!("/staff/apps/{}/messages", client.app.id);
    let question = [("message", "May the bot cancel orders?")];
    let answer = submit(&dev, &format!("{path}/messages"), &question).await;
    assert_done(&answer, &format!("{path}/messages?done=message-sent"));
    assert!(browser.get("/staff/review").await.text().contains(&thread));
    let too_long = "x".repeat(2001);
    let answer = submit(&browser, &thread, &[("message", &too_long)]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains(&too_long), "what was typed is kept");
    app.clock.advance(std::time::Duration::from_secs(60));
    let answer = submit(&browser, &thread, &[("message", "It may.")]).await;
    assert_done(&answer, &format!("{thread}?done=message-sent"));
    assert!(!browser.get("/staff/review").await.text().contains(&thread), "it is answered");
    let page = dev.get(&format!("{path}/messages")).await.text();
    assert!(page.contains("It may."), "{page}");
    assert!(!page.contains(&format!("<strong>{}<", staff.name)), "staff have no names here");
    for _ in 0..49 {
        submit(&dev, &format!("{path}/messages"), &question).await;
    }
    let answer = submit(&dev, &format!("{path}/messages"), &question).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_long_queue_has_pages() {
    let app = TestApp::start().await;
    let staff = reviewer(&app).await;
    let client = waiting(&app).await;
    for number in 1..=50_u8 {
        let id = domain::id::AppId::from_bytes([number; 16]);
        let (client_id, name) = (format!("many-{number}"), format!("Many {number}"));
        let changed_at =
            app.provider.now().after(std::time::Duration::from_secs(u64::from(number)));
        let one = App { id, client_id, name, changed_at, ..client.app.clone() };
        let insert = async move |tx: &mut Tx<'_>| store::apps::insert(tx, &one).await;
        assert!(app.write(insert).await);
    }
    let browser = app.signed_in(&staff).await;
    let first = browser.get("/staff/review").await.text();
    assert!(first.contains("The newcomer") && !first.contains("Many 50"));
    let next = first.split("id=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = browser.get(&next.replace("&amp;", "&")).await.text();
    assert!(second.contains("Many 50") && !second.contains("The newcomer"));
    for odd in ["", "x", "1-", "-1-00", "99999999999999999999-0"] {
        let answer = browser.get(&format!("/staff/review?after={odd}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{odd}");
    }
}

#[tokio::test]
async fn an_approval_without_any_scope_is_refused() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let answer = decide(&browser, &client, &[("decision", "approve"), ("note", "Nice app")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("Nice app"), "what was typed is kept");
}

#[tokio::test]
async fn nobody_reviews_or_resumes_an_app_of_their_own() {
    let app = TestApp::start().await;
    let staff = app.add_user("dev", &[Role::Developer, Role::Admin]).await;
    let (client, browser) = (waiting(&app).await, app.signed_in(&staff).await);
    let fields = [("decision", "approve"), ("scope", "balances.read")];
    let answer = decide(&browser, &client, &fields).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(find_app(&app, client.app.id).await.unwrap().status, AppStatus::InReview);

    let live = app.add_app("bot", AppKind::Web, |_| {}).await;
    let path = format!("/staff/apps/{}", live.app.id);
    submit(&browser, &format!("{path}/suspend"), &[("reason", "Broken")]).await;
    let answer = submit(&browser, &format!("{path}/resume"), &[("reason", "Mended")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(!find_app(&app, live.app.id).await.unwrap().is_live());
}

#[tokio::test]
async fn a_decision_about_something_the_reviewer_has_not_seen_does_not_count() {
    let app = TestApp::start().await;
    let (client, staff) = (waiting(&app).await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let seen = browser.get(&path_of(&client)).await.hidden("revision");
    app.clock.advance(std::time::Duration::from_secs(1));
    let uri = RedirectUri::register(RedirectPolicy::Web, "https://evil.example/cb").unwrap();
    let to = Revision { redirect_uris: vec![uri], ..client.app.revision() };
    let (changed, _) = client.app.clone().revise(to, &[], app.provider.now()).unwrap();
    app.save_app(changed).await;
    let fields = [("decision", "approve"), ("scope", "balances.read"), ("revision", &*seen)];
    let answer = submit(&browser, &path_of(&client), &fields).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(find_app(&app, client.app.id).await.unwrap().status, AppStatus::InReview);
}

#[tokio::test]
async fn of_a_live_app_only_the_request_for_more_is_rejected() {
    let app = TestApp::start().await;
    let staff = reviewer(&app).await;
    let client = app.add_app("bot", AppKind::Web, |app| {
        let (scope, purpose) = ("withdraw".parse().unwrap(), "To pay you out.".to_owned());
        app.requested.push(ScopeRequest { scope, purpose, required: false });
    });
    let (client, browser) = (client.await, app.signed_in(&staff).await);
    let alice = app.add_user("alice", &[]).await;
    let tokens = client.tokens(&app, &alice).await;
    let fields = [("decision", "reject"), ("note", "Never.")];
    assert_done(&decide(&browser, &client, &fields).await, "/staff/review?done=app-rejected");
    let after = find_app(&app, client.app.id).await.unwrap();
    assert!(after.is_live() && !after.awaits_review());
    assert!(is_accepted(&app, &tokens).await);
}

#[tokio::test]
async fn the_queue_and_the_review_point_at_what_is_risky() {
    let app = TestApp::start().await;
    app.add_app("trading-bot", AppKind::Web, |app| app.name = "Trading Bot".to_owned()).await;
    let uris = ["http://127.0.0.1/cb", "com.example.bot:/cb"];
    let risky = app.add_app("risky", AppKind::Native, |app| {
        app.name = "TradIng-B0t".to_owned();
        app.homepage = None;
        app.status = AppStatus::InReview;
        app.redirect_uris =
            uris.map(|uri| RedirectUri::register(RedirectPolicy::Native, uri).unwrap()).to_vec();
    });
    let (risky, staff) = (risky.await, reviewer(&app).await);
    let browser = app.signed_in(&staff).await;
    let labels =
        ["Look-alike name", "High-tier scope", "Loopback redirect", "Custom scheme", "No homepage"];
    for path in ["/staff/review".to_owned(), path_of(&risky)] {
        let page = browser.get(&path).await.text();
        for label in labels {
            assert!(page.contains(label), "{label} not on {path}: {page}");
        }
    }
}

#[tokio::test]
async fn a_review_shows_what_changed_since_the_last_approval() {
    let app = TestApp::start().await;
    let (client, staff) = (app.add_app("bot", AppKind::Web, |_| {}).await, reviewer(&app).await);
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let dev = app.signed_in(&dev.unwrap()).await;
    let path = format!("/apps/{}", client.app.id);
    for uri in ["https://one.example/cb", "https://two.example/cb"] {
        let fields = [("redirect_uris", uri)];
        submit(&dev, &format!("{path}/redirect-uris"), &fields).await;
    }
    let page = app.signed_in(&staff).await.get(&path_of(&client)).await.text();
    let page = page.replace("&#x2f;", "/");
    assert!(page.contains("<del>https://bot.example.com/callback</del>"), "{page}");
    assert!(page.contains("<ins>https://two.example/cb</ins>"), "{page}");
    assert!(!page.contains("one.example"), "{page}");
}

#[tokio::test]
async fn t8_a_suspended_app_is_out_at_once_and_back_when_resumed() {
    let app = TestApp::start().await;
    let (client, staff) = (app.add_app("bot", AppKind::Web, |_| {}).await, reviewer(&app).await);
    let alice = app.add_user("alice", &[]).await;
    let tokens = client.tokens(&app, &alice).await;
    let (browser, path) = (app.signed_in(&staff).await, format!("/staff/apps/{}", client.app.id));
    let without = submit(&browser, &format!("{path}/suspend"), &[("reason", "")]).await;
    assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(is_accepted(&app, &tokens).await);
    let answer = submit(&browser, &format!("{path}/suspend"), &[("reason", "Phishing")]).await;
    assert_done(&answer, "/staff/apps?done=app-suspended");
    assert!(!is_accepted(&app, &tokens).await);
    assert_ne!(client.refresh(&app, &tokens.refresh, &[]).await.status, StatusCode::OK);
    assert_eq!(last_event(&app, &client).await.detail["reason"], "Phishing");
    let twice = submit(&browser, &format!("{path}/suspend"), &[("reason", "Again")]).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let answer = submit(&browser, &format!("{path}/resume"), &[("reason", "Explained")]).await;
    assert_done(&answer, "/staff/apps?done=app-resumed");
    assert!(is_accepted(&app, &tokens).await);
}

#[tokio::test]
async fn staff_find_apps_by_name_publisher_and_client_id() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |app| app.publisher = "Acme".to_owned()).await;
    app.add_app("watcher", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&reviewer(&app).await).await;
    for (query, found) in [("THE+BOT", "The bot"), ("acme", "The bot"), ("watch", "The watcher")] {
        let page = browser.get(&format!("/staff/apps?q={query}")).await.text();
        let both = ["The bot", "The watcher"].map(|name| page.contains(&format!("<h2>{name}")));
        assert_eq!(both, [found == "The bot", found == "The watcher"], "{query}");
    }
}

#[tokio::test]
async fn the_list_of_apps_goes_on_where_a_page_ended_and_begins_with_what_was_reported() {
    let app = TestApp::start().await;
    let mut last = None;
    for number in 10..62 {
        last = Some(app.add_app(&format!("b{number}"), AppKind::Web, |_| {}).await);
    }
    let reported = last.unwrap().app.id;
    let event = AuditEvent::new(app.provider.now(), AuditKind::AppReported, AuditActor::System)
        .app(reported)
        .detail(serde_json::json!({ "text": "It lies." }));
    app.write(async move |tx: &mut Tx<'_>| store::audit::record(tx, &event).await).await;
    let browser = app.signed_in(&reviewer(&app).await).await;
    let names = |page: &str| -> Vec<String> {
        let names = page.split("<h2>The ").skip(1);
        names.map(|rest| rest.split([' ', '<']).next().unwrap().to_owned()).collect()
    };
    let first = browser.get("/staff/apps").await.text();
    let shown = names(&first);
    assert_eq!(shown.first().map(String::as_str), Some("b61"), "reported by users");
    assert!(first.contains("It lies."), "{first}");
    let next = first.split("id=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = browser.get(&next.replace("&amp;", "&")).await.text();
    assert!(!second.contains("id=\"next\""), "{second}");
    // Above the list and not in it.
    assert_eq!(shown.iter().filter(|name| *name == "b61").count(), 1, "{shown:?}");
    let mut all = [shown, names(&second)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 52, "{all:?}");
    let found = browser.get("/staff/apps?q=b61").await.text();
    assert_eq!(names(&found), ["b61"]);
}

#[tokio::test]
async fn pages_of_staff_are_closed_to_everyone_else() {
    let app = TestApp::start().await;
    let client = waiting(&app).await;
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let browser = app.signed_in(&dev.unwrap()).await;
    for path in ["/staff/review", "/staff/apps", &path_of(&client)] {
        assert_eq!(browser.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let fields = [("decision", "approve"), ("scope", "balances.read"), ("reason", "x")];
    let suspend = format!("/staff/apps/{}/suspend", client.app.id);
    for path in [&path_of(&client), &suspend] {
        assert_eq!(submit(&browser, path, &fields).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(find_app(&app, client.app.id).await.unwrap().status, AppStatus::InReview);
}
