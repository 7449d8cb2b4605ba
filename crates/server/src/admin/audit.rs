//! The audit trail for whoever must show it to somebody or looks for something in it, whether it is
//! whole, and what users report about apps.

use axum::Json;
use axum::extract::State;
use domain::audit::{AuditActor, AuditKind};
use domain::audit_chain::{Checkpoint, hexadecimal};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::audit::search::{self, AuditFilter};
use store::audit::{AuditRow, checkpoints};
use store::{Tx, apps, audit};

use super::actor::Admin;
use super::apps::named;
use super::body::Asks;
use super::page::{Asked, Page, query};
use super::problem::{Problem, ProblemKind};
use super::rfc3339;
use super::schema::{choices, wire};
use super::users::find_user;
use crate::provider::Shared;
use crate::review::flags::report_text;

/// Events or checkpoints in one part of a copy.
const COPIED_MAX: u32 = 10_000;

choices! {
    /// In which order.
    pub enum Order { Newest = "newest", Oldest = "oldest", }
}

wire! {
    /// Something that happened.
    #[derive(Clone, Debug, Serialize)]
    pub struct Event {
        /// Its place in the trail.
        pub position: i64,
        /// When.
        pub at: String,
        /// What: `app.suspended`.
        pub kind: &'static str,
        /// `user:ID`, `app:ID`, `admin_token:ID`, `cli:UID` (a command, by the user of the
        /// machine) or `system`.
        pub actor: String,
        /// The app that it is about.
        pub app_id: Option<String>,
        /// The user that it is about.
        pub user_id: Option<String>,
        /// The consent that it is about.
        pub consent_id: Option<String>,
        /// The grant that it is about.
        pub grant_id: Option<String>,
        /// From where.
        pub address: Option<String>,
        /// What else there is to know.
        pub detail: Value,
        /// The block whose hash covers it; `null` for about a second.
        pub block: Option<i64>,
    }

    /// The trail is whole.
    #[derive(Clone, Debug, Serialize)]
    pub struct Verified {
        /// How many blocks it has.
        pub blocks: i64,
        /// Of the newest block. Kept elsewhere, it proves later that nothing up to it was
        /// rewritten.
        pub hash: String,
        /// How many checkpoints vouch for it.
        pub checkpoints: u64,
    }

    /// A part of a copy of the trail.
    #[derive(Clone, Debug, Serialize)]
    pub struct Copied {
        /// Events as a copy has them, block by block.
        pub events: Vec<Value>,
    }

    /// Signed checkpoints.
    #[derive(Clone, Debug, Serialize)]
    pub struct Checkpoints {
        /// In their order.
        pub checkpoints: Vec<Value>,
    }

    /// The checkpoint that was signed.
    #[derive(Clone, Debug, Serialize)]
    pub struct Signed {
        /// `null`: nothing was recorded since the last one.
        pub checkpoint: Option<Value>,
    }

    /// From where on.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct CopyQuery {
        /// The block of the last event that you have; 0 for the first part.
        pub block: Option<i64>,
        /// The position of the last event, or the number of the last checkpoint, that you have.
        pub after: Option<i64>,
    }

    /// Which events.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct AuditQuery {
        /// Only about this app: its client id.
        pub app: Option<String>,
        /// Only about this user: an id or an e-mail address.
        pub user: Option<String>,
        /// Only of this kind: `app.suspended`.
        pub kind: Option<String>,
        /// Only what this one did: `user:ID`, `app:ID`, `admin_token:ID`, `cli`, `cli:UID` or
        /// `system`.
        pub actor: Option<String>,
        /// Only from then on: `2026-04-02T09:00:00Z`.
        pub since: Option<String>,
        /// Only before then.
        pub until: Option<String>,
        /// Which come first; `newest` unless you say.
        pub order: Option<Order>,
        /// Events on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }

    /// What a user told staff about an app.
    #[derive(Clone, Debug, Serialize)]
    pub struct ReportRecord {
        /// When.
        pub at: String,
        /// The client id of the app, if it is still there.
        pub app: Option<String>,
        /// The id of the user.
        pub user_id: Option<String>,
        /// What the user wrote.
        pub text: String,
    }

    /// Which reports.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct ReportQuery {
        /// Only about this app: its client id.
        pub app: Option<String>,
        /// Reports on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }
}

query!(AuditQuery);
query!(ReportQuery);

pub async fn list(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<AuditQuery>,
) -> Result<Json<Page<Event>>, Problem> {
    let asked: Asked<i64> = Asked::of(&provider, "audit", &query)?;
    let kind = query.kind.as_deref().map(|name| {
        let unknown = || Problem::one_invalid("kind", &format!("there is no kind {name}"));
        AuditKind::from_name(name).ok_or_else(unknown)
    });
    let filter = AuditFilter {
        kind: kind.transpose()?,
        actor: query.actor.as_deref().map(actor).transpose()?,
        from: moment("since", query.since.as_deref())?,
        until: moment("until", query.until.as_deref())?,
        ..AuditFilter::default()
    };
    let newest = query.order != Some(Order::Oldest);
    let between = match (newest, asked.after) {
        (true, after) => (i64::MIN, after.unwrap_or(i64::MAX)),
        (false, after) => (after.unwrap_or(i64::MIN), i64::MAX),
    };
    let fetch = asked.fetch;
    let read = async move |tx: &mut Tx<'_>| {
        let mut filter = filter;
        if let Some(client_id) = &query.app {
            filter.app = Some(named(tx, client_id).await?.id);
        }
        if let Some(user) = &query.user {
            filter.user = Some(find_user(tx, user).await?.id);
        }
        Ok::<_, Problem>(search::page(tx, &filter, between, newest, fetch).await?)
    };
    let rows = provider.store.db.read_long(read).await?;
    asked.page(&provider, rows, |row| row.position, event)
}

fn actor(text: &str) -> Result<AuditActor, Problem> {
    let (kind, id) = text.split_once(':').map_or((text, None), |(kind, id)| (kind, Some(id)));
    let unknown = || Problem::one_invalid("actor", &format!("nobody is called {text}"));
    AuditActor::from_texts(kind, id.map(str::to_owned)).ok_or_else(unknown)
}

fn moment(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let wrong = |_| Problem::one_invalid(field, "write it as 2026-04-02T09:00:00Z");
    let parse = |text: &str| text.parse::<jiff::Timestamp>().map_err(wrong);
    let parsed = text.map(parse).transpose()?;
    Ok(parsed.map(|at| Timestamp::from_millis(at.as_millisecond())))
}

/// Block by block, as a copy is checked; events that are in no block yet are left out.
pub async fn copy(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<CopyQuery>,
) -> Result<Json<Copied>, Problem> {
    let from = (query.block.unwrap_or_default(), query.after.unwrap_or_default());
    if from == (0, 0) {
        // The copy begins: what was recorded before it is in it.
        provider.store.seal_audit().await?;
    }
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, Problem>(audit::list_sealed(tx, from, COPIED_MAX).await?)
    };
    let rows = provider.store.db.read_long(read).await?;
    let events = rows.iter().map(|row| row.exported(&rfc3339(row.event.at)));
    Ok(Json(Copied { events: events.collect() }))
}

pub async fn list_checkpoints(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<CopyQuery>,
) -> Result<Json<Checkpoints>, Problem> {
    let after = query.after.unwrap_or_default();
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, Problem>(checkpoints::list(tx, after, COPIED_MAX).await?)
    };
    let found = provider.store.db.read_long(read).await?;
    let checkpoints = found.iter().map(written).collect::<Result<_, _>>()?;
    Ok(Json(Checkpoints { checkpoints }))
}

/// Sign what is there now.
pub async fn make_checkpoint(
    State(provider): State<Shared>,
    _: Admin,
) -> Result<Json<Signed>, Problem> {
    let signed = provider.store.audit_checkpoint().await?;
    Ok(Json(Signed { checkpoint: signed.as_ref().map(written).transpose()? }))
}

fn written(checkpoint: &Checkpoint) -> Result<Value, Problem> {
    serde_json::to_value(checkpoint)
        .map_err(|error| Problem::new(ProblemKind::Internal, error.to_string()))
}

pub async fn verify(State(provider): State<Shared>, _: Admin) -> Result<Json<Verified>, Problem> {
    let read = async move |tx: &mut Tx<'_>| {
        let newest = match audit::verify(tx).await? {
            Ok(newest) => newest,
            Err(error) => return Ok(Err(error)),
        };
        let checked = checkpoints::verify(tx, newest.as_ref()).await?;
        Ok::<_, Problem>(checked.map(|count| (newest, count)))
    };
    let verified = provider.store.db.read_long(read).await?;
    let (newest, checkpoints) = verified.map_err(|error| Problem::conflict(error.to_string()))?;
    Ok(Json(Verified {
        blocks: newest.as_ref().map_or(0, |seal| seal.number),
        hash: newest.map(|seal| hexadecimal(&seal.hash)).unwrap_or_default(),
        checkpoints,
    }))
}

pub async fn reports(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<ReportQuery>,
) -> Result<Json<Page<ReportRecord>>, Problem> {
    let asked: Asked<i64> = Asked::of(&provider, "reports", &query)?;
    let (between, fetch) = ((i64::MIN, asked.after.unwrap_or(i64::MAX)), asked.fetch);
    let read = async move |tx: &mut Tx<'_>| {
        let app = match &query.app {
            Some(client_id) => Some(named(tx, client_id).await?.id),
            None => None,
        };
        let filter =
            AuditFilter { app, kind: Some(AuditKind::AppReported), ..AuditFilter::default() };
        let mut found = Vec::new();
        for row in search::page(tx, &filter, between, true, fetch).await? {
            let app = match row.event.app_id {
                Some(id) => apps::find(tx, id).await?,
                None => None,
            };
            found.push((
                row.position,
                ReportRecord {
                    at: rfc3339(row.event.at),
                    app: app.map(|app| app.client_id),
                    user_id: row.event.user_id.map(|id| id.to_string()),
                    text: report_text(&row.event).unwrap_or_default().to_owned(),
                },
            ));
        }
        Ok::<_, Problem>(found)
    };
    let found = provider.store.db.read_long(read).await?;
    asked.page(&provider, found, |(position, _)| *position, |(_, record)| record)
}

/// As the trail names actors.
pub(super) fn actor_text(actor: AuditActor) -> String {
    match actor {
        AuditActor::User(id) => format!("user:{id}"),
        AuditActor::App(id) => format!("app:{id}"),
        AuditActor::CommandLine { uid: Some(uid) } => format!("cli:{uid}"),
        AuditActor::CommandLine { uid: None } => "cli".to_owned(),
        AuditActor::AdminToken(id) => format!("admin_token:{id}"),
        AuditActor::System => "system".to_owned(),
    }
}

fn event(row: AuditRow) -> Event {
    let AuditRow { position, event, seal } = row;
    Event {
        position,
        at: rfc3339(event.at),
        kind: event.kind.as_str(),
        actor: actor_text(event.actor),
        app_id: event.app_id.map(|id| id.to_string()),
        user_id: event.user_id.map(|id| id.to_string()),
        consent_id: event.consent_id.map(|id| id.to_string()),
        grant_id: event.grant_id.map(|id| id.to_string()),
        address: event.address.map(|address| address.to_string()),
        detail: event.detail,
        block: seal,
    }
}
