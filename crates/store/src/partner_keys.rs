//! Table `partner_keys`: one row per user and app at most. What may happen to one is decided by
//! `domain::partner_key`; that its secret is told once, by the conditions of the updates here.

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::consent::Consent;
use domain::grant::Mode;
use domain::id::{AppId, PartnerKeyId, UserId};
use domain::mail::{Mail, MailKind};
use domain::partner_key::{
    DisabledWhy, EndedWhy, KeyStatus, PartnerKey, SealedSecret, SecretState, UNUSED_MAX, uuid_of,
};
use domain::time::Timestamp;
use serde_json::json;

use crate::value::{Row, unreadable};
use crate::{DbError, Tx, apps, audit, bind, changes, consents, mails};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, public_key, user_id, app_id, secret, secret_locked_until, secret_read_at, \
             permissions, disabled_at, disabled_why, dialect, created_at, last_used_at \
             FROM partner_keys ",
            $rest
        )
    };
}

/// `false`: the user has a key for this app, active or disabled.
pub async fn insert(tx: &mut Tx<'_>, key: &PartnerKey) -> Result<bool, DbError> {
    let (locked_until, read_at) = secret_columns(key.secret_state);
    let (disabled_at, disabled_why) = status_columns(key.status);
    let inserted = tx
        .execute(
            "INSERT INTO partner_keys (id, public_key, user_id, app_id, secret, \
             secret_locked_until, secret_read_at, permissions, disabled_at, disabled_why, dialect, \
             created_at, last_used_at, idle_from) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
             $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING",
            bind![
                key.id,
                &key.public,
                key.user_id,
                key.app_id,
                key.secret.as_stored(),
                locked_until,
                read_at,
                serde_json::to_string(&key.permissions).map_err(DbError::bug)?,
                disabled_at,
                disabled_why,
                key.dialect.as_ref(),
                key.created_at,
                key.last_used_at,
                key.last_sign_of_life(),
            ],
        )
        .await?;
    Ok(inserted == 1)
}

pub async fn find(tx: &mut Tx<'_>, id: PartnerKeyId) -> Result<Option<PartnerKey>, DbError> {
    let row = tx.query_opt(select!("WHERE id = $1"), bind![id]).await?;
    row.map(read).transpose()
}

/// By what a signed request names.
pub async fn find_by_public(tx: &mut Tx<'_>, public: &str) -> Result<Option<PartnerKey>, DbError> {
    let row = tx.query_opt(select!("WHERE public_key = $1"), bind![public]).await?;
    row.map(read).transpose()
}

/// The key of `user` for `app`, active or disabled.
pub async fn find_of(
    tx: &mut Tx<'_>,
    user: UserId,
    app: AppId,
) -> Result<Option<PartnerKey>, DbError> {
    let row = tx.query_opt(select!("WHERE user_id = $1 AND app_id = $2"), bind![user, app]).await?;
    row.map(read).transpose()
}

/// The key that came with `consent`: a test has none, whatever its user let the real app have.
pub async fn find_of_consent(
    tx: &mut Tx<'_>,
    consent: &Consent,
) -> Result<Option<PartnerKey>, DbError> {
    match consent.mode {
        Mode::Test => Ok(None),
        Mode::Live => find_of(tx, consent.user_id, consent.app_id).await,
    }
}

/// All keys of `user`, newest first: few, see `PARTNER_KEYS_MAX`.
pub async fn list_of_user(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<PartnerKey>, DbError> {
    let select = select!("WHERE user_id = $1 ORDER BY created_at DESC, id");
    let rows = tx.query_all(select, bind![user]).await?;
    rows.into_iter().map(read).collect()
}

/// Keys that users gave to `app`, newest first, `limit` at most.
pub async fn list_of_app(
    tx: &mut Tx<'_>,
    app: AppId,
    limit: i64,
) -> Result<Vec<PartnerKey>, DbError> {
    let select = select!("WHERE app_id = $1 ORDER BY created_at DESC, id LIMIT $2");
    let rows = tx.query_all(select, bind![app, limit]).await?;
    rows.into_iter().map(read).collect()
}

/// Active keys that have shown no sign of life since `before`, `limit` at most.
async fn list_unused(
    tx: &mut Tx<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<PartnerKey>, DbError> {
    let select =
        select!("WHERE disabled_at IS NULL AND idle_from <= $1 ORDER BY idle_from, id LIMIT $2");
    let rows = tx.query_all(select, bind![before, limit]).await?;
    rows.into_iter().map(read).collect()
}

/// Take the lock that `PartnerKey::lock_secret` allowed. `false`: somebody was faster.
pub async fn lock_secret(
    tx: &mut Tx<'_>,
    id: PartnerKeyId,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE partner_keys SET secret_locked_until = $2 WHERE id = $1 \
             AND disabled_at IS NULL AND secret_read_at IS NULL \
             AND (secret_locked_until IS NULL OR secret_locked_until <= $3)",
            bind![id, until, now],
        )
        .await?;
    Ok(changed == 1)
}

/// The holder of the lock that ends at `until` tells the secret. `false`: it is held by somebody
/// else by now, or the key has ended; then nothing may be told.
pub async fn tell_secret(
    tx: &mut Tx<'_>,
    id: PartnerKeyId,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE partner_keys SET secret_locked_until = NULL, secret_read_at = $3 \
             WHERE id = $1 AND disabled_at IS NULL AND secret_read_at IS NULL \
             AND secret_locked_until = $2",
            bind![id, until, now],
        )
        .await?;
    Ok(changed == 1)
}

/// It was used at `at`. No event: nothing that a cache decides by has changed.
pub async fn note_use(tx: &mut Tx<'_>, id: PartnerKeyId, at: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE partner_keys SET last_used_at = $2, idle_from = $2 \
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
        bind![id, at],
    )
    .await?;
    Ok(())
}

/// Write what `PartnerKey::disable` made of an active key. `false`: it is not active any more, or
/// was used since it was read.
pub async fn disable(tx: &mut Tx<'_>, key: &PartnerKey, now: Timestamp) -> Result<bool, DbError> {
    let (disabled_at, disabled_why) = status_columns(key.status);
    let changed = tx
        .execute(
            "UPDATE partner_keys SET disabled_at = $2, disabled_why = $3, secret = $4 \
             WHERE id = $1 AND disabled_at IS NULL AND idle_from <= $5",
            bind![
                key.id,
                disabled_at,
                disabled_why,
                key.secret.as_stored(),
                key.last_sign_of_life(),
            ],
        )
        .await?;
    if changed == 0 {
        return Ok(false);
    }
    changes::record(tx, Change::PartnerKey(key.id)).await?;
    let kind = AuditKind::PartnerKeyDisabled;
    let event = event_of(tx, key, kind, AuditActor::System, disabled_why, now).await?;
    audit::record(tx, &event).await?;
    tell_user(tx, key, disabled_why.unwrap_or_default(), now).await?;
    Ok(true)
}

/// Disable at most `limit` keys that were not used for too long. How many there were.
pub async fn disable_unused(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    let mut count = 0;
    for mut key in list_unused(tx, now.before(UNUSED_MAX), limit).await? {
        count += 1;
        if key.disable(DisabledWhy::Unused, now).is_ok() {
            disable(tx, &key, now).await?;
        }
    }
    Ok(count)
}

/// A key is over: its row goes; caches, the audit trail and the user hear of it. `false`: it was
/// over before.
pub async fn end(
    tx: &mut Tx<'_>,
    key: &PartnerKey,
    why: EndedWhy,
    actor: AuditActor,
    now: Timestamp,
) -> Result<bool, DbError> {
    let deleted = tx.execute("DELETE FROM partner_keys WHERE id = $1", bind![key.id]).await?;
    if deleted == 0 {
        return Ok(false);
    }
    changes::record(tx, Change::PartnerKey(key.id)).await?;
    let kind = AuditKind::PartnerKeyEnded;
    let event = event_of(tx, key, kind, actor, Some(why.as_str()), now).await?;
    audit::record(tx, &event).await?;
    if let Some(why) = why.in_message() {
        tell_user(tx, key, why, now).await?;
    }
    Ok(true)
}

/// An entry of the audit trail about `key`, which the user finds with the consent.
pub async fn event_of(
    tx: &mut Tx<'_>,
    key: &PartnerKey,
    kind: AuditKind,
    actor: AuditActor,
    why: Option<&str>,
    now: Timestamp,
) -> Result<AuditEvent, DbError> {
    let detail = match why {
        None => json!({ "key": uuid_of(key.id) }),
        Some(why) => json!({ "key": uuid_of(key.id), "why": why }),
    };
    let event = AuditEvent::new(now, kind, actor).app(key.app_id).user(key.user_id).detail(detail);
    Ok(match consents::find_of(tx, key.user_id, key.app_id, Mode::Live).await? {
        Some(consent) => event.consent(consent.id),
        None => event,
    })
}

async fn tell_user(
    tx: &mut Tx<'_>,
    key: &PartnerKey,
    why: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let app = apps::find(tx, key.app_id).await?.map(|app| app.name).unwrap_or_default();
    let kind = MailKind::PartnerKeyEnded { app, why: why.to_owned() };
    mails::queue(tx, &Mail::to_user(key.user_id, kind, now)).await
}

/// All keys of `user` are over, disabled ones too.
pub async fn end_of_user(
    tx: &mut Tx<'_>,
    user: UserId,
    why: EndedWhy,
    actor: AuditActor,
    now: Timestamp,
) -> Result<(), DbError> {
    for key in list_of_user(tx, user).await? {
        end(tx, &key, why, actor, now).await?;
    }
    Ok(())
}

fn secret_columns(state: SecretState) -> (Option<Timestamp>, Option<Timestamp>) {
    match state {
        SecretState::Unread => (None, None),
        SecretState::Locked { until } => (Some(until), None),
        SecretState::Read { at } => (None, Some(at)),
    }
}

fn status_columns(status: KeyStatus) -> (Option<Timestamp>, Option<&'static str>) {
    match status {
        KeyStatus::Active => (None, None),
        KeyStatus::Disabled { why: DisabledWhy::Unused, at } => (Some(at), Some("unused")),
    }
}

fn read(mut row: Row) -> Result<PartnerKey, DbError> {
    Ok(PartnerKey {
        id: row.take()?,
        public: row.take()?,
        user_id: row.take()?,
        app_id: row.take()?,
        secret: SealedSecret::from_stored(row.take()?),
        secret_state: match (row.take()?, row.take()?) {
            (_, Some(at)) => SecretState::Read { at },
            (Some(until), None) => SecretState::Locked { until },
            (None, None) => SecretState::Unread,
        },
        permissions: row
            .take_as("set of permissions", |text: String| serde_json::from_str(&text).ok())?,
        status: match (row.take()?, row.take::<Option<String>>()?.as_deref()) {
            (None, None) => KeyStatus::Active,
            (Some(at), Some("unused")) => KeyStatus::Disabled { why: DisabledWhy::Unused, at },
            _ => return Err(unreadable("partner key")),
        },
        dialect: row.take()?,
        created_at: row.take()?,
        last_used_at: row.take()?,
    })
}
