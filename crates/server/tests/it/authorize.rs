//! The authorization endpoint: who is let on, who is refused, and where the answer goes.

use domain::app::AppKind;
use http::header::CONTENT_SECURITY_POLICY;
use http::{Method, StatusCode};

use crate::harness::{
    CALLBACK, CHALLENGE, ISSUER, PASSWORD, TestApp, encode, form_request, request, start,
};

#[tokio::test]
async fn a_user_signs_in_decides_and_goes_back_with_a_code() {
    let app = TestApp::start().await;
    let (user, client) =
        (app.add_user("alice", &[]).await, app.add_app("bot", AppKind::Web, |_| {}).await);
    let browser = app.browser();
    let answer = browser.get(&client.authorize_path(&[])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.location().starts_with("/sign-in?continue=%2Foauth%2Fauthorize%2Fcontinue"));
    let continue_to = answer.redirected("continue").unwrap();
    browser.sign_in_as(&user).await;
    let page = browser.get(&continue_to).await;
    let answer = browser.decide(&page, "allow", &["balances.read", "orders.read"]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.location().starts_with(CALLBACK));
    assert_eq!(answer.redirected("state").as_deref(), Some("xyz"));
    assert_eq!(answer.redirected("iss").as_deref(), Some(ISSUER));
    assert!(answer.redirected("code").unwrap().starts_with("cs_ac_"));
}

#[tokio::test]
async fn the_sign_in_page_leads_back_to_the_request_and_may_lead_on_to_the_app() {
    let (app, user, client) = start(AppKind::Web).await;
    client.tokens(&app, &user).await;
    let browser = app.browser();
    let first = browser.get(&client.authorize_path(&[])).await;
    let page = browser.get(first.location()).await;
    assert!(page.text().contains("The bot"));
    let policy = page.header(CONTENT_SECURITY_POLICY).unwrap();
    assert!(policy.contains("form-action 'self' https://bot.example.com"), "{policy}");
    let (continue_to, csrf) = (page.hidden("continue"), page.hidden("csrf"));
    let fields = [
        ("continue", &*continue_to),
        ("csrf", &*csrf),
        ("email", &*user.email),
        ("password", PASSWORD),
    ];
    let answer = browser.post("/sign-in", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let answer = browser.get(answer.location()).await;
    assert!(answer.redirected("code").is_some(), "the consent is remembered");
}

#[tokio::test]
async fn the_account_can_be_switched_on_the_consent_page() {
    let (app, alice, client) = start(AppKind::Web).await;
    let bob = app.add_user("bob", &[]).await;
    let browser = app.signed_in(&alice).await;
    let page = browser.get(&client.authorize_path(&[])).await;
    let text = page.text().replace("&amp;", "&").replace("&#x2f;", "/");
    let (_, link) = text.split_once("/sign-in?continue=").unwrap();
    let switch = format!("/sign-in?continue={}", link.split('"').next().unwrap());
    assert_eq!(browser.get(&switch).await.status, StatusCode::OK, "asks although signed in");
    let continue_to = switch.split_once("continue=").unwrap().1;
    let pairs = format!("continue={continue_to}");
    let (_, continue_to) = url::form_urlencoded::parse(pairs.as_bytes()).next().unwrap();
    browser.sign_in_as(&bob).await;
    let page = browser.get(&continue_to).await;
    assert!(page.text().contains("bob@example.com"));
    let code = browser.decide(&page, "allow", &[]).await.redirected("code").unwrap();
    client.redeem(&app, &code).await;
    assert!(app.live_grants(&alice, &client.app).await.is_empty());
    assert_eq!(app.live_grants(&bob, &client.app).await.len(), 1);
}

#[tokio::test]
async fn the_sign_in_page_learns_which_app_asks() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let path = client.authorize_path(&[("login_hint", "alice@example.com")]);
    let continue_to = app.browser().get(&path).await.redirected("continue").unwrap();
    let asking = server::oauth::pending::describe(&app.provider, &continue_to).unwrap();
    assert_eq!(asking.name, "The bot");
    assert_eq!(asking.login_hint.as_deref(), Some("alice@example.com"));
    assert!(!asking.needs_reauthentication);
    for other in ["/connected", "/oauth/authorize/continue?request=x", "/oauth/authorize/continue"]
    {
        assert_eq!(server::oauth::pending::describe(&app.provider, other), None);
    }
}

#[tokio::test]
async fn r1_to_r5_an_unregistered_redirect_uri_gets_a_page_and_no_redirect() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    for uri in [
        "https://bot.example.com.evil.example/callback",
        "https://bot.example.com@evil.example/callback",
        "https://bot.example.com/callback/../evil",
        "https://bot.example.com/callback%2f..",
        "https://BOT.example.com/callback",
        "https://bot.example.com/callback?x=1",
        "https://bot.example.com/callback#fragment",
        "https://bot.example.com:444/callback",
        "javascript:alert(1)",
        "//bot.example.com/callback",
    ] {
        let answer = browser.get(&client.authorize_path(&[("redirect_uri", uri)])).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}");
        assert_eq!(answer.headers.get("location"), None, "{uri}");
    }
}

#[tokio::test]
async fn r6_other_mistakes_with_an_evil_redirect_uri_get_a_page_too() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let evil = ("redirect_uri", "https://evil.example/");
    for mistake in [
        ("response_type", "token"),
        ("scope", "no.such.scope"),
        ("response_mode", "fragment"),
        ("prompt", "none"),
        ("code_challenge", ""),
        ("client_id", "nobody"),
        ("client_id", ""),
    ] {
        let answer = app.browser().get(&client.authorize_path(&[evil, mistake])).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{mistake:?}");
        assert_eq!(answer.headers.get("location"), None, "{mistake:?}");
    }
}

#[tokio::test]
async fn an_unknown_app_and_one_that_is_not_live_get_a_page() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let answer = app.browser().get(&client.authorize_path(&[("client_id", "BOT")])).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "client ids are compared exactly");
    let now = app.provider.now();
    app.save_app(client.app.clone().suspend("abuse".to_owned(), now).unwrap()).await;
    let answer = app.browser().get(&client.authorize_path(&[])).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("cannot be used here"));
}

#[tokio::test]
async fn b1_an_app_of_a_dialect_is_unknown_at_the_standard_endpoint() {
    let app = TestApp::start().await;
    let client =
        app.add_app("old", AppKind::Web, |app| app.dialect = Some("bitport".to_owned())).await;
    let answer = app.browser().get(&client.authorize_path(&[])).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers.get("location"), None);
}

#[tokio::test]
async fn m1_every_answer_carries_state_and_iss_errors_included() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("scope", "no.such.scope"), "invalid_scope"),
        (("scope", "withdraw"), "invalid_scope"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("prompt", "none"), "login_required"),
        (("prompt", "none login"), "invalid_request"),
        (("max_age", "soon"), "invalid_request"),
        (("resource", "https://unknown.example"), "invalid_target"),
        (("request_uri", "https://evil.example"), "request_uri_not_supported"),
    ] {
        let answer = app.browser().get(&client.authorize_path(&[change])).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{change:?}");
        assert!(answer.location().starts_with(CALLBACK));
        assert_eq!(answer.redirected("error").as_deref(), Some(error), "{change:?}");
        assert_eq!(answer.redirected("state").as_deref(), Some("xyz"), "{change:?}");
        assert_eq!(answer.redirected("iss").as_deref(), Some(ISSUER), "{change:?}");
        assert!(answer.redirected("error_description").is_some());
        assert_eq!(answer.redirected("code"), None);
    }
}

#[tokio::test]
async fn a_scope_that_the_operator_removed_can_be_asked_no_more() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    app.change_policy(|policy| policy.scopes.retain(|name, _| name.as_str() != "orders.create"));
    let answer = app.browser().get(&client.authorize_path(&[])).await;
    assert_eq!(answer.redirected("error").as_deref(), Some("invalid_scope"));
    // A request without `scope` means what is left.
    let answer = app.browser().get(&client.authorize_path(&[("scope", "")])).await;
    assert!(answer.location().starts_with("/sign-in?"));
}

#[tokio::test]
async fn m2_the_issuer_comes_from_the_config_whatever_the_request_says() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let mut asked = request(Method::GET, &client.authorize_path(&[("prompt", "none")]));
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example"),
    ] {
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = app.send(asked).await;
    assert_eq!(answer.redirected("iss").as_deref(), Some(ISSUER));
}

#[tokio::test]
async fn r7_doubled_parameters_are_refused_and_never_merged() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let path = client.authorize_path(&[]);
    for doubled in ["client_id=bot", "redirect_uri=https%3A%2F%2Fbot.example.com%2Fcallback"] {
        let answer = app.browser().get(&format!("{path}&{doubled}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{doubled}");
        assert_eq!(answer.headers.get("location"), None);
    }
    for doubled in
        ["scope=orders.read", "state=abc", "response_type=code", "prompt=login&prompt=none"]
    {
        let answer = app.browser().get(&format!("{path}&{doubled}")).await;
        assert_eq!(answer.redirected("error").as_deref(), Some("invalid_request"), "{doubled}");
    }
}

#[tokio::test]
async fn r7_the_registered_query_stays_and_nothing_comes_twice() {
    let app = TestApp::start().await;
    let registered = "https://bot.example.com/callback?tenant=a%26state%3Db";
    let client = app
        .add_app("bot", AppKind::Web, |app| {
            let policy = protocol::redirect_uri::RedirectPolicy::Web;
            let uri = protocol::redirect_uri::RedirectUri::register(policy, registered).unwrap();
            app.redirect_uris = vec![uri];
        })
        .await;
    let path = client.authorize_path(&[("redirect_uri", registered), ("prompt", "none")]);
    let answer = app.browser().get(&path).await;
    assert!(answer.location().starts_with(&format!("{registered}&error=")));
    assert_eq!(answer.redirected("tenant").as_deref(), Some("a&state=b"));
    assert_eq!(answer.redirected("state").as_deref(), Some("xyz"));
}

#[tokio::test]
async fn r8_hostile_text_is_escaped_on_every_page() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let hostile = "\"><script>alert(1)</script>";
    let client = app
        .add_app("bot", AppKind::Web, |app| {
            app.name = hostile.to_owned();
            app.publisher = hostile.to_owned();
            app.requested[0].purpose = hostile.to_owned();
        })
        .await;
    let browser = app.signed_in(&user).await;
    let post = [("response_mode", "form_post"), ("state", hostile)];
    let consent_page = browser.get(&client.authorize_path(&post)).await;
    let form_post = browser.decide(&consent_page, "allow", &[]).await;
    let error_page = browser.get(&client.authorize_path(&[("redirect_uri", hostile)])).await;
    let unknown = browser.get(&client.authorize_path(&[("client_id", hostile)])).await;
    for page in [&consent_page, &form_post, &error_page, &unknown] {
        assert!(!page.text().contains("<script>alert"), "{}", page.text());
        let policy = page.header(CONTENT_SECURITY_POLICY).unwrap();
        assert!(!policy.contains("unsafe-inline") && policy.contains("frame-ancestors 'none'"));
    }
    assert!(form_post.text().contains("&lt;script&gt;"), "{}", form_post.text());
}

#[tokio::test]
async fn r9_pages_send_no_referrer_and_cannot_be_framed_or_kept() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let page = app.signed_in(&user).await.get(&client.authorize_path(&[])).await;
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn form_post_answers_in_a_page_whose_form_goes_to_the_app_alone() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    let page = browser.get(&client.authorize_path(&[("response_mode", "form_post")])).await;
    let answer = browser.decide(&page, "allow", &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.hidden("code").starts_with("cs_ac_"));
    assert_eq!(answer.hidden("state"), "xyz");
    assert_eq!(answer.hidden("iss"), ISSUER);
    let policy = answer.header(CONTENT_SECURITY_POLICY).unwrap();
    assert!(policy.contains("form-action 'self' https://bot.example.com"), "{policy}");
}

#[tokio::test]
async fn a_request_as_a_form_is_sent_on_to_be_looked_at_with_the_cookies() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let fields = [
        ("response_type", "code"),
        ("client_id", "bot"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let answer = app.send(form_request("/oauth/authorize", &[], &fields)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let browser = app.signed_in(&user).await;
    let page = browser.get(answer.location()).await;
    let answer = browser.decide(&page, "allow", &[]).await;
    assert!(answer.redirected("code").is_some());
    assert_eq!(client.app.client_id, "bot");
}

#[tokio::test]
async fn s3_prompt_login_and_max_age_ask_for_the_password_again() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.signed_in(&user).await;
    app.clock.advance(std::time::Duration::from_secs(100));
    for change in [("prompt", "login"), ("max_age", "99")] {
        let answer = browser.get(&client.authorize_path(&[change])).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{change:?}");
        let continue_to = answer.redirected("continue").unwrap();
        let asking = server::oauth::pending::describe(&app.provider, &continue_to).unwrap();
        assert!(asking.needs_reauthentication);
        // Cancelling the sign-in and going on by hand keeps being refused.
        let again = browser.get(&continue_to).await;
        assert!(again.location().starts_with("/sign-in?"), "{change:?}");
        browser.sign_in_as(&user).await;
        let page = browser.get(&continue_to).await;
        assert_eq!(page.status, StatusCode::OK, "{change:?}");
        app.clock.advance(std::time::Duration::from_secs(100));
    }
    let answer = browser.get(&client.authorize_path(&[("max_age", "100")])).await;
    assert_eq!(answer.status, StatusCode::OK, "a sign-in that is young enough is good");
}

#[tokio::test]
async fn a_request_that_took_too_long_is_over() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let browser = app.browser();
    let continue_to =
        browser.get(&client.authorize_path(&[])).await.redirected("continue").unwrap();
    app.clock.advance(server::oauth::pending::REQUEST_LIFETIME);
    browser.sign_in_as(&user).await;
    let answer = browser.get(&continue_to).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("start again"));
}

#[tokio::test]
async fn a_long_state_survives_the_whole_way() {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let state = "é".repeat(1000);
    let browser = app.browser();
    let path = client.authorize_path(&[("state", &state)]);
    let continue_to = browser.get(&path).await.redirected("continue").unwrap();
    browser.sign_in_as(&user).await;
    let page = browser.get(&continue_to).await;
    let answer = browser.decide(&page, "allow", &[]).await;
    assert_eq!(answer.redirected("state"), Some(state));
}

#[tokio::test]
async fn x1_unreadable_queries_get_an_answer() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |_| {}).await;
    let long = encode(&[("client_id", &"x".repeat(20_000))]);
    for query in ["", "client_id=%ff", "client_id=%", "client_id=a%00b", "&&&==&", &long] {
        let answer = app.browser().get(&format!("/oauth/authorize?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", &query[..query.len().min(40)]);
    }
}
