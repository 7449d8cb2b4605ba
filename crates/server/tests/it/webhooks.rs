//! Webhooks: what happens waits in the same transaction, is signed, tried again and given up; and
//! the pages on which a developer sees to it. Who hears of an app by mail too is in `news`.

mod by_hand;
mod news;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::app::AppKind;
use domain::id::EndpointId;
use domain::user::{Role, User};
use domain::webhook::{
    DeliveryState, Endpoint, EndpointOwner, EndpointStatus, EventKind, FAILING_MAX, SealedSecret,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use protocol::secret::Secret;
use protocol::standard_webhook::WebhookKey;
use serde_json::Value;
use server::outbound::{Call, Outbound, OutboundError, Reach, Reply};
use server::webhooks::{OperatorWebhook, Sender, save_operators};
use store::{Tx, webhooks};

use crate::harness::{Answer, Browser, Client, TestApp};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Everyone's servers, which write down what comes and answer with what a test wants.
#[derive(Debug, Default)]
pub struct Receivers {
    received: Mutex<Vec<Received>>,
    /// 204 if it is not set.
    answer: Mutex<Option<(u16, String)>>,
    failure: Mutex<Option<OutboundError>>,
}

#[derive(Clone, Debug)]
pub struct Received {
    url: String,
    reach: Reach,
    id: String,
    timestamp: i64,
    signatures: String,
    body: Vec<u8>,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    fn is_signed_with(&self, secret: &str) -> bool {
        let (key, at) = (WebhookKey::parse(secret).unwrap(), self.timestamp);
        key.verify((&self.id, at), &self.signatures, &self.body, at).is_ok()
    }
}

impl Receivers {
    fn answer_with(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = Some((status, body.to_owned()));
    }

    fn fail_with(&self, error: OutboundError) {
        *self.failure.lock().unwrap() = Some(error);
    }

    fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

impl Outbound for Receivers {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Reply, OutboundError>> {
        let header = |name: &str| call.headers[name].to_str().unwrap().to_owned();
        self.received.lock().unwrap().push(Received {
            url: call.url.to_string(),
            reach: call.reach,
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp").parse().unwrap(),
            signatures: header("webhook-signature"),
            body: call.body.to_vec(),
        });
        if let Some(error) = self.failure.lock().unwrap().clone() {
            return Box::pin(async { Err(error) });
        }
        let answer = self.answer.lock().unwrap().clone();
        let (status, body) = answer.unwrap_or((204, String::new()));
        let status = StatusCode::from_u16(status).unwrap();
        Box::pin(async move { Ok(Reply { status, headers: HeaderMap::new(), body: body.into() }) })
    }
}

/// A form of one of our pages.
async fn submit(browser: &Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    let csrf = browser.csrf();
    browser.post(path, &[&[("csrf", &*csrf)], fields].concat()).await
}

struct World {
    app: TestApp,
    servers: Arc<Receivers>,
    sender: Sender,
    client: Client,
    alice: User,
}

impl World {
    /// An app whose server hears of everything.
    async fn start() -> Self {
        let world = Self::silent().await;
        let offered = EventKind::offered_to_apps().collect();
        world.listen("https://bot.example.com/hooks", offered).await;
        world
    }

    /// Nobody listens.
    async fn silent() -> Self {
        let servers = Arc::new(Receivers::default());
        let app = TestApp::start_calling(Some(servers.clone()), |policy| {
            policy.review_mail = vec!["reviews@example.com".to_owned()];
        })
        .await;
        let client = app.add_app("bot", AppKind::Web, |_| {}).await;
        let alice = app.add_user("alice", &[]).await;
        let sender = Sender::new(app.provider.clone());
        Self { app, servers, sender, client, alice }
    }

    async fn listen(&self, url: &str, events: std::collections::BTreeSet<EventKind>) -> Endpoint {
        let (id, provider) = (EndpointId::random(&*self.app.entropy), &self.app.provider);
        let secret = Secret::new(SECRET);
        let sealed = SealedSecret::seal(&provider.keyring(), id, &secret, &*self.app.entropy);
        let endpoint = Endpoint {
            id,
            owner: EndpointOwner::App(self.client.app.id),
            url: url.to_owned(),
            events,
            secret: sealed.unwrap(),
            former: None,
            status: EndpointStatus::Active,
            failing_since: None,
            created_at: provider.now(),
        };
        let row = endpoint.clone();
        self.app.write(async move |tx: &mut Tx<'_>| webhooks::insert(tx, &row).await).await;
        endpoint
    }

    /// Send what is due, and return what arrived.
    async fn send(&self) -> Vec<Received> {
        while self.sender.send_due().await.unwrap() > 0 {
            self.sender.finish().await;
        }
        self.servers.take()
    }

    async fn connect(&self) {
        let browser = self.app.signed_in(&self.alice).await;
        let code = browser.authorize(&self.client).await;
        assert_eq!(self.client.redeem(&self.app, &code).await.status, 200);
    }

    /// Alice ends all access of the app.
    async fn disconnect(&self) {
        let browser = self.app.signed_in(&self.alice).await;
        let list = browser.get("/connected").await.text();
        let id = list.split("/connected/").nth(1).unwrap().get(..32).unwrap().to_owned();
        let answer = submit(&browser, &format!("/connected/{id}/revoke"), &[]).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
    }

    async fn developer(&self) -> Browser<'_> {
        let find = async |tx: &mut Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
        let dev = self.app.write(find).await.unwrap();
        self.app.signed_in(&dev).await
    }

    fn path(&self, rest: &str) -> String {
        format!("/apps/{}/webhooks{rest}", self.client.app.id)
    }

    async fn deliveries(&self) -> Vec<domain::webhook::Delivery> {
        let app = self.client.app.id;
        let list = async move |tx: &mut Tx<'_>| {
            webhooks::list_deliveries(tx, app, false, i64::MAX, 100).await
        };
        self.app.write(list).await
    }

    async fn endpoint(&self) -> Endpoint {
        let app = self.client.app.id;
        let list = async move |tx: &mut Tx<'_>| webhooks::list_of_app(tx, app).await;
        self.app.write(list).await.remove(0)
    }
}

#[tokio::test]
async fn an_app_hears_once_and_signed_who_let_it_in_and_who_put_it_out() {
    let world = World::start().await;
    world.connect().await;
    let arrived = world.send().await;
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    let created = &arrived[0];
    assert_eq!(created.url, "https://bot.example.com/hooks");
    assert_eq!(created.reach, Reach::Public, "attack F1");
    assert!(created.is_signed_with(SECRET));
    let body = created.json();
    assert_eq!(body["type"], "grant.created");
    assert_eq!(body["timestamp"], "2026-04-02T09:00:00.000Z");
    assert_eq!(body["data"]["client_id"], "bot");
    assert_eq!(body["data"]["sub"], world.alice.id.to_string());
    let grants = world.app.live_grants(&world.alice, &world.client.app).await;
    assert_eq!(body["data"]["grant_id"], grants[0].id.to_string());
    assert_eq!(body["data"]["scope"], grants[0].scopes.to_string());

    world.disconnect().await;
    let arrived = world.send().await;
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    assert_eq!(
        (arrived[0].kind(), &arrived[0].json()["data"]["reason"]),
        ("grant.revoked".into(), &"user".into())
    );
    assert_ne!(arrived[0].id, created.id);
    assert_eq!(world.send().await.len(), 0, "once");
}

#[tokio::test]
async fn a_message_is_tried_again_after_failures_then_dead_and_sent_again_by_hand() {
    let world = World::start().await;
    world.servers.answer_with(500, "<script>alert(1)</script>");
    world.connect().await;
    let first = world.send().await.remove(0);
    assert_eq!(world.send().await.len(), 0, "not before its time");
    let mut tries = 1;
    while let DeliveryState::Waiting { next_attempt_at } = world.deliveries().await[0].state {
        world.app.clock.advance(next_attempt_at.since(world.app.provider.now()));
        let again = world.send().await;
        assert_eq!(again.len(), 1);
        assert_eq!((&again[0].id, &again[0].body), (&first.id, &first.body));
        assert!(again[0].timestamp > first.timestamp && again[0].is_signed_with(SECRET));
        tries += 1;
    }
    assert_eq!(tries, 8);
    assert_eq!(world.app.provider.webhook_stats.counts()[2], ("dead", 1));

    let dev = world.developer().await;
    let page = dev.get(&world.path("?state=dead")).await.text();
    let number = world.deliveries().await[0].id.to_string();
    assert!(page.contains("Given up") && page.contains("8 attempts failed"), "{page}");
    let shown = dev.get(&world.path(&format!("/deliveries/{number}"))).await.text();
    assert!(shown.contains("&lt;script&gt;") && !shown.contains("<script>alert"), "{shown}");
    assert!(shown.contains(&first.id));

    world.servers.answer_with(200, "thanks");
    let sent = submit(&dev, &world.path("/redeliver"), &[("delivery", &number)]).await;
    assert_eq!(sent.status, 303, "{}", sent.text());
    let again = world.send().await;
    assert_eq!((again.len(), &again[0].id), (1, &first.id));
    assert!(matches!(world.deliveries().await[0].state, DeliveryState::Delivered { .. }));
    let conflict = submit(&dev, &world.path("/redeliver"), &[("delivery", &number)]).await;
    assert_eq!(conflict.status, 303, "what arrived can be sent again");
    let twice = submit(&dev, &world.path("/redeliver"), &[("delivery", &number)]).await;
    assert_eq!(twice.status, 409, "it is on its way");
}

#[tokio::test]
async fn an_endpoint_that_fails_for_days_is_switched_off_and_its_developer_told() {
    let world = World::start().await;
    world.servers.answer_with(503, "");
    world.connect().await;
    world.send().await;
    world.app.clock.advance(FAILING_MAX);
    // Another message, whose last attempt falls behind the limit.
    world.disconnect().await;
    for _ in 0..8 {
        world.send().await;
        world.app.clock.advance(Duration::from_secs(13 * 3600));
    }
    assert!(matches!(world.endpoint().await.status, EndpointStatus::Disabled { .. }));
    let kinds: Vec<_> = world.app.queued().await.iter().map(|mail| mail.kind.name()).collect();
    assert!(kinds.contains(&"webhook_disabled"), "{kinds:?}");
    world.connect().await;
    assert_eq!(world.send().await.len(), 0, "nothing is kept for it");
    let (dev, id) = (world.developer().await, world.endpoint().await.id.to_string());
    let on = [("endpoint", &*id), ("to", "on")];
    assert_eq!(submit(&dev, &world.path("/switch"), &on).await.status, 303);
    world.servers.answer_with(204, "");
    world.disconnect().await;
    assert_eq!(world.send().await.len(), 2, "the new one, and what waited for the switch");
    assert_eq!(world.endpoint().await.failing_since, None);
}

#[tokio::test]
async fn an_endpoint_that_answers_410_is_asked_no_more() {
    let world = World::start().await;
    world.servers.answer_with(410, "");
    world.connect().await;
    assert_eq!(world.send().await.len(), 1);
    assert!(matches!(world.endpoint().await.status, EndpointStatus::Disabled { .. }));
    assert!(matches!(world.deliveries().await[0].state, DeliveryState::Dead { .. }));
}

#[tokio::test]
async fn two_nodes_do_not_send_the_same_message_at_once() {
    let world = World::start().await;
    let other = Sender::new(world.app.provider.clone());
    world.connect().await;
    let (one, two) = tokio::join!(world.sender.send_due(), other.send_due());
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    world.sender.finish().await;
    other.finish().await;
    assert_eq!(world.servers.take().len(), 1);
}

#[tokio::test]
async fn an_app_without_webhooks_leaves_nothing_behind() {
    let world = World::silent().await;
    world.connect().await;
    world.disconnect().await;
    assert_eq!(world.deliveries().await, []);
    assert_eq!(world.send().await.len(), 0);
}

#[tokio::test]
async fn a_developer_adds_tries_rolls_pauses_and_removes_a_webhook() {
    let world = World::silent().await;
    let dev = world.developer().await;
    let form = [("url", "https://bot.example.com/hooks"), ("event", "grant.revoked")];
    let added = submit(&dev, &world.path(""), &form).await.text();
    let secret_in = |page: &str| {
        let at = page.find("whsec_").unwrap();
        page[at..].split('<').next().unwrap().to_owned()
    };
    let first = secret_in(&added);
    let page = dev.get(&world.path("")).await.text();
    assert!(page.contains("https://bot.example.com/hooks") && !page.contains("whsec_"), "{page}");
    let id = world.endpoint().await.id.to_string();
    let endpoint = ("endpoint", &*id);

    assert_eq!(submit(&dev, &world.path("/test"), &[endpoint]).await.status, 303);
    let arrived = world.send().await;
    assert_eq!((arrived.len(), arrived[0].kind()), (1, "test".to_owned()));
    assert!(arrived[0].is_signed_with(&first));
    world.connect().await;
    assert_eq!(world.send().await.len(), 0, "it asked for revoked grants alone");

    let second = secret_in(&submit(&dev, &world.path("/roll"), &[endpoint]).await.text());
    assert_ne!(first, second);
    submit(&dev, &world.path("/test"), &[endpoint]).await;
    let both = world.send().await.remove(0);
    assert!(both.is_signed_with(&first) && both.is_signed_with(&second));
    world.app.clock.advance(Duration::from_secs(24 * 3600));
    let dev = world.developer().await;
    submit(&dev, &world.path("/test"), &[endpoint]).await;
    let one = world.send().await.remove(0);
    assert!(!one.is_signed_with(&first) && one.is_signed_with(&second));

    submit(&dev, &world.path("/switch"), &[endpoint, ("to", "pause")]).await;
    world.disconnect().await;
    assert_eq!(world.send().await.len(), 0, "paused");
    let saved = [endpoint, ("url", "https://bot.example.net/h"), ("event", "grant.revoked")];
    assert_eq!(submit(&dev, &world.path("/save"), &saved).await.status, 303);
    submit(&dev, &world.path("/switch"), &[endpoint, ("to", "on")]).await;
    let waited = world.send().await;
    assert_eq!((waited.len(), &*waited[0].url), (1, "https://bot.example.net/h"));

    assert_eq!(submit(&dev, &world.path("/remove"), &[endpoint]).await.status, 303);
    assert_eq!(world.deliveries().await, []);
    assert_eq!(submit(&dev, &world.path("/test"), &[endpoint]).await.status, 404);
}

#[tokio::test]
async fn f1_a_webhook_cannot_be_pointed_into_a_private_network() {
    let world = World::silent().await;
    let dev = world.developer().await;
    for url in [
        "",
        "bot",
        "ftp://bot.example.com/",
        "http://bot.example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://localhost/",
        "https://user:pass@bot.example.com/",
        "https://bot.example.com/#x",
        "http://169.254.169.254/",
    ] {
        let answer = submit(&dev, &world.path(""), &[("url", url), ("event", "test")]).await;
        assert_eq!(answer.status, 422, "{url}");
        let text = answer.text();
        assert!(text.contains("id=\"url-error\""), "{url}: {text}");
        assert!(url.is_empty() || text.contains(&format!("value=\"{url}\"")), "{url} is kept");
    }
    let none = submit(&dev, &world.path(""), &[("url", "https://bot.example.com/")]).await;
    assert!(none.text().contains("Tick at least one kind of event."));
    // The issuer of this deployment is this machine itself: its developers may receive here.
    let local = [("url", "http://127.0.0.1:9/hook"), ("event", "grant.created")];
    assert_eq!(submit(&dev, &world.path(""), &local).await.status, 200);
    world.app.change_policy(|policy| policy.issuer = "https://id.example.com".to_owned());
    world.connect().await;
    assert_eq!(world.send().await[0].reach, Reach::Public, "and nowhere else");
}

#[tokio::test]
async fn nobody_reaches_the_webhooks_of_another_app() {
    let world = World::start().await;
    world.servers.answer_with(500, "");
    world.connect().await;
    world.send().await;
    let mallory = world.app.add_user("mallory", &[Role::Developer]).await;
    let own = world.app.add_app("other", AppKind::Web, |app| app.owner = mallory.id).await;
    let browser = world.app.signed_in(&mallory).await;
    let path = |rest: &str| format!("/apps/{}/webhooks{rest}", own.app.id);
    let id = world.endpoint().await.id.to_string();
    let number = world.deliveries().await[0].id.to_string();
    let is_none = |answer: Answer| assert_eq!(answer.status, 404, "{}", answer.text());
    for action in ["/test", "/roll", "/switch", "/remove"] {
        is_none(submit(&browser, &path(action), &[("endpoint", &id)]).await);
    }
    let url = [("endpoint", &*id), ("url", "https://evil.example/"), ("event", "grant.created")];
    is_none(submit(&browser, &path("/save"), &url).await);
    is_none(submit(&browser, &path("/redeliver"), &[("delivery", &number)]).await);
    is_none(browser.get(&path(&format!("/deliveries/{number}"))).await);
    is_none(browser.get(&world.path("")).await);
}

#[tokio::test]
async fn the_operator_hears_of_decisions_and_never_of_grants() {
    let world = World::silent().await;
    let hook = |name: &str, events: &[EventKind]| OperatorWebhook {
        name: name.to_owned(),
        url: "https://billing.internal/hooks".to_owned(),
        secret: Secret::new(SECRET),
        events: events.iter().copied().collect(),
    };
    let configured = vec![hook("billing", &[EventKind::AppSuspended, EventKind::AppReported])];
    save_operators(&world.app.provider, configured.clone()).await.unwrap();
    save_operators(&world.app.provider, configured).await.unwrap();
    world.connect().await;
    assert_eq!(world.send().await.len(), 0);
    let staff = world.app.add_user("robin", &[Role::Reviewer]).await;
    let browser = world.app.signed_in(&staff).await;
    let path = format!("/staff/apps/{}/suspend", world.client.app.id);
    assert_eq!(submit(&browser, &path, &[("reason", "It spams.")]).await.status, 303);
    let arrived = world.send().await;
    assert_eq!((arrived.len(), arrived[0].kind()), (1, "app.suspended".to_owned()));
    assert_eq!(arrived[0].reach, Reach::Configured);
    assert_eq!(arrived[0].json()["data"]["reason"], "It spams.");
    assert!(arrived[0].is_signed_with(SECRET));
    save_operators(&world.app.provider, Vec::new()).await.unwrap();
    let left = async |tx: &mut Tx<'_>| webhooks::list_of_operator(tx).await;
    assert_eq!(world.app.write(left).await, []);
}
