//! What each part of the admin API does, as a program with a token does it.

use domain::admin_token::AdminScope;
use domain::app::{AppKind, AppStatus};
use domain::audit::{AuditActor, AuditKind};
use domain::user::Role;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::Tx;

use crate::admin::{Program, problem, token};
use crate::forms::is_accepted;
use crate::harness::{TestApp, Tokens};

const ANY: &[(&str, &str)] = &[("if-match", "*")];

#[tokio::test]
async fn a_change_of_an_app_holds_at_once_and_leaves_the_rest_as_it_is() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    let program = Program::mighty(&app).await;
    let before = program.get("/apps/bot").await.json();
    let patch = json!({
        "name": "Better Bot", "homepage": "https://bot.example.com/", "publisher": "Northwind",
        "addresses": ["127.0.0.0/8"],
    });
    let typed = [("if-match", "*"), ("content-type", "application/merge-patch+json")];
    let changed = program.send(Method::PATCH, "/apps/bot", &typed, &patch).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let after = program.get("/apps/bot").await.json();
    assert_eq!(after, changed.json());
    for (name, value) in patch.as_object().unwrap() {
        assert_eq!(&after[name], value, "{name}");
    }
    for name in ["client_id", "redirect_uris", "scopes_approved", "status", "owner"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    let patch = json!({ "homepage": null, "addresses": null });
    let changed = program.send(Method::PATCH, "/apps/bot", ANY, &patch).await.json();
    assert_eq!((changed.get("homepage"), &changed["addresses"]), (None, &json!([])));
    let trail = app.write(async |tx: &mut Tx<'_>| store::audit::list(tx, 0, 99).await).await;
    let event = &trail[0].event;
    assert_eq!(event.kind, AuditKind::AppChanged);
    assert!(matches!(event.actor, AuditActor::AdminToken(_)) && event.address.is_some());
    assert_eq!(event.detail["changes"][0]["after"], "Better Bot");
}

#[tokio::test]
async fn a_deleted_app_is_refused_everywhere_at_once() {
    let app = TestApp::start().await;
    let bot = app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    let tokens = bot.tokens(&app, &alice).await;
    let program = Program::mighty(&app).await;
    assert!(is_accepted(&app, &tokens).await);
    let gone = program.send(Method::DELETE, "/apps/bot", ANY, &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{gone:?}");
    let answer = bot.refresh(&app, &tokens.refresh, &[]).await;
    assert_eq!(answer.error(), "invalid_client");
    assert_eq!(program.get("/apps/bot").await.status, StatusCode::NOT_FOUND);
    assert!(app.audited().await.contains(&AuditKind::AppDeleted));
}

#[tokio::test]
async fn a_secret_is_told_once_and_a_removed_one_ends_what_it_got() {
    let app = TestApp::start().await;
    let service = |found: &mut domain::app::App| found.service_scopes = found.approved.clone();
    let mut bot = app.add_app("bot", AppKind::Service, service).await;
    let program = Program::mighty(&app).await;
    let made = program.post("/apps/bot/secrets", &Value::Null).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    bot.secret = made.json()["client_secret"].as_str().map(str::to_owned);
    let form = [("grant_type", "client_credentials")];
    let tokens = Tokens::of(&bot.post(&app, "/oauth/token", &form).await);
    assert!(is_accepted(&app, &tokens).await);
    let path = made.header("location").unwrap().strip_prefix("/admin/v1").unwrap().to_owned();
    let shown = program.get(&path).await.json();
    assert!(shown.get("client_secret").is_none() && shown["ends_with"].is_string(), "{shown}");
    let etag = program.etag(&path).await;
    let gone = program.send(Method::DELETE, &path, &[("if-match", &etag)], &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{gone:?}");
    assert!(!is_accepted(&app, &tokens).await);
    let answer = bot.post(&app, "/oauth/token", &form).await;
    assert_eq!(answer.error(), "invalid_client");
    for _ in 0..4 {
        assert_eq!(program.post("/apps/bot/secrets", &Value::Null).await.status, 201);
    }
    assert_eq!(problem(&program.post("/apps/bot/secrets", &Value::Null).await), "conflict");
    app.add_app("public", AppKind::Native, |_| {}).await;
    assert_eq!(problem(&program.post("/apps/public/secrets", &Value::Null).await), "conflict");
}

#[tokio::test]
async fn a_program_decides_as_a_reviewer_does_about_what_it_has_read() {
    let app = TestApp::start().await;
    let waits = |found: &mut domain::app::App| {
        found.status = AppStatus::InReview;
        found.approved = Default::default();
    };
    let bot = app.add_app("bot", AppKind::Web, waits).await;
    let program = Program::mighty(&app).await;
    let decide = async |headers: &[(&str, &str)], body: Value| {
        program.send(Method::POST, "/apps/bot/decision", headers, &body).await
    };
    let approve = json!({
        "decision": "approve", "scopes": "balances.read",
        "conditions": { "balances.read": { "note": "Up to 100 users" } }, "note": "Welcome",
    });
    assert_eq!(problem(&decide(&[], approve.clone()).await), "precondition-required");
    let etag = program.etag("/apps/bot").await;
    let seen = [("if-match", etag.as_str())];
    let silent = decide(&seen, json!({ "decision": "reject" })).await;
    assert_eq!(problem(&silent), "invalid-request", "a note is needed");
    let more = decide(&seen, json!({ "decision": "approve", "scopes": "withdraw" })).await;
    assert_eq!(more.json()["errors"][0]["pointer"], "/scopes");
    let asked = decide(&seen, json!({ "decision": "ask", "note": "Why orders?" })).await;
    assert_eq!((asked.status, &asked.json()["awaits_review"]), (StatusCode::OK, &json!(false)));
    assert_eq!(problem(&decide(&seen, approve.clone()).await), "precondition-failed");
    assert_eq!(
        problem(&decide(ANY, approve.clone()).await),
        "conflict",
        "it is the developer's turn"
    );
    let answered = app.write({
        let id = bot.app.id;
        async move |tx: &mut Tx<'_>| Ok(store::apps::find(tx, id).await?.unwrap())
    });
    let answered = answered.await.send_again(app.provider.now()).unwrap();
    app.save_app(answered).await;
    let approved = decide(ANY, approve).await;
    assert_eq!(approved.status, StatusCode::OK, "{approved:?}");
    let record = approved.json();
    assert_eq!(
        (&record["status"], &record["scopes_approved"]),
        (&json!("live"), &json!("balances.read"))
    );
    let trail = app.write(async |tx: &mut Tx<'_>| store::audit::list(tx, 0, 99).await).await;
    let event = trail.iter().find(|row| row.event.kind == AuditKind::AppApproved).unwrap();
    assert!(matches!(event.event.actor, AuditActor::AdminToken(_)), "{event:?}");
    assert!(event.event.detail["refused"].as_object().unwrap().contains_key("orders.create"));
    let thread = program.get("/apps/bot/messages").await.json();
    let texts: Vec<_> = thread["items"].as_array().unwrap().iter().map(|m| &m["text"]).collect();
    assert_eq!(texts, ["Welcome", "Why orders?"]);
}

#[tokio::test]
async fn a_token_of_somebody_who_looks_after_an_app_lets_it_do_no_more() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    let find = async |tx: &mut Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
    let mut dev = app.write(find).await.unwrap();
    dev.roles = vec![Role::Reviewer];
    app.save_user(dev.clone()).await;
    let scopes = [AdminScope::AppsWrite, AdminScope::AppsImport];
    let own = Program::new(&app, Some(token(&app, &scopes, Some(&dev)).await));
    let reason = json!({ "reason": "for a test" });
    assert_eq!(own.send(Method::POST, "/apps/bot/suspend", ANY, &reason).await.status, 200);
    let new = json!({ "name": "Mine", "kind": "web", "owner": dev.email,
        "redirect_uris": ["https://bot.example.com/callback"] });
    let entry = json!({ "client_id": "old", "name": "Old", "kind": "service", "owner": dev.email,
        "client_secret": "a-secret-of-some-length", "scopes": "balances.read" });
    for (method, path, body) in [
        (Method::POST, "/import/apps", &json!({ "apps": [entry] })),
        (Method::POST, "/apps/bot/resume", &reason),
        (Method::PUT, "/apps/bot/plan", &json!({ "plan": null })),
        (Method::PATCH, "/apps/bot", &json!({ "redirect_uris": ["https://evil.example/"] })),
        (Method::POST, "/apps", &new),
    ] {
        let refused = own.send(method, path, ANY, body).await;
        assert!(refused.text().contains("somebody else has to decide"), "{path}: {refused:?}");
    }
    let others = Program::new(&app, Some(token(&app, &scopes, None).await));
    assert_eq!(others.send(Method::POST, "/apps/bot/resume", ANY, &reason).await.status, 200);
}

#[tokio::test]
async fn nobody_decides_without_a_member_of_staff_behind_the_token_or_about_their_own_app() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |found| found.status = AppStatus::InReview).await;
    let approve = json!({ "decision": "approve", "scopes": "balances.read" });
    let decide = async |program: &Program, body: &Value| {
        program.send(Method::POST, "/apps/bot/decision", ANY, body).await
    };
    let nobody = Program::new(&app, Some(token(&app, &[AdminScope::ReviewDecide], None).await));
    assert_eq!(problem(&decide(&nobody, &approve).await), "forbidden");
    assert_eq!(
        problem(&nobody.post("/apps/bot/messages", &json!({ "text": "Hi" })).await),
        "forbidden"
    );
    let find = async |tx: &mut Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
    let mut dev = app.write(find).await.unwrap();
    dev.roles = vec![Role::Reviewer];
    app.save_user(dev.clone()).await;
    let own = token(&app, &[AdminScope::ReviewDecide], Some(&dev)).await;
    let own = Program::new(&app, Some(own));
    let refused = decide(&own, &approve).await;
    assert!(refused.text().contains("looks after this app"), "{refused:?}");
    let rita = app.add_user("rita", &[Role::Reviewer]).await;
    let ritas = token(&app, &[AdminScope::ReviewDecide], Some(&rita)).await;
    let ritas = Program::new(&app, Some(ritas));
    let other = json!({ "decision": "approve", "scopes": "balances.read", "by": dev.email });
    assert_eq!(problem(&decide(&ritas, &other).await), "invalid-request");
    app.save_user(rita.block("gone".into(), app.provider.now())).await;
    // The token of somebody who is blocked is none (T8).
    assert_eq!(problem(&decide(&ritas, &approve).await), "unauthorized", "felt at once");
}

#[tokio::test]
async fn a_message_reaches_the_thread_and_bad_ones_are_refused() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    let program = Program::mighty(&app).await;
    for text in ["One", "Two", "Three"] {
        let sent = program.post("/apps/bot/messages", &json!({ "text": text })).await;
        assert_eq!((sent.status, &sent.json()["by_staff"]), (StatusCode::CREATED, &json!(true)));
        app.clock.advance(std::time::Duration::from_secs(1));
    }
    let first = program.get("/apps/bot/messages?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = program.get(&format!("/apps/bot/messages?limit=2&cursor={cursor}")).await.json();
    let texts = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (texts(&first), texts(&rest)),
        (vec!["Three".into(), "Two".into()], vec!["One".into()])
    );
    let empty = program.post("/apps/bot/messages", &json!({ "text": " " })).await;
    assert_eq!(empty.json()["errors"][0]["pointer"], "/text");
}

#[tokio::test]
async fn access_is_taken_back_by_the_grant_or_by_the_consent() {
    let app = TestApp::start().await;
    let bot = app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    let (first, second) = (bot.tokens(&app, &alice).await, bot.tokens(&app, &alice).await);
    let program = Program::mighty(&app).await;
    let of_app = program.get("/apps/bot/consents").await.json();
    let of_user = program.get("/users/alice@example.com/consents").await.json();
    assert_eq!(of_app, of_user);
    assert_eq!(of_app["items"][0]["email"], "alice@example.com");
    let path = format!("/consents/{}", of_app["items"][0]["id"].as_str().unwrap());
    let shown = program.get(&path).await.json();
    let grants = shown["grants"].as_array().unwrap();
    assert_eq!(grants.len(), 2);
    let ended = format!("/grants/{}/revoke", grants[0]["id"].as_str().unwrap());
    assert_eq!(program.post(&ended, &Value::Null).await.status, StatusCode::NO_CONTENT);
    let live = [is_accepted(&app, &first).await, is_accepted(&app, &second).await];
    assert_eq!(live.iter().filter(|live| **live).count(), 1);
    assert_eq!(problem(&program.post(&ended, &Value::Null).await), "not-found");
    let withdrawn = program.post(&format!("{path}/withdraw"), &Value::Null).await.json();
    assert_eq!((&withdrawn["consent"]["given"], &withdrawn["grants"]), (&json!(false), &json!([])));
    assert!(!is_accepted(&app, &first).await && !is_accepted(&app, &second).await);
    let again = program.post(&format!("{path}/withdraw"), &Value::Null).await;
    assert_eq!(problem(&again), "conflict");
    assert!(app.audited().await.contains(&AuditKind::ConsentWithdrawn));
}

#[tokio::test]
async fn roles_are_given_and_taken_but_not_from_the_last_admin() {
    let app = TestApp::start().await;
    let program = Program::mighty(&app).await;
    let bob = app.add_user("bob", &[Role::Developer]).await;
    let path = format!("/users/{}", bob.id);
    let etag = program.etag(&path).await;
    let made = json!({ "roles": ["reviewer", "developer", "reviewer"] });
    let changed = program.send(Method::PATCH, &path, &[("if-match", &etag)], &made).await;
    assert_eq!(changed.json()["roles"], json!(["developer", "reviewer"]), "{changed:?}");
    let last =
        program.send(Method::PATCH, "/users/staff@example.com", ANY, &json!({ "roles": [] })).await;
    assert_eq!(problem(&last), "conflict");
    let found = program.get("/users?role=reviewer").await.json();
    assert_eq!(found["items"][0]["email"], "bob@example.com");
    let found = program.get("/users?email=st&status=active").await.json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert!(app.audited().await.contains(&AuditKind::UserChanged));
}

#[tokio::test]
async fn the_trail_is_searched_and_reports_are_read() {
    let app = TestApp::start().await;
    let bot = app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    bot.tokens(&app, &alice).await;
    let program = Program::mighty(&app).await;
    let all = program.get("/audit").await.json();
    let newest_first: Vec<_> =
        all["items"].as_array().unwrap().iter().map(|e| e["position"].as_i64().unwrap()).collect();
    assert!(newest_first.is_sorted_by(|a, b| a > b) && newest_first.len() > 1, "{newest_first:?}");
    let given =
        program.get("/audit?app=bot&kind=consent.given&user=alice@example.com").await.json();
    assert_eq!(given["items"].as_array().unwrap().len(), 1);
    let none = program.get("/audit?since=2026-04-03T00:00:00Z").await.json();
    assert_eq!(none["items"], json!([]));
    let some = program.get("/audit?until=2026-04-03T00:00:00Z&order=oldest&limit=1").await.json();
    assert!(some["next_cursor"].is_string() && some["items"][0]["position"] == 1, "{some}");
    for path in ["/audit?kind=nothing", "/audit?since=yesterday", "/audit?order=up"] {
        assert_eq!(problem(&program.get(path).await), "invalid-request", "{path}");
    }
    assert_eq!(problem(&program.get("/audit?app=no").await), "not-found");
    let consent = given["items"][0]["consent_id"].as_str().unwrap();
    let browser = app.signed_in(&alice).await;
    let csrf = browser.csrf();
    let fields = [("csrf", &*csrf), ("what", "It trades too much.")];
    browser.post(&format!("/connected/{consent}/report"), &fields).await;
    let reports = program.get("/reports?app=bot").await.json();
    assert_eq!(reports["items"][0]["text"], "It trades too much.", "{reports}");
}

#[tokio::test]
async fn keys_are_told_but_never_shown_and_mails_without_their_texts() {
    let app = TestApp::start().await;
    let program = Program::mighty(&app).await;
    let before = program.get("/keys").await.json();
    assert_eq!(before["items"].as_array().unwrap().len(), 5);
    assert!(!before.to_string().contains("wrapped"));
    assert_eq!(program.post("/keys/rotate", &Value::Null).await.status, StatusCode::OK);
    assert_eq!(program.get("/keys").await.json()["items"].as_array().unwrap().len(), 10);
    let wrong = program.post("/mails/test", &json!({ "to": "nobody" })).await;
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/to");
    app.change_policy(|policy| policy.accounts.sends_mail = true);
    for name in ["a", "b"] {
        let to = json!({ "to": format!("{name}@example.com") });
        assert_eq!(program.post("/mails/test", &to).await.status, StatusCode::ACCEPTED);
    }
    let page = program.get("/mails?limit=1").await.json();
    assert_eq!(page["items"][0]["to"], "b@example.com");
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = program.get(&format!("/mails?cursor={cursor}")).await.json();
    assert_eq!(rest["items"][0]["to"], "a@example.com");
    assert!(app.audited().await.contains(&AuditKind::MailTested));
}

#[tokio::test]
async fn a_program_sees_whose_an_app_is_assigns_it_and_verifies_its_brand() {
    let app = TestApp::start().await;
    let program = Program::mighty(&app).await;
    let ann = app.add_user("ann", &[Role::Developer]).await;
    let rita = app.add_user("rita", &[Role::Reviewer]).await;
    let team = crate::teams::make_team(&app, &ann, "Northwind").await;
    let owned = crate::teams::add_team_app(&app, &team, &ann).await;
    let path = format!("/apps/{}", owned.client_id);
    let shown = program.get(&path).await.json();
    assert_eq!((&shown["team"]["name"], &shown["paused"]), (&json!("Northwind"), &json!(false)));
    assert_eq!(shown["test_client_id"], owned.test_client_id());
    let assign = async |to: Value| {
        let path = format!("{path}/assignee");
        program.send(Method::PUT, &path, &[], &json!({ "to": to })).await
    };
    assert_eq!(problem(&assign(json!(ann.email)).await), "invalid-request");
    assert_eq!(assign(json!(rita.email)).await.json()["assigned_to"], rita.email);
    assert_eq!(assign(Value::Null).await.json().get("assigned_to"), None);
    let brand = async |program: &Program, verified: bool, evidence: &str| {
        let body = json!({ "verified": verified, "evidence": evidence });
        program.send(Method::POST, &format!("{path}/brand"), ANY, &body).await
    };
    assert_eq!(problem(&brand(&program, true, " ").await), "invalid-request");
    let mut own = ann.clone();
    own.roles = vec![Role::Developer, Role::Reviewer];
    app.save_user(own.clone()).await;
    let own = Program::new(&app, Some(token(&app, &[AdminScope::ReviewDecide], Some(&own)).await));
    assert_eq!(problem(&brand(&own, true, "It is ours").await), "forbidden");
    assert_eq!(brand(&program, true, "Their site").await.json()["brand_verified"], true);
    assert_eq!(brand(&program, false, "It was sold").await.json()["brand_verified"], false);
    let trail = program.get("/audit?order=oldest&kind=app.assigned").await.json();
    let by = trail["items"][0]["actor"].as_str().unwrap().to_owned();
    assert!(by.starts_with("admin_token:"), "{trail}");
    let of_token = program.get(&format!("/audit?actor={by}&order=oldest")).await.json();
    let kinds: Vec<_> = of_token["items"].as_array().unwrap().iter().map(|e| &e["kind"]).collect();
    assert_eq!(
        kinds,
        ["app.assigned", "app.assigned", "app.brand_verified", "app.brand_unverified"]
    );
    let of_ann = program.get(&format!("/audit?actor=user:{}&kind=app.assigned", ann.id)).await;
    assert_eq!(of_ann.json()["items"], json!([]));
    assert_eq!(program.get("/audit?actor=system").await.status, StatusCode::OK);
    assert_eq!(problem(&program.get("/audit?actor=nobody").await), "invalid-request");
}
