//! An app goes to somebody else, once both sides have said so: who gives asks, who takes accepts.

use std::time::Duration;

use crate::app::{App, AppError, AppStatus};
use crate::id::{AppId, TeamId, UserId};
use crate::revision::RevisionField;
use crate::time::Timestamp;
use crate::user::{User, normalize_email};

pub const TRANSFER_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// What waits for the other side. One for each app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub app_id: AppId,
    pub asked_by: UserId,
    pub to: Receiver,
    pub asked_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// Whoever has the account of this address, in the form in which addresses are compared.
    /// Whether there is one, the giver is not told.
    Person(String),
    /// Any owner of it accepts.
    Team(TeamId),
}

/// Who has an app from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOwner<'a> {
    /// The person who accepted.
    pub user: UserId,
    pub team: Option<TeamId>,
    /// The name of the person, or of the team.
    pub publisher: &'a str,
}

impl Transfer {
    pub fn new(app_id: AppId, asked_by: UserId, to: Receiver, now: Timestamp) -> Self {
        Self { app_id, asked_by, to, asked_at: now, expires_at: now.after(TRANSFER_LIFETIME) }
    }

    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

impl Receiver {
    pub fn person(email: &str) -> Self {
        Self::Person(normalize_email(email))
    }

    /// Whether `user` may answer. `owns`: the teams that the user is an owner of.
    pub fn is(&self, user: &User, owns: &[TeamId], sends_mail: bool) -> bool {
        match self {
            Self::Person(email) => user.reads_mail_of(email, sends_mail),
            Self::Team(team) => owns.contains(team),
        }
    }
}

impl App {
    /// It is `to`'s. Nobody has verified the brand for them, and where staff look at names
    /// (`reviewed`), nobody has looked at the publisher that users read from now on.
    pub fn hand_over(
        self,
        to: NewOwner<'_>,
        reviewed: &[RevisionField],
        now: Timestamp,
    ) -> Result<Self, AppError> {
        if let AppStatus::Suspended { .. } = self.status {
            return Err(AppError::Suspended);
        }
        let app = self.publish_as(to.publisher, reviewed, now)?;
        let mut app = Self { owner: to.user, team: to.team, ..app };
        app.review.brand = None;
        Ok(app)
    }

    /// Users read another publisher.
    pub fn publish_as(
        self,
        publisher: &str,
        reviewed: &[RevisionField],
        now: Timestamp,
    ) -> Result<Self, AppError> {
        if self.publisher == publisher {
            return Ok(self);
        }
        let mut app = Self { publisher: publisher.to_owned(), changed_at: now, ..self };
        // What was verified is that the name is this publisher's.
        app.review.brand = None;
        match app.is_live() && reviewed.contains(&RevisionField::Name) {
            true => app.change_unreviewed(now),
            false => Ok(app),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::{NOW, STAFF, THEN, live, new};
    use crate::app::{AppKind, Approval};

    const CAT: UserId = UserId::from_bytes([3; 16]);
    const TEAM: TeamId = TeamId::from_bytes([4; 16]);
    const TO: NewOwner<'_> = NewOwner { user: CAT, team: Some(TEAM), publisher: "Night Desk" };

    #[test]
    fn whoever_takes_an_app_is_its_publisher_and_was_not_reviewed() {
        let before = App { publisher: "Devi".into(), ..live("read").verify_brand(STAFF, THEN) };
        let app = before.clone().hand_over(TO, &[RevisionField::Name], NOW).unwrap();
        assert_eq!((app.owner, app.team, app.publisher.as_str()), (CAT, Some(TEAM), "Night Desk"));
        assert_eq!(app.status, AppStatus::Live { since: THEN, approval: Approval::Unreviewed });
        assert!(!app.brand_is_verified() && app.changed_at == NOW);
        let app = before.hand_over(TO, &[RevisionField::RedirectUris], NOW).unwrap();
        let approval = Approval::Reviewed { at: THEN, by: STAFF };
        assert_eq!(app.status, AppStatus::Live { since: THEN, approval });
    }

    #[test]
    fn an_app_in_review_stays_there_and_a_suspended_one_stays_where_it_is() {
        let app = new(AppKind::Web, "read").hand_over(TO, &[RevisionField::Name], NOW).unwrap();
        assert_eq!((app.status, app.team), (AppStatus::InReview, Some(TEAM)));
        let stopped = live("read").suspend("Phishing".into(), NOW).unwrap();
        assert_eq!(stopped.hand_over(TO, &[], NOW).err(), Some(AppError::Suspended));
    }

    #[test]
    fn a_transfer_is_over_after_a_week() {
        let transfer = Transfer::new(AppId::from_bytes([1; 16]), CAT, Receiver::Team(TEAM), THEN);
        assert!(transfer.is_open(THEN) && !transfer.is_open(THEN.after(TRANSFER_LIFETIME)));
    }
}
