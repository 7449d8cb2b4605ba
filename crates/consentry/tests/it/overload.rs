//! More than the server can do, and clients that are slow on purpose: those who are served are served
//! in time, the others are told to come back (attack G11).

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::{Browser, TestApp};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::served::{PATIENCE, Site};
use crate::upstream::Upstream;

/// Connections that are opened and never finish what they began.
const SLOW: usize = 2_000;

async fn site_with(more: &str) -> (Site, Upstream) {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    site.change_config("drain = \"10s\"", &format!("drain = \"10s\"\n{more}"));
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    (site, upstream)
}

/// This process opens one end of each.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let enough = |files: Option<u64>| files.is_none_or(|files| files >= 2 * SLOW as u64);
    assert!(enough(limit.maximum), "this test needs {} open files (ulimit -Hn)", 2 * SLOW);
    if !enough(limit.current) {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    }
}

/// What a slow client sends before it falls silent: of a head, of forms, of a call.
fn beginning(number: usize, host: &str, token: &str) -> String {
    let form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\ngra";
    match number % 4 {
        0 => "GET /sign-in HTTP/1.1\r\nhost: ".to_owned(),
        1 => format!("POST /oauth/token HTTP/1.1\r\nhost: {host}\r\n{form}"),
        2 => format!("POST /sign-in HTTP/1.1\r\nhost: {host}\r\n{form}"),
        _ => {
            format!(
                "GET /api/silent HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n"
            )
        }
    }
}

async fn assert_served(site: &Site, app: &TestApp, refresh: &str, access: &str) -> String {
    let refreshed = app.refresh(refresh).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{:?}", refreshed.body);
    assert_eq!(site.status("/api/items", access).await, StatusCode::OK);
    let page = Client::new().get(format!("{}/sign-in", site.issuer)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    refreshed.body["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn two_thousand_slow_clients_and_a_silent_upstream_hold_up_nobody_g11() {
    raise_open_files();
    let (site, _upstream) = site_with("").await;
    let _server = site.serve().await;
    let app = site.add_app("Item Bot").await;
    let alice = site.signed_in("alice@example.com").await;
    let tokens = app.connect(&alice, "items.read").await;
    let host = site.issuer.trim_start_matches("http://");
    let mut slow = Vec::with_capacity(SLOW);
    for number in 0..SLOW {
        let mut stream = TcpStream::connect(("127.0.0.1", site.port)).await.unwrap();
        let text = beginning(number, host, &tokens.access);
        stream.write_all(text.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let served = async {
        let mut refresh = tokens.refresh.clone().unwrap();
        for _ in 0..20 {
            refresh = assert_served(&site, &app, &refresh, &tokens.access).await;
        }
    };
    // Far below what any of the slow ones would be waited for.
    timeout(Duration::from_secs(15), served).await.expect("others are served in time");
    let page = site.internal("/metrics").await;
    let open = page.lines().find_map(|line| line.strip_prefix("consentry_connections_open "));
    let open: f64 = open.unwrap().parse().unwrap();
    assert!(open >= SLOW as f64, "only {open} are open");
    for class in ["tokens", "pages"] {
        let line = format!("consentry_requests_in_service{{class=\"{class}\"}} 0");
        assert!(page.contains(&line), "the slow ones hold places:\n{page}");
    }
    drop(slow);
}

#[tokio::test]
async fn a_storm_of_sign_ins_is_shed_and_leaves_apps_alone() {
    let (site, _upstream) = site_with("pages_in_service = 1").await;
    let _server = site.serve().await;
    let app = site.add_app("Item Bot").await;
    let alice = site.signed_in("alice@example.com").await;
    let tokens = app.connect(&alice, "items.read").await;
    let browsers: Vec<_> = (0..20).map(|_| Browser::new(&site.issuer)).collect();
    let mut forms = Vec::new();
    for browser in &browsers {
        forms.push(browser.open("/sign-in").await);
    }
    let storm = join_all(browsers.iter().zip(&forms).map(|(browser, page)| async {
        browser.sign_in_on(page, "nobody@example.com", "a wrong password").await.status
    }));
    let apps = async {
        let mut refresh = tokens.refresh.clone().unwrap();
        for _ in 0..20 {
            let answer = app.refresh(&refresh).await;
            assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
            refresh = answer.body["refresh_token"].as_str().unwrap().to_owned();
        }
    };
    let (statuses, ()) =
        timeout(PATIENCE, async { tokio::join!(storm, apps) }).await.expect("all are answered");
    let shed = statuses.iter().filter(|status| **status == StatusCode::SERVICE_UNAVAILABLE).count();
    assert!(shed > 0 && shed < statuses.len(), "some are served, the others told: {statuses:?}");
    assert_eq!(site.status("/api/items", &tokens.access).await, StatusCode::OK);
}

#[tokio::test]
async fn a_call_too_many_for_an_upstream_is_told_when_to_come_back() {
    let (site, upstream) = site_with("").await;
    site.change_config("answer_timeout", "in_service_max = 1\nanswer_timeout");
    let _server = site.serve().await;
    let token = site.alices_token().await;
    let held = tokio::spawn(site.get("/api/held", &token).send());
    timeout(PATIENCE, upstream.came.notified()).await.expect("the first call has come");
    let refused = site.get("/api/items", &token).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    upstream.release.notify_one();
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::OK);
}
