//! Users for the command line: the first admin, developers and reviewers, and who is kept out.

use axum::Json;
use axum::extract::{Path, State};
use domain::audit::AuditKind;
use domain::change::Change;
use domain::id::UserId;
use domain::mail::{Mail, MailKind};
use domain::partner_key::EndedWhy;
use domain::user::{Role, User, UserStatus, is_email_address, is_name, normalize_email};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Tx, audit, changes, mails, partner_keys, second_factors, sessions, users};

use super::apps::{Reason, unknown_user};
use super::error::{Body, ControlError};
use super::operator::Operator;
use crate::new_password;
use crate::provider::{Provider, Shared};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub email: String,
    /// What stands before the `@` when it is left out.
    pub name: Option<String>,
    pub password: String,
    #[serde(default)]
    pub roles: Vec<Role>,
}

#[derive(Clone, Debug, Serialize)]
pub struct UserRecord {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub roles: Vec<Role>,
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub created_at: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct UserList {
    pub users: Vec<UserRecord>,
}

pub async fn list(State(provider): State<Shared>) -> Result<Json<UserList>, ControlError> {
    let read = async move |tx: &mut Tx<'_>| Ok::<_, ControlError>(users::list_all(tx).await?);
    let users = provider.store.db.read_long(read).await?;
    Ok(Json(UserList { users: users.into_iter().map(record).collect() }))
}

pub async fn create(
    State(provider): State<Shared>,
    operator: Operator,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<UserRecord>), ControlError> {
    Ok((StatusCode::CREATED, Json(register_by(&provider, &operator, new).await?)))
}

/// Create an account that the program brings itself.
pub async fn register(provider: &Provider, new: NewUser) -> Result<UserRecord, ControlError> {
    register_by(provider, &Operator::program(), new).await
}

/// Create an account that can sign in with its password.
pub async fn register_by(
    provider: &Provider,
    operator: &Operator,
    new: NewUser,
) -> Result<UserRecord, ControlError> {
    let email = new.email.trim().to_owned();
    let name = match new.name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => email.split('@').next().unwrap_or_default().to_owned(),
    };
    if !is_email_address(&email) {
        return Err(ControlError::Invalid("email: that is not an e-mail address".to_owned()));
    }
    if !is_name(&name) {
        let text = "name: use at most 100 characters, no control characters";
        return Err(ControlError::Invalid(text.to_owned()));
    }
    let password = new_password::hash(provider, &new.password, &[&email, &name]).await;
    let password = password.map_err(|error| ControlError::Invalid(error.to_string()))?;
    let now = provider.now();
    let mut roles = new.roles;
    roles.sort_unstable();
    roles.dedup();
    let user = User {
        id: UserId::random(&*provider.entropy),
        email,
        name,
        password: Some(password),
        roles,
        status: UserStatus::Active,
        created_at: now,
        locale: None,
        email_verified_at: None,
    };
    let detail = json!({ "email": user.email, "roles": user.roles });
    let event = operator.event(now, AuditKind::UserCreated, detail).user(user.id);
    let written = user.clone();
    let write = async move |tx: &mut Tx<'_>| {
        if !users::insert(tx, &written).await? {
            let text = format!("there is a user {} already", written.email);
            return Err(ControlError::Conflict(text));
        }
        audit::record(tx, &event).await?;
        Ok(())
    };
    provider.store.db.write(write).await?;
    Ok(record(user))
}

/// Keep a user out: their sessions end, and no token of theirs is good from the next request on.
pub async fn block(
    State(provider): State<Shared>,
    operator: Operator,
    Path(email): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<UserRecord>, ControlError> {
    let now = provider.now();
    let write = async move |tx: &mut Tx<'_>| {
        let user = named(tx, &email).await?;
        if !user.is_active() {
            return Err(ControlError::Conflict(format!("{} is blocked already", user.email)));
        }
        let admins = users::list_active_admins(tx).await?;
        if admins.iter().all(|admin| admin.id == user.id) && user.has_role(Role::Admin) {
            return Err(ControlError::Conflict(format!(
                "{} is the last admin who can sign in. Create another first: consentry user \
                 create EMAIL --role admin",
                user.email
            )));
        }
        let user = user.block(reason.clone(), now);
        users::save(tx, &user).await?;
        sessions::delete_of_user(tx, user.id).await?;
        changes::record(tx, Change::User(user.id)).await?;
        let detail = json!({ "reason": reason });
        let event = operator.event(now, AuditKind::UserBlocked, detail).user(user.id);
        let (why, actor) = (EndedWhy::AccountBlocked, event.actor);
        partner_keys::end_of_user(tx, user.id, why, actor, now).await?;
        audit::record(tx, &event).await?;
        Ok(user)
    };
    Ok(Json(record(provider.store.db.write(write).await?)))
}

/// Let a blocked user in again. What they let apps do holds again too; their sessions and the keys
/// of apps have ended.
pub async fn unblock(
    State(provider): State<Shared>,
    operator: Operator,
    Path(email): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<UserRecord>, ControlError> {
    let now = provider.now();
    let write = async move |tx: &mut Tx<'_>| {
        let user = named(tx, &email).await?;
        if user.is_active() {
            return Err(ControlError::Conflict(format!("{} is not blocked", user.email)));
        }
        let user = user.unblock();
        users::save(tx, &user).await?;
        changes::record(tx, Change::User(user.id)).await?;
        let detail = json!({ "reason": reason });
        let event = operator.event(now, AuditKind::UserUnblocked, detail).user(user.id);
        audit::record(tx, &event).await?;
        Ok(user)
    };
    Ok(Json(record(provider.store.db.write(write).await?)))
}

/// For a user who has lost every second factor and proven otherwise who they are. Their sessions
/// end, so that what was lost opens nothing either.
pub async fn remove_second_factors(
    State(provider): State<Shared>,
    operator: Operator,
    Path(email): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<UserRecord>, ControlError> {
    let now = provider.now();
    let write = async move |tx: &mut Tx<'_>| {
        let user = named(tx, &email).await?;
        if second_factors::remove_all(tx, user.id).await? == 0 {
            let text = format!("{} has no second factor", user.email);
            return Err(ControlError::Conflict(text));
        }
        sessions::delete_of_user(tx, user.id).await?;
        let detail = json!({ "reason": reason });
        let event = operator.event(now, AuditKind::SecondFactorRemoved, detail).user(user.id);
        audit::record(tx, &event).await?;
        let told = MailKind::SecondFactorsRemovedByStaff;
        mails::queue(tx, &Mail::to_user(user.id, told, now)).await?;
        Ok(user)
    };
    Ok(Json(record(provider.store.db.write(write).await?)))
}

async fn named(tx: &mut Tx<'_>, email: &str) -> Result<User, ControlError> {
    let found = users::find_by_email(tx, &normalize_email(email)).await?;
    found.ok_or_else(|| unknown_user(email))
}

fn record(user: User) -> UserRecord {
    let (status, reason) = match user.status {
        UserStatus::Active => ("active", None),
        UserStatus::Blocked { reason, .. } => ("blocked", Some(reason)),
    };
    UserRecord {
        id: user.id,
        email: user.email,
        name: user.name,
        roles: user.roles,
        status,
        reason,
        created_at: super::rfc3339(user.created_at),
    }
}
