//! Who takes care of an app, and whether its brand is verified, said by a program. Both are done by
//! what the review page uses.

use axum::extract::{Path, State};
use serde::Deserialize;
use store::Tx;

use super::actor::{Admin, own_app};
use super::apps::{AppRecord, named, record};
use super::body::Body;
use super::problem::Problem;
use super::schema::wire;
use super::version::{Found, IfMatch, Versioned as _};
use super::write;
use crate::provider::Shared;
use crate::review::assign::{self, BrandVerdict};

wire! {
    /// Who is to take care of an app.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewAssignee {
        /// The e-mail address of a member of staff; `null`: nobody.
        pub to: Option<String>,
    }

    /// What staff say about name, logo and publisher of an app.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewBrand {
        /// Whether they belong together.
        pub verified: bool,
        /// What was seen, for the audit trail.
        pub evidence: String,
        /// Over the socket: the e-mail address of the member of staff who decides.
        pub by: Option<String>,
    }
}

pub async fn assign(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
    if_match: IfMatch,
    Body(new): Body<NewAssignee>,
) -> Result<Found<AppRecord>, Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        if_match.check(&record(tx, app.clone()).await?.etag())?;
        let to = match new.to.as_deref() {
            Some(email) => {
                let found = assign::find_colleague(tx, email).await?;
                let unknown =
                    || Problem::one_invalid("to", &format!("nobody of staff is called {email}"));
                Some(found.ok_or_else(unknown)?)
            }
            None => None,
        };
        assign::assign_to(tx, &app, to, now, &|event| admin.sign(event)).await?;
        let app = named(tx, &client_id).await?;
        record(tx, app).await
    };
    Ok(Found(write(&provider, work).await?))
}

pub async fn brand(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
    if_match: IfMatch,
    Body(new): Body<NewBrand>,
) -> Result<Found<AppRecord>, Problem> {
    let verdict = BrandVerdict {
        is_verified: new.verified,
        evidence: new.evidence.trim().to_owned(),
        at: provider.now(),
    };
    if let Some(error) = verdict.error() {
        return Err(Problem::one_invalid("evidence", error));
    }
    let work = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        let by = admin.staff(tx, new.by.as_deref()).await?;
        if_match.check(&record(tx, app.clone()).await?.etag())?;
        let sign = |event| admin.sign(event);
        let Some(app) = verdict.apply(tx, app, by.id, &sign).await? else {
            return Err(own_app(&by));
        };
        record(tx, app).await
    };
    Ok(Found(write(&provider, work).await?))
}
