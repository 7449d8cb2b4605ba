//! What users let apps do, and taking it back. Both are felt by the app's next call.

use axum::Json;
use axum::extract::{Path, State};
use domain::consent::Consent;
use domain::grant::{Grant, GrantSubject, RevokeReason};
use domain::id::{ConsentId, GrantId, UserId};
use domain::partner_key::EndedWhy;
use domain::time::Timestamp;
use http::StatusCode;
use protocol::scope::ScopeSet;
use serde::{Deserialize, Serialize};
use store::{Tx, apps, consents, grants, partner_keys, users};

use super::actor::Admin;
use super::apps::named;
use super::body::Asks;
use super::page::{Asked, Page, query};
use super::problem::Problem;
use super::schema::wire;
use super::users::find_user;
use super::version::{Found, IfMatch, Versioned};
use super::{rfc3339, write};
use crate::account::taking_back::TakingBack;
use crate::provider::Shared;

wire! {
    /// What a user lets an app do.
    #[derive(Clone, Debug, Serialize)]
    pub struct ConsentRecord {
        /// As the audit trail names it.
        pub id: ConsentId,
        /// The client id of the app.
        pub app: String,
        /// The id of the user.
        pub user: UserId,
        /// The e-mail address of the user.
        pub email: String,
        /// `live`, or `test`: a developer's own, for trying the app.
        pub mode: &'static str,
        /// What is allowed, separated by spaces; nothing once it was withdrawn.
        pub scopes: ScopeSet,
        /// Whether it holds.
        pub given: bool,
        /// When the user first said yes.
        pub given_at: String,
        /// When it was last changed.
        pub changed_at: String,
    }

    /// A consent with what stands on it.
    #[derive(Clone, Debug, Serialize)]
    pub struct ConsentDetail {
        /// The consent.
        pub consent: ConsentRecord,
        /// The live authorizations that stand on it.
        pub grants: Vec<GrantRecord>,
    }

    /// A live authorization.
    #[derive(Clone, Debug, Serialize)]
    pub struct GrantRecord {
        /// As the audit trail names it.
        pub id: GrantId,
        /// What it is good for at most, separated by spaces.
        pub scopes: ScopeSet,
        /// When the app got it.
        pub created_at: String,
        /// When the app last used it, coarsely.
        pub last_used_at: String,
        /// When it ends, however often it is used.
        pub expires_at: String,
    }

    /// Which consents.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct ConsentQuery {
        /// Consents on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }
}

query!(ConsentQuery);

impl Versioned for ConsentDetail {
    fn etag(&self) -> String {
        let ids: Vec<_> = self.grants.iter().map(|grant| (grant.id, &grant.scopes)).collect();
        super::version::etag_of(&(&self.consent, ids))
    }
}

pub async fn list_of_app(
    State(provider): State<Shared>,
    _: Admin,
    Path(client_id): Path<String>,
    Asks(query): Asks<ConsentQuery>,
) -> Result<Json<Page<ConsentRecord>>, Problem> {
    let name = format!("consents of app {client_id}");
    let asked: Asked<String> = Asked::of(&provider, &name, &query)?;
    let (after, fetch) = (asked.after.clone().unwrap_or_default(), asked.fetch);
    let read = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        let page = consents::list_page_of_app(tx, app.id, &after, fetch).await?;
        records(tx, page).await
    };
    let found = provider.store.db.read_long(read).await?;
    asked.page(&provider, found, |record| record.id.to_string(), |record| record)
}

pub async fn list_of_user(
    State(provider): State<Shared>,
    _: Admin,
    Path(user): Path<String>,
    Asks(query): Asks<ConsentQuery>,
) -> Result<Json<Page<ConsentRecord>>, Problem> {
    let name = format!("consents of user {user}");
    let asked: Asked<String> = Asked::of(&provider, &name, &query)?;
    let (after, fetch) = (asked.after.clone().unwrap_or_default(), asked.fetch);
    let read = async move |tx: &mut Tx<'_>| {
        let user = find_user(tx, &user).await?;
        let page = consents::list_page_of_user(tx, user.id, &after, fetch).await?;
        records(tx, page).await
    };
    let found = provider.store.db.read_long(read).await?;
    asked.page(&provider, found, |record| record.id.to_string(), |record| record)
}

async fn records(tx: &mut Tx<'_>, found: Vec<Consent>) -> Result<Vec<ConsentRecord>, Problem> {
    let mut records = Vec::new();
    for consent in found {
        records.push(record(tx, &consent).await?);
    }
    Ok(records)
}

async fn record(tx: &mut Tx<'_>, consent: &Consent) -> Result<ConsentRecord, Problem> {
    let app = apps::find(tx, consent.app_id).await?;
    let user = users::find(tx, consent.user_id).await?;
    Ok(ConsentRecord {
        id: consent.id,
        app: app.map(|app| app.client_id).unwrap_or_default(),
        user: consent.user_id,
        email: user.map(|user| user.email).unwrap_or_default(),
        mode: consent.mode.as_str(),
        scopes: consent.live_scopes(),
        given: consent.is_given(),
        given_at: rfc3339(consent.given_at),
        changed_at: rfc3339(consent.changed_at),
    })
}

pub async fn show(
    State(provider): State<Shared>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Found<ConsentDetail>, Problem> {
    let now = provider.now();
    let read = async move |tx: &mut Tx<'_>| {
        let consent = find(tx, &id).await?;
        detail(tx, &consent, now).await
    };
    Ok(Found(provider.store.db.read(read).await?))
}

async fn find(tx: &mut Tx<'_>, id: &str) -> Result<Consent, Problem> {
    let found = match id.parse::<ConsentId>() {
        Ok(id) => consents::find(tx, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| Problem::not_found(format!("there is no consent {id}")))
}

async fn detail(
    tx: &mut Tx<'_>,
    consent: &Consent,
    now: Timestamp,
) -> Result<ConsentDetail, Problem> {
    let live = grants::list_live_of_consent(tx, consent.id, now).await?;
    let grant = |grant: Grant| GrantRecord {
        id: grant.id,
        scopes: grant.scopes,
        created_at: rfc3339(grant.created_at),
        last_used_at: rfc3339(grant.last_used_at),
        expires_at: rfc3339(grant.expires_at),
    };
    let grants = live.into_iter().map(grant).collect();
    Ok(ConsentDetail { consent: record(tx, consent).await?, grants })
}

/// Take a consent back with everything that stands on it.
pub async fn withdraw(
    State(provider): State<Shared>,
    admin: Admin,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<Found<ConsentDetail>, Problem> {
    let (now, entropy) = (provider.now(), provider.entropy.clone());
    let back = TakingBack {
        actor: admin.actor(),
        reason: RevokeReason::Staff,
        address: admin.address(),
        now,
    };
    let work = async move |tx: &mut Tx<'_>| {
        let consent = find(tx, &id).await?;
        if_match.check(&detail(tx, &consent, now).await?.etag())?;
        if !consent.is_given() {
            return Err(Problem::conflict("this access was already withdrawn"));
        }
        // Before the rest, so that the user reads by whom.
        if let Some(key) = partner_keys::find_of_consent(tx, &consent).await? {
            let why = EndedWhy::AccountBlocked;
            partner_keys::end(tx, &key, why, back.actor, now).await?;
        }
        back.withdraw(tx, consent, &*entropy).await?;
        let consent = find(tx, &id).await?;
        detail(tx, &consent, now).await
    };
    Ok(Found(write(&provider, work).await?))
}

/// End one authorization.
pub async fn revoke_grant(
    State(provider): State<Shared>,
    admin: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let now = provider.now();
    let back = TakingBack {
        actor: admin.actor(),
        reason: RevokeReason::Staff,
        address: admin.address(),
        now,
    };
    let work = async move |tx: &mut Tx<'_>| {
        let unknown = || Problem::not_found(format!("there is no live grant {id} of a user"));
        let grant = match id.parse::<GrantId>() {
            Ok(id) => grants::find(tx, id).await?,
            Err(_) => None,
        };
        let grant = grant.filter(|grant| grant.is_live(now)).ok_or_else(unknown)?;
        let GrantSubject::User { consent_id, .. } = grant.subject else { return Err(unknown()) };
        let consent = consents::find(tx, consent_id).await?.ok_or_else(unknown)?;
        back.end_grant(tx, &consent, grant).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    write(&provider, work).await
}
