//! Who joins a team and who goes. Whoever is invited answers once; a link in a message proves that
//! they read the address, where the account has not proven it yet.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use domain::audit::{AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::{InvitationId, TeamId, UserId};
use domain::mail::{Mail, MailKind};
use domain::mail_link::{LinkUse, MailLink};
use domain::team::{
    INVITATION_LIFETIME, Invitation, MEMBERS_MAX, TEAMS_MAX, Team, TeamError, TeamRole, heir,
    with_role, without,
};
use domain::user::{User, is_email_address};
use http::HeaderMap;
use protocol::params::Params;
use serde_json::json;
use store::{Tx, audit, changes, mails, teams, users};

use super::teams::{event, page_of_owner, path_of, too_many_teams};
use crate::account::limits::Limits;
use crate::account::links::{self, Asking};
use crate::account::step_up::need_fresh_proof;
use crate::actor::{Developer, SignedForm, SignedInUser, TeamMember, TeamOwner};
use crate::address::ClientAddress;
use crate::display;
use crate::error::{PageError, duration_words, form_query};
use crate::flash::Done;
use crate::pages::views::{InviteForm, JoinTeam, Section, TeamPage};
use crate::provider::{Provider, Shared};
use crate::view;

pub(super) fn read_invite(params: &Params) -> Result<(InviteForm, TeamRole), PageError> {
    let email = params.one("email")?.unwrap_or_default().trim().to_owned();
    let role = params.one("role")?.and_then(TeamRole::from_name).unwrap_or(TeamRole::Member);
    let error = (!is_email_address(&email)).then(|| "That is not an e-mail address.".to_owned());
    Ok((InviteForm { email, role: role.name(), error }, role))
}

pub async fn invite(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    owner: TeamOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let (invite, role) = read_invite(&form.params)?;
    if invite.error.is_some() {
        return invite_again(&provider, &owner, invite).await;
    }
    let typed = form_query(&[("email", &invite.email), ("role", invite.role)]);
    prove(&provider, &owner, &format!("?{typed}")).await?;
    let (team, by, now) = (owner.team.clone(), owner.user.user.clone(), provider.now());
    let id = InvitationId::random(&*provider.entropy);
    let invitation = Invitation::new(id, team.id, (&invite.email, role), by.id, now);
    let asking = Asking { user: Some(by.id), browser: String::new(), address };
    let kind = MailKind::TeamInvitation {
        asked: asking.link(&provider, &headers, INVITATION_LIFETIME),
        invitation: id,
        team: team.name.clone(),
        inviter: by.name.clone(),
    };
    let mail = Mail::to_address(invite.email.clone(), by.locale, kind, now);
    let mail = provider.policy().accounts.sends_mail.then_some(mail);
    let event = event(AuditKind::TeamMemberInvited, &team, by.id, now)
        .address(address)
        .detail(json!({ "team": team.id, "email": invitation.email, "role": role.name() }));
    let limits = Limits::of_mail(&invitation.email, address);
    let path = path_of(team.id);
    let write = async move |tx: &mut Tx<'_>| {
        if let Some(error) = no_place(tx, &invitation).await? {
            return Ok(Some(error));
        }
        if let Some(wait) = limits.count(tx, now).await? {
            return Ok(Some(format!("Too many invitations. Wait {}.", duration_words(wait))));
        }
        teams::invite(tx, &invitation).await?;
        if let Some(mail) = &mail {
            mails::queue(tx, mail).await?;
        }
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(None)
    };
    match provider.store.db.write(write).await? {
        error @ Some(_) => invite_again(&provider, &owner, InviteForm { error, ..invite }).await,
        None => Ok(Done::InvitationSent.redirect(&path).into_response()),
    }
}

/// Who is in a team is decided by owners who have just proven who they are; what was typed comes
/// back with them.
async fn prove(provider: &Provider, owner: &TeamOwner, query: &str) -> Result<(), PageError> {
    let path = format!("{}{query}", path_of(owner.team.id));
    need_fresh_proof(provider, &owner.user, &path).await
}

/// Why nobody can be invited to this address now.
async fn no_place(tx: &mut Tx<'_>, invitation: &Invitation) -> Result<Option<String>, PageError> {
    let members = teams::list_members(tx, invitation.team_id).await?;
    let invited = teams::list_invitations(tx, invitation.team_id).await?;
    if members.len() + invited.len() >= MEMBERS_MAX {
        return Ok(Some(format!("A team has at most {MEMBERS_MAX} people.")));
    }
    let known = users::find_by_email(tx, &invitation.email).await?;
    let is_member = known.is_some_and(|user| members.iter().any(|one| one.user_id == user.id));
    Ok(is_member.then(|| "This person is in the team.".to_owned()))
}

async fn invite_again(
    provider: &Provider,
    owner: &TeamOwner,
    invite: InviteForm,
) -> Result<Response, PageError> {
    let page = page_of_owner(provider, owner).await?;
    view::page_again(provider, &TeamPage { invite, ..page })
}

pub async fn end_invitation(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: TeamOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id = named::<InvitationId>(&form.params, "invitation")?;
    let (team, by, now) = (owner.team, owner.user.user.id, provider.now());
    let path = path_of(team.id);
    let write = async move |tx: &mut Tx<'_>| {
        let found = teams::find_invitation(tx, id).await?;
        let Some(found) = found.filter(|found| found.team_id == team.id) else {
            return Ok(Err(PageError::NotFound));
        };
        teams::end_invitation(tx, id).await?;
        let event = event(AuditKind::TeamInvitationEnded, &team, by, now)
            .address(address)
            .detail(json!({ "team": team.id, "email": found.email, "why": "taken back" }));
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::InvitationEnded.redirect(&path).into_response())
}

/// A field that names something.
fn named<I: std::str::FromStr>(params: &Params, field: &str) -> Result<I, PageError> {
    params.one(field)?.and_then(|text| text.parse().ok()).ok_or(PageError::NotFound)
}

/// The page behind the link. Nothing is used up by looking.
pub async fn open(
    State(provider): State<Shared>,
    Developer(user): Developer,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (sealed, link) = links::open_query(&provider, query.as_deref())?;
    let LinkUse::JoinTeam { invitation: id } = link.purpose else {
        return Err(PageError::LinkOver);
    };
    let (person, now) = (user.user.clone(), provider.now());
    let read = async move |tx: &mut Tx<'_>| {
        let found = teams::find_invitation(tx, id).await?.filter(|found| found.is_open(now));
        let Some(found) = found else { return Ok(None) };
        let team = teams::find(tx, found.team_id).await?;
        let inviter = users::find(tx, found.invited_by).await?;
        Ok::<_, PageError>(team.zip(inviter).map(|(team, inviter)| (found, team, inviter)))
    };
    let found = provider.store.db.read(read).await?;
    let (found, team, inviter) = found.ok_or(PageError::LinkOver)?;
    if !found.is_for(&person, true, true) {
        return Err(not_this_account());
    }
    let page = JoinTeam {
        layout: user.layout().in_section(Section::Apps),
        link: sealed,
        invitation: found.id.to_string(),
        team: team.name,
        inviter: inviter.name,
        role: found.role.name(),
        until: display::moment(now, found.expires_at),
    };
    view::page(&provider, &page)
}

fn not_this_account() -> PageError {
    let text =
        "The invitation is for another e-mail address. Sign in with the account that has it.";
    PageError::Forbidden(text.into())
}

/// Whoever is invited says yes or no: on the page of the link, or of their teams.
pub async fn answer(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Developer(user): Developer,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id = named::<InvitationId>(&form.params, "invitation")?;
    let link = match form.params.one("link")? {
        Some(_) => Some(links::open(&provider, &form.params)?.1),
        None => None,
    };
    let answering = Answering {
        by_link: link.is_some_and(|link| is_to(&link, id)),
        accepts: form.params.one("decision")? == Some("accept"),
        sends_mail: provider.policy().accounts.sends_mail,
        user: user.user,
        id,
    };
    let (now, accepts) = (provider.now(), answering.accepts);
    let write = async move |tx: &mut Tx<'_>| answering.write(tx, address, now).await;
    let team = provider.store.db.write(write).await??;
    Ok(match accepts {
        true => Done::TeamJoined.redirect(&path_of(team)),
        false => Done::InvitationDeclined.redirect("/teams"),
    }
    .into_response())
}

fn is_to(link: &MailLink, id: InvitationId) -> bool {
    matches!(link.purpose, LinkUse::JoinTeam { invitation } if invitation == id)
}

struct Answering {
    id: InvitationId,
    user: User,
    by_link: bool,
    sends_mail: bool,
    accepts: bool,
}

impl Answering {
    async fn write(
        &self,
        tx: &mut Tx<'_>,
        address: std::net::IpAddr,
        now: domain::time::Timestamp,
    ) -> Result<Result<TeamId, PageError>, PageError> {
        let over = || if self.by_link { PageError::LinkOver } else { PageError::NotFound };
        let found = teams::find_invitation(tx, self.id).await?.filter(|found| found.is_open(now));
        let Some(found) = found else { return Ok(Err(over())) };
        if !found.is_for(&self.user, self.by_link, self.sends_mail) {
            return Ok(Err(if self.by_link { not_this_account() } else { PageError::NotFound }));
        }
        let Some(team) = teams::find(tx, found.team_id).await? else { return Ok(Err(over())) };
        let detail = json!({ "team": team.id, "role": found.role.name() });
        let about = |kind| event(kind, &team, self.user.id, now).address(address);
        if !self.accepts {
            teams::end_invitation(tx, self.id).await?;
            let detail = json!({ "team": team.id, "email": found.email, "why": "declined" });
            audit::record(tx, &about(AuditKind::TeamInvitationEnded).detail(detail)).await?;
            return Ok(Ok(team.id));
        }
        // Whoever lost the team invites nobody to it any more.
        if teams::role_of(tx, found.team_id, found.invited_by).await? != Some(TeamRole::Owner) {
            return Ok(Err(over()));
        }
        if teams::list_of_user(tx, self.user.id).await?.len() >= TEAMS_MAX {
            return Ok(Err(too_many_teams()));
        }
        teams::end_invitation(tx, self.id).await?;
        if teams::insert_member(tx, &found.accept(self.user.id, now)).await? {
            audit::record(tx, &about(AuditKind::TeamMemberJoined).detail(detail)).await?;
        }
        Ok(Ok(team.id))
    }
}

pub async fn remove(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: TeamOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let leaving = named::<UserId>(&form.params, "user")?;
    prove(&provider, &owner, "").await?;
    let path = path_of(owner.team.id);
    go(&provider, owner.team, (leaving, &owner.user), address).await?;
    Ok(Done::MemberRemoved.redirect(&path).into_response())
}

pub async fn leave(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    member: TeamMember,
    _form: SignedForm,
) -> Result<Response, PageError> {
    go(&provider, member.team, (member.user.user.id, &member.user), address).await?;
    Ok(Done::TeamLeft.redirect("/teams").into_response())
}

/// `leaving` is in the team no longer, by `by`. An owner who stays answers for their apps.
async fn go(
    provider: &Provider,
    team: Team,
    (leaving, by): (UserId, &SignedInUser),
    address: std::net::IpAddr,
) -> Result<(), PageError> {
    let (by, now) = (by.user.id, provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        let members = teams::list_members(tx, team.id).await?;
        if !members.iter().any(|member| member.user_id == leaving) {
            return Ok(Err(PageError::NotFound));
        }
        let left = match without(&members, leaving, by) {
            Ok(left) => left,
            Err(error) => return Ok(Err(conflict(error))),
        };
        teams::delete_member(tx, team.id, leaving).await?;
        if let Some(heir) = heir(&left) {
            for app in teams::pass_on_apps(tx, team.id, leaving, heir).await? {
                changes::record(tx, Change::App(app)).await?;
            }
        }
        let event: AuditEvent = event(AuditKind::TeamMemberLeft, &team, by, now)
            .address(address)
            .detail(json!({ "team": team.id, "member": leaving }));
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await?
}

fn conflict(error: TeamError) -> PageError {
    PageError::Conflict(format!("{error}.").into())
}

pub async fn change_role(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: TeamOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let of = named::<UserId>(&form.params, "user")?;
    let role = form.params.one("role")?.and_then(TeamRole::from_name);
    let role = role.ok_or(PageError::BadRequest("No role was named.".into()))?;
    prove(&provider, &owner, "").await?;
    let (team, by, now) = (owner.team, owner.user.user.id, provider.now());
    let path = path_of(team.id);
    let write = async move |tx: &mut Tx<'_>| {
        let members = teams::list_members(tx, team.id).await?;
        if !members.iter().any(|member| member.user_id == of) {
            return Ok(Err(PageError::NotFound));
        }
        if let Err(error) = with_role(&members, of, role, by) {
            return Ok(Err(conflict(error)));
        }
        teams::save_role(tx, team.id, of, role).await?;
        let event = event(AuditKind::TeamRoleChanged, &team, by, now)
            .address(address)
            .detail(json!({ "team": team.id, "member": of, "role": role.name() }));
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::TeamSaved.redirect(&path).into_response())
}
