//! Teams: the ones that a developer is in, and one with its people. Who joins and who goes is in
//! `team_members`.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::{TeamId, UserId};
use domain::team::{Invitation, Member, Owner, TEAMS_MAX, Team, TeamRole};
use domain::time::Timestamp;
use domain::transfer::NewOwner;
use domain::user::normalize_email;
use protocol::params::Params;
use serde_json::json;
use store::{Tx, apps, audit, changes, teams, transfers, users};

use super::form;
use super::team_members::read_invite;
use crate::actor::{Developer, SignedForm, SignedInUser, TeamMember, TeamOwner};
use crate::address::ClientAddress;
use crate::display;
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{
    InviteForm, NewTeam, OfferedApp, OpenInvitation, Section, TeamCard, TeamField, TeamInvitation,
    TeamPage, TeamPerson, Teams,
};
use crate::provider::{Provider, Shared};
use crate::view;

/// Invitations and offered apps on a page; whoever has more answers some first.
const WAITING_MAX: i64 = 50;

pub async fn list(
    State(provider): State<Shared>,
    Developer(user): Developer,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let (id, now) = (user.user.id, provider.now());
    let email = normalize_email(&user.user.email);
    let reads_mail = user.user.reads_mail_of(&email, provider.policy().accounts.sends_mail);
    let read = async move |tx: &mut Tx<'_>| {
        let own = teams::list_of_user(tx, id).await?;
        let mut cards = Vec::with_capacity(own.len());
        let mut offered = Vec::new();
        for (team, role) in &own {
            cards.push(TeamCard {
                id: team.id.to_string(),
                name: team.name.clone(),
                role: role.name(),
                people: teams::list_members(tx, team.id).await?.len() as u64,
                apps: apps::count_of(tx, Owner::Team(team.id)).await?,
            });
            if *role == TeamRole::Owner {
                offered.extend(transfers::list_to_team(tx, team.id, now, WAITING_MAX).await?);
            }
        }
        let (mut invitations, mut to_person) = (Vec::new(), Vec::new());
        if reads_mail {
            invitations = teams::list_invitations_to(tx, &email, now, WAITING_MAX).await?;
            to_person = transfers::list_to_address(tx, &email, now, WAITING_MAX).await?;
        }
        offered.extend(to_person);
        Ok::<_, PageError>((cards, invitations, offered))
    };
    let (cards, invitations, offered) = provider.store.db.read(read).await?;
    let invitation = |(invitation, team, inviter): (Invitation, String, String)| OpenInvitation {
        id: invitation.id.to_string(),
        team,
        inviter,
        role: invitation.role.name(),
        until: display::moment(now, invitation.expires_at),
    };
    let page = Teams {
        layout: user.layout().in_section(Section::Apps).with_flash(flash),
        may_make_more: cards.len() < TEAMS_MAX,
        teams: cards,
        invitations: invitations.into_iter().map(invitation).collect(),
        offered: offered
            .into_iter()
            .map(|(id, name)| OfferedApp { id: id.to_string(), name })
            .collect(),
        must_confirm_address: !reads_mail,
    };
    view::page(&provider, &page)
}

pub async fn new(
    State(provider): State<Shared>,
    Developer(user): Developer,
) -> Result<Response, PageError> {
    view::page(&provider, &new_page(&user, TeamField::default()))
}

fn new_page(user: &SignedInUser, name: TeamField) -> NewTeam {
    NewTeam { layout: user.layout().in_section(Section::Apps), name }
}

/// Users read it as the publisher of the team's apps: the rules are those of an app's name.
fn read_name(provider: &Provider, params: &Params) -> Result<TeamField, PageError> {
    let value = params.one("name")?.unwrap_or_default().trim().to_owned();
    let error = form::name_error(&value)
        .map(str::to_owned)
        .or_else(|| form::imitation_error(&value, provider.pages.brand_name()));
    Ok(TeamField { value, error })
}

pub async fn create(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Developer(user): Developer,
    form: SignedForm,
) -> Result<Response, PageError> {
    let name = read_name(&provider, &form.params)?;
    if name.error.is_some() {
        return view::page_again(&provider, &new_page(&user, name));
    }
    let (by, now) = (user.user.id, provider.now());
    let team = Team { id: TeamId::random(&*provider.entropy), name: name.value, created_at: now };
    let first = Member { team_id: team.id, user_id: by, role: TeamRole::Owner, since: now };
    let event = event(AuditKind::TeamCreated, &team, by, now).address(address);
    let path = path_of(team.id);
    let write = async move |tx: &mut Tx<'_>| {
        if teams::list_of_user(tx, by).await?.len() >= TEAMS_MAX {
            return Ok(Err(too_many_teams()));
        }
        teams::insert(tx, &team).await?;
        teams::insert_member(tx, &first).await?;
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::TeamCreated.redirect(&path).into_response())
}

pub(super) fn too_many_teams() -> PageError {
    PageError::Conflict(
        format!("A person is in at most {TEAMS_MAX} teams. Leave one first.").into(),
    )
}

pub(super) fn path_of(team: TeamId) -> String {
    format!("/teams/{team}")
}

/// What the audit trail says of a team.
pub(super) fn event(kind: AuditKind, team: &Team, by: UserId, now: Timestamp) -> AuditEvent {
    AuditEvent::new(now, kind, AuditActor::User(by))
        .detail(json!({ "team": team.id, "name": team.name }))
}

pub async fn show(
    State(provider): State<Shared>,
    member: TeamMember,
    Told(flash): Told,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let mut page = page(&provider, &member).await?;
    if params.contains("email") {
        let (typed, _) = read_invite(&params)?;
        page.invite = InviteForm { error: None, ..typed };
    }
    page.layout = page.layout.with_flash(flash);
    view::page(&provider, &page)
}

pub(super) async fn page(provider: &Provider, member: &TeamMember) -> Result<TeamPage, PageError> {
    let (id, now, me) = (member.team.id, provider.now(), member.user.user.id);
    let read = async move |tx: &mut Tx<'_>| {
        let mut people = Vec::new();
        for member in teams::list_members(tx, id).await? {
            if let Some(user) = users::find(tx, member.user_id).await? {
                people.push(TeamPerson {
                    id: user.id.to_string(),
                    name: user.name,
                    email: user.email,
                    role: member.role.name(),
                    since: display::moment(now, member.since),
                    is_me: user.id == me,
                });
            }
        }
        let invitations = teams::list_invitations(tx, id).await?;
        Ok::<_, PageError>((people, invitations, apps::count_of(tx, Owner::Team(id)).await?))
    };
    let (people, invitations, app_count) = provider.store.db.read(read).await?;
    let invitation = |invitation: Invitation| TeamInvitation {
        id: invitation.id.to_string(),
        is_open: invitation.is_open(now),
        until: display::moment(now, invitation.expires_at),
        role: invitation.role.name(),
        email: invitation.email,
    };
    Ok(TeamPage {
        layout: member.user.layout().in_section(Section::Apps),
        id: id.to_string(),
        name: member.team.name.clone(),
        is_owner: member.role == TeamRole::Owner,
        people,
        invitations: invitations.into_iter().map(invitation).collect(),
        app_count,
        invite: InviteForm::default(),
        rename: TeamField { value: member.team.name.clone(), error: None },
        sends_mail: provider.policy().accounts.sends_mail,
    })
}

/// The team's page for an owner, to be shown again.
pub(super) async fn page_of_owner(
    provider: &Provider,
    owner: &TeamOwner,
) -> Result<TeamPage, PageError> {
    let TeamOwner { user, team } = owner.clone();
    page(provider, &TeamMember { user, team, role: TeamRole::Owner }).await
}

/// Its apps have another publisher from now on.
pub async fn rename(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: TeamOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let name = read_name(&provider, &form.params)?;
    if name.error.is_some() {
        let page = page_of_owner(&provider, &owner).await?;
        return view::page_again(&provider, &TeamPage { rename: name, ..page });
    }
    let (id, by, now) = (owner.team.id, owner.user.user.id, provider.now());
    let event = event(AuditKind::TeamRenamed, &owner.team, by, now)
        .address(address)
        .detail(json!({ "team": id, "before": owner.team.name, "after": name.value }));
    let (before, reviewed) = (owner.team.name, provider.policy().reviewed.clone());
    let write = async move |tx: &mut Tx<'_>| {
        teams::save_name(tx, id, &name.value).await?;
        for app in apps::list_of_team(tx, id).await? {
            // A publisher that the operator wrote stays.
            if app.publisher != before || app.is_suspended() {
                continue;
            }
            let app = app.publish_as(&name.value, &reviewed, now).map_err(conflict)?;
            apps::save(tx, &app).await?;
            changes::record(tx, Change::App(app.id)).await?;
        }
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(())
    };
    provider.store.db.write(write).await?;
    Ok(Done::TeamSaved.redirect(&path_of(id)).into_response())
}

pub(super) fn conflict(error: domain::app::AppError) -> PageError {
    PageError::Conflict(error.to_string().into())
}

pub async fn delete(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: TeamOwner,
    _form: SignedForm,
) -> Result<Response, PageError> {
    let (id, by, now) = (owner.team.id, owner.user.user.id, provider.now());
    let event = event(AuditKind::TeamDeleted, &owner.team, by, now).address(address);
    let write = async move |tx: &mut Tx<'_>| {
        if apps::count_of(tx, Owner::Team(id)).await? > 0 {
            let text = "The team has apps. Hand them over or delete them first.";
            return Ok(Err(PageError::Conflict(text.into())));
        }
        teams::delete(tx, id).await?;
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::TeamDeleted.redirect("/teams").into_response())
}

/// Where an app goes that `user` takes: to them, or to a team of theirs with this id.
pub(super) async fn destination(
    tx: &mut Tx<'_>,
    user: UserId,
    team: Option<TeamId>,
) -> Result<Option<Option<Team>>, PageError> {
    let Some(team) = team else { return Ok(Some(None)) };
    let role = teams::role_of(tx, team, user).await?;
    Ok(teams::find(tx, team).await?.filter(|_| role.is_some()).map(Some))
}

/// Who has an app that went to `team`, or to the person.
pub(super) fn new_owner<'a>(user: UserId, name: &'a str, team: Option<&'a Team>) -> NewOwner<'a> {
    NewOwner {
        user,
        team: team.map(|team| team.id),
        publisher: team.map_or(name, |team| team.name.as_str()),
    }
}
