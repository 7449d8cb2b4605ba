//! The end of an app, for a while or for good: its developer pauses it, lets it go on, or deletes
//! it after reading what that breaks.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::RevokeReason;
use domain::time::Timestamp;
use serde_json::json;
use store::{Tx, app_counts, apps, audit, changes, consents, grants, partner_keys, usage};

use super::apps::held;
use super::changes::{Changed, write};
use crate::account::step_up::need_fresh_proof;
use crate::account::taking_back::TakingBack;
use crate::actor::{AppHolder, AppOwner, SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::display;
use crate::error::PageError;
use crate::flash::Done;
use crate::pages::views::{AppTab, DeleteApp, Section};
use crate::pages::words::grouped;
use crate::provider::{Provider, Shared};
use crate::view;

/// More keys are “1,000 or more”; nobody needs to know exactly.
const KEYS_COUNTED_MAX: i64 = 1_000;
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Stop the app: its live calls are refused from the next one on. Tests go on.
pub async fn pause(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    _form: SignedForm,
) -> Result<Response, PageError> {
    let change = |app: App, now| {
        let detail = json!({ "paused": true });
        Ok(Changed { app: app.pause(now)?, detail, done: Done::AppPaused })
    };
    write(&provider, owner, address, AppTab::Overview, change).await
}

pub async fn unpause(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    _form: SignedForm,
) -> Result<Response, PageError> {
    let change = |app: App, _| {
        let detail = json!({ "paused": false });
        Ok(Changed { app: app.unpause()?, detail, done: Done::AppUnpaused })
    };
    write(&provider, owner, address, AppTab::Overview, change).await
}

/// What ends with an app.
struct Breaks {
    users: u64,
    grants: u64,
    keys: u64,
    /// In the last week.
    calls: u64,
    last_call_at: Option<Timestamp>,
}

impl Breaks {
    fn words(&self) -> Vec<String> {
        let some = |count: u64, one: &str, many: &str| {
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let grants = some(self.grants, "live grant", "live grants");
        let keys = some(self.keys, "partner key", "partner keys");
        [grants, keys].into_iter().flatten().collect()
    }

    /// How much it is used; nobody calls what breaks unnoticed.
    fn use_words(&self, now: Timestamp) -> Option<String> {
        let last = self.last_call_at.map(|at| display::moment(now, at).text);
        let calls = match self.calls {
            0 => return last.map(|last| format!("Its last call was {last}.")),
            1 => "1 call in the last 7 days".to_owned(),
            calls => format!("{} calls in the last 7 days", grouped(calls)),
        };
        Some(match last {
            Some(last) => format!("{calls}, the last {last}."),
            None => format!("{calls}."),
        })
    }
}

pub async fn confirm_delete(
    State(provider): State<Shared>,
    AppHolder { user, app }: AppHolder,
) -> Result<Response, PageError> {
    need_fresh_proof(&provider, &user, &delete_path(&app)).await?;
    let page = delete_page(&provider, &user, &app, None).await?;
    view::page(&provider, &page)
}

fn delete_path(app: &App) -> String {
    format!("/apps/{}/delete", app.id)
}

async fn delete_page(
    provider: &Provider,
    user: &SignedInUser,
    app: &App,
    error: Option<String>,
) -> Result<DeleteApp, PageError> {
    let (id, now) = (app.id, provider.now());
    let count = async move |tx: &mut Tx<'_>| {
        Ok::<_, PageError>(Breaks {
            users: consents::count_given_to(tx, id).await?,
            grants: grants::count_live_of_app(tx, id, now).await?,
            keys: partner_keys::list_of_app(tx, id, KEYS_COUNTED_MAX).await?.len() as u64,
            calls: app_counts::sum(tx, id, now.before(WEEK)).await?.calls,
            last_call_at: usage::last_call_of_app(tx, id).await?,
        })
    };
    let breaks: Breaks = provider.store.db.read(count).await?;
    Ok(DeleteApp {
        layout: user.layout().in_section(Section::Apps),
        id: id.to_string(),
        name: app.name.clone(),
        user_count: breaks.users,
        breaks: breaks.words(),
        in_use: breaks.use_words(now),
        error,
    })
}

/// Delete the app, after ending all access of it.
pub async fn delete(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppHolder { user, app }: AppHolder,
    form: SignedForm,
) -> Result<Response, PageError> {
    need_fresh_proof(&provider, &user, &delete_path(&app)).await?;
    if form.params.one("confirm")?.map(str::trim) != Some(app.name.as_str()) {
        let error = Some("That is not the app’s name.".to_owned());
        let page = delete_page(&provider, &user, &app, error).await?;
        return view::page_again(&provider, &page);
    }
    let back = TakingBack {
        actor: AuditActor::User(user.user.id),
        reason: RevokeReason::Staff,
        address: Some(address),
        now: provider.now(),
    };
    let (id, entropy) = (app.id, provider.entropy.clone());
    let write = async move |tx: &mut Tx<'_>| {
        let app = match held(tx, id, user.user.id).await? {
            Ok(app) => app,
            Err(refused) => return Ok(Err(refused)),
        };
        let given = consents::list_given_to(tx, id).await?;
        let event = AuditEvent::new(back.now, AuditKind::AppDeleted, back.actor)
            .app(id)
            .address(address)
            .detail(json!({
                "name": app.name, "client_id": app.client_id, "users": given.len(),
            }));
        for consent in given {
            back.withdraw(tx, consent, &*entropy).await?;
        }
        apps::delete(tx, id).await?;
        changes::record(tx, Change::App(id)).await?;
        audit::record(tx, &event).await?;
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::AppDeleted.redirect("/apps").into_response())
}
