//! The applications that a developer can change: their own first, then those of each team, a page
//! at a time.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::app::App;
use domain::calendar::hour_of;
use domain::id::{AppId, UserId};
use domain::request_log::Counts;
use domain::team::{Owner, Team};
use domain::time::Timestamp;
use protocol::params::Params;
use store::{Tx, app_counts, apps, consents, teams, usage};

use crate::actor::Developer;
use crate::display;
use crate::error::PageError;
use crate::flash::Told;
use crate::pages::views::{AppCard, AppGroup, MyApps, Section};
use crate::provider::Shared;
use crate::view;

/// Of one owner, where there are several.
const SHORT: i64 = 6;
/// Where one owner has the page alone.
const LONG: i64 = 30;
/// Of which cards say how often calls failed.
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// The value of `in` that is no team.
const ME: &str = "me";

/// `?in=me` or a team's id: those alone; `before`: where the page before ended.
pub async fn list(
    State(provider): State<Shared>,
    Developer(user): Developer,
    RawQuery(query): RawQuery,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let only = params.one("in")?.map(str::to_owned);
    let before = params.one("before")?.and_then(read_place);
    let (me, now) = (user.user.id, provider.now());
    let read = async move |tx: &mut Tx<'_>| {
        let own = teams::list_of_user(tx, me).await?;
        let owners: Vec<_> = [None]
            .into_iter()
            .chain(own.into_iter().map(|(team, _)| Some(team)))
            .filter(|team| only.as_deref().is_none_or(|only| only == value_of(team.as_ref())))
            .collect();
        let limit = if owners.len() == 1 { LONG } else { SHORT };
        let mut groups = Vec::with_capacity(owners.len());
        for team in owners {
            groups.push(group(tx, (me, team), before, limit, now).await?);
        }
        Ok::<_, PageError>(groups)
    };
    let groups = provider.store.db.read(read).await?;
    let layout = user.layout().in_section(Section::Apps).with_flash(flash);
    let has_apps = groups.iter().any(|group| !group.apps.is_empty());
    let is_alone = groups.len() == 1;
    view::page(&provider, &MyApps { layout, groups, has_apps, is_alone })
}

fn value_of(team: Option<&Team>) -> String {
    team.map_or_else(|| ME.to_owned(), |team| team.id.to_string())
}

async fn group(
    tx: &mut Tx<'_>,
    (me, team): (UserId, Option<Team>),
    before: Option<(Timestamp, AppId)>,
    limit: i64,
    now: Timestamp,
) -> Result<AppGroup, PageError> {
    let newest = (Timestamp::from_millis(i64::MAX), AppId::from_bytes([0; 16]));
    let owner = team.as_ref().map_or(Owner::User(me), |team| Owner::Team(team.id));
    let mut found = apps::list_of(tx, owner, before.unwrap_or(newest), limit + 1).await?;
    let is_more = found.len() > usize::try_from(limit).unwrap_or_default();
    found.truncate(usize::try_from(limit).unwrap_or_default());
    let next = found.last().filter(|_| is_more).map(place_of);
    let cards = cards(tx, &found, now).await?;
    Ok(AppGroup {
        value: value_of(team.as_ref()),
        team: team.map(|team| team.name),
        apps: cards,
        next,
    })
}

/// Where a page ends, in its address.
fn place_of(app: &App) -> String {
    format!("{}-{}", app.created_at.as_millis(), app.id)
}

fn read_place(text: &str) -> Option<(Timestamp, AppId)> {
    let (at, id) = text.rsplit_once('-')?;
    Some((Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?))
}

async fn cards(tx: &mut Tx<'_>, found: &[App], now: Timestamp) -> Result<Vec<AppCard>, PageError> {
    let ids: Vec<AppId> = found.iter().map(|app| app.id).collect();
    let last_calls = usage::last_calls_of(tx, &ids).await?;
    let days = app_counts::sums(tx, &ids, hour_of(now.before(DAY))).await?;
    let users = consents::count_given_to_each(tx, &ids).await?;
    let card = |app: &App| AppCard {
        error_percent: days.get(&app.id).and_then(Counts::error_percent),
        id: app.id.to_string(),
        name: app.name.clone(),
        logo_url: app.latest_revision().logo.map(display::logo_path),
        kind: display::app_kind(app.kind),
        status: display::app_status(app),
        client_id: app.client_id.clone(),
        user_count: users.get(&app.id).copied().unwrap_or_default(),
        last_call_at: last_calls.get(&app.id).map(|at| display::moment(now, *at)),
    };
    Ok(found.iter().map(card).collect())
}
