//! The trail for staff: filters, pages, one event with everything it says, and the filtered rows as
//! a file. Nothing here changes the trail, except that taking a copy is an event itself.

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::audit_chain::AuditRow;
use domain::id::{AppId, UserId};
use domain::time::Timestamp;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use protocol::params::Params;
use serde_json::json;
use store::audit::search::{self, AuditFilter};
use store::{DbError, Tx, apps, audit, users};

use super::csv;
use crate::actor::Reviewer;
use crate::address::ClientAddress;
use crate::display;
use crate::error::{PageError, form_query};
use crate::pages::views::{AuditEntry, AuditEventPage, AuditForm, AuditLog, Section};
use crate::provider::{Provider, Shared};
use crate::view;

/// Events on one page.
const SHOWN_MAX: usize = 50;
/// Rows of one export; a larger one is for the command line.
const EXPORT_ROWS_MAX: usize = 100_000;
/// Rows that are read at once.
const EXPORT_PAGE: i64 = 1_000;
/// Of a filter's text.
const TYPED_MAX: usize = 200;

/// What was typed, and what it means. A text that names nothing finds nothing and says so.
struct Asked {
    form: AuditForm,
    filter: AuditFilter,
    error: Option<&'static str>,
}

impl Asked {
    async fn read(provider: &Provider, params: &Params) -> Result<Self, PageError> {
        let text = |name: &str| -> Result<String, PageError> {
            let typed = params.one(name)?.unwrap_or_default().trim();
            Ok(typed.chars().take(TYPED_MAX).collect())
        };
        let form = AuditForm {
            kind: text("kind")?,
            actor: text("actor")?,
            app: text("app")?,
            user: text("user")?,
            id: text("id")?,
            from: text("from")?,
            until: text("until")?,
        };
        let typed = form.clone();
        let read = async move |tx: &mut Tx<'_>| Ok::<_, PageError>(meaning(tx, &typed).await?);
        let (filter, error) = match provider.store.db.read(read).await? {
            Ok(filter) => (filter, None),
            Err(error) => (AuditFilter::default(), Some(error)),
        };
        Ok(Self { form, filter, error })
    }
}

async fn meaning(
    tx: &mut Tx<'_>,
    form: &AuditForm,
) -> Result<Result<AuditFilter, &'static str>, DbError> {
    let mut filter = AuditFilter::default();
    if !form.id.is_empty() {
        match search::filter_of_id(tx, &form.id.to_lowercase()).await? {
            Some(found) => filter = found,
            None => return Ok(Err("No event has this id.")),
        }
    }
    if !form.kind.is_empty() {
        filter.kind = AuditKind::from_name(&form.kind);
        if filter.kind.is_none() {
            return Ok(Err("There is no such kind of event."));
        }
    }
    if !form.app.is_empty() {
        match find_app(tx, &form.app).await? {
            Some(id) => filter.app = Some(id),
            None => return Ok(Err("No app has this client id or id.")),
        }
    }
    if !form.user.is_empty() {
        match find_user(tx, &form.user).await? {
            Some(id) => filter.user = Some(id),
            None => return Ok(Err("No account has this address or id.")),
        }
    }
    filter.actor = match form.actor.as_str() {
        "" => None,
        "system" => Some(AuditActor::System),
        "cli" => Some(AuditActor::CommandLine { uid: None }),
        text => match (find_user(tx, text).await?, find_app(tx, text).await?) {
            (Some(id), _) => Some(AuditActor::User(id)),
            (None, Some(id)) => Some(AuditActor::App(id)),
            (None, None) => return Ok(Err("Nobody has this address, client id or id.")),
        },
    };
    let (Ok(from), Ok(until)) = (day(&form.from), day(&form.until)) else {
        return Ok(Err("Write days as 2026-05-03."));
    };
    filter.from = from.map(|(start, _)| start);
    // The day itself is meant too.
    filter.until = until.map(|(_, end)| end);
    Ok(Ok(filter))
}

/// When a day begins and ends; `None` for no text.
fn day(text: &str) -> Result<Option<(Timestamp, Timestamp)>, ()> {
    if text.is_empty() { Ok(None) } else { display::day(text).map(Some).ok_or(()) }
}

/// By client id or by id; one that is deleted is known by its id alone.
async fn find_app(tx: &mut Tx<'_>, text: &str) -> Result<Option<AppId>, DbError> {
    let found = apps::find_by_client_id(tx, text).await?;
    Ok(found.map(|app| app.id).or_else(|| text.parse().ok()))
}

async fn find_user(tx: &mut Tx<'_>, text: &str) -> Result<Option<UserId>, DbError> {
    let found = users::find_by_email(tx, text).await?;
    Ok(found.map(|user| user.id).or_else(|| text.parse().ok()))
}

fn params_of(query: Option<String>) -> Result<Params, PageError> {
    Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))
}

/// `GET /staff/audit`. `before` goes on behind the last event of the page before.
pub async fn list(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = params_of(query)?;
    let asked = Asked::read(&provider, &params).await?;
    let before = params.one("before")?.and_then(|text| text.parse::<i64>().ok());
    let (now, filter, is_wrong) = (provider.now(), asked.filter, asked.error.is_some());
    let read = async move |tx: &mut Tx<'_>| {
        let limit = i64::try_from(SHOWN_MAX + 1).unwrap_or(i64::MAX);
        let between = (0, before.unwrap_or(i64::MAX));
        let mut rows = match is_wrong {
            true => Vec::new(),
            false => search::page(tx, &filter, between, true, limit).await?,
        };
        let has_more = rows.len() > SHOWN_MAX;
        rows.truncate(SHOWN_MAX);
        let next = rows.last().filter(|_| has_more).map(|row| row.position);
        Ok::<_, PageError>((entries(tx, rows, now).await?, next))
    };
    let (entries, next) = provider.store.db.read_long(read).await?;
    let query = form_query(&asked.form.pairs());
    let link = |next: i64| format!("/staff/audit?{query}&before={next}");
    let page = AuditLog {
        layout: user.layout().in_section(Section::Audit),
        kinds: AuditKind::ALL.iter().map(|kind| kind.as_str()).collect(),
        next: next.map(link),
        export_query: query,
        export_max: EXPORT_ROWS_MAX as u64,
        error: asked.error,
        form: asked.form,
        entries,
    };
    view::page(&provider, &page)
}

/// With names where ids still have some.
async fn entries(
    tx: &mut Tx<'_>,
    rows: Vec<AuditRow>,
    now: Timestamp,
) -> Result<Vec<AuditEntry>, DbError> {
    let mut names = Names::default();
    let mut shown = Vec::new();
    for row in rows {
        let event = &row.event;
        let user = match event.user_id {
            Some(id) => Some(names.user(tx, id).await?),
            None => None,
        };
        let app = match event.app_id {
            Some(id) => Some(names.app(tx, id).await?),
            None => None,
        };
        shown.push(AuditEntry {
            position: row.position,
            at: display::moment(now, event.at),
            kind: event.kind.as_str(),
            actor: names.actor(tx, event.actor).await?,
            user: user.filter(|_| !matches!(event.actor, AuditActor::User(_))),
            app,
            address: event.address.map(|address| address.to_string()),
        });
    }
    Ok(shown)
}

/// Each is looked up once for a page.
#[derive(Default)]
struct Names {
    users: std::collections::HashMap<UserId, String>,
    apps: std::collections::HashMap<AppId, String>,
}

impl Names {
    async fn user(&mut self, tx: &mut Tx<'_>, id: UserId) -> Result<String, DbError> {
        if let Some(known) = self.users.get(&id) {
            return Ok(known.clone());
        }
        let name = users::find(tx, id).await?.map_or_else(|| id.to_string(), |user| user.email);
        self.users.insert(id, name.clone());
        Ok(name)
    }

    async fn app(&mut self, tx: &mut Tx<'_>, id: AppId) -> Result<String, DbError> {
        if let Some(known) = self.apps.get(&id) {
            return Ok(known.clone());
        }
        let name = apps::find(tx, id).await?.map_or_else(|| id.to_string(), |app| app.name);
        self.apps.insert(id, name.clone());
        Ok(name)
    }

    async fn actor(&mut self, tx: &mut Tx<'_>, actor: AuditActor) -> Result<String, DbError> {
        Ok(match actor {
            AuditActor::User(id) => self.user(tx, id).await?,
            AuditActor::App(id) => self.app(tx, id).await?,
            AuditActor::CommandLine { uid: Some(uid) } => format!("command line (uid {uid})"),
            AuditActor::CommandLine { uid: None } => "command line".to_owned(),
            AuditActor::AdminToken(id) => format!("admin token {id}"),
            AuditActor::System => "the server".to_owned(),
        })
    }
}

/// `GET /staff/audit/{position}`
pub async fn show(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Path(position): Path<String>,
) -> Result<Response, PageError> {
    let position: i64 = position.parse().map_err(|_| PageError::NotFound)?;
    let now = provider.now();
    let read = async move |tx: &mut Tx<'_>| {
        let row = audit::find(tx, position).await?.ok_or(PageError::NotFound)?;
        let entry = entries(tx, vec![row.clone()], now).await?.pop();
        Ok::<_, PageError>((row, entry.ok_or(PageError::NotFound)?))
    };
    let (row, entry) = provider.store.db.read(read).await?;
    let id = |id: Option<String>| id.unwrap_or_default();
    let page = AuditEventPage {
        layout: user.layout().in_section(Section::Audit),
        iso: display::iso(row.event.at),
        app_id: id(row.event.app_id.map(|id| id.to_string())),
        user_id: id(row.event.user_id.map(|id| id.to_string())),
        consent_id: id(row.event.consent_id.map(|id| id.to_string())),
        grant_id: id(row.event.grant_id.map(|id| id.to_string())),
        detail: serde_json::to_string_pretty(&row.event.detail).unwrap_or_default(),
        block: row.seal,
        entry,
    };
    view::page(&provider, &page)
}

/// `GET /staff/audit/export?format=jsonl|csv`: what the filters let through, newest first.
pub async fn export(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Reviewer(user): Reviewer,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = params_of(query)?;
    let asked = Asked::read(&provider, &params).await?;
    if let Some(error) = asked.error {
        return Err(PageError::BadRequest(error.into()));
    }
    let is_csv = match params.one("format")? {
        Some("csv") => true,
        Some("jsonl") | None => false,
        Some(_) => return Err(PageError::BadRequest("The format is jsonl or csv.".into())),
    };
    let actor = AuditActor::User(user.user.id);
    let filter_text = form_query(&asked.form.pairs());
    let event = AuditEvent::new(provider.now(), AuditKind::AuditExported, actor)
        .address(address)
        .detail(json!({ "filter": filter_text, "format": if is_csv { "csv" } else { "jsonl" } }));
    let write = async move |tx: &mut Tx<'_>| audit::record(tx, &event).await;
    provider.store.db.write(write).await?;
    let (kind, name) = match is_csv {
        true => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
        false => ("application/jsonl", "attachment; filename=\"audit.jsonl\""),
    };
    let rows = Rows { provider, filter: asked.filter, before: None, left: EXPORT_ROWS_MAX, is_csv };
    let mut response = Response::new(Body::from_stream(rows.stream()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(response)
}

/// A piece at a time: nothing is held but one page of rows.
struct Rows {
    provider: Shared,
    filter: AuditFilter,
    before: Option<i64>,
    left: usize,
    is_csv: bool,
}

impl Rows {
    fn stream(self) -> impl stream::Stream<Item = Result<Bytes, DbError>> {
        let head = self.is_csv.then(|| Ok(Bytes::from_static(csv::HEAD.as_bytes())));
        let rows = stream::try_unfold(self, async |mut rows| {
            let text = rows.next().await?;
            Ok((!text.is_empty()).then(|| (Bytes::from(text), rows)))
        });
        stream::StreamExt::chain(stream::iter(head), rows)
    }

    async fn next(&mut self) -> Result<String, DbError> {
        let (filter, between) = (self.filter, (0, self.before.unwrap_or(i64::MAX)));
        let limit = EXPORT_PAGE.min(i64::try_from(self.left).unwrap_or(EXPORT_PAGE));
        if limit == 0 {
            return Ok(String::new());
        }
        let read =
            async move |tx: &mut Tx<'_>| search::page(tx, &filter, between, true, limit).await;
        let page = self.provider.store.db.read_long(read).await?;
        self.left = self.left.saturating_sub(page.len());
        self.before = page.last().map(|row| row.position);
        let mut text = String::new();
        for row in &page {
            let at = display::iso(row.event.at);
            match self.is_csv {
                true => csv::push_row(&mut text, row, &at),
                false => {
                    text.push_str(&row.exported(&at).to_string());
                    text.push('\n');
                }
            }
        }
        Ok(text)
    }
}
