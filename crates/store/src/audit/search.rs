//! The trail for people and programs that look for something in it. Nearly every filter is served
//! by an index in the order of the page, so a page costs the same in a trail of a million rows. The
//! order is that of writing; moments of different nodes may differ by their clocks.

use std::time::Duration;

use domain::audit::{AuditActor, AuditKind};
use domain::id::{AppId, ConsentId, GrantId, UserId};
use domain::time::Timestamp;

use super::{AuditRow, read};
use crate::value::Value;
use crate::{DbError, Tx, bind};

/// A row may be written so much later than its moment says: in a long transaction, or by a node
/// whose clock is off.
const SKEW_MAX: Duration = Duration::from_secs(10 * 60);

/// Which events; `None`: whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub kind: Option<AuditKind>,
    /// A command line without a user of the machine: any.
    pub actor: Option<AuditActor>,
    pub app: Option<AppId>,
    pub user: Option<UserId>,
    pub consent: Option<ConsentId>,
    pub grant: Option<GrantId>,
    /// With it and later.
    pub from: Option<Timestamp>,
    /// Before it.
    pub until: Option<Timestamp>,
}

/// The oldest first, and the newest first. `$drive`: what leads to an index; `$by`: what is in
/// front of the position there.
macro_rules! search {
    ($drive:literal) => {
        [search!(= $drive, "position"), search!(= $drive, "position DESC")]
    };
    ($drive:literal, $by:literal) => {
        [
            search!(= $drive, concat!($by, ", position")),
            search!(= $drive, concat!($by, " DESC, position DESC")),
        ]
    };
    (= $drive:literal, $order:expr) => {
        concat!(
            "SELECT position, at, kind, actor_kind, actor_id, app_id, user_id, consent_id, \
             grant_id, address, detail, seal FROM audit WHERE ",
            $drive,
            " AND position > $1 AND position < $2 AND at >= $3 AND at < $4 \
             AND ($5 = '' OR kind = $5) AND ($6 = '' OR actor_kind = $6) \
             AND ($7 = '' OR actor_id = $7) AND ($8 = '' OR app_id = $8) \
             AND ($9 = '' OR user_id = $9) AND ($10 = '' OR consent_id = $10) \
             AND ($11 = '' OR grant_id = $11) ORDER BY ",
            $order,
            " LIMIT $12"
        )
    };
}

impl AuditFilter {
    /// The narrowest filter that there is drives the search. What a token of the admin API did is
    /// looked for in the whole trail.
    fn sql(&self) -> [&'static str; 2] {
        match self {
            Self { grant: Some(_), .. } => search!("grant_id = $11"),
            Self { consent: Some(_), .. } => search!("consent_id = $10"),
            Self { user: Some(_), .. } => search!("user_id = $9"),
            Self { actor: Some(AuditActor::User(_)), .. } => {
                search!("actor_kind = 'user' AND actor_id = $7")
            }
            // What an app does concerns it.
            Self { actor: Some(AuditActor::App(_)), .. } => search!("app_id = $7"),
            Self { actor: Some(AuditActor::CommandLine { .. }), .. } => {
                search!("actor_kind = 'cli'")
            }
            // The most frequent kind is left out of the index of both.
            Self { app: Some(_), kind: None | Some(AuditKind::GrantCreated), .. } => {
                search!("app_id = $8")
            }
            Self { app: Some(_), .. } => {
                search!("app_id = $8 AND kind = $5 AND kind <> 'grant.created'")
            }
            // With `kind = $5` PostgreSQL would go through all events for a kind that is rare.
            Self { kind: Some(_), .. } => {
                search!("(kind, position) > ($5, $1) AND (kind, position) < ($5, $2)", "kind")
            }
            Self { actor: Some(AuditActor::System), .. } => search!("actor_kind = 'system'"),
            _ => search!("position > 0"),
        }
    }
}

/// What `filter` lets through between two positions, neither of them itself; the `newest` first, or
/// the oldest; at most `limit`.
pub async fn page(
    tx: &mut Tx<'_>,
    filter: &AuditFilter,
    between: (i64, i64),
    newest: bool,
    limit: i64,
) -> Result<Vec<AuditRow>, DbError> {
    let (mut after, mut before) = between;
    if let Some(from) = filter.from {
        let first = first_written_at(tx, from.before(SKEW_MAX)).await?;
        after = after.max(first.saturating_sub(1));
    }
    if let Some(until) = filter.until {
        before = before.min(first_written_at(tx, until.after(SKEW_MAX)).await?);
    }
    let (actor_kind, actor_id) = filter.actor.map_or(("", None), AuditActor::texts);
    let text = |id: Option<String>| Value::from(id.unwrap_or_default());
    let values = [
        Value::from(after),
        Value::from(before),
        filter.from.unwrap_or(Timestamp::from_millis(i64::MIN)).into(),
        filter.until.unwrap_or(Timestamp::from_millis(i64::MAX)).into(),
        filter.kind.map_or("", AuditKind::as_str).into(),
        actor_kind.into(),
        text(actor_id),
        text(filter.app.map(|id| id.to_string())),
        text(filter.user.map(|id| id.to_string())),
        text(filter.consent.map(|id| id.to_string())),
        text(filter.grant.map(|id| id.to_string())),
        limit.into(),
    ];
    let [oldest_first, newest_first] = filter.sql();
    let rows = tx.query_all(if newest { newest_first } else { oldest_first }, &values).await?;
    rows.into_iter().map(read).collect()
}

/// The first position that was written at `at` or later, about: found by halving, since positions
/// grow with time. An index over moments would be one more to write with every event.
async fn first_written_at(tx: &mut Tx<'_>, at: Timestamp) -> Result<i64, DbError> {
    let sql = "SELECT position FROM audit ORDER BY position DESC LIMIT 1";
    let newest: i64 = tx.query_opt(sql, bind![]).await?.map_or(Ok(0), |mut row| row.take())?;
    let (mut low, mut high) = (1, newest.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "SELECT position, at FROM audit WHERE position >= $1 ORDER BY position LIMIT 1";
        let Some(mut row) = tx.query_opt(sql, bind![middle]).await? else {
            high = middle;
            continue;
        };
        let (position, written_at): (i64, Timestamp) = (row.take()?, row.take()?);
        if written_at >= at {
            high = middle;
        } else {
            low = position.saturating_add(1);
        }
    }
    Ok(low)
}

/// What an id is the id of, as far as the trail knows.
pub async fn filter_of_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<AuditFilter>, DbError> {
    async fn is_there(tx: &mut Tx<'_>, sql: &'static str, id: &str) -> Result<bool, DbError> {
        Ok(tx.query_opt(sql, bind![id]).await?.is_some())
    }
    let none = AuditFilter::default();
    if is_there(tx, "SELECT position FROM audit WHERE grant_id = $1 LIMIT 1", id).await? {
        return Ok(Some(AuditFilter { grant: id.parse().ok(), ..none }));
    }
    if is_there(tx, "SELECT position FROM audit WHERE consent_id = $1 LIMIT 1", id).await? {
        return Ok(Some(AuditFilter { consent: id.parse().ok(), ..none }));
    }
    if is_there(tx, "SELECT position FROM audit WHERE app_id = $1 LIMIT 1", id).await? {
        return Ok(Some(AuditFilter { app: id.parse().ok(), ..none }));
    }
    if is_there(tx, "SELECT position FROM audit WHERE user_id = $1 LIMIT 1", id).await? {
        return Ok(Some(AuditFilter { user: id.parse().ok(), ..none }));
    }
    Ok(None)
}
