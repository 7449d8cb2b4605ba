//! How much an app does, as charts; what its plan lets it do; and asking for more.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::app::App;
use domain::calendar::{day_of, hour_of};
use domain::id::PlanRequestId;
use domain::plan::{PlanRequest, Wish};
use domain::policy::Policy;
use domain::time::Timestamp;
use protocol::params::Params;
use store::app_counts::{Bucket, Span};
use store::{Tx, app_counts, consents, plan_requests};

use super::apps::owned;
use super::frame;
use crate::actor::{AppOwner, SignedForm};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{
    AppTab, AppUsage, Chart, ChartRow, Charts, Meter, Offer, PlanForm, PlanView, Section, WishView,
};
use crate::plans::{self, PlanRefusal};
use crate::provider::{Provider, Shared};
use crate::{csv, display, view};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const HOURS: u32 = 48;
const DAYS: u32 = 30;
/// Requests for plans and perks that the page lists.
const WISHES_MAX: i64 = 20;
/// In characters.
const REASON_MAX: usize = 1000;

/// What the pages about an app's use say of the rows.
struct Used {
    hours: Vec<Bucket>,
    days: Vec<Bucket>,
    passed_before_today: u64,
    passed_today: u64,
    users: u64,
    wishes: Vec<PlanRequest>,
}

impl Used {
    async fn load(provider: &Provider, app: &App) -> Result<Self, PageError> {
        let (id, now) = (app.id, provider.now());
        let read = async move |tx: &mut Tx<'_>| {
            let hours = app_counts::list(tx, id, Span::Hour, first(now, Span::Hour)).await?;
            let days = app_counts::list(tx, id, Span::Day, first(now, Span::Day)).await?;
            let (passed_before_today, passed_today) = app_counts::passed(tx, id, now).await?;
            let users = consents::count_given_to(tx, id).await?;
            let wishes = plan_requests::list_of_app(tx, id, WISHES_MAX).await?;
            let passed = (passed_before_today, passed_today);
            Ok::<_, PageError>((hours, days, passed, users, wishes))
        };
        let (hours, days, (passed_before_today, passed_today), users, wishes) =
            provider.store.db.read_long(read).await?;
        Ok(Self { hours, days, passed_before_today, passed_today, users, wishes })
    }
}

/// The first bucket that is shown.
fn first(now: Timestamp, span: Span) -> Timestamp {
    match span {
        Span::Hour => hour_of(now).before(HOUR * (HOURS - 1)),
        Span::Day => day_of(now).before(DAY * (DAYS - 1)),
    }
}

/// With those in which nothing happened, oldest first.
fn filled(known: &[Bucket], now: Timestamp, span: Span) -> Vec<Bucket> {
    let (step, count) = match span {
        Span::Hour => (HOUR, HOURS),
        Span::Day => (DAY, DAYS),
    };
    let from = (0..count).map(|number| first(now, span).after(step * number));
    let bucket = |from: Timestamp| {
        let known = known.iter().find(|bucket| bucket.from == from).cloned();
        known.unwrap_or(Bucket { from, counts: Default::default(), users: 0 })
    };
    from.map(bucket).collect()
}

pub async fn show(
    State(provider): State<Shared>,
    owner: AppOwner,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let mut page = page(&provider, &owner, PlanForm::default()).await?;
    page.layout = page.layout.with_flash(flash);
    view::page(&provider, &page)
}

async fn page(
    provider: &Provider,
    owner: &AppOwner,
    form: PlanForm,
) -> Result<AppUsage, PageError> {
    let used = Used::load(provider, &owner.app).await?;
    let (policy, now) = (provider.policy(), provider.now());
    let hours = filled(&used.hours, now, Span::Hour);
    let days = filled(&used.days, now, Span::Day);
    Ok(AppUsage {
        layout: owner.user.layout().in_section(Section::Apps),
        frame: frame::frame(&owner.app, AppTab::Usage),
        hours: charts("hours", &hours, "hour"),
        days: charts("days", &days, "day"),
        csv: format!("/apps/{}/usage.csv", owner.app.id),
        plan: plan_view(&policy, &owner.app, &used),
        offers: offers(&policy, &owner.app),
        wishes: used.wishes.iter().map(|wish| wish_view(wish, &policy, now)).collect(),
        form,
    })
}

fn charts(id: &str, buckets: &[Bucket], unit: &'static str) -> Charts {
    let label = |bucket: &Bucket| match unit {
        "hour" => display::hour(bucket.from),
        _ => display::date(bucket.from),
    };
    let chart = |name: &str, title, what: &dyn Fn(&Bucket) -> (u64, u64)| {
        let values = buckets.iter().map(|bucket| (label(bucket), what(bucket)));
        Chart::new(format!("{name}-{id}"), title, values.collect())
    };
    Charts {
        charts: vec![
            chart("calls", "Calls", &|bucket| (bucket.counts.calls, bucket.counts.errors)),
            chart("users", "Active users, about", &|bucket| (bucket.users, 0)),
            chart("tokens", "Tokens issued", &|bucket| (bucket.counts.tokens, 0)),
        ],
        rows: buckets.iter().rev().map(|bucket| row(label(bucket), bucket)).collect(),
        unit,
    }
}

fn row(label: String, bucket: &Bucket) -> ChartRow {
    ChartRow {
        label,
        calls: bucket.counts.calls,
        errors: bucket.counts.errors,
        users: bucket.users,
        tokens: bucket.counts.tokens,
        token_errors: bucket.counts.token_errors,
    }
}

fn plan_view(policy: &Policy, app: &App, used: &Used) -> Option<PlanView> {
    let plan = policy.plan_of(app)?;
    let this_month = used.passed_before_today.saturating_add(used.passed_today);
    let meter = |id, title, used, max: Option<u64>| max.map(|max| Meter { id, title, used, max });
    let rate = plan.rate.map(|rate| {
        let seconds = i64::try_from(rate.period.as_secs()).unwrap_or(i64::MAX);
        let calls = crate::pages::words::grouped(rate.requests.into());
        format!("{calls} calls in {}", crate::pages::words::duration(seconds))
    });
    Some(PlanView {
        title: plan.title.clone(),
        text: plan.text.clone(),
        rate,
        meters: [
            meter("calls-today", "Calls today", used.passed_today, plan.calls_per_day),
            meter("calls-month", "Calls this month", this_month, plan.calls_per_month),
            meter("users", "Users", used.users, plan.users_max),
        ]
        .into_iter()
        .flatten()
        .collect(),
    })
}

/// What can be asked for.
fn offers(policy: &Policy, app: &App) -> Vec<Offer> {
    let has = policy.plan_of(app).map(|plan| plan.name.as_str());
    let plans = policy.plans.iter().filter(|plan| Some(plan.name.as_str()) != has);
    let plans = plans.map(|plan| Offer {
        value: format!("plan {}", plan.name),
        title: plan.title.clone(),
        text: plan.text.clone(),
    });
    let perks = policy.perks.iter().map(|perk| Offer {
        value: format!("perk {}", perk.name),
        title: perk.title.clone(),
        text: perk.text.clone(),
    });
    plans.chain(perks).collect()
}

fn wish_view(wish: &PlanRequest, policy: &Policy, now: Timestamp) -> WishView {
    WishView {
        title: wish.wish.title(policy).to_owned(),
        asked_at: display::moment(now, wish.asked_at),
        reason: wish.reason.clone(),
        state: match &wish.decided {
            None => "waits",
            Some(decided) if decided.is_granted => "granted",
            Some(_) => "refused",
        },
        note: wish.decided.as_ref().map(|decided| decided.note.clone()).unwrap_or_default(),
    }
}

/// Ask staff for another plan, or for a perk.
pub async fn ask(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let policy = provider.policy();
    let mut typed = read_form(&form.params)?;
    let wish = typed.wish.split_once(' ').and_then(|(kind, name)| Wish::of(kind, name.to_owned()));
    let Some(wish) = wish.filter(|wish| wish.is_offered(&policy)) else {
        typed.wish_error = Some("Choose one of these.".to_owned());
        return view::page_again(&provider, &page(&provider, &owner, typed).await?);
    };
    if typed.reason_error.is_some() {
        return view::page_again(&provider, &page(&provider, &owner, typed).await?);
    }
    let request = PlanRequest {
        id: PlanRequestId::random(&*provider.entropy),
        app_id: owner.app.id,
        asked_by: owner.user.user.id,
        wish,
        reason: typed.reason.clone(),
        asked_at: provider.now(),
        decided: None,
    };
    let write = async move |tx: &mut Tx<'_>| {
        owned(tx, request.app_id, request.asked_by).await?;
        Ok::<_, PageError>(plans::ask(tx, &request, address).await?)
    };
    match provider.store.db.write(write).await? {
        Ok(()) => {
            Ok(Done::PlanAsked.redirect(&format!("/apps/{}/usage", owner.app.id)).into_response())
        }
        Err(refusal) => {
            typed.wish_error = Some(match refusal {
                PlanRefusal::Waits => "You have asked for this. We have not answered yet.".into(),
                other => other.to_string(),
            });
            view::page_again(&provider, &page(&provider, &owner, typed).await?)
        }
    }
}

fn read_form(params: &Params) -> Result<PlanForm, PageError> {
    let wish = params.one("wish")?.unwrap_or_default().to_owned();
    let reason = params.one("reason")?.unwrap_or_default().trim().replace("\r\n", "\n");
    let reason_error = match reason.chars().count() {
        0 => Some("Say what you need it for; our staff read it.".to_owned()),
        length if length > REASON_MAX => Some("Use at most 1,000 characters.".to_owned()),
        _ => None,
    };
    Ok(PlanForm { wish, wish_error: None, reason, reason_error })
}

/// The numbers of the charts.
pub async fn save(
    State(provider): State<Shared>,
    AppOwner { app, .. }: AppOwner,
) -> Result<Response, PageError> {
    let used = Used::load(&provider, &app).await?;
    let now = provider.now();
    let mut text = csv::line(&[
        "span",
        "from",
        "calls",
        "errors",
        "active_users_about",
        "tokens_issued",
        "tokens_refused",
    ]);
    for (name, buckets) in [
        ("hour", filled(&used.hours, now, Span::Hour)),
        ("day", filled(&used.days, now, Span::Day)),
    ] {
        for Bucket { from, counts, users } in buckets {
            let number = |value: u64| value.to_string();
            text.push_str(&csv::line(&[
                name,
                &display::iso(from),
                &number(counts.calls),
                &number(counts.errors),
                &number(users),
                &number(counts.tokens),
                &number(counts.token_errors),
            ]));
        }
    }
    let id = app.client_id.replace(|c: char| !c.is_alphanumeric(), "-");
    Ok(csv::answer(&format!("usage-{id}.csv"), Body::from(text)))
}
