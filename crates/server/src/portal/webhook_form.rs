//! The form of a webhook: which address, which events.

use std::collections::BTreeSet;

use domain::policy::Policy;
use domain::webhook::{Endpoint, EventKind};
use protocol::params::{Duplicate, Params};

use crate::pages::views::{EventChoice, WebhookForm};
use crate::webhooks::url_error;

/// What a good form says.
pub(super) struct Checked {
    pub(super) url: String,
    pub(super) events: BTreeSet<EventKind>,
}

fn choices(is_ticked: impl Fn(EventKind) -> bool) -> Vec<EventChoice> {
    let choice = |kind: EventKind| EventChoice {
        name: kind.name(),
        about: kind.about(),
        ticked: is_ticked(kind),
    };
    EventKind::offered_to_apps().map(choice).collect()
}

/// For a new one: hear of everything.
pub(super) fn blank() -> WebhookForm {
    WebhookForm { events: choices(|_| true), ..WebhookForm::default() }
}

pub(super) fn form_of(endpoint: &Endpoint) -> WebhookForm {
    WebhookForm {
        url: endpoint.url.clone(),
        events: choices(|kind| endpoint.events.contains(&kind)),
        ..WebhookForm::default()
    }
}

pub(super) fn read(params: &Params) -> Result<WebhookForm, Duplicate> {
    let ticked: Vec<_> = params.all("event").collect();
    Ok(WebhookForm {
        url: params.one("url")?.unwrap_or_default().trim().to_owned(),
        events: choices(|kind| ticked.contains(&kind.name())),
        ..WebhookForm::default()
    })
}

/// `None`: `form` says what is wrong.
pub(super) fn check(form: &mut WebhookForm, policy: &Policy) -> Option<Checked> {
    form.url_error = url_error(&form.url, policy).map(str::to_owned);
    let ticked = form.events.iter().filter(|choice| choice.ticked);
    let events: BTreeSet<_> = ticked.filter_map(|choice| EventKind::parse(choice.name)).collect();
    if events.is_empty() {
        form.events_error = Some("Tick at least one kind of event.".to_owned());
    }
    let is_good = form.url_error.is_none() && form.events_error.is_none();
    is_good.then(|| Checked { url: form.url.clone(), events })
}
