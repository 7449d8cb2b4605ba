//! Table `client_secrets`.

use domain::app::ClientSecret;
use domain::id::{AppId, CredentialId};
use domain::time::Timestamp;

use crate::value::Row;
use crate::{DbError, Tx, bind};

pub async fn insert(tx: &mut Tx<'_>, secret: &ClientSecret) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO client_secrets (id, app_id, mac, hint, created_at, last_used_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        bind![
            secret.id,
            secret.app_id,
            &secret.mac,
            &secret.hint,
            secret.created_at,
            secret.last_used_at,
            secret.expires_at,
        ],
    )
    .await?;
    Ok(())
}

/// Oldest first, the expired ones too.
pub async fn list_of_app(tx: &mut Tx<'_>, app: AppId) -> Result<Vec<ClientSecret>, DbError> {
    let rows = tx
        .query_all(
            "SELECT id, app_id, mac, hint, created_at, last_used_at, expires_at \
             FROM client_secrets WHERE app_id = $1 ORDER BY created_at, id",
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

/// `false`: there is no such secret.
pub async fn delete(tx: &mut Tx<'_>, id: CredentialId) -> Result<bool, DbError> {
    let deleted = tx.execute("DELETE FROM client_secrets WHERE id = $1", bind![id]).await?;
    Ok(deleted == 1)
}

fn read(mut row: Row) -> Result<ClientSecret, DbError> {
    Ok(ClientSecret {
        id: row.take()?,
        app_id: row.take()?,
        mac: row.take()?,
        hint: row.take()?,
        created_at: row.take()?,
        last_used_at: row.take()?,
        expires_at: row.take()?,
    })
}
