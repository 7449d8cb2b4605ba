//! Table `usage_of_grants`: what apps did, per grant and endpoint family, in coarse batches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use domain::id::{AppId, UserId};
use domain::time::Timestamp;
use domain::usage::{Use, UsedBy};

use crate::sets::{loads, of_many};
use crate::value::Row;
use crate::{DbError, Tx, bind, grants, partner_keys};

/// What an app did for a user with one endpoint family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyUse {
    pub family: String,
    pub calls: u64,
    /// Calls among them that were refused or failed (status 400 and above).
    pub refused: u64,
    pub last_at: Timestamp,
    pub last_address: IpAddr,
}

/// Calls since the last flush, added up in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch(HashMap<(UsedBy, String), Sum>);

#[derive(Clone, Copy, Debug)]
struct Sum {
    app_id: AppId,
    user_id: Option<UserId>,
    calls: i64,
    refused: i64,
    last_at: Timestamp,
    last_address: IpAddr,
}

/// More kinds of calls are not told apart until the next flush.
const BATCH_MAX: usize = 100_000;
/// Of one transaction: all that others write waits for it.
const ROWS_MAX: usize = 250;

impl Batch {
    pub(crate) fn add(&mut self, usage: Use) {
        let is_full = self.0.len() >= BATCH_MAX;
        let sum = match self.0.entry((usage.by, usage.family)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if is_full => return,
            Entry::Vacant(entry) => entry.insert(Sum {
                app_id: usage.app_id,
                user_id: usage.user_id,
                calls: 0,
                refused: 0,
                last_at: usage.at,
                last_address: usage.address,
            }),
        };
        sum.calls += 1;
        sum.refused += i64::from(usage.status >= 400);
        sum.last_at = sum.last_at.max(usage.at);
        sum.last_address = usage.address;
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// In parts that one transaction each writes, so that others get their turn between them. In
    /// one order, so that two nodes do not wait for one another.
    pub(crate) fn into_parts(self) -> Vec<Self> {
        let mut sums: Vec<_> = self.0.into_iter().collect();
        sums.sort_by(|a, b| a.0.cmp(&b.0));
        let mut parts = Vec::with_capacity(sums.len().div_ceil(ROWS_MAX));
        let mut sums = sums.into_iter().peekable();
        while sums.peek().is_some() {
            parts.push(Self(sums.by_ref().take(ROWS_MAX).collect()));
        }
        parts
    }

    /// Put `other`, which could not be stored, back in.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, sum) in other.0 {
            let kept = self.0.entry(key).or_insert(Sum { calls: 0, refused: 0, ..sum });
            kept.calls += sum.calls;
            kept.refused += sum.refused;
            kept.last_at = kept.last_at.max(sum.last_at);
        }
    }

    /// Add to what is stored. The times of last use of grants and keys move along.
    pub(crate) async fn store(&self, tx: &mut Tx<'_>) -> Result<(), DbError> {
        let mut sums: Vec<_> = self.0.iter().collect();
        sums.sort_by(|a, b| a.0.cmp(b.0));
        for ((by, family), sum) in sums {
            // Ids are random: those of grants and of keys have one column.
            let id = match by {
                UsedBy::Grant(id) => id.to_string(),
                UsedBy::PartnerKey(id) => id.to_string(),
            };
            tx.execute(
                "INSERT INTO usage_of_grants (grant_id, family, app_id, user_id, calls, refused, \
                 last_at, last_address) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (grant_id, family) DO UPDATE SET \
                 calls = usage_of_grants.calls + EXCLUDED.calls, \
                 refused = usage_of_grants.refused + EXCLUDED.refused, \
                 last_at = EXCLUDED.last_at, last_address = EXCLUDED.last_address",
                bind![
                    id,
                    family,
                    sum.app_id,
                    sum.user_id,
                    sum.calls,
                    sum.refused,
                    sum.last_at,
                    sum.last_address.to_string(),
                ],
            )
            .await?;
            match by {
                UsedBy::Grant(id) => grants::touch(tx, *id, sum.last_at).await?,
                UsedBy::PartnerKey(id) => partner_keys::note_use(tx, *id, sum.last_at).await?,
            }
        }
        Ok(())
    }
}

/// Store single calls at once. For tests and imports; the gateway adds up in memory.
pub async fn add(tx: &mut Tx<'_>, uses: &[Use]) -> Result<(), DbError> {
    let mut batch = Batch::default();
    uses.iter().for_each(|usage| batch.add(usage.clone()));
    batch.store(tx).await
}

/// What `app` did for `user`, most called first.
pub async fn list_of(tx: &mut Tx<'_>, user: UserId, app: AppId) -> Result<Vec<FamilyUse>, DbError> {
    let rows = tx
        .query_all(
            "SELECT family, calls, refused, last_at, last_address FROM usage_of_grants \
             WHERE user_id = $1 AND app_id = $2 ORDER BY family, last_at DESC, grant_id",
            bind![user, app],
        )
        .await?;
    let mut families: Vec<FamilyUse> = Vec::new();
    for row in rows {
        let usage = read(row)?;
        match families.last_mut() {
            // The first of a family is its latest.
            Some(last) if last.family == usage.family => {
                last.calls = last.calls.saturating_add(usage.calls);
                last.refused = last.refused.saturating_add(usage.refused);
            }
            _ => families.push(usage),
        }
    }
    families.sort_by_key(|usage| std::cmp::Reverse(usage.calls));
    Ok(families)
}

/// When `app` last called anything for anyone.
pub async fn last_call_of_app(tx: &mut Tx<'_>, app: AppId) -> Result<Option<Timestamp>, DbError> {
    let sql = "SELECT MAX(last_at) FROM usage_of_grants WHERE app_id = $1";
    tx.query_one(sql, bind![app]).await?.take()
}

/// The same of each of `apps`. Those that never called anything are left out.
pub async fn last_calls_of(
    tx: &mut Tx<'_>,
    apps: &[AppId],
) -> Result<HashMap<AppId, Timestamp>, DbError> {
    // Grouped, all rows of an app would be read.
    let sql = of_many!(
        "SELECT a.id, (SELECT MAX(u.last_at) FROM usage_of_grants u WHERE u.app_id = a.id) \
         FROM apps a WHERE a.id",
        ""
    );
    let mut calls = HashMap::new();
    for load in loads(apps) {
        for mut row in tx.query_all(sql, &load).await? {
            let (app, at) = (row.take()?, row.take::<Option<Timestamp>>()?);
            calls.extend(at.map(|at| (app, at)));
        }
    }
    Ok(calls)
}

/// Whether anything was called by `app` in tests, and outside of them. Of a call whose grant is
/// gone nobody knows any more that it was a test.
pub async fn was_called(tx: &mut Tx<'_>, app: AppId) -> Result<(bool, bool), DbError> {
    let tests = "SELECT u.grant_id FROM grants g JOIN usage_of_grants u ON u.grant_id = g.id \
                 WHERE g.app_id = $1 AND g.mode = 'test' LIMIT 1";
    let others = "SELECT u.grant_id FROM usage_of_grants u LEFT JOIN grants g \
                  ON g.id = u.grant_id WHERE u.app_id = $1 AND COALESCE(g.mode, 'live') = 'live' \
                  LIMIT 1";
    let tests = tx.query_opt(tests, bind![app]).await?.is_some();
    Ok((tests, tx.query_opt(others, bind![app]).await?.is_some()))
}

/// Whether `app` was called outside of tests since `since`. Counts come in batches of a few
/// seconds.
pub async fn any_since(tx: &mut Tx<'_>, app: AppId, since: Timestamp) -> Result<bool, DbError> {
    let sql = "SELECT u.grant_id FROM usage_of_grants u LEFT JOIN grants g ON g.id = u.grant_id \
               WHERE u.app_id = $1 AND u.last_at >= $2 AND COALESCE(g.mode, 'live') = 'live' \
               LIMIT 1";
    Ok(tx.query_opt(sql, bind![app, since]).await?.is_some())
}

/// Delete at most `limit` rows that were not added to since `before`.
pub async fn sweep(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM usage_of_grants WHERE (grant_id, family) IN \
         (SELECT grant_id, family FROM usage_of_grants WHERE last_at <= $1 LIMIT $2)",
        bind![before, limit],
    )
    .await
}

fn read(mut row: Row) -> Result<FamilyUse, DbError> {
    Ok(FamilyUse {
        family: row.take()?,
        calls: row.take()?,
        refused: row.take()?,
        last_at: row.take()?,
        last_address: row.take_as("address", |text: String| text.parse().ok())?,
    })
}
