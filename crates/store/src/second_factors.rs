//! Tables `totps`, `passkeys` and `recovery_codes`: what users have besides their password. What is
//! a right proof is decided by `domain::second_factor`; these statements let each count once.

use domain::id::{FactorId, UserId};
use domain::second_factor::{Enrolled, Passkey, Totp};
use domain::time::Timestamp;

use crate::value::Row;
use crate::{DbError, Tx, bind};

const TOTPS: &str = "SELECT id, user_id, name, secret, last_step, created_at, last_used_at \
     FROM totps WHERE user_id = $1 ORDER BY created_at, id";

macro_rules! select_passkeys {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, name, credential_id, public_key, signature_count, created_at, \
             last_used_at FROM passkeys ",
            $rest
        )
    };
}

/// Everything a user has.
pub async fn find_enrolled(tx: &mut Tx<'_>, user: UserId) -> Result<Enrolled, DbError> {
    let totps = tx.query_all(TOTPS, bind![user]).await?;
    let passkeys = select_passkeys!("WHERE user_id = $1 ORDER BY created_at, id");
    let passkeys = tx.query_all(passkeys, bind![user]).await?;
    let count = "SELECT CAST(COUNT(*) AS BIGINT) FROM recovery_codes WHERE user_id = $1";
    Ok(Enrolled {
        totps: totps.into_iter().map(read_totp).collect::<Result<_, _>>()?,
        passkeys: passkeys.into_iter().map(read_passkey).collect::<Result<_, _>>()?,
        recovery_codes_left: tx.query_one(count, bind![user]).await?.take()?,
    })
}

pub async fn insert_totp(tx: &mut Tx<'_>, totp: &Totp) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO totps (id, user_id, name, secret, last_step, created_at, last_used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        bind![
            totp.id,
            totp.user_id,
            &totp.name,
            &totp.secret,
            totp.last_step,
            totp.created_at,
            totp.last_used_at,
        ],
    )
    .await?;
    Ok(())
}

/// `false`: a code of this step, or of a later one, was used in the meantime.
pub async fn use_totp(
    tx: &mut Tx<'_>,
    id: FactorId,
    step: i64,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE totps SET last_step = $2, last_used_at = $3 WHERE id = $1 AND last_step < $2",
            bind![id, step, now],
        )
        .await?;
    Ok(changed == 1)
}

/// `false`: the device has been added before, by this user or another.
pub async fn insert_passkey(tx: &mut Tx<'_>, passkey: &Passkey) -> Result<bool, DbError> {
    let inserted = tx
        .execute(
            "INSERT INTO passkeys (id, user_id, name, credential_id, public_key, \
             signature_count, created_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT DO NOTHING",
            bind![
                passkey.id,
                passkey.user_id,
                &passkey.name,
                &passkey.credential_id,
                &passkey.public_key,
                passkey.signature_count,
                passkey.created_at,
                passkey.last_used_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

pub async fn find_passkey(
    tx: &mut Tx<'_>,
    credential_id: &[u8],
) -> Result<Option<Passkey>, DbError> {
    let sql = select_passkeys!("WHERE credential_id = $1");
    tx.query_opt(sql, bind![credential_id]).await?.map(read_passkey).transpose()
}

pub async fn use_passkey(
    tx: &mut Tx<'_>,
    id: FactorId,
    signature_count: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE passkeys SET signature_count = $2, last_used_at = $3 WHERE id = $1",
        bind![id, signature_count, now],
    )
    .await?;
    Ok(())
}

/// The name of what was removed; `None`: the user has no such factor.
pub async fn remove(
    tx: &mut Tx<'_>,
    user: UserId,
    id: FactorId,
) -> Result<Option<String>, DbError> {
    let find = [
        "SELECT name FROM totps WHERE id = $1 AND user_id = $2",
        "SELECT name FROM passkeys WHERE id = $1 AND user_id = $2",
    ];
    let delete = [
        "DELETE FROM totps WHERE id = $1 AND user_id = $2",
        "DELETE FROM passkeys WHERE id = $1 AND user_id = $2",
    ];
    for (find, delete) in find.into_iter().zip(delete) {
        if let Some(mut row) = tx.query_opt(find, bind![id, user]).await? {
            tx.execute(delete, bind![id, user]).await?;
            return Ok(Some(row.take()?));
        }
    }
    Ok(None)
}

/// Everything, recovery codes too. How many factors there were.
pub async fn remove_all(tx: &mut Tx<'_>, user: UserId) -> Result<u64, DbError> {
    let totps = tx.execute("DELETE FROM totps WHERE user_id = $1", bind![user]).await?;
    let passkeys = tx.execute("DELETE FROM passkeys WHERE user_id = $1", bind![user]).await?;
    replace_recovery_codes(tx, user, &[], Timestamp::default()).await?;
    Ok(totps.saturating_add(passkeys))
}

/// The codes of before mean nothing any more.
pub async fn replace_recovery_codes(
    tx: &mut Tx<'_>,
    user: UserId,
    macs: &[[u8; 16]],
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute("DELETE FROM recovery_codes WHERE user_id = $1", bind![user]).await?;
    for mac in macs {
        tx.execute(
            "INSERT INTO recovery_codes (user_id, mac, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
            bind![user, mac, now],
        )
        .await?;
    }
    Ok(())
}

/// `false`: the user has no such code, or it was used.
pub async fn use_recovery_code(
    tx: &mut Tx<'_>,
    user: UserId,
    mac: &[u8; 16],
) -> Result<bool, DbError> {
    let sql = "DELETE FROM recovery_codes WHERE user_id = $1 AND mac = $2";
    Ok(tx.execute(sql, bind![user, mac]).await? == 1)
}

fn read_totp(mut row: Row) -> Result<Totp, DbError> {
    Ok(Totp {
        id: row.take()?,
        user_id: row.take()?,
        name: row.take()?,
        secret: row.take()?,
        last_step: row.take()?,
        created_at: row.take()?,
        last_used_at: row.take()?,
    })
}

fn read_passkey(mut row: Row) -> Result<Passkey, DbError> {
    Ok(Passkey {
        id: row.take()?,
        user_id: row.take()?,
        name: row.take()?,
        credential_id: row.take()?,
        public_key: row.take()?,
        signature_count: row.take()?,
        created_at: row.take()?,
        last_used_at: row.take()?,
    })
}
