//! What became of an app's requests, for its developer: a page with filters, and a table to save.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use domain::app::App;
use domain::calendar::hour_of;
use domain::grant::Mode;
use domain::id::AppId;
use domain::request_log::{Entry, LOG_KEPT};
use domain::time::Timestamp;
use futures_util::stream::try_unfold;
use protocol::params::Params;
use store::request_log::Filter;
use store::{Tx, app_counts, request_log};

use super::frame;
use super::reasons::{self, REASONS};
use crate::actor::AppOwner;
use crate::error::{PageError, form_query};
use crate::pages::views::{AppRequests, AppTab, LoggedRequest, RequestFilter, Section};
use crate::provider::{Provider, Shared};
use crate::{csv, display, view};

const SHOWN_MAX: i64 = 50;
/// Rows of a saved table that are read at once.
const CSV_ROWS: i64 = 500;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the address of the page says.
struct Asked {
    typed: RequestFilter,
    filter: Filter,
    after: Option<(Timestamp, String)>,
}

impl Asked {
    fn read(query: Option<String>, now: Timestamp) -> Result<Self, PageError> {
        let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
        let text =
            |name| Ok::<_, PageError>(params.one(name)?.unwrap_or_default().trim().to_owned());
        let typed = RequestFilter {
            status: text("status")?,
            reason: text("reason")?,
            route: text("route")?,
            request_id: text("request_id")?,
            time: text("time")?,
        };
        let ago = match typed.time.as_str() {
            "hour" => Duration::from_secs(3600),
            "day" => DAY,
            _ => LOG_KEPT,
        };
        let statuses = match typed.status.as_str() {
            "2xx" => (200, 299),
            "3xx" => (300, 399),
            "4xx" => (400, 499),
            "5xx" => (500, 599),
            exact => exact.parse().map_or((0, 999), |status| (status, status)),
        };
        let (method, route) = match typed.route.split_once(' ') {
            Some((method, route)) => (method.to_uppercase(), route.trim().to_owned()),
            None => (String::new(), typed.route.clone()),
        };
        let reason = typed.reason.clone();
        let since = now.before(ago);
        let filter = Filter { statuses, reason, method, route, ..Filter::all(since, now) };
        let after = params.one("after")?.and_then(|text| {
            let (at, id) = text.split_once('-')?;
            Some((Timestamp::from_millis(at.parse().ok()?), id.to_owned()))
        });
        Ok(Self { typed, filter, after })
    }

    async fn list(
        &self,
        provider: &Provider,
        app: AppId,
        limit: i64,
    ) -> Result<Vec<Entry>, PageError> {
        let (filter, request_id) = (self.filter.clone(), self.typed.request_id.clone());
        let (at, id) = self.after.clone().unwrap_or_else(|| start(&filter));
        let read = async move |tx: &mut Tx<'_>| match request_id.as_str() {
            "" => request_log::list(tx, app, &filter, (at, &id), limit).await,
            request_id => request_log::find(tx, app, request_id).await,
        };
        Ok(provider.store.db.read_long(read).await?)
    }
}

/// Before the newest.
fn start(filter: &Filter) -> (Timestamp, String) {
    (filter.until.after(Duration::from_millis(1)), String::new())
}

pub async fn show(
    State(provider): State<Shared>,
    AppOwner { user, app }: AppOwner,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let now = provider.now();
    let asked = Asked::read(query, now)?;
    let mut entries = asked.list(&provider, app.id, SHOWN_MAX + 1).await?;
    let has_more = entries.len() > usize::try_from(SHOWN_MAX).unwrap_or_default();
    entries.truncate(usize::try_from(SHOWN_MAX).unwrap_or_default());
    let (id, since) = (app.id, asked.filter.since);
    let count = async move |tx: &mut Tx<'_>| {
        let happened = app_counts::sum(tx, id, hour_of(since)).await?;
        Ok::<_, PageError>((happened.listable(), request_log::count(tx, id, since).await?))
    };
    let (happened, listed) = provider.store.db.read_long(count).await?;
    let last = entries.last().filter(|_| has_more);
    let after = last.map(|entry| format!("{}-{}", entry.at.as_millis(), entry.request_id));
    let mut routes: Vec<_> =
        entries.iter().map(|entry| format!("{} {}", entry.method, entry.route)).collect();
    routes.sort();
    routes.dedup();
    let filters = query_of(&asked.typed);
    let page = AppRequests {
        layout: user.layout().in_section(Section::Apps),
        frame: frame::frame(&app, AppTab::Requests),
        happened: happened.max(listed),
        listed,
        is_sampled: happened > listed,
        next: after.map(|after| format!("{filters}&{}", form_query(&[("after", &after)]))),
        csv: format!("/apps/{}/requests.csv?{filters}", app.id),
        reasons: REASONS.iter().map(|(name, words)| (*name, *words)).collect(),
        requests: entries.iter().map(|entry| shown(entry, now)).collect(),
        filter: asked.typed,
        routes,
    };
    view::page(&provider, &page)
}

fn query_of(filter: &RequestFilter) -> String {
    form_query(&[
        ("time", &filter.time),
        ("status", &filter.status),
        ("reason", &filter.reason),
        ("route", &filter.route),
        ("request_id", &filter.request_id),
    ])
}

fn shown(entry: &Entry, now: Timestamp) -> LoggedRequest {
    LoggedRequest {
        at: display::moment(now, entry.at),
        method: entry.method.clone(),
        route: entry.route.clone(),
        status: entry.status,
        reason: reasons::words(&entry.reason).to_owned(),
        detail: entry.detail.clone(),
        latency: latency(entry),
        request_id: entry.request_id.clone(),
        is_test: entry.mode == Some(Mode::Test),
        user: entry.user_mark.clone(),
    }
}

/// `12.3 ms`
fn latency(entry: &Entry) -> String {
    let tenths = entry.latency.as_micros() / 100;
    format!("{}.{} ms", tenths / 10, tenths % 10)
}

/// What the page lists, whole, while it is read.
pub async fn save(
    State(provider): State<Shared>,
    AppOwner { app, .. }: AppOwner,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let mut asked = Asked::read(query, provider.now())?;
    asked.after = Some(start(&asked.filter));
    let name =
        format!("requests-{}.csv", app.client_id.replace(|c: char| !c.is_alphanumeric(), "-"));
    Ok(csv::answer(&name, Body::from_stream(rows(provider, app, asked))))
}

fn rows(
    provider: Shared,
    app: App,
    asked: Asked,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    let head = csv::line(&[
        "time",
        "method",
        "route",
        "status",
        "reason",
        "detail",
        "latency",
        "request_id",
        "mode",
        "user",
    ]);
    try_unfold((asked, Some(head)), move |(mut asked, head)| {
        let (provider, app) = (provider.clone(), app.id);
        async move {
            if asked.after.is_none() {
                return Ok(None);
            }
            let entries = asked.list(&provider, app, CSV_ROWS).await;
            let entries = entries.map_err(|error| std::io::Error::other(error.to_string()))?;
            let is_last = i64::try_from(entries.len()).is_ok_and(|count| count < CSV_ROWS);
            let last = entries.last().filter(|_| !is_last && asked.typed.request_id.is_empty());
            asked.after = last.map(|entry| (entry.at, entry.request_id.clone()));
            let mut text = head.unwrap_or_default();
            entries.iter().for_each(|entry| text.push_str(&csv_line(entry)));
            Ok(Some((Bytes::from(text), (asked, None))))
        }
    })
}

fn csv_line(entry: &Entry) -> String {
    let mode = match entry.mode {
        Some(Mode::Live) => "live",
        Some(Mode::Test) => "test",
        None => "",
    };
    csv::line(&[
        &display::iso(entry.at),
        &entry.method,
        &entry.route,
        &entry.status.to_string(),
        reasons::words(&entry.reason),
        &entry.detail,
        &latency(entry),
        &entry.request_id,
        mode,
        &entry.user_mark,
    ])
}
