//! Table `grants`: the only thing tokens point to.

use std::net::IpAddr;

use domain::change::Change;
use domain::grant::{Grant, GrantStatus, GrantSubject, Mode, RefreshState, RevokeReason};
use domain::id::{AppId, ConsentId, CredentialId, GrantId, UserId};
use domain::time::Timestamp;
use protocol::scope::ScopeSet;

use crate::apps::of_mode_name;
use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind, changes};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, app_id, user_id, consent_id, consent_epoch, credential_id, scopes, \
             resources, mode, dialect, session_id, auth_time, acr, amr, key_binding, details_ref, \
             device_address, code_id, attempt_id, generation, parent, rotated_at, revoked_at, \
             revoked_reason, created_at, last_used_at, expires_at, idle_expires_at FROM grants ",
            $rest
        )
    };
}

/// `false`: there is a grant of this id (the code was redeemed before), or a service grant of this
/// credential.
pub async fn insert(tx: &mut Tx<'_>, grant: &Grant) -> Result<bool, DbError> {
    let (user_id, consent_id, consent_epoch, credential_id) = match &grant.subject {
        GrantSubject::User { user_id, consent_id, consent_epoch } => {
            (Some(*user_id), Some(*consent_id), Some(consent_epoch), None)
        }
        GrantSubject::Service { credential_id } => (None, None, None, Some(*credential_id)),
    };
    let (revoked_at, revoked_reason) = revoked(grant.status);
    let inserted = tx
        .execute(
            "INSERT INTO grants (id, app_id, user_id, consent_id, consent_epoch, credential_id, \
             scopes, resources, mode, dialect, session_id, auth_time, acr, amr, key_binding, \
             details_ref, device_address, code_id, attempt_id, generation, parent, rotated_at, \
             revoked_at, revoked_reason, created_at, last_used_at, expires_at, idle_expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28) ON CONFLICT DO NOTHING",
            bind![
                grant.id,
                grant.app_id,
                user_id,
                consent_id,
                consent_epoch,
                credential_id,
                &grant.scopes,
                json(&grant.resources)?,
                grant.mode.as_str(),
                grant.dialect.as_ref(),
                grant.session_id,
                grant.auth_time,
                grant.acr.as_ref(),
                grant.amr.as_ref(),
                grant.key_binding.as_ref(),
                grant.details_ref.as_ref(),
                grant.device_address.map(|address| address.to_string()),
                grant.code_id,
                grant.attempt_id,
                grant.refresh.map(|state| state.generation),
                grant.refresh.and_then(|state| state.parent),
                grant.refresh.map(|state| state.rotated_at),
                revoked_at,
                revoked_reason,
                grant.created_at,
                grant.last_used_at,
                grant.expires_at,
                grant.idle_expires_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

pub async fn find(tx: &mut Tx<'_>, id: GrantId) -> Result<Option<Grant>, DbError> {
    let row = tx.query_opt(select!("WHERE id = $1"), bind![id]).await?;
    row.map(read).transpose()
}

/// The service grant of a credential.
pub async fn find_of_credential(
    tx: &mut Tx<'_>,
    credential: CredentialId,
    mode: Mode,
) -> Result<Option<Grant>, DbError> {
    let row = tx
        .query_opt(
            select!("WHERE credential_id = $1 AND mode = $2"),
            bind![credential, mode.as_str()],
        )
        .await?;
    row.map(read).transpose()
}

/// Compare-and-swap of the refresh state. `false`: somebody rotated or revoked it meanwhile; read
/// the grant again and decide again.
pub async fn rotate(
    tx: &mut Tx<'_>,
    id: GrantId,
    from: &RefreshState,
    to: &RefreshState,
    idle_expires_at: Timestamp,
) -> Result<bool, DbError> {
    let updated = tx
        .execute(
            "UPDATE grants SET generation = $3, parent = $4, rotated_at = $5, last_used_at = $5, \
             idle_expires_at = $6 WHERE id = $1 AND generation = $2 AND revoked_at IS NULL",
            bind![id, from.generation, to.generation, to.parent, to.rotated_at, idle_expires_at],
        )
        .await?;
    Ok(updated == 1)
}

/// Replace what a live service grant is good for; its tokens hold their own, narrower scopes.
/// `false`: it was revoked. It never comes back, its old tokens would too.
pub async fn renew_service(
    tx: &mut Tx<'_>,
    id: GrantId,
    scopes: &ScopeSet,
    resources: &[String],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, DbError> {
    let updated = tx
        .execute(
            "UPDATE grants SET scopes = $2, resources = $3, last_used_at = $4, expires_at = $5, \
             idle_expires_at = $5 WHERE id = $1 AND revoked_at IS NULL",
            bind![id, scopes, json(resources)?, now, expires_at],
        )
        .await?;
    Ok(updated == 1)
}

/// `false`: there is no such live grant.
pub async fn revoke(
    tx: &mut Tx<'_>,
    id: GrantId,
    reason: RevokeReason,
    now: Timestamp,
) -> Result<bool, DbError> {
    let updated = tx
        .execute(
            "UPDATE grants SET revoked_at = $2, revoked_reason = $3 \
             WHERE id = $1 AND revoked_at IS NULL",
            bind![id, now, reason_name(reason)],
        )
        .await?;
    Ok(updated == 1)
}

/// Store what a decision may change: scopes, resources, state and ends. Where its refresh tokens
/// stand is changed by [`rotate`] alone.
pub async fn save(tx: &mut Tx<'_>, grant: &Grant) -> Result<(), DbError> {
    let (revoked_at, revoked_reason) = revoked(grant.status);
    tx.execute(
        "UPDATE grants SET scopes = $2, resources = $3, revoked_at = $4, revoked_reason = $5, \
         last_used_at = $6, expires_at = $7, idle_expires_at = $8 WHERE id = $1",
        bind![
            grant.id,
            &grant.scopes,
            json(&grant.resources)?,
            revoked_at,
            revoked_reason,
            grant.last_used_at,
            grant.expires_at,
            grant.idle_expires_at,
        ],
    )
    .await?;
    Ok(())
}

/// Keep only `scopes` of what a grant holds.
pub async fn set_scopes(tx: &mut Tx<'_>, id: GrantId, scopes: &ScopeSet) -> Result<(), DbError> {
    tx.execute("UPDATE grants SET scopes = $2 WHERE id = $1", bind![id, scopes]).await?;
    Ok(())
}

/// The live grants under a consent, newest first.
pub async fn list_live_of_consent(
    tx: &mut Tx<'_>,
    consent: ConsentId,
    now: Timestamp,
) -> Result<Vec<Grant>, DbError> {
    let rows = tx
        .query_all(
            select!(
                "WHERE consent_id = $1 AND revoked_at IS NULL AND expires_at > $2 \
                 AND idle_expires_at > $2 ORDER BY created_at DESC, id"
            ),
            bind![consent, now],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// The live grants of `app` for `user`, longest unused first: the order of eviction.
pub async fn list_live_of(
    tx: &mut Tx<'_>,
    user: UserId,
    app: AppId,
    now: Timestamp,
) -> Result<Vec<Grant>, DbError> {
    let rows = tx
        .query_all(
            select!(
                "WHERE user_id = $1 AND app_id = $2 AND revoked_at IS NULL AND expires_at > $3 \
                 AND idle_expires_at > $3 ORDER BY last_used_at, id"
            ),
            bind![user, app, now],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// When each live grant of `app` for `user` in `mode` was last used. All that is asked at each
/// redemption of a code: whole rows would cost a sixth of it.
pub async fn list_last_uses_of(
    tx: &mut Tx<'_>,
    (user, app, mode): (UserId, AppId, Mode),
    now: Timestamp,
) -> Result<Vec<(Timestamp, GrantId)>, DbError> {
    let sql = "SELECT last_used_at, id FROM grants WHERE user_id = $1 AND app_id = $2 \
               AND mode = $4 AND revoked_at IS NULL AND expires_at > $3 AND idle_expires_at > $3";
    let rows = tx.query_all(sql, bind![user, app, now, mode.as_str()]).await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}

/// The live service grants of a credential, one per mode.
pub async fn list_live_of_credential(
    tx: &mut Tx<'_>,
    credential: CredentialId,
    now: Timestamp,
) -> Result<Vec<Grant>, DbError> {
    let rows = tx
        .query_all(
            select!(
                "WHERE credential_id = $1 AND revoked_at IS NULL AND expires_at > $2 \
                 AND idle_expires_at > $2 ORDER BY created_at DESC, id"
            ),
            bind![credential, now],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// A use that moves the idle end of a grant is told to caches at most this often.
const IDLE_MOVES_EVERY_MS: i64 = 3600 * 1000;

/// Remember that the grant was used. One that is never refreshed stands as long as it is used: its
/// idle end moves along.
pub async fn touch(tx: &mut Tx<'_>, id: GrantId, at: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE grants SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2 \
         AND (generation IS NOT NULL OR idle_expires_at >= expires_at)",
        bind![id, at],
    )
    .await?;
    let moved = tx
        .execute(
            "UPDATE grants SET last_used_at = $2, idle_expires_at = CASE \
             WHEN idle_expires_at + ($2 - last_used_at) > expires_at THEN expires_at \
             ELSE idle_expires_at + ($2 - last_used_at) END \
             WHERE id = $1 AND last_used_at + $3 <= $2 \
             AND generation IS NULL AND idle_expires_at < expires_at",
            bind![id, at, IDLE_MOVES_EVERY_MS],
        )
        .await?;
    if moved > 0 {
        changes::record(tx, Change::Grant(id)).await?;
    }
    Ok(())
}

/// How many live grants `app` has outside of tests.
pub async fn count_live_of_app(
    tx: &mut Tx<'_>,
    app: AppId,
    now: Timestamp,
) -> Result<u64, DbError> {
    let sql = "SELECT COUNT(*) FROM grants WHERE app_id = $1 AND mode = 'live' \
               AND revoked_at IS NULL AND expires_at > $2 AND idle_expires_at > $2";
    tx.query_one(sql, bind![app, now]).await?.take()
}

pub async fn delete(tx: &mut Tx<'_>, id: GrantId) -> Result<(), DbError> {
    tx.execute("DELETE FROM grants WHERE id = $1", bind![id]).await?;
    Ok(())
}

/// Look at `limit` grants after `after` and delete those that ended before `ended_before`: long
/// after their code and their last token, so that an absent row is always an ended one. Where to go
/// on; `None` at the end. Walking along the key needs no index that every refresh would have to
/// keep.
pub async fn sweep(
    tx: &mut Tx<'_>,
    after: &str,
    ended_before: Timestamp,
    limit: i64,
) -> Result<Option<String>, DbError> {
    let last = tx
        .query_opt(
            "SELECT id FROM grants WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2",
            bind![after, limit],
        )
        .await?;
    let last = last.map(|mut row| row.take::<String>()).transpose()?;
    tx.execute(
        "DELETE FROM grants WHERE id > $1 AND id <= $2 \
         AND (expires_at <= $3 OR idle_expires_at <= $3 OR revoked_at <= $3)",
        // Hex digits sort below "g".
        bind![after, last.as_deref().unwrap_or("g"), ended_before],
    )
    .await?;
    Ok(last)
}

const REASONS: [(RevokeReason, &str); 6] = [
    (RevokeReason::User, "user"),
    (RevokeReason::App, "app"),
    (RevokeReason::Staff, "staff"),
    (RevokeReason::CodeReplayed, "code_replayed"),
    (RevokeReason::RefreshTheft, "refresh_theft"),
    (RevokeReason::Evicted, "evicted"),
];

fn reason_name(reason: RevokeReason) -> &'static str {
    REASONS.iter().find(|(known, _)| *known == reason).map_or("staff", |(_, name)| *name)
}

fn revoked(status: GrantStatus) -> (Option<Timestamp>, Option<&'static str>) {
    match status {
        GrantStatus::Live => (None, None),
        GrantStatus::Revoked { at, reason } => (Some(at), Some(reason_name(reason))),
    }
}

fn json(resources: &[String]) -> Result<String, DbError> {
    serde_json::to_string(resources).map_err(DbError::bug)
}

fn read(mut row: Row) -> Result<Grant, DbError> {
    Ok(Grant {
        id: row.take()?,
        app_id: row.take()?,
        subject: read_subject(&mut row)?,
        scopes: row.take()?,
        resources: row
            .take_as("list of resources", |text: String| serde_json::from_str(&text).ok())?,
        mode: row.take_as("mode", of_mode_name)?,
        dialect: row.take()?,
        session_id: row.take()?,
        auth_time: row.take()?,
        acr: row.take()?,
        amr: row.take()?,
        key_binding: row.take()?,
        details_ref: row.take()?,
        device_address: row.take_as("address", read_address)?,
        code_id: row.take()?,
        attempt_id: row.take()?,
        refresh: match (row.take()?, row.take()?, row.take()?) {
            (Some(generation), parent, Some(rotated_at)) => {
                Some(RefreshState { generation, parent, rotated_at })
            }
            _ => None,
        },
        status: match (row.take()?, row.take::<Option<String>>()?) {
            (None, _) => GrantStatus::Live,
            (Some(at), reason) => GrantStatus::Revoked { at, reason: read_reason(reason)? },
        },
        created_at: row.take()?,
        last_used_at: row.take()?,
        expires_at: row.take()?,
        idle_expires_at: row.take()?,
    })
}

fn read_address(text: Option<String>) -> Option<Option<IpAddr>> {
    text.map(|text| text.parse().ok()).map_or(Some(None), |parsed| parsed.map(Some))
}

fn read_subject(row: &mut Row) -> Result<GrantSubject, DbError> {
    match (row.take()?, row.take()?, row.take()?, row.take()?) {
        (Some(user_id), Some(consent_id), Some(consent_epoch), None) => {
            Ok(GrantSubject::User { user_id, consent_id, consent_epoch })
        }
        (None::<UserId>, None, None, Some(credential_id)) => {
            Ok(GrantSubject::Service { credential_id })
        }
        _ => Err(unreadable("subject of a grant")),
    }
}

fn read_reason(name: Option<String>) -> Result<RevokeReason, DbError> {
    let known = REASONS.iter().find(|(_, known)| Some(*known) == name.as_deref());
    known.map(|(reason, _)| *reason).ok_or_else(|| unreadable("reason of a revocation"))
}
