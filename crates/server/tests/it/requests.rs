//! What developers see of their apps' requests, and save.

use std::time::Duration;

use domain::app::AppKind;
use domain::authority::Authority as _;
use domain::grant::Mode;
use domain::id::UserId;
use domain::request_log::{Door, Request};
use domain::user::Role;
use http::StatusCode;

use crate::harness::{Client, TestApp};

fn note(app: &TestApp, client: &Client, id: &str, status: u16, route: &str) {
    let missing = "orders.read".to_owned();
    app.provider.store.note_request(&Request {
        app_id: client.app.id,
        user_id: Some(UserId::from_bytes([0xcd; 16])),
        mode: Some(Mode::Live),
        door: Door::Api { passed: status < 400 },
        is_proven: true,
        at: app.provider.now(),
        request_id: id,
        method: "GET",
        route,
        status,
        reason: if status == 403 { "scope" } else { "" },
        detail: &missing,
        latency: Duration::from_micros(12_340),
    });
}

async fn start() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    (app, client)
}

async fn developer(app: &TestApp) -> domain::user::User {
    let find =
        async |tx: &mut store::Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
    app.write(find).await.unwrap()
}

#[tokio::test]
async fn the_developer_reads_why_a_call_was_refused_and_nobody_else_does() {
    let (app, client) = start().await;
    note(&app, &client, "aaaa", 403, "/api/orders/{id}");
    note(&app, &client, "bbbb", 200, "/api/ticker");
    app.provider.store.flush_usage().await.unwrap();
    let path = format!("/apps/{}/requests", client.app.id);
    let browser = app.signed_in(&developer(&app).await).await;
    let page = browser.get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text().to_owned();
    assert!(text.contains("A scope is missing"), "{text}");
    assert!(text.contains("orders.read") && text.contains("12.3 ms") && text.contains("cdcdcdcd"));
    assert!(text.contains("2 requests, 2 listed."));
    let refused = browser.get(&format!("{path}?status=4xx&reason=scope")).await.text().to_owned();
    assert!(refused.contains("aaaa") && !refused.contains("bbbb"));
    let other = browser.get(&format!("{path}?route=GET+%2Fapi%2Fticker")).await.text().to_owned();
    assert!(other.contains("bbbb") && !other.contains("aaaa"));
    let one = browser.get(&format!("{path}?request_id=bbbb")).await.text().to_owned();
    assert!(one.contains("/api/ticker") && !one.contains("aaaa"));
    let stranger = app.add_user("eve", &[Role::Developer]).await;
    let hers = app.signed_in(&stranger).await;
    for path in ["requests", "requests.csv", "usage", "usage.csv"] {
        let answer = hers.get(&format!("/apps/{}/{path}", client.app.id)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn older_requests_are_a_page_away_and_the_file_holds_them_all() {
    let (app, client) = start().await;
    for number in 0..60 {
        note(&app, &client, &format!("id-{number:02}"), 403, "=cmd()");
    }
    app.provider.store.flush_usage().await.unwrap();
    let browser = app.signed_in(&developer(&app).await).await;
    let path = format!("/apps/{}/requests", client.app.id);
    let first = browser.get(&path).await.text().to_owned();
    assert!(first.contains("id-59") && !first.contains("id-09"));
    let next = first.split("id=\"next\" rel=\"next\" href=\"").nth(1).unwrap();
    let next = next.split('"').next().unwrap().replace("&amp;", "&");
    let second = browser.get(&next).await.text().to_owned();
    assert!(second.contains("id-09") && second.contains("id-00") && !second.contains("id-59"));
    let file = browser.get(&format!("{path}.csv")).await;
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(file.text().lines().count(), 61);
    assert!(file.text().contains("\"'=cmd()\""), "no spreadsheet runs it");
}

#[tokio::test]
async fn a_refused_token_request_is_listed_and_an_issued_token_counted() {
    let (app, client) = start().await;
    let stolen = Client { secret: Some("wrong".to_owned()), app: client.app.clone() };
    let refused = stolen.redeem(&app, "nonsense").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let refused = client.redeem(&app, "nonsense").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let alice = app.add_user("alice", &[]).await;
    client.tokens(&app, &alice).await;
    app.provider.store.flush_usage().await.unwrap();
    let browser = app.signed_in(&developer(&app).await).await;
    let page = browser.get(&format!("/apps/{}/requests", client.app.id)).await.text().to_owned();
    assert!(page.contains("The client id or its secret is wrong"), "{page}");
    assert!(page.contains("The code or refresh token is not good"));
    assert!(page.contains("2 requests, 2 listed."));
    let file = browser.get(&format!("/apps/{}/usage.csv", client.app.id)).await.text().to_owned();
    let total = |column: usize| -> u64 {
        let hours = file.lines().filter(|line| line.starts_with("\"hour\""));
        hours
            .map(|line| {
                line.split(',').nth(column).unwrap().trim_matches('"').parse::<u64>().unwrap()
            })
            .sum()
    };
    assert_eq!((total(5), total(6)), (1, 2), "{file}");
}

#[tokio::test]
async fn the_charts_are_drawn_without_style_and_tell_the_same_as_a_table() {
    let (app, client) = start().await;
    for number in 0..4 {
        note(&app, &client, &format!("r{number}"), if number == 0 { 403 } else { 200 }, "/api/x");
    }
    app.provider.store.flush_usage().await.unwrap();
    let browser = app.signed_in(&developer(&app).await).await;
    let page = browser.get(&format!("/apps/{}/usage", client.app.id)).await.text().to_owned();
    assert!(page.contains("<svg role=\"img\" aria-label=\"Calls: 4 "), "{page}");
    assert!(page.contains("of these errors: 1") && page.contains("The same as a table"));
    assert!(!page.contains("style=\"") && !page.contains("<style"));
    let mine = browser.get("/apps").await.text().to_owned();
    assert!(mine.contains("25 % errors in 24 h"), "{mine}");
}
