//! What an operator does with commands, over the socket, and health.

use axum::Router;
use axum::body::Body;
use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::id::FactorId;
use domain::second_factor::Totp;
use domain::user::Role;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use server::admin::PREFIX;
use store::{Tx, second_factors};
use tower::ServiceExt as _;

use crate::admin::at_socket;
use crate::forms::{is_accepted, live_scope};
use crate::harness::{Client, TestApp, Tokens};

async fn send(router: Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn get(app: &TestApp, path: &str) -> (StatusCode, Value) {
    let request = Request::get(format!("{PREFIX}{path}")).body(Body::empty()).unwrap();
    send(at_socket(app), request).await
}

async fn post(app: &TestApp, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::post(format!("{PREFIX}{path}")).header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap();
    send(at_socket(app), request).await
}

fn new_app(change: &Value) -> Value {
    let mut body = json!({
        "name": "Partner", "kind": "web", "owner": "dev@example.com",
        "scopes": { "balances.read": "To show them.", "orders.read": "To list them." },
        "required": "balances.read",
        "service_scopes": "balances.read",
        "redirect_uris": ["https://partner.example/cb"],
        "addresses": ["127.0.0.0/8"],
    });
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn an_app_that_the_operator_creates_works_at_once() {
    let app = TestApp::start().await;
    app.add_user("dev", &[Role::Developer]).await;
    let (status, made) = post(&app, "/apps", &new_app(&json!({}))).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    let id = made["client_id"].as_str().unwrap();
    let find = id.to_owned();
    let found = app.write(async move |tx| store::apps::find_by_client_id(tx, &find).await).await;
    let client = Client { app: found.unwrap(), secret: Some(secret) };
    let answer = client.post(&app, "/oauth/token", &[("grant_type", "client_credentials")]).await;
    assert_eq!(
        live_scope(&app, &client, &Tokens::of(&answer)).await.as_deref(),
        Some("balances.read")
    );

    let (status, shown) = get(&app, &format!("/apps/{id}")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(shown.get("client_secret"), None, "never again");
    assert_eq!((&shown["status"], &shown["owner"]), (&json!("live"), &json!("dev@example.com")));
    assert_eq!(shown["created_at"], "2026-04-02T09:00:00Z");
    let (_, list) = get(&app, "/apps").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_operators_own_app_may_carry_the_providers_name() {
    let app = TestApp::start().await;
    app.add_user("dev", &[Role::Developer]).await;
    let (status, made) = post(&app, "/apps", &new_app(&json!({ "name": "Test Exchange" }))).await;
    assert_eq!((status, &made["name"]), (StatusCode::CREATED, &json!("Test Exchange")), "{made}");
}

#[tokio::test]
async fn an_app_that_moves_here_keeps_its_credentials() {
    let app = TestApp::start().await;
    app.add_user("dev", &[Role::Developer]).await;
    let moved = json!({ "client_id": "1001", "client_secret": "old-secret-of-1001" });
    let (status, made) = post(&app, "/apps", &new_app(&moved)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["client_id"], &made["client_secret"]),
        (&moved["client_id"], &moved["client_secret"])
    );
    let (status, twice) = post(&app, "/apps", &new_app(&moved)).await;
    assert_eq!(
        (status, &twice["type"]),
        (StatusCode::CONFLICT, &json!("urn:consentry:problem:conflict"))
    );
}

#[tokio::test]
async fn a_wrong_app_is_refused_with_the_reason() {
    let app = TestApp::start().await;
    app.add_user("dev", &[Role::Developer]).await;
    let wrong = [
        (json!({ "name": "x" }), "name: Use at least 3 characters."),
        (json!({ "redirect_uris": ["http://a.example/"] }), "http:// is allowed only for"),
        (json!({ "redirect_uris": [] }), "redirect_uris: Name at least one"),
        (json!({ "scopes": { "root": "" } }), "root is not a scope of this provider"),
        (json!({ "required": "withdraw" }), "withdraw is not among the app's scopes"),
        (json!({ "kind": "native" }), "a public app has no client credentials"),
        (json!({ "kind": "robot" }), "unknown variant `robot`"),
        (json!({ "homepage": "http://a.example" }), "homepage: Start with https://"),
        (json!({ "client_id": "a:b" }), "client_id: use 1 to 100"),
        (json!({ "client_secret": "short" }), "client_secret: use at least 16"),
        (json!({ "nmae": "typo" }), "unknown field `nmae`"),
    ];
    for (change, reason) in wrong {
        let (status, answer) = post(&app, "/apps", &new_app(&change)).await;
        assert_eq!(
            (status, &answer["type"]),
            (StatusCode::BAD_REQUEST, &json!("urn:consentry:problem:invalid-request")),
            "{change}"
        );
        let message = answer["detail"].as_str().unwrap();
        assert!(message.contains(reason), "{change}: {message}");
    }
    let all = json!({
        "name": "x", "kind": "native", "owner": "no@example.com", "homepage": "ftp://a",
        "redirect_uris": ["http://a.example/", "https://a.example/#x"], "required": "root withdraw",
        "client_id": "", "client_secret": "short",
    });
    let (status, answer) = post(&app, "/apps", &new_app(&all)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = answer["detail"].as_str().unwrap();
    let fields: Vec<_> =
        message.lines().skip(1).map(|line| line.trim().split(':').next().unwrap()).collect();
    let expected = [
        "name",
        "homepage",
        "redirect_uris",
        "redirect_uris",
        "scopes",
        "scopes",
        "scopes",
        "service_scopes",
        "client_id",
        "client_secret",
        "owner",
    ];
    assert_eq!(fields, expected, "{message}");
    let (status, answer) =
        post(&app, "/apps", &new_app(&json!({ "owner": "no@example.com" }))).await;
    assert_eq!(
        (status, &answer["type"]),
        (StatusCode::NOT_FOUND, &json!("urn:consentry:problem:not-found"))
    );
    assert_eq!(app.audited().await, [], "nothing was stored");
}

#[tokio::test]
async fn t8_suspending_an_app_and_blocking_a_user_are_felt_by_the_next_request() {
    let app = TestApp::start().await;
    let (bot, other) = (
        app.add_app("bot", AppKind::Web, |_| {}).await,
        app.add_app("other", AppKind::Web, |_| {}).await,
    );
    let alice = app.add_user("alice", &[]).await;
    let (tokens, others) = (bot.tokens(&app, &alice).await, other.tokens(&app, &alice).await);
    let browser = app.signed_in(&alice).await;
    let (status, shown) = post(&app, "/apps/bot/suspend", &json!({ "reason": "Phishing" })).await;
    assert_eq!(
        (status, &shown["status"], &shown["reason"]),
        (StatusCode::OK, &json!("suspended"), &json!("Phishing"))
    );
    assert!(!is_accepted(&app, &tokens).await && is_accepted(&app, &others).await);
    let (status, _) = post(&app, "/apps/bot/suspend", &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT);

    let (status, shown) =
        post(&app, "/users/Alice@example.com/block", &json!({ "reason": "Gone" })).await;
    assert_eq!((status, &shown["status"]), (StatusCode::OK, &json!("blocked")), "{shown}");
    assert!(!is_accepted(&app, &others).await);
    assert_eq!(browser.get("/connected").await.status, StatusCode::SEE_OTHER, "signed out");
    // Not even unblocking brings the session back.
    app.save_user(alice).await;
    assert_eq!(browser.get("/connected").await.status, StatusCode::SEE_OTHER);
    for path in ["/users/no@example.com/block", "/apps/no/suspend"] {
        assert_eq!(post(&app, path, &json!({})).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_resumed_app_and_an_unblocked_user_go_on_with_the_next_request() {
    let app = TestApp::start().await;
    let bot = app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    let tokens = bot.tokens(&app, &alice).await;
    let steps = [
        ("/apps/bot/suspend", "/apps/bot/resume", "live"),
        ("/users/alice@example.com/block", "/users/Alice@Example.com/unblock", "active"),
    ];
    for (stop, go_on, status) in steps {
        assert_eq!(post(&app, go_on, &json!({})).await.0, StatusCode::CONFLICT, "{go_on}");
        assert_eq!(post(&app, stop, &json!({})).await.0, StatusCode::OK, "{stop}");
        assert!(!is_accepted(&app, &tokens).await, "{stop}");
        let (answered, shown) = post(&app, go_on, &json!({ "reason": "A mistake" })).await;
        assert_eq!((answered, &shown["status"]), (StatusCode::OK, &json!(status)), "{shown}");
        assert_eq!(shown.get("reason"), None);
        assert!(is_accepted(&app, &tokens).await, "{go_on}");
    }
    for path in ["/users/no@example.com/unblock", "/apps/no/resume"] {
        assert_eq!(post(&app, path, &json!({})).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let audited = app.audited().await;
    for kind in [AuditKind::AppResumed, AuditKind::UserUnblocked] {
        assert_eq!(audited.iter().filter(|audited| **audited == kind).count(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn the_last_admin_who_can_sign_in_cannot_be_blocked() {
    let app = TestApp::start().await;
    for (name, roles) in [("alice", &[Role::Admin][..]), ("bob", &[Role::Admin]), ("carol", &[])] {
        app.add_user(name, roles).await;
    }
    let block = |name: &str| format!("/users/{name}@example.com/block");
    assert_eq!(post(&app, &block("alice"), &json!({})).await.0, StatusCode::OK);
    let (status, refused) = post(&app, &block("bob"), &json!({})).await;
    let message = refused["detail"].as_str().unwrap();
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(message.starts_with("bob@example.com is the last admin"), "{message}");
    assert_eq!(post(&app, &block("carol"), &json!({})).await.0, StatusCode::OK);
    let unblock = "/users/alice@example.com/unblock";
    assert_eq!(post(&app, unblock, &json!({})).await.0, StatusCode::OK);
    assert_eq!(post(&app, &block("bob"), &json!({})).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_user_who_has_lost_every_second_factor_is_let_in_by_the_operator() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let (id, now) = (alice.id, app.provider.now());
    app.write(async move |tx: &mut Tx<'_>| {
        let totp = Totp {
            id: FactorId::from_bytes([1; 16]),
            user_id: id,
            name: "Phone".to_owned(),
            secret: "lost".to_owned(),
            last_step: 0,
            created_at: now,
            last_used_at: None,
        };
        second_factors::insert_totp(tx, &totp).await?;
        second_factors::replace_recovery_codes(tx, id, &[[7; 16]], now).await
    })
    .await;
    let browser = app.signed_in(&alice).await;
    let remove = "/users/Alice@Example.com/second-factors/remove";
    let (status, _) = post(&app, remove, &json!({ "reason": "Came with a passport" })).await;
    assert_eq!(status, StatusCode::OK);
    let read = async move |tx: &mut Tx<'_>| second_factors::find_enrolled(tx, id).await;
    let left = app.write(read).await;
    assert!(left.is_empty() && left.recovery_codes_left == 0);
    let page = browser.get("/connected").await;
    assert!(page.location().starts_with("/sign-in"), "what was lost opens no session either");
    assert_eq!(post(&app, remove, &json!({})).await.0, StatusCode::CONFLICT);
    let nobody = "/users/no@example.com/second-factors/remove";
    assert_eq!(post(&app, nobody, &json!({})).await.0, StatusCode::NOT_FOUND);
    assert!(app.audited().await.contains(&AuditKind::SecondFactorRemoved));
    let told = app.queued().await.into_iter().filter(|mail| mail.user_id == Some(id));
    let told: Vec<_> = told.map(|mail| mail.kind.name()).collect();
    assert!(told.contains(&"second_factors_removed_by_staff"), "{told:?}");
}

#[tokio::test]
async fn what_a_command_does_is_audited_with_who_gave_it() {
    let app = TestApp::start().await;
    let router = at_socket(&app);
    let password = "a long enough password";
    let commands = [
        ("/users", json!({ "email": "dev@example.com", "password": password })),
        ("/users", json!({ "email": "a@example.com", "password": password, "roles": ["admin"] })),
        ("/apps", new_app(&json!({ "client_id": "bot" }))),
        ("/apps/bot/suspend", json!({ "reason": "Phishing" })),
        ("/apps/bot/resume", json!({})),
        ("/users/dev@example.com/block", json!({})),
        ("/users/dev@example.com/unblock", json!({})),
        ("/keys/rotate", Value::Null),
    ];
    for (path, body) in &commands {
        let request =
            Request::post(format!("{PREFIX}{path}")).header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let (status, answer) = send(router.clone(), request).await;
        assert!(status.is_success(), "{path}: {answer}");
    }
    let (_, trail) = get(&app, "/audit?order=oldest").await;
    let events = trail["items"].as_array().unwrap();
    assert_eq!(events.len(), commands.len());
    for event in events {
        assert_eq!(
            (&event["actor"], &event["detail"]["operator"]),
            (&json!("cli:1000"), &json!("olga"))
        );
    }
    assert_eq!(events[3]["detail"]["reason"], "Phishing");
}

#[tokio::test]
async fn a_user_that_the_operator_creates_can_sign_in() {
    let app = TestApp::start().await;
    let body =
        json!({ "email": " Carol@Example.com", "password": "carols password", "roles": ["admin"] });
    let (status, made) = post(&app, "/users", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!((&made["email"], &made["name"]), (&json!("Carol@Example.com"), &json!("Carol")));
    let browser = app.browser();
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    let fields =
        [("email", "carol@example.com"), ("password", "carols password"), ("csrf", &*csrf)];
    assert_eq!(browser.post("/sign-in", &fields).await.status, StatusCode::SEE_OTHER);
    assert!(browser.get("/staff/apps").await.status == StatusCode::OK);

    let wrong = [
        (json!({ "email": "carol@example.com" }), StatusCode::CONFLICT),
        (json!({ "email": "carol" }), StatusCode::BAD_REQUEST),
        (json!({ "password": "short" }), StatusCode::BAD_REQUEST),
        (json!({ "roles": ["king"] }), StatusCode::BAD_REQUEST),
    ];
    for (change, expected) in wrong {
        let mut body = json!({ "email": "d@example.com", "password": "a long enough one" });
        change.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        assert_eq!(post(&app, "/users", &body).await.0, expected, "{change}");
    }
    let (_, list) = get(&app, "/users").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert!(!list.to_string().contains("argon2"), "{list}");
}

#[tokio::test]
async fn rotated_keys_seal_at_once_and_a_signing_key_is_published_before_it_is_used() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    let before = client.tokens(&app, &alice).await;
    let keys = async || {
        let jwks = app.get("/.well-known/jwks.json").await.json();
        jwks["keys"].as_array().unwrap().len()
    };
    let published = keys().await;
    let (status, answer) = post(&app, "/keys/rotate", &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["sealing_keys_used_from"], "2026-04-02T09:00:00Z");
    assert_eq!(answer["signing_keys_used_from"], "2026-04-02T10:00:00Z");
    assert!(keys().await > published);
    assert!(is_accepted(&app, &before).await, "old tokens still open");
    let after = client.tokens(&app, &alice).await;
    assert!(is_accepted(&app, &after).await);
    assert!(app.audited().await.contains(&AuditKind::KeysRotated));
}

#[tokio::test]
async fn health_says_alive_and_ready() {
    let app = TestApp::start().await;
    let health = server::health_router(app.provider.clone());
    let ask = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(send(health.clone(), ask("/healthz")).await.0, StatusCode::OK);
    assert_eq!(send(health, ask("/readyz")).await, (StatusCode::OK, json!({ "ready": true })));
}
