//! Webhooks: messages to an app's own server, or to the operator's. An endpoint says where and of
//! what; a delivery is one event on its way there, tried until it arrives or is given up.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use protocol::secret::Secret;
use protocol::standard_webhook::{SECRET_BYTES, WebhookKey, secret_text};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, random_bytes};
use crate::id::{AppId, EndpointId};
use crate::keyring::Keyring;
use crate::seal::Purpose;
use crate::time::Timestamp;

mod event;

pub use event::{AboutApp, Event, EventKind, ToldGrant};

/// Of one app.
pub const ENDPOINTS_MAX: usize = 5;
/// Of an address, in bytes.
pub const URL_MAX: usize = 2000;
/// Kept of an answer, for the developer.
pub const ANSWER_BYTES_MAX: usize = 1024;
/// A rolled secret signs beside the new one for this long.
pub const FORMER_SECRET_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// An endpoint to which nothing got through for this long is switched off.
pub const FAILING_MAX: Duration = Duration::from_secs(3 * 24 * 3600);
/// Nothing waits longer, not even for an endpoint that is paused.
pub const WAITING_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
pub const DELIVERED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
pub const DEAD_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long to wait after each failure; after the last the delivery is dead.
const WAITS: [u64; 7] = [5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600];
/// A wait is this much longer at most, in hundredths, so that what failed together does not come
/// back together.
const JITTER_PERCENT: u64 = 20;

/// Where somebody wants to hear of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub owner: EndpointOwner,
    pub url: String,
    pub events: BTreeSet<EventKind>,
    pub secret: SealedSecret,
    /// The one before it, after a roll.
    pub former: Option<FormerSecret>,
    pub status: EndpointStatus,
    /// Since when nothing has got through, though it was tried.
    pub failing_since: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointOwner {
    App(AppId),
    /// By the name that the config gives it.
    Operator(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerSecret {
    pub secret: SealedSecret,
    pub until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointStatus {
    Active,
    /// What happens meanwhile waits.
    Paused,
    /// Nothing got through for too long, or it said that it is gone. What happens meanwhile is not
    /// kept.
    Disabled {
        at: Timestamp,
    },
}

/// A secret as the database keeps it: bound to its endpoint, so that rows cannot be swapped.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(String);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(…)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret of a webhook cannot be opened")]
pub struct SecretLost;

impl SealedSecret {
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// `None`: it is too long, or there is no key; neither happens to what [`new_secret`] makes.
    pub fn seal(
        keyring: &Keyring,
        endpoint: EndpointId,
        secret: &Secret,
        entropy: &dyn Entropy,
    ) -> Option<Self> {
        let content = [endpoint.as_bytes().as_slice(), secret.expose().as_bytes()].concat();
        let content = Zeroizing::new(content);
        keyring.seal_bytes(Purpose::WebhookSecret, &content, entropy).map(Self)
    }

    /// Ready to sign with.
    pub fn key(&self, keyring: &Keyring, endpoint: EndpointId) -> Result<WebhookKey, SecretLost> {
        let content = keyring.open_bytes(Purpose::WebhookSecret, &self.0);
        let content = Zeroizing::new(content.map_err(|_| SecretLost)?);
        let text = content.strip_prefix(endpoint.as_bytes().as_slice()).ok_or(SecretLost)?;
        let text = str::from_utf8(text).map_err(|_| SecretLost)?;
        WebhookKey::parse(text).map_err(|_| SecretLost)
    }
}

/// A new secret, as its owner copies it.
pub fn new_secret(entropy: &dyn Entropy) -> Secret {
    Secret::new(secret_text(&*Zeroizing::new(random_bytes::<SECRET_BYTES>(entropy))))
}

impl Endpoint {
    /// Whether an event of this kind is kept for it.
    pub fn hears(&self, kind: EventKind) -> bool {
        let is_on = !matches!(self.status, EndpointStatus::Disabled { .. });
        is_on && (kind == EventKind::Test || self.events.contains(&kind))
    }

    /// The next secret. What was the secret signs beside it for a day; of those before nothing is
    /// left, so that there are two at most.
    pub fn roll(self, secret: SealedSecret, now: Timestamp) -> Self {
        let former = FormerSecret { secret: self.secret, until: now.after(FORMER_SECRET_LIFETIME) };
        Self { secret, former: Some(former), ..self }
    }

    /// The secrets that sign now, the newest first.
    pub fn live_secrets(&self, now: Timestamp) -> impl Iterator<Item = &SealedSecret> {
        let former = self.former.iter().filter(move |former| now < former.until);
        std::iter::once(&self.secret).chain(former.map(|former| &former.secret))
    }

    pub fn turn_on(self) -> Self {
        Self { status: EndpointStatus::Active, failing_since: None, ..self }
    }

    /// One that was switched off stays so.
    pub fn pause(self) -> Self {
        match self.status {
            EndpointStatus::Disabled { .. } => self,
            _ => Self { status: EndpointStatus::Paused, ..self },
        }
    }

    /// What an attempt says of it. `died`: the last one for its delivery.
    pub fn after(self, outcome: &Outcome, died: bool, now: Timestamp) -> Self {
        match outcome {
            Outcome::Arrived => Self { failing_since: None, ..self },
            Outcome::Gone => Self { status: EndpointStatus::Disabled { at: now }, ..self },
            Outcome::Failed => {
                let since = self.failing_since.unwrap_or(now);
                let is_over = died && now.since(since) >= FAILING_MAX;
                let status =
                    if is_over { EndpointStatus::Disabled { at: now } } else { self.status };
                Self { status, failing_since: Some(since), ..self }
            }
        }
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// In order of the events.
    pub id: i64,
    pub endpoint_id: EndpointId,
    pub event: EventKind,
    pub body: String,
    pub state: DeliveryState,
    /// Failed attempts since it was first sent, or sent again by hand.
    pub tries: u64,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Waiting {
        next_attempt_at: Timestamp,
    },
    Delivered {
        at: Timestamp,
    },
    /// Given up. Its owner can send it again.
    Dead {
        at: Timestamp,
    },
}

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Arrived,
    /// 410: the endpoint wants nothing any more.
    Gone,
    Failed,
}

impl Outcome {
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Arrived,
            410 => Self::Gone,
            _ => Self::Failed,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this message is on its way already")]
pub struct StillWaiting;

impl Delivery {
    /// The `webhook-id`: the same at every attempt, and of no two messages. It does not tell how
    /// many there are, and after a restored backup numbers do not repeat with other contents.
    pub fn message_id(&self, keyring: &Keyring) -> String {
        let name = format!("webhook {} {}", self.id, self.created_at.as_millis());
        let mac = keyring.secret_mac(name.as_bytes());
        let hex: String = mac.iter().take(14).map(|byte| format!("{byte:02x}")).collect();
        format!("msg_{hex}")
    }

    pub fn after(self, outcome: &Outcome, entropy: &dyn Entropy, now: Timestamp) -> Self {
        let state = match outcome {
            Outcome::Arrived => DeliveryState::Delivered { at: now },
            Outcome::Gone => DeliveryState::Dead { at: now },
            Outcome::Failed => match next_wait(self.tries, entropy) {
                Some(wait) => DeliveryState::Waiting { next_attempt_at: now.after(wait) },
                None => DeliveryState::Dead { at: now },
            },
        };
        let tries = self.tries.saturating_add(u64::from(*outcome != Outcome::Arrived));
        Self { state, tries, ..self }
    }

    /// Once more, from the beginning.
    pub fn redeliver(self, now: Timestamp) -> Result<Self, StillWaiting> {
        match self.state {
            DeliveryState::Waiting { .. } => Err(StillWaiting),
            _ => {
                let state = DeliveryState::Waiting { next_attempt_at: now };
                Ok(Self { state, tries: 0, ..self })
            }
        }
    }
}

/// After so many failures, how long until the next attempt? `None`: there is none.
fn next_wait(failures: u64, entropy: &dyn Entropy) -> Option<Duration> {
    let seconds = WAITS.get(usize::try_from(failures).ok()?)?;
    let [random] = random_bytes::<1>(entropy);
    let jitter_ms = seconds * 1000 * JITTER_PERCENT / 100 * u64::from(random) / 255;
    Some(Duration::from_millis(seconds * 1000 + jitter_ms))
}

/// What is remembered of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub at: Timestamp,
    pub took_ms: u64,
    pub status: Option<u16>,
    /// The first [`ANSWER_BYTES_MAX`] of it.
    pub answer: String,
    /// Why there was no answer.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests;
