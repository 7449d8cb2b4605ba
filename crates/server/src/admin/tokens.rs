//! Tokens of this API. A token is told once, in the answer that made it, and makes no token that
//! may do more than itself.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use domain::admin_token::{AdminScope, AdminToken, LIFETIME_MAX, NAME_MAX, new_text};
use domain::audit::{AuditActor, AuditKind};
use domain::id::AdminTokenId;
use domain::user::Role;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Tx, admin_tokens, audit};

use super::actor::Admin;
use super::apps::location;
use super::audit::actor_text;
use super::body::{Asks, Body};
use super::page::{Asked, Page, query};
use super::problem::Problem;
use super::schema::wire;
use super::users::find_user;
use super::version::{Created, Found, IfMatch, Versioned, etag_of};
use super::{rfc3339, write};
use crate::provider::Shared;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a token is good when nothing else is said.
const DAYS_DEFAULT: u32 = 90;

wire! {
    /// A new token.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewToken {
        /// What it is for.
        pub name: String,
        /// What it may do: at least one scope, none that the one who makes it lacks.
        pub scopes: Vec<AdminScope>,
        /// After how many days it expires, 1 to 366; 90 unless you say.
        pub days: Option<u32>,
        /// The member of staff (an e-mail address) in whose name it decides and writes to
        /// developers. Without one it has the name of the token that makes it, or does neither.
        pub user: Option<String>,
    }

    /// What is known of a token.
    #[derive(Clone, Debug, Serialize)]
    pub struct TokenRecord {
        /// As the audit trail names it.
        pub id: AdminTokenId,
        /// What it is for.
        pub name: String,
        /// What it may do.
        pub scopes: Vec<AdminScope>,
        /// The id of the member of staff in whose name it decides.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub user_id: Option<String>,
        /// Who made it.
        pub created_by: String,
        /// When.
        pub created_at: String,
        /// From when on it is no longer good.
        pub expires_at: String,
        /// When it was last used, to about an hour.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub last_used_at: Option<String>,
        /// When it was revoked.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub revoked_at: Option<String>,
        /// The token, in the answer that made it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub token: Option<String>,
    }

    /// Which tokens.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct TokenQuery {
        /// Tokens on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }
}

query!(TokenQuery);

impl Versioned for TokenRecord {
    fn etag(&self) -> String {
        etag_of(&(self.id, &self.name, &self.scopes, &self.revoked_at))
    }
}

pub async fn list(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<TokenQuery>,
) -> Result<Json<Page<TokenRecord>>, Problem> {
    let asked: Asked<String> = Asked::of(&provider, "tokens", &query)?;
    let (after, fetch) = (asked.after.clone().unwrap_or_default(), asked.fetch);
    let read =
        async move |tx: &mut Tx<'_>| Ok::<_, Problem>(admin_tokens::list(tx, &after, fetch).await?);
    let found = provider.store.db.read(read).await?;
    asked.page(&provider, found, |token| token.id.to_string(), record)
}

pub async fn show(
    State(provider): State<Shared>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Found<TokenRecord>, Problem> {
    let read = async move |tx: &mut Tx<'_>| find(tx, &id).await;
    Ok(Found(record(provider.store.db.read(read).await?)))
}

pub async fn create(
    State(provider): State<Shared>,
    admin: Admin,
    Body(new): Body<NewToken>,
) -> Result<Created<TokenRecord>, Problem> {
    let lifetime = check(&new, &admin)?;
    let (now, text) = (provider.now(), new_text(&*provider.entropy));
    let mac = provider.keyring().secret_mac(text.as_bytes());
    let id = AdminTokenId::random(&*provider.entropy);
    let work = async move |tx: &mut Tx<'_>| {
        let user_id = match &new.user {
            Some(email) => {
                let user = find_user(tx, email).await?;
                if !user.has_role(Role::Reviewer) || !user.is_active() {
                    let text = format!("{} is not on the staff who review apps", user.email);
                    return Err(Problem::one_invalid("user", &text));
                }
                if !admin.may_stand_for(user.id) {
                    let text = "a token makes tokens in its own name only";
                    return Err(Problem::forbidden(text));
                }
                Some(user.id)
            }
            // Without a name it could do what this one must not do for itself.
            None => admin.person(),
        };
        admin.still_stands(tx, now).await?;
        // None outlives the token that made it.
        let expires_at = now.after(lifetime);
        let expires_at = admin.ends_at().map_or(expires_at, |end| end.min(expires_at));
        let mut scopes = new.scopes.clone();
        scopes.sort_unstable();
        scopes.dedup();
        let token = AdminToken {
            id,
            name: new.name.trim().to_owned(),
            scopes,
            user_id,
            created_by: admin.name(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        admin_tokens::insert(tx, &token, &mac).await?;
        let detail = json!({
            "token": token.id, "name": token.name, "scopes": token.scopes, "user": user_id,
            "expires_at": rfc3339(token.expires_at),
        });
        audit::record(tx, &admin.event(now, AuditKind::AdminTokenCreated, detail)).await?;
        Ok(record(token))
    };
    let made = write(&provider, work).await?;
    Ok(Created(location("tokens", &made.id.to_string()), TokenRecord { token: Some(text), ..made }))
}

/// How long it is to be good, or everything that is wrong.
fn check(new: &NewToken, admin: &Admin) -> Result<Duration, Problem> {
    let (name, mut mistakes) = (new.name.trim(), Vec::new());
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX || name.chars().any(char::is_control) {
        mistakes.push(format!("name: use 1 to {NAME_MAX} characters, no control characters"));
    }
    if new.scopes.is_empty() {
        mistakes.push("scopes: name at least one".to_owned());
    }
    let lifetime = DAY.saturating_mul(new.days.unwrap_or(DAYS_DEFAULT));
    if lifetime > LIFETIME_MAX || lifetime.is_zero() {
        mistakes.push("days: say 1 to 366".to_owned());
    }
    if !mistakes.is_empty() {
        return Err(Problem::invalid(&mistakes));
    }
    new.scopes.iter().try_for_each(|scope| admin.may(*scope))?;
    // Whoever decides in somebody's name could be made by whoever may not decide at all.
    if new.user.is_some() {
        admin.may(AdminScope::ReviewDecide)?;
    }
    Ok(lifetime)
}

/// Felt by its next request, and by those of the tokens that were made with it.
pub async fn revoke(
    State(provider): State<Shared>,
    admin: Admin,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let token = find(tx, &id).await?;
        if_match.check(&record(token.clone()).etag())?;
        if token.revoked_at.is_some() {
            return Err(Problem::conflict("the token was revoked before"));
        }
        let mut revoked = vec![token];
        while let Some(token) = revoked.pop() {
            let maker = actor_text(AuditActor::AdminToken(token.id));
            revoked.extend(admin_tokens::list_made_by(tx, &maker).await?);
            if admin_tokens::revoke(tx, token.id, now).await? {
                let detail = json!({ "token": token.id, "name": token.name });
                audit::record(tx, &admin.event(now, AuditKind::AdminTokenRevoked, detail)).await?;
            }
        }
        Ok(StatusCode::NO_CONTENT)
    };
    write(&provider, work).await
}

async fn find(tx: &mut Tx<'_>, id: &str) -> Result<AdminToken, Problem> {
    let found = match id.parse::<AdminTokenId>() {
        Ok(id) => admin_tokens::find(tx, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| Problem::not_found(format!("there is no token {id}")))
}

fn record(token: AdminToken) -> TokenRecord {
    TokenRecord {
        id: token.id,
        name: token.name,
        scopes: token.scopes,
        user_id: token.user_id.map(|id| id.to_string()),
        created_by: token.created_by,
        created_at: rfc3339(token.created_at),
        expires_at: rfc3339(token.expires_at),
        last_used_at: token.last_used_at.map(rfc3339),
        revoked_at: token.revoked_at.map(rfc3339),
        token: None,
    }
}
