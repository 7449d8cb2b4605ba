//! Table `admin_tokens`: who may use the admin API. Looked up by the MAC of what was shown.

use domain::admin_token::{AdminScope, AdminToken};
use domain::id::AdminTokenId;
use domain::time::Timestamp;

use crate::value::Row;
use crate::{DbError, Tx, bind};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, scopes, user_id, created_by, created_at, expires_at, last_used_at, \
             revoked_at FROM admin_tokens ",
            $rest
        )
    };
}

pub async fn insert(tx: &mut Tx<'_>, token: &AdminToken, mac: &[u8; 32]) -> Result<(), DbError> {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    tx.execute(
        "INSERT INTO admin_tokens (id, mac, name, scopes, user_id, created_by, created_at, \
         expires_at, last_used_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        bind![
            token.id,
            mac,
            &token.name,
            scopes.join(" "),
            token.user_id,
            &token.created_by,
            token.created_at,
            token.expires_at,
            token.last_used_at,
            token.revoked_at,
        ],
    )
    .await?;
    Ok(())
}

/// Whatever became of it.
pub async fn find_by_mac(tx: &mut Tx<'_>, mac: &[u8; 32]) -> Result<Option<AdminToken>, DbError> {
    let row = tx.query_opt(select!("WHERE mac = $1"), bind![mac]).await?;
    row.map(read).transpose()
}

pub async fn find(tx: &mut Tx<'_>, id: AdminTokenId) -> Result<Option<AdminToken>, DbError> {
    let row = tx.query_opt(select!("WHERE id = $1"), bind![id]).await?;
    row.map(read).transpose()
}

/// By id, after `after`, revoked and expired ones too.
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<AdminToken>, DbError> {
    let rows =
        tx.query_all(select!("WHERE id > $1 ORDER BY id LIMIT $2"), bind![after, limit]).await?;
    rows.into_iter().map(read).collect()
}

/// Those that `maker` made, as the audit trail names actors.
pub async fn list_made_by(tx: &mut Tx<'_>, maker: &str) -> Result<Vec<AdminToken>, DbError> {
    let rows = tx.query_all(select!("WHERE created_by = $1 ORDER BY id"), bind![maker]).await?;
    rows.into_iter().map(read).collect()
}

/// `false`: there is no such token, or it was revoked before.
pub async fn revoke(tx: &mut Tx<'_>, id: AdminTokenId, now: Timestamp) -> Result<bool, DbError> {
    let sql = "UPDATE admin_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    Ok(tx.execute(sql, bind![id, now]).await? == 1)
}

/// Called coarsely: not a write per request.
pub async fn touch(tx: &mut Tx<'_>, id: AdminTokenId, now: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE admin_tokens SET last_used_at = $2 WHERE id = $1", bind![id, now]).await?;
    Ok(())
}

fn read(mut row: Row) -> Result<AdminToken, DbError> {
    Ok(AdminToken {
        id: row.take()?,
        name: row.take()?,
        // A scope that this version does not know allows nothing.
        scopes: row
            .take::<String>()?
            .split_whitespace()
            .filter_map(|name| name.parse::<AdminScope>().ok())
            .collect(),
        user_id: row.take()?,
        created_by: row.take()?,
        created_at: row.take()?,
        expires_at: row.take()?,
        last_used_at: row.take()?,
        revoked_at: row.take()?,
    })
}
