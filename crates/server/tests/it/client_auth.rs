//! Who may ask at the token endpoints, in which form, from where and how often.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::app::AppKind;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use store::Tx;

use crate::harness::{ADDRESS, TestApp, encode, form_request, request, start};

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test]
async fn http_basic_is_read_in_its_three_encodings() {
    let (app, _, client) = start(AppKind::Web).await;
    let secret = "p%20a-b+c~d";
    let mac = app.provider.keyring().secret_mac(secret.as_bytes());
    let id = client.app.id;
    app.write(async move |tx: &mut Tx<'_>| {
        let mut stored = store::client_secrets::list_of_app(tx, id).await?.remove(0);
        stored.id = domain::id::CredentialId::from_bytes([9; 16]);
        stored.proof = domain::app::SecretProof::Mac(mac);
        store::client_secrets::insert(tx, &stored).await
    })
    .await;
    let form = [("grant_type", "client_credentials")];
    for spelled in [secret, "p%2520a-b%2Bc~d", "%70%2520a%2Db%2Bc%7Ed"] {
        let header = basic("bot", spelled);
        let answer = app.post("/oauth/token", &[(AUTHORIZATION, &header)], &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{spelled}");
    }
}

#[tokio::test]
async fn x2_every_wrong_client_gets_the_same_answer() {
    let (app, _, client) = start(AppKind::Web).await;
    app.add_app("mobile", AppKind::Native, |_| {}).await;
    let form = ("grant_type", "client_credentials");
    let right = client.secret.clone().unwrap();
    let mut bodies = Vec::new();
    for fields in [
        vec![form, ("client_id", "nobody"), ("client_secret", "x")],
        vec![form, ("client_id", "nobody")],
        vec![form, ("client_id", "bot"), ("client_secret", "x")],
        vec![form, ("client_id", "bot")],
        vec![form, ("client_id", "mobile"), ("client_secret", &right)],
        vec![form],
    ] {
        let answer = app.post("/oauth/token", &[], &fields).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{fields:?}");
        assert_eq!(answer.error(), "invalid_client");
        assert_eq!(answer.header(WWW_AUTHENTICATE), None, "only who tried Basic is challenged");
        bodies.push(answer.text());
    }
    let header = basic("bot", "wrong");
    let answer = app.post("/oauth/token", &[(AUTHORIZATION, &header)], &[form]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header(WWW_AUTHENTICATE).unwrap().starts_with("Basic"));
    bodies.push(answer.text());
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
}

#[tokio::test]
async fn x2_guessing_secrets_is_slowed_down_for_one_address_and_not_for_others() {
    let (app, _, client) = start(AppKind::Web).await;
    let guess = async || {
        let fields =
            [("grant_type", "client_credentials"), ("client_id", "bot"), ("client_secret", "x")];
        app.post("/oauth/token", &[], &fields).await
    };
    let mut answer = guess().await;
    for _ in 0..30 {
        answer = guess().await;
    }
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.header(RETRY_AFTER).unwrap().parse::<u32>().unwrap() >= 1);
    let right = [
        ("grant_type", "client_credentials"),
        ("client_id", "bot"),
        ("client_secret", client.secret.as_deref().unwrap()),
    ];
    let elsewhere = form_request("/oauth/token", &[], &right);
    let answer = app.send_from("203.0.113.9".parse().unwrap(), elsewhere).await;
    assert_eq!(answer.status, StatusCode::OK);
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(app.post("/oauth/token", &[], &right).await.status, StatusCode::OK);
}

#[tokio::test]
async fn x2_the_addresses_of_one_ipv6_host_count_together() {
    let (app, _, client) = start(AppKind::Web).await;
    let ask = async |host: u16, secret: &str| {
        let fields =
            [("grant_type", "client_credentials"), ("client_id", "bot"), ("client_secret", secret)];
        let address = format!("2001:db8:1:{host}::{host}").parse().unwrap();
        app.send_from(address, form_request("/oauth/token", &[], &fields)).await.status
    };
    for guess in 0..20 {
        let address = format!("2001:db8:1:1::{guess}").parse().unwrap();
        let fields =
            [("grant_type", "client_credentials"), ("client_id", "bot"), ("client_secret", "x")];
        app.send_from(address, form_request("/oauth/token", &[], &fields)).await;
    }
    let right = client.secret.as_deref().unwrap();
    assert_eq!(ask(1, right).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask(2, right).await, StatusCode::OK);
}

#[tokio::test]
async fn a_secret_that_expired_is_no_secret() {
    let (app, _, client) = start(AppKind::Web).await;
    let (id, now) = (client.app.id, app.provider.now());
    app.write(async move |tx: &mut Tx<'_>| {
        let mut secret = store::client_secrets::list_of_app(tx, id).await?.remove(0);
        store::client_secrets::delete(tx, secret.id).await?;
        secret.expires_at = Some(now);
        store::client_secrets::insert(tx, &secret).await
    })
    .await;
    let answer = client.post(&app, "/oauth/token", &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.error(), "invalid_client");
}

#[tokio::test]
async fn the_last_use_of_a_secret_is_noted_coarsely() {
    let (app, _, client) = start(AppKind::Web).await;
    let id = client.app.id;
    let noted = async || {
        let list = async move |tx: &mut Tx<'_>| store::client_secrets::list_of_app(tx, id).await;
        app.write(list).await[0].last_used_at
    };
    let form = [("grant_type", "client_credentials")];
    client.post(&app, "/oauth/token", &form).await;
    let first = noted().await;
    assert_eq!(first, Some(app.provider.now()));
    app.clock.advance(Duration::from_secs(60));
    client.post(&app, "/oauth/token", &form).await;
    assert_eq!(noted().await, first);
    app.clock.advance(Duration::from_secs(3600));
    client.post(&app, "/oauth/token", &form).await;
    assert_eq!(noted().await, Some(app.provider.now()));
}

#[tokio::test]
async fn x4_credentials_in_the_url_get_and_two_methods_and_other_forms_are_refused() {
    let (app, _, client) = start(AppKind::Web).await;
    let secret = client.secret.clone().unwrap();
    let header = basic("bot", &secret);
    let form = [("grant_type", "client_credentials")];
    let in_url = format!("/oauth/token?{}", encode(&client.credentials()));
    assert_eq!(app.post(&in_url, &[], &form).await.error(), "invalid_request");
    let code_in_url = "/oauth/token?code=x&grant_type=authorization_code";
    let answer = client.post(&app, code_in_url, &[]).await;
    assert_eq!(answer.error(), "invalid_request");
    assert_eq!(app.get("/oauth/token").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let both = [form[0], ("client_id", "bot"), ("client_secret", &*secret)];
    let answer = app.post("/oauth/token", &[(AUTHORIZATION, &header)], &both).await;
    assert_eq!(answer.error(), "invalid_request");
    let other = [form[0], ("client_id", "somebody-else")];
    let answer = app.post("/oauth/token", &[(AUTHORIZATION, &header)], &other).await;
    assert_eq!(answer.error(), "invalid_request");
    for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        let body = encode(&[form[0], ("client_id", "bot"), ("client_secret", &*secret)]);
        let asked = Request::post("/oauth/token").header(CONTENT_TYPE, content_type);
        let answer = app.send(asked.body(body.into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.error(), "invalid_request", "{content_type}");
    }
    let unnamed = Request::post("/oauth/token").body("grant_type=refresh_token".into()).unwrap();
    assert_eq!(app.send(unnamed).await.error(), "invalid_request");
}

#[tokio::test]
async fn x1_malformed_token_requests_get_an_answer() {
    let (app, _, client) = start(AppKind::Web).await;
    let big = "x".repeat(70_000);
    for body in ["%ff=%ff", "%", "a=%00", "client_id=bot&client_id=bot", &big] {
        let asked = Request::post("/oauth/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.to_owned().into())
            .unwrap();
        let answer = app.send(asked).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.error(), "invalid_request");
    }
    for (fields, error) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![("grant_type", "authorization_code")], "invalid_request"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "client_credentials"), ("scope", "\"")], "invalid_scope"),
        (vec![("grant_type", "client_credentials"), ("resource", "not a uri")], "invalid_target"),
    ] {
        assert_eq!(client.post(&app, "/oauth/token", &fields).await.error(), error, "{fields:?}");
    }
    let header = "Basic !!!";
    let answer = app.post("/oauth/token", &[(AUTHORIZATION, header)], &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_allow_list_keeps_other_addresses_from_every_token_endpoint() {
    let app = TestApp::start().await;
    let net = "127.0.0.1/32".parse().unwrap();
    let client = app.add_app("enterprise", AppKind::Web, |app| app.addresses = vec![net]).await;
    let form = [("grant_type", "client_credentials"), ("token", "x")];
    let fields: Vec<_> = client.credentials().into_iter().chain(form).collect();
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        let call = || form_request(path, &[], &fields);
        let answer = app.send_from("203.0.113.9".parse().unwrap(), call()).await;
        assert_eq!(answer.error(), "unauthorized_client", "{path}");
        for address in [ADDRESS, "::ffff:127.0.0.1".parse().unwrap()] {
            assert_eq!(app.send_from(address, call()).await.status, StatusCode::OK, "{path}");
        }
    }
}

#[tokio::test]
async fn apps_in_browsers_may_call_from_any_origin_without_cookies() {
    let app = TestApp::start().await;
    let document = "/.well-known/oauth-authorization-server";
    for path in ["/oauth/token", "/oauth/revoke", document] {
        let mut asked = request(Method::OPTIONS, path);
        asked.headers_mut().insert("origin", "https://spa.example".parse().unwrap());
        let answer = app.send(asked).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
    }
    let refused = app.post("/oauth/token", &[], &[("grant_type", "x")]).await;
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    let page = app.get("/oauth/authorize").await;
    assert_eq!(page.header("access-control-allow-origin"), None, "pages are not for scripts");
}
