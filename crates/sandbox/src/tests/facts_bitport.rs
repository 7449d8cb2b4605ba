//! The facts about Bitport's API, one test each, byte for byte.

use super::*;

/// The API's answer to a call, as its bytes.
async fn text(world: &World, method: Method, path: &str) -> String {
    let answer = world.drive("alice", method, path).await;
    assert_eq!(answer.status, 200, "API errors come as HTTP 200 too");
    assert_eq!(answer.header("content-type"), "application/json");
    answer.text()
}

#[tokio::test]
async fn bitport_fact_success_has_a_list_as_data_and_null_as_errors() {
    let found = text(&World::new(), Method::GET, "/v2/search/nothing").await;
    let expected = r#"{"status":"success","data":[{"files":[],"folders":[]}],"errors":null}"#;
    assert_eq!(found, expected);
}

#[tokio::test]
async fn bitport_fact_an_error_has_null_as_data_and_a_list_with_message_and_code() {
    let world = World::new();
    let missing = text(&world, Method::GET, "/v2/files/none").await;
    let expected =
        r#"{"status":"error","data":null,"errors":[{"message":"File not found","code":404}]}"#;
    assert_eq!(missing, expected);
}

#[tokio::test]
async fn bitport_fact_codes_101_102_and_404() {
    let world = World::new();
    let error = |code: u32, message: &str| {
        format!(
            r#"{{"status":"error","data":null,"errors":[{{"message":"{message}","code":{code}}}]}}"#
        )
    };
    let start = async |link: &str| world.start_transfer("alice", link).await.text();
    assert_eq!(start("").await, error(101, "Parameter torrent is mandatory."));
    assert_eq!(start("x").await, error(102, "Parameter torrent must be url or magnet."));
    let unknown = text(&world, Method::GET, "/v2/nowhere").await;
    assert_eq!(unknown, error(404, "Method not found"));
}

#[tokio::test]
async fn bitport_fact_only_a_bad_token_is_http_401() {
    let world = World::new();
    let nobody = Request::get("/v2/me").body(Body::empty()).unwrap();
    let refused = send(&world.drive, nobody).await;
    assert_eq!(refused.status, 401);
    let expected =
        r#"{"status":"error","data":null,"errors":[{"message":"Unauthorized access","code":401}]}"#;
    assert_eq!(refused.text(), expected);
}

const ME: &str = concat!(
    r#"{"disk":{"available":10734165506,"size":10737418240,"used":3252734},"#,
    r#""email":"alice@drive.invalid","plan_expiration":{"date":"2036-11-21 12:00:00.000000","#,
    r#""timezone":"UTC","timezone_type":3},"plan_expired":false,"plan_name":"Practice"}"#,
);

#[tokio::test]
async fn bitport_fact_the_data_of_me_is_a_list_of_one_for_older_clients() {
    let me = text(&World::new(), Method::GET, "/v2/me").await;
    assert_eq!(me, format!(r#"{{"status":"success","data":[{ME}],"errors":null}}"#));
}

#[tokio::test]
async fn bitport_fact_the_data_of_me_is_an_object_for_a_client_of_2026() {
    let mut world = World::new();
    let path = world.folder.path().join("drive.db");
    let verifier = verifier(DRIVE, &world.signer);
    let drive = Drive::open(&path, verifier, clock(&world.now), &LINK_SECRET).unwrap();
    world.drive = drive::router(drive.with_me_as_object());
    let me = text(&world, Method::GET, "/v2/me").await;
    assert_eq!(me, format!(r#"{{"status":"success","data":{ME},"errors":null}}"#));
    let top = text(&world, Method::GET, "/v2/cloud").await;
    assert!(
        top.starts_with(r#"{"status":"success","data":[{"#),
        "everything else stays a list: {top}"
    );
}

const PACKING_LIST: &str = concat!(
    r#"{"code":"s6u2x25wbnjk","conversion_status":"unconverted","crc32":"77291fb0","#,
    r#""created_at":{"date":"2026-11-24 12:00:00.000000","timezone":"UTC","timezone_type":3},"#,
    r#""download_url":"/v2/files/s6u2x25wbnjk/download","extension":"txt","#,
    r#""name":"Packing list.txt","parent_folder_code":"tfmcemkwxi74","#,
    r#""screenshots":{"big":null,"medium":null,"small":null},"size":47,"type":"document","#,
    r#""video":false,"virus":false}"#,
);

#[tokio::test]
async fn bitport_fact_a_folder_is_a_list_of_one_with_its_folders_files_and_parent() {
    let world = World::new();
    let expected = [
        r#"{"status":"success","data":[{"code":"tfmcemkwxi74","#,
        r#""created_at":{"date":"2026-11-24 12:00:00.000000","timezone":"UTC","timezone_type":3},"#,
        r#""files":["#,
        PACKING_LIST,
        r#"],"files_count":1,"folders":[],"name":"Travel","#,
        r#""parent_folder":{"code":"gema39pv2z79","name":"Documents"},"size":47}],"#,
        r#""errors":null}"#,
    ]
    .concat();
    for path in [
        "/v2/cloud/tfmcemkwxi74",
        // /Documents/Travel
        "/v2/cloud/byPath?folderPath=L0RvY3VtZW50cy9UcmF2ZWw=",
        "/v2/cloud/byPath?scope=recursive&folderPath=L0RvY3VtZW50cy9UcmF2ZWw=",
    ] {
        assert_eq!(text(&world, Method::GET, path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn bitport_fact_the_top_has_null_as_its_code_and_its_parent() {
    let world = World::new();
    let top = text(&world, Method::GET, "/v2/cloud").await;
    assert!(top.starts_with(r#"{"status":"success","data":[{"code":null,"created_at":{"#), "{top}");
    let end = r#""name":"My files","parent_folder":null,"size":3252734}],"errors":null}"#;
    assert!(top.contains(end), "{top}");
}

#[tokio::test]
async fn bitport_fact_a_file_has_all_fifteen_fields() {
    let world = World::new();
    let file = text(&world, Method::GET, "/v2/files/s6u2x25wbnjk").await;
    let expected = format!(r#"{{"status":"success","data":[{PACKING_LIST}],"errors":null}}"#);
    assert_eq!(file, expected);
}

#[tokio::test]
async fn bitport_fact_downloads_are_302_to_a_signed_link_that_needs_no_token_and_takes_ranges() {
    let world = World::new();
    for (path, delivery, code) in [
        ("/v2/files/s6u2x25wbnjk/download", "attachment", "s6u2x25wbnjk"),
        ("/v2/files/s6u2x25wbnjk/stream", "inline", "s6u2x25wbnjk"),
        ("/v2/cloud/tfmcemkwxi74/download-as-zip", "zip", "tfmcemkwxi74"),
    ] {
        let answer = world.drive("alice", Method::GET, path).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (302, ""), "{path}");
        let link = answer.header("location");
        let start = format!("/v2/dl/{code}?as={delivery}&expires=1795521900&signature=");
        assert!(link.starts_with(&start), "{link}");
        let request = Request::get(link).header("range", "bytes=-4").body(Body::empty()).unwrap();
        let part = send(&world.drive, request).await;
        assert_eq!((part.status.as_u16(), part.body.len()), (206, 4), "{path}");
    }
}

#[tokio::test]
async fn bitport_fact_a_transfer_has_ten_fields_and_progress_as_text() {
    let world = World::new();
    let link = "magnet:?xt=urn:btih:2222222222222222222222222222222222222222";
    let shown = |status: &str, progress: &str, folder: &str| {
        [
            r#"{"status":"success","data":[{"file_id":null,"folder_id":"#,
            folder,
            r#","message":"","name":"Evening sounds","progress":""#,
            progress,
            r#"","size":176488,"#,
            r#""src":"magnet:?xt=urn:btih:2222222222222222222222222222222222222222","status":""#,
            status,
            r#"","substatus":"","token":"vhz7hj7nfyxz"}],"errors":null}"#,
        ]
        .concat()
    };
    let started = world.start_transfer("alice", link).await;
    assert_eq!(started.text(), shown("queued", "0.0", "null"));
    for (milliseconds, status, progress, folder) in [
        (19_000, "downloading", "42.5", "null"),
        (23_000, "seeding", "100.0", r#""su2wdesuch5b""#),
        (30_000, "finished", "", r#""su2wdesuch5b""#),
    ] {
        world.advance(milliseconds);
        for path in ["/v2/transfers", "/v2/transfers/vhz7hj7nfyxz"] {
            let transfer = text(&world, Method::GET, path).await;
            assert_eq!(transfer, shown(status, progress, folder), "{path}");
        }
    }
    let deleted = text(&world, Method::DELETE, "/v2/transfers/vhz7hj7nfyxz").await;
    assert_eq!(deleted, r#"{"status":"success","data":[],"errors":null}"#);
}
