//! Table `audit_checkpoints`: signed statements about a block and everything before it. The sealer
//! makes one every few minutes, or when many blocks have come; whoever keeps one elsewhere can tell
//! later that nothing up to it was changed or cut off.

use std::time::Duration;

use domain::audit_chain::{Checkpoint, Seal, TrailError, hexadecimal};
use domain::keyring::Keyring;
use domain::time::Timestamp;
use protocol::jwk::Algorithm;

use super::read_seal;
use crate::value::Row;
use crate::{DbError, Tx, bind};

/// So long after the last one, if anything happened since.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(10 * 60);
/// Or after so many blocks.
pub const CHECKPOINT_BLOCKS: i64 = 100;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT c.number, c.made_at, c.row_total, s.hash, c.statement, c.public_key \
             FROM audit_checkpoints c JOIN audit_seals s ON s.number = c.number ",
            $rest
        )
    };
}

/// Sign the newest block if it is time, or at once if `is_wanted`. For
/// [`crate::Db::write_unchecked`]; of nodes that sign the same block, the first counts.
pub async fn make(
    tx: &mut Tx<'_>,
    keyring: &Keyring,
    is_wanted: bool,
    now: Timestamp,
) -> Result<Option<Checkpoint>, DbError> {
    // A block that another node is making has no rows yet.
    let sql = "SELECT number, row_count, hash FROM audit_seals WHERE row_count > 0 \
               ORDER BY number DESC LIMIT 1";
    let Some(seal) = tx.query_opt(sql, bind![]).await?.map(read_seal).transpose()? else {
        return Ok(None);
    };
    let sql = "SELECT number, made_at, row_total FROM audit_checkpoints \
               ORDER BY number DESC LIMIT 1";
    let last = tx.query_opt(sql, bind![]).await?;
    let (block, made_at, rows): (i64, Timestamp, u64) = match last {
        Some(mut row) => (row.take()?, row.take()?, row.take()?),
        None => (0, Timestamp::default(), 0),
    };
    let is_due = now.since(made_at) >= CHECKPOINT_EVERY
        || seal.number.saturating_sub(block) >= CHECKPOINT_BLOCKS;
    if seal.number <= block || !(is_due || is_wanted) {
        return Ok(None);
    }
    let sql = "SELECT CAST(COALESCE(SUM(row_count), 0) AS BIGINT) FROM audit_seals \
               WHERE number > $1 AND number <= $2";
    let more: u64 = tx.query_one(sql, bind![block, seal.number]).await?.take()?;
    let key = keyring.signing_key(Algorithm::EdDsa, now);
    let key = key.ok_or_else(|| DbError::bug("there is no key for checkpoints"))?;
    let checkpoint = Checkpoint::sign(key, keyring.issuer(), &seal, rows.saturating_add(more), now)
        .map_err(DbError::bug)?;
    insert(tx, &checkpoint).await?;
    Ok(Some(checkpoint))
}

async fn insert(tx: &mut Tx<'_>, checkpoint: &Checkpoint) -> Result<(), DbError> {
    let public_key = serde_json::to_string(&checkpoint.public_key).map_err(DbError::bug)?;
    let rows = i64::try_from(checkpoint.rows).map_err(DbError::bug)?;
    let sql = "INSERT INTO audit_checkpoints (number, made_at, row_total, statement, public_key) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let (number, made_at) = (checkpoint.number, checkpoint.at_ms);
    tx.execute(sql, bind![number, made_at, rows, &checkpoint.statement, public_key]).await?;
    Ok(())
}

/// In order, behind block `after`, at most `limit`.
pub async fn list(tx: &mut Tx<'_>, after: i64, limit: u32) -> Result<Vec<Checkpoint>, DbError> {
    let sql = select!("WHERE c.number > $1 ORDER BY c.number LIMIT $2");
    let rows = tx.query_all(sql, bind![after, i64::from(limit)]).await?;
    rows.into_iter().map(read).collect()
}

pub async fn newest(tx: &mut Tx<'_>) -> Result<Option<Checkpoint>, DbError> {
    let row = tx.query_opt(select!("ORDER BY c.number DESC LIMIT 1"), bind![]).await?;
    row.map(read).transpose()
}

/// Compare every checkpoint with the blocks, which must have been verified before. `newest`: the
/// last block there is. How many there are.
pub async fn verify(
    tx: &mut Tx<'_>,
    newest: Option<&Seal>,
) -> Result<Result<u64, TrailError>, DbError> {
    let sql = "SELECT number FROM audit_checkpoints ORDER BY number DESC LIMIT 1";
    let last: i64 = tx.query_opt(sql, bind![]).await?.map_or(Ok(0), |mut row| row.take())?;
    let found = newest.map_or(0, |seal| seal.number);
    if last > found {
        return Ok(Err(TrailError::CutOff { found, wanted: last }));
    }
    let (mut after, mut count) = (0, 0);
    loop {
        let page = list(tx, after, 100).await?;
        for checkpoint in &page {
            if let Err(error) = checkpoint.check(None) {
                return Ok(Err(error));
            }
            after = checkpoint.number;
            count += 1;
        }
        if page.is_empty() {
            return Ok(Ok(count));
        }
    }
}

fn read(mut row: Row) -> Result<Checkpoint, DbError> {
    let (number, at_ms, rows) = (row.take()?, row.take()?, row.take()?);
    let hash: [u8; 32] = row.take()?;
    let statement = row.take()?;
    let public_key: protocol::jwk::Jwk =
        row.take_as("public key", |text: String| serde_json::from_str(&text).ok())?;
    let (hash, key_id) = (hexadecimal(&hash), public_key.kid.clone());
    Ok(Checkpoint { number, rows, hash, at_ms, statement, key_id, public_key })
}
