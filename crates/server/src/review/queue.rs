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
use domain::policy::{Policy, ScopeTier};
use domain::time::Timestamp;
use protocol::params::Params;
use store::{Tx, apps, audit, changes, teams};

use super::candidate::Candidate;
use super::verdict::Verdict;
use super::{answers, messages};
use crate::actor::{Reviewer, SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::error::{PageError, form_query};
use crate::flash::Told;
use crate::pages::views::{Question, QueueForm, ReviewApp, ReviewQueue, Section, ThreadMessage};
use crate::provider::{Provider, Shared};
use crate::{app_news, display, thread, view};

/// Apps on one page of the queue.
const SHOWN_MAX: usize = 50;
/// Developers who wait for an answer, on the first page of the queue.
const QUESTIONS_MAX: i64 = 50;

/// Rows that one page looks through for what the filters let through.
const LOOKED_THROUGH_MAX: usize = 500;

/// What somebody looks for in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueKind {
    Any,
    New,
    Change,
    Again,
    Reported,
    Transferred,
}

#[derive(Clone, Copy)]
struct Filter {
    whom: &'static str,
    kind: QueueKind,
    tier: Option<ScopeTier>,
    /// `Some(None)`: nobody takes care of it.
    assigned: Option<Option<UserId>>,
}

impl Filter {
    /// With the form as it was sent; a word that is not known filters nothing.
    fn read(params: &Params, user: UserId) -> Result<(Self, QueueForm), PageError> {
        let text =
            |name: &str| -> Result<&str, PageError> { Ok(params.one(name)?.unwrap_or_default()) };
        let whom = match text("whom")? {
            "developer" => "developer",
            "nobody" => "nobody",
            _ => "staff",
        };
        let (kind, kind_text) = match text("kind")? {
            "new" => (QueueKind::New, "new"),
            "change" => (QueueKind::Change, "change"),
            "again" => (QueueKind::Again, "again"),
            "reported" => (QueueKind::Reported, "reported"),
            "transferred" => (QueueKind::Transferred, "transferred"),
            _ => (QueueKind::Any, ""),
        };
        let (tier, tier_text) = match text("tier")? {
            "low" => (Some(ScopeTier::Low), "low"),
            "sensitive" => (Some(ScopeTier::Sensitive), "sensitive"),
            "high" => (Some(ScopeTier::High), "high"),
            _ => (None, ""),
        };
        let (assigned, assigned_text) = match text("assigned")? {
            "me" => (Some(Some(user)), "me"),
            "nobody" => (Some(None), "nobody"),
            _ => (None, ""),
        };
        let form = QueueForm { whom, kind: kind_text, tier: tier_text, assigned: assigned_text };
        Ok((Self { whom, kind, tier, assigned }, form))
    }

    /// Before more is read about it. Of rows that were written before the column was there, it says
    /// too much.
    fn admits(&self, app: &App, policy: &Policy) -> bool {
        let waits = match self.whom {
            "developer" => app.awaits_developer(),
            "nobody" => app.is_live_unreviewed(),
            _ => app.awaits_review(),
        };
        let highest = app.requested.iter().filter_map(|r| policy.scope(&r.scope)).map(|s| s.tier);
        waits
            && self.assigned.is_none_or(|to| app.review.assigned_to == to)
            && self.tier.is_none_or(|tier| highest.max() == Some(tier))
    }
}

/// `?after=` goes on behind the last app of the page before.
pub async fn list(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Told(flash): Told,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let after = params.one("after")?.and_then(Place::parse);
    let (filter, form) = Filter::read(&params, user.user.id)?;
    let (now, policy) = (provider.now(), provider.policy());
    let is_first = after.is_none() && form.is_default();
    let Place(at, id) = after.unwrap_or(Place::START);
    let limit = i64::try_from(LOOKED_THROUGH_MAX).unwrap_or(i64::MAX);
    let read = async move |tx: &mut Tx<'_>| {
        let waiting = match filter.whom {
            "nobody" => apps::list_unreviewed(tx, (at, id), limit).await?,
            whom => apps::list_awaiting(tx, whom, (at, id), limit).await?,
        };
        let mut last = match waiting.len() == LOOKED_THROUGH_MAX {
            true => waiting.last().map(Place::of),
            false => None,
        };
        let mut entries = Vec::new();
        for load in waiting.chunks(SHOWN_MAX) {
            let admitted = load.iter().filter(|app| filter.admits(app, &policy)).cloned();
            let candidates = Candidate::load_many(tx, admitted.collect()).await?;
            let wanted = candidates.iter().filter(|candidate| candidate.is_of(filter.kind));
            entries.extend(wanted.map(|one| (Place::of(&one.app), one.entry(&policy, now))));
            if entries.len() >= SHOWN_MAX {
                break;
            }
        }
        entries.truncate(SHOWN_MAX);
        if let (Some((shown, _)), Some(end)) = (entries.get(SHOWN_MAX - 1), waiting.last())
            && end.id != shown.1
        {
            last = Some(*shown);
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
    let query = form_query(&form.pairs());
    let page = ReviewQueue {
        layout: user.layout().in_section(Section::Review).with_flash(flash),
        entries: entries.into_iter().map(|(_, entry)| entry).collect(),
        next: last.map(|place| format!("/staff/review?{query}&after={place}")),
        questions: questions.into_iter().map(question).collect(),
        form,
    };
    view::page(&provider, &page)
}

/// A place in the queue: when an app was changed, and its id.
#[derive(Clone, Copy)]
struct Place(Timestamp, AppId);

impl Place {
    const START: Self = Self(Timestamp::from_millis(i64::MIN), AppId::from_bytes([0; 16]));

    fn of(app: &App) -> Self {
        Self(app.changed_at, app.id)
    }

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
    Told(flash): Told,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let mut page = page(&provider, &user, parse_id(&id)?).await?;
    page.layout = page.layout.with_flash(flash);
    view::page(&provider, &page)
}

pub(super) async fn page(
    provider: &Provider,
    user: &SignedInUser,
    id: AppId,
) -> Result<ReviewApp, PageError> {
    let (candidate, thread) = load(provider, id).await?;
    let page = candidate.page(user, &provider.policy(), provider.now());
    Ok(ReviewApp { thread, ..page })
}

async fn load(
    provider: &Provider,
    id: AppId,
) -> Result<(Candidate, Vec<ThreadMessage>), PageError> {
    let now = provider.now();
    let read = async move |tx: &mut Tx<'_>| {
        let app = apps::find(tx, id).await?.ok_or(PageError::NotFound)?;
        let thread = thread::load(tx, id, now).await?;
        let candidate = Candidate::load_whole(tx, app, now).await?.ok_or(PageError::NotFound)?;
        Ok::<_, PageError>((candidate, thread))
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
        let text = "You or your team registered this app. Somebody else has to decide.";
        return Err(PageError::Forbidden(text.into()));
    }
    let (id, by, now) = (candidate.app.id, user.user.id, provider.now());
    let policy = provider.policy();
    let inserting = form.params.contains("insert");
    let mut verdict = Verdict::read(&form.params, &candidate.app, inserting)?;
    let text = answers::inserted(&policy.review, &form.params, &verdict.note)?;
    let is_inserted = text.is_some();
    verdict.note = text.unwrap_or(verdict.note);
    let error = verdict.error(&candidate.app, now).filter(|_| !is_inserted);
    if is_inserted || error.is_some() {
        let mut page = ReviewApp { thread, ..candidate.page(&user, &policy, now) };
        page.revision.clone_from(&verdict.revision);
        verdict.show_again(&mut page, error);
        return match is_inserted {
            true => view::page(&provider, &page),
            false => view::page_again(&provider, &page),
        };
    }
    if !candidate.awaits_review {
        return Err(PageError::Conflict("Nothing of this app waits for staff any more.".into()));
    }
    let note = verdict.note.clone();
    let note = (!note.is_empty()).then(|| messages::of_staff(&provider, &user, id, note));
    let done = verdict.decision.done();
    let write = async move |tx: &mut Tx<'_>| {
        let Some(app) = apps::find(tx, id).await? else { return Ok(Err(PageError::NotFound)) };
        if app.changed_at.as_millis().to_string() != verdict.revision {
            let text = "The developer changed the app since you opened it. Look at it again.";
            return Ok(Err(PageError::Conflict(text.into())));
        }
        let sign = |event: AuditEvent| event.address(address);
        let settled = settle(tx, app, &verdict, (by, now), note.as_ref(), &sign).await?;
        Ok::<_, PageError>(settled.map(drop))
    };
    provider.store.db.write(write).await??;
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
) -> Result<Result<App, PageError>, PageError> {
    let (app, event) = match verdict.apply(app, by, now) {
        Ok(decided) => decided,
        Err(error) => return Ok(Err(PageError::Conflict(error.to_string().into()))),
    };
    apps::save(tx, &app).await?;
    changes::record(tx, Change::App(app.id)).await?;
    audit::record(tx, &sign(event)).await?;
    app_news::decided(tx, &app, (verdict.decision.told(), &*verdict.note), now).await?;
    if let Some(note) = note {
        thread::write_by(tx, note, sign).await?;
    }
    Ok(Ok(app))
}

fn parse_id(text: &str) -> Result<AppId, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}
