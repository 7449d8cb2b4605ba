//! `[[webhooks]]`: servers of the operator that hear of events.

use std::collections::BTreeSet;

use domain::webhook::EventKind;
use protocol::openid::is_plain_loopback;
use protocol::secret::Secret;
use protocol::standard_webhook::WebhookKey;
use server::webhooks::OperatorWebhook;
use url::Url;

use super::problem::nearest;
use super::reader::Section;
use super::{ReadFile, secret};

pub(super) fn read_all(root: &Section<'_>, read: ReadFile<'_>) -> Vec<OperatorWebhook> {
    let mut webhooks: Vec<OperatorWebhook> = Vec::new();
    for section in root.sections("webhooks") {
        let Some(webhook) = read_one(&section, read) else { continue };
        if webhooks.iter().any(|other| other.name == webhook.name) {
            let what = format!("two webhooks have the name `{}`", webhook.name);
            section.document.problem(&section.spot_of("name"), what, "Each has its own.");
        }
        webhooks.push(webhook);
    }
    webhooks
}

/// `None` when a problem was reported.
fn read_one(section: &Section<'_>, read: ReadFile<'_>) -> Option<OperatorWebhook> {
    let name = section.required("name");
    let url = section.required("url").and_then(|text| section.meaning("url", text, address));
    let (secret, events) = (secret_of(section, read), events(section));
    Some(OperatorWebhook { name: name?.value, url: url?.value, secret: secret?, events: events? })
}

fn address(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| "Write https://HOST/PATH.")?;
    let is_good = url.scheme() == "https" || is_plain_loopback(&url);
    is_good.then(|| url.into()).ok_or("Use https, or plain http to this machine itself.")
}

fn secret_of(section: &Section<'_>, read: ReadFile<'_>) -> Option<Secret> {
    let document = section.document;
    let Some((text, spot)) = secret::one_of(section, ("secret", "secret_file"), read) else {
        if !section.is_set("secret") && !section.is_set("secret_file") {
            let what = "the messages would not be signed";
            document.problem(&section.spot, what, "Add `secret_file` (or `secret`).");
        }
        return None;
    };
    match WebhookKey::parse(&text) {
        Ok(_) => Some(Secret::new(text.as_str())),
        Err(error) => {
            let to_do = "`echo whsec_$(openssl rand -base64 32)` makes one.";
            document.problem(&spot, error, to_do);
            None
        }
    }
}

fn events(section: &Section<'_>) -> Option<BTreeSet<EventKind>> {
    let Some(names) = section.texts("events") else {
        if !section.is_set("events") {
            let what = "the webhook hears of nothing";
            section.document.problem(&section.spot, what, "Add `events`.");
        }
        return None;
    };
    let offered = || EventKind::offered_to_operators().map(EventKind::name);
    let event = |name: &str| {
        let known = EventKind::parse(name).filter(|kind| kind.is_for_operators());
        known.ok_or_else(|| {
            let guess = nearest(name, offered()).map(|like| format!("Did you mean `{like}`? "));
            let all = offered().collect::<Vec<_>>().join(", ");
            format!("{}It is one of: {all}.", guess.unwrap_or_default())
        })
    };
    let read = names.into_iter().filter_map(|name| section.meaning("events", name, event));
    Some(read.map(|at| at.value).collect())
}
