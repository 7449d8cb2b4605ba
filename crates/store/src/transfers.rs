//! Table `app_transfers`: apps that somebody else is to have and has not accepted yet.

use domain::id::{AppId, TeamId};
use domain::time::Timestamp;
use domain::transfer::{Receiver, Transfer};

use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind};

/// In place of an earlier one of the same app.
pub async fn ask(tx: &mut Tx<'_>, transfer: &Transfer) -> Result<(), DbError> {
    delete(tx, transfer.app_id).await?;
    let (email, team) = match &transfer.to {
        Receiver::Person(email) => (Some(email), None),
        Receiver::Team(team) => (None, Some(*team)),
    };
    tx.execute(
        "INSERT INTO app_transfers (app_id, asked_by, to_email, to_team, asked_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        bind![
            transfer.app_id,
            transfer.asked_by,
            email,
            team,
            transfer.asked_at,
            transfer.expires_at,
        ],
    )
    .await?;
    Ok(())
}

/// `false`: there was none.
pub async fn delete(tx: &mut Tx<'_>, app: AppId) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM app_transfers WHERE app_id = $1", bind![app]).await? > 0)
}

/// Open or over.
pub async fn find(tx: &mut Tx<'_>, app: AppId) -> Result<Option<Transfer>, DbError> {
    let row = tx
        .query_opt(
            "SELECT app_id, asked_by, to_email, to_team, asked_at, expires_at \
             FROM app_transfers WHERE app_id = $1",
            bind![app],
        )
        .await?;
    row.map(read).transpose()
}

/// Open ones to a normalized address, oldest first, with the apps' names.
pub async fn list_to_address(
    tx: &mut Tx<'_>,
    email: &str,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(AppId, String)>, DbError> {
    let rows = tx
        .query_all(
            "SELECT x.app_id, a.name FROM app_transfers x JOIN apps a ON a.id = x.app_id \
             WHERE x.to_email = $1 AND x.expires_at > $2 ORDER BY x.asked_at, x.app_id LIMIT $3",
            bind![email, now, limit],
        )
        .await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}

/// Open ones to a team, oldest first, with the apps' names.
pub async fn list_to_team(
    tx: &mut Tx<'_>,
    team: TeamId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(AppId, String)>, DbError> {
    let rows = tx
        .query_all(
            "SELECT x.app_id, a.name FROM app_transfers x JOIN apps a ON a.id = x.app_id \
             WHERE x.to_team = $1 AND x.expires_at > $2 ORDER BY x.asked_at, x.app_id LIMIT $3",
            bind![team, now, limit],
        )
        .await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}

/// Delete at most `limit` that nobody accepted in time.
pub(crate) async fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM app_transfers WHERE app_id IN (SELECT app_id FROM app_transfers \
         WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        bind![now, limit],
    )
    .await
}

fn read(mut row: Row) -> Result<Transfer, DbError> {
    let (app_id, asked_by) = (row.take()?, row.take()?);
    let to = match (row.take()?, row.take()?) {
        (Some(email), None) => Receiver::Person(email),
        (None, Some(team)) => Receiver::Team(team),
        _ => return Err(unreadable("receiver of an app")),
    };
    Ok(Transfer { app_id, asked_by, to, asked_at: row.take()?, expires_at: row.take()? })
}
