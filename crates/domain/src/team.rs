//! A team: people who look after the same apps. Members do everything with these but what cannot be
//! taken back: deleting an app, giving it away and sending others out, which owners do.

use std::time::Duration;

use crate::app::App;
use crate::id::{InvitationId, TeamId, UserId};
use crate::policy::Developers;
use crate::time::Timestamp;
use crate::user::{User, normalize_email};

/// Long enough for somebody on holiday to come back to.
pub const INVITATION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// People and open invitations together.
pub const MEMBERS_MAX: usize = 100;
/// Of one person.
pub const TEAMS_MAX: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    pub id: TeamId,
    /// Told to users as the publisher of the team's apps.
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TeamRole {
    Member,
    Owner,
}

impl TeamRole {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Owner => "owner",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Member, Self::Owner].into_iter().find(|role| role.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub team_id: TeamId,
    pub user_id: UserId,
    pub role: TeamRole,
    pub since: Timestamp,
}

/// Somebody is asked to join. It is gone once it was answered, so it works once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    pub team_id: TeamId,
    /// In the form in which addresses are compared.
    pub email: String,
    pub role: TeamRole,
    pub invited_by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Whose an app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    User(UserId),
    Team(TeamId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TeamError {
    #[error("a team keeps at least one owner; make somebody else one first")]
    LastOwner,
    #[error("only an owner of the team can do that")]
    NotOwner,
}

impl App {
    pub fn belongs_to(&self) -> Owner {
        self.team.map_or(Owner::User(self.owner), Owner::Team)
    }
}

impl Invitation {
    pub fn new(
        id: InvitationId,
        team_id: TeamId,
        (email, role): (&str, TeamRole),
        invited_by: UserId,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            team_id,
            email: normalize_email(email),
            role,
            invited_by,
            created_at: now,
            expires_at: now.after(INVITATION_LIFETIME),
        }
    }

    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Whether `user` may answer it: the account has its address, and mail to that address reaches
    /// whoever has the account. `by_link`: they came by the link that was sent there.
    pub fn is_for(&self, user: &User, by_link: bool, sends_mail: bool) -> bool {
        user.reads_mail_of(&self.email, sends_mail && !by_link)
    }

    /// Joining a team does not make a developer of somebody whom the operator has not admitted.
    pub fn may_be_accepted_by(&self, user: &User, developers: Developers) -> bool {
        user.is_developer(developers)
    }

    pub fn accept(&self, user: UserId, now: Timestamp) -> Member {
        Member { team_id: self.team_id, user_id: user, role: self.role, since: now }
    }
}

/// Who is left when `leaving` goes: on their own account, or sent by `by`.
pub fn without(members: &[Member], leaving: UserId, by: UserId) -> Result<Vec<&Member>, TeamError> {
    if leaving != by && role_of(members, by) != Some(TeamRole::Owner) {
        return Err(TeamError::NotOwner);
    }
    let left: Vec<_> = members.iter().filter(|member| member.user_id != leaving).collect();
    has_owner(left.iter().copied()).then_some(left).ok_or(TeamError::LastOwner)
}

/// `of` gets another role from `by`.
pub fn with_role(
    members: &[Member],
    of: UserId,
    role: TeamRole,
    by: UserId,
) -> Result<(), TeamError> {
    if role_of(members, by) != Some(TeamRole::Owner) {
        return Err(TeamError::NotOwner);
    }
    let others = members.iter().filter(|member| member.user_id != of);
    let keeps_owner = role == TeamRole::Owner || has_owner(others);
    keeps_owner.then_some(()).ok_or(TeamError::LastOwner)
}

/// Who answers for the apps of somebody who has gone: the owner who has been there longest.
pub fn heir(left: &[&Member]) -> Option<UserId> {
    let owners = left.iter().filter(|member| member.role == TeamRole::Owner);
    owners.min_by_key(|member| (member.since, member.user_id)).map(|member| member.user_id)
}

pub fn role_of(members: &[Member], user: UserId) -> Option<TeamRole> {
    members.iter().find(|member| member.user_id == user).map(|member| member.role)
}

fn has_owner<'m>(members: impl IntoIterator<Item = &'m Member>) -> bool {
    members.into_iter().any(|member| member.role == TeamRole::Owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::UserStatus;

    const TEAM: TeamId = TeamId::from_bytes([1; 16]);
    const ANN: UserId = UserId::from_bytes([1; 16]);
    const BEN: UserId = UserId::from_bytes([2; 16]);
    const CAT: UserId = UserId::from_bytes([3; 16]);

    fn member(user_id: UserId, role: TeamRole, since: i64) -> Member {
        Member { team_id: TEAM, user_id, role, since: Timestamp::from_seconds(since) }
    }

    fn user(email: &str, verified: bool) -> User {
        User {
            id: ANN,
            email: email.to_owned(),
            name: "Ann".to_owned(),
            password: None,
            roles: Vec::new(),
            status: UserStatus::Active,
            created_at: Timestamp::default(),
            locale: None,
            email_verified_at: verified.then(Timestamp::default),
        }
    }

    #[test]
    fn the_last_owner_neither_leaves_nor_becomes_a_member() {
        let members = [member(ANN, TeamRole::Owner, 1), member(BEN, TeamRole::Member, 2)];
        assert_eq!(without(&members, ANN, ANN), Err(TeamError::LastOwner));
        assert_eq!(with_role(&members, ANN, TeamRole::Member, ANN), Err(TeamError::LastOwner));
        assert_eq!(with_role(&members, BEN, TeamRole::Owner, ANN), Ok(()));
        assert_eq!(without(&members, BEN, BEN).unwrap().len(), 1);
    }

    #[test]
    fn a_member_sends_nobody_out_and_gives_no_role() {
        let members = [member(ANN, TeamRole::Owner, 1), member(BEN, TeamRole::Member, 2)];
        assert_eq!(without(&members, ANN, BEN), Err(TeamError::NotOwner));
        assert_eq!(without(&members, BEN, CAT), Err(TeamError::NotOwner));
        assert_eq!(with_role(&members, BEN, TeamRole::Owner, BEN), Err(TeamError::NotOwner));
        assert!(without(&members, BEN, ANN).is_ok());
    }

    #[test]
    fn the_owner_who_has_been_there_longest_answers_for_the_apps_of_one_who_goes() {
        let members = [
            member(ANN, TeamRole::Owner, 1),
            member(BEN, TeamRole::Owner, 3),
            member(CAT, TeamRole::Owner, 2),
        ];
        assert_eq!(heir(&without(&members, ANN, ANN).unwrap()), Some(CAT));
        assert_eq!(heir(&without(&members, CAT, ANN).unwrap()), Some(ANN));
    }

    #[test]
    fn an_invitation_is_answered_by_whoever_reads_the_mail_of_its_address() {
        let id = InvitationId::from_bytes([9; 16]);
        let now = Timestamp::from_seconds(10);
        let invitation =
            Invitation::new(id, TEAM, (" Ann@Example.com", TeamRole::Member), BEN, now);
        let (proven, unproven) = (user("ann@example.COM", true), user("ann@example.com", false));
        assert!(invitation.is_for(&proven, false, true));
        assert!(!invitation.is_for(&unproven, false, true), "anybody could have typed the address");
        assert!(
            invitation.is_for(&unproven, true, true) && invitation.is_for(&unproven, false, false)
        );
        let other = user("cat@example.com", true);
        assert!(!invitation.is_for(&other, true, true), "the link was passed on");
        assert!(!invitation.is_open(now.after(INVITATION_LIFETIME)));
        assert!(!invitation.may_be_accepted_by(&proven, Developers::Invited));
        assert!(invitation.may_be_accepted_by(&proven, Developers::Verified));
    }

    #[test]
    fn a_role_is_known_by_its_name() {
        for role in [TeamRole::Member, TeamRole::Owner] {
            assert_eq!(TeamRole::from_name(role.name()), Some(role));
        }
        assert_eq!(TeamRole::from_name("admin"), None);
    }
}
