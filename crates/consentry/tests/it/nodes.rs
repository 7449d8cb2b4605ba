//! Two servers on one PostgreSQL: what is taken back on one is refused by the other at once, and a
//! node that cannot know refuses (attack K1).

use reqwest::StatusCode;
use store::testing::TestDb;
use store::{Db, DbError, Tx};
use testkit::{Browser, TestApp, Tokens};
use url::Url;

use crate::served::{Server, Site, free_port, until};
use crate::upstream::Upstream;

/// The second node signs in to the database as its own user, so that it can be cut off alone.
const ROLE_B: &str = "consentry_test_node_b";

struct Cluster {
    a: Site,
    b: Site,
    _server_a: Server,
    server_b: Server,
    admin: Db,
    alice: Browser,
    app: TestApp,
    tokens: Tokens,
    _upstream: Upstream,
}

/// Run one statement that takes no parameters.
async fn run(db: &Db, sql: String) -> u64 {
    let sql: &'static str = sql.leak();
    let done: Result<u64, DbError> =
        db.write_one(async move |tx: &mut Tx<'_>| tx.execute(sql, &[]).await).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Alice let an app in; both nodes accept its token. `role_b` is the second node's database user.
async fn cluster(role_b: &str) -> Cluster {
    let database = TestDb::postgres().await;
    let admin = database.open().await;
    run(&admin, format!("DROP ROLE IF EXISTS {role_b}")).await;
    run(&admin, format!("CREATE ROLE {role_b} SUPERUSER LOGIN PASSWORD 'b'")).await;
    let mut url_b = Url::parse(&database.url).unwrap();
    url_b.set_username(role_b).unwrap();
    url_b.set_password(Some("b")).unwrap();

    let upstream = Upstream::start().await;
    let (port, key) = (free_port(), "7e".repeat(32));
    let issuer = format!("http://localhost:{port}");
    let line = |url: &str| format!("database_url = \"{url}\"");
    let a = Site::on(port, &issuer, &upstream.url, &line(&database.url), &key);
    let b = Site::on(free_port(), &issuer, &upstream.url, &line(url_b.as_str()), &key);
    a.add_user("dev@example.com", Some("developer")).await;
    a.add_user("alice@example.com", None).await;
    let (server_a, server_b) = (a.serve().await, b.serve().await);
    let app = a.add_app("Item Bot").await;
    let alice = a.signed_in("alice@example.com").await;
    let tokens = app.connect(&alice, "items.read").await;
    for node in [&a, &b] {
        assert_eq!(node.status("/api/items", &tokens.access).await, StatusCode::OK);
    }
    let (_server_a, _upstream) = (server_a, upstream);
    Cluster { a, b, _server_a, server_b, admin, alice, app, tokens, _upstream }
}

impl Cluster {
    /// Alice takes everything back, on node A.
    async fn revoke(&self) {
        let page = self.alice.open("/connected").await;
        let link = testkit::html::tags(&page.html)
            .into_iter()
            .filter_map(|tag| tag.attribute("href").map(str::to_owned))
            .find(|href| href.starts_with("/connected/") && href.len() > "/connected/".len())
            .expect("a connected app");
        let page = self.alice.open(&link).await;
        let done = self.alice.submit(&page.form("revoke")).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.html);
    }
}

#[tokio::test]
async fn a_revocation_on_one_node_is_felt_on_the_other_at_once_k1() {
    let cluster = cluster("consentry_test_node_b1").await;
    for _ in 0..5 {
        let tokens = cluster.app.connect(&cluster.alice, "items.read").await;
        assert_eq!(cluster.b.status("/api/items", &tokens.access).await, StatusCode::OK);
        cluster.revoke().await;
        let felt = cluster.b.status("/api/items", &tokens.access).await;
        assert_eq!(felt, StatusCode::UNAUTHORIZED, "the very next call");
    }
    let first = cluster.a.status("/api/items", &cluster.tokens.access).await;
    assert_eq!(first, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_node_that_was_stopped_never_accepts_what_was_revoked_meanwhile_k1() {
    let cluster = cluster("consentry_test_node_b2").await;
    cluster.server_b.signal("STOP").await;
    // Waits out the lease of the node that does not answer.
    cluster.revoke().await;
    // Sent while it sleeps: it is the first thing that the node does.
    let calls: Vec<_> = (0..8)
        .map(|_| tokio::spawn(cluster.b.get("/api/items", &cluster.tokens.access).send()))
        .collect();
    cluster.server_b.signal("CONT").await;
    for call in calls {
        let status = call.await.unwrap().unwrap().status();
        let is_closed = [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE];
        assert!(is_closed.contains(&status), "{status}");
    }
    until("the node has caught up", async || {
        let status = cluster.b.status("/api/items", &cluster.tokens.access).await;
        assert_ne!(status, StatusCode::OK);
        (status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_cut_from_the_feed_refuses_until_it_has_caught_up_k1() {
    let cluster = cluster(ROLE_B).await;
    run(&cluster.admin, format!("ALTER ROLE {ROLE_B} NOLOGIN")).await;
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE_B}'"
    );
    run(&cluster.admin, cut).await;
    until("the node says that it cannot know", async || {
        let status = cluster.b.status("/api/items", &cluster.tokens.access).await;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    assert!(!cluster.b.is_ready().await, "a balancer must send no one here");
    let said: serde_json::Value =
        serde_json::from_str(&cluster.b.internal("/readyz").await).unwrap();
    let parts: Vec<_> =
        said["not_ready"].as_array().unwrap().iter().map(|it| &it["part"]).collect();
    assert_eq!(parts, ["lease", "database"], "{said}");
    let metrics = cluster.b.internal("/metrics").await;
    assert!(metrics.contains("consentry_lease_valid 0.0"), "{metrics}");
    let status = cluster.a.status("/api/items", &cluster.tokens.access).await;
    assert_eq!(status, StatusCode::OK, "the other node is unhurt");

    cluster.revoke().await;
    let status = cluster.b.status("/api/items", &cluster.tokens.access).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    run(&cluster.admin, format!("ALTER ROLE {ROLE_B} LOGIN")).await;
    until("the node is ready again", async || cluster.b.is_ready().await.then_some(())).await;
    let status = cluster.b.status("/api/items", &cluster.tokens.access).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "it has heard of the revocation");
}
