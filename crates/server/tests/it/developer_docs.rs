//! The developer documentation: who may read it, what it says of the policy and of an API's
//! document, and what it says of the reader's own app.

use std::sync::Arc;

use domain::app::AppKind;
use domain::policy::{ApiDocument, DocsReaders, Policy, Rate, RouteAccess, RouteRule};
use domain::user::Role;
use http::{Method, StatusCode};
use protocol::route::RoutePattern;
use serde_json::{Value, json};

use crate::harness::{ISSUER, TestApp};

const GUIDES: [&str; 6] =
    ["trading-bot", "portfolio-tracker", "mobile-app", "enterprise", "web-app", "device"];
const LANGUAGES: [&str; 7] = ["curl", "python", "typescript", "go", "java", "php", "rust"];
const PAGES: [&str; 7] = [
    "/docs",
    "/docs/reference",
    "/docs/oauth",
    "/docs/scopes",
    "/docs/errors",
    "/docs/troubleshooting",
    "/docs/webhooks",
];

fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Upstream", "version": "1",
                  "description": "Orders. <script>alert(1)</script> [here](javascript:alert(1))" },
        "servers": [{ "url": "https://internal.example/api" }],
        "tags": [{ "name": "Trade", "description": "What is traded" }],
        "security": [{ "key": [] }],
        "paths": {
            "/orders/{id}": { "get": {
                "tags": ["Trade"], "summary": "One order",
                "description": "Tells `status` & **more**.",
                "parameters": [{ "name": "id", "in": "path", "required": true, "example": "a b",
                                 "schema": { "type": "string", "maxLength": 9 } }],
                "responses": { "200": { "description": "The order",
                    "content": { "application/json": { "example": { "status": "NEW" } } } } } } },
            "/orders": { "post": {
                "tags": ["Trade"], "summary": "Place an order",
                "requestBody": { "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/New" } } } } } },
            "/hidden": { "get": { "summary": "Not reachable" } },
        },
        "components": { "schemas": { "New": {
            "type": "object", "required": ["side"],
            "properties": { "side": { "type": "string", "enum": ["buy", "sell"] },
                            "note": { "type": "string" } } } },
            "securitySchemes": { "key": { "type": "apiKey", "in": "header", "name": "X" } } },
    })
}

/// Four routes of the first API, of which the document tells two.
fn with_document(policy: &mut Policy) {
    let resource = &mut policy.resources[0];
    let mut add = |method: Method, path: &str, needs: Option<&str>| {
        let access = match needs {
            None => RouteAccess::Public,
            Some(scopes) => RouteAccess::AnyOf(vec![scopes.parse().unwrap()]),
        };
        let rule = RouteRule { access, family: "other".to_owned(), pattern: path.to_owned() };
        resource.routes.insert(method, RoutePattern::parse(path).unwrap(), rule).unwrap();
    };
    add(Method::GET, "/api/orders/{id}", Some("orders.read"));
    add(Method::POST, "/api/orders", Some("orders.create"));
    add(Method::POST, "/api/withdraw", Some("withdraw"));
    add(Method::GET, "/api/status", None);
    resource.rate_per_app =
        Some(Rate { requests: 1_200, period: std::time::Duration::from_secs(60) });
    let document = ApiDocument { base_path: "/api".to_owned(), document: document() };
    resource.api_document = Some(Arc::new(document));
}

async fn page(app: &TestApp, path: &str) -> String {
    let answer = app.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}");
    answer.text()
}

/// The part of a page from `id="…"` on.
fn part<'a>(html: &'a str, id: &str) -> &'a str {
    let (_, part) = html.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("{id}"));
    part
}

#[tokio::test]
async fn everybody_reads_the_documentation_unless_it_is_for_developers() {
    let app = TestApp::start_with(with_document).await;
    let alice = app.add_user("alice", &[]).await;
    let dev = app.add_user("devi", &[Role::Developer]).await;
    let (alice, dev) = (app.signed_in(&alice).await, app.signed_in(&dev).await);
    for path in PAGES {
        page(&app, path).await;
    }
    app.change_policy(|policy| policy.docs = DocsReaders::Developers);
    let open_documents = "/docs/openapi/the-api.json";
    for path in PAGES.into_iter().chain([open_documents, "/docs/guides/device"]) {
        assert!(app.get(path).await.location().starts_with("/sign-in?"), "{path}");
        assert_eq!(alice.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(dev.get(path).await.status, StatusCode::OK, "{path}");
    }
    let cached = dev.get(open_documents).await;
    assert_eq!(cached.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn the_reference_has_every_route_with_what_it_needs() {
    let app = TestApp::start_with(with_document).await;
    let html = page(&app, "/docs/reference").await;
    for id in [
        "the-api-get-api-orders-id",
        "the-api-post-api-orders",
        "the-api-post-api-withdraw",
        "the-api-get-api-status",
    ] {
        part(&html, id);
    }
    let order = part(&html, "the-api-get-api-orders-id");
    let order = order.split("</article>").next().unwrap();
    for told in ["One order", "<code>status</code> &amp; <strong>more</strong>", "orders.read"] {
        assert!(order.contains(told), "{told} in {order}");
    }
    assert!(order.contains("See your orders"), "the operator's words");
    assert!(order.contains(&format!("{ISSUER}/api/orders/a+b")), "an address to call: {order}");
    assert!(order.contains("at most 9 characters") && order.contains("&quot;NEW&quot;"));
    let new = part(&html, "the-api-post-api-orders").split("</article>").next().unwrap();
    assert!(new.contains("one of buy, sell") && new.contains("required"), "{new}");
    let status = part(&html, "the-api-get-api-status").split("</article>").next().unwrap();
    assert!(status.contains("No token needed") && !status.contains("ACCESS_TOKEN"), "{status}");
    assert!(html.contains("1,200 calls in 1 minute of one app"));
    assert!(!html.contains("Not reachable"), "only what is a route");
}

#[tokio::test]
async fn html_and_strange_links_in_a_document_stay_text() {
    let app = TestApp::start_with(with_document).await;
    let html = page(&app, "/docs/reference").await;
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!html.contains("<script>alert") && !html.contains("href=\"javascript"));
}

#[tokio::test]
async fn the_published_document_tells_only_what_is_reachable_here() {
    let app = TestApp::start_with(with_document).await;
    let answer = app.get("/docs/openapi/the-api.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(told["servers"], json!([{ "url": format!("{ISSUER}/api") }]));
    let paths: Vec<_> = told["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/orders", "/orders/{id}", "/status", "/withdraw"]);
    let order = &told["paths"]["/orders/{id}"]["get"];
    assert_eq!(order["security"], json!([{ "oauth2": ["orders.read"] }]));
    assert_eq!(told["paths"]["/status"]["get"]["security"], json!([]));
    let schemes = told["components"]["securitySchemes"].as_object().unwrap();
    let flow = &schemes["oauth2"]["flows"]["authorizationCode"];
    assert_eq!(flow["tokenUrl"], format!("{ISSUER}/oauth/token"));
    assert_eq!(flow["scopes"]["withdraw"], "Move money out");
    assert_eq!((schemes.len(), told.get("security")), (1, None), "the API's own are not told");
}

#[tokio::test]
async fn the_oauth_page_has_the_addresses_of_this_issuer_and_of_each_wire_format() {
    let app = TestApp::start().await;
    let html = page(&app, "/docs/oauth").await;
    for path in ["token", "revoke", "introspect", "device_authorization"] {
        assert!(html.contains(&format!("<code>POST {ISSUER}/oauth/{path}</code>")), "{path}");
    }
    assert!(html.contains("<td>10 minutes</td>"), "how long access tokens live");
    let html = page(&app, "/docs/oauth?wire=bitport").await;
    assert!(html.contains(&format!("<code>GET {ISSUER}/bitport/authorize</code>")));
    assert!(!html.contains("/oauth/token"), "of the dialect alone");
}

#[tokio::test]
async fn an_api_without_a_document_gets_one_of_its_routes() {
    let app = TestApp::start_with(|policy| {
        with_document(policy);
        policy.resources[0].api_document = None;
    })
    .await;
    let told: Value =
        serde_json::from_str(&app.get("/docs/openapi/the-api.json").await.text()).unwrap();
    assert_eq!(told["info"]["title"], "The api");
    let withdraw = &told["paths"]["/api/withdraw"]["post"];
    assert_eq!(withdraw["security"], json!([{ "oauth2": ["withdraw"] }]));
    part(&page(&app, "/docs/reference").await, "the-api-post-api-withdraw");
}

#[tokio::test]
async fn every_guide_is_filled_in_every_language() {
    let app = TestApp::start_with(with_document).await;
    for guide in GUIDES {
        for language in LANGUAGES {
            let html = page(&app, &format!("/docs/guides/{guide}?lang={language}")).await;
            assert!(html.matches("<pre class=\"code\"").count() >= 3, "{guide} in {language}");
            assert!(!html.contains("{{") && !html.contains("{%"), "{guide} in {language}");
        }
    }
    assert_eq!(app.get("/docs/guides/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_app_of_the_reader_fills_the_programs_and_says_how_its_scopes_stand() {
    let app = TestApp::start_with(with_document).await;
    let bot = app
        .add_app("bot'$(evil)", AppKind::Web, |app| {
            app.approved = "balances.read orders.read".parse().unwrap();
        })
        .await;
    let secret = bot.secret.clone().unwrap();
    let find =
        async |tx: &mut store::Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
    let dev = app.write(find).await.unwrap();
    let browser = app.signed_in(&dev).await;
    let id = bot.app.id;
    let guide = browser.get(&format!("/docs/guides/web-app?app={id}")).await.text();
    assert!(guide.contains(r"bot&#39;\&#39;&#39;$(evil)"), "quoted for the shell");
    assert!(guide.contains("balances.read+orders.read") && guide.contains("bot.example.com"));
    assert!(!guide.contains(&secret), "secrets are read from the environment");

    let html = browser.get(&format!("/docs/reference?app={id}")).await.text();
    let standing = |id: &str| part(&html, id).split("</article>").next().unwrap().to_owned();
    assert!(standing("the-api-get-api-orders-id").contains("Approved"));
    assert!(standing("the-api-post-api-orders").contains("Waits for review"));
    let missing = standing("the-api-post-api-withdraw");
    assert!(missing.contains("You do not have this yet"), "{missing}");
    assert!(missing.contains(&format!("href=\"/apps/{id}/scopes#request-scopes\"")), "{missing}");
    assert!(!standing("the-api-get-api-status").contains("badge"), "it needs none");
}

#[tokio::test]
async fn an_app_of_somebody_else_does_not_exist() {
    let app = TestApp::start_with(with_document).await;
    let bot = app.add_app("bot", AppKind::Web, |_| {}).await;
    let path = format!("/docs?app={}", bot.app.id);
    assert!(app.get(&path).await.location().starts_with("/sign-in?continue="));
    let other = app.add_user("mallory", &[Role::Developer]).await;
    let other = app.signed_in(&other).await;
    assert_eq!(other.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(other.get("/docs?app=nonsense").await.status, StatusCode::NOT_FOUND);
    assert_eq!(other.get("/docs?wire=nonsense").await.status, StatusCode::NOT_FOUND);
    assert_eq!(other.get("/docs?app=a&app=b").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_error_tables_have_every_word_that_there_is() {
    use protocol::authorize::AuthorizeErrorCode;
    use protocol::envelope::RefusalKind;
    use protocol::error::OAuthErrorKind;
    let app = TestApp::start().await;
    let html = page(&app, "/docs/errors").await;
    let words = OAuthErrorKind::ALL.map(OAuthErrorKind::as_str).to_vec();
    let words = words.into_iter().chain(RefusalKind::ALL.map(RefusalKind::as_str));
    let authorization = AuthorizeErrorCode::ALL.map(AuthorizeErrorCode::as_str);
    for word in words.chain(authorization.into_iter().filter(|word| !word.contains("key"))) {
        assert!(html.contains(&format!("<code>{word}</code>")), "{word}");
    }
    assert!(!html.contains("partner_key_limit_reached"), "there are no keys here");
}

#[tokio::test]
async fn a_large_reference_shows_one_group_at_a_time() {
    let app = TestApp::start_with(|policy| {
        for number in 0..300 {
            let path = format!("/api/part{}/{number}", number % 3);
            let rule = RouteRule {
                access: RouteAccess::Public,
                family: format!("part{}", number % 3),
                pattern: path.clone(),
            };
            let pattern = RoutePattern::parse(&path).unwrap();
            policy.resources[0].routes.insert(Method::GET, pattern, rule).unwrap();
        }
    })
    .await;
    let first = page(&app, "/docs/reference").await;
    assert_eq!(first.matches("<article").count(), 100);
    let second = page(&app, "/docs/reference?group=the-api-part1&lang=go").await;
    assert_eq!(second.matches("<article").count(), 100);
    part(&second, "the-api-get-api-part1-1");
    assert!(second.contains("lang=python&amp;group=the-api-part1"), "a language keeps the group");
    assert_eq!(app.get("/docs/reference?group=x").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_chapter_on_webhooks_has_every_event_and_the_program_that_the_suite_runs() {
    let app = TestApp::start().await;
    let html = page(&app, "/docs/webhooks").await;
    for kind in domain::webhook::EventKind::offered_to_apps() {
        assert!(html.contains(&format!("<code>{}</code>", kind.name())), "{kind:?}");
    }
    let tested = include_str!("../../../consentry/tests/clients/webhook_receiver.py");
    let begins = tested.find("def verified").unwrap();
    let ends = tested.find("\n\n\nclass").unwrap();
    let text = include_str!("../../docs/texts/webhooks.txt");
    assert!(text.contains(&tested[begins..ends]), "the program is the one that is tested");
}
