//! Table `user_codes`: codes that a person carries between two machines. What may happen to one is
//! decided by `domain::user_code`; that it becomes one grant at most, by the key of `grants`.

use std::time::Duration;

use domain::authentication::Methods;
use domain::id::CodeId;
use domain::time::Timestamp;
use domain::user_code::{Allowed, AskingDevice, PollPace, UserCode, UserCodeStatus};

use crate::apps::of_mode_name;
use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, app_id, mode, dialect, asked, resources, device_address, device_agent, \
             poll_interval_ms, polled_at, status, user_id, consent_id, consent_epoch, scopes, \
             session_id, auth_time, amr, created_at, expires_at FROM user_codes ",
            $rest
        )
    };
}

/// What a code is looked up by. Neither tells the code.
#[derive(Clone, Copy, Debug)]
pub struct Macs {
    pub user_code: [u8; 16],
    /// Of the code that the device keeps to itself.
    pub device_code: Option<[u8; 16]>,
}

/// `false`: another code has the same letters.
pub async fn insert(tx: &mut Tx<'_>, code: &UserCode, macs: &Macs) -> Result<bool, DbError> {
    let device = code.device.as_ref();
    let allowed = match &code.status {
        UserCodeStatus::Allowed(allowed) => Some(allowed),
        _ => None,
    };
    let inserted = tx
        .execute(
            "INSERT INTO user_codes (id, user_mac, device_mac, app_id, dialect, asked, resources, \
             device_address, device_agent, poll_interval_ms, polled_at, status, user_id, \
             consent_id, consent_epoch, scopes, session_id, auth_time, created_at, expires_at, \
             amr, mode) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
             $15, $16, $17, $18, $19, $20, $21, $22) ON CONFLICT DO NOTHING",
            bind![
                code.id,
                &macs.user_code,
                macs.device_code.as_ref(),
                code.app_id,
                code.dialect.as_ref(),
                &code.asked,
                serde_json::to_string(&code.resources).map_err(DbError::bug)?,
                device.map(|device| device.address.to_string()),
                device.map(|device| &device.user_agent),
                device.map(|device| millis(device.pace.interval)),
                device.and_then(|device| device.pace.polled_at),
                status_name(&code.status),
                allowed.map(|allowed| allowed.user_id),
                allowed.map(|allowed| allowed.consent_id),
                allowed.map(|allowed| &allowed.consent_epoch),
                allowed.map(|allowed| &allowed.scopes),
                allowed.map(|allowed| allowed.session_id),
                allowed.map(|allowed| allowed.auth_time),
                code.created_at,
                code.expires_at,
                allowed.map(|allowed| allowed.methods.to_string()),
                code.mode.as_str(),
            ],
        )
        .await?;
    Ok(inserted == 1)
}

pub async fn find(tx: &mut Tx<'_>, id: CodeId) -> Result<Option<UserCode>, DbError> {
    let row = tx.query_opt(select!("WHERE id = $1"), bind![id]).await?;
    row.map(read).transpose()
}

/// By what a person typed.
pub async fn find_by_user_code(
    tx: &mut Tx<'_>,
    mac: &[u8; 16],
) -> Result<Option<UserCode>, DbError> {
    let row = tx.query_opt(select!("WHERE user_mac = $1"), bind![mac]).await?;
    row.map(read).transpose()
}

/// By what the device keeps to itself.
pub async fn find_by_device_code(
    tx: &mut Tx<'_>,
    mac: &[u8; 16],
) -> Result<Option<UserCode>, DbError> {
    let row = tx.query_opt(select!("WHERE device_mac = $1"), bind![mac]).await?;
    row.map(read).transpose()
}

/// The device has asked, and nobody has decided.
pub async fn save_pace(tx: &mut Tx<'_>, id: CodeId, pace: PollPace) -> Result<(), DbError> {
    tx.execute(
        "UPDATE user_codes SET poll_interval_ms = $2, polled_at = $3 \
         WHERE id = $1 AND status = 'waiting'",
        bind![id, millis(pace.interval), pace.polled_at],
    )
    .await?;
    Ok(())
}

/// `false`: it was decided before.
pub async fn allow(tx: &mut Tx<'_>, id: CodeId, allowed: &Allowed) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE user_codes SET status = 'allowed', user_id = $2, consent_id = $3, \
             consent_epoch = $4, scopes = $5, session_id = $6, auth_time = $7, amr = $8 \
             WHERE id = $1 AND status = 'waiting'",
            bind![
                id,
                allowed.user_id,
                allowed.consent_id,
                &allowed.consent_epoch,
                &allowed.scopes,
                allowed.session_id,
                allowed.auth_time,
                allowed.methods.to_string(),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// `false`: it was decided before.
pub async fn deny(tx: &mut Tx<'_>, id: CodeId) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE user_codes SET status = 'denied' WHERE id = $1 AND status = 'waiting'",
            bind![id],
        )
        .await?;
    Ok(changed == 1)
}

/// Delete at most `limit` that ended before `before`.
pub async fn sweep(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM user_codes WHERE id IN (SELECT id FROM user_codes WHERE expires_at <= $1 \
         ORDER BY expires_at LIMIT $2)",
        bind![before, limit],
    )
    .await
}

fn status_name(status: &UserCodeStatus) -> &'static str {
    match status {
        UserCodeStatus::Waiting => "waiting",
        UserCodeStatus::Denied => "denied",
        UserCodeStatus::Allowed(_) => "allowed",
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn read(mut row: Row) -> Result<UserCode, DbError> {
    Ok(UserCode {
        id: row.take()?,
        app_id: row.take()?,
        mode: row.take_as("mode", of_mode_name)?,
        dialect: row.take()?,
        asked: row.take()?,
        resources: row
            .take_as("list of resources", |text: String| serde_json::from_str(&text).ok())?,
        device: read_device(&mut row)?,
        status: read_status(&mut row)?,
        created_at: row.take()?,
        expires_at: row.take()?,
    })
}

fn read_device(row: &mut Row) -> Result<Option<AskingDevice>, DbError> {
    let (address, user_agent): (Option<String>, Option<String>) = (row.take()?, row.take()?);
    let (interval, polled_at): (Option<i64>, _) = (row.take()?, row.take()?);
    let (Some(address), Some(user_agent), Some(interval)) = (address, user_agent, interval) else {
        return Ok(None);
    };
    let address = address.parse().map_err(|_| unreadable("address"))?;
    let interval = Duration::from_millis(interval.max(0).unsigned_abs());
    Ok(Some(AskingDevice { address, user_agent, pace: PollPace { interval, polled_at } }))
}

fn read_status(row: &mut Row) -> Result<UserCodeStatus, DbError> {
    let name: String = row.take()?;
    let columns = (row.take()?, row.take()?, row.take()?, row.take()?, row.take()?, row.take()?);
    // Codes of before there were second factors say nothing.
    let methods = row.take_as("list of methods", |text: Option<String>| {
        text.map_or(Some(Methods::PASSWORD), |text| text.parse().ok())
    })?;
    match (name.as_str(), columns) {
        ("waiting", _) => Ok(UserCodeStatus::Waiting),
        ("denied", _) => Ok(UserCodeStatus::Denied),
        (
            "allowed",
            (
                Some(user_id),
                Some(consent_id),
                Some(consent_epoch),
                Some(scopes),
                Some(session_id),
                Some(auth_time),
            ),
        ) => Ok(UserCodeStatus::Allowed(Allowed {
            user_id,
            consent_id,
            consent_epoch,
            scopes,
            session_id,
            auth_time,
            methods,
        })),
        _ => Err(unreadable("user code")),
    }
}
