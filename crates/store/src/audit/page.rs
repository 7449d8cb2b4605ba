//! Pages of the trail for people and programs that look for something in it: a filter leads to an
//! index, so that a page costs the same however long the trail is.

use std::time::Duration;

use domain::audit::{AuditActor, AuditKind};
use domain::id::{AppId, UserId};
use domain::time::Timestamp;

use super::search::first_written_at;
use super::{AuditRow, read};
use crate::{DbError, Tx, bind};

/// Clocks of nodes, and transactions that take their time: rows of a moment are not far apart.
const MARGIN: Duration = Duration::from_secs(300);

/// Which events a page shows; `None`: whatever it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter {
    pub app: Option<AppId>,
    pub user: Option<UserId>,
    pub kind: Option<AuditKind>,
    /// A command line without a user id: any.
    pub actor: Option<AuditActor>,
    pub since: Option<Timestamp>,
    /// Not itself.
    pub until: Option<Timestamp>,
}

macro_rules! pages {
    ($lead:literal) => {
        [pages!(= $lead, "ORDER BY position"), pages!(= $lead, "ORDER BY position DESC")]
    };
    ($lead:literal, $oldest_first:literal, $newest_first:literal) => {
        [pages!(= $lead, $oldest_first), pages!(= $lead, $newest_first)]
    };
    (= $lead:literal, $order:literal) => {
        concat!(
            "SELECT position, at, kind, actor_kind, actor_id, app_id, user_id, consent_id, \
             grant_id, address, detail, seal FROM audit WHERE ",
            $lead,
            " AND position > $2 AND position < $3 AND (CAST($4 AS TEXT) IS NULL OR user_id = $4) \
             AND (CAST($5 AS TEXT) IS NULL OR kind = $5) AND at >= $6 AND at < $7 \
             AND (CAST($9 AS TEXT) IS NULL OR actor_kind = $9) \
             AND (CAST($10 AS TEXT) IS NULL OR actor_id = $10) ",
            $order,
            " LIMIT $8"
        )
    };
}

/// At most `limit` between the positions `between`, neither of them itself; `newest` first or last.
pub async fn list_page(
    tx: &mut Tx<'_>,
    filter: &AuditFilter,
    between: (i64, i64),
    newest: bool,
    limit: i64,
) -> Result<Vec<AuditRow>, DbError> {
    let AuditFilter { app, user, kind, actor, since, until } = *filter;
    let (mut above, mut below) = between;
    if let Some(since) = since {
        let first = first_written_at(tx, since.before(MARGIN)).await?;
        above = above.max(first.saturating_sub(1));
    }
    if let Some(until) = until {
        below = below.min(first_written_at(tx, until.after(MARGIN)).await?);
    }
    let kind = kind.map(AuditKind::as_str);
    let (sqls, lead, user, kind) = match (app, user, kind) {
        (Some(app), user, kind @ (None | Some("grant.created"))) => {
            (pages!("app_id = $1"), Some(app.to_string()), user, kind)
        }
        (Some(app), user, kind) => (
            // An index of both, without the most frequent kind.
            pages!("app_id = $1 AND kind = $5 AND kind <> 'grant.created'"),
            Some(app.to_string()),
            user,
            kind,
        ),
        (None, Some(user), kind) => (pages!("user_id = $1"), Some(user.to_string()), None, kind),
        (None, None, kind) if actor.is_some() => {
            let (sqls, lead) = pages_by_actor(actor);
            (sqls, lead, None, kind)
        }
        (None, None, Some(kind)) => (
            // With `kind = $1` PostgreSQL would go through all events for a kind that is rare.
            pages!(
                "(kind, position) > ($1, $2) AND (kind, position) < ($1, $3)",
                "ORDER BY kind, position",
                "ORDER BY kind DESC, position DESC"
            ),
            Some(kind.to_owned()),
            None,
            Some(kind),
        ),
        (None, None, None) => (pages!("CAST($1 AS TEXT) IS NULL"), None, None, None),
    };
    let [oldest_first, newest_first] = sqls;
    let sql = if newest { newest_first } else { oldest_first };
    let since = since.map_or(i64::MIN, Timestamp::as_millis);
    let until = until.map_or(i64::MAX, Timestamp::as_millis);
    let (actor_kind, actor_id) = actor.map(AuditActor::texts).unzip();
    let actor_id = actor_id.flatten();
    let values = bind![lead, above, below, user, kind, since, until, limit, actor_kind, actor_id];
    tx.query_all(sql, values).await?.into_iter().map(read).collect()
}

/// Users, the server and commands have indexes; what an app does is among what concerns it; what a
/// token does is looked for in the whole trail.
fn pages_by_actor(actor: Option<AuditActor>) -> ([&'static str; 2], Option<String>) {
    match actor {
        Some(AuditActor::User(id)) => {
            (pages!("actor_kind = 'user' AND actor_id = $1"), Some(id.to_string()))
        }
        Some(AuditActor::App(id)) => (pages!("app_id = $1"), Some(id.to_string())),
        Some(AuditActor::System) => {
            (pages!("CAST($1 AS TEXT) IS NULL AND actor_kind = 'system'"), None)
        }
        Some(AuditActor::CommandLine { .. }) => {
            (pages!("CAST($1 AS TEXT) IS NULL AND actor_kind = 'cli'"), None)
        }
        _ => (pages!("CAST($1 AS TEXT) IS NULL"), None),
    }
}
