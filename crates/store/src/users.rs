//! Table `users`.

use domain::id::UserId;
use domain::password::PasswordHash;
use domain::user::{Role, User, UserStatus, normalize_email};

use crate::sets::{loads, of_many};
use crate::value::Row;
use crate::{DbError, Tx, bind};

macro_rules! select {
    ($rest:expr) => {
        concat!(
            "SELECT id, email, name, password_phc, roles, blocked_at, blocked_reason, created_at, \
             locale, email_verified_at FROM users ",
            $rest
        )
    };
}

/// `false`: the e-mail address is taken.
pub async fn insert(tx: &mut Tx<'_>, user: &User) -> Result<bool, DbError> {
    let (blocked_at, blocked_reason) = blocked(&user.status);
    let inserted = tx
        .execute(
            "INSERT INTO users (id, email, email_normalized, name, password_phc, roles, \
             blocked_at, blocked_reason, created_at, locale, email_verified_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
            bind![
                user.id,
                &user.email,
                normalize_email(&user.email),
                &user.name,
                user.password.as_ref().map(PasswordHash::as_phc),
                roles_text(&user.roles),
                blocked_at,
                blocked_reason,
                user.created_at,
                user.locale.as_ref(),
                user.email_verified_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Everything but the id, the address (see [`save_email`]) and the time of creation.
pub async fn save(tx: &mut Tx<'_>, user: &User) -> Result<(), DbError> {
    let (blocked_at, blocked_reason) = blocked(&user.status);
    tx.execute(
        "UPDATE users SET name = $2, password_phc = $3, roles = $4, blocked_at = $5, \
         blocked_reason = $6, locale = $7 WHERE id = $1",
        bind![
            user.id,
            &user.name,
            user.password.as_ref().map(PasswordHash::as_phc),
            roles_text(&user.roles),
            blocked_at,
            blocked_reason,
            user.locale.as_ref(),
        ],
    )
    .await?;
    Ok(())
}

/// The address and when it was verified. `false`: another account has it.
pub async fn save_email(tx: &mut Tx<'_>, user: &User) -> Result<bool, DbError> {
    let normalized = normalize_email(&user.email);
    // An expected conflict must not be an error, which would end a transaction of PostgreSQL.
    let saved = tx
        .execute(
            "UPDATE users SET email = $2, email_normalized = $3, email_verified_at = $4 \
             WHERE id = $1 AND NOT EXISTS \
             (SELECT 1 FROM users AS other WHERE other.email_normalized = $3 AND other.id <> $1)",
            bind![user.id, &user.email, normalized, user.email_verified_at],
        )
        .await?;
    Ok(saved == 1)
}

pub async fn find(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>, DbError> {
    let row = tx.query_opt(select!("WHERE id = $1"), bind![id]).await?;
    row.map(read).transpose()
}

/// Those of `ids` that there are, in no order.
pub async fn list_of(tx: &mut Tx<'_>, ids: &[UserId]) -> Result<Vec<User>, DbError> {
    let mut users = Vec::new();
    for load in loads(ids) {
        for row in tx.query_all(select!(of_many!("WHERE id", "")), &load).await? {
            users.push(read(row)?);
        }
    }
    Ok(users)
}

pub async fn find_by_email(tx: &mut Tx<'_>, email: &str) -> Result<Option<User>, DbError> {
    let row =
        tx.query_opt(select!("WHERE email_normalized = $1"), bind![normalize_email(email)]).await?;
    row.map(read).transpose()
}

/// Every user, by address. For the command line; read it with [`crate::Db::read_long`].
pub async fn list_all(tx: &mut Tx<'_>) -> Result<Vec<User>, DbError> {
    let rows = tx.query_all(select!("ORDER BY email_normalized"), &[]).await?;
    rows.into_iter().map(read).collect()
}

/// Which users a page shows; `None`: whoever it is.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    pub role: Option<Role>,
    pub blocked: Option<bool>,
    /// How the address begins.
    pub email: Option<String>,
}

/// At most `limit` by address, after the normalized `after`.
pub async fn list_page(
    tx: &mut Tx<'_>,
    filter: &UserFilter,
    after: &str,
    limit: i64,
) -> Result<Vec<User>, DbError> {
    let begins = filter.email.as_deref().map(normalize_email).unwrap_or_default();
    // Nothing that is an address comes after it.
    let ends = format!("{begins}\u{10ffff}");
    let role = filter.role.and_then(|role| ROLES.iter().find(|(known, _)| *known == role));
    let rows = tx
        .query_all(
            select!(
                "WHERE email_normalized > $1 AND email_normalized >= $2 AND email_normalized < $3 \
                 AND (CAST($4 AS TEXT) IS NULL OR roles LIKE $4) AND (CAST($5 AS BIGINT) IS NULL \
                 OR CASE WHEN blocked_at IS NULL THEN 0 ELSE 1 END = $5) \
                 ORDER BY email_normalized LIMIT $6"
            ),
            bind![
                after,
                begins,
                ends,
                role.map(|(_, name)| format!("%{name}%")),
                filter.blocked,
                limit,
            ],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// The admins who can sign in.
pub async fn list_active_admins(tx: &mut Tx<'_>) -> Result<Vec<User>, DbError> {
    let sql = select!("WHERE blocked_at IS NULL AND roles LIKE $1 ORDER BY email_normalized");
    let rows = tx.query_all(sql, bind!["%admin%"]).await?;
    rows.into_iter().map(read).collect()
}

fn blocked(status: &UserStatus) -> (Option<domain::time::Timestamp>, Option<&String>) {
    match status {
        UserStatus::Active => (None, None),
        UserStatus::Blocked { at, reason } => (Some(*at), Some(reason)),
    }
}

fn read(mut row: Row) -> Result<User, DbError> {
    Ok(User {
        id: row.take()?,
        email: row.take()?,
        name: row.take()?,
        password: row.take::<Option<String>>()?.map(PasswordHash::from_phc),
        roles: row.take_as("list of roles", roles_of)?,
        status: match (row.take()?, row.take::<Option<String>>()?) {
            (None, _) => UserStatus::Active,
            (Some(at), reason) => UserStatus::Blocked { at, reason: reason.unwrap_or_default() },
        },
        created_at: row.take()?,
        locale: row.take()?,
        email_verified_at: row.take()?,
    })
}

const ROLES: [(Role, &str); 3] =
    [(Role::Developer, "developer"), (Role::Reviewer, "reviewer"), (Role::Admin, "admin")];

fn roles_text(roles: &[Role]) -> String {
    let held = ROLES.iter().filter(|(role, _)| roles.contains(role));
    held.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

fn roles_of(text: String) -> Option<Vec<Role>> {
    let role = |name| ROLES.iter().find(|(_, known)| *known == name).map(|(role, _)| *role);
    text.split_whitespace().map(role).collect()
}
