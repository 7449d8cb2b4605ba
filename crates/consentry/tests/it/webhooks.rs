//! Webhooks of a running server, to a receiver on a port of its own.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use protocol::standard_webhook::WebhookKey;
use reqwest::StatusCode;
use serde_json::Value;
use testkit::Browser;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::served::{Site, until};

#[derive(Clone, Debug)]
struct Message {
    id: String,
    timestamp: i64,
    signatures: String,
    body: Bytes,
}

impl Message {
    fn is_signed_with(&self, secret: &str) -> bool {
        let (key, at) = (WebhookKey::parse(secret).unwrap(), self.timestamp);
        key.verify((&self.id, at), &self.signatures, &self.body, at).is_ok()
    }

    fn kind(&self) -> String {
        serde_json::from_slice::<Value>(&self.body).unwrap()["type"].as_str().unwrap().to_owned()
    }
}

#[derive(Clone, Default)]
struct Inbox {
    messages: Arc<Mutex<Vec<Message>>>,
    /// So many are answered with 500 before the first 204.
    failures: Arc<Mutex<usize>>,
}

/// A server of an app's. Gone when dropped.
struct Receiver {
    url: String,
    inbox: Inbox,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let inbox = Inbox::default();
        let routes = Router::new().fallback(receive).with_state(inbox.clone());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, inbox, task }
    }

    async fn wait_for(&self, count: usize) -> Vec<Message> {
        until("a message arrives", async || {
            let messages = self.inbox.messages.lock().unwrap().clone();
            (messages.len() >= count).then_some(messages)
        })
        .await
    }
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    inbox.messages.lock().unwrap().push(Message {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().unwrap(),
        signatures: header("webhook-signature"),
        body,
    });
    let mut failures = inbox.failures.lock().unwrap();
    if *failures == 0 {
        return StatusCode::NO_CONTENT;
    }
    *failures -= 1;
    StatusCode::INTERNAL_SERVER_ERROR
}

/// Add a webhook through the pages; its secret.
async fn add(dev: &Browser, url: &str) -> String {
    let apps = dev.open("/apps").await.html;
    let id = apps.split("href=\"/apps/").map(|part| part.split('"').next().unwrap());
    let id = id.into_iter().find(|id| id.len() == 32).unwrap().to_owned();
    let page = dev.open(&format!("/apps/{id}/webhooks")).await;
    let added = dev.submit(&page.form("add-webhook").set("url", url)).await.html;
    let at = added.find("whsec_").unwrap_or_else(|| panic!("no secret: {added}"));
    added[at..].split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_revoked_grant_reaches_the_apps_server_once_though_it_fails_at_first() {
    let (site, receiver) = (Site::new("http://127.0.0.1:1"), Receiver::start().await);
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let app = site.add_app("Bot").await;
    let secret = add(&site.signed_in("dev@example.com").await, &receiver.url).await;
    let alice = site.signed_in("alice@example.com").await;
    let tokens = app.connect(&alice, "items.read").await;
    let created = receiver.wait_for(1).await.remove(0);
    assert_eq!(created.kind(), "grant.created");
    assert!(created.is_signed_with(&secret));

    *receiver.inbox.failures.lock().unwrap() = 1;
    app.revoke(tokens.refresh.as_deref().unwrap()).await;
    let messages = receiver.wait_for(3).await;
    assert_eq!(messages[1].kind(), "grant.revoked");
    assert_eq!((&messages[1].id, &messages[1].body), (&messages[2].id, &messages[2].body));
    assert!(messages[2].timestamp >= messages[1].timestamp + 5, "{messages:?}");
    assert!(messages[2].is_signed_with(&secret));
    let counted = until("both outcomes are counted", async || {
        let metrics = site.internal("/metrics").await;
        metrics.contains("consentry_webhooks_total{outcome=\"delivered\"} 2").then_some(metrics)
    })
    .await;
    assert!(counted.contains("consentry_webhooks_total{outcome=\"retried\"} 1"), "{counted}");
    assert_eq!(receiver.inbox.messages.lock().unwrap().len(), 3);
    let log = std::fs::read_to_string(site.path("stderr")).unwrap();
    assert!(!log.contains(&secret) && !log.contains("whsec_"), "{log}");
}

#[tokio::test]
async fn the_operators_server_hears_that_an_app_was_suspended() {
    let receiver = Receiver::start().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let site = Site::new("http://127.0.0.1:1");
    std::fs::write(site.path("hook.secret"), format!("{secret}\n")).unwrap();
    let hook = format!(
        "[[webhooks]]\nname = \"chat\"\nurl = \"{}\"\nsecret_file = \"hook.secret\"\n\
         events = [\"app.suspended\", \"plan.decided\"]\n",
        receiver.url
    );
    site.also_config(&hook);
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    let app = site.add_app("Bot").await;
    let words = ["app", "suspend", &app.client_id, "--reason", "It spams."];
    site.command(&words).await;
    let told = receiver.wait_for(1).await.remove(0);
    assert_eq!(told.kind(), "app.suspended");
    assert!(told.is_signed_with(secret));
}

#[cfg(feature = "full-tests")]
#[tokio::test]
async fn the_documented_python_takes_our_messages_and_nobody_elses() {
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::process::Command;

    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let script = folder.join("tests/clients/webhook_receiver.py");
    let text = std::fs::read_to_string(&script).unwrap();
    let function = text.split("\n\n\n").find(|part| part.starts_with("def verified")).unwrap();
    let docs = std::fs::read_to_string(folder.join("../../docs/developer/webhooks.md")).unwrap();
    assert!(docs.contains(function), "the page shows what is tested here");

    let mut child = Command::new(crate::clients::variable("CONSENTRY_TEST_PYTHON"))
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        let line = tokio::time::timeout(crate::served::PATIENCE, lines.next_line()).await;
        serde_json::from_str(&line.unwrap().unwrap().unwrap()).unwrap()
    };
    let url = format!("http://127.0.0.1:{}/hooks", next().await["port"]);
    let site = Site::new("http://127.0.0.1:1");
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let app = site.add_app("Bot").await;
    let secret = add(&site.signed_in("dev@example.com").await, &url).await;
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{secret}\n").as_bytes()).await.unwrap();
    app.connect(&site.signed_in("alice@example.com").await, "items.read").await;
    let told = next().await;
    assert_eq!(told["ok"]["type"], "grant.created", "{told}");
    assert_eq!(told["ok"]["data"]["client_id"], app.client_id.as_str());

    let forged = |at: u64, signature: &'static str| {
        let request = reqwest::Client::new().post(&url).header("webhook-id", "msg_1");
        let request = request.header("webhook-timestamp", at.to_string());
        request.header("webhook-signature", signature).body("{\"type\":\"test\"}")
    };
    assert_eq!(forged(1, "v1,AAAA").send().await.unwrap().status(), 400);
    assert!(next().await["error"].as_str().unwrap().starts_with("too old"));
    #[expect(clippy::disallowed_methods, reason = "the receiver looks at the same clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(forged(now.as_secs(), "v1,AAAA").send().await.unwrap().status(), 400);
    assert_eq!(next().await["error"], "not signed with this secret");
}
