//! Table `consents`: one row per user, app and mode, for ever the same one.

use std::collections::HashMap;

use domain::consent::{Consent, ConsentStatus};
use domain::grant::Mode;
use domain::id::{AppId, ConsentId, UserId};
use domain::time::Timestamp;
use protocol::scope::ScopeName;

use crate::apps::of_mode_name;
use crate::sets::{loads, of_many};
use crate::value::Row;
use crate::{DbError, Tx, bind};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, app_id, user_id, mode, epoch, scopes, asked, withdrawn_at, given_at, \
             changed_at FROM consents ",
            $rest
        )
    };
}

/// Insert it, or write over the one with the same id.
pub async fn save(tx: &mut Tx<'_>, consent: &Consent) -> Result<(), DbError> {
    let withdrawn_at = match consent.status {
        ConsentStatus::Given => None,
        ConsentStatus::Withdrawn { at } => Some(at),
    };
    tx.execute(
        "INSERT INTO consents (id, app_id, user_id, epoch, scopes, asked, withdrawn_at, given_at, \
         changed_at, mode) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (id) DO UPDATE SET \
         epoch = EXCLUDED.epoch, scopes = EXCLUDED.scopes, asked = EXCLUDED.asked, \
         withdrawn_at = EXCLUDED.withdrawn_at, given_at = EXCLUDED.given_at, \
         changed_at = EXCLUDED.changed_at",
        bind![
            consent.id,
            consent.app_id,
            consent.user_id,
            &consent.epoch,
            &consent.scopes,
            &consent.asked,
            withdrawn_at,
            consent.given_at,
            consent.changed_at,
            consent.mode.as_str(),
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &mut Tx<'_>, id: ConsentId) -> Result<Option<Consent>, DbError> {
    let row = tx.query_opt(select!("WHERE id = $1"), bind![id]).await?;
    row.map(read).transpose()
}

/// What `user` decided about `app`, given or withdrawn.
pub async fn find_of(
    tx: &mut Tx<'_>,
    user: UserId,
    app: AppId,
    mode: Mode,
) -> Result<Option<Consent>, DbError> {
    let row = tx
        .query_opt(
            select!("WHERE user_id = $1 AND app_id = $2 AND mode = $3"),
            bind![user, app, mode.as_str()],
        )
        .await?;
    row.map(read).transpose()
}

/// What `user` has let in, newest first.
pub async fn list_given_by(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<Consent>, DbError> {
    let rows = tx
        .query_all(
            select!("WHERE user_id = $1 AND withdrawn_at IS NULL ORDER BY given_at DESC, id"),
            bind![user],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// The consents that `app` holds, of both modes, newest first.
pub async fn list_given_to(tx: &mut Tx<'_>, app: AppId) -> Result<Vec<Consent>, DbError> {
    let rows = tx
        .query_all(
            select!("WHERE app_id = $1 AND withdrawn_at IS NULL ORDER BY given_at DESC, id"),
            bind![app],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// What `user` has let in, by id, at most `limit` after `after`.
pub async fn list_page_of_user(
    tx: &mut Tx<'_>,
    user: UserId,
    after: &str,
    limit: i64,
) -> Result<Vec<Consent>, DbError> {
    let sql =
        select!("WHERE user_id = $1 AND id > $2 AND withdrawn_at IS NULL ORDER BY id LIMIT $3");
    let rows = tx.query_all(sql, bind![user, after, limit]).await?;
    rows.into_iter().map(read).collect()
}

/// The consents that `app` holds, by id, at most `limit` after `after`.
pub async fn list_page_of_app(
    tx: &mut Tx<'_>,
    app: AppId,
    after: &str,
    limit: i64,
) -> Result<Vec<Consent>, DbError> {
    let sql =
        select!("WHERE app_id = $1 AND id > $2 AND withdrawn_at IS NULL ORDER BY id LIMIT $3");
    let rows = tx.query_all(sql, bind![app, after, limit]).await?;
    rows.into_iter().map(read).collect()
}

/// How many users have let `app` in, outside of tests.
pub async fn count_given_to(tx: &mut Tx<'_>, app: AppId) -> Result<u64, DbError> {
    let sql = "SELECT COUNT(*) FROM consents WHERE app_id = $1 AND mode = 'live' \
               AND withdrawn_at IS NULL";
    tx.query_one(sql, bind![app]).await?.take()
}

/// The same of each of `apps`. Those that nobody has let in are left out.
pub async fn count_given_to_each(
    tx: &mut Tx<'_>,
    apps: &[AppId],
) -> Result<HashMap<AppId, u64>, DbError> {
    let sql = of_many!(
        "SELECT app_id, COUNT(*) FROM consents WHERE app_id",
        "AND mode = 'live' AND withdrawn_at IS NULL GROUP BY app_id"
    );
    let mut counts = HashMap::new();
    for load in loads(apps) {
        for mut row in tx.query_all(sql, &load).await? {
            counts.insert(row.take()?, row.take()?);
        }
    }
    Ok(counts)
}

/// How many users besides `except` let `app` have `scope`.
pub async fn count_with_scope(
    tx: &mut Tx<'_>,
    app: AppId,
    scope: &ScopeName,
    except: UserId,
) -> Result<u64, DbError> {
    // Names are separated by spaces. LIKE would ignore case on SQLite, and they may hold its signs.
    let sql = "SELECT COUNT(*) FROM consents WHERE app_id = $1 AND mode = 'live' \
               AND withdrawn_at IS NULL AND user_id <> $2 \
               AND REPLACE(' ' || scopes || ' ', $3, '') <> ' ' || scopes || ' '";
    tx.query_one(sql, bind![app, except, format!(" {scope} ")]).await?.take()
}

/// Whether a user let `app` in, or changed what it may do, since `since`.
pub async fn any_since(tx: &mut Tx<'_>, app: AppId, since: Timestamp) -> Result<bool, DbError> {
    let sql =
        "SELECT id FROM consents WHERE app_id = $1 AND mode = 'live' AND changed_at >= $2 LIMIT 1";
    Ok(tx.query_opt(sql, bind![app, since]).await?.is_some())
}

fn read(mut row: Row) -> Result<Consent, DbError> {
    Ok(Consent {
        id: row.take()?,
        app_id: row.take()?,
        user_id: row.take()?,
        mode: row.take_as("mode", of_mode_name)?,
        epoch: row.take()?,
        scopes: row.take()?,
        asked: row.take()?,
        status: match row.take()? {
            None => ConsentStatus::Given,
            Some(at) => ConsentStatus::Withdrawn { at },
        },
        given_at: row.take()?,
        changed_at: row.take()?,
    })
}
