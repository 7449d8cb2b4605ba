//! Tables `apps` and `client_ids`: an app and what it is called on the wire.

use domain::app::{App, AppKeys, AppKind, AppLifetimes, AppStatus, Approval, ScopeRequest, Turn};
use domain::condition::ReviewState;
use domain::grant::Mode;
use domain::id::{AppId, TeamId, UserId};
use domain::look_alike::skeleton;
use domain::team::Owner;
use domain::time::Timestamp;
use ipnet::IpNet;
use protocol::redirect_uri::RedirectUri;

use crate::value::{Row, Value, unreadable};
use crate::{DbError, Tx, bind};

mod columns;
pub mod review;

pub(crate) use columns::of_mode_name;
pub(crate) use names::fill_in;
pub use names::{
    AppFilter, list_by_name, list_live_reading_like, list_of_ids, list_page, search_of_dialect,
};

use names::search_text;

use columns::{
    KINDS, Status, awaits, json, name_of, normalize_name, of_json, of_name, read_proposed,
    registered, write_proposed,
};

macro_rules! select {
    ($rest:expr) => {
        concat!(
            "SELECT a.id, c.wire_id, a.kind, a.name, a.description, a.homepage, a.privacy_url, \
             a.terms_url, a.owner_id, a.publisher, a.status, a.status_at, a.status_note, \
             a.reviewed_at, a.reviewed_by, a.redirect_uris, a.requested, a.approved, \
             a.service_scopes, a.addresses, a.plan, \
             a.access_token_ms, a.refresh_idle_ms, a.grant_max_ms, \
             a.rotates_refresh_tokens, a.optional_ticked, c.dialect, \
             c.also_standard, a.created_at, a.proposed, a.asked_at, a.asked_note, a.changed_at, \
             a.paused_at, a.jwks, a.jwks_uri, a.has_webhooks, a.team_id, a.logo, \
             a.conditions, a.due_again_at, a.reminded_at, a.brand_verified_at, \
             a.brand_verified_by, a.assigned_to \
             FROM apps a JOIN client_ids c ON c.app_id = a.id AND c.mode = 'live' ",
            $rest
        )
    };
}

mod names;

/// `false`: the client id is taken.
pub async fn insert(tx: &mut Tx<'_>, app: &App) -> Result<bool, DbError> {
    let taken = "SELECT wire_id FROM client_ids WHERE wire_id = $1";
    if tx.query_opt(taken, bind![&app.client_id]).await?.is_some() {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO apps (id, kind, name, name_normalized, description, homepage, privacy_url, \
         terms_url, publisher, status, status_at, status_note, reviewed_at, reviewed_by, \
         redirect_uris, requested, approved, service_scopes, addresses, access_token_ms, \
         refresh_idle_ms, grant_max_ms, rotates_refresh_tokens, optional_ticked, proposed, \
         asked_at, asked_note, awaits, changed_at, paused_at, jwks, jwks_uri, logo, \
         skeleton, search_text, owner_id, team_id, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
         $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, \
         $35, $36, $37, $38)",
        &values(app)?,
    )
    .await?;
    for (wire_id, mode) in [(&app.client_id, "live"), (&app.test_client_id(), "test")] {
        tx.execute(
            "INSERT INTO client_ids (wire_id, app_id, mode, dialect, also_standard, source) \
             VALUES ($1, $2, $3, $4, $5, 'registered')",
            bind![wire_id, app.id, mode, app.dialect.as_ref(), app.also_standard],
        )
        .await?;
    }
    review::save(tx, app).await?;
    Ok(true)
}

/// Everything but id, client id, plan ([`save_plan`]), wire format ([`save_dialect`]), whose it is
/// ([`save_owner`]) and
/// time of creation.
pub async fn save(tx: &mut Tx<'_>, app: &App) -> Result<(), DbError> {
    if app.mode != Mode::Live {
        return Err(DbError::Corrupt("an app as it is in tests was to be stored".to_owned()));
    }
    let mut values = values(app)?;
    values.truncate(35);
    tx.execute(
        "UPDATE apps SET kind = $2, name = $3, name_normalized = $4, description = $5, \
         homepage = $6, privacy_url = $7, terms_url = $8, publisher = $9, status = $10, \
         status_at = $11, status_note = $12, reviewed_at = $13, reviewed_by = $14, \
         redirect_uris = $15, requested = $16, approved = $17, service_scopes = $18, \
         addresses = $19, access_token_ms = $20, refresh_idle_ms = $21, grant_max_ms = $22, \
         rotates_refresh_tokens = $23, optional_ticked = $24, proposed = $25, asked_at = $26, \
         asked_note = $27, awaits = $28, changed_at = $29, paused_at = $30, jwks = $31, \
         jwks_uri = $32, logo = $33, skeleton = $34, search_text = $35 WHERE id = $1",
        &values,
    )
    .await?;
    review::save(tx, app).await
}

/// Which wire formats it speaks. Grants of a format that it gives up are refused from now on.
pub async fn save_dialect(tx: &mut Tx<'_>, app: &App) -> Result<(), DbError> {
    tx.execute(
        "UPDATE client_ids SET dialect = $2, also_standard = $3 WHERE app_id = $1",
        bind![app.id, app.dialect.as_ref(), app.also_standard],
    )
    .await?;
    Ok(())
}

/// Whose it is.
pub async fn save_owner(tx: &mut Tx<'_>, app: &App) -> Result<(), DbError> {
    tx.execute(
        "UPDATE apps SET owner_id = $2, team_id = $3 WHERE id = $1",
        bind![app.id, app.owner, app.team],
    )
    .await?;
    Ok(())
}

/// The plan that the app has from now on; `None`: the default one.
pub async fn save_plan(tx: &mut Tx<'_>, id: AppId, plan: Option<&str>) -> Result<(), DbError> {
    tx.execute("UPDATE apps SET plan = $2 WHERE id = $1", bind![id, plan]).await?;
    Ok(())
}

/// With its client id, secrets, consents and grants.
pub async fn delete(tx: &mut Tx<'_>, id: AppId) -> Result<(), DbError> {
    tx.execute("DELETE FROM apps WHERE id = $1", bind![id]).await?;
    Ok(())
}

pub async fn find(tx: &mut Tx<'_>, id: AppId) -> Result<Option<App>, DbError> {
    let row = tx.query_opt(select!("WHERE a.id = $1"), bind![id]).await?;
    row.map(read).transpose()
}

/// As it is known in `mode`.
pub async fn find_in_mode(tx: &mut Tx<'_>, id: AppId, mode: Mode) -> Result<Option<App>, DbError> {
    let found = find(tx, id).await?;
    Ok(match mode {
        Mode::Live => found,
        Mode::Test => found.map(App::in_test_mode),
    })
}

/// By what it is called on the wire outside of tests, compared exactly.
pub async fn find_by_client_id(tx: &mut Tx<'_>, client_id: &str) -> Result<Option<App>, DbError> {
    let row = tx.query_opt(select!("WHERE c.wire_id = $1"), bind![client_id]).await?;
    row.map(read).transpose()
}

/// Whose client id it is, and in which mode.
pub(crate) async fn find_id_by_client_id(
    tx: &mut Tx<'_>,
    client_id: &str,
) -> Result<Option<(AppId, Mode)>, DbError> {
    let sql = "SELECT app_id, mode FROM client_ids WHERE wire_id = $1";
    let row = tx.query_opt(sql, bind![client_id]).await?;
    row.map(|mut row| Ok((row.take()?, row.take_as("mode", of_mode_name)?))).transpose()
}

/// Newest first: all for which the person answers, also those of teams.
pub async fn list_of_owner(tx: &mut Tx<'_>, owner: UserId) -> Result<Vec<App>, DbError> {
    let rows = tx
        .query_all(select!("WHERE a.owner_id = $1 ORDER BY a.created_at DESC, a.id"), bind![owner])
        .await?;
    rows.into_iter().map(read).collect()
}

/// The apps of a person or of a team, newest first: at most `limit` that are older than `before`
/// (when it was made, and its id).
pub async fn list_of(
    tx: &mut Tx<'_>,
    owner: Owner,
    before: (Timestamp, AppId),
    limit: i64,
) -> Result<Vec<App>, DbError> {
    let (at, id) = before;
    let rows = match owner {
        Owner::User(user) => {
            tx.query_all(
                select!(
                    "WHERE a.owner_id = $1 AND a.team_id IS NULL AND (a.created_at < $2 \
                     OR (a.created_at = $2 AND a.id < $3)) \
                     ORDER BY a.created_at DESC, a.id DESC LIMIT $4"
                ),
                bind![user, at, id, limit],
            )
            .await?
        }
        Owner::Team(team) => {
            tx.query_all(
                select!(
                    "WHERE a.team_id = $1 AND (a.created_at < $2 \
                     OR (a.created_at = $2 AND a.id < $3)) \
                     ORDER BY a.created_at DESC, a.id DESC LIMIT $4"
                ),
                bind![team, at, id, limit],
            )
            .await?
        }
    };
    rows.into_iter().map(read).collect()
}

/// All apps of a team, of which there are few (see the limit of the portal).
pub async fn list_of_team(tx: &mut Tx<'_>, team: TeamId) -> Result<Vec<App>, DbError> {
    let sql = select!("WHERE a.team_id = $1 ORDER BY a.created_at, a.id");
    let rows = tx.query_all(sql, bind![team]).await?;
    rows.into_iter().map(read).collect()
}

/// How many apps a person or a team has.
pub async fn count_of(tx: &mut Tx<'_>, owner: Owner) -> Result<u64, DbError> {
    let mut row = match owner {
        Owner::User(user) => {
            let sql = "SELECT COUNT(*) FROM apps WHERE owner_id = $1 AND team_id IS NULL";
            tx.query_one(sql, bind![user]).await?
        }
        Owner::Team(team) => {
            tx.query_one("SELECT COUNT(*) FROM apps WHERE team_id = $1", bind![team]).await?
        }
    };
    row.take()
}

/// How many apps a person can change: their own and those of their teams.
pub async fn count_for(tx: &mut Tx<'_>, user: UserId) -> Result<u64, DbError> {
    let sql = "SELECT (SELECT COUNT(*) FROM apps WHERE owner_id = $1 AND team_id IS NULL) \
               + (SELECT COUNT(*) FROM apps a JOIN team_members m ON m.team_id = a.team_id \
               WHERE m.user_id = $1)";
    tx.query_one(sql, bind![user]).await?.take()
}

/// What waits for staff (of rows that were written before the column was there, more than that), at
/// most `limit` after `after` (when it changed, and its id); whoever waits
/// longest first.
pub async fn list_for_review(
    tx: &mut Tx<'_>,
    after: (Timestamp, AppId),
    limit: i64,
) -> Result<Vec<App>, DbError> {
    list_awaiting(tx, "staff", after, limit).await
}

/// The same of what waits for `whom`: `staff` or `developer`.
pub async fn list_awaiting(
    tx: &mut Tx<'_>,
    whom: &str,
    after: (Timestamp, AppId),
    limit: i64,
) -> Result<Vec<App>, DbError> {
    let rows = tx
        .query_all(
            select!(
                "WHERE a.awaits = $4 AND a.changed_at >= $1 AND (a.changed_at > $1 \
                 OR a.id > $2) ORDER BY a.changed_at, a.id LIMIT $3"
            ),
            bind![after.0, after.1, limit, whom],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Live apps that staff have not looked at as they are, in the order of the queue.
pub async fn list_unreviewed(
    tx: &mut Tx<'_>,
    after: (Timestamp, AppId),
    limit: i64,
) -> Result<Vec<App>, DbError> {
    let rows = tx
        .query_all(
            select!(
                "WHERE a.status = 'live' AND a.reviewed_at IS NULL AND (a.changed_at > $1 \
                 OR (a.changed_at = $1 AND a.id > $2)) ORDER BY a.changed_at, a.id LIMIT $3"
            ),
            bind![after.0, after.1, limit],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Since when its developer waits for an answer; `None`: they have one.
pub async fn save_question(
    tx: &mut Tx<'_>,
    id: AppId,
    question_at: Option<Timestamp>,
) -> Result<(), DbError> {
    tx.execute("UPDATE apps SET question_at = $2 WHERE id = $1", bind![id, question_at]).await?;
    Ok(())
}

/// Apps whose developers wait for an answer, and since when; the longest first, at most `limit`.
pub async fn list_with_question(
    tx: &mut Tx<'_>,
    limit: i64,
) -> Result<Vec<(AppId, String, Timestamp)>, DbError> {
    let rows = tx
        .query_all(
            "SELECT id, name, question_at FROM apps WHERE question_at IS NOT NULL \
             ORDER BY question_at, id LIMIT $1",
            bind![limit],
        )
        .await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?, row.take()?))).collect()
}

/// How many wait for staff.
pub async fn count_for_review(tx: &mut Tx<'_>) -> Result<u64, DbError> {
    tx.query_one("SELECT COUNT(*) FROM apps WHERE awaits = 'staff'", &[]).await?.take()
}

fn values(app: &App) -> Result<Vec<Value<'_>>, DbError> {
    let status = Status::of(&app.status);
    let redirect_uris: Vec<&str> = app.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let addresses: Vec<String> = app.addresses.iter().map(IpNet::to_string).collect();
    let ms = |lifetime: Option<std::time::Duration>| {
        lifetime.map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    };
    let (jwks, jwks_uri) = match &app.keys {
        None => (None, None),
        Some(AppKeys::Pasted(text)) => (Some(text), None),
        Some(AppKeys::At(uri)) => (None, Some(uri)),
    };
    let (asked_at, asked_note) = match &app.turn {
        Turn::Staff => (None, None),
        Turn::Developer { asked_at, note } => (Some(*asked_at), Some(note)),
    };
    Ok(vec![
        app.id.into(),
        name_of(&KINDS, app.kind).into(),
        (&app.name).into(),
        normalize_name(&app.name).into(),
        (&app.description).into(),
        app.homepage.as_ref().into(),
        app.privacy_url.as_ref().into(),
        app.terms_url.as_ref().into(),
        (&app.publisher).into(),
        status.name.into(),
        status.at.into(),
        status.note.into(),
        status.reviewed_at.into(),
        status.reviewed_by.into(),
        json(&redirect_uris)?.into(),
        json(&app.requested)?.into(),
        (&app.approved).into(),
        (&app.service_scopes).into(),
        json(&addresses)?.into(),
        ms(app.lifetimes.access_token).into(),
        ms(app.lifetimes.refresh_idle).into(),
        ms(app.lifetimes.grant_max).into(),
        app.rotates_refresh_tokens.into(),
        app.optional_ticked.into(),
        app.proposed.as_ref().map(write_proposed).transpose()?.into(),
        asked_at.into(),
        asked_note.into(),
        awaits(app).into(),
        app.changed_at.into(),
        app.paused_at.into(),
        jwks.into(),
        jwks_uri.into(),
        app.logo.into(),
        skeleton(&app.name).into(),
        search_text(&app.name, &app.publisher, &app.client_id).into(),
        app.owner.into(),
        app.team.into(),
        app.created_at.into(),
    ])
}

fn read(mut row: Row) -> Result<App, DbError> {
    let duration =
        |ms: Option<i64>| ms.map(|ms| std::time::Duration::from_millis(ms.unsigned_abs()));
    let (id, client_id) = (row.take()?, row.take()?);
    let kind = row.take_as("kind of app", |name: String| of_name(&KINDS, &name))?;
    let app = App {
        id,
        client_id,
        kind,
        name: row.take()?,
        description: row.take()?,
        homepage: row.take()?,
        privacy_url: row.take()?,
        terms_url: row.take()?,
        owner: row.take()?,
        team: None,
        publisher: row.take()?,
        logo: None,
        status: read_status(&mut row)?,
        redirect_uris: row.take_as("redirect URI", |text: String| redirect_uris(kind, &text))?,
        requested: of_json::<Vec<ScopeRequest>>(&row.take::<String>()?)?,
        approved: row.take()?,
        service_scopes: row.take()?,
        addresses: row.take_as("address range", |text: String| addresses(&text))?,
        plan: row.take()?,
        lifetimes: AppLifetimes {
            access_token: duration(row.take()?),
            refresh_idle: duration(row.take()?),
            grant_max: duration(row.take()?),
        },
        rotates_refresh_tokens: row.take()?,
        optional_ticked: row.take()?,
        dialect: row.take()?,
        also_standard: row.take()?,
        created_at: row.take()?,
        proposed: row.take_as("revision", |text| read_proposed(kind, text))?,
        turn: read_turn(&mut row)?,
        changed_at: row.take()?,
        paused_at: row.take()?,
        keys: match (row.take()?, row.take()?) {
            (Some(text), _) => Some(AppKeys::Pasted(text)),
            (None, Some(uri)) => Some(AppKeys::At(uri)),
            (None, None) => None,
        },
        mode: Mode::Live,
        has_webhooks: row.take()?,
        review: ReviewState::default(),
    };
    Ok(App { team: row.take()?, logo: row.take()?, review: review::read(&mut row)?, ..app })
}

fn read_turn(row: &mut Row) -> Result<Turn, DbError> {
    let (asked_at, note): (Option<Timestamp>, Option<String>) = (row.take()?, row.take()?);
    Ok(asked_at.map_or(Turn::Staff, |asked_at| Turn::Developer {
        asked_at,
        note: note.unwrap_or_default(),
    }))
}

fn redirect_uris(kind: AppKind, json: &str) -> Option<Vec<RedirectUri>> {
    registered(kind, &serde_json::from_str::<Vec<String>>(json).ok()?)
}

fn addresses(json: &str) -> Option<Vec<IpNet>> {
    let nets: Vec<String> = serde_json::from_str(json).ok()?;
    nets.iter().map(|net| net.parse().ok()).collect()
}

fn read_status(row: &mut Row) -> Result<AppStatus, DbError> {
    let name: String = row.take()?;
    let at: Timestamp = row.take::<Option<Timestamp>>()?.unwrap_or_default();
    let note: String = row.take::<Option<String>>()?.unwrap_or_default();
    let approval = match (row.take()?, row.take()?) {
        (Some(at), Some(by)) => Approval::Reviewed { at, by },
        _ => Approval::Unreviewed,
    };
    match name.as_str() {
        "in_review" => Ok(AppStatus::InReview),
        "live" => Ok(AppStatus::Live { since: at, approval }),
        "rejected" => Ok(AppStatus::Rejected { at, note }),
        "suspended" => Ok(AppStatus::Suspended { at, reason: note, approval }),
        "retired" => Ok(AppStatus::Retired { at, approval }),
        _ => Err(unreadable("status of an app")),
    }
}
