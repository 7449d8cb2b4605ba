//! The drive over HTTP: account, folders, files, and the envelope of each answer.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;

/// The code of a file of the user, by its name.
pub(super) async fn code_of(world: &World, user: &str, name: &str) -> String {
    let found = world.drive_data(user, &format!("/v2/search/{}", name.replace(' ', "%20"))).await;
    found["files"][0]["code"].as_str().unwrap().to_owned()
}

pub(super) fn refusal(message: &str, code: u32) -> Value {
    let errors = json!([{ "message": message, "code": code }]);
    json!({ "status": "error", "data": null, "errors": errors })
}

#[tokio::test]
async fn me_shows_the_account_and_its_space() {
    let world = World::new();
    let me = world.drive_data("alice", "/v2/me").await;
    assert_eq!(me["email"], "alice@drive.invalid");
    assert_eq!(me["plan_expired"], false);
    assert_eq!(me["plan_expiration"]["timezone_type"], 3);
    assert_eq!(me["plan_expiration"]["date"], "2036-11-21 12:00:00.000000");
    let disk = |field: &str| me["disk"][field].as_u64().unwrap();
    assert_eq!(disk("available") + disk("used"), disk("size"));
    assert!(disk("used") > 3 * 1024 * 1024);
}

#[tokio::test]
async fn the_top_shows_its_files_and_names_its_folders() {
    let world = World::new();
    let top = world.drive_data("alice", "/v2/cloud").await;
    assert_eq!(top["code"], Value::Null);
    assert_eq!(top["files_count"], 6);
    let names: Vec<&Value> =
        top["folders"].as_array().unwrap().iter().map(|each| &each["name"]).collect();
    assert_eq!(names, ["Backups", "Documents", "Music", "Pictures"]);
    let file = &top["files"][0];
    assert_eq!(file["name"], "Welcome.txt");
    assert_eq!(file["extension"], "txt");
    assert_eq!(file["type"], "document");
    assert_eq!(file["created_at"]["date"], "2026-11-24 12:00:00.000000");

    let documents = &top["folders"][1];
    let path = format!("/v2/cloud/{}", documents["code"].as_str().unwrap());
    let inside = world.drive_data("alice", &path).await;
    assert_eq!(inside["size"], documents["size"]);
    assert_eq!(inside["files"][0]["name"], "Budget.csv");
    assert_eq!(inside["files"][0]["parent_folder_code"], inside["code"]);
    assert_eq!(inside["folders"][0]["files_count"], 1);
    assert_eq!(inside["folders"][0]["parent_folder"]["name"], "Documents");
}

#[tokio::test]
async fn a_folder_is_found_by_its_path_alone_or_with_all_below_it() {
    let world = World::new();
    let path = BASE64_STANDARD.encode("/Documents/Travel").replace('=', "%3D");
    let travel = world.drive_data("alice", &format!("/v2/cloud/byPath?folderPath={path}")).await;
    assert_eq!(travel["files"][0]["name"], "Packing list.txt");
    let all = world.drive_data("alice", "/v2/cloud/byPath?scope=recursive").await;
    assert_eq!(all["folders"][1]["folders"][0]["files"][0]["name"], "Packing list.txt");
    let shallow = world.drive_data("alice", "/v2/cloud/byPath").await;
    assert_eq!(shallow["folders"][1]["files"], json!([]));
    for (query, message, code) in [
        ("scope=deep", "Parameter scope must be recursive.", 102),
        ("scope=recursive&scope=recursive", "A parameter is given more than once.", 102),
        ("folderPath=%25", "Parameter folderPath must be a path in Base64.", 102),
        ("folderPath=L05vd2hlcmU=", "Folder not found", 404),
    ] {
        let answer = world.drive("alice", Method::GET, &format!("/v2/cloud/byPath?{query}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), refusal(message, code), "{query}");
    }
}

#[tokio::test]
async fn a_search_ignores_case_and_finds_folders_and_files() {
    let world = World::new();
    let found = world.drive_data("alice", "/v2/search/TRAVEL").await;
    assert_eq!(found["folders"][0]["name"], "Travel");
    let found = world.drive_data("alice", "/v2/search/.wav").await;
    assert_eq!(found["files"][0]["type"], "audio");
    let nothing = world.drive_data("alice", "/v2/search/nothing").await;
    assert_eq!(nothing, json!({ "folders": [], "files": [] }));
}

#[tokio::test]
async fn a_deleted_file_is_gone_for_good_and_only_for_its_owner() {
    let world = World::new();
    let code = code_of(&world, "alice", "Welcome.txt").await;
    let path = format!("/v2/files/{code}");
    let stranger = world.drive("bob", Method::DELETE, &path).await;
    assert_eq!(stranger.json(), refusal("File not found", 404));
    for read in [path.clone(), format!("{path}/download"), format!("{path}/stream")] {
        let stranger = world.drive("bob", Method::GET, &read).await;
        assert_eq!(stranger.json(), refusal("File not found", 404), "{read}");
    }
    assert_eq!(world.drive_data("alice", &path).await["name"], "Welcome.txt");

    let deleted = world.drive("alice", Method::DELETE, &path).await.json();
    assert_eq!(deleted, json!({ "status": "success", "data": [], "errors": null }));
    let world = world.restarted();
    let missing = world.drive("alice", Method::GET, &path).await;
    assert_eq!((missing.status.as_u16(), missing.json()), (200, refusal("File not found", 404)));
    assert_eq!(world.drive_data("alice", "/v2/cloud").await["files_count"], 5);
    assert_eq!(world.drive_data("bob", "/v2/cloud").await["files_count"], 6);
}

#[tokio::test]
async fn an_unknown_path_or_method_is_an_error_in_the_envelope() {
    let world = World::new();
    for (method, path) in [(Method::GET, "/v2/nowhere"), (Method::PUT, "/v2/me")] {
        let answer = world.drive("alice", method, path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), refusal("Method not found", 404));
    }
    let folder = world.drive("alice", Method::GET, "/v2/cloud/%ff").await;
    assert_eq!(folder.json(), refusal("Folder not found", 404));
}
