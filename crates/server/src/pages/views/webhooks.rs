//! Webhooks of one application: where it hears of events, and what was sent there.

use serde::Serialize;

use super::{AppFrame, AppTab, Layout, Moment, Section, View};

/// `GET /apps/{id}/webhooks`. `?state=dead` shows what was given up, `?before=` goes on.
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `add-webhook` | POST `/apps/{id}/webhooks` | `url`, `event` for each kind |
/// | `save-webhook` (`save-{endpoint}`) | POST `…/save` | the same, hidden `endpoint` |
/// | `test-webhook` (`test-{endpoint}`) | POST `…/test` | hidden `endpoint` |
/// | `roll-webhook` (`roll-{endpoint}`) | POST `…/roll` | hidden `endpoint` |
/// | `switch-webhook` (`switch-{endpoint}`) | POST `…/switch` | `endpoint`, `to`: `on`, `pause` |
/// | `remove-webhook` (`remove-{endpoint}`) | POST `…/remove` | hidden `endpoint` |
#[derive(Clone, Debug, Serialize)]
pub struct Webhooks {
    pub layout: Layout,
    pub frame: AppFrame,
    pub id: String,
    pub endpoints: Vec<WebhookEndpoint>,
    /// At most so many; the form goes away when they are used up.
    pub endpoints_max: u64,
    pub form: WebhookForm,
    pub deliveries: Vec<DeliveryRow>,
    /// Only what was given up is shown.
    pub only_dead: bool,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct WebhookEndpoint {
    pub id: String,
    /// As it stands (its form may hold another one).
    pub url: String,
    pub status: WebhookStatus,
    pub failing_since: Option<Moment>,
    /// Until when the secret before signs too.
    pub former_until: Option<Moment>,
    pub form: WebhookForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStatus {
    Active,
    Paused,
    Disabled,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct WebhookForm {
    pub url: String,
    pub url_error: Option<String>,
    pub events: Vec<EventChoice>,
    pub events_error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct EventChoice {
    pub name: &'static str,
    pub about: &'static str,
    pub ticked: bool,
}

/// One message on its way, or at its end.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    pub id: String,
    pub event: &'static str,
    /// Where it goes.
    pub url: String,
    pub state: DeliveryState,
    pub created_at: Moment,
    /// Failed attempts.
    pub tries: u64,
    /// Of what waits.
    pub next_attempt_at: Option<Moment>,
    /// What the last attempt came to: a status, or why there was none.
    pub answer: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Waiting,
    Delivered,
    Dead,
}

fn sample_form() -> WebhookForm {
    let choice = |name, about, ticked| EventChoice { name, about, ticked };
    WebhookForm {
        url: "https://bot.example.com/hooks".into(),
        url_error: None,
        events: vec![
            choice("grant.created", "A user let the app in.", false),
            choice("grant.revoked", "A grant ended before its time, by whoever ended it.", true),
            choice("secret.expiring", "A secret ends in a week, and again in a day.", true),
        ],
        events_error: None,
    }
}

fn sample_rows() -> Vec<DeliveryRow> {
    let row = DeliveryRow {
        id: "3".into(),
        event: "grant.revoked",
        url: "https://bot.example.com/hooks".into(),
        state: DeliveryState::Waiting,
        created_at: Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago"),
        tries: 1,
        next_attempt_at: Some(Moment::sample("2026-04-02T09:02:00Z", "in 2 minutes")),
        answer: Some("500".into()),
    };
    vec![
        row.clone(),
        DeliveryRow {
            id: "2".into(),
            event: "test",
            state: DeliveryState::Delivered,
            tries: 0,
            next_attempt_at: None,
            answer: Some("204".into()),
            ..row.clone()
        },
        DeliveryRow {
            id: "1".into(),
            state: DeliveryState::Dead,
            tries: 8,
            next_attempt_at: None,
            answer: Some("no answer within 15 seconds".into()),
            ..row
        },
    ]
}

impl View for Webhooks {
    const TEMPLATE: &'static str = "webhooks.html";

    fn sample() -> Vec<Self> {
        let endpoint = |id: &str, status| WebhookEndpoint {
            id: id.into(),
            url: "https://bot.example.com/hooks".into(),
            status,
            failing_since: None,
            former_until: None,
            form: sample_form(),
        };
        let full = Self {
            layout: Layout::sample().in_section(Section::Apps),
            frame: AppFrame::sample(AppTab::Webhooks),
            id: "a1".into(),
            endpoints: vec![
                WebhookEndpoint {
                    former_until: Some(Moment::sample("2026-04-03T08:00:00Z", "in 23 hours")),
                    ..endpoint("e1", WebhookStatus::Active)
                },
                WebhookEndpoint {
                    failing_since: Some(Moment::sample("2026-03-30T09:00:00Z", "3 days ago")),
                    ..endpoint("e2", WebhookStatus::Disabled)
                },
                WebhookEndpoint {
                    form: WebhookForm { url_error: Some("Use https.".into()), ..sample_form() },
                    ..endpoint("e3", WebhookStatus::Paused)
                },
            ],
            endpoints_max: 5,
            form: sample_form(),
            deliveries: sample_rows(),
            only_dead: false,
            next: Some("1".into()),
        };
        let wrong = Self {
            endpoints: Vec::new(),
            deliveries: Vec::new(),
            only_dead: true,
            next: None,
            form: WebhookForm {
                url: "http://10.0.0.1/".into(),
                url_error: Some("Use https.".into()),
                events_error: Some("Tick at least one kind of event.".into()),
                ..sample_form()
            },
            ..full.clone()
        };
        let empty = Self { only_dead: false, form: sample_form(), ..wrong.clone() };
        vec![Self { endpoints_max: 3, only_dead: true, ..full.clone() }, full, wrong, empty]
    }
}

/// `GET /apps/{id}/webhooks/deliveries/{delivery}`.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `redeliver` | POST `/apps/{id}/webhooks/redeliver` | hidden `delivery` |
#[derive(Clone, Debug, Serialize)]
pub struct WebhookDelivery {
    pub layout: Layout,
    pub frame: AppFrame,
    pub id: String,
    pub row: DeliveryRow,
    /// The `webhook-id` header.
    pub message_id: String,
    /// As it is sent, with line ends for people.
    pub body: String,
    /// Newest first.
    pub attempts: Vec<AttemptRow>,
}

#[derive(Clone, Debug, Serialize)]
pub struct AttemptRow {
    pub at: Moment,
    pub took_ms: u64,
    pub status: Option<u16>,
    pub answer: String,
    pub error: Option<String>,
}

impl View for WebhookDelivery {
    const TEMPLATE: &'static str = "webhook_delivery.html";

    fn sample() -> Vec<Self> {
        let attempt = AttemptRow {
            at: Moment::sample("2026-04-02T08:57:00Z", "3 minutes ago"),
            took_ms: 1284,
            status: Some(500),
            answer: "<h1>Server error</h1>".into(),
            error: None,
        };
        let rows = sample_rows();
        let page = |row: DeliveryRow, attempts: Vec<AttemptRow>| Self {
            layout: Layout::sample().in_section(Section::Apps),
            frame: AppFrame::sample(AppTab::Webhooks),
            id: "a1".into(),
            row,
            message_id: "msg_4f3c2a1b0d9e8f7a6b5c4d3e2f1a".into(),
            body: "{\n  \"type\": \"grant.revoked\"\n}".into(),
            attempts,
        };
        let unanswered = AttemptRow {
            status: None,
            answer: String::new(),
            error: Some("no answer within 15 seconds".into()),
            ..attempt.clone()
        };
        let silent = AttemptRow { status: Some(204), answer: String::new(), ..attempt.clone() };
        let pages = [vec![attempt.clone()], vec![silent], vec![unanswered, attempt]];
        let mut pages: Vec<_> =
            rows.iter().cloned().zip(pages).map(|(row, attempts)| page(row, attempts)).collect();
        pages.extend(rows.into_iter().take(1).map(|row| page(row, Vec::new())));
        pages
    }
}

/// The only answers that ever contain the secret of a webhook: to adding one, and to a roll.
#[derive(Clone, Serialize)]
pub struct WebhookSecret {
    pub layout: Layout,
    pub app_id: String,
    pub url: String,
    pub secret: String,
    /// Until when the secret before signs too; `None`: the webhook is new.
    pub former_until: Option<Moment>,
}

impl View for WebhookSecret {
    const TEMPLATE: &'static str = "webhook_secret.html";

    fn sample() -> Vec<Self> {
        let new = Self {
            layout: Layout::sample().in_section(Section::Apps),
            app_id: "a1".into(),
            url: "https://bot.example.com/hooks".into(),
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
            former_until: None,
        };
        let until = Some(Moment::sample("2026-04-03T09:00:00Z", "in 1 day"));
        vec![new.clone(), Self { former_until: until, ..new }]
    }
}
