//! Apps that move here from elsewhere: what an import takes, refuses and leaves alone, and the first
//! use of a secret that came as a hash.

use axum::body::Body;
use domain::app::{App, AppStatus, Approval, ClientSecret, SecretProof};
use domain::audit::AuditKind;
use domain::user::Role;
use futures_util::FutureExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use store::Tx;
use tower::ServiceExt as _;

use crate::harness::{Answer, TestApp, form_request};

/// Of libxcrypt.
const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuLdzIUh4O2W5I5O/afFPOcnaRwZj8vrK";
const BCRYPT_SECRET: &str = "app secret 2";
/// Of the test suite of argon2's reference implementation.
const ARGON2ID: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
const ARGON2I: &str =
    "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";

async fn start() -> TestApp {
    let app = TestApp::start().await;
    app.add_user("dev", &[Role::Developer]).await;
    app
}

/// A service that may read balances for itself.
fn service(client_id: &str, secret: &Value) -> Value {
    let mut entry = json!({
        "client_id": client_id, "name": "Ledger Sync", "kind": "service",
        "scopes": "balances.read orders.read", "service_scopes": "balances.read",
        "owner": "dev@example.com",
    });
    for (name, value) in secret.as_object().unwrap() {
        entry[name] = value.clone();
    }
    entry
}

async fn send(app: &TestApp, body: &Value) -> (StatusCode, Value) {
    let request = Request::post("/admin/v1/import/apps").header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap();
    let answer = crate::admin::at_socket(app).oneshot(request).await.unwrap();
    let answer = crate::admin::answer_of(answer).await;
    (answer.status, answer.json())
}

/// Of each entry: `imported`, `already_there`, or the reasons against it (of the others nothing).
async fn outcomes(app: &TestApp, dry_run: bool, entries: &[Value]) -> Vec<String> {
    let (status, answer) = send(app, &json!({ "dry_run": dry_run, "apps": entries })).await;
    if status == StatusCode::OK {
        return serde_json::from_value(answer["outcomes"].clone()).unwrap();
    }
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    let mut told: Vec<Vec<&str>> = vec![Vec::new(); entries.len()];
    for error in answer["errors"].as_array().unwrap() {
        let index = error["pointer"].as_str().unwrap().split('/').nth(2).unwrap();
        told[index.parse::<usize>().unwrap()].push(error["detail"].as_str().unwrap());
    }
    told.iter().map(|reasons| reasons.join("\n")).collect()
}

async fn import(app: &TestApp, entry: &Value) -> String {
    outcomes(app, false, std::slice::from_ref(entry)).await.remove(0)
}

async fn find(app: &TestApp, client_id: &str) -> App {
    let id = client_id.to_owned();
    let find = async move |tx: &mut Tx<'_>| store::apps::find_by_client_id(tx, &id).await;
    app.write(find).await.unwrap_or_else(|| panic!("no app {client_id}"))
}

async fn secrets(app: &TestApp, client_id: &str) -> Vec<ClientSecret> {
    let id = find(app, client_id).await.id;
    app.write(async move |tx: &mut Tx<'_>| store::client_secrets::list_of_app(tx, id).await).await
}

async fn ask(app: &TestApp, client_id: &str, secret: &str) -> Answer {
    app.post("/oauth/token", &[], &credentials(client_id, secret)).await
}

fn credentials<'a>(client_id: &'a str, secret: &'a str) -> [(&'a str, &'a str); 3] {
    [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)]
}

#[tokio::test]
async fn an_app_that_moves_here_works_with_the_id_and_secret_that_it_has() {
    let app = start().await;
    let url = "https://app.example/client.json?a=1%20b";
    let cases = [
        ("43764", json!({ "client_secret": "k9" }), "k9"),
        (url, json!({ "client_secret": "p%20a +:~" }), "p%20a +:~"),
        ("by-bcrypt", json!({ "client_secret_hash": BCRYPT }), BCRYPT_SECRET),
        ("by-argon2id", json!({ "client_secret_hash": ARGON2ID }), "password"),
        ("by-argon2i", json!({ "client_secret_hash": ARGON2I }), "password"),
    ];
    let entries: Vec<Value> = cases.iter().map(|(id, secret, _)| service(id, secret)).collect();
    assert_eq!(outcomes(&app, false, &entries).await, ["imported"; 5]);
    assert_eq!(app.audited().await, [AuditKind::AppImported; 5]);
    for (id, _, secret) in cases {
        let wrong = ask(&app, id, &format!("{secret}x")).await;
        assert_eq!(
            (wrong.status, wrong.error()),
            (StatusCode::UNAUTHORIZED, "invalid_client".into())
        );
        for _ in 0..2 {
            let answer = ask(&app, id, secret).await;
            assert_eq!(answer.status, StatusCode::OK, "{id}: {answer:?}");
            assert_eq!(answer.json()["scope"], "balances.read");
        }
    }
    let status = find(&app, "43764").await.status;
    let since = app.provider.now();
    assert_eq!(status, AppStatus::Live { since, approval: Approval::Unreviewed });
}

#[tokio::test]
async fn everything_that_an_entry_says_is_kept() {
    let app = start().await;
    let entry = json!({
        "client_id": 998_344_708, "name": " Treasury Connect ", "kind": "web",
        "redirect_uris": ["https://t.example/cb", "https://t.example/cb2"],
        "scopes": [
            { "scope": "balances.read", "purpose": "To reconcile.", "required": true },
            { "scope": "orders.read" }, "orders.create",
        ],
        "service_scopes": ["balances.read"],
        "owner": " Dev@Example.com ", "publisher": "Harbour Treasury AG",
        "description": "Books.\nTrades.", "homepage": "https://t.example/",
        "privacy_url": "https://t.example/privacy", "terms_url": "https://t.example/terms",
        "addresses": "192.0.2.7 2001:db8::/32", "dialect": "bitport", "status": "review",
        "client_secret": "0123456789abcdef", "client_secret_hash": null,
    });
    assert_eq!(import(&app, &entry).await, "imported");
    let made = find(&app, "998344708").await;
    assert_eq!((made.name.as_str(), made.status), ("Treasury Connect", AppStatus::InReview));
    let uris: Vec<_> = made.redirect_uris.iter().map(ToString::to_string).collect();
    assert_eq!(uris, ["https://t.example/cb", "https://t.example/cb2"]);
    let requested: Vec<_> =
        made.requested.iter().map(|r| (r.scope.as_str(), r.purpose.as_str(), r.required)).collect();
    let wanted = [
        ("balances.read", "To reconcile.", true),
        ("orders.read", "", false),
        ("orders.create", "", false),
    ];
    assert_eq!(requested, wanted);
    assert!(made.approved.is_empty(), "staff look first");
    assert_eq!(made.service_scopes.to_string(), "balances.read");
    assert_eq!(made.publisher, "Harbour Treasury AG");
    assert_eq!(made.description, "Books.\nTrades.");
    let urls = [made.homepage, made.privacy_url, made.terms_url].map(Option::unwrap);
    assert_eq!(
        urls,
        ["https://t.example/", "https://t.example/privacy", "https://t.example/terms"]
    );
    let addresses: Vec<_> = made.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.7/32", "2001:db8::/32"]);
    assert_eq!(made.dialect.as_deref(), Some("bitport"));
    let hint = secrets(&app, "998344708").await.remove(0).hint;
    assert_eq!(hint, "cdef");
    // As little as possible, when only that is said.
    let little = json!({
        "client_id": "little", "name": "Little", "kind": "native", "owner": "dev@example.com",
        "redirect_uris": "com.example.little:/cb http://127.0.0.1/cb",
    });
    assert_eq!(import(&app, &little).await, "imported");
    let made = find(&app, "little").await;
    assert_eq!((made.publisher.as_str(), made.redirect_uris.len()), ("dev", 2));
}

#[tokio::test]
async fn the_first_use_of_a_secret_replaces_its_foreign_hash() {
    let app = start().await;
    import(&app, &service("moved", &json!({ "client_secret_hash": BCRYPT }))).await;
    let before = secrets(&app, "moved").await.remove(0);
    assert!(matches!(before.proof, SecretProof::Foreign(_)));
    assert_eq!(before.hint, "", "nobody knows how the secret ends");
    let owner =
        app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    let browser = app.signed_in(&owner.unwrap()).await;
    let page = format!("/apps/{}/credentials", before.app_id);
    assert!(browser.get(&page).await.text().contains("Brought along when the app moved here"));
    assert_eq!(ask(&app, "moved", BCRYPT_SECRET).await.status, StatusCode::OK);
    let after = secrets(&app, "moved").await.remove(0);
    let mac = app.provider.keyring().secret_mac(BCRYPT_SECRET.as_bytes());
    assert_eq!(after.proof, SecretProof::Mac(mac), "the hash is gone");
    assert_eq!((after.id, after.hint.as_str()), (before.id, "t 2"));
    assert_eq!(after.last_used_at, Some(app.provider.now()));
    assert!(!browser.get(&page).await.text().contains("Brought along"));
}

#[tokio::test]
async fn parallel_first_uses_all_succeed() {
    let app = start().await;
    import(&app, &service("moved", &json!({ "client_secret_hash": BCRYPT }))).await;
    let calls = (0..12).map(|_| ask(&app, "moved", BCRYPT_SECRET));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    let stored = secrets(&app, "moved").await;
    assert!(matches!(stored[..], [ClientSecret { proof: SecretProof::Mac(_), .. }]), "{stored:?}");
}

#[tokio::test]
async fn both_readings_of_http_basic_are_compared_with_a_foreign_hash() {
    use base64::Engine as _;
    let form = [("grant_type", "client_credentials")];
    // Raw, form-encoded, and with a secret that only looks encoded.
    for (spelled, hash) in [
        ("app secret 2", BCRYPT),
        ("app+secret+2", BCRYPT),
        ("app%20secret%202", BCRYPT),
        ("a%41+b", "$2b$04$abcdefghijklmnopqrstuu9BrsJ5zOv8P4kxsC/ndodrjE3P5lMk."),
    ] {
        let app = start().await;
        import(&app, &service("moved", &json!({ "client_secret_hash": hash }))).await;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("moved:{spelled}"));
        let header = format!("Basic {text}");
        for _ in 0..2 {
            let answer = app.post("/oauth/token", &[(AUTHORIZATION, &header)], &form).await;
            assert_eq!(answer.status, StatusCode::OK, "{spelled}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn x2_guesses_at_a_foreign_hash_are_counted_before_they_are_checked() {
    let app = start().await;
    import(&app, &service("moved", &json!({ "client_secret_hash": BCRYPT }))).await;
    let count = async || {
        let key = "client moved from 127.0.0.1/32";
        let find = async move |tx: &mut Tx<'_>| store::throttles::find(tx, key).await;
        app.write(find).await.map(|state| state.attempts)
    };
    for guesses in 1..=20 {
        assert_eq!(ask(&app, "moved", "wrong").await.error(), "invalid_client");
        assert_eq!(count().await, Some(guesses), "each once");
    }
    let answer = ask(&app, "moved", BCRYPT_SECRET).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "not even looked at");
    assert!(answer.header(RETRY_AFTER).is_some());
    // Elsewhere, the app itself goes on; and a right secret forgets what was counted.
    let elsewhere = form_request("/oauth/token", &[], &credentials("moved", BCRYPT_SECRET));
    let answer = app.send_from("203.0.113.9".parse().unwrap(), elsewhere).await;
    assert_eq!(answer.status, StatusCode::OK);
    app.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(ask(&app, "moved", BCRYPT_SECRET).await.status, StatusCode::OK);
    assert_eq!(count().await, None);
}

#[tokio::test]
async fn x2_too_many_guesses_at_one_app_at_once_are_told_to_come_back_and_others_are_served() {
    let app = start().await;
    import(&app, &service("moved", &json!({ "client_secret_hash": BCRYPT }))).await;
    import(&app, &service("other", &json!({ "client_secret_hash": ARGON2ID }))).await;
    let id = find(&app, "moved").await.id;
    // One check that does not end, and as many behind it as may wait.
    let elsewhere = [203, 0, 113, 9].into();
    let turn = app.provider.foreign_hashes.turn(id, elsewhere, false).await.unwrap();
    let mut waiting = Vec::new();
    loop {
        let mut guess = Box::pin(ask(&app, "moved", BCRYPT_SECRET));
        let Some(answer) = (&mut guess).now_or_never() else {
            waiting.push(guess);
            assert!(waiting.len() < 100, "the queue has an end");
            continue;
        };
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        assert_eq!(answer.error(), "temporarily_unavailable");
        assert!(answer.header(RETRY_AFTER).is_some());
        break;
    }
    let other = form_request("/oauth/token", &[], &credentials("other", "password"));
    let answer = app.send_from([198, 51, 100, 1].into(), other).await;
    assert_eq!(answer.status, StatusCode::OK, "another app from another network: {answer:?}");
    drop(turn);
    for answer in futures_util::future::join_all(waiting).await {
        assert_eq!(answer.status, StatusCode::OK, "whoever waited is served: {answer:?}");
    }
}

#[tokio::test]
async fn a_file_is_imported_whole_or_not_at_all_and_a_dry_run_says_the_same() {
    let app = start().await;
    let entries = [
        service("a", &json!({ "client_secret": "secret" })),
        service("b", &json!({ "client_secret_hash": BCRYPT })),
        service("c", &json!({})),
        service("d", &json!({ "client_secret": "secret", "owner": "no@example.com" })),
    ];
    let told = outcomes(&app, true, &entries).await;
    assert_eq!(told[..2], ["", ""]);
    assert!(told[2].starts_with("client_secret: is missing"), "{}", told[2]);
    assert!(told[3].starts_with("owner: there is no user no@example.com"), "{}", told[3]);
    assert_eq!(outcomes(&app, false, &entries).await, told);
    assert_eq!(outcomes(&app, true, &entries[..2]).await, ["imported"; 2]);
    assert_eq!(app.audited().await, [], "all or nothing");
    assert_eq!(outcomes(&app, false, &entries[..2]).await, ["imported"; 2]);
    assert_eq!(outcomes(&app, true, &entries[..2]).await, ["already_there"; 2]);
}

#[tokio::test]
async fn importing_twice_is_harmless_also_after_the_first_use() {
    let app = start().await;
    let entries = [
        service("by-hash", &json!({ "client_secret_hash": BCRYPT })),
        service("by-text", &json!({ "client_secret": "the secret" })),
    ];
    assert_eq!(outcomes(&app, false, &entries).await, ["imported"; 2]);
    assert_eq!(outcomes(&app, false, &entries).await, ["already_there"; 2]);
    assert_eq!(ask(&app, "by-hash", BCRYPT_SECRET).await.status, StatusCode::OK);
    assert_eq!(outcomes(&app, false, &entries).await, ["already_there"; 2]);
    assert_eq!(secrets(&app, "by-hash").await.len(), 1);
    // What staff decide later is no difference.
    let suspended = find(&app, "by-text").await.suspend(String::new(), app.provider.now()).unwrap();
    app.save_app(suspended).await;
    assert_eq!(import(&app, &entries[1]).await, "already_there");
    assert!(!find(&app, "by-text").await.is_live(), "an import lets nobody in again");
}

#[tokio::test]
async fn an_app_that_is_there_with_another_content_is_left_alone_and_the_differences_are_named() {
    let app = start().await;
    app.add_user("other", &[Role::Developer]).await;
    import(&app, &service("moved", &json!({ "client_secret": "the secret" }))).await;
    let before = format!("{:?}", find(&app, "moved").await);
    for (change, fields) in [
        (json!({ "client_secret": "another" }), "client_secret"),
        (json!({ "client_secret": null, "client_secret_hash": BCRYPT }), "client_secret_hash"),
        (json!({ "name": "Ledger", "owner": "other@example.com" }), "name, owner"),
        (json!({ "scopes": "balances.read" }), "scopes"),
        (json!({ "service_scopes": "orders.read" }), "service_scopes"),
        (json!({ "publisher": "ACME", "description": "x" }), "publisher, description"),
        (json!({ "kind": "web", "redirect_uris": "https://a.example/cb" }), "kind, redirect_uris"),
        (json!({ "terms_url": "https://a.example/t" }), "terms_url"),
        (
            json!({ "kind": "web", "redirect_uris": "https://a.example/cb", "dialect": "bitport" }),
            "kind, redirect_uris, dialect",
        ),
    ] {
        let mut entry = service("moved", &json!({ "client_secret": "the secret" }));
        for (name, value) in change.as_object().unwrap() {
            entry[name] = value.clone();
        }
        let told = import(&app, &entry).await;
        let wanted = format!(
            "client_id: there is an app moved already, and it differs in {fields}; it was left as it is"
        );
        assert_eq!(told, wanted, "{change}");
    }
    assert_eq!(format!("{:?}", find(&app, "moved").await), before);
    assert_eq!(secrets(&app, "moved").await.len(), 1);
}

/// Each change to a right entry is refused with its reason, which repeats no secret.
async fn assert_refused(app: &TestApp, cases: &[(Value, &str)]) {
    for (change, reason) in cases {
        let mut entry = service("bad", &json!({ "client_secret": "hunter2-hunter2" }));
        for (name, value) in change.as_object().unwrap() {
            entry[name] = value.clone();
        }
        let told = import(app, &entry).await;
        assert!(told.contains(reason), "{change}:\n{told}");
        for secret in ["hunter2", "123456789", "gehéim", "5f4dcc3b", "c29tZXNhbHQ", "abcdefghij"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
    assert_eq!(app.audited().await, [], "nothing was stored");
}

#[tokio::test]
async fn what_people_read_about_an_app_is_refused_with_field_and_reason() {
    let app = start().await;
    let web = |uris: Value| json!({ "kind": "web", "redirect_uris": uris, "service_scopes": null });
    let unknown = "owner: there is no user no@example.com; create the account first \
                   (consentry user create no@example.com --role developer)";
    let cases = [
        (json!({ "name": "x" }), "name: Use at least 3 characters."),
        (json!({ "kind": "robot" }), "kind: robot is none of web, native, single-page, service"),
        (json!({ "status": "stopped" }), "status: stopped is neither live nor review"),
        (json!({ "owner": "" }), "owner: is missing"),
        (json!({ "owner": "no@example.com" }), unknown),
        (json!({ "publisher": "\u{202e}x" }), "publisher: "),
        (json!({ "description": "\u{7}" }), "description: "),
        (json!({ "homepage": "http://a.example" }), "homepage: Start with https://"),
        (json!({ "privacy_url": "x" }), "privacy_url: Start with https://"),
        (json!({ "terms_url": "x" }), "terms_url: Start with https://"),
        (json!({ "redirect_uris": "https://a.example/" }), "redirect_uris: A service acts for"),
        (web(json!([])), "redirect_uris: Name at least one"),
        (web(json!(7)), "redirect_uris: must be a text"),
        (web(json!([7])), "redirect_uris: must be texts"),
        (
            web(json!("https://a.example/ http://b.example/cb")),
            "redirect_uris: http://b.example/cb: http:// is allowed only for",
        ),
        (json!({ "colour": "red" }), "colour: there is no such field"),
    ];
    assert_refused(&app, &cases).await;
    let told = outcomes(&app, false, &[json!("text"), json!({})]).await;
    assert_eq!(told[0], "the entry is not an object with fields");
    assert!(told[1].lines().count() >= 4, "every reason at once: {}", told[1]);
    let many = json!({ "apps": vec![json!({}); 20_001] });
    assert_eq!(send(&app, &many).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_an_app_may_do_is_refused_with_field_and_reason() {
    let scopes = |list: Value| json!({ "scopes": list });
    let cases = [
        (scopes(json!("root")), "scopes: root is not a scope of this provider"),
        (scopes(json!("orders.read orders.read")), "scopes: orders.read is there twice"),
        (scopes(json!(["orders.read", 7])), "scopes: one is neither a name nor"),
        (scopes(json!([{ "scope": "orders.read", "reason": "x" }])), "scopes: one is neither"),
        (scopes(json!([{ "scope": "orders.read", "required": "yes" }])), "scopes: one is neither"),
        (
            scopes(json!([{ "scope": "orders.read", "purpose": "\u{7}" }])),
            "scopes: the purpose of orders.read: Leave out control characters.",
        ),
        (
            json!({ "service_scopes": "withdraw" }),
            "service_scopes: withdraw is not among the app's scopes",
        ),
        (
            json!({ "kind": "native", "client_secret": null }),
            "service_scopes: a public app has no client credentials",
        ),
        (
            json!({ "addresses": "10.0.0.0/33" }),
            "addresses: 10.0.0.0/33 is neither an address nor a network",
        ),
        (json!({ "dialect": "bitprot" }), "dialect: bitprot is not among the `dialects`"),
        (json!({ "also_standard": "true" }), "also_standard: an app without a dialect"),
        (json!({ "dialect": "bitport" }), "dialect: A service acts for itself"),
        (json!({ "dialect": "bitport", "also_standard": "yes" }), "also_standard: write true or"),
    ];
    assert_refused(&start().await, &cases).await;
}

#[tokio::test]
async fn credentials_are_refused_with_field_and_reason() {
    let long = "x".repeat(1025);
    let hash = |text: &str| json!({ "client_secret": null, "client_secret_hash": text });
    let argon2 = ARGON2ID.replace("m=256", "m=4194304");
    let cases = [
        (json!({ "client_id": null }), "client_id: is missing"),
        (json!({ "client_id": true }), "client_id: must be a text"),
        (json!({ "client_id": 4.5 }), "client_id: must be a text"),
        (json!({ "client_id": "a b" }), "client_id: use 1 to 1024 visible ASCII"),
        (json!({ "client_id": "é" }), "client_id: use 1 to 1024 visible ASCII"),
        (json!({ "client_id": long }), "client_id: use 1 to 1024 visible ASCII"),
        (
            json!({ "client_secret": null }),
            "client_secret: is missing; give it or client_secret_hash",
        ),
        (json!({ "client_secret": 123_456_789 }), "client_secret: must be a text"),
        (json!({ "client_secret": "gehéim" }), "client_secret: use 1 to 1024 printable ASCII"),
        (json!({ "client_secret": long }), "client_secret: use 1 to 1024 printable ASCII"),
        (
            json!({ "client_secret_hash": BCRYPT }),
            "client_secret: give the secret or its hash, not",
        ),
        (json!({ "kind": "single-page" }), "client_secret: an app of a public kind"),
        (
            json!({ "kind": "native", "client_secret": null, "client_secret_hash": BCRYPT }),
            "client_secret_hash: an app of a public kind",
        ),
        (
            hash("5f4dcc3b5aa765d61d8327deb882cf99"),
            "client_secret_hash: it is none of the hashes that can be brought along: \
             bcrypt ($2a$, $2b$, $2y$), argon2 ($argon2id$, $argon2i$)",
        ),
        (hash("$2b$10$short"), "client_secret_hash: it begins like a bcrypt hash and is not one"),
        (
            hash(&BCRYPT.replace("$05$", "$15$")),
            "client_secret_hash: a bcrypt cost of 15 takes too long at each check; at most 14",
        ),
        (hash(&argon2), "client_secret_hash: argon2 with m=4194304,t=2,p=1 takes too much"),
    ];
    assert_refused(&start().await, &cases).await;
}

#[tokio::test]
async fn b1_an_app_that_was_imported_for_a_dialect_does_not_speak_the_standard() {
    let app = start().await;
    for (id, given, shown) in [
        ("by-text", json!({ "client_secret": "k9" }), "k9"),
        ("by-hash", json!({ "client_secret_hash": BCRYPT }), BCRYPT_SECRET),
    ] {
        let mut entry = service(id, &given);
        entry["dialect"] = json!("bitport");
        (entry["kind"], entry["redirect_uris"]) = (json!("web"), json!("https://a.example/cb"));
        assert_eq!(import(&app, &entry).await, "imported");
        assert_eq!(ask(&app, id, shown).await.error(), "invalid_client");
    }
}
