//! Partner keys from the request to their end, at the standard's endpoints. How a dialect writes
//! the same is tested with the files in `dialects/`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use domain::app::{App, AppKind, ScopeRequest};
use domain::audit::AuditKind;
use domain::key_terms::{Endpoint, KeyTerms, PermissionGroup, Translated};
use domain::partner_key::{PARTNER_KEYS_MAX, PartnerKey, SECRET_LOCK, UNUSED_MAX, id_of_uuid};
use domain::policy::{HighTierRule, Policy, RouteAccess, ScopeDefinition, ScopeKind, ScopeTier};
use domain::user::User;
use futures_util::future::join_all;
use http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use store::{Tx, partner_keys};

use crate::harness::{Answer, Browser, Client, TestApp};

const ALL: &str = "apikeys.create apikeys.read apikeys.delete balances.read";

fn terms() -> KeyTerms {
    let endpoint = |url: &str, scope: &str| Endpoint {
        url: url.to_owned(),
        access: vec![RouteAccess::AnyOf(vec![scope.parse().unwrap()])],
    };
    let group = |name: &str, title: &str, moves_money, endpoints| PermissionGroup {
        name: name.to_owned(),
        title: Translated {
            text: title.to_owned(),
            by_language: BTreeMap::from([("uk".to_owned(), format!("{title} (uk)"))]),
        },
        moves_money,
        endpoints,
    };
    KeyTerms {
        create: "apikeys.create".parse().unwrap(),
        read: "apikeys.read".parse().unwrap(),
        delete: "apikeys.delete".parse().unwrap(),
        access_token: Duration::from_secs(4 * 3600),
        groups: vec![
            group(
                "trading",
                "Trading",
                false,
                vec![
                    endpoint("/api/orders", "orders.read"),
                    endpoint("/api/orders/new", "orders.create"),
                    endpoint("/api/secrets", "not.approved"),
                ],
            ),
            group("transfers", "Move money", true, vec![endpoint("/api/withdraw", "withdraw")]),
            group("staff", "For staff", false, vec![endpoint("/api/staff", "not.approved")]),
        ],
    }
}

fn with_keys(policy: &mut Policy) {
    for name in ["apikeys.create", "apikeys.read", "apikeys.delete"] {
        let definition = ScopeDefinition {
            name: name.parse().unwrap(),
            text: format!("use {name}"),
            kind: ScopeKind::Change,
            tier: ScopeTier::High,
        };
        policy.scopes.insert(definition.name.clone(), definition);
    }
    policy.partner_keys = Some(terms());
}

pub fn may_have_keys(app: &mut App) {
    for scope in ["apikeys.create", "apikeys.read", "apikeys.delete", "withdraw"] {
        app.requested.push(ScopeRequest {
            scope: scope.parse().unwrap(),
            purpose: String::new(),
            required: false,
        });
        app.approved.insert(scope.parse().unwrap());
    }
}

pub struct World {
    pub app: TestApp,
    pub alice: User,
    pub client: Client,
}

pub async fn world() -> World {
    let app = TestApp::start_with(with_keys).await;
    let alice = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", AppKind::Web, may_have_keys).await;
    World { app, alice, client }
}

impl World {
    pub async fn ask(&self, browser: &Browser<'_>) -> Answer {
        browser.get(&self.client.authorize_path(&[("scope", ALL)])).await
    }

    /// The user allows all scopes and ticks `picked` on `page`.
    pub async fn pick(
        &self,
        browser: &Browser<'_>,
        page: &Answer,
        picked: &[(&str, &str)],
    ) -> Answer {
        let (request, csrf) = (page.hidden("request"), page.hidden("csrf"));
        let mut fields = vec![("request", &*request), ("csrf", &*csrf), ("decision", "allow")];
        fields.extend(ALL.split(' ').map(|scope| ("scope", scope)));
        fields.extend(picked);
        browser.post("/oauth/consent", &fields).await
    }

    /// From the second factor's page back to the app.
    pub async fn prove(&self, browser: &Browser<'_>, step_up: &Answer) -> Answer {
        assert!(step_up.location().starts_with("/step-up?"), "{}", step_up.location());
        self.app.clock.advance(Duration::from_secs(1));
        browser.prove(&self.alice).await;
        browser.get(&step_up.redirected("continue").unwrap()).await
    }

    /// The redirect of a request that made a key with `picked`.
    pub async fn make(&self, browser: &Browser<'_>, picked: &[(&str, &str)]) -> Answer {
        let page = self.ask(browser).await;
        let step_up = self.pick(browser, &page, picked).await;
        self.prove(browser, &step_up).await
    }

    /// A key with the group `trading`, and an access token of its app.
    pub async fn key(&self) -> (PartnerKey, String) {
        let browser = self.app.signed_in(&self.alice).await;
        let back = self.make(&browser, &[("group", "trading")]).await;
        let tokens = self.client.redeem(&self.app, &back.redirected("code").unwrap()).await;
        let token = tokens.json()["access_token"].as_str().unwrap().to_owned();
        (self.stored().await.unwrap(), token)
    }

    pub async fn stored(&self) -> Option<PartnerKey> {
        let (user, app) = (self.alice.id, self.client.app.id);
        let find = async move |tx: &mut Tx<'_>| partner_keys::find_of(tx, user, app).await;
        self.app.write(find).await
    }

    pub async fn call(&self, method: Method, path: &str, token: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/oauth/partner-keys/{path}"))
            .header(AUTHORIZATION, format!("Bearer {token}"));
        self.app.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn info(&self, token: &str) -> Value {
        let answer = self.call(Method::GET, "info", token).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    /// What the user is told in messages that wait, oldest first.
    pub async fn messages(&self) -> Vec<String> {
        let (now, lease) = (self.app.provider.now(), Duration::from_secs(1));
        let claim = async move |tx: &mut Tx<'_>| store::mails::claim_due(tx, now, lease, 100).await;
        let due = self.app.write(claim).await;
        due.into_iter().map(|mail| serde_json::to_string(&mail.kind).unwrap()).collect()
    }
}

pub fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.error())
}

#[tokio::test]
async fn a_user_picks_what_a_key_may_do_and_the_app_gets_its_secret_once() {
    let world = world().await;
    let browser = world.app.signed_in(&world.alice).await;
    let picked = [("permission", "trading /api/orders/new")];
    let back = world.make(&browser, &picked).await;
    let public = back.redirected("partner_key").unwrap();
    assert_eq!(public.len(), 32);
    let answer = world.client.redeem(&world.app, &back.redirected("code").unwrap()).await;
    let tokens = answer.json();
    assert_eq!((&tokens["expires_in"], &tokens["refresh_token"]), (&json!(14_400), &Value::Null));
    let token = tokens["access_token"].as_str().unwrap();
    let info = world.info(token).await;
    let id = info["external_id"].as_str().unwrap().to_owned();
    assert!(id_of_uuid(&id).is_some(), "{id}");
    let url = |url: &str, enable: bool| json!({ "url": url, "enable": enable });
    let expected = json!({
        "exists": true,
        "is_enabled": true,
        "external_id": id,
        "public_key": public,
        "permissions": [
            { "name": "trading", "title": "Trading",
              "urls": [url("/api/orders", false), url("/api/orders/new", true)] },
            { "name": "transfers", "title": "Move money", "urls": [url("/api/withdraw", false)] },
        ],
    });
    assert_eq!(info, expected, "what the app is not approved for is not offered");
    let secret = world.call(Method::GET, &format!("{id}/secret"), token).await;
    assert_eq!(secret.status, StatusCode::OK);
    assert_eq!(secret.header(CACHE_CONTROL), Some("no-store"));
    let text = secret.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(text.len(), 64);
    let key = world.stored().await.unwrap();
    let opened = key.secret.open(&world.app.provider.keyring(), key.id).unwrap();
    assert_eq!(opened.expose(), text, "what the gateway checks signatures with");
    assert!(!format!("{key:?}{opened:?}").contains(&text));
    assert!(!key.secret.as_stored().contains(&text));
    let again = world.call(Method::GET, &format!("{id}/secret"), token).await;
    assert_eq!(refusal(&again), (409, "secret_read".to_owned()));
    let deleted = world.call(Method::DELETE, &id, token).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let gone = json!({ "exists": false, "is_enabled": false, "external_id": null,
                       "public_key": null, "permissions": [] });
    assert_eq!(world.info(token).await, gone);
    let audited = world.app.audited().await;
    for kind in
        [AuditKind::PartnerKeyIssued, AuditKind::PartnerKeySecretRead, AuditKind::PartnerKeyEnded]
    {
        assert_eq!(audited.iter().filter(|one| **one == kind).count(), 1, "{kind:?}");
    }
    let messages = world.messages().await;
    let told = |kind: &str, what: &str| {
        messages.iter().any(|message| message.contains(kind) && message.contains(what))
    };
    assert!(told("partner_key_issued", "Trading"), "{messages:?}");
    assert!(told("partner_key_ended", r#""why":"app""#), "{messages:?}");
}

#[tokio::test]
async fn nothing_is_made_before_the_second_factor_that_follows_the_consent() {
    let world = world().await;
    let browser = world.app.signed_in(&world.alice).await;
    let page = world.ask(&browser).await;
    // What was proved before the user decided does not count.
    world.app.clock.advance(Duration::from_secs(1));
    let step_up = world.pick(&browser, &page, &[("group", "trading")]).await;
    let continue_to = step_up.redirected("continue").unwrap();
    let early = browser.get(&continue_to).await;
    assert!(early.location().starts_with("/step-up?continue="), "{}", early.location());
    assert_eq!(world.stored().await, None);
    assert_eq!(world.app.audited().await, [], "not even the consent is remembered");
    let stranger = world.app.browser().get(&continue_to).await;
    assert!(stranger.location().starts_with("/sign-in?continue="), "{}", stranger.location());
    let bob = world.app.add_user("bob", &[]).await;
    let his = world.app.signed_in(&bob).await;
    assert_eq!(his.get(&continue_to).await.status, StatusCode::BAD_REQUEST, "her answer, his");
    let back = world.prove(&browser, &step_up).await;
    let public = back.redirected("partner_key").unwrap();
    // Going back in the browser gives the same answer while the app has not taken it.
    let again = browser.get(&continue_to).await;
    assert_eq!(again.redirected("partner_key"), Some(public));
    let code = back.redirected("code").unwrap();
    assert_eq!(world.client.redeem(&world.app, &code).await.status, StatusCode::OK);
    assert_eq!(browser.get(&continue_to).await.status, StatusCode::BAD_REQUEST, "it is over");
}

#[tokio::test]
async fn a_permission_that_moves_money_takes_a_second_yes() {
    let world = world().await;
    let browser = world.app.signed_in(&world.alice).await;
    let page = world.ask(&browser).await;
    assert!(page.text().contains("can move your money away"));
    assert!(!page.text().contains("confirm_money-error"));
    for money in [("group", "transfers"), ("permission", "transfers /api/withdraw")] {
        let picked = [("permission", "trading /api/orders"), money];
        let again = world.pick(&browser, &page, &picked).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
        let text = again.text();
        assert!(text.contains("confirm_money-error"), "{text}");
        let kept = text.split("<input").filter(|tag| {
            tag.contains(" checked") && picked.iter().any(|(_, value)| tag.contains(value))
        });
        assert_eq!(kept.count(), 2, "what was ticked stays ticked: {text}");
    }
    let picked = [("group", "transfers"), ("confirm_money", "yes")];
    let step_up = world.pick(&browser, &page, &picked).await;
    world.prove(&browser, &step_up).await;
    let urls: Vec<_> =
        world.stored().await.unwrap().permissions.into_iter().map(|one| one.url).collect();
    assert_eq!(urls, ["/api/withdraw"]);
}

#[tokio::test]
async fn s5_a_permission_that_was_not_offered_cannot_be_picked() {
    let world = world().await;
    let browser = world.app.signed_in(&world.alice).await;
    let picked = [
        ("group", "staff"),
        ("permission", "trading /api/secrets"),
        ("permission", "staff /api/staff"),
        ("permission", "trading /api/withdraw"),
        ("permission", "nonsense"),
    ];
    world.make(&browser, &picked).await;
    let key = world.stored().await.unwrap();
    assert!(key.permissions.is_empty(), "{:?}", key.permissions);
}

#[tokio::test]
async fn a_user_has_one_key_for_an_app_and_fifty_in_all() {
    let world = world().await;
    let browser = world.app.signed_in(&world.alice).await;
    // Two pages are open when the first one makes a key.
    let late_page = world.ask(&browser).await;
    world.make(&browser, &[]).await;
    let refused = world.ask(&browser).await;
    assert_eq!(refused.redirected("error").as_deref(), Some("partner_key_active_exists"));
    assert_eq!(refused.redirected("state").as_deref(), Some("xyz"));
    let step_up = world.pick(&browser, &late_page, &[]).await;
    let late = world.prove(&browser, &step_up).await;
    assert_eq!(late.redirected("error").as_deref(), Some("partner_key_active_exists"));
    world.app.clock.advance(UNUSED_MAX);
    world.app.provider.store.disable_unused_keys().await.unwrap();
    let browser = world.app.signed_in(&world.alice).await;
    let refused = world.ask(&browser).await;
    assert_eq!(refused.redirected("error").as_deref(), Some("partner_key_expired_exists"));
    for number in 1..PARTNER_KEYS_MAX {
        let other = world.app.add_app(&format!("app{number}"), AppKind::Web, |_| {}).await;
        let (keyring, entropy) = (world.app.provider.keyring(), world.app.entropy.clone());
        let ids = (world.alice.id, other.app.id);
        let now = world.app.provider.now();
        let key = PartnerKey::issue(&keyring, &*entropy, ids, [].into(), None, now).unwrap();
        let insert = async move |tx: &mut Tx<'_>| partner_keys::insert(tx, &key).await;
        assert!(world.app.write(insert).await);
    }
    let another = world.app.add_app("another", AppKind::Web, may_have_keys).await;
    let refused = browser.get(&another.authorize_path(&[("scope", ALL)])).await;
    assert_eq!(refused.redirected("error").as_deref(), Some("partner_key_limit_reached"));
}

#[tokio::test]
async fn what_is_remembered_makes_no_key() {
    let world = world().await;
    let (key, token) = world.key().await;
    let deleted = world.call(Method::DELETE, &domain::partner_key::uuid_of(key.id), &token).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let browser = world.app.signed_in(&world.alice).await;
    assert_eq!(world.ask(&browser).await.status, StatusCode::OK, "the user picks anew");
    let silent = [("scope", ALL), ("prompt", "none")];
    let answer = browser.get(&world.client.authorize_path(&silent)).await;
    assert_eq!(answer.redirected("error").as_deref(), Some("consent_required"));
    let without = [("scope", "apikeys.read balances.read")];
    let answer = browser.get(&world.client.authorize_path(&without)).await;
    assert!(answer.redirected("code").is_some(), "the rest is remembered");
    assert_eq!(answer.redirected("partner_key"), None);
    let unnamed = browser.get(&world.client.authorize_path(&[("scope", "")])).await;
    assert!(!unnamed.text().contains("The key that it gets"), "it has to be asked for by name");
}

#[tokio::test]
async fn whoever_leaves_the_key_out_still_proves_what_takes_a_second_factor() {
    let world = world().await;
    world.app.change_policy(|policy| policy.high_tier = HighTierRule::Always);
    let browser = world.app.signed_in(&world.alice).await;
    let page = world.ask(&browser).await;
    let allowed = ["apikeys.read", "balances.read"];
    let step_up = browser.decide(&page, "allow", &allowed).await;
    let back = world.prove(&browser, &step_up).await;
    let tokens = world.client.redeem(&world.app, &back.redirected("code").unwrap()).await;
    let scope = tokens.json()["scope"].as_str().unwrap().to_owned();
    assert_eq!(scope, "apikeys.read balances.read");
    assert_eq!(world.stored().await, None, "no key was picked");
}

#[tokio::test]
async fn a_user_who_leaves_the_key_out_gives_the_rest_as_always() {
    let world = world().await;
    let browser = world.app.signed_in(&world.alice).await;
    let page = world.ask(&browser).await;
    let back = browser.decide(&page, "allow", &["balances.read"]).await;
    assert_eq!(back.redirected("partner_key"), None);
    let answer = world.client.redeem(&world.app, &back.redirected("code").unwrap()).await;
    assert!(answer.json()["refresh_token"].is_string(), "{answer:?}");
    assert_eq!(world.stored().await, None);
    let page = world.ask(&browser).await;
    let denied = browser.decide(&page, "deny", &[]).await;
    assert_eq!(denied.redirected("error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn of_a_hundred_that_ask_for_the_secret_at_once_one_is_told() {
    let world = world().await;
    let (key, token) = world.key().await;
    let path = format!("{}/secret", domain::partner_key::uuid_of(key.id));
    let asked = (0..100).map(|_| world.call(Method::GET, &path, &token));
    let mut statuses = BTreeMap::new();
    for answer in join_all(asked).await {
        *statuses.entry(answer.status.as_u16()).or_insert(0) += 1;
        if answer.status == StatusCode::LOCKED {
            assert_eq!(answer.header(RETRY_AFTER), Some("1"));
        }
    }
    assert_eq!(statuses.remove(&200), Some(1), "{statuses:?}");
    assert!(statuses.keys().all(|status| [409, 423].contains(status)), "{statuses:?}");
    assert_eq!(statuses.values().sum::<u32>(), 99);
}

#[tokio::test]
async fn a_retrieval_that_was_cut_short_keeps_others_away_for_seconds_and_not_for_ever() {
    let world = world().await;
    let (key, token) = world.key().await;
    let (id, now) = (key.id, world.app.provider.now());
    let until = now.after(SECRET_LOCK);
    let lock = async move |tx: &mut Tx<'_>| partner_keys::lock_secret(tx, id, until, now).await;
    assert!(world.app.write(lock).await);
    let path = format!("{}/secret", domain::partner_key::uuid_of(id));
    let locked = world.call(Method::GET, &path, &token).await;
    assert_eq!(refusal(&locked), (423, "locked".to_owned()));
    world.app.clock.advance(SECRET_LOCK);
    assert_eq!(world.call(Method::GET, &path, &token).await.status, StatusCode::OK);
    let late = world.app.provider.now();
    let tell = async move |tx: &mut Tx<'_>| partner_keys::tell_secret(tx, id, until, late).await;
    assert!(!world.app.write(tell).await, "the first one comes too late");
}

#[tokio::test]
async fn an_app_hears_of_its_own_keys_and_of_nobody_elses() {
    let world = world().await;
    let (key, token) = world.key().await;
    let id = domain::partner_key::uuid_of(key.id);
    let other = World {
        client: world.app.add_app("other", AppKind::Web, may_have_keys).await,
        alice: world.alice.clone(),
        app: world.app,
    };
    let (_, others) = other.key().await;
    let world = other;
    for (method, path) in [(Method::GET, format!("{id}/secret")), (Method::DELETE, id.clone())] {
        let call = async |token: &str| refusal(&world.call(method.clone(), &path, token).await);
        assert_eq!(call(&others).await, (403, "access_denied".to_owned()), "{path}");
        let unknown = path.replace(&id, "550e8400-e29b-41d4-a716-446655440000");
        let unknown = world.call(method.clone(), &unknown, &token).await;
        assert_eq!(refusal(&unknown), (404, "not_found".to_owned()));
        let nonsense = world.call(method.clone(), &path.replace(&id, "x"), &token).await;
        assert_eq!(refusal(&nonsense), (404, "not_found".to_owned()));
        assert_eq!(call("cs_at_nonsense").await, (401, "invalid_token".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn each_endpoint_takes_its_scope_and_an_allowed_address() {
    let world = world().await;
    let (key, full) = world.key().await;
    let id = domain::partner_key::uuid_of(key.id);
    let browser = world.app.signed_in(&world.alice).await;
    let narrow = world.client.authorize_path(&[("scope", "balances.read")]);
    let code = browser.get(&narrow).await.redirected("code").unwrap();
    let tokens = world.client.redeem(&world.app, &code).await.json();
    let token = tokens["access_token"].as_str().unwrap();
    for (method, path) in [
        (Method::GET, "info".to_owned()),
        (Method::GET, format!("{id}/secret")),
        (Method::DELETE, id),
    ] {
        let refused = world.call(method.clone(), &path, token).await;
        assert_eq!(refusal(&refused), (403, "insufficient_scope".to_owned()), "{path}");
        assert!(refused.header(WWW_AUTHENTICATE).unwrap().contains("insufficient_scope"));
        let bare = Request::builder().method(method).uri(format!("/oauth/partner-keys/{path}"));
        let bare = world.app.send(bare.body(Body::empty()).unwrap()).await;
        assert_eq!(refusal(&bare), (401, "invalid_token".to_owned()), "{path}");
        assert!(bare.header(WWW_AUTHENTICATE).unwrap().starts_with("Bearer "));
    }
    let addresses = vec!["192.0.2.0/24".parse().unwrap()];
    world.app.save_app(App { addresses, ..world.client.app.clone() }).await;
    let elsewhere = world.call(Method::GET, "info", &full).await;
    assert_eq!(refusal(&elsewhere), (401, "invalid_token".to_owned()));
}

#[tokio::test]
async fn an_app_with_a_key_is_told_the_titles_in_the_users_language() {
    let world = world().await;
    let (_, token) = world.key().await;
    let locale = Some("uk-UA".to_owned());
    world.app.save_user(User { locale, ..world.alice.clone() }).await;
    assert_eq!(world.info(&token).await["permissions"][0]["title"], "Trading (uk)");
    assert_eq!(world.info(&token).await["permissions"][0]["name"], "trading");
}
