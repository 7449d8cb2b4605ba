//! Transfers to the drive, from the link to the files.

use super::drive_api::{code_of, refusal};
use super::*;
use crate::drive::content::crc32;

const FILM: &str = "magnet:?dn=x&xt=urn:BTIH:1111111111111111111111111111111111111111";
const TEXTS: &str = "magnet:?xt=urn:btih:3333333333333333333333333333333333333333";

#[tokio::test]
async fn a_transfer_progresses_with_time_and_then_its_file_is_there() {
    let world = World::new();
    let started = world.start_transfer("alice", FILM).await.json()["data"][0].clone();
    let path = format!("/v2/transfers/{}", started["token"].as_str().unwrap());
    assert_eq!(started["name"], "Bouncing ball");
    let mut seen = Vec::new();
    for milliseconds in [0, 2_000, 8_500, 11_499, 1, 29_999, 1] {
        world.advance(milliseconds);
        let now = world.drive_data("alice", &path).await;
        seen.push((now["status"].clone(), now["progress"].clone(), now["file_id"].is_string()));
    }
    let expected = [
        ("queued", "0.0", false),
        ("downloading", "0.0", false),
        ("downloading", "42.5", false),
        ("downloading", "99.9", false),
        ("seeding", "100.0", true),
        ("seeding", "100.0", true),
        ("finished", "", true),
    ];
    assert_eq!(seen, expected.map(|(status, progress, is)| (status.into(), progress.into(), is)));

    let transfer = world.drive_data("alice", &path).await;
    let file = format!("/v2/files/{}", transfer["file_id"].as_str().unwrap());
    let file = world.drive_data("alice", &file).await;
    assert_eq!((&file["name"], &file["video"]), (&json!("Bouncing ball.y4m"), &json!(true)));
    assert_eq!(file["size"], transfer["size"]);
    assert_eq!(file["parent_folder_code"], transfer["folder_id"]);
    // It was there when the download ended, not when somebody looked.
    assert_eq!(file["created_at"]["date"], "2026-11-24 12:00:22.000000");
    let answer = world.drive("alice", Method::GET, file["download_url"].as_str().unwrap()).await;
    let bytes = Request::get(answer.header("location")).body(Body::empty()).unwrap();
    let bytes = send(&world.drive, bytes).await;
    assert_eq!(file["crc32"], format!("{:08x}", crc32(&bytes.body)));
    assert!(bytes.text().starts_with("YUV4MPEG2 "));
}

#[tokio::test]
async fn the_same_torrent_twice_is_two_folders_and_a_restart_loses_nothing() {
    let world = World::new();
    world.start_transfer("alice", TEXTS).await;
    world.start_transfer("alice", TEXTS).await;
    world.advance(60_000);
    let world = world.restarted();
    let found = world.drive_data("alice", "/v2/search/field").await;
    let names: Vec<&Value> =
        found["folders"].as_array().unwrap().iter().map(|each| &each["name"]).collect();
    assert_eq!(names, ["Field guide", "Field guide (2)"]);
    assert_eq!(found["folders"][0]["files_count"], 3);
    assert_eq!(world.drive_data("bob", "/v2/search/field").await["folders"], json!([]));
    let history = world.drive("alice", Method::GET, "/v2/transfers").await.json();
    assert_eq!(history["data"][0]["folder_id"], found["folders"][1]["code"], "newest first");
    assert_eq!(history["data"][0]["file_id"], Value::Null, "it has several");
    // A name that is free again is taken again.
    let first = format!("/v2/cloud/{}", found["folders"][0]["code"].as_str().unwrap());
    world.drive("alice", Method::DELETE, &first).await;
    world.start_transfer("alice", TEXTS).await;
    world.advance(60_000);
    let found = world.drive_data("alice", "/v2/search/field").await;
    let names: Vec<&Value> =
        found["folders"].as_array().unwrap().iter().map(|each| &each["name"]).collect();
    assert_eq!(names, ["Field guide", "Field guide (2)"]);
    let history = world.drive("alice", Method::GET, "/v2/transfers").await.json();
    assert_eq!(history["data"][2]["folder_id"], Value::Null, "its folder is gone");
}

#[tokio::test]
async fn a_link_that_is_not_of_the_catalogue_ends_with_an_error_that_says_why() {
    let world = World::new();
    for link in ["http://files.example/film.torrent", "magnet:?xt=urn:btih:4444&dn=My+film"] {
        let started = world.start_transfer("alice", link).await.json()["data"][0].clone();
        assert_eq!(started["status"], "queued");
        world.advance(2_000);
        let path = format!("/v2/transfers/{}", started["token"].as_str().unwrap());
        let failed = world.drive_data("alice", &path).await;
        assert_eq!((&failed["status"], &failed["src"]), (&json!("error"), &json!(link)));
        assert!(failed["message"].as_str().unwrap().contains("no network"));
    }
    let history = world.drive("alice", Method::GET, "/v2/transfers").await.json();
    assert_eq!(history["data"][0]["name"], "My film");
}

#[tokio::test]
async fn an_ended_transfer_leaves_the_list_and_its_files_stay() {
    let world = World::new();
    let delete = async |user: &str, token: &Value| {
        let path = format!("/v2/transfers/{}", token.as_str().unwrap());
        world.drive(user, Method::DELETE, &path).await.json()
    };
    let started = world.start_transfer("alice", TEXTS).await.json()["data"][0].clone();
    world.advance(12_000);
    assert_eq!(delete("bob", &started["token"]).await, refusal("Transfer not found", 404));
    assert_eq!(delete("alice", &started["token"]).await["status"], "success");
    assert_eq!(delete("alice", &started["token"]).await, refusal("Transfer not found", 404));
    assert_eq!(code_of(&world, "alice", "Birds.txt").await.len(), 12);
    // One that is deleted under way brings nothing.
    let early = world.start_transfer("alice", FILM).await.json()["data"][0].clone();
    assert_ne!(early["token"], started["token"]);
    delete("alice", &early["token"]).await;
    world.advance(60_000);
    let film = world.drive_data("alice", "/v2/search/ball").await;
    assert_eq!(film, json!({ "files": [], "folders": [] }));
}

#[tokio::test]
async fn a_form_without_one_good_link_is_refused() {
    let world = World::new();
    let start = async |content_type: &str, body: String| {
        let request = Request::post("/v2/transfers")
            .header(ASSERTION_HEADER, world.assertion(DRIVE, "alice"))
            .header("content-type", content_type)
            .body(Body::from(body));
        let answer = send(&world.drive, request.unwrap()).await;
        assert_eq!(answer.status, 200);
        answer.json()
    };
    let form = "application/x-www-form-urlencoded";
    let mandatory = refusal("Parameter torrent is mandatory.", 101);
    let wrong = refusal("Parameter torrent must be url or magnet.", 102);
    for body in ["", "torrent=", "torrent=%20", "link=http%3A%2F%2Fa.example"] {
        assert_eq!(start(form, body.into()).await, mandatory, "{body}");
    }
    assert_eq!(start("application/json", format!("torrent={TEXTS}")).await, mandatory);
    let long = format!("torrent=http://{}.example", "x".repeat(3_000));
    for body in ["torrent=abc", "torrent=ftp://a.example", "torrent=http://a%0Ab", &long] {
        assert_eq!(start(form, body.into()).await, wrong, "{body}");
    }
    let twice = refusal("A parameter is given more than once.", 102);
    assert_eq!(start(form, "torrent=http://a&torrent=http://b".into()).await, twice);
    for _ in 0..100 {
        assert_eq!(start(form, "torrent=http://a".into()).await["status"], "success");
    }
    assert_eq!(start(form, "torrent=http://a".into()).await["errors"][0]["code"], 103);
}
