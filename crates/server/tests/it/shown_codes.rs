//! User codes of a dialect: a signed-in user gets one at the dialect's page, and an app trades it
//! at the dialect's endpoint, once.

use std::sync::Arc;
use std::time::Duration;

use domain::app::{App, AppKind};
use domain::audit::AuditKind;
use domain::grant::GrantStatus;
use http::StatusCode;
use protocol::dialect::{
    BodyFormat, Dialect, ErrorRule, GrantType, Parameter, TokenAnswer, TokenEndpoint, UserCodePage,
};
use protocol::template::Template;
use protocol::token::DEVICE_CODE_GRANT;

use crate::harness::{Answer, Browser, Client, TestApp, encode, only_grant};

const WIRE: &str = "bitport";

fn with_user_codes(dialect: &Dialect) -> Dialect {
    let parameter = |name: &str| Parameter {
        standard: name.to_owned(),
        name: Some(name.to_owned()),
        default: None,
    };
    let endpoint = TokenEndpoint {
        path: "/old/token".to_owned(),
        parameters: ["client_id", "client_secret", "grant_type", "code"].map(parameter).to_vec(),
        grant_types: vec![(GrantType::UserCode, "code".to_owned())],
        bodies: vec![BodyFormat::Form],
        takes_basic: false,
        required: Vec::new(),
        scope_separator: ' ',
        needs_listed_address: false,
        rate_per_app: None,
        rate_of_failures: None,
        answer: TokenAnswer {
            body: (
                StatusCode::OK,
                Template::parse(r#"{"access_token": "{{access_token}}"}"#).unwrap(),
            ),
            token_type: "bearer".to_owned(),
            scope_separator: ' ',
        },
        errors: vec![ErrorRule {
            when: Vec::new(),
            status: None,
            template: Template::parse(r#"{"error": "{{error}}"}"#).unwrap(),
        }],
    };
    Dialect {
        tokens: vec![endpoint],
        user_code: Some(UserCodePage { path: "/old/get-access".to_owned() }),
        ..dialect.clone()
    }
}

async fn start() -> TestApp {
    TestApp::start_with(|policy| {
        policy.dialects = vec![Arc::new(with_user_codes(&policy.dialects[0]))];
    })
    .await
}

async fn add_app(app: &TestApp, client_id: &str, name: &str, kind: AppKind) -> Client {
    let of_dialect = |app: &mut App| {
        app.name = name.to_owned();
        app.dialect = Some(WIRE.to_owned());
        app.also_standard = true;
    };
    app.add_app(client_id, kind, of_dialect).await
}

impl Client {
    async fn trade(&self, app: &TestApp, code: &str) -> Answer {
        self.post(app, "/old/token", &[("grant_type", "code"), ("code", code)]).await
    }
}

impl Browser<'_> {
    /// Allow `client` whatever is ticked; the page with the code.
    async fn get_code_page(&self, client: &Client) -> Answer {
        let page = self.consent_page_for(client).await;
        self.decide(&page, "allow", &["orders.read"]).await
    }

    async fn consent_page_for(&self, client: &Client) -> Answer {
        let query = encode(&[("client_id", &client.app.client_id)]);
        self.get(&format!("/old/get-access?{query}")).await
    }

    async fn get_code(&self, client: &Client) -> String {
        code_on(&self.get_code_page(client).await)
    }
}

fn code_on(page: &Answer) -> String {
    let text = page.text();
    let after = text.split("id=\"user-code\"").nth(1).unwrap_or_else(|| panic!("no code: {text}"));
    after.split('>').nth(1).unwrap().split('<').next().unwrap().to_owned()
}

#[track_caller]
fn assert_error(answer: &Answer, error: &str) {
    assert_eq!(answer.error(), error, "{answer:?}");
}

#[tokio::test]
async fn a_user_finds_the_app_sees_what_it_wants_and_gets_a_code_for_it() {
    let app = start().await;
    let user = app.add_user("alice", &[]).await;
    let player = add_app(&app, "998344708", "Living Room Player", AppKind::Web).await;
    add_app(&app, "43764", "Video Shelf", AppKind::Web).await;
    app.add_app("standard", AppKind::Web, |app| app.name = "Standard Player".to_owned()).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get("/old/get-access").await.text();
    assert!(page.contains("Get a code for an app") && !page.contains("Video Shelf"));
    for typed in ["living+room", "998344708"] {
        let page = browser.get(&format!("/old/get-access?q={typed}")).await.text();
        assert!(page.contains("client_id=998344708"), "{typed}: {page}");
        assert!(!page.contains("Video Shelf") && !page.contains("Standard Player"), "{page}");
    }
    let page = browser.get("/old/get-access?q=standard").await.text();
    assert!(page.contains("Nothing found"), "apps of other wire formats are not here: {page}");

    let page = browser.consent_page_for(&player).await;
    for told in ["Living Room Player", "See your balances", "You get a code to paste"] {
        assert!(page.text().contains(told), "{told} is missing: {}", page.text());
    }
    let shown = browser.decide(&page, "allow", &["orders.read"]).await;
    let code = code_on(&shown);
    assert_eq!(code.len(), 9, "{code}");
    // The button was pressed twice: the same code, not a second one.
    assert_eq!(code_on(&browser.decide(&page, "allow", &["orders.read"]).await), code);
    let tokens = player.trade(&app, &code.to_lowercase().replace('-', "")).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    let grant = only_grant(&app, &user, &player).await;
    assert_eq!(grant.scopes.to_string(), "balances.read orders.read");
    assert_eq!((grant.dialect.as_deref(), grant.device_address), (Some(WIRE), None));
    let kinds = [AuditKind::ConsentGiven, AuditKind::UserCodeShown, AuditKind::GrantCreated];
    assert_eq!(app.audited().await, kinds);
}

#[tokio::test]
async fn denying_shows_no_code_and_a_stranger_signs_in_first() {
    let app = start().await;
    let stranger = app.get("/old/get-access?client_id=7").await;
    assert!(stranger.location().starts_with("/sign-in?continue=%2Fold%2Fget-access%3Fclient_id"));
    let user = app.add_user("alice", &[]).await;
    let player = add_app(&app, "7", "Player", AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let page = browser.consent_page_for(&player).await;
    let done = browser.decide(&page, "deny", &[]).await;
    assert!(done.text().contains("Nothing was allowed"), "{done:?}");
    assert_eq!(app.audited().await, [AuditKind::ConsentDenied]);
    let unknown = browser.get("/old/get-access?client_id=8").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    let service = add_app(&app, "9", "Service", AppKind::Service).await;
    assert_eq!(browser.consent_page_for(&service).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn c1_c2_a_user_code_is_for_one_app_once_within_ten_minutes() {
    let app = start().await;
    let user = app.add_user("alice", &[]).await;
    let player = add_app(&app, "7", "Player", AppKind::Web).await;
    let thief = add_app(&app, "8", "Thief", AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let code = browser.get_code(&player).await;
    assert_error(&thief.trade(&app, &code).await, "invalid_grant");
    assert_eq!(player.trade(&app, &code).await.status, StatusCode::OK, "it was not used up");
    let grant = only_grant(&app, &user, &player).await.id;
    assert_error(&player.trade(&app, &code).await, "invalid_grant");
    let status = app.find_grant(grant).await.unwrap().status;
    assert!(matches!(status, GrantStatus::Revoked { .. }), "{status:?}");
    assert_eq!(app.audited().await.last(), Some(&AuditKind::CodeReplayed));

    let late = browser.get_code(&player).await;
    app.clock.advance(Duration::from_secs(600));
    assert_error(&player.trade(&app, &late).await, "invalid_grant");
    assert!(app.live_grants(&user, &player.app).await.is_empty());
}

#[tokio::test]
async fn b1_codes_of_a_dialect_and_of_the_standard_are_refused_at_each_others_doors() {
    let app = start().await;
    let user = app.add_user("alice", &[]).await;
    let player = add_app(&app, "7", "Player", AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let of_dialect = browser.get_code(&player).await;
    // At the standard's token endpoint there is no word for it.
    let as_user_code = [("grant_type", "user_code"), ("code", &*of_dialect)];
    assert_error(&player.post(&app, "/oauth/token", &as_user_code).await, "unsupported_grant_type");
    let as_device = [("grant_type", DEVICE_CODE_GRANT), ("device_code", &*of_dialect)];
    assert_error(&player.post(&app, "/oauth/token", &as_device).await, "invalid_grant");
    assert_error(&player.redeem(&app, &of_dialect).await, "invalid_grant");
    // Nor is it what a device shows.
    let csrf = browser.csrf();
    let typed = browser.post("/device", &[("user_code", &*of_dialect), ("csrf", &*csrf)]).await;
    assert_eq!(typed.status, StatusCode::UNPROCESSABLE_ENTITY);

    let told = player.post(&app, "/oauth/device_authorization", &[]).await.json();
    let (of_device, secret) =
        (told["user_code"].as_str().unwrap(), told["device_code"].as_str().unwrap());
    assert_error(&player.trade(&app, of_device).await, "invalid_grant");
    assert_error(&player.trade(&app, secret).await, "invalid_grant");
    let word = [("grant_type", DEVICE_CODE_GRANT), ("code", secret)];
    let answer = player.post(&app, "/old/token", &word).await;
    assert_ne!(answer.status, StatusCode::OK, "a word of the standard is none of the dialect");
    assert_eq!(player.trade(&app, &of_dialect).await.status, StatusCode::OK, "all that time good");
    // An app that does not speak the dialect is unknown there.
    let standard = app.add_app("standard", AppKind::Web, |_| {}).await;
    assert_error(&standard.trade(&app, &of_dialect).await, "invalid_client");
}

#[tokio::test]
async fn x2_an_app_cannot_guess_user_codes_without_end() {
    let app = start().await;
    let user = app.add_user("alice", &[]).await;
    let player = add_app(&app, "7", "Player", AppKind::Web).await;
    let code = app.signed_in(&user).await.get_code(&player).await;
    for number in 0..30 {
        let guess = if number % 2 == 0 { "BBBB-BBBB" } else { "no code" };
        assert_error(&player.trade(&app, guess).await, "invalid_grant");
    }
    let answer = player.trade(&app, &code).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "the right one has to wait too");
    let audited = app.audited().await;
    let wrong = audited.iter().filter(|kind| **kind == AuditKind::UserCodeWrong).count();
    assert_eq!(wrong, 30, "what was counted is committed");
    // Another app and another address are not kept waiting.
    let other = add_app(&app, "8", "Other", AppKind::Web).await;
    assert_error(&other.trade(&app, "BBBB-BBBB").await, "invalid_grant");
    app.clock.advance(Duration::from_secs(120));
    assert_eq!(player.trade(&app, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn s5_what_was_not_asked_is_not_in_a_code_and_the_form_counts_once() {
    let app = start().await;
    let user = app.add_user("alice", &[]).await;
    let player = add_app(&app, "7", "Player", AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let page = browser.consent_page_for(&player).await;
    let more = browser.decide(&page, "allow", &["withdraw"]).await;
    assert_eq!(more.status, StatusCode::BAD_REQUEST);
    assert_eq!(app.audited().await, [AuditKind::ConsentFormRefused]);
    let mallory = app.add_user("mallory", &[]).await;
    let other = app.signed_in(&mallory).await;
    let (request, csrf) = (page.hidden("request"), other.csrf());
    let fields = [("request", &*request), ("csrf", &*csrf), ("decision", "allow")];
    assert_eq!(other.post("/oauth/consent", &fields).await.status, StatusCode::BAD_REQUEST);
    let code = code_on(&browser.decide(&page, "allow", &[]).await);
    assert_eq!(player.trade(&app, &code).await.status, StatusCode::OK);
    let grant = only_grant(&app, &user, &player).await;
    assert_eq!(grant.scopes.to_string(), "balances.read");
}

#[tokio::test]
async fn a_code_is_worth_nothing_once_the_consent_is_withdrawn() {
    let app = start().await;
    let user = app.add_user("alice", &[]).await;
    let player = add_app(&app, "7", "Player", AppKind::Web).await;
    let browser = app.signed_in(&user).await;
    let code = browser.get_code(&player).await;
    let list = browser.get("/connected").await.text();
    let id = list.split("/connected/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let csrf = browser.csrf();
    browser.post(&format!("/connected/{id}/revoke"), &[("csrf", &*csrf)]).await;
    assert_error(&player.trade(&app, &code).await, "invalid_grant");
    assert!(app.live_grants(&user, &player.app).await.is_empty());
}
