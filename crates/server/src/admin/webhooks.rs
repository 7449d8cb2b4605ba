//! What was sent to the webhooks of the config, what waits there, and what was given up. Bodies are
//! for the receiver and are not shown.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use domain::audit::AuditKind;
use domain::id::EndpointId;
use domain::webhook::{Delivery, DeliveryState, EndpointOwner};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{DbError, Tx, audit, webhooks};

use super::actor::Admin;
use super::body::Asks;
use super::page::{Asked, Page, query};
use super::problem::Problem;
use super::schema::wire;
use super::{rfc3339, write};
use crate::provider::Shared;

wire! {
    /// A message to a webhook of the config.
    #[derive(Clone, Debug, Serialize)]
    pub struct DeliveryRecord {
        /// Its number.
        pub id: i64,
        /// The name of the webhook in the config.
        pub webhook: String,
        /// What it tells: `plan.decided`.
        pub event: &'static str,
        /// `waiting`, `delivered` or `dead`.
        pub state: &'static str,
        /// Failed attempts since it was first sent, or sent once more.
        pub tries: u64,
        /// When it happened.
        pub created_at: String,
        /// When it is tried next; absent: it is not.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub next_attempt_at: Option<String>,
        /// When it arrived or was given up.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub ended_at: Option<String>,
    }

    /// Which messages.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct DeliveryQuery {
        /// `true`: only what was given up.
        pub dead: Option<bool>,
        /// Messages on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }
}

query!(DeliveryQuery);

/// By id.
type Names = HashMap<EndpointId, String>;

async fn names(tx: &mut Tx<'_>) -> Result<Names, DbError> {
    let endpoints = webhooks::list_of_operator(tx).await?.into_iter();
    let named = endpoints.filter_map(|endpoint| match endpoint.owner {
        EndpointOwner::Operator(name) => Some((endpoint.id, name)),
        EndpointOwner::App(_) => None,
    });
    Ok(named.collect())
}

fn record(delivery: &Delivery, names: &Names) -> DeliveryRecord {
    let (state, next_attempt_at, ended_at) = match delivery.state {
        DeliveryState::Waiting { next_attempt_at } => ("waiting", Some(next_attempt_at), None),
        DeliveryState::Delivered { at } => ("delivered", None, Some(at)),
        DeliveryState::Dead { at } => ("dead", None, Some(at)),
    };
    DeliveryRecord {
        id: delivery.id,
        webhook: names.get(&delivery.endpoint_id).cloned().unwrap_or_default(),
        event: delivery.event.name(),
        state,
        tries: delivery.tries,
        created_at: rfc3339(delivery.created_at),
        next_attempt_at: next_attempt_at.map(rfc3339),
        ended_at: ended_at.map(rfc3339),
    }
}

pub async fn list(
    State(provider): State<Shared>,
    _: Admin,
    Asks(query): Asks<DeliveryQuery>,
) -> Result<Json<Page<DeliveryRecord>>, Problem> {
    let asked: Asked<i64> = Asked::of(&provider, "webhook deliveries", &query)?;
    let (before, fetch) = (asked.after.unwrap_or(i64::MAX), asked.fetch);
    let is_dead = query.dead == Some(true);
    let read = async move |tx: &mut Tx<'_>| {
        let found = webhooks::list_deliveries_of_operator(tx, is_dead, before, fetch).await?;
        Ok::<_, Problem>((found, names(tx).await?))
    };
    let (found, names) = provider.store.db.read_long(read).await?;
    asked.page(&provider, found, |one| one.id, |one| record(&one, &names))
}

pub async fn redeliver(
    State(provider): State<Shared>,
    admin: Admin,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<DeliveryRecord>), Problem> {
    let now = provider.now();
    let work = async move |tx: &mut Tx<'_>| {
        let found = match id.parse() {
            Ok(number) => webhooks::find_delivery_of_operator(tx, number).await?,
            Err(_) => None,
        };
        let unknown = || Problem::not_found(format!("there is no message {id} to the operator"));
        let again = found.ok_or_else(unknown)?.redeliver(now);
        let again = again.map_err(|error| Problem::conflict(error.to_string()))?;
        webhooks::save_delivery(tx, &again).await?;
        let detail = json!({
            "webhook": again.endpoint_id, "delivery": again.id, "event": again.event.name(),
        });
        audit::record(tx, &admin.event(now, AuditKind::WebhookRedelivered, detail)).await?;
        Ok(record(&again, &names(tx).await?))
    };
    let again = write(&provider, work).await?;
    Ok((StatusCode::ACCEPTED, Json(again)))
}
