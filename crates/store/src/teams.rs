//! Tables `teams`, `team_members` and `team_invitations`: who looks after which apps together.

use domain::app::App;
use domain::id::{AppId, InvitationId, TeamId, UserId};
use domain::team::{Invitation, Member, Owner, Team, TeamRole};
use domain::time::Timestamp;

use crate::value::{Row, unreadable};
use crate::{DbError, Tx, bind, transfers};

pub async fn insert(tx: &mut Tx<'_>, team: &Team) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO teams (id, name, created_at) VALUES ($1, $2, $3)",
        bind![team.id, &team.name, team.created_at],
    )
    .await?;
    Ok(())
}

pub async fn save_name(tx: &mut Tx<'_>, id: TeamId, name: &str) -> Result<(), DbError> {
    tx.execute("UPDATE teams SET name = $2 WHERE id = $1", bind![id, name]).await?;
    Ok(())
}

/// With its members and invitations. A team that has apps cannot be deleted.
pub async fn delete(tx: &mut Tx<'_>, id: TeamId) -> Result<(), DbError> {
    tx.execute("DELETE FROM teams WHERE id = $1", bind![id]).await?;
    Ok(())
}

pub async fn find(tx: &mut Tx<'_>, id: TeamId) -> Result<Option<Team>, DbError> {
    let row =
        tx.query_opt("SELECT id, name, created_at FROM teams WHERE id = $1", bind![id]).await?;
    row.map(|mut row| read_team(&mut row)).transpose()
}

/// The teams of a person by name, with what they are there.
pub async fn list_of_user(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<(Team, TeamRole)>, DbError> {
    let rows = tx
        .query_all(
            "SELECT t.id, t.name, t.created_at, m.role FROM team_members m \
             JOIN teams t ON t.id = m.team_id WHERE m.user_id = $1 ORDER BY t.name, t.id",
            bind![user],
        )
        .await?;
    rows.into_iter().map(|mut row| Ok((read_team(&mut row)?, read_role(&mut row)?))).collect()
}

/// `false`: they are a member already.
pub async fn insert_member(tx: &mut Tx<'_>, member: &Member) -> Result<bool, DbError> {
    let count = tx
        .execute(
            "INSERT INTO team_members (team_id, user_id, role, since) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            bind![member.team_id, member.user_id, member.role.name(), member.since],
        )
        .await?;
    Ok(count > 0)
}

pub async fn save_role(
    tx: &mut Tx<'_>,
    team: TeamId,
    user: UserId,
    role: TeamRole,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE team_members SET role = $3 WHERE team_id = $1 AND user_id = $2",
        bind![team, user, role.name()],
    )
    .await?;
    Ok(())
}

pub async fn delete_member(tx: &mut Tx<'_>, team: TeamId, user: UserId) -> Result<(), DbError> {
    tx.execute("DELETE FROM team_members WHERE team_id = $1 AND user_id = $2", bind![team, user])
        .await?;
    Ok(())
}

/// Whoever has been there longest first.
pub async fn list_members(tx: &mut Tx<'_>, team: TeamId) -> Result<Vec<Member>, DbError> {
    let rows = tx
        .query_all(
            "SELECT team_id, user_id, role, since FROM team_members WHERE team_id = $1 \
             ORDER BY since, user_id",
            bind![team],
        )
        .await?;
    let read = |mut row: Row| {
        Ok(Member {
            team_id: row.take()?,
            user_id: row.take()?,
            role: read_role(&mut row)?,
            since: row.take()?,
        })
    };
    rows.into_iter().map(read).collect()
}

pub async fn role_of(
    tx: &mut Tx<'_>,
    team: TeamId,
    user: UserId,
) -> Result<Option<TeamRole>, DbError> {
    let row = tx
        .query_opt(
            "SELECT role FROM team_members WHERE team_id = $1 AND user_id = $2",
            bind![team, user],
        )
        .await?;
    row.map(|mut row| read_role(&mut row)).transpose()
}

/// What `user` is to the app. `None`: nobody, so that to them it does not exist.
pub async fn role_for(
    tx: &mut Tx<'_>,
    app: &App,
    user: UserId,
) -> Result<Option<TeamRole>, DbError> {
    match app.belongs_to() {
        Owner::User(owner) => Ok((owner == user).then_some(TeamRole::Owner)),
        Owner::Team(team) => role_of(tx, team, user).await,
    }
}

/// Who hears about the app: its owner, or all owners of its team.
pub async fn list_owners_of(tx: &mut Tx<'_>, app: &App) -> Result<Vec<UserId>, DbError> {
    let Owner::Team(team) = app.belongs_to() else { return Ok(vec![app.owner]) };
    let members = list_members(tx, team).await?.into_iter();
    let owners = members.filter(|member| member.role == TeamRole::Owner);
    Ok(owners.map(|member| member.user_id).collect())
}

/// The apps of the team for which `from` answers are answered for by `to`.
pub async fn pass_on_apps(
    tx: &mut Tx<'_>,
    team: TeamId,
    from: UserId,
    to: UserId,
) -> Result<Vec<AppId>, DbError> {
    let rows = tx
        .query_all("SELECT id FROM apps WHERE team_id = $1 AND owner_id = $2", bind![team, from])
        .await?;
    tx.execute(
        "UPDATE apps SET owner_id = $3 WHERE team_id = $1 AND owner_id = $2",
        bind![team, from, to],
    )
    .await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

macro_rules! select_invitation {
    ($rest:literal) => {
        concat!(
            "SELECT id, team_id, email_normalized, role, invited_by, created_at, expires_at \
             FROM team_invitations ",
            $rest
        )
    };
}

/// In place of an earlier one to the same address.
pub async fn invite(tx: &mut Tx<'_>, invitation: &Invitation) -> Result<(), DbError> {
    let Invitation { id, team_id, email, role, invited_by, created_at, expires_at } = invitation;
    tx.execute(
        "DELETE FROM team_invitations WHERE team_id = $1 AND email_normalized = $2",
        bind![*team_id, email],
    )
    .await?;
    tx.execute(
        "INSERT INTO team_invitations (id, team_id, email_normalized, role, invited_by, \
         created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        bind![*id, *team_id, email, role.name(), *invited_by, *created_at, *expires_at],
    )
    .await?;
    Ok(())
}

/// `false`: it was answered or taken back before.
pub async fn end_invitation(tx: &mut Tx<'_>, id: InvitationId) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM team_invitations WHERE id = $1", bind![id]).await? > 0)
}

pub async fn find_invitation(
    tx: &mut Tx<'_>,
    id: InvitationId,
) -> Result<Option<Invitation>, DbError> {
    let row = tx.query_opt(select_invitation!("WHERE id = $1"), bind![id]).await?;
    row.map(read_invitation).transpose()
}

/// Open or over, oldest first.
pub async fn list_invitations(tx: &mut Tx<'_>, team: TeamId) -> Result<Vec<Invitation>, DbError> {
    let sql = select_invitation!("WHERE team_id = $1 ORDER BY created_at, id");
    let rows = tx.query_all(sql, bind![team]).await?;
    rows.into_iter().map(read_invitation).collect()
}

/// Open ones to a normalized address, with the names of the teams and of who invited.
pub async fn list_invitations_to(
    tx: &mut Tx<'_>,
    email: &str,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(Invitation, String, String)>, DbError> {
    let rows = tx
        .query_all(
            "SELECT i.id, i.team_id, i.email_normalized, i.role, i.invited_by, i.created_at, \
             i.expires_at, t.name, u.name FROM team_invitations i \
             JOIN teams t ON t.id = i.team_id JOIN users u ON u.id = i.invited_by \
             WHERE i.email_normalized = $1 AND i.expires_at > $2 \
             ORDER BY i.created_at, i.id LIMIT $3",
            bind![email, now, limit],
        )
        .await?;
    let read = |mut row: Row| {
        let invitation = take_invitation(&mut row)?;
        Ok((invitation, row.take()?, row.take()?))
    };
    rows.into_iter().map(read).collect()
}

/// Delete at most `limit` invitations, and as many transfers of apps, that nobody answered in time.
/// The larger of the two counts.
pub async fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    let invitations = tx
        .execute(
            "DELETE FROM team_invitations WHERE id IN (SELECT id FROM team_invitations \
             WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
            bind![now, limit],
        )
        .await?;
    Ok(invitations.max(transfers::sweep(tx, now, limit).await?))
}

fn read_team(row: &mut Row) -> Result<Team, DbError> {
    Ok(Team { id: row.take()?, name: row.take()?, created_at: row.take()? })
}

fn read_role(row: &mut Row) -> Result<TeamRole, DbError> {
    TeamRole::from_name(&row.take::<String>()?).ok_or_else(|| unreadable("role in a team"))
}

fn read_invitation(mut row: Row) -> Result<Invitation, DbError> {
    take_invitation(&mut row)
}

fn take_invitation(row: &mut Row) -> Result<Invitation, DbError> {
    Ok(Invitation {
        id: row.take()?,
        team_id: row.take()?,
        email: row.take()?,
        role: read_role(row)?,
        invited_by: row.take()?,
        created_at: row.take()?,
        expires_at: row.take()?,
    })
}
