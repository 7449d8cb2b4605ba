//! The trail for people: newest first, by what somebody looks for. Every filter is served by an
//! index in the order of the page, so a page costs the same in a trail of a million rows. The order
//! is that of writing; moments of different nodes may differ by their clocks.

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

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub kind: Option<AuditKind>,
    pub actor: Option<ActorFilter>,
    pub app: Option<AppId>,
    pub user: Option<UserId>,
    pub consent: Option<ConsentId>,
    pub grant: Option<GrantId>,
    /// With it and later.
    pub from: Option<Timestamp>,
    /// Before it.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorFilter {
    User(UserId),
    App(AppId),
    /// Whoever uses the command line.
    CommandLine,
    System,
}

/// What every statement says besides the filter that drives it.
macro_rules! search {
    ($drive:literal) => {
        search!($drive, "position DESC")
    };
    ($drive:literal, $order:literal) => {
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
    /// The narrowest filter that there is drives the search.
    fn sql(&self) -> &'static str {
        match self {
            Self { grant: Some(_), .. } => search!("grant_id = $11"),
            Self { consent: Some(_), .. } => search!("consent_id = $10"),
            Self { user: Some(_), .. } => search!("user_id = $9"),
            Self { actor: Some(ActorFilter::User(_)), .. } => {
                search!("actor_kind = 'user' AND actor_id = $7")
            }
            // What an app does concerns it.
            Self { actor: Some(ActorFilter::App(_)), .. } => search!("app_id = $7"),
            Self { actor: Some(ActorFilter::CommandLine), .. } => search!("actor_kind = 'cli'"),
            // The most frequent kind is left out of the index of both.
            Self { app: Some(_), kind: None | Some(AuditKind::GrantCreated), .. } => {
                search!("app_id = $8")
            }
            Self { app: Some(_), .. } => {
                search!("app_id = $8 AND kind = $5 AND kind <> 'grant.created'")
            }
            // With `kind = $5` PostgreSQL would go through all events for a kind that is rare.
            Self { kind: Some(_), .. } => search!(
                "(kind, position) > ($5, $1) AND (kind, position) < ($5, $2)",
                "kind DESC, position DESC"
            ),
            Self { actor: Some(ActorFilter::System), .. } => search!("actor_kind = 'system'"),
            _ => search!("position > 0"),
        }
    }

    fn actor_texts(&self) -> (&'static str, Option<String>) {
        match self.actor {
            None => ("", None),
            Some(ActorFilter::User(id)) => AuditActor::User(id).texts(),
            Some(ActorFilter::App(id)) => AuditActor::App(id).texts(),
            Some(ActorFilter::CommandLine) => ("cli", None),
            Some(ActorFilter::System) => ("system", None),
        }
    }
}

/// What `filter` lets through before `before` (`None`: from the newest on), newest first, at most
/// `limit`.
pub async fn page(
    tx: &mut Tx<'_>,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AuditRow>, DbError> {
    let after = match filter.from {
        Some(from) => first_written_at(tx, from.before(SKEW_MAX)).await?.saturating_sub(1),
        None => 0,
    };
    let mut before = before.unwrap_or(i64::MAX);
    if let Some(until) = filter.until {
        before = before.min(first_written_at(tx, until.after(SKEW_MAX)).await?);
    }
    let (actor_kind, actor_id) = filter.actor_texts();
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
        i64::from(limit).into(),
    ];
    let rows = tx.query_all(filter.sql(), &values).await?;
    rows.into_iter().map(read).collect()
}

/// The first position that was written at `at` or later, about: found by halving, since positions
/// grow with time. An index over moments would be one more to write with every event.
pub(super) async fn first_written_at(tx: &mut Tx<'_>, at: Timestamp) -> Result<i64, DbError> {
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
