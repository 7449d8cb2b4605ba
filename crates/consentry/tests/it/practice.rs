//! The practice APIs through the gateway: what only the way through it can show.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::Demo;
use testkit::app::answer;

use crate::BINARY;

const FILM: &str = "magnet:?xt=urn:btih:1111111111111111111111111111111111111111";

#[tokio::test]
async fn a_folder_as_a_zip_needs_no_token_behind_its_signed_link() {
    let demo = Demo::start(BINARY).await;
    let bob = demo.drive.signed_in("bob").await;
    let web = demo.drive.app("web");
    let token = web.connect(&bob, "files.read").await.access;
    let found = web.call(Method::GET, "/v2/search/Documents", &token, Value::Null).await;
    let code = found.body["data"][0]["folders"][0]["code"].as_str().expect("code").to_owned();
    let path = format!("/v2/cloud/{code}/download-as-zip");
    let link = web.call(Method::GET, &path, &token, Value::Null).await;
    assert_eq!(link.status, StatusCode::FOUND, "{}", link.body);
    let location = web.issuer.clone() + link.header("location");
    let zip = web.client.get(&location).send().await.unwrap();
    assert_eq!(zip.status(), StatusCode::OK);
    let zip = zip.bytes().await.unwrap();
    assert!(zip.starts_with(b"PK\x03\x04"));
    let end = web.client.get(&location).header("range", "bytes=-22").send().await.unwrap();
    assert_eq!(end.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(end.bytes().await.unwrap(), zip[zip.len() - 22..]);
    let forged = location.replace("as=zip", "as=inline");
    let forged = web.client.get(&forged).send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_transfer_is_a_change_and_needs_the_scope_for_it() {
    let demo = Demo::start(BINARY).await;
    let bob = demo.drive.signed_in("bob").await;
    let web = demo.drive.app("web");
    let start = async |token: &str| {
        let url = format!("{}/v2/transfers", web.issuer);
        answer(web.client.post(url).bearer_auth(token).form(&[("torrent", FILM)])).await
    };
    let reader = web.connect(&bob, "files.read").await.access;
    let refused = start(&reader).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains(r#"scope="files.write""#), "not the widest one: {challenge}");

    let writer = web.connect(&bob, "files.read files.write").await.access;
    let started = start(&writer).await;
    assert_eq!(started.body["data"][0]["status"], "queued", "{}", started.body);
    let listed = web.call(Method::GET, "/v2/transfers", &reader, Value::Null).await;
    assert_eq!(listed.body["data"][0]["token"], started.body["data"][0]["token"]);
}

#[tokio::test]
async fn an_app_that_may_only_read_cannot_convert_or_move_money() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let tracker = demo.exchange.app("portfolio-tracker");
    let token = tracker.connect(&alice, "balances.read deals.read").await.access;
    let history = tracker.call(Method::POST, "/api/v4/convert/history", &token, json!({})).await;
    assert_eq!(history.body["total"], 0, "{}", history.body);
    for path in ["convert/estimate", "convert/confirm", "main-account/transfer", "order/market"] {
        let path = format!("/api/v4/{path}");
        let refused = tracker.call(Method::POST, &path, &token, json!({})).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        assert!(refused.header("www-authenticate").contains("orders.create"), "{path}");
    }
}
