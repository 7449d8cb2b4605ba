//! Table `client_secrets`.

use domain::app::{ClientSecret, SecretProof};
use domain::foreign_hash::ForeignHash;
use domain::id::{AppId, CredentialId};
use domain::time::Timestamp;

use crate::apps::of_mode_name;
use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind};

pub async fn insert(tx: &mut Tx<'_>, secret: &ClientSecret) -> Result<(), DbError> {
    let (mac, foreign): (&[u8], _) = match &secret.proof {
        SecretProof::Mac(mac) => (mac, None),
        SecretProof::Foreign(hash) => (&[], Some(hash.as_text())),
    };
    tx.execute(
        "INSERT INTO client_secrets (id, app_id, mac, foreign_hash, hint, created_at, \
         last_used_at, expires_at, mode, name) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        bind![
            secret.id,
            secret.app_id,
            mac,
            foreign,
            &secret.hint,
            secret.created_at,
            secret.last_used_at,
            secret.expires_at,
            secret.mode.as_str(),
            &secret.name,
        ],
    )
    .await?;
    Ok(())
}

/// Oldest first, the expired ones too, of both modes.
pub async fn list_of_app(tx: &mut Tx<'_>, app: AppId) -> Result<Vec<ClientSecret>, DbError> {
    let rows = tx
        .query_all(
            "SELECT id, app_id, mac, foreign_hash, hint, created_at, last_used_at, expires_at, \
             mode, name FROM client_secrets WHERE app_id = $1 ORDER BY created_at, id",
            bind![app],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Called coarsely: not a write per token request.
pub async fn touch(tx: &mut Tx<'_>, id: CredentialId, now: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE client_secrets SET last_used_at = $2 WHERE id = $1", bind![id, now]).await?;
    Ok(())
}

/// The secret behind the hash `from` was shown: keep its MAC instead, once. `false`: that has
/// happened already.
pub async fn upgrade(
    tx: &mut Tx<'_>,
    id: CredentialId,
    from: &ForeignHash,
    mac: &[u8; 32],
    hint: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let upgraded = tx
        .execute(
            "UPDATE client_secrets SET mac = $3, foreign_hash = NULL, hint = $4, \
             last_used_at = $5 WHERE id = $1 AND foreign_hash = $2",
            bind![id, from.as_text(), mac, hint, now],
        )
        .await?;
    Ok(upgraded == 1)
}

/// When it ends by itself; `None`: never. Its developer hears of the new end. `false`: there is no
/// such secret.
pub async fn save_end(
    tx: &mut Tx<'_>,
    id: CredentialId,
    expires_at: Option<Timestamp>,
) -> Result<bool, DbError> {
    let sql = "UPDATE client_secrets SET expires_at = $2, expiry_told = 0 WHERE id = $1";
    Ok(tx.execute(sql, bind![id, expires_at]).await? == 1)
}

/// `false`: there is no such secret.
pub async fn delete(tx: &mut Tx<'_>, id: CredentialId) -> Result<bool, DbError> {
    let deleted = tx.execute("DELETE FROM client_secrets WHERE id = $1", bind![id]).await?;
    Ok(deleted == 1)
}

/// Secrets that end between `now` and `until` and whose developers were told of it
/// fewer than `told` times; the next to end first.
pub async fn list_ending(
    tx: &mut Tx<'_>,
    (now, until): (Timestamp, Timestamp),
    told: i64,
    limit: i64,
) -> Result<Vec<ClientSecret>, DbError> {
    let rows = tx
        .query_all(
            "SELECT id, app_id, mac, foreign_hash, hint, created_at, last_used_at, expires_at, \
             mode, name FROM client_secrets WHERE expires_at > $1 AND expires_at <= $2 \
             AND expiry_told < $3 ORDER BY expires_at, id LIMIT $4",
            bind![now, until, told, limit],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Its developer was told so often that it ends.
pub async fn save_told(tx: &mut Tx<'_>, id: CredentialId, told: i64) -> Result<(), DbError> {
    tx.execute("UPDATE client_secrets SET expiry_told = $2 WHERE id = $1", bind![id, told]).await?;
    Ok(())
}

fn read(mut row: Row) -> Result<ClientSecret, DbError> {
    Ok(ClientSecret {
        id: row.take()?,
        app_id: row.take()?,
        proof: read_proof(&mut row)?,
        hint: row.take()?,
        created_at: row.take()?,
        last_used_at: row.take()?,
        expires_at: row.take()?,
        mode: row.take_as("mode", of_mode_name)?,
        name: row.take()?,
    })
}

fn read_proof(row: &mut Row) -> Result<SecretProof, DbError> {
    let (mac, foreign): (Vec<u8>, Option<String>) = (row.take()?, row.take()?);
    match foreign {
        Some(text) => Ok(SecretProof::Foreign(ForeignHash::from_text(text))),
        None => mac.try_into().map(SecretProof::Mac).map_err(|_| unreadable("client secret")),
    }
}
