//! Table `identities`: who a person of another system is here. Whether somebody may become a user
//! is decided by `domain::sign_in`; that a person of there is one user here, by this table's key.

use domain::id::UserId;
use domain::time::Timestamp;

use crate::{DbError, Tx, bind};

/// `false`: that person is a user already.
pub async fn insert(
    tx: &mut Tx<'_>,
    issuer: &str,
    subject: &str,
    user: UserId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let inserted = tx
        .execute(
            "INSERT INTO identities (issuer, subject, user_id, created_at, last_used_at) \
             VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING",
            bind![issuer, subject, user, now],
        )
        .await?;
    Ok(inserted == 1)
}

pub async fn find(tx: &mut Tx<'_>, issuer: &str, subject: &str) -> Result<Option<UserId>, DbError> {
    let sql = "SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2";
    tx.query_opt(sql, bind![issuer, subject]).await?.map(|mut row| row.take()).transpose()
}

/// The issuers that have brought the user, the last one first.
pub async fn list_issuers_of(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<String>, DbError> {
    let sql = "SELECT issuer FROM identities WHERE user_id = $1 ORDER BY last_used_at DESC, issuer";
    let rows = tx.query_all(sql, bind![user]).await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

/// The user came this way again.
pub async fn touch(
    tx: &mut Tx<'_>,
    issuer: &str,
    subject: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = "UPDATE identities SET last_used_at = $3 WHERE issuer = $1 AND subject = $2";
    tx.execute(sql, bind![issuer, subject, now]).await?;
    Ok(())
}
