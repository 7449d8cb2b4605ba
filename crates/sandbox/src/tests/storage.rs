//! Files of another version of the practice APIs.

use rusqlite::Connection;

use super::*;
use crate::StorageError;

fn open(folder: &Path, world: &World) -> Result<Drive, StorageError> {
    let verifier = verifier(DRIVE, &world.signer);
    Drive::open(&folder.join("drive.db"), verifier, clock(&world.now), &LINK_SECRET)
}

fn set_version(folder: &Path, version: i64) -> Connection {
    let file = Connection::open(folder.join("drive.db")).unwrap();
    file.pragma_update(None, "user_version", version).unwrap();
    file
}

#[tokio::test]
async fn a_file_of_an_older_version_starts_afresh() {
    let mut world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let old = set_version(folder.path(), 1);
    let tables = "CREATE TABLE users (id INTEGER PRIMARY KEY, sub TEXT NOT NULL);
        CREATE TABLE files (code TEXT PRIMARY KEY, owner INTEGER NOT NULL REFERENCES users(id));
        INSERT INTO users VALUES (1, 'alice');
        INSERT INTO files VALUES ('old', 1);";
    old.execute_batch(tables).unwrap();
    drop(old);
    world.drive = drive::router(open(folder.path(), &world).unwrap());
    assert_eq!(world.drive_data("alice", "/v2/cloud").await["files_count"], 6);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), &world).unwrap());
    let newer = set_version(folder.path(), 3);
    let refused = open(folder.path(), &world).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StorageError::Newer { found: 3, known: 2 }), "{refused}");
    let files: i64 =
        newer.query_row("SELECT COUNT(*) FROM contents", [], |row| row.get(0)).unwrap();
    assert_eq!(files, 12);
}
