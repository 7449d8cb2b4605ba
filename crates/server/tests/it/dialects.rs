//! Dialects and time: how long their grants and tokens live, how many there are, how often their
//! endpoints are asked. What their answers look like is tested with the files in `dialects/`.

use std::sync::Arc;
use std::time::Duration;

use domain::app::{App, AppKind, AppLifetimes};
use domain::audit::AuditKind;
use domain::change::Change;
use domain::grant::{Grant, GrantStatus, RevokeReason};
use domain::user::User;
use http::StatusCode;
use protocol::dialect::{
    AuthorizeEndpoint, BodyFormat, Dialect, DialectLifetimes, ErrorRule, GrantType, Parameter,
    Relaxed, TokenAnswer, TokenEndpoint,
};
use protocol::rate::Rate;
use protocol::template::Template;
use store::Tx;

use crate::forms::{consent_of, is_accepted, live_scope, submit};
use crate::harness::{Answer, Client, TestApp, Tokens, encode, only_grant};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Ten years and no refresh tokens, as Bitport's are.
const LASTING: &str = "lasting";
/// Minutes, and one refresh a second, as WhiteBIT's are.
const HASTY: &str = "hasty";

/// Minutes, and then the user is needed again.
const BRIEF: &str = "brief";

fn dialect(name: &str, lifetimes: DialectLifetimes) -> Dialect {
    let mut tokens = vec![endpoint(name, GrantType::AuthorizationCode, None)];
    if lifetimes.refresh_token.is_some() {
        let rate = Rate { requests: 1, period: SECOND };
        tokens.push(endpoint(name, GrantType::RefreshToken, Some(rate)));
    }
    Dialect {
        name: name.to_owned(),
        title: name.to_owned(),
        relaxed: Relaxed { pkce: true, redirect_uri_repeat: true, ..Relaxed::default() },
        lifetimes,
        authorize: AuthorizeEndpoint {
            path: format!("/{name}/ask"),
            parameters: vec![
                parameter("client_id", Some("client_id"), None),
                parameter("response_type", None, Some("code")),
            ],
            scope_separator: ' ',
        },
        tokens,
        user_code: None,
        partner_keys: None,
        pages: Vec::new(),
        signed: None,
        envelope: None,
    }
}

/// `/NAME/authorization_code` and `/NAME/refresh_token`, which say by their address what they are.
fn endpoint(name: &str, grant_type: GrantType, rate_per_app: Option<Rate>) -> TokenEndpoint {
    let word = grant_type.as_str();
    let given = if grant_type == GrantType::RefreshToken { "refresh_token" } else { "code" };
    let template = r#"{"access_token": "{{access_token}}", "refresh_token": "{{refresh_token}}",
                       "expires_in": "{{expires_in}}"}"#;
    TokenEndpoint {
        path: format!("/{name}/{word}"),
        parameters: vec![
            parameter("client_id", Some("client_id"), None),
            parameter("client_secret", Some("client_secret"), None),
            parameter(given, Some(given), None),
            parameter("grant_type", None, Some(word)),
        ],
        grant_types: vec![(grant_type, word.to_owned())],
        bodies: vec![BodyFormat::Form],
        takes_basic: false,
        required: Vec::new(),
        scope_separator: ' ',
        needs_listed_address: false,
        rate_per_app,
        rate_of_failures: Some(Rate { requests: 5, period: Duration::from_secs(60) }),
        answer: TokenAnswer {
            body: (StatusCode::OK, Template::parse(template).unwrap()),
            token_type: "Bearer".to_owned(),
            scope_separator: ' ',
        },
        errors: vec![ErrorRule {
            when: Vec::new(),
            status: None,
            template: Template::parse(r#"{"error": "{{error}}"}"#).unwrap(),
        }],
    }
}

fn parameter(standard: &str, name: Option<&str>, default: Option<&str>) -> Parameter {
    Parameter {
        standard: standard.to_owned(),
        name: name.map(str::to_owned),
        default: default.map(str::to_owned),
    }
}

async fn start() -> TestApp {
    let lasting = DialectLifetimes {
        access_token: 3650 * DAY,
        refresh_token: None,
        idle: 365 * DAY,
        grant: 3650 * DAY,
    };
    let hasty = DialectLifetimes {
        access_token: 300 * SECOND,
        refresh_token: Some(600 * SECOND),
        idle: DAY,
        grant: 2 * DAY,
    };
    let brief = DialectLifetimes {
        access_token: 300 * SECOND,
        refresh_token: None,
        idle: 365 * DAY,
        grant: 30 * DAY,
    };
    let all = [(LASTING, lasting), (HASTY, hasty), (BRIEF, brief)];
    let dialects = all.map(|(name, lifetimes)| Arc::new(dialect(name, lifetimes))).to_vec();
    TestApp::start_with(move |policy| policy.dialects = dialects).await
}

/// A provider, its user, and an app of the dialect `name`.
async fn start_with_app(name: &str) -> (TestApp, User, Client) {
    let app = start().await;
    let user = app.add_user("alice", &[]).await;
    let client = add_app(&app, "bot", name).await;
    (app, user, client)
}

async fn add_app(app: &TestApp, client_id: &str, dialect: &str) -> Client {
    let of_dialect = |app: &mut App| app.dialect = Some(dialect.to_owned());
    app.add_app(client_id, AppKind::Web, of_dialect).await
}

impl Client {
    fn dialect(&self) -> &str {
        self.app.dialect.as_deref().unwrap()
    }

    /// `user` signs in and allows everything.
    async fn code_in_dialect(&self, app: &TestApp, user: &User) -> String {
        let browser = app.signed_in(user).await;
        let query = encode(&[("client_id", &self.app.client_id)]);
        let mut answer = browser.get(&format!("/{}/ask?{query}", self.dialect())).await;
        if answer.status == StatusCode::OK {
            let all = ["balances.read", "orders.read", "orders.create"];
            answer = browser.decide(&answer, "allow", &all).await;
        }
        answer.redirected("code").unwrap()
    }

    async fn redeem_in_dialect(&self, app: &TestApp, code: &str) -> Answer {
        let path = format!("/{}/authorization_code", self.dialect());
        self.post(app, &path, &[("code", code)]).await
    }

    async fn tokens_in_dialect(&self, app: &TestApp, user: &User) -> Tokens {
        let code = self.code_in_dialect(app, user).await;
        Tokens::of(&self.redeem_in_dialect(app, &code).await)
    }

    async fn refresh_in_dialect(&self, app: &TestApp, token: &str) -> Answer {
        let path = format!("/{}/refresh_token", self.dialect());
        self.post(app, &path, &[("refresh_token", token)]).await
    }
}

impl TestApp {
    /// Store which endpoints an app is known at.
    async fn save_dialect(&self, app: App) {
        self.write(async move |tx: &mut Tx<'_>| {
            store::apps::save_dialect(tx, &app).await?;
            store::changes::record(tx, Change::App(app.id)).await
        })
        .await;
    }
}

/// What the job does with the counts of calls.
async fn note_use(app: &TestApp, grant: &Grant) {
    let (id, at) = (grant.id, app.provider.now());
    app.write(async move |tx: &mut Tx<'_>| store::grants::touch(tx, id, at).await).await;
}

#[tokio::test]
async fn of_twenty_one_authorizations_twenty_live_and_the_longest_unused_has_ended() {
    let (app, user, client) = start_with_app(LASTING).await;
    let mut issued = Vec::new();
    for _ in 0..20 {
        issued.push(client.tokens_in_dialect(&app, &user).await);
        app.clock.advance(3600 * SECOND);
    }
    let grants = app.live_grants(&user, &client.app).await;
    assert_eq!(grants.len(), 20);
    // The oldest is used again, so another one has waited longest.
    note_use(&app, &grants[0]).await;
    app.clock.advance(SECOND);
    issued.push(client.tokens_in_dialect(&app, &user).await);
    assert_eq!(app.live_grants(&user, &client.app).await.len(), 20);
    let mut accepted = Vec::new();
    for tokens in &issued {
        accepted.push(is_accepted(&app, tokens).await);
    }
    let expected: Vec<bool> = (0..21).map(|index| index != 1).collect();
    assert_eq!(accepted, expected);
    let ended = app.find_grant(grants[1].id).await.unwrap();
    let why = GrantStatus::Revoked { at: app.provider.now(), reason: RevokeReason::Evicted };
    assert_eq!(ended.status, why);
    assert_eq!(
        app.audited().await.iter().filter(|kind| **kind == AuditKind::GrantRevoked).count(),
        1
    );
}

#[tokio::test]
async fn a_ten_year_token_says_ten_years_in_32_bits_and_comes_without_a_refresh_token() {
    let (app, user, client) = start_with_app(LASTING).await;
    let code = client.code_in_dialect(&app, &user).await;
    let answer = client.redeem_in_dialect(&app, &code).await;
    let json = answer.json();
    assert_eq!(i32::try_from(json["expires_in"].as_i64().unwrap()), Ok(315_360_000));
    assert_eq!(json.get("refresh_token"), None);
    assert_eq!(only_grant(&app, &user, &client).await.refresh, None);
}

#[tokio::test]
async fn a_ten_year_token_that_the_user_revokes_is_refused_on_the_next_call() {
    let (app, user, client) = start_with_app(LASTING).await;
    let tokens = client.tokens_in_dialect(&app, &user).await;
    assert!(is_accepted(&app, &tokens).await);
    let consent = consent_of(&app, &user, &client).await;
    let browser = app.signed_in(&user).await;
    let done = submit(&browser, &format!("/connected/{}/revoke", consent.id), &[]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    assert!(!is_accepted(&app, &tokens).await);
}

#[tokio::test]
async fn a_ten_year_token_ends_after_a_year_without_use() {
    let (app, user, client) = start_with_app(LASTING).await;
    let tokens = client.tokens_in_dialect(&app, &user).await;
    app.clock.advance(365 * DAY - MILLISECOND);
    assert!(is_accepted(&app, &tokens).await);
    app.clock.advance(MILLISECOND);
    assert!(!is_accepted(&app, &tokens).await);
    assert!(app.live_grants(&user, &client.app).await.is_empty());
}

#[tokio::test]
async fn a_ten_year_token_that_is_used_stands_for_ten_years_and_no_longer() {
    let (app, user, client) = start_with_app(LASTING).await;
    let tokens = client.tokens_in_dialect(&app, &user).await;
    let grant = only_grant(&app, &user, &client).await;
    for _ in 0..9 {
        app.clock.advance(364 * DAY);
        assert!(is_accepted(&app, &tokens).await, "{:?}", app.provider.now());
        note_use(&app, &grant).await;
    }
    app.clock.advance(3650 * DAY - 9 * 364 * DAY - MILLISECOND);
    note_use(&app, &grant).await;
    assert!(is_accepted(&app, &tokens).await);
    app.clock.advance(MILLISECOND);
    assert!(!is_accepted(&app, &tokens).await);
}

#[tokio::test]
async fn the_lifetimes_of_a_dialect_hold_and_not_those_of_the_standard() {
    let (app, user, client) = start_with_app(HASTY).await;
    let code = client.code_in_dialect(&app, &user).await;
    let answer = client.redeem_in_dialect(&app, &code).await;
    assert_eq!(answer.json()["expires_in"], 300);
    let first = Tokens::of(&answer);
    app.clock.advance(300 * SECOND - MILLISECOND);
    assert!(is_accepted(&app, &first).await);
    app.clock.advance(MILLISECOND);
    assert!(!is_accepted(&app, &first).await);
    // Each refresh starts the ten minutes anew, until the grant is over.
    let mut tokens = Tokens::of(&client.refresh_in_dialect(&app, &first.refresh).await);
    while only_live_seconds(&app, &user, &client).await > 599 {
        app.clock.advance(599 * SECOND);
        tokens = Tokens::of(&client.refresh_in_dialect(&app, &tokens.refresh).await);
        assert!(is_accepted(&app, &tokens).await);
    }
    app.clock.advance(599 * SECOND);
    assert_eq!(client.refresh_in_dialect(&app, &tokens.refresh).await.error(), "invalid_grant");
    let unused = client.tokens_in_dialect(&app, &user).await;
    app.clock.advance(600 * SECOND);
    assert_eq!(client.refresh_in_dialect(&app, &unused.refresh).await.error(), "invalid_grant");
}

/// How long the only grant will live at most.
async fn only_live_seconds(app: &TestApp, user: &User, client: &Client) -> u64 {
    only_grant(app, user, client).await.expires_at.since(app.provider.now()).as_secs()
}

#[tokio::test]
async fn an_app_may_wish_for_less_than_its_dialect_has_and_not_for_more() {
    let app = start().await;
    let user = app.add_user("alice", &[]).await;
    for (client_id, wish, expected) in [("modest", 60, 60), ("greedy", 6000, 300)] {
        let change = |app: &mut App| {
            app.dialect = Some(HASTY.to_owned());
            let access_token = Some(Duration::from_secs(wish));
            app.lifetimes = AppLifetimes { access_token, ..AppLifetimes::default() };
        };
        let client = app.add_app(client_id, AppKind::Web, change).await;
        let code = client.code_in_dialect(&app, &user).await;
        let answer = client.redeem_in_dialect(&app, &code).await;
        assert_eq!(answer.json()["expires_in"], expected, "{client_id}");
    }
}

#[tokio::test]
async fn one_refresh_a_second_is_admitted_of_each_app_and_retry_after_says_when_the_next() {
    let (app, user, client) = start_with_app(HASTY).await;
    let other = add_app(&app, "other", HASTY).await;
    let (first, others) =
        (client.tokens_in_dialect(&app, &user).await, other.tokens_in_dialect(&app, &user).await);
    let second = Tokens::of(&client.refresh_in_dialect(&app, &first.refresh).await);
    app.clock.advance(SECOND - MILLISECOND);
    let refused = client.refresh_in_dialect(&app, &second.refresh).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(other.refresh_in_dialect(&app, &others.refresh).await.status, StatusCode::OK);
    app.clock.advance(MILLISECOND);
    // What was refused has used nothing up, and has not moved the next moment away.
    assert_eq!(client.refresh_in_dialect(&app, &second.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn x2_after_some_failures_nothing_of_that_client_is_looked_at_for_a_while() {
    let (app, user, client) = start_with_app(HASTY).await;
    let code = client.code_in_dialect(&app, &user).await;
    let wrong = Client { secret: Some("wrong".to_owned()), ..client.clone() };
    for _ in 0..5 {
        let refused = wrong.redeem_in_dialect(&app, &code).await;
        assert_eq!(refused.error(), "invalid_client");
    }
    let stopped = client.redeem_in_dialect(&app, &code).await;
    assert_eq!((stopped.status, &*stopped.error()), (StatusCode::TOO_MANY_REQUESTS, "slow_down"));
    let wait: u64 = stopped.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Another endpoint and another app are not the ones that were tried.
    let other = add_app(&app, "other", HASTY).await;
    other.tokens_in_dialect(&app, &user).await;
    app.clock.advance(Duration::from_secs(wait));
    let fresh = client.code_in_dialect(&app, &user).await;
    Tokens::of(&client.redeem_in_dialect(&app, &fresh).await);
}

#[tokio::test]
async fn x2_junk_codes_from_strangers_keep_no_user_of_an_app_out() {
    let (app, user, client) = start_with_app(HASTY).await;
    let code = client.code_in_dialect(&app, &user).await;
    for number in 0..40 {
        let refused = client.redeem_in_dialect(&app, &format!("junk{number}")).await;
        assert_eq!(refused.error(), "invalid_grant");
    }
    Tokens::of(&client.redeem_in_dialect(&app, &code).await);
    // A client that repeats what was refused is told to wait.
    for _ in 0..5 {
        client.redeem_in_dialect(&app, "junk").await;
    }
    assert_eq!(client.redeem_in_dialect(&app, "junk").await.error(), "slow_down");
}

#[tokio::test]
async fn s4_b1_a_consent_to_the_standard_does_not_let_a_dialect_in_unseen() {
    let (app, user, mut client) = start_with_app(LASTING).await;
    client.app.also_standard = true;
    app.save_dialect(client.app.clone()).await;
    let browser = app.signed_in(&user).await;
    browser.authorize(&client).await;
    let again = browser.get(&client.authorize_path(&[])).await;
    assert!(again.redirected("code").is_some(), "remembered where it was given");
    let ask = format!("/{LASTING}/ask?{}", encode(&[("client_id", &client.app.client_id)]));
    let page = browser.get(&ask).await;
    assert_eq!(page.status, StatusCode::OK, "the user sees what ten years mean");
    let answer = browser.decide(&page, "allow", &["balances.read"]).await;
    Tokens::of(&client.redeem_in_dialect(&app, &answer.redirected("code").unwrap()).await);
    let again = browser.get(&ask).await;
    assert!(again.redirected("code").is_some(), "remembered where it was given, here too");
}

#[tokio::test]
async fn c1_a_code_of_a_dialect_that_is_used_twice_revokes_its_ten_year_token() {
    let (app, user, client) = start_with_app(LASTING).await;
    let code = client.code_in_dialect(&app, &user).await;
    let tokens = Tokens::of(&client.redeem_in_dialect(&app, &code).await);
    assert!(is_accepted(&app, &tokens).await);
    assert_eq!(client.redeem_in_dialect(&app, &code).await.error(), "invalid_grant");
    assert!(!is_accepted(&app, &tokens).await);
    assert_eq!(app.audited().await.last(), Some(&AuditKind::CodeReplayed));
}

#[tokio::test]
async fn b1_tokens_of_an_app_that_left_its_dialect_are_inactive_to_everyone() {
    let (app, user, client) = start_with_app(HASTY).await;
    let both = |app: App| App { also_standard: true, ..app };
    app.save_dialect(both(client.app.clone())).await;
    let tokens = client.tokens_in_dialect(&app, &user).await;
    assert!(is_accepted(&app, &tokens).await);
    assert!(live_scope(&app, &client, &tokens).await.is_some());
    let refresh = [("token", &*tokens.refresh)];
    let is_active =
        async || client.post(&app, "/oauth/introspect", &refresh).await.json()["active"].clone();
    assert_eq!(is_active().await, true);
    // The app moves over to the standard.
    app.save_dialect(App { dialect: None, also_standard: false, ..client.app.clone() }).await;
    assert!(!is_accepted(&app, &tokens).await);
    assert_eq!(live_scope(&app, &client, &tokens).await, None);
    assert_eq!(is_active().await, false);
    // It comes back, but the dialect is not served any more.
    app.save_dialect(both(client.app.clone())).await;
    assert!(is_accepted(&app, &tokens).await);
    app.change_policy(|policy| policy.dialects.clear());
    assert!(!is_accepted(&app, &tokens).await);
    assert_eq!(is_active().await, false);
}

#[tokio::test]
async fn the_consent_page_says_how_long_access_lasts_in_each_dialect() {
    let app = start().await;
    let user = app.add_user("alice", &[]).await;
    let browser = app.signed_in(&user).await;
    let away = "<strong>Works while you are away</strong>";
    for (name, lasts, works_while_away) in [
        (LASTING, "10 years at most, and ends by itself after 365 days without use", true),
        (HASTY, "2 days at most, and ends by itself after 10 minutes without use", true),
        (BRIEF, "5 minutes at most.", false),
    ] {
        let client = add_app(&app, name, name).await;
        let query = encode(&[("client_id", &client.app.client_id)]);
        let page = browser.get(&format!("/{name}/ask?{query}")).await.text();
        let said = format!("Access lasts until you take it back, {lasts}");
        assert!(page.contains(&said), "{name}: {page}");
        assert_eq!(page.contains(away), works_while_away, "{name}");
    }
}
