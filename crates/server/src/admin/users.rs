//! Accounts: the first admin, developers and reviewers, and who is kept out.

use axum::Json;
use axum::extract::{Path, State};
use domain::admin_token::AdminScope;
use domain::audit::AuditKind;
use domain::change::Change;
use domain::id::UserId;
use domain::mail::{Mail, MailKind};
use domain::partner_key::EndedWhy;
use domain::user::{Role, User, UserStatus, is_email_address, is_name, normalize_email};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::users::UserFilter;
use store::{Tx, audit, changes, mails, partner_keys, second_factors, sessions, users};

use super::actor::Admin;
use super::apps::{Reason, location};
use super::body::{Asks, Body, MergePatch};
use super::operator::Operator;
use super::page::{Asked, Page, query};
use super::problem::Problem;
use super::schema::{choices, wire};
use super::version::{Created, Found, IfMatch, Versioned};
use super::{rfc3339, write};
use crate::new_password;
use crate::provider::{Provider, Shared};

choices! {
    /// Whether somebody may sign in.
    pub enum Status { Active = "active", Blocked = "blocked", }
}

wire! {
    /// A new account.
    #[derive(Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewUser {
        /// The e-mail address to sign in with.
        pub email: String,
        /// What others read; without it, what stands before the `@`.
        pub name: Option<String>,
        /// Its first password.
        pub password: String,
        /// What the user may do besides letting apps in; any but `developer` needs `roles:write`.
        #[serde(default)]
        pub roles: Vec<Role>,
    }

    /// An account. Never a password.
    #[derive(Clone, Debug, Serialize)]
    pub struct UserRecord {
        /// As the audit trail names it.
        pub id: UserId,
        /// The e-mail address to sign in with.
        pub email: String,
        /// What others read.
        pub name: String,
        /// What the user may do besides letting apps in.
        pub roles: Vec<Role>,
        /// Whether the user may sign in.
        pub status: Status,
        /// Why the user was blocked.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// When it was created.
        pub created_at: String,
    }

    /// What of an account can be changed.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct UserSettings {
        /// What others read.
        #[serde(default)]
        pub name: String,
        /// What the user may do besides letting apps in: all of it.
        #[serde(default)]
        pub roles: Vec<Role>,
    }

    /// Which accounts.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct UserQuery {
        /// Only with this role.
        pub role: Option<Role>,
        /// Only with this status.
        pub status: Option<Status>,
        /// How the address begins.
        pub email: Option<String>,
        /// Accounts on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }
}

query!(UserQuery);

impl Versioned for UserRecord {}

pub async fn list(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<UserQuery>,
) -> Result<Json<Page<UserRecord>>, Problem> {
    let asked: Asked<String> = Asked::of(&provider, "users", &query)?;
    let (after, fetch) = (asked.after.clone().unwrap_or_default(), asked.fetch);
    let filter = UserFilter {
        role: query.role,
        blocked: query.status.map(|status| status == Status::Blocked),
        email: query.email,
    };
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, Problem>(users::list_page(tx, &filter, &after, fetch).await?)
    };
    let found = provider.store.db.read_long(read).await?;
    asked.page(&provider, found, |user| normalize_email(&user.email), record)
}

pub async fn show(
    State(provider): State<Shared>,
    _: Admin,
    Path(user): Path<String>,
) -> Result<Found<UserRecord>, Problem> {
    let read = async move |tx: &mut Tx<'_>| find_user(tx, &user).await;
    Ok(Found(record(provider.store.db.read(read).await?)))
}

pub async fn create(
    State(provider): State<Shared>,
    admin: Admin,
    Body(new): Body<NewUser>,
) -> Result<Created<UserRecord>, Problem> {
    let record = register_by(&provider, admin, new).await?;
    Ok(Created(location("users", &record.id.to_string()), record))
}

/// Create an account that the program brings itself.
pub async fn register(provider: &Provider, new: NewUser) -> Result<UserRecord, Problem> {
    register_by(provider, Admin::operator(Operator::program()), new).await
}

/// Create an account that can sign in with its password.
pub async fn register_by(
    provider: &Provider,
    admin: Admin,
    new: NewUser,
) -> Result<UserRecord, Problem> {
    let email = new.email.trim().to_owned();
    let name = match new.name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => email.split('@').next().unwrap_or_default().to_owned(),
    };
    if !is_email_address(&email) {
        return Err(Problem::one_invalid("email", "that is not an e-mail address"));
    }
    check_name(&name)?;
    if new.roles.iter().any(|role| *role != Role::Developer) {
        admin.may(AdminScope::RolesWrite)?;
    }
    let password = new_password::hash(provider, &new.password, &[&email, &name]).await;
    let password = password.map_err(|error| Problem {
        errors: Problem::one_invalid("password", &error.to_string()).errors,
        ..Problem::invalid(&[error.to_string()])
    })?;
    let now = provider.now();
    let user = User {
        id: UserId::random(&*provider.entropy),
        email,
        name,
        password: Some(password),
        roles: in_order(new.roles),
        status: UserStatus::Active,
        created_at: now,
        locale: None,
        email_verified_at: None,
    };
    let detail = json!({ "email": user.email, "roles": user.roles });
    let event = admin.event(now, AuditKind::UserCreated, detail).user(user.id);
    let written = user.clone();
    let work = async move |tx: &mut Tx<'_>| {
        if !users::insert(tx, &written).await? {
            let text = format!("there is a user {} already", written.email);
            return Err(Problem::conflict(text));
        }
        audit::record(tx, &event).await?;
        Ok(())
    };
    write(provider, work).await?;
    Ok(record(user))
}

fn check_name(name: &str) -> Result<(), Problem> {
    match is_name(name) && !name.is_empty() {
        true => Ok(()),
        false => {
            let text = "use at most 100 characters, no control characters";
            Err(Problem::one_invalid("name", text))
        }
    }
}

fn in_order(mut roles: Vec<Role>) -> Vec<Role> {
    roles.sort_unstable();
    roles.dedup();
    roles
}

/// Change a name, or what somebody may do: felt by their next request.
pub async fn change(
    State(provider): State<Shared>,
    admin: Admin,
    Path(user): Path<String>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Found<UserRecord>, Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let user = find_user(tx, &user).await?;
        if_match.check(&record(user.clone()).etag())?;
        let before = UserSettings { name: user.name.clone(), roles: in_order(user.roles.clone()) };
        let wanted = patch.apply(&before)?;
        let (name, roles) = (wanted.name.trim().to_owned(), in_order(wanted.roles));
        check_name(&name)?;
        if roles != before.roles {
            admin.may(AdminScope::RolesWrite)?;
        }
        if user.has_role(Role::Admin) && !roles.contains(&Role::Admin) {
            keep_an_admin(tx, &user).await?;
        }
        let detail = json!({
            "name": name, "name_before": user.name, "roles": roles, "roles_before": before.roles,
        });
        let user = User { name, roles, ..user };
        users::save(tx, &user).await?;
        changes::record(tx, Change::User(user.id)).await?;
        audit::record(tx, &admin.event(now, AuditKind::UserChanged, detail).user(user.id)).await?;
        Ok(user)
    };
    Ok(Found(record(write(&provider, work).await?)))
}

/// Somebody must be able to sign in and let the others in again.
async fn keep_an_admin(tx: &mut Tx<'_>, user: &User) -> Result<(), Problem> {
    let admins = users::list_active_admins(tx).await?;
    match admins.iter().all(|admin| admin.id == user.id) && user.has_role(Role::Admin) {
        false => Ok(()),
        true => Err(Problem::conflict(format!(
            "{} is the last admin who can sign in. Create another first: consentry user create \
             EMAIL --role admin",
            user.email
        ))),
    }
}

/// Keep a user out: their sessions end, and no token of theirs is good from the next request on.
pub async fn block(
    State(provider): State<Shared>,
    admin: Admin,
    Path(user): Path<String>,
    if_match: IfMatch,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Found<UserRecord>, Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let user = find_user(tx, &user).await?;
        if_match.check(&record(user.clone()).etag())?;
        if !user.is_active() {
            return Err(Problem::conflict(format!("{} is blocked already", user.email)));
        }
        keep_an_admin(tx, &user).await?;
        let user = user.block(reason.clone(), now);
        users::save(tx, &user).await?;
        sessions::delete_of_user(tx, user.id).await?;
        changes::record(tx, Change::User(user.id)).await?;
        let detail = json!({ "reason": reason });
        let event = admin.event(now, AuditKind::UserBlocked, detail).user(user.id);
        let (why, actor) = (EndedWhy::AccountBlocked, event.actor);
        partner_keys::end_of_user(tx, user.id, why, actor, now).await?;
        audit::record(tx, &event).await?;
        Ok(user)
    };
    Ok(Found(record(write(&provider, work).await?)))
}

/// Let a blocked user in again. What they let apps do holds again too; their sessions and the keys
/// of apps have ended.
pub async fn unblock(
    State(provider): State<Shared>,
    admin: Admin,
    Path(user): Path<String>,
    if_match: IfMatch,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Found<UserRecord>, Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let user = find_user(tx, &user).await?;
        if_match.check(&record(user.clone()).etag())?;
        if user.is_active() {
            return Err(Problem::conflict(format!("{} is not blocked", user.email)));
        }
        let user = user.unblock();
        users::save(tx, &user).await?;
        changes::record(tx, Change::User(user.id)).await?;
        let detail = json!({ "reason": reason });
        let event = admin.event(now, AuditKind::UserUnblocked, detail).user(user.id);
        audit::record(tx, &event).await?;
        Ok(user)
    };
    Ok(Found(record(write(&provider, work).await?)))
}

/// For a user who has lost every second factor and proven otherwise who they are. Their sessions
/// end, so that what was lost opens nothing either.
pub async fn remove_second_factors(
    State(provider): State<Shared>,
    admin: Admin,
    Path(user): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Found<UserRecord>, Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let user = find_user(tx, &user).await?;
        if second_factors::remove_all(tx, user.id).await? == 0 {
            return Err(Problem::conflict(format!("{} has no second factor", user.email)));
        }
        sessions::delete_of_user(tx, user.id).await?;
        let detail = json!({ "reason": reason });
        let event = admin.event(now, AuditKind::SecondFactorRemoved, detail).user(user.id);
        audit::record(tx, &event).await?;
        let told = MailKind::SecondFactorsRemovedByStaff;
        mails::queue(tx, &Mail::to_user(user.id, told, now)).await?;
        Ok(user)
    };
    Ok(Found(record(write(&provider, work).await?)))
}

/// By id or e-mail address: no id is an address.
pub(super) async fn find_user(tx: &mut Tx<'_>, named: &str) -> Result<User, Problem> {
    let found = match named.parse::<UserId>() {
        Ok(id) => users::find(tx, id).await?,
        Err(_) => users::find_by_email(tx, &normalize_email(named)).await?,
    };
    found.ok_or_else(|| unknown_user(named))
}

pub(super) fn unknown_user(named: &str) -> Problem {
    Problem::not_found(format!("there is no user {named}"))
}

fn record(user: User) -> UserRecord {
    let (status, reason) = match user.status {
        UserStatus::Active => (Status::Active, None),
        UserStatus::Blocked { reason, .. } => (Status::Blocked, Some(reason)),
    };
    UserRecord {
        id: user.id,
        email: user.email,
        name: user.name,
        roles: user.roles,
        status,
        reason,
        created_at: rfc3339(user.created_at),
    }
}
