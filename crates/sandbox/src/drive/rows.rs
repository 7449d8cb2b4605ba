//! Every SQL statement of the drive, and what a user finds on the first day.

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use rusqlite::{OptionalExtension as _, Row, Transaction};

use super::catalogue::TORRENTS;
use super::content::{self, SAMPLES};
use crate::storage::StorageError;

type Result<T> = std::result::Result<T, StorageError>;

const CODE_CHARS: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) created_at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) code: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    pub(crate) created_at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) code: String,
    pub(crate) folder: Option<String>,
    pub(crate) name: String,
    /// The name of its bytes among all contents.
    pub(crate) content: String,
    pub(crate) size: u64,
    pub(crate) crc32: u32,
    pub(crate) created_at: i64,
}

/// Writes the bytes that all users start with or can get, once per database.
pub(crate) fn create_contents(tx: &Transaction<'_>) -> Result<()> {
    let sql = "INSERT INTO contents (name, bytes, size, crc32) VALUES (?1, ?2, length(?2), ?3)";
    let samples = SAMPLES.iter().map(|sample| (sample.name, sample.bytes));
    let files = TORRENTS.iter().flat_map(|torrent| torrent.files);
    for (name, make) in samples.chain(files.map(|file| (file.name, file.bytes))) {
        let bytes = make();
        tx.execute(sql, (name, &bytes, content::crc32(&bytes)))?;
    }
    Ok(())
}

/// The user behind `sub`; at first sight, with a drive of his own that holds the samples.
pub(crate) fn find_or_welcome(tx: &Transaction<'_>, sub: &str, now: i64) -> Result<User> {
    let sql = "SELECT id, created_at FROM users WHERE sub = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let read = |row: &Row<'_>| Ok(User { id: row.get(0)?, created_at: row.get(1)? });
    if let Some(user) = statement.query_row([sub], read).optional()? {
        return Ok(user);
    }
    tx.execute("INSERT INTO users (sub, created_at) VALUES (?1, ?2)", (sub, now))?;
    let user = User { id: tx.last_insert_rowid(), created_at: now };
    for sample in &SAMPLES {
        let mut path = String::new();
        let mut parent: Option<String> = None;
        for name in sample.folder {
            path = format!("{path}/{name}");
            let code = code_of(sub, &path);
            let folder = (&code, user.id, &parent, name, now);
            tx.execute(
                "INSERT INTO folders (code, owner, parent, name, created_at)
                VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (code) DO NOTHING",
                folder,
            )?;
            parent = Some(code);
        }
        let code = code_of(sub, &format!("{path}/{}", sample.name));
        create_file(tx, user, &code, parent.as_deref(), sample.name, now)?;
    }
    Ok(user)
}

/// A file with the content of its name.
pub(crate) fn create_file(
    tx: &Transaction<'_>,
    user: User,
    code: &str,
    folder: Option<&str>,
    name: &str,
    now: i64,
) -> Result<()> {
    let sql = "INSERT INTO files (code, owner, folder, name, content, created_at)
        VALUES (?1, ?2, ?3, ?4, ?4, ?5)";
    tx.prepare_cached(sql)?.execute((code, user.id, folder, name, now))?;
    Ok(())
}

/// A folder at the top. Where the name is taken, a number is added to it.
pub(crate) fn create_top_folder(
    tx: &Transaction<'_>,
    user: User,
    code: &str,
    name: &str,
    now: i64,
) -> Result<()> {
    let taken = "SELECT 1 FROM folders WHERE owner = ?1 AND parent IS NULL AND name = ?2";
    let mut taken = tx.prepare_cached(taken)?;
    let (mut free, mut number) = (name.to_owned(), 1_u32);
    while taken.exists((user.id, &free))? {
        number = number.saturating_add(1);
        free = format!("{name} ({number})");
    }
    let sql = "INSERT INTO folders (code, owner, name, created_at) VALUES (?1, ?2, ?3, ?4)";
    tx.prepare_cached(sql)?.execute((code, user.id, free, now))?;
    Ok(())
}

/// The same user and path always have the same code. It names a file and opens nothing: whose
/// file it is is checked at every call, or a link is signed.
fn code_of(sub: &str, path: &str) -> String {
    // The length keeps two pairs with the same joined text apart.
    code_from(&format!("{}:{sub}{path}", sub.len()))
}

pub(crate) fn code_from(seed: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let hash = digest(&SHA256, seed.as_bytes());
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).map(|letter| char::from(*letter));
    hash.as_ref().iter().filter_map(letter).take(CODE_CHARS).collect()
}

pub(crate) fn list_folders(tx: &Transaction<'_>, user: User) -> Result<Vec<Folder>> {
    let sql = "SELECT code, parent, name, created_at FROM folders WHERE owner = ?1 ORDER BY name";
    let mut statement = tx.prepare_cached(sql)?;
    let folders = statement.query_map([user.id], read_folder)?;
    Ok(folders.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn list_files(tx: &Transaction<'_>, user: User) -> Result<Vec<File>> {
    let sql = "SELECT files.*, contents.size, contents.crc32
        FROM files JOIN contents ON contents.name = files.content
        WHERE files.owner = ?1 ORDER BY files.name";
    let mut statement = tx.prepare_cached(sql)?;
    let files = statement.query_map([user.id], read_file)?;
    Ok(files.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn find_file(tx: &Transaction<'_>, user: User, code: &str) -> Result<Option<File>> {
    let sql = "SELECT files.*, contents.size, contents.crc32
        FROM files JOIN contents ON contents.name = files.content
        WHERE files.owner = ?1 AND files.code = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    Ok(statement.query_row((user.id, code), read_file).optional()?)
}

/// A file of whichever user: for a signed link, which names no user.
pub(crate) fn find_linked_file(tx: &Transaction<'_>, code: &str) -> Result<Option<File>> {
    let sql = "SELECT files.*, contents.size, contents.crc32
        FROM files JOIN contents ON contents.name = files.content
        WHERE files.code = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    Ok(statement.query_row([code], read_file).optional()?)
}

/// A folder of whichever user, and its owner: for a signed link, which names no user.
pub(crate) fn find_linked_folder(
    tx: &Transaction<'_>,
    code: &str,
) -> Result<Option<(User, Folder)>> {
    let sql = "SELECT folders.*, users.created_at AS owner_since
        FROM folders JOIN users ON users.id = folders.owner WHERE folders.code = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row([code], |row| {
        let user = User { id: row.get("owner")?, created_at: row.get("owner_since")? };
        Ok((user, read_folder(row)?))
    });
    Ok(found.optional()?)
}

pub(crate) fn size_of_content(tx: &Transaction<'_>, name: &str) -> Result<u64> {
    let sql = "SELECT size FROM contents WHERE name = ?1";
    let size: i64 = tx.prepare_cached(sql)?.query_row([name], |row| row.get(0))?;
    Ok(size.unsigned_abs())
}

/// `count` bytes from `first` of a content, or fewer where it ends.
pub(crate) fn read_bytes(
    tx: &Transaction<'_>,
    content: &str,
    first: u64,
    count: u64,
) -> Result<Bytes> {
    let outside = |_| StorageError::Corrupt("range");
    let first = i64::try_from(first).map_err(outside)?;
    let count = i64::try_from(count).map_err(outside)?;
    // substr counts from one.
    let sql = "SELECT substr(bytes, ?2 + 1, ?3) FROM contents WHERE name = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let bytes: Vec<u8> = statement.query_row((content, first, count), |row| row.get(0))?;
    Ok(Bytes::from(bytes))
}

/// Says whether there was such a file.
pub(crate) fn delete_file(tx: &Transaction<'_>, user: User, code: &str) -> Result<bool> {
    let sql = "DELETE FROM files WHERE owner = ?1 AND code = ?2";
    Ok(tx.prepare_cached(sql)?.execute((user.id, code))? > 0)
}

/// With everything in it. Says whether there was such a folder.
pub(crate) fn delete_folder(tx: &Transaction<'_>, user: User, code: &str) -> Result<bool> {
    let sql = "DELETE FROM folders WHERE owner = ?1 AND code = ?2";
    Ok(tx.prepare_cached(sql)?.execute((user.id, code))? > 0)
}

fn read_folder(row: &Row<'_>) -> rusqlite::Result<Folder> {
    Ok(Folder {
        code: row.get("code")?,
        parent: row.get("parent")?,
        name: row.get("name")?,
        created_at: row.get("created_at")?,
    })
}

fn read_file(row: &Row<'_>) -> rusqlite::Result<File> {
    // The schema says that it is the length of a blob.
    let size: i64 = row.get("size")?;
    Ok(File {
        code: row.get("code")?,
        folder: row.get("folder")?,
        name: row.get("name")?,
        content: row.get("content")?,
        size: size.unsigned_abs(),
        crc32: row.get("crc32")?,
        created_at: row.get("created_at")?,
    })
}
