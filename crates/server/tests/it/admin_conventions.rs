//! What holds for the whole admin API: who gets in, pages, idempotency keys, ETags, problems, and the
//! document that says all this.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::admin_token::AdminScope;
use domain::app::AppKind;
use domain::audit::{AuditActor, AuditKind};
use domain::user::Role;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use server::admin::{PREFIX, operations};
use store::Tx;

use crate::admin::{Program, problem, token};
use crate::harness::{Answer, TestApp};

const ANY: &[(&str, &str)] = &[("if-match", "*")];

fn filled(path: &str) -> String {
    path.replace(['{', '}'], "")
}

#[tokio::test]
async fn every_route_is_in_the_document_and_refuses_who_has_no_token_or_the_wrong_scope() {
    let app = TestApp::start().await;
    let nobody = Program::new(&app, None);
    let document = Program::mighty(&app).await.get("/openapi.json").await.json();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented
                .insert((method.to_uppercase(), path.strip_prefix(PREFIX).unwrap().to_owned()));
        }
    }
    let routed = operations().into_iter();
    let routed: BTreeSet<_> =
        routed.map(|one| (one.method.to_string(), one.path.to_owned())).collect();
    assert_eq!(documented, routed);
    assert!(routed.len() > 35, "{routed:?}");
    for operation in operations() {
        let (method, path) = (operation.method.clone(), filled(operation.path));
        let name = format!("{method} {path}");
        let refused = nobody.send(method.clone(), &path, ANY, &json!({})).await;
        assert_eq!(
            (refused.status.as_u16(), problem(&refused)),
            (401, "unauthorized".into()),
            "{name}"
        );
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer "), "{name}: {challenge}");
        let Some(needed) = operation.scope else { continue };
        let others: Vec<_> =
            AdminScope::ALL.iter().copied().filter(|scope| *scope != needed).collect();
        let other = Program::new(&app, Some(token(&app, &others, None).await));
        let refused = other.send(method, &path, ANY, &json!({})).await;
        assert_eq!(problem(&refused), "insufficient-scope", "{name}");
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{name}");
        assert_eq!(refused.json()["scope"], needed.as_str(), "{name}");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.contains(&format!("scope=\"{needed}\"")), "{name}: {challenge}");
        let known = &document["paths"][format!("{PREFIX}{}", operation.path)];
        let known = &known[operation.method.as_str().to_lowercase()];
        assert_eq!(known["security"][0]["token"][0], needed.as_str(), "{name}");
    }
    assert!(!app.audited().await.contains(&AuditKind::AppCreated));
}

#[tokio::test]
async fn what_is_nowhere_and_what_is_not_done_there_are_problems_too() {
    let app = TestApp::start().await;
    let program = Program::mighty(&app).await;
    assert_eq!(problem(&program.get("/nothing").await), "not-found");
    let answer = program.send(Method::PUT, "/apps", &[], &Value::Null).await;
    assert_eq!((answer.status.as_u16(), problem(&answer)), (405, "method-not-allowed".into()));
    let answer = program.get("/apps/no").await;
    assert_eq!((answer.status.as_u16(), problem(&answer)), (404, "not-found".into()));
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(answer.json()["request_id"], id);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// `CONSENTRY_WRITE_DOCS=1` writes them anew.
#[test]
fn the_document_and_the_reference_are_the_ones_that_are_checked_in() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operator");
    let (json_file, page_file) = (docs.join("admin-api.json"), docs.join("admin-api.md"));
    let document = format!("{:#}\n", server::admin::openapi::document());
    let page = std::fs::read_to_string(&page_file).unwrap();
    let mark = "<!-- from here on made by the tests -->\n";
    let (written, _) = page.split_once(mark).expect("the page has its mark");
    let wanted = format!("{written}{mark}\n{}", server::admin::openapi::markdown());
    if std::env::var_os("CONSENTRY_WRITE_DOCS").is_some() {
        std::fs::write(&json_file, &document).unwrap();
        std::fs::write(&page_file, &wanted).unwrap();
    }
    let checked_in = std::fs::read_to_string(&json_file).unwrap_or_default();
    assert!(
        checked_in == document,
        "write docs/operator/admin-api.json anew: CONSENTRY_WRITE_DOCS=1"
    );
    assert!(
        std::fs::read_to_string(&page_file).unwrap() == wanted,
        "and docs/operator/admin-api.md"
    );
}

#[test]
fn every_reference_of_the_document_leads_somewhere_and_every_name_is_there_once() {
    let document = server::admin::openapi::document();
    let text = document.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    let ids: Vec<_> = operations().iter().map(|operation| operation.id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

#[tokio::test]
async fn a_token_stops_working_when_it_is_revoked_or_expires() {
    let app = TestApp::start().await;
    let chief = Program::mighty(&app).await;
    let new = json!({ "name": "deploy", "scopes": ["apps:read"], "days": 1 });
    let made = chief.post("/tokens", &new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let text = made.json()["token"].as_str().unwrap().to_owned();
    assert!(text.starts_with("consentry_admin_"), "{text}");
    let path = made.header("location").unwrap().strip_prefix(PREFIX).unwrap().to_owned();
    let deploy = Program::new(&app, Some(text.clone()));
    assert_eq!(deploy.get("/apps").await.status, StatusCode::OK);
    let shown = chief.get(&path).await;
    assert!(shown.json()["last_used_at"].is_string() && shown.json().get("token").is_none());
    let listed = chief.get("/tokens").await.text();
    assert!(!listed.contains(&text), "never again");
    assert_eq!(chief.send(Method::DELETE, &path, ANY, &Value::Null).await.status, 204);
    assert_eq!(problem(&deploy.get("/apps").await), "unauthorized");
    let again = chief.send(Method::DELETE, &path, ANY, &Value::Null).await;
    assert_eq!(problem(&again), "conflict");
    app.clock.advance(Duration::from_secs(3601));
    assert_eq!(problem(&chief.get("/apps").await), "unauthorized", "it has expired");
    let trail = app.write(async |tx: &mut Tx<'_>| store::audit::list(tx, 0, 99).await).await;
    let kinds: Vec<_> = trail.iter().map(|row| row.event.kind).collect();
    assert_eq!(kinds, [AuditKind::AdminTokenCreated, AuditKind::AdminTokenRevoked]);
    for row in trail {
        assert!(matches!(row.event.actor, AuditActor::AdminToken(_)), "{row:?}");
        assert!(!row.event.detail.to_string().contains(&text), "{row:?}");
    }
}

#[tokio::test]
async fn wrong_tokens_are_limited_per_address_and_keep_no_right_one_out() {
    let app = TestApp::start().await;
    let right = Program::mighty(&app).await;
    let wrong = Program::new(&app, Some(format!("consentry_admin_{}", "a".repeat(43))));
    for _ in 0..30 {
        assert_eq!(problem(&wrong.get("/apps").await), "unauthorized");
    }
    let refused = wrong.get("/apps").await;
    assert_eq!((refused.status.as_u16(), problem(&refused)), (429, "too-many-attempts".into()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(right.get("/apps").await.status, StatusCode::OK);
    app.clock.advance(Duration::from_secs(120));
    assert_eq!(problem(&wrong.get("/apps").await), "unauthorized");
    let odd = Program::new(&app, Some("cs_at_something".into()));
    assert_eq!(problem(&odd.get("/apps").await), "unauthorized");
}

#[tokio::test]
async fn a_token_makes_none_that_may_do_more_and_no_staff_without_the_right_to() {
    let app = TestApp::start().await;
    let boss = app.add_user("boss", &[Role::Admin]).await;
    let scopes = [AdminScope::TokensWrite, AdminScope::UsersWrite, AdminScope::UsersRead];
    let modest = Program::new(&app, Some(token(&app, &scopes, None).await));
    let new =
        |scopes: Value, user: Option<&str>| json!({ "name": "x", "scopes": scopes, "user": user });
    let more = modest.post("/tokens", &new(json!(["keys:write"]), None)).await;
    assert_eq!(
        (problem(&more), &more.json()["scope"]),
        ("insufficient-scope".into(), &json!("keys:write"))
    );
    let named = modest.post("/tokens", &new(json!(["users:read"]), Some(&boss.email))).await;
    assert_eq!(named.json()["scope"], "review:decide");
    assert_eq!(modest.post("/tokens", &new(json!(["users:read"]), None)).await.status, 201);
    let user = |roles: Value| json!({ "email": "new@example.com", "password": "a long enough one", "roles": roles });
    let staff = modest.post("/users", &user(json!(["reviewer"]))).await;
    assert_eq!(staff.json()["scope"], "roles:write");
    assert_eq!(modest.post("/users", &user(json!(["developer"]))).await.status, 201);
    let promoted = modest
        .send(Method::PATCH, "/users/new@example.com", ANY, &json!({ "roles": ["admin"] }))
        .await;
    assert_eq!(promoted.json()["scope"], "roles:write");
    let renamed =
        modest.send(Method::PATCH, "/users/new@example.com", ANY, &json!({ "name": "Neo" })).await;
    assert_eq!(renamed.json()["name"], "Neo", "{renamed:?}");
    for (wrong, pointer) in [
        (json!({ "name": "", "scopes": ["users:read"] }), "/name"),
        (json!({ "name": "x", "scopes": [] }), "/scopes"),
        (json!({ "name": "x", "scopes": ["users:read"], "days": 0 }), "/days"),
        (json!({ "name": "x", "scopes": ["users:read"], "days": 367 }), "/days"),
        (json!({ "name": "x", "scopes": ["users:read"], "day": 3 }), "/day"),
    ] {
        let refused = modest.post("/tokens", &wrong).await;
        assert_eq!(problem(&refused), "invalid-request", "{wrong}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{wrong}");
    }
}

#[tokio::test]
async fn tokens_end_with_the_one_that_they_were_made_with_and_decide_in_its_name() {
    let app = TestApp::start().await;
    let rita = app.add_user("rita", &[Role::Reviewer]).await;
    let scopes = [AdminScope::TokensWrite, AdminScope::TokensRead, AdminScope::AppsWrite];
    let first = Program::new(&app, Some(token(&app, &scopes, Some(&rita)).await));
    let make = async |program: &Program| {
        let new = json!({ "name": "next", "scopes": ["tokens:write", "tokens:read"] });
        let made = program.post("/tokens", &new).await.json();
        assert_eq!(made["user_id"], rita.id.to_string(), "{made}");
        let path = format!("/tokens/{}", made["id"].as_str().unwrap());
        (Program::new(&app, Some(made["token"].as_str().unwrap().to_owned())), path)
    };
    let (second, path) = make(&first).await;
    let (third, _) = make(&second).await;
    let (fourth, _) = make(&third).await;
    let (aside, _) = make(&first).await;
    assert_eq!(first.send(Method::DELETE, &path, ANY, &Value::Null).await.status, 204);
    for ended in [&second, &third, &fourth] {
        assert_eq!(problem(&ended.get("/tokens").await), "unauthorized");
    }
    assert_eq!(aside.get("/tokens").await.status, 200);
    let trail = app.write(async |tx: &mut Tx<'_>| store::audit::list(tx, 0, 99).await).await;
    let revoked = trail.iter().filter(|row| row.event.kind == AuditKind::AdminTokenRevoked);
    assert_eq!(revoked.count(), 3);
}

/// The client ids of all pages of `path`, and how many pages there were.
async fn walk(program: &Program, path: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = program.get(&format!("{path}{cursor}")).await.json();
        pages += 1;
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().map(|app| app["client_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { return (found, pages) };
        assert!(next.starts_with("cs_cu_"), "{next}");
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn a_list_is_walked_by_cursors_that_belong_to_it_alone() {
    let app = TestApp::start().await;
    for id in ["e", "b", "d", "a", "c"] {
        app.add_app(id, AppKind::Web, |_| {}).await;
    }
    let program = Program::mighty(&app).await;
    let all: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
    assert_eq!(walk(&program, "/apps?limit=2").await, (all.clone(), 3));
    assert_eq!(walk(&program, "/apps?limit=5").await, (all, 1));
    let first = program.get("/apps?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    for path in [
        format!("/apps?limit=2&status=live&cursor={cursor}"),
        format!("/users?cursor={cursor}"),
        format!("/apps?cursor={}x", &cursor[..cursor.len() - 1]),
        "/apps?cursor=a".to_owned(),
    ] {
        let refused = program.get(&path).await;
        assert_eq!(
            (refused.status.as_u16(), problem(&refused)),
            (400, "invalid-cursor".into()),
            "{path}"
        );
    }
    // Another size is the same list.
    let rest = program.get(&format!("/apps?limit=9&cursor={cursor}")).await.json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 3);
    for path in [
        "/apps?limit=0",
        "/apps?limit=1001",
        "/apps?limit=x",
        "/apps?colour=red",
        "/apps?kind=robot",
    ] {
        assert_eq!(problem(&program.get(path).await), "invalid-request", "{path}");
    }
    let gone = program.send(Method::DELETE, "/apps/c", ANY, &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let rest = program.get(&format!("/apps?limit=9&cursor={cursor}")).await.json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 2, "what is gone is no obstacle");
}

fn new_user(email: &str) -> Value {
    json!({ "email": email, "password": "a long enough one" })
}

async fn keyed(program: &Program, path: &str, key: &str, body: &Value) -> Answer {
    program.send(Method::POST, path, &[("idempotency-key", key)], body).await
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_nothing_is_done_twice() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    let program = Program::mighty(&app).await;
    let first = keyed(&program, "/apps/bot/secrets", "k1", &Value::Null).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    assert_eq!(first.header("idempotency-replayed"), None);
    // Another router, as another node or a later process has it.
    let later = Program::new(&app, program.token.clone());
    let again = keyed(&later, "/apps/bot/secrets", "k1", &Value::Null).await;
    assert_eq!((again.status, again.json()), (first.status, first.json()), "the secret too");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for name in ["location", "etag", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    let listed = program.get("/apps/bot/secrets").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "one more than before");
    let secret = first.json()["client_secret"].as_str().unwrap().to_owned();
    let stored = app
        .write(async |tx: &mut Tx<'_>| {
            let sql = "SELECT answer FROM idempotent_answers";
            tx.query_one(sql, &[]).await?.take::<String>()
        })
        .await;
    assert!(stored.starts_with("cs_an_") && !stored.contains(&secret), "it is sealed");

    let refused = keyed(&program, "/users", "k1", &new_user("a@example.com")).await;
    assert_eq!(
        (refused.status.as_u16(), problem(&refused)),
        (422, "idempotency-key-reused".into())
    );
    keyed(&program, "/users", "k2", &new_user("a@example.com")).await;
    let other = keyed(&program, "/users", "k2", &new_user("b@example.com")).await;
    assert_eq!(problem(&other), "idempotency-key-reused");
    // Refusals are answers too.
    let conflict = keyed(&program, "/users", "k3", &new_user("a@example.com")).await;
    assert_eq!(problem(&conflict), "conflict");
    let again = keyed(&program, "/users", "k3", &new_user("a@example.com")).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(problem(&again), "conflict");
    // Keys of others are others.
    let stranger = Program::new(&app, Some(token(&app, AdminScope::ALL, None).await));
    assert_eq!(keyed(&stranger, "/users", "k2", &new_user("c@example.com")).await.status, 201);
    for key in ["", &"x".repeat(256), "é"] {
        let value = http::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        let Ok(text) = value.to_str() else { continue };
        assert_eq!(
            problem(&keyed(&program, "/keys/rotate", text, &Value::Null).await),
            "invalid-request"
        );
    }
    app.clock.advance(Duration::from_secs(24 * 3600));
    app.provider.store.sweep().await.unwrap();
    let left = async |tx: &mut Tx<'_>| {
        tx.query_one("SELECT COUNT(*) FROM idempotent_answers", &[]).await?.take::<u64>()
    };
    assert_eq!(app.write(left).await, 0);
}

#[tokio::test]
async fn of_requests_at_once_with_one_key_one_is_carried_out() {
    let app = TestApp::start().await;
    let program = Program::mighty(&app).await;
    let calls =
        (0..8).map(|_| async { keyed(&program, "/users", "k", &new_user("a@example.com")).await });
    let answers = futures_util::future::join_all(calls).await;
    for answer in &answers {
        match answer.status {
            StatusCode::CREATED => {}
            _ => assert_eq!(problem(answer), "request-in-progress"),
        }
    }
    let done = answers.iter().filter(|answer| {
        answer.status == StatusCode::CREATED && answer.header("idempotency-replayed").is_none()
    });
    assert_eq!(done.count(), 1);
    let waits = answers.iter().filter(|answer| answer.status == StatusCode::CONFLICT);
    assert!(waits.clone().count() > 0, "hashing a password takes its time");
    assert!(waits.into_iter().all(|answer| answer.header("retry-after") == Some("1")));
    let created = app.audited().await;
    assert_eq!(created.iter().filter(|kind| **kind == AuditKind::UserCreated).count(), 1);
}

#[tokio::test]
async fn a_request_that_broke_off_is_never_carried_out_again_by_its_key() {
    let app = TestApp::start().await;
    let program = Program::mighty(&app).await;
    let first = keyed(&program, "/users", "k", &new_user("a@example.com")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    // As a crash before the answer was kept leaves it.
    let forget = "UPDATE idempotent_answers SET answer = NULL";
    app.write(async |tx: &mut Tx<'_>| tx.execute(forget, &[]).await).await;
    let answer = keyed(&program, "/users", "k", &new_user("a@example.com")).await;
    assert_eq!(problem(&answer), "request-in-progress");
    app.clock.advance(Duration::from_secs(301));
    let answer = keyed(&program, "/users", "k", &new_user("a@example.com")).await;
    assert_eq!((answer.status.as_u16(), problem(&answer)), (409, "outcome-unknown".into()));
}

#[tokio::test]
async fn a_change_names_the_state_that_was_read() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    let program = Program::mighty(&app).await;
    let patch = json!({ "description": "Trades." });
    let blind = program.send(Method::PATCH, "/apps/bot", &[], &patch).await;
    assert_eq!((blind.status.as_u16(), problem(&blind)), (428, "precondition-required".into()));
    let blind = program.send(Method::DELETE, "/apps/bot", &[], &Value::Null).await;
    assert_eq!(problem(&blind), "precondition-required");
    let etag = program.etag("/apps/bot").await;
    let matched = [("if-match", etag.as_str())];
    let changed = program.send(Method::PATCH, "/apps/bot", &matched, &patch).await;
    assert_eq!(
        (changed.status, &changed.json()["description"]),
        (StatusCode::OK, &json!("Trades."))
    );
    for (method, body) in [(Method::PATCH, patch), (Method::DELETE, Value::Null)] {
        let stale = program.send(method, "/apps/bot", &matched, &body).await;
        assert_eq!((stale.status.as_u16(), problem(&stale)), (412, "precondition-failed".into()));
    }
    let stale = program.send(Method::POST, "/apps/bot/suspend", &matched, &json!({})).await;
    assert_eq!(problem(&stale), "precondition-failed", "where it may be left out it holds too");
    let now = program.etag("/apps/bot").await;
    assert_eq!(changed.header("etag"), Some(&*now));
    for list in [now.clone(), format!("\"x\", W/{now}"), "*".to_owned()] {
        let known =
            program.send(Method::GET, "/apps/bot", &[("if-none-match", &list)], &Value::Null).await;
        assert_eq!((known.status.as_u16(), known.text()), (304, String::new()), "{list}");
        assert_eq!(known.header("etag"), Some(&*now));
    }
    let known =
        program.send(Method::GET, "/apps/bot", &[("if-none-match", &etag)], &Value::Null).await;
    assert_eq!(known.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_is_json_of_what_is_known_and_within_bounds() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    let program = Program::mighty(&app).await;
    let unknown = program.post("/apps/bot/suspend", &json!({ "reson": "x" })).await;
    assert_eq!(problem(&unknown), "invalid-request");
    assert_eq!(unknown.json()["errors"][0]["pointer"], "/reson");
    let typed = [("content-type", "text/plain")];
    let other = program.send(Method::POST, "/apps/bot/suspend", &typed, &json!({})).await;
    assert_eq!((other.status.as_u16(), problem(&other)), (415, "unsupported-media-type".into()));
    let large =
        program.post("/apps/bot/suspend", &json!({ "reason": "x".repeat(300 << 10) })).await;
    assert_eq!((large.status.as_u16(), problem(&large)), (413, "body-too-large".into()));
    let mut deep = json!([]);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let deep = program.post("/apps/bot/suspend", &json!({ "reason": deep })).await;
    assert_eq!(problem(&deep), "invalid-request");
    let patches = [
        (json!({ "client_id": "x" }), "/client_id"),
        (json!({ "name": "x", "homepage": "http://a" }), "/name"),
        (json!({ "name": null }), "/name"),
        (json!({ "redirect_uris": ["http://a.example/cb"] }), "/redirect_uris"),
    ];
    for (patch, pointer) in patches {
        let refused = program.send(Method::PATCH, "/apps/bot", ANY, &patch).await;
        assert_eq!(problem(&refused), "invalid-request", "{patch}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{patch}");
    }
    let whole = program.send(Method::PATCH, "/apps/bot", ANY, &json!(["x"])).await;
    assert_eq!(problem(&whole), "invalid-request");
}
