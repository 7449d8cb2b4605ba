//! The job that sends. One claim keeps a delivery from other nodes until its lease ends, so that
//! nothing is sent twice at once; a node that breaks off in between leaves it to be sent again.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::EndpointId;
use domain::mail::MailKind;
use domain::time::Timestamp;
use domain::webhook::{
    ANSWER_BYTES_MAX, Attempt, Delivery, DeliveryState, Endpoint, EndpointOwner, EndpointStatus,
    Outcome,
};
use http::header::{CONTENT_TYPE, HeaderValue};
use protocol::standard_webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use serde_json::json;
use store::webhooks::{self, Sendable};
use store::{DbError, Tx, apps, audit};
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::reach;
use crate::app_news;
use crate::outbound::{Call, OutboundError};
use crate::provider::{Provider, Shared};

/// Calls at once, of this node.
const PLACES: usize = 64;
/// Of them, to one endpoint.
const PLACES_OF_ENDPOINT: usize = 4;
/// Endpoints that are looked at in one round; the next round goes on behind them.
const ENDPOINTS_AT_ONCE: usize = 64;
/// From the look-up of the name to the last byte of the answer.
const SEND_TIMEOUT: Duration = Duration::from_secs(15);
/// Nobody else sends it meanwhile.
const LEASE: Duration = Duration::from_secs(60);
/// A longer answer counts as none.
const ANSWER_READ_MAX: usize = 64 * 1024;
/// Of why there was no answer, in characters.
const ERROR_CHARACTERS_MAX: usize = 200;

pub struct Sender {
    provider: Shared,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    running: JoinSet<()>,
    /// Calls to each endpoint now.
    busy: BTreeMap<EndpointId, usize>,
    /// The endpoint that was looked at last; empty: begin with the first.
    after: String,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}

impl Sender {
    pub fn new(provider: Shared) -> Self {
        Self { provider, state: Arc::default() }
    }

    /// Begin to send what is due, as far as there is room. How many were begun.
    pub async fn send_due(&self) -> Result<usize, DbError> {
        let now = self.provider.now();
        let (after, busy) = {
            let mut state = lock(&self.state);
            while state.running.try_join_next().is_some() {}
            (state.after.clone(), state.busy.clone())
        };
        let room = PLACES.saturating_sub(busy.values().sum());
        if room == 0 {
            return Ok(0);
        }
        let db = &self.provider.store.db;
        let look = async move |tx: &mut Tx<'_>| look(tx, &after, &busy, now).await;
        let (mut due, mut after) = db.read(look).await?;
        // What finds no room is looked at next, so that nobody's endpoints come first for ever.
        if due.len() > room {
            due.truncate(room);
            after = due.last().map(|one| one.endpoint.id.to_string()).unwrap_or_default();
        }
        lock(&self.state).after = after;
        if due.is_empty() {
            return Ok(0);
        }
        let take = async move |tx: &mut Tx<'_>| {
            let mut taken = Vec::new();
            for sendable in &due {
                if webhooks::take(tx, &sendable.delivery, LEASE, now).await? {
                    taken.push(sendable.clone());
                }
            }
            Ok::<_, DbError>(taken)
        };
        let taken = db.write(take).await?;
        let count = taken.len();
        taken.into_iter().for_each(|sendable| self.begin(sendable));
        Ok(count)
    }

    fn begin(&self, sendable: Sendable) {
        let (provider, state) = (self.provider.clone(), Arc::clone(&self.state));
        let id = sendable.endpoint.id;
        let mut now = lock(&self.state);
        *now.busy.entry(id).or_default() += 1;
        now.running.spawn(async move {
            if let Err(error) = send(&provider, sendable).await {
                tracing::warn!(%error, "a webhook was sent and its outcome is not stored");
            }
            let mut state = lock(&state);
            let left = state.busy.get(&id).map_or(0, |count| count.saturating_sub(1));
            match left {
                0 => state.busy.remove(&id),
                left => state.busy.insert(id, left),
            };
        });
    }

    /// Wait for everything that was begun.
    pub async fn finish(&self) {
        let mut running = std::mem::take(&mut lock(&self.state).running);
        while running.join_next().await.is_some() {}
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is due, fairly: a few of each endpoint, however much waits for one of them. And behind
/// which endpoint to go on.
async fn look(
    tx: &mut Tx<'_>,
    after: &str,
    busy: &BTreeMap<EndpointId, usize>,
    now: Timestamp,
) -> Result<(Vec<Sendable>, String), DbError> {
    let mut due = Vec::new();
    if !webhooks::is_any_due(tx, now).await? {
        return Ok((due, String::new()));
    }
    let ids = webhooks::list_waiting_endpoints(tx, after, ENDPOINTS_AT_ONCE).await?;
    for id in &ids {
        let used = busy.get(id).copied().unwrap_or_default();
        let places = i64::try_from(PLACES_OF_ENDPOINT.saturating_sub(used)).unwrap_or_default();
        let deliveries = webhooks::list_due(tx, *id, now, places).await?;
        if deliveries.is_empty() {
            continue;
        }
        let endpoint = webhooks::find(tx, *id).await?;
        let active = endpoint.filter(|endpoint| endpoint.status == EndpointStatus::Active);
        let Some(endpoint) = active else { continue };
        let with = |delivery| Sendable { delivery, endpoint: endpoint.clone() };
        due.extend(deliveries.into_iter().map(with));
    }
    let last = ids.last().filter(|_| ids.len() == ENDPOINTS_AT_ONCE);
    Ok((due, last.map(ToString::to_string).unwrap_or_default()))
}

async fn send(provider: &Provider, sendable: Sendable) -> Result<(), DbError> {
    let (at, started) = (provider.now(), Instant::now());
    let replied = match call(provider, &sendable, at) {
        Ok(call) => provider.outbound.send(call).await.map_err(|error| in_words(&error)),
        Err(error) => Err(error),
    };
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let attempt = match replied {
        Ok(reply) => Attempt {
            at,
            took_ms,
            status: Some(reply.status.as_u16()),
            answer: shortened(&reply.body),
            error: None,
        },
        Err(error) => {
            Attempt { at, took_ms, status: None, answer: String::new(), error: Some(error) }
        }
    };
    let outcome = attempt.status.map_or(Outcome::Failed, Outcome::of_status);
    let Sendable { delivery, endpoint } = sendable;
    let delivery = delivery.after(&outcome, &*provider.entropy, provider.now());
    note(provider, &delivery, &attempt);
    let done = Done { endpoint: endpoint.id, delivery, attempt, outcome, now: provider.now() };
    provider.store.db.write(async move |tx: &mut Tx<'_>| done.store(tx).await).await
}

/// Signed with every secret that is live: a receiver may know the old one still.
fn call(provider: &Provider, sendable: &Sendable, now: Timestamp) -> Result<Call, String> {
    let Sendable { delivery, endpoint } = sendable;
    let url = Url::parse(&endpoint.url).map_err(|error| error.to_string())?;
    let (keyring, body) = (provider.keyring(), delivery.body.as_bytes());
    let (id, timestamp) = (delivery.message_id(&keyring), now.as_seconds());
    let mut signatures = Vec::new();
    for secret in endpoint.live_secrets(now) {
        let key = secret.key(&keyring, endpoint.id).map_err(|error| error.to_string())?;
        signatures.push(key.sign(&id, timestamp, body));
    }
    let reach = reach(&endpoint.owner, &url, &provider.policy());
    let mut call = Call::post(url, reach, body.to_vec());
    call.timeout = SEND_TIMEOUT;
    call.answer_bytes_max = ANSWER_READ_MAX;
    call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let timestamp = timestamp.to_string();
    for (name, value) in
        [(ID_HEADER, id), (TIMESTAMP_HEADER, timestamp), (SIGNATURE_HEADER, signatures.join(" "))]
    {
        let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
        call.headers.insert(name, value);
    }
    Ok(call)
}

/// For the developer: not where names of our network lead, nor which there are (attack F1).
fn in_words(error: &OutboundError) -> String {
    match error {
        OutboundError::NotAllowed(_) | OutboundError::Unresolved(_) => {
            "no https address on the public internet has this name".to_owned()
        }
        OutboundError::Timeout => "no answer within 15 seconds".to_owned(),
        OutboundError::TooLong => "the answer is longer than 64 KiB".to_owned(),
        OutboundError::Failed(error) => error.chars().take(ERROR_CHARACTERS_MAX).collect(),
    }
}

fn shortened(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..ANSWER_BYTES_MAX).unwrap_or(body));
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

fn note(provider: &Provider, delivery: &Delivery, attempt: &Attempt) {
    let stats = &provider.webhook_stats;
    let (count, is_dead) = match delivery.state {
        DeliveryState::Delivered { .. } => (&stats.delivered, false),
        DeliveryState::Waiting { .. } => (&stats.retried, false),
        DeliveryState::Dead { .. } => (&stats.dead, true),
    };
    count.fetch_add(1, Ordering::Relaxed);
    let (endpoint, event, status) =
        (delivery.endpoint_id, delivery.event.name(), attempt.status.unwrap_or_default());
    if is_dead {
        tracing::warn!(webhook = delivery.id, %endpoint, event, status, "a webhook was given up");
    } else {
        tracing::debug!(webhook = delivery.id, %endpoint, event, status, "a webhook was tried");
    }
}

/// An attempt that is over.
#[derive(Clone)]
struct Done {
    endpoint: EndpointId,
    delivery: Delivery,
    attempt: Attempt,
    outcome: Outcome,
    now: Timestamp,
}

impl Done {
    async fn store(&self, tx: &mut Tx<'_>) -> Result<(), DbError> {
        webhooks::record_attempt(tx, self.delivery.id, &self.attempt).await?;
        webhooks::save_delivery(tx, &self.delivery).await?;
        // As it is now: its owner may have changed or removed it meanwhile.
        let Some(was) = webhooks::find(tx, self.endpoint).await? else { return Ok(()) };
        let died = matches!(self.delivery.state, DeliveryState::Dead { .. });
        let is = was.clone().after(&self.outcome, died, self.now);
        if is != was {
            webhooks::save(tx, &is).await?;
        }
        let was_on = !matches!(was.status, EndpointStatus::Disabled { .. });
        if was_on && matches!(is.status, EndpointStatus::Disabled { .. }) {
            tell_disabled(tx, &is, self.now).await?;
        }
        Ok(())
    }
}

async fn tell_disabled(
    tx: &mut Tx<'_>,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<(), DbError> {
    let app = match &endpoint.owner {
        EndpointOwner::App(id) => apps::find(tx, *id).await?,
        EndpointOwner::Operator(name) => {
            tracing::error!(name, "a webhook of the config was switched off until the next start");
            None
        }
    };
    let Some(app) = app else { return Ok(()) };
    let event = AuditEvent::new(now, AuditKind::WebhookDisabled, AuditActor::System)
        .app(app.id)
        .detail(json!({ "webhook": endpoint.id }));
    audit::record(tx, &event).await?;
    let (name, app_id, url) = (app.name.clone(), app.id.to_string(), endpoint.url.clone());
    let kind = MailKind::WebhookDisabled { app: name, app_id, url };
    app_news::tell_developers(tx, &app, kind, now).await
}
