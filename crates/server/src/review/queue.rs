//! The review queue: apps that wait for staff, and the decision per scope. A decision names the
//! state of the app that the reviewer saw; if the developer changed it since, they look again.

use std::fmt;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use domain::app::App;
use domain::app_message::AppMessage;
use domain::audit::AuditEvent;
use domain::change::Change;
use domain::id::{AppId, UserId};
use domain::time::Timestamp;
use protocol::params::Params;
use store::{Tx, apps, audit, changes, teams};

use super::candidate::Candidate;
use super::messages;
use super::verdict::Verdict;
use crate::actor::{Reviewer, SignedForm};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::Told;
use crate::pages::views::{Question, ReviewApp, ReviewQueue, Section, ThreadMessage};
use crate::provider::{Provider, Shared};
use crate::{app_news, display, thread, view};

/// Apps on one page of the queue.
const SHOWN_MAX: usize = 50;
/// Developers who wait for an answer, on the first page of the queue.
const QUESTIONS_MAX: i64 = 50;

/// `?after=` goes on behind the last app of the page before.
pub async fn list(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Told(flash): Told,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let after = params.one("after")?.and_then(Place::parse);
    let (now, policy, is_first) = (provider.now(), provider.policy(), after.is_none());
    let Place(at, id) = after.unwrap_or(Place::START);
    let limit = i64::try_from(SHOWN_MAX + 1).unwrap_or(i64::MAX);
    let read = async move |tx: &mut Tx<'_>| {
        let mut waiting = apps::list_for_review(tx, (at, id), limit).await?;
        let has_more = waiting.len() > SHOWN_MAX;
        waiting.truncate(SHOWN_MAX);
        let last = waiting.last().filter(|_| has_more).map(|app| Place(app.changed_at, app.id));
        // Of rows that were written before the column was there, it says too much.
        waiting.retain(App::awaits_review);
        let mut entries = Vec::new();
        for app in waiting {
            let candidate = Candidate::load_brief(tx, app).await?;
            entries.push(candidate.entry(&policy, now));
        }
        let questions = match is_first {
            true => apps::list_with_question(tx, QUESTIONS_MAX).await?,
            false => Vec::new(),
        };
        Ok::<_, PageError>((entries, last, questions))
    };
    let (entries, last, questions) = provider.store.db.read_long(read).await?;
    let question = |(id, name, at): (AppId, String, Timestamp)| Question {
        id: id.to_string(),
        name,
        since: display::moment(now, at),
    };
    let page = ReviewQueue {
        layout: user.layout().in_section(Section::Review).with_flash(flash),
        entries,
        next: last.map(|place| place.to_string()),
        questions: questions.into_iter().map(question).collect(),
    };
    view::page(&provider, &page)
}

/// A place in the queue: when an app was changed, and its id.
#[derive(Clone, Copy)]
struct Place(Timestamp, AppId);

impl Place {
    const START: Self = Self(Timestamp::from_millis(i64::MIN), AppId::from_bytes([0; 16]));

    fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('-')?;
        Some(Self(Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.as_millis(), self.1)
    }
}

pub async fn show(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (candidate, thread) = load(&provider, parse_id(&id)?).await?;
    let page = candidate.page(&user, &provider.policy(), provider.now());
    view::page(&provider, &ReviewApp { thread, ..page })
}

async fn load(
    provider: &Provider,
    id: AppId,
) -> Result<(Candidate, Vec<ThreadMessage>), PageError> {
    let now = provider.now();
    let read = async move |tx: &mut Tx<'_>| {
        let app = apps::find(tx, id).await?.filter(App::awaits_review);
        let app = app.ok_or(PageError::NotFound)?;
        let thread = thread::load(tx, id, now).await?;
        Ok::<_, PageError>((Candidate::load_whole(tx, app).await?, thread))
    };
    provider.store.db.read(read).await
}

/// Whether `user` is among those who look after the app.
async fn is_own(provider: &Provider, app: &App, user: UserId) -> Result<bool, PageError> {
    let app = app.clone();
    let role =
        async move |tx: &mut Tx<'_>| Ok::<_, PageError>(teams::role_for(tx, &app, user).await?);
    Ok(provider.store.db.read(role).await?.is_some())
}

/// Approve what is ticked, ask for changes, or reject.
pub async fn decide(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let (candidate, thread) = load(&provider, parse_id(&id)?).await?;
    if is_own(&provider, &candidate.app, user.user.id).await? {
        let text = "You registered this app yourself. Somebody else has to decide.";
        return Err(PageError::Forbidden(text.into()));
    }
    let verdict = Verdict::read(&form.params, &candidate.app)?;
    let (id, by, now) = (candidate.app.id, user.user.id, provider.now());
    if let Some(error) = verdict.error(&candidate.app) {
        let page = candidate.page(&user, &provider.policy(), now);
        let mut page = ReviewApp { thread, ..page };
        verdict.show_again(&mut page, error);
        return view::page_again(&provider, &page);
    }
    let note = verdict.note.clone();
    let note = (!note.is_empty()).then(|| messages::of_staff(&provider, &user, id, note));
    let done = verdict.decision.done();
    let write = async move |tx: &mut Tx<'_>| {
        let app = apps::find(tx, id).await?.ok_or(PageError::NotFound)?;
        if app.changed_at.as_millis().to_string() != verdict.revision {
            let text = "The developer changed the app since you opened it. Look at it again.";
            return Err(PageError::Conflict(text.into()));
        }
        let sign = |event: AuditEvent| event.address(address);
        settle(tx, app, &verdict, (by, now), note.as_ref(), &sign).await.map(drop)
    };
    provider.store.db.write(write).await?;
    Ok(done.redirect("/staff/review").into_response())
}

/// Carry out what was decided about `app`, whoever says it in whatever way. `sign` says in the
/// audit trail who it was and from where.
pub(crate) async fn settle(
    tx: &mut Tx<'_>,
    app: App,
    verdict: &Verdict,
    (by, now): (UserId, Timestamp),
    note: Option<&AppMessage>,
    sign: &(dyn Fn(AuditEvent) -> AuditEvent + Sync),
) -> Result<App, PageError> {
    let (app, event) = verdict
        .apply(app, by, now)
        .map_err(|error| PageError::Conflict(error.to_string().into()))?;
    apps::save(tx, &app).await?;
    changes::record(tx, Change::App(app.id)).await?;
    audit::record(tx, &sign(event)).await?;
    app_news::decided(tx, &app, (verdict.decision.told(), &*verdict.note), now).await?;
    if let Some(note) = note {
        thread::write_by(tx, note, sign).await?;
    }
    Ok(app)
}

fn parse_id(text: &str) -> Result<AppId, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}
