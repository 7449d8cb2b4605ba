//! Table `sessions`: signed-in browsers.

use std::net::IpAddr;

use domain::id::{SessionId, UserId};
use domain::session::Session;
use domain::time::Timestamp;

use crate::value::Row;
use crate::{DbError, Tx, bind};

pub async fn insert(tx: &mut Tx<'_>, session: &Session) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO sessions (id, user_id, auth_time, created_at, last_seen_at, expires_at, \
         address, user_agent, amr, second_factor_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        bind![
            session.id,
            session.user_id,
            session.auth_time,
            session.created_at,
            session.last_seen_at,
            session.expires_at,
            session.address.to_string(),
            &session.user_agent,
            session.methods.to_string(),
            session.second_factor_at,
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &mut Tx<'_>, id: SessionId) -> Result<Option<Session>, DbError> {
    let row = tx
        .query_opt(
            "SELECT id, user_id, auth_time, created_at, last_seen_at, expires_at, address, \
             user_agent, amr, second_factor_at FROM sessions WHERE id = $1",
            bind![id],
        )
        .await?;
    row.map(read).transpose()
}

/// Called coarsely: not a write per request.
pub async fn touch(tx: &mut Tx<'_>, id: SessionId, now: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE sessions SET last_seen_at = $2 WHERE id = $1", bind![id, now]).await?;
    Ok(())
}

/// The user has given a second factor in it.
pub async fn step_up(tx: &mut Tx<'_>, session: &Session) -> Result<(), DbError> {
    tx.execute(
        "UPDATE sessions SET amr = $2, second_factor_at = $3 WHERE id = $1",
        bind![session.id, session.methods.to_string(), session.second_factor_at],
    )
    .await?;
    Ok(())
}

pub async fn delete(tx: &mut Tx<'_>, id: SessionId) -> Result<(), DbError> {
    tx.execute("DELETE FROM sessions WHERE id = $1", bind![id]).await?;
    Ok(())
}

/// Sign a user out everywhere.
pub async fn delete_of_user(tx: &mut Tx<'_>, user: UserId) -> Result<u64, DbError> {
    tx.execute("DELETE FROM sessions WHERE user_id = $1", bind![user]).await
}

/// Sign a user out everywhere but in `kept`.
pub async fn delete_others(
    tx: &mut Tx<'_>,
    user: UserId,
    kept: Option<SessionId>,
) -> Result<u64, DbError> {
    let Some(kept) = kept else { return delete_of_user(tx, user).await };
    tx.execute("DELETE FROM sessions WHERE user_id = $1 AND id <> $2", bind![user, kept]).await
}

/// Where a user is signed in, last used first.
pub async fn list_of_user(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<Session>, DbError> {
    let sql = "SELECT id, user_id, auth_time, created_at, last_seen_at, expires_at, address, \
         user_agent, amr, second_factor_at FROM sessions WHERE user_id = $1 \
         ORDER BY last_seen_at DESC, id";
    tx.query_all(sql, bind![user]).await?.into_iter().map(read).collect()
}

/// Delete at most `limit` that are over.
pub async fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM sessions WHERE id IN \
         (SELECT id FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        bind![now, limit],
    )
    .await
}

fn read(mut row: Row) -> Result<Session, DbError> {
    Ok(Session {
        id: row.take()?,
        user_id: row.take()?,
        auth_time: row.take()?,
        created_at: row.take()?,
        last_seen_at: row.take()?,
        expires_at: row.take()?,
        address: row.take_as("address", |text: String| text.parse::<IpAddr>().ok())?,
        user_agent: row.take()?,
        methods: row.take_as("list of methods", |text: String| text.parse().ok())?,
        second_factor_at: row.take()?,
    })
}
