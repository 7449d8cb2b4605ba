//! Plans and perks that developers ask for: who waits, and the decision.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use domain::audit::AuditEvent;
use domain::id::PlanRequestId;
use domain::plan::{Decided, PlanRequest};
use domain::time::Timestamp;
use protocol::params::Params;
use store::{Tx, app_counts, apps, consents, plan_requests};

use crate::actor::{Reviewer, SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{PlanQueue, Section, WaitingWish};
use crate::plans::{self, PlanRefusal};
use crate::provider::{Provider, Shared};
use crate::{display, view};

const SHOWN_MAX: usize = 50;
/// In characters.
const NOTE_MAX: usize = 1000;
const START: (Timestamp, PlanRequestId) =
    (Timestamp::from_millis(i64::MIN), PlanRequestId::from_bytes([0; 16]));

/// `?after=` goes on behind the last request of the page before.
pub async fn list(
    State(provider): State<Shared>,
    Reviewer(user): Reviewer,
    Told(flash): Told,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let after = params.one("after")?.and_then(|text| {
        let (at, id) = text.split_once('-')?;
        Some((Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?))
    });
    let mut page = load(&provider, &user, after.unwrap_or(START)).await?;
    page.layout = page.layout.with_flash(flash);
    view::page(&provider, &page)
}

async fn load(
    provider: &Provider,
    user: &SignedInUser,
    after: (Timestamp, PlanRequestId),
) -> Result<PlanQueue, PageError> {
    let (policy, now) = (provider.policy(), provider.now());
    let read = async move |tx: &mut Tx<'_>| {
        let limit = i64::try_from(SHOWN_MAX + 1).unwrap_or(i64::MAX);
        let mut waiting = plan_requests::list_waiting(tx, after, limit).await?;
        let has_more = waiting.len() > SHOWN_MAX;
        waiting.truncate(SHOWN_MAX);
        let last = waiting.last().filter(|_| has_more).map(place_of);
        let mut entries = Vec::new();
        for wish in waiting {
            let Some(app) = apps::find(tx, wish.app_id).await? else { continue };
            let (before, today) = app_counts::passed(tx, app.id, now).await?;
            let has = policy.plan_of(&app).map(|plan| plan.title.clone());
            entries.push(WaitingWish {
                id: wish.id.to_string(),
                app_name: app.name.clone(),
                publisher: app.publisher.clone(),
                kind: wish.wish.kind(),
                title: wish.wish.title(&policy).to_owned(),
                has: has.unwrap_or_default(),
                reason: wish.reason.clone(),
                since: display::moment(now, wish.asked_at),
                users: consents::count_given_to(tx, app.id).await?,
                calls_this_month: before.saturating_add(today),
            });
        }
        Ok::<_, PageError>((entries, last))
    };
    let (waiting, next) = provider.store.db.read_long(read).await?;
    let layout = user.layout().in_section(Section::PlanRequests);
    Ok(PlanQueue { layout, waiting, next, error: None })
}

fn place_of(wish: &PlanRequest) -> String {
    format!("{}-{}", wish.asked_at.as_millis(), wish.id)
}

/// Grant or refuse, with a note for the developer.
pub async fn decide(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Reviewer(user): Reviewer,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id: PlanRequestId = id.parse().map_err(|_| PageError::NotFound)?;
    let note = form.params.one("note")?.unwrap_or_default().trim().replace("\r\n", "\n");
    let is_granted = match form.params.one("decision")? {
        Some("grant") => true,
        Some("refuse") => false,
        _ => return Err(PageError::BadRequest("Choose to grant or to refuse.".into())),
    };
    let error = match note.chars().count() {
        0 if !is_granted => Some("Say why; the developer reads it."),
        length if length > NOTE_MAX => Some("Use at most 1,000 characters."),
        _ => None,
    };
    if let Some(error) = error {
        let mut page = load(&provider, &user, START).await?;
        page.error = Some((id.to_string(), error.to_owned(), note));
        return view::page_again(&provider, &page);
    }
    let decided = Decided { at: provider.now(), by: user.user.id, is_granted, note };
    let policy = provider.policy();
    let write = async move |tx: &mut Tx<'_>| {
        let sign = |event: AuditEvent| event.address(address);
        Ok::<_, PageError>(plans::decide(tx, &policy, id, decided.clone(), &sign).await?)
    };
    match provider.store.db.write(write).await? {
        Ok(_) => Ok(Done::PlanDecided.redirect("/staff/requests").into_response()),
        Err(PlanRefusal::NotFound) => Err(PageError::NotFound),
        Err(refusal) => Err(PageError::Conflict(refusal.to_string().into())),
    }
}
