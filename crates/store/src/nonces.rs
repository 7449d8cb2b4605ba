//! Table `nonces`: how far the nonces of each partner key have got. What the marks mean is decided
//! by `domain::nonce`.

use domain::id::PartnerKeyId;

use crate::{DbError, Tx, bind};

/// Everything up to here may have been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    pub increasing: i64,
    pub moments: i64,
}

impl Marks {
    /// Of a key that has signed nothing.
    pub const NONE: Self = Self { increasing: -1, moments: i64::MIN };
}

pub async fn find(tx: &mut Tx<'_>, key: PartnerKeyId) -> Result<Marks, DbError> {
    let sql = "SELECT mark, moments_mark FROM nonces WHERE key_id = $1";
    match tx.query_opt(sql, bind![key]).await? {
        Some(mut row) => Ok(Marks { increasing: row.take()?, moments: row.take()? }),
        None => Ok(Marks::NONE),
    }
}

/// Reserve everything from `from` to `until`. `false`: somebody has got as far as `from`, or the
/// key has ended.
pub async fn reserve(
    tx: &mut Tx<'_>,
    key: PartnerKeyId,
    from: i64,
    until: i64,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "INSERT INTO nonces (key_id, mark, moments_mark) \
             SELECT id, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM partner_keys WHERE id = $1 \
             ON CONFLICT (key_id) DO UPDATE SET mark = EXCLUDED.mark WHERE nonces.mark < $4",
            bind![key, until, Marks::NONE.moments, from],
        )
        .await?;
    Ok(changed == 1)
}

/// Moments up to `until` may be used by the only node there is. `false`: the key has ended.
pub async fn reserve_moments(
    tx: &mut Tx<'_>,
    key: PartnerKeyId,
    until: i64,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "INSERT INTO nonces (key_id, mark, moments_mark) \
             SELECT id, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM partner_keys WHERE id = $1 \
             ON CONFLICT (key_id) DO UPDATE SET moments_mark = \
             CASE WHEN nonces.moments_mark < EXCLUDED.moments_mark \
             THEN EXCLUDED.moments_mark ELSE nonces.moments_mark END",
            bind![key, Marks::NONE.increasing, until],
        )
        .await?;
    Ok(changed == 1)
}

/// Give back what of a reserve was not used, unless somebody has gone on from there.
pub async fn give_back(
    tx: &mut Tx<'_>,
    key: PartnerKeyId,
    (reserved, used): (i64, i64),
) -> Result<(), DbError> {
    let sql = "UPDATE nonces SET mark = $3 WHERE key_id = $1 AND mark = $2";
    tx.execute(sql, bind![key, reserved, used]).await?;
    Ok(())
}

/// The same for moments.
pub async fn give_back_moments(
    tx: &mut Tx<'_>,
    key: PartnerKeyId,
    (reserved, used): (i64, i64),
) -> Result<(), DbError> {
    let sql = "UPDATE nonces SET moments_mark = $3 WHERE key_id = $1 AND moments_mark = $2";
    tx.execute(sql, bind![key, reserved, used]).await?;
    Ok(())
}
