//! Plans of the config, which app has which, and what developers ask for. Each decision is made in
//! [`crate::plans`].

use axum::Json;
use axum::extract::{Path, State};
use domain::id::PlanRequestId;
use domain::plan::{Decided, Perk, Plan, PlanRequest};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use store::plan_requests::RequestFilter;
use store::{Tx, apps, plan_requests, users};

use super::actor::Admin;
use super::apps::{AppRecord, named, record as app_record};
use super::body::{Asks, Body};
use super::page::{Asked, Page, query};
use super::problem::Problem;
use super::schema::{choices, wire};
use super::version::{Found, IfMatch, Versioned};
use super::{rfc3339, write};
use crate::plans::{self, PlanRefusal};
use crate::provider::Shared;

/// In characters.
const NOTE_MAX: usize = 1000;

choices! {
    /// What is decided.
    pub enum WishDecision { Grant = "grant", Refuse = "refuse", }
}

choices! {
    /// How far a request has come.
    pub enum RequestStatus { Waiting = "waiting", Decided = "decided", All = "all", }
}

wire! {
    /// A plan of the config.
    #[derive(Clone, Debug, Serialize)]
    pub struct PlanRecord {
        /// What the config and this API call it.
        pub name: String,
        /// What people call it.
        pub title: String,
        /// What developers read about it.
        pub text: String,
        /// Calls on a day, in UTC; absent: any number.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub calls_per_day: Option<u64>,
        /// Calls in a month, in UTC; absent: any number.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub calls_per_month: Option<u64>,
        /// Users who can let the app in; absent: any number.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub users_max: Option<u64>,
        /// Apps have it that were given none.
        pub is_default: bool,
    }

    /// A perk of the config.
    #[derive(Clone, Debug, Serialize)]
    pub struct PerkRecord {
        /// What the config and this API call it.
        pub name: String,
        /// What people call it.
        pub title: String,
        /// What developers read about it.
        pub text: String,
    }

    /// Which plan an app is to have.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewPlan {
        /// Its name; `null`: the one that apps have.
        pub plan: Option<String>,
        /// For the developers of the app.
        #[serde(default)]
        pub note: String,
    }

    /// A plan or a perk that a developer asked for.
    #[derive(Clone, Debug, Serialize)]
    pub struct PlanRequestRecord {
        /// What it is called here.
        pub id: PlanRequestId,
        /// The client id of the app.
        pub app: String,
        /// The e-mail address of who asked.
        pub asked_by: String,
        /// `plan` or `perk`.
        pub kind: &'static str,
        /// The name of the plan or perk.
        pub name: String,
        /// In the developer's words.
        pub reason: String,
        /// When.
        pub asked_at: String,
        /// `null`: it waits.
        pub granted: Option<bool>,
        /// What staff said to it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub note: Option<String>,
        /// When staff decided.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub decided_at: Option<String>,
    }

    /// A decision about a plan or a perk.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewPlanDecision {
        /// Grant or refuse it.
        pub decision: WishDecision,
        /// To the developer. Needed to refuse.
        #[serde(default)]
        pub note: String,
        /// Over the socket: the e-mail address of the member of staff who decides.
        pub by: Option<String>,
    }

    /// Which requests.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct PlanRequestQuery {
        /// Only with this status; those that wait unless you say.
        pub status: Option<RequestStatus>,
        /// Only of this app: a client id.
        pub app: Option<String>,
        /// Requests on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }
}

query!(PlanRequestQuery);

impl Versioned for PlanRequestRecord {}

fn plan_record(plan: &Plan) -> PlanRecord {
    PlanRecord {
        name: plan.name.clone(),
        title: plan.title.clone(),
        text: plan.text.clone(),
        calls_per_day: plan.calls_per_day,
        calls_per_month: plan.calls_per_month,
        users_max: plan.users_max,
        is_default: plan.is_default,
    }
}

pub async fn list(State(provider): State<Shared>, _: Admin) -> Json<Page<PlanRecord>> {
    let items = provider.policy().plans.iter().map(plan_record).collect();
    Json(Page { items, next_cursor: None })
}

pub async fn list_perks(State(provider): State<Shared>, _: Admin) -> Json<Page<PerkRecord>> {
    let policy = provider.policy();
    let record = |perk: &Perk| PerkRecord {
        name: perk.name.clone(),
        title: perk.title.clone(),
        text: perk.text.clone(),
    };
    Json(Page { items: policy.perks.iter().map(record).collect(), next_cursor: None })
}

pub async fn set(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
    if_match: IfMatch,
    Body(new): Body<NewPlan>,
) -> Result<Found<AppRecord>, Problem> {
    let note = check_note(&new.note)?;
    let (policy, now) = (provider.policy(), provider.now());
    let work = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        admin.may_favour(tx, &app).await?;
        if_match.check(&app_record(tx, app.clone()).await?.etag())?;
        let sign = |event| admin.sign(event);
        let plan = (new.plan.as_deref(), &*note);
        let app = plans::set(tx, &policy, app, plan, now, &sign).await?.map_err(refused)?;
        app_record(tx, app).await
    };
    Ok(Found(write(&provider, work).await?))
}

fn check_note(text: &str) -> Result<String, Problem> {
    let text = text.trim().replace("\r\n", "\n");
    match text.chars().count() > NOTE_MAX {
        true => Err(Problem::one_invalid("note", &format!("use at most {NOTE_MAX} characters"))),
        false => Ok(text),
    }
}

fn refused(refusal: PlanRefusal) -> Problem {
    match refusal {
        PlanRefusal::NotFound => Problem::not_found("there is no such request"),
        PlanRefusal::NoSuchPlan => Problem::one_invalid("plan", "the config has no such plan"),
        PlanRefusal::OwnApp => Problem::forbidden(refusal.to_string()),
        refusal => Problem::conflict(refusal.to_string()),
    }
}

pub async fn list_requests(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<PlanRequestQuery>,
) -> Result<Json<Page<PlanRequestRecord>>, Problem> {
    let asked: Asked<(i64, PlanRequestId)> = Asked::of(&provider, "plan requests", &query)?;
    let (at, id) = asked.after.unwrap_or((i64::MIN, PlanRequestId::from_bytes([0; 16])));
    let fetch = asked.fetch;
    let read = async move |tx: &mut Tx<'_>| {
        let after = (Timestamp::from_millis(at), id);
        let app = match &query.app {
            Some(client_id) => Some(named(tx, client_id).await?.id),
            None => None,
        };
        let is_decided = match query.status {
            None | Some(RequestStatus::Waiting) => Some(false),
            Some(RequestStatus::Decided) => Some(true),
            Some(RequestStatus::All) => None,
        };
        let filter = RequestFilter { is_decided, app };
        let mut records = Vec::new();
        for request in plan_requests::list(tx, filter, after, fetch).await? {
            let place = (request.asked_at.as_millis(), request.id);
            records.push((place, record(tx, request).await?));
        }
        Ok::<_, Problem>(records)
    };
    let found = provider.store.db.read_long(read).await?;
    asked.page(&provider, found, |(place, _)| *place, |(_, record)| record)
}

pub async fn show_request(
    State(provider): State<Shared>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Found<PlanRequestRecord>, Problem> {
    let read = async move |tx: &mut Tx<'_>| {
        let found = match id.parse() {
            Ok(id) => plan_requests::find(tx, id).await?,
            Err(_) => None,
        };
        record(tx, found.ok_or_else(|| refused(PlanRefusal::NotFound))?).await
    };
    Ok(Found(provider.store.db.read(read).await?))
}

async fn record(tx: &mut Tx<'_>, request: PlanRequest) -> Result<PlanRequestRecord, Problem> {
    let app = apps::find(tx, request.app_id).await?;
    let asked_by = users::find(tx, request.asked_by).await?;
    let decided = request.decided.as_ref();
    Ok(PlanRequestRecord {
        id: request.id,
        app: app.map(|app| app.client_id).unwrap_or_default(),
        asked_by: asked_by.map(|user| user.email).unwrap_or_default(),
        kind: request.wish.kind(),
        name: request.wish.name().to_owned(),
        asked_at: rfc3339(request.asked_at),
        granted: decided.map(|decided| decided.is_granted),
        note: decided.map(|decided| decided.note.clone()),
        decided_at: decided.map(|decided| rfc3339(decided.at)),
        reason: request.reason,
    })
}

pub async fn decide(
    State(provider): State<Shared>,
    admin: Admin,
    Path(id): Path<String>,
    Body(new): Body<NewPlanDecision>,
) -> Result<Found<PlanRequestRecord>, Problem> {
    let id = id.parse().map_err(|_| refused(PlanRefusal::NotFound))?;
    let (note, is_granted) = (check_note(&new.note)?, new.decision == WishDecision::Grant);
    if note.is_empty() && !is_granted {
        return Err(Problem::one_invalid("note", "say why; the developer reads it"));
    }
    let (policy, at) = (provider.policy(), provider.now());
    let work = async move |tx: &mut Tx<'_>| {
        let by = admin.staff(tx, new.by.as_deref()).await?.id;
        let decided = Decided { at, by, is_granted, note: note.clone() };
        let sign = |event| admin.sign(event);
        let request = plans::decide(tx, &policy, id, decided, &sign).await?.map_err(refused)?;
        record(tx, request).await
    };
    Ok(Found(write(&provider, work).await?))
}
