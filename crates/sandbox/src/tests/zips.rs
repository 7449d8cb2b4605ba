//! Folders as a zip, read back by a reader that knows nothing of the writer; and folders deleted.

use super::download::fetch;
use super::drive_api::refusal;
use super::*;
use crate::drive::content::crc32;
use crate::drive::zip::layout;

async fn folder_code(world: &World, name: &str) -> String {
    let found = world.drive_data("alice", &format!("/v2/search/{name}")).await;
    found["folders"][0]["code"].as_str().unwrap().to_owned()
}

async fn zip_link(world: &World, name: &str) -> String {
    let path = format!("/v2/cloud/{}/download-as-zip", folder_code(world, name).await);
    let answer = world.drive("alice", Method::GET, &path).await;
    assert_eq!(answer.status, 302);
    answer.header("location").to_owned()
}

fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number * 256 + usize::from(*byte))
}

/// Names and bytes of the entries, by way of the directory at the end (APPNOTE §4.3).
fn unzip(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let end = zip.len() - 22;
    assert_eq!(&zip[end..end + 4], b"PK\x05\x06");
    let mut at = number(zip, end + 16, 4);
    let mut entries = Vec::new();
    for _ in 0..number(zip, end + 10, 2) {
        assert_eq!(&zip[at..at + 4], b"PK\x01\x02");
        let (crc, size) = (number(zip, at + 16, 4), number(zip, at + 24, 4));
        let name_length = number(zip, at + 28, 2);
        let name = String::from_utf8(zip[at + 46..at + 46 + name_length].to_vec()).unwrap();
        let local = number(zip, at + 42, 4);
        assert_eq!(&zip[local..local + 4], b"PK\x03\x04");
        // Version and flags to the length of the name are the same in both headers.
        assert_eq!(zip[local + 4..local + 28], zip[at + 6..at + 30]);
        let start = local + 30 + name_length;
        let bytes = zip[start..start + size].to_vec();
        assert_eq!(crc32(&bytes) as usize, crc, "{name}");
        entries.push((name, bytes));
        at += 46 + name_length;
    }
    assert_eq!(at, end);
    entries
}

#[tokio::test]
async fn a_folder_is_a_zip_of_all_below_it() {
    let world = World::new();
    let link = zip_link(&world, "Documents").await;
    let answer = fetch(&world, Method::GET, &link, None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/zip");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"Documents.zip\"");
    let entries = unzip(&answer.body);
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Budget.csv", "Travel/", "Travel/Packing list.txt"]);
    assert!(entries[2].1.starts_with(b"- passport\n"));
    // Noon of the 24th of November 2026, as MS-DOS writes it.
    assert_eq!(answer.body[10..14], [0x00, 0x60, 0x78, 0x5d]);
    assert_eq!(fetch(&world, Method::GET, &link, None).await.body, answer.body);
}

#[tokio::test]
async fn any_range_of_a_zip_is_a_piece_of_the_whole() {
    let world = World::new();
    let link = zip_link(&world, "Backups").await;
    let whole = fetch(&world, Method::GET, &link, None).await.body;
    assert_eq!(unzip(&whole)[0].1.len(), 3 * 1024 * 1024);
    let size = whole.len();
    for (first, last) in
        [(0, 0), (20, 60), (41, 262_200), (3_000_000, size - 5), (size - 30, size - 1)]
    {
        let range = format!("bytes={first}-{last}");
        let part = fetch(&world, Method::GET, &link, Some(&range)).await;
        assert_eq!(part.status, 206);
        assert_eq!(part.header("content-length"), (last - first + 1).to_string());
        assert!(part.body == whole[first..=last], "{range}");
    }
}

#[tokio::test]
async fn a_range_on_condition_of_another_state_is_the_whole() {
    let world = World::new();
    let link = zip_link(&world, "Documents").await;
    let whole = fetch(&world, Method::GET, &link, None).await;
    let tag = whole.header("etag").to_owned();
    let part = async |condition: &str| {
        let request =
            Request::get(&link).header("range", "bytes=0-3").header("if-range", condition);
        send(&world.drive, request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(part(&tag).await.status, 206);
    for condition in ["\"other\"", "Tue, 24 Nov 2026 12:00:00 GMT"] {
        assert_eq!(part(condition).await.body, whole.body, "{condition}");
    }
    // Another state of the folder is another tag.
    let file = world.drive_data("alice", "/v2/search/Budget").await["files"][0]["code"].clone();
    world.drive("alice", Method::DELETE, &format!("/v2/files/{}", file.as_str().unwrap())).await;
    let changed = part(&tag).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), tag);
}

#[test]
fn a_zip_has_room_for_65535_entries() {
    let entries = |count: usize| vec![("a/".to_owned(), None, 0); count];
    assert!(layout(&entries(65_535)).is_some());
    assert!(layout(&entries(65_536)).is_none());
}

#[tokio::test]
async fn a_link_to_a_zip_opens_nothing_else_and_ends_with_its_folder() {
    let world = World::new();
    let link = zip_link(&world, "Documents").await;
    let (code, travel) =
        (folder_code(&world, "Documents").await, folder_code(&world, "Travel").await);
    for forged in [link.replace("as=zip", "as=inline"), link.replace(&code, &travel)] {
        assert_eq!(fetch(&world, Method::GET, &forged, None).await.status, 403);
    }
    let path = format!("/v2/cloud/{code}");
    assert_eq!(
        world.drive("bob", Method::DELETE, &path).await.json(),
        refusal("Folder not found", 404)
    );
    assert_eq!(world.drive("alice", Method::DELETE, &path).await.json()["status"], "success");
    assert_eq!(fetch(&world, Method::GET, &link, None).await.status, 404);
    // Everything below it is gone, and nothing else.
    assert_eq!(world.drive_data("alice", "/v2/search/Travel").await["folders"], json!([]));
    assert_eq!(world.drive_data("alice", "/v2/cloud").await["files_count"], 4);
    assert_eq!(world.drive_data("bob", "/v2/cloud").await["files_count"], 6);
}
