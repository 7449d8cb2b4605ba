//! Every SQL statement about transfers. A transfer's row says what was asked for and when; how far
//! it is follows from the clock, and its files are stored at the first look after its end.

use rusqlite::{OptionalExtension as _, Row, Transaction};

use super::catalogue::{self, Torrent};
use super::progress;
use super::rows::{self, User};
use crate::storage::StorageError;

type Result<T> = std::result::Result<T, StorageError>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) id: i64,
    pub(crate) token: String,
    /// The link that it was asked for with.
    pub(crate) source: String,
    pub(crate) size: u64,
    pub(crate) started_at: i64,
    /// Where its files are, once they are there and as long as they are.
    pub(crate) folder: Option<String>,
    pub(crate) file: Option<String>,
}

impl Transfer {
    pub(crate) fn torrent(&self) -> Option<&'static Torrent> {
        catalogue::find_by_magnet(&self.source)
    }
}

pub(crate) fn create(tx: &Transaction<'_>, user: User, source: &str, now: i64) -> Result<Transfer> {
    let files = catalogue::find_by_magnet(source).map_or(&[][..], |torrent| torrent.files);
    let mut size: u64 = 0;
    for file in files {
        size = size.saturating_add(rows::size_of_content(tx, file.name)?);
    }
    let column = i64::try_from(size).map_err(|_| StorageError::Corrupt("size"))?;
    let sql = "INSERT INTO transfers (owner, token, source, size, started_at, is_stored)
        VALUES (?1, '', ?2, ?3, ?4, 0)";
    tx.prepare_cached(sql)?.execute((user.id, source, column, now))?;
    let id = tx.last_insert_rowid();
    // Ids are never used twice, so neither are tokens.
    let token = rows::code_from(&format!("transfer {id}"));
    tx.execute("UPDATE transfers SET token = ?2 WHERE id = ?1", (id, &token))?;
    let source = source.to_owned();
    let (folder, file) = (None, None);
    Ok(Transfer { id, token, source, size, started_at: now, folder, file })
}

/// The whole history, newest first.
pub(crate) fn list(tx: &Transaction<'_>, user: User) -> Result<Vec<Transfer>> {
    let sql = "SELECT * FROM transfers WHERE owner = ?1 ORDER BY id DESC";
    let mut statement = tx.prepare_cached(sql)?;
    let transfers = statement.query_map([user.id], read)?;
    Ok(transfers.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn count(tx: &Transaction<'_>, user: User) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM transfers WHERE owner = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([user.id], |row| row.get(0))?)
}

pub(crate) fn find(tx: &Transaction<'_>, user: User, token: &str) -> Result<Option<Transfer>> {
    let sql = "SELECT * FROM transfers WHERE owner = ?1 AND token = ?2";
    Ok(tx.prepare_cached(sql)?.query_row((user.id, token), read).optional()?)
}

/// Says whether there was such a transfer. Files that it has brought stay.
pub(crate) fn delete(tx: &Transaction<'_>, user: User, token: &str) -> Result<bool> {
    let sql = "DELETE FROM transfers WHERE owner = ?1 AND token = ?2";
    Ok(tx.prepare_cached(sql)?.execute((user.id, token))? > 0)
}

/// Puts the files of every transfer that has ended by `now` into the user's cloud.
pub(crate) fn store_finished(tx: &Transaction<'_>, user: User, now: i64) -> Result<()> {
    let sql = "SELECT * FROM transfers WHERE owner = ?1 AND is_stored = 0 ORDER BY id";
    let mut statement = tx.prepare_cached(sql)?;
    let waiting: Vec<Transfer> =
        statement.query_map([user.id], read)?.collect::<rusqlite::Result<_>>()?;
    for transfer in waiting {
        let Some(torrent) = transfer.torrent() else { continue };
        let stored_at = progress::stored_at(torrent, transfer.started_at);
        if stored_at <= now {
            store(tx, user, &transfer, torrent, stored_at)?;
        }
    }
    Ok(())
}

fn store(
    tx: &Transaction<'_>,
    user: User,
    transfer: &Transfer,
    torrent: &Torrent,
    now: i64,
) -> Result<()> {
    let folder = rows::code_from(&format!("folder of transfer {}", transfer.token));
    rows::create_top_folder(tx, user, &folder, torrent.name, now)?;
    let mut only_file = None;
    for file in torrent.files {
        let code = rows::code_from(&format!("file of transfer {}/{}", transfer.token, file.name));
        rows::create_file(tx, user, &code, Some(&folder), file.name, now)?;
        only_file = Some(code).filter(|_| torrent.files.len() == 1);
    }
    let sql = "UPDATE transfers SET is_stored = 1, folder = ?2, file = ?3 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute((transfer.id, folder, only_file))?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Transfer> {
    let size: i64 = row.get("size")?;
    Ok(Transfer {
        id: row.get("id")?,
        token: row.get("token")?,
        source: row.get("source")?,
        size: size.unsigned_abs(),
        started_at: row.get("started_at")?,
        folder: row.get("folder")?,
        file: row.get("file")?,
    })
}
