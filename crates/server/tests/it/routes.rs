//! Every route has an unauthorized case: what happens to a request that has no right to anything.
//! The list of routes is read from the router's own source, so a new one cannot be forgotten here.

use std::collections::BTreeSet;

use axum::body::Body;
use domain::app::AppKind;
use http::{Method, Request, StatusCode};

use crate::harness::TestApp;

const SOURCE: &str = include_str!("../../src/routes.rs");

/// What a stranger gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stranger {
    /// For everyone: nothing here needs a right.
    Public(u16),
    /// The sign-in page.
    SignIn,
    /// An error of the token endpoints.
    NoClient,
    /// No access token was shown.
    NoToken,
    /// A form of visitors that was not made for this browser.
    StaleForm,
}

/// What a signed-in user without any role gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    /// As the stranger: who is signed in does not matter.
    Same,
    /// It is their own page.
    Own,
    /// A form without the session's token.
    StaleForm,
    /// Somebody else's, or nobody's: it does not exist.
    NotFound,
    /// A link of a message that is none.
    Over,
    Forbidden,
}

/// Method, path, and the two unauthorized cases. `{id}` is an app (or consent) of somebody else.
const CASES: &[(&str, &str, Stranger, User)] = &[
    ("GET", "/", Stranger::Public(200), User::Same),
    ("GET", "/assets/{*path}", Stranger::Public(404), User::Same),
    ("GET", "/oauth/authorize", Stranger::Public(400), User::Same),
    ("POST", "/oauth/authorize", Stranger::Public(400), User::Same),
    ("GET", "/oauth/authorize/continue", Stranger::Public(400), User::Same),
    ("POST", "/oauth/consent", Stranger::SignIn, User::StaleForm),
    ("POST", "/oauth/device_authorization", Stranger::NoClient, User::Same),
    ("OPTIONS", "/oauth/device_authorization", Stranger::Public(204), User::Same),
    ("GET", "/device", Stranger::SignIn, User::Own),
    ("POST", "/device", Stranger::SignIn, User::StaleForm),
    ("POST", "/device/confirm", Stranger::SignIn, User::StaleForm),
    ("POST", "/oauth/token", Stranger::NoClient, User::Same),
    ("OPTIONS", "/oauth/token", Stranger::Public(204), User::Same),
    ("POST", "/oauth/revoke", Stranger::NoClient, User::Same),
    ("OPTIONS", "/oauth/revoke", Stranger::Public(204), User::Same),
    ("POST", "/oauth/introspect", Stranger::NoClient, User::Same),
    ("GET", "/oauth/partner-keys/info", Stranger::NoToken, User::Same),
    ("GET", "/oauth/partner-keys/{id}/secret", Stranger::NoToken, User::Same),
    ("DELETE", "/oauth/partner-keys/{id}", Stranger::NoToken, User::Same),
    ("GET", "/.well-known/oauth-authorization-server", Stranger::Public(200), User::Same),
    ("OPTIONS", "/.well-known/oauth-authorization-server", Stranger::Public(204), User::Same),
    ("GET", "/.well-known/jwks.json", Stranger::Public(200), User::Same),
    ("OPTIONS", "/.well-known/jwks.json", Stranger::Public(204), User::Same),
    ("GET", "/.well-known/oauth-protected-resource", Stranger::Public(200), User::Same),
    ("OPTIONS", "/.well-known/oauth-protected-resource", Stranger::Public(204), User::Same),
    ("GET", "/.well-known/oauth-protected-resource/{*path}", Stranger::Public(404), User::Same),
    ("OPTIONS", "/.well-known/oauth-protected-resource/{*path}", Stranger::Public(204), User::Same),
    ("GET", "/sign-in", Stranger::Public(200), User::Own),
    ("POST", "/sign-in", Stranger::StaleForm, User::StaleForm),
    ("GET", "/sign-in/with/{id}", Stranger::Public(404), User::Same),
    ("GET", "/sign-in/return/{id}", Stranger::Public(404), User::Same),
    ("POST", "/sign-in/second-factor", Stranger::StaleForm, User::StaleForm),
    ("POST", "/sign-in/passkey", Stranger::StaleForm, User::StaleForm),
    ("GET", "/step-up", Stranger::SignIn, User::Own),
    ("POST", "/step-up", Stranger::SignIn, User::StaleForm),
    ("GET", "/security", Stranger::SignIn, User::Own),
    ("GET", "/security/app", Stranger::SignIn, User::Own),
    ("POST", "/security/app", Stranger::SignIn, User::StaleForm),
    ("GET", "/security/passkey", Stranger::SignIn, User::Own),
    ("POST", "/security/passkey", Stranger::SignIn, User::StaleForm),
    ("POST", "/security/remove", Stranger::SignIn, User::StaleForm),
    ("POST", "/security/recovery-codes", Stranger::SignIn, User::StaleForm),
    ("POST", "/sign-out", Stranger::SignIn, User::StaleForm),
    ("GET", "/sign-up", Stranger::Public(404), User::Same),
    ("POST", "/sign-up", Stranger::StaleForm, User::StaleForm),
    ("GET", "/sign-up/finish", Stranger::Public(404), User::Same),
    ("POST", "/sign-up/finish", Stranger::StaleForm, User::StaleForm),
    ("GET", "/forgotten-password", Stranger::Public(200), User::Same),
    ("POST", "/forgotten-password", Stranger::StaleForm, User::StaleForm),
    ("GET", "/reset-password", Stranger::Public(410), User::Same),
    ("POST", "/reset-password", Stranger::StaleForm, User::StaleForm),
    ("POST", "/reset-password/confirm", Stranger::StaleForm, User::StaleForm),
    ("GET", "/account", Stranger::SignIn, User::Own),
    ("POST", "/account/language", Stranger::SignIn, User::StaleForm),
    ("POST", "/account/email", Stranger::SignIn, User::StaleForm),
    ("GET", "/account/email/confirm", Stranger::SignIn, User::Over),
    ("POST", "/account/email/confirm", Stranger::SignIn, User::StaleForm),
    ("GET", "/account/password", Stranger::SignIn, User::Own),
    ("POST", "/account/password", Stranger::SignIn, User::StaleForm),
    ("POST", "/account/sessions/end", Stranger::SignIn, User::StaleForm),
    ("POST", "/account/sessions/end-all", Stranger::SignIn, User::StaleForm),
    ("GET", "/connected", Stranger::SignIn, User::Own),
    ("GET", "/connected/{id}", Stranger::SignIn, User::NotFound),
    ("POST", "/connected/{id}/revoke", Stranger::SignIn, User::StaleForm),
    ("POST", "/connected/{id}/scopes/remove", Stranger::SignIn, User::StaleForm),
    ("POST", "/connected/{id}/grants/end", Stranger::SignIn, User::StaleForm),
    ("POST", "/connected/{id}/key/remove", Stranger::SignIn, User::StaleForm),
    ("GET", "/connected/{id}/report", Stranger::SignIn, User::NotFound),
    ("POST", "/connected/{id}/report", Stranger::SignIn, User::StaleForm),
    ("GET", "/apps", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/new", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/new", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/new/check", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/logo", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/logo", Stranger::SignIn, User::Forbidden),
    ("GET", "/logos/{id}", Stranger::Public(404), User::Same),
    ("GET", "/apps/{id}", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/details", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/redirect-uris", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/addresses", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/scopes", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/scopes/remove", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/lifetimes", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/proposal/withdraw", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/wake", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/messages", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/send-again", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/delete", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/delete", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/requests", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/requests.csv", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/usage", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/usage.csv", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/plan", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/secrets", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/secrets/remove", Stranger::SignIn, User::Forbidden),
    ("GET", "/docs", Stranger::Public(200), User::Same),
    ("GET", "/docs/reference", Stranger::Public(200), User::Same),
    ("GET", "/docs/oauth", Stranger::Public(200), User::Same),
    ("GET", "/docs/scopes", Stranger::Public(200), User::Same),
    ("GET", "/docs/errors", Stranger::Public(200), User::Same),
    ("GET", "/docs/troubleshooting", Stranger::Public(200), User::Same),
    ("GET", "/docs/webhooks", Stranger::Public(200), User::Same),
    ("GET", "/docs/partner-keys", Stranger::Public(404), User::Same),
    ("GET", "/docs/guides/{id}", Stranger::Public(404), User::Same),
    ("GET", "/docs/openapi/{id}", Stranger::Public(404), User::Same),
    ("GET", "/apps/{id}/credentials", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/settings", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/scopes", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/messages", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/consent-preview", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/pause", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/unpause", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/secrets/roll", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/secrets/end", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/keys", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/team", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/transfer", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/transfer/end", Stranger::SignIn, User::Forbidden),
    ("GET", "/transfers/{id}", Stranger::SignIn, User::Forbidden),
    ("POST", "/transfers/{id}", Stranger::SignIn, User::Forbidden),
    ("GET", "/teams", Stranger::SignIn, User::Forbidden),
    ("GET", "/teams/new", Stranger::SignIn, User::Forbidden),
    ("POST", "/teams/new", Stranger::SignIn, User::Forbidden),
    ("GET", "/teams/invitation", Stranger::SignIn, User::Forbidden),
    ("POST", "/teams/invitation", Stranger::SignIn, User::Forbidden),
    ("GET", "/teams/{id}", Stranger::SignIn, User::Forbidden),
    ("POST", "/teams/{id}/rename", Stranger::SignIn, User::Forbidden),
    ("POST", "/teams/{id}/delete", Stranger::SignIn, User::Forbidden),
    ("POST", "/teams/{id}/invite", Stranger::SignIn, User::Forbidden),
    ("POST", "/teams/{id}/invitations/end", Stranger::SignIn, User::Forbidden),
    ("POST", "/teams/{id}/members/role", Stranger::SignIn, User::Forbidden),
    ("POST", "/teams/{id}/members/remove", Stranger::SignIn, User::Forbidden),
    ("POST", "/teams/{id}/leave", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/webhooks", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/webhooks", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/webhooks/save", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/webhooks/test", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/webhooks/roll", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/webhooks/switch", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/webhooks/remove", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/webhooks/redeliver", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/webhooks/deliveries/{delivery}", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/try", Stranger::SignIn, User::Forbidden),
    ("POST", "/apps/{id}/try", Stranger::SignIn, User::Forbidden),
    ("GET", "/apps/{id}/try/return", Stranger::SignIn, User::Forbidden),
    ("GET", "/staff/review", Stranger::SignIn, User::Forbidden),
    ("GET", "/staff/review/{id}", Stranger::SignIn, User::Forbidden),
    ("POST", "/staff/review/{id}", Stranger::SignIn, User::Forbidden),
    ("GET", "/staff/requests", Stranger::SignIn, User::Forbidden),
    ("POST", "/staff/requests/{id}", Stranger::SignIn, User::Forbidden),
    ("POST", "/staff/review/{id}/assign", Stranger::SignIn, User::Forbidden),
    ("POST", "/staff/review/{id}/brand", Stranger::SignIn, User::Forbidden),
    ("GET", "/staff/audit", Stranger::SignIn, User::Forbidden),
    ("GET", "/staff/audit/export", Stranger::SignIn, User::Forbidden),
    ("GET", "/staff/audit/{position}", Stranger::SignIn, User::Forbidden),
    ("GET", "/staff/apps", Stranger::SignIn, User::Forbidden),
    ("GET", "/staff/apps/{id}/messages", Stranger::SignIn, User::Forbidden),
    ("POST", "/staff/apps/{id}/messages", Stranger::SignIn, User::Forbidden),
    ("POST", "/staff/apps/{id}/suspend", Stranger::SignIn, User::Forbidden),
    ("POST", "/staff/apps/{id}/resume", Stranger::SignIn, User::Forbidden),
];

type Route = (String, String);

/// The routes that a piece of `routes.rs` declares, as method and path.
fn routes_in(source: &str) -> BTreeSet<Route> {
    let mut routes = BTreeSet::new();
    for declared in source.split(".route(").skip(1) {
        let path = declared.split('"').nth(1).unwrap();
        let handlers = declared.split("\n        .").next().unwrap();
        for method in ["get", "post", "put", "patch", "delete", "options", "any"] {
            let named = |before: &str| handlers.contains(&format!("{before}{method}("));
            if named(" ") || named(").") {
                routes.insert((method.to_uppercase(), path.to_owned()));
            }
        }
    }
    routes
}

/// The public routes, and those of the other two listeners.
fn declared() -> (BTreeSet<Route>, BTreeSet<Route>) {
    let (public, others) = SOURCE.split_once("pub fn health_router").unwrap();
    (routes_in(public), routes_in(others))
}

#[test]
fn every_route_has_an_unauthorized_case() {
    let (public, others) = declared();
    let cases: BTreeSet<Route> =
        CASES.iter().map(|(method, path, ..)| ((*method).into(), (*path).into())).collect();
    assert_eq!(public.difference(&cases).collect::<Vec<_>>(), Vec::<&Route>::new(), "no case");
    assert_eq!(cases.difference(&public).collect::<Vec<_>>(), Vec::<&Route>::new(), "no route");
    assert!(public.len() > 40 && others.len() == 2, "the source was not understood");
}

fn request(method: &str, path: &str) -> Request<Body> {
    let id = "0123456789abcdef0123456789abcdef";
    let path = path.replace("{id}", id).replace("{*path}", "nothing").replace("{delivery}", "1");
    let request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
    let request = request.uri(path).header("content-type", "application/x-www-form-urlencoded");
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_stranger_gets_nowhere() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    for &(method, path, stranger, _) in CASES {
        let answer = app.send(request(method, path)).await;
        let name = format!("{method} {path}");
        match stranger {
            Stranger::Public(status) => assert_eq!(answer.status.as_u16(), status, "{name}"),
            Stranger::SignIn => {
                assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}");
                assert!(answer.location().starts_with("/sign-in?continue="), "{name}");
            }
            Stranger::NoClient => {
                assert!([400, 401].contains(&answer.status.as_u16()), "{name}: {}", answer.status);
                let error = answer.error();
                assert!(
                    ["invalid_client", "invalid_request"].contains(&&*error),
                    "{name}: {error}"
                );
            }
            Stranger::NoToken => {
                let refusal = (answer.status.as_u16(), answer.error());
                assert_eq!(refusal, (401, "invalid_token".to_owned()), "{name}");
            }
            Stranger::StaleForm => assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}"),
        }
    }
}

#[tokio::test]
async fn a_user_without_a_role_gets_only_their_own_pages() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&alice).await;
    for &(method, path, stranger, user) in CASES {
        let answer = browser.send(request(method, path)).await;
        let expected = match (user, stranger) {
            (User::Same, Stranger::Public(status)) => vec![status],
            (User::Same, _) => vec![400, 401],
            (User::Own, _) => vec![200, 303],
            (User::StaleForm, _) => vec![400],
            (User::NotFound, _) => vec![404],
            (User::Over, _) => vec![410],
            (User::Forbidden, _) => vec![403],
        };
        assert!(expected.contains(&answer.status.as_u16()), "{method} {path}: {}", answer.status);
    }
}

#[tokio::test]
async fn what_is_for_the_operator_is_not_on_the_public_listener() {
    let app = TestApp::start().await;
    let (_, health) = declared();
    let admin = server::admin::operations().into_iter().map(|operation| {
        (operation.method.to_string(), format!("{}{}", server::admin::PREFIX, operation.path))
    });
    for (method, path) in health.into_iter().chain(admin) {
        let path = path.replace(['{', '}'], "");
        let answer = app.send(request(&method, &path)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
}
