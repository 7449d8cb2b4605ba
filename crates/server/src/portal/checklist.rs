//! What is left to do until users come: the steps of the overview, in the order in which they are
//! usually taken.

use domain::app::{AppKind, AppStatus};
use domain::grant::Mode;

use super::app_view::OwnApp;
use crate::pages::views::{AppTab, ChecklistStep};

pub(super) fn steps(own: &OwnApp) -> Vec<ChecklistStep> {
    let (app, id) = (&own.app, own.app.id.to_string());
    let latest = app.latest_revision();
    let has_live_secret = own.secrets.iter().any(|secret| secret.mode == Mode::Live);
    let proves_itself = app.keys.is_some() || has_live_secret;
    let explained = app.requested.iter().all(|request| !request.purpose.trim().is_empty());
    let (tested, called) = own.was_called;
    let is_sent = !matches!(app.status, AppStatus::Rejected { .. }) && !app.awaits_developer();
    let step = |id: &'static str, title: &str, text: &str, done, tab: Option<AppTab>| {
        (id, title.to_owned(), text.to_owned(), done, tab)
    };
    let credentials = Some(AppTab::Credentials);
    let mut steps = Vec::new();
    if app.kind != AppKind::Service {
        let text = "Say where users come back to after they decided.";
        let done = !latest.redirect_uris.is_empty();
        steps.push(step("redirect-uri", "Redirect URI", text, done, Some(AppTab::Settings)));
        let text = "Users read on the consent page what you do with their data.";
        let done = latest.privacy_url.is_some();
        steps.push(step("privacy", "Privacy policy", text, done, Some(AppTab::Settings)));
    }
    let text = "Ask for what the app needs, and say why for each.";
    let done = !app.requested.is_empty() && explained;
    steps.push(step("purposes", "Scopes with purposes", text, done, Some(AppTab::Scopes)));
    let text = "Use the test client id: it works before approval and reaches practice data only.";
    steps.push(step("test-call", "A test call", text, tested, credentials));
    if app.kind.is_confidential() {
        let text = "Make a secret for production, or give us your public keys.";
        steps.push(step("live-secret", "Live credentials", text, proves_itself, credentials));
    }
    let text = "Answer what our staff ask, and it goes back to them.";
    steps.push(step("submitted", "Sent for review", text, is_sent, Some(AppTab::Messages)));
    let text = "A person looks at it. You hear by a message here.";
    steps.push(step("approved", "Approved", text, app.is_admitted(), None));
    let text = "The first call with a live token.";
    steps.push(step("live-call", "First live call", text, called, None));
    let shown = |(id_of_step, title, text, done, tab): (_, _, _, bool, Option<AppTab>)| {
        let link = tab.filter(|_| !done).map(|tab| tab.path(&id));
        ChecklistStep { id: id_of_step, title, text, done, link }
    };
    steps.into_iter().map(shown).collect()
}
