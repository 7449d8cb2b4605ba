//! Who uses the admin API: a program with a token, or an operator at the control socket, who may do
//! everything. The gate in front of each route decides; a handler gets who was let in.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use domain::admin_token::{AdminScope, AdminToken};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::UserId;
use domain::time::Timestamp;
use domain::user::{Role, User};
use http::request::Parts;
use serde_json::Value;
use store::{Tx, admin_tokens, teams, users};

use super::operator::Operator;
use super::problem::{Problem, ProblemKind};
use super::users::unknown_user;

#[derive(Clone, Debug)]
enum Who {
    Operator(Operator),
    Token(Box<AdminToken>),
}

/// Somebody whom the gate let in.
#[derive(Clone, Debug)]
pub struct Admin {
    who: Who,
    address: Option<IpAddr>,
}

impl Admin {
    pub fn operator(operator: Operator) -> Self {
        Self { who: Who::Operator(operator), address: None }
    }

    pub(super) fn token(token: AdminToken, address: IpAddr) -> Self {
        Self { who: Who::Token(Box::new(token)), address: Some(address) }
    }

    pub(super) fn actor(&self) -> AuditActor {
        match &self.who {
            Who::Operator(operator) => operator.actor(),
            Who::Token(token) => AuditActor::AdminToken(token.id),
        }
    }

    /// `None`: over the socket.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// `detail` is an object.
    pub(super) fn event(&self, at: Timestamp, kind: AuditKind, detail: Value) -> AuditEvent {
        self.sign(AuditEvent::new(at, kind, self.actor()).detail(detail))
    }

    /// An event that somebody else began: it was this one's doing.
    pub(super) fn sign(&self, event: AuditEvent) -> AuditEvent {
        let mut event = AuditEvent { actor: self.actor(), address: self.address, ..event };
        if let Who::Operator(operator) = &self.who {
            operator.name_in(&mut event.detail);
        }
        event
    }

    /// As the trail names actors.
    pub(super) fn name(&self) -> String {
        super::audit::actor_text(self.actor())
    }

    pub(super) fn may(&self, scope: AdminScope) -> Result<(), Problem> {
        match &self.who {
            Who::Token(token) if !token.may(scope) => Err(Problem::lacks(scope)),
            _ => Ok(()),
        }
    }

    /// The member of staff for whom a token stands.
    pub(super) fn person(&self) -> Option<UserId> {
        match &self.who {
            Who::Operator(_) => None,
            Who::Token(token) => token.user_id,
        }
    }

    /// May a token be made that stands for `user`? A token lends no name but its own.
    pub(super) fn may_stand_for(&self, user: UserId) -> bool {
        matches!(self.who, Who::Operator(_)) || self.person() == Some(user)
    }

    /// The token that makes another one is good; what is made by one that is not is none.
    pub(super) async fn still_stands(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let Who::Token(token) = &self.who else { return Ok(()) };
        let found = admin_tokens::find(tx, token.id).await?;
        match found.is_some_and(|token| token.is_live(now)) {
            true => Ok(()),
            false => Err(Problem::new(ProblemKind::Unauthorized, "the token was revoked")),
        }
    }

    /// Nothing that lets an app do more is done in the name of somebody who looks after it.
    pub(super) async fn may_favour(&self, tx: &mut Tx<'_>, app: &App) -> Result<(), Problem> {
        let person = match self.person() {
            Some(id) => users::find(tx, id).await?,
            None => None,
        };
        match person {
            Some(person) => is_not_own(tx, app, &person).await,
            None => Ok(()),
        }
    }

    /// When what it makes has to end at the latest.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        match &self.who {
            Who::Operator(_) => None,
            Who::Token(token) => Some(token.expires_at),
        }
    }

    /// The member of staff in whose name this is decided or written. Somebody at the socket says
    /// whom they mean; a token stands for one or for nobody.
    pub(super) async fn staff(&self, tx: &mut Tx<'_>, by: Option<&str>) -> Result<User, Problem> {
        let user = match (&self.who, by) {
            (Who::Operator(_), None) => {
                let text = "by: say which member of staff decides (an e-mail address)";
                return Err(Problem::invalid(&[text.to_owned()]));
            }
            (Who::Operator(_), Some(email)) => {
                users::find_by_email(tx, email).await?.ok_or_else(|| unknown_user(email))?
            }
            (Who::Token(token), by) => {
                let user = match token.user_id {
                    Some(id) => users::find(tx, id).await?,
                    None => None,
                };
                let user = user.ok_or_else(|| {
                    Problem::forbidden(
                        "this token stands for no member of staff; make one that does \
                         (consentry admin-token create --user EMAIL)",
                    )
                })?;
                let said = by.map(domain::user::normalize_email);
                if said.is_some_and(|email| email != domain::user::normalize_email(&user.email)) {
                    let text = format!("by: this token decides in the name of {}", user.email);
                    return Err(Problem::invalid(&[text]));
                }
                user
            }
        };
        if !user.is_active() || !user.has_role(Role::Reviewer) {
            let text = format!("{} is not on the staff who review apps", user.email);
            return Err(Problem::forbidden(text));
        }
        Ok(user)
    }
}

pub(super) async fn is_not_own(tx: &mut Tx<'_>, app: &App, by: &User) -> Result<(), Problem> {
    match teams::role_for(tx, app, by.id).await? {
        None => Ok(()),
        Some(_) => Err(own_app(by)),
    }
}

pub(super) fn own_app(by: &User) -> Problem {
    let text = format!("{} looks after this app; somebody else has to decide", by.email);
    Problem::forbidden(text)
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let let_in = parts.extensions.get::<Self>().cloned();
        let_in.ok_or_else(|| Problem::new(ProblemKind::Unauthorized, "no token was sent"))
    }
}
