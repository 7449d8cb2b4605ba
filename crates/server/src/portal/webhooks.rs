//! Webhooks of an app: its developer adds, tries, pauses and removes them, rolls their secrets, and
//! looks at what was sent.

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::{AppId, EndpointId, UserId};
use domain::time::Timestamp;
use domain::webhook::{
    Attempt, Delivery, DeliveryState, ENDPOINTS_MAX, Endpoint, EndpointOwner, EndpointStatus,
    SealedSecret, new_secret,
};
use protocol::params::Params;
use serde_json::{Value, json};
use store::{Tx, audit, webhooks};

use super::apps::owned;
use super::frame::frame;
use super::webhook_form::{Checked, blank, check, form_of, read};
use crate::account::limits::Limits;
use crate::actor::{AppOwner, SignedForm};
use crate::address::ClientAddress;
use crate::display;
use crate::error::{PageError, duration_words};
use crate::flash::{Done, Told};
use crate::pages::views::{
    self, AppTab, AttemptRow, DeliveryRow, Section, WebhookDelivery, WebhookEndpoint, WebhookForm,
    WebhookSecret, WebhookStatus, Webhooks,
};
use crate::provider::{Provider, Shared};
use crate::view;

/// Messages on one page.
const SHOWN_MAX: usize = 30;
/// Attempts on the page of one message.
const ATTEMPTS_MAX: i64 = 50;

pub async fn list(
    State(provider): State<Shared>,
    owner: AppOwner,
    Told(flash): Told,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let only_dead = params.one("state")? == Some("dead");
    let before = params.one("before")?.and_then(|text| text.parse().ok()).unwrap_or(i64::MAX);
    let mut page = load(&provider, owner, only_dead, before).await?;
    page.layout = page.layout.with_flash(flash);
    view::page(&provider, &page)
}

/// A message and what its last attempt came to.
type Shown = (Delivery, Option<Attempt>);

async fn load(
    provider: &Provider,
    AppOwner { user, app }: AppOwner,
    only_dead: bool,
    before: i64,
) -> Result<Webhooks, PageError> {
    let (id, now) = (app.id, provider.now());
    let limit = i64::try_from(SHOWN_MAX + 1).unwrap_or(i64::MAX);
    let read = async move |tx: &mut Tx<'_>| {
        let endpoints = webhooks::list_of_app(tx, id).await?;
        let mut shown: Vec<Shown> = Vec::new();
        for delivery in webhooks::list_deliveries(tx, id, only_dead, before, limit).await? {
            let last = webhooks::list_attempts(tx, delivery.id, 1).await?.pop();
            shown.push((delivery, last));
        }
        Ok::<_, PageError>((endpoints, shown))
    };
    let (endpoints, mut shown): (Vec<Endpoint>, Vec<Shown>) = provider.store.db.read(read).await?;
    let has_more = shown.len() > SHOWN_MAX;
    shown.truncate(SHOWN_MAX);
    let urls: BTreeMap<_, _> = endpoints.iter().map(|one| (one.id, one.url.clone())).collect();
    let next = shown.last().filter(|_| has_more).map(|(last, _)| last.id.to_string());
    Ok(Webhooks {
        layout: user.layout().in_section(Section::Apps),
        frame: frame(&app, AppTab::Webhooks),
        id: id.to_string(),
        endpoints: endpoints.iter().map(|endpoint| card(endpoint, now)).collect(),
        endpoints_max: ENDPOINTS_MAX as u64,
        form: blank(),
        deliveries: shown.iter().map(|(one, last)| row(one, last.as_ref(), &urls, now)).collect(),
        only_dead,
        next,
    })
}

fn card(endpoint: &Endpoint, now: Timestamp) -> WebhookEndpoint {
    let former = endpoint.former.as_ref().filter(|former| now < former.until);
    WebhookEndpoint {
        id: endpoint.id.to_string(),
        url: endpoint.url.clone(),
        status: match endpoint.status {
            EndpointStatus::Active => WebhookStatus::Active,
            EndpointStatus::Paused => WebhookStatus::Paused,
            EndpointStatus::Disabled { .. } => WebhookStatus::Disabled,
        },
        failing_since: endpoint.failing_since.map(|at| display::moment(now, at)),
        former_until: former.map(|former| display::moment(now, former.until)),
        form: form_of(endpoint),
    }
}

fn row(
    delivery: &Delivery,
    last: Option<&Attempt>,
    urls: &BTreeMap<EndpointId, String>,
    now: Timestamp,
) -> DeliveryRow {
    let (state, next_attempt_at) = match delivery.state {
        DeliveryState::Waiting { next_attempt_at } => {
            (views::DeliveryState::Waiting, Some(display::moment(now, next_attempt_at)))
        }
        DeliveryState::Delivered { .. } => (views::DeliveryState::Delivered, None),
        DeliveryState::Dead { .. } => (views::DeliveryState::Dead, None),
    };
    DeliveryRow {
        id: delivery.id.to_string(),
        event: delivery.event.name(),
        url: urls.get(&delivery.endpoint_id).cloned().unwrap_or_default(),
        state,
        created_at: display::moment(now, delivery.created_at),
        tries: delivery.tries,
        next_attempt_at,
        answer: last.and_then(|last| {
            last.status.map(|status| status.to_string()).or_else(|| last.error.clone())
        }),
    }
}

pub async fn show_delivery(
    State(provider): State<Shared>,
    AppOwner { user, app }: AppOwner,
    Told(flash): Told,
    Path(path): Path<BTreeMap<String, String>>,
) -> Result<Response, PageError> {
    let number = path.get("delivery").and_then(|text| text.parse::<i64>().ok());
    let (id, number) = (app.id, number.ok_or(PageError::NotFound)?);
    let read = async move |tx: &mut Tx<'_>| {
        let found = webhooks::find_delivery(tx, id, number).await?;
        let delivery = found.ok_or(PageError::NotFound)?;
        let endpoint = webhooks::find(tx, delivery.endpoint_id).await?;
        let attempts = webhooks::list_attempts(tx, number, ATTEMPTS_MAX).await?;
        Ok::<_, PageError>((delivery, endpoint, attempts))
    };
    let (delivery, endpoint, attempts) = provider.store.db.read(read).await?;
    let (delivery, endpoint): (Delivery, Option<Endpoint>) = (delivery, endpoint);
    let now = provider.now();
    let urls = endpoint.into_iter().map(|one| (one.id, one.url)).collect();
    let body = serde_json::from_str::<Value>(&delivery.body).ok();
    let body = body.and_then(|body| serde_json::to_string_pretty(&body).ok());
    let attempt = |attempt: Attempt| AttemptRow {
        at: display::moment(now, attempt.at),
        took_ms: attempt.took_ms,
        status: attempt.status,
        answer: attempt.answer,
        error: attempt.error,
    };
    let page = WebhookDelivery {
        layout: user.layout().in_section(Section::Apps).with_flash(flash),
        frame: frame(&app, AppTab::Webhooks),
        id: id.to_string(),
        row: row(&delivery, attempts.first(), &urls, now),
        message_id: delivery.message_id(&provider.keyring()),
        body: body.unwrap_or(delivery.body),
        attempts: attempts.into_iter().map(attempt).collect(),
    };
    view::page(&provider, &page)
}

/// The page once more, with what was typed into the form of `endpoint`, or of a new one.
async fn show_again(
    provider: &Provider,
    owner: AppOwner,
    endpoint: Option<EndpointId>,
    typed: WebhookForm,
) -> Result<Response, PageError> {
    let mut page = load(provider, owner, false, i64::MAX).await?;
    match endpoint.map(|id| id.to_string()) {
        None => page.form = typed,
        Some(id) => {
            let found = page.endpoints.iter_mut().find(|endpoint| endpoint.id == id);
            found.ok_or(PageError::NotFound)?.form = typed;
        }
    }
    view::page_again(provider, &page)
}

pub async fn create(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let mut typed = read(&form.params)?;
    let Some(Checked { url, events }) = check(&mut typed, &provider.policy()) else {
        return show_again(&provider, owner, None, typed).await;
    };
    let (app, now) = (owner.app.id, provider.now());
    let (id, secret) = (EndpointId::random(&*provider.entropy), new_secret(&*provider.entropy));
    let endpoint = Endpoint {
        id,
        owner: EndpointOwner::App(app),
        url,
        events,
        secret: seal(&provider, id, &secret)?,
        former: None,
        status: EndpointStatus::Active,
        failing_since: None,
        created_at: now,
    };
    let (layout, url) = (owner.user.layout(), endpoint.url.clone());
    let step = Step::new(&owner, address, now);
    let write = async move |tx: &mut Tx<'_>| {
        owned(tx, step.app, step.user).await?;
        if webhooks::list_of_app(tx, step.app).await?.len() >= ENDPOINTS_MAX {
            let text = format!("The app has {ENDPOINTS_MAX} webhooks already. Remove one first.");
            return Ok(Err(PageError::Conflict(text.into())));
        }
        webhooks::insert(tx, &endpoint).await?;
        step.record(tx, AuditKind::WebhookAdded, &endpoint).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    let page = WebhookSecret {
        layout: layout.in_section(Section::Apps),
        app_id: app.to_string(),
        url,
        secret: secret.expose().to_owned(),
        former_until: None,
    };
    view::page(&provider, &page)
}

fn seal(
    provider: &Provider,
    id: EndpointId,
    secret: &protocol::secret::Secret,
) -> Result<SealedSecret, PageError> {
    let sealed = SealedSecret::seal(&provider.keyring(), id, secret, &*provider.entropy);
    sealed.ok_or_else(|| PageError::Internal("the secret of a webhook does not seal".to_owned()))
}

/// Another address, or other events.
pub async fn save(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id = named(&form.params)?;
    let mut typed = read(&form.params)?;
    let Some(Checked { url, events }) = check(&mut typed, &provider.policy()) else {
        return show_again(&provider, owner, Some(id), typed).await;
    };
    let step = Step::new(&owner, address, provider.now());
    let change = move |one: Endpoint| Endpoint { url: url.clone(), events: events.clone(), ..one };
    step.change(&provider, id, AuditKind::WebhookChanged, change).await?;
    Ok(Done::WebhookSaved.redirect(&path_of(owner.app.id)).into_response())
}

/// Pause it, or switch it on again.
pub async fn switch(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Redirect, PageError> {
    let id = named(&form.params)?;
    let is_pause = form.params.one("to")? == Some("pause");
    let step = Step::new(&owner, address, provider.now());
    let change = move |one: Endpoint| if is_pause { one.pause() } else { one.turn_on() };
    step.change(&provider, id, AuditKind::WebhookChanged, change).await?;
    let done = if is_pause { Done::WebhookPaused } else { Done::WebhookOn };
    Ok(done.redirect(&path_of(owner.app.id)))
}

/// The next secret; the one before it signs too, for a day.
pub async fn roll(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    let (id, now) = (named(&form.params)?, provider.now());
    let secret = new_secret(&*provider.entropy);
    let sealed = seal(&provider, id, &secret)?;
    let step = Step::new(&owner, address, now);
    let change = move |one: Endpoint| one.roll(sealed.clone(), now);
    let rolled = step.change(&provider, id, AuditKind::WebhookSecretRolled, change).await?;
    let until = rolled.former.as_ref().map(|former| former.until);
    let page = WebhookSecret {
        layout: owner.user.layout().in_section(Section::Apps),
        app_id: owner.app.id.to_string(),
        url: rolled.url,
        secret: secret.expose().to_owned(),
        former_until: until.map(|until| display::moment(now, until)),
    };
    view::page(&provider, &page)
}

pub async fn remove(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Redirect, PageError> {
    let (id, step) = (named(&form.params)?, Step::new(&owner, address, provider.now()));
    let write = async move |tx: &mut Tx<'_>| {
        let endpoint = match step.find(tx, id).await? {
            Ok(endpoint) => endpoint,
            Err(refused) => return Ok(Err(refused)),
        };
        webhooks::delete(tx, &endpoint).await?;
        step.record(tx, AuditKind::WebhookRemoved, &endpoint).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::WebhookRemoved.redirect(&path_of(owner.app.id)))
}

pub async fn test(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Redirect, PageError> {
    let (id, step) = (named(&form.params)?, Step::new(&owner, address, provider.now()));
    let app = owner.app.clone();
    let write = async move |tx: &mut Tx<'_>| {
        let endpoint = match step.find(tx, id).await? {
            Ok(endpoint) => endpoint,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Some(refused) = step.too_often(tx).await? {
            return Ok(Err(refused));
        }
        Ok::<_, PageError>(Ok(webhooks::queue_test(tx, &app, &endpoint, step.now).await?))
    };
    provider.store.db.write(write).await??;
    Ok(Done::WebhookTested.redirect(&path_of(owner.app.id)))
}

/// Send a message that arrived or was given up once more.
pub async fn redeliver(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    form: SignedForm,
) -> Result<Redirect, PageError> {
    let number = form.params.one("delivery")?.and_then(|text| text.parse::<i64>().ok());
    let number = number.ok_or(PageError::NotFound)?;
    let step = Step::new(&owner, address, provider.now());
    let write = async move |tx: &mut Tx<'_>| {
        owned(tx, step.app, step.user).await?;
        let Some(delivery) = webhooks::find_delivery(tx, step.app, number).await? else {
            return Ok(Err(PageError::NotFound));
        };
        let again = match delivery.redeliver(step.now) {
            Ok(again) => again,
            Err(error) => return Ok(Err(PageError::Conflict(error.to_string().into()))),
        };
        if let Some(refused) = step.too_often(tx).await? {
            return Ok(Err(refused));
        }
        webhooks::save_delivery(tx, &again).await?;
        let event = step.event(AuditKind::WebhookRedelivered).detail(json!({
            "webhook": again.endpoint_id, "delivery": again.id, "event": again.event.name(),
        }));
        Ok::<_, PageError>(Ok(audit::record(tx, &event).await?))
    };
    provider.store.db.write(write).await??;
    Ok(Done::SentToWebhook.redirect(&format!("{}/deliveries/{number}", path_of(step.app))))
}

fn named(params: &Params) -> Result<EndpointId, PageError> {
    let id = params.one("endpoint")?.and_then(|text| text.parse().ok());
    id.ok_or(PageError::NotFound)
}

fn path_of(app: AppId) -> String {
    format!("/apps/{app}/webhooks")
}

/// Who changes webhooks of which app.
#[derive(Clone, Copy)]
struct Step {
    app: AppId,
    user: UserId,
    address: std::net::IpAddr,
    now: Timestamp,
}

impl Step {
    fn new(owner: &AppOwner, address: std::net::IpAddr, now: Timestamp) -> Self {
        let App { id: app, .. } = owner.app;
        Self { app, user: owner.user.user.id, address, now }
    }

    /// The endpoint as it stands, if the app and it are still the developer's.
    async fn find(
        &self,
        tx: &mut Tx<'_>,
        id: EndpointId,
    ) -> Result<Result<Endpoint, PageError>, PageError> {
        owned(tx, self.app, self.user).await?;
        let found = webhooks::find(tx, id).await?;
        let own = found.filter(|endpoint| endpoint.owner == EndpointOwner::App(self.app));
        Ok(own.ok_or(PageError::NotFound))
    }

    /// Write what `change` makes of it.
    async fn change(
        self,
        provider: &Provider,
        id: EndpointId,
        kind: AuditKind,
        change: impl Fn(Endpoint) -> Endpoint + Send + Sync + 'static,
    ) -> Result<Endpoint, PageError> {
        let write = async move |tx: &mut Tx<'_>| {
            let endpoint = match self.find(tx, id).await? {
                Ok(endpoint) => change(endpoint),
                Err(refused) => return Ok(Err(refused)),
            };
            webhooks::save(tx, &endpoint).await?;
            self.record(tx, kind, &endpoint).await?;
            Ok::<_, PageError>(Ok(endpoint))
        };
        provider.store.db.write(write).await?
    }

    /// Tests and messages once more are counted together.
    async fn too_often(&self, tx: &mut Tx<'_>) -> Result<Option<PageError>, PageError> {
        let wait = Limits::of_webhooks_by_hand(self.app).count(tx, self.now).await?;
        Ok(wait.map(|wait| {
            let wait = duration_words(wait);
            PageError::Conflict(format!("That is enough for now. Wait {wait}.").into())
        }))
    }

    fn event(&self, kind: AuditKind) -> AuditEvent {
        let actor = AuditActor::User(self.user);
        AuditEvent::new(self.now, kind, actor).app(self.app).address(self.address)
    }

    async fn record(
        &self,
        tx: &mut Tx<'_>,
        kind: AuditKind,
        endpoint: &Endpoint,
    ) -> Result<(), PageError> {
        let events: Vec<_> = endpoint.events.iter().map(|event| event.name()).collect();
        let status = match endpoint.status {
            EndpointStatus::Active => "on",
            EndpointStatus::Paused => "paused",
            EndpointStatus::Disabled { .. } => "off",
        };
        let event = self.event(kind).detail(json!({
            "webhook": endpoint.id, "url": endpoint.url, "events": events, "status": status,
        }));
        Ok(audit::record(tx, &event).await?)
    }
}
