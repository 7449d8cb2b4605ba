//! Whoever uses the admin API in tests: a program with a token, or an operator at the socket.

use axum::body::Body;
use axum::{Extension, Router};
use domain::admin_token::{AdminScope, AdminToken, new_text};
use domain::id::AdminTokenId;
use domain::user::User;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, Method, Request, StatusCode};
use serde_json::Value;
use server::ClientAddress;
use server::admin::{Operator, PREFIX};
use store::{Tx, admin_tokens};
use tower::ServiceExt as _;

use crate::harness::{ADDRESS, Answer, TestApp};

/// As the control socket has it.
pub fn at_socket(app: &TestApp) -> Router {
    let operator = Operator::of_uid(Some(1000), Some("olga".to_owned()));
    server::admin_router(app.provider.clone()).layer(Extension(operator))
}

/// A token with `scopes`, which decides in the name of `user`.
pub async fn token(app: &TestApp, scopes: &[AdminScope], user: Option<&User>) -> String {
    let text = new_text(&*app.entropy);
    let now = app.provider.now();
    let token = AdminToken {
        id: AdminTokenId::random(&*app.entropy),
        name: "test".to_owned(),
        scopes: scopes.to_vec(),
        user_id: user.map(|user| user.id),
        created_by: "cli".to_owned(),
        created_at: now,
        expires_at: now.after(std::time::Duration::from_secs(3600)),
        last_used_at: None,
        revoked_at: None,
    };
    let mac = app.provider.keyring().secret_mac(text.as_bytes());
    app.write(async move |tx: &mut Tx<'_>| admin_tokens::insert(tx, &token, &mac).await).await;
    text
}

/// A program with a token, at the internal listener.
pub struct Program {
    router: Router,
    pub token: Option<String>,
}

impl Program {
    pub fn new(app: &TestApp, token: Option<String>) -> Self {
        Self { router: server::admin_router(app.provider.clone()), token }
    }

    /// One that may do everything, in the name of the admin `staff`.
    pub async fn mighty(app: &TestApp) -> Self {
        let staff = app.add_user("staff", &[domain::user::Role::Admin]).await;
        Self::new(app, Some(token(app, AdminScope::ALL, Some(&staff)).await))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], &Value::Null).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], body).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{PREFIX}{path}"));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request = request.header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().unwrap().insert(name, value.parse().unwrap());
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = request.body(Body::from(text)).unwrap();
        request.extensions_mut().insert(ClientAddress(ADDRESS));
        answer_of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// What somebody reads before changing it.
    pub async fn etag(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.header("etag").unwrap().to_owned()
    }
}

pub async fn answer_of(response: axum::response::Response) -> Answer {
    use http_body_util::BodyExt as _;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// The name of a problem, behind the prefix of its type.
pub fn problem(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let document = answer.json();
    assert_eq!(document["status"], answer.status.as_u16());
    let kind = document["type"].as_str().unwrap();
    kind.strip_prefix("urn:consentry:problem:").unwrap().to_owned()
}
