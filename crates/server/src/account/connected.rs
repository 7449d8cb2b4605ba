//! Connected apps: what a user has let in, what it did, and the ways to end it. Whatever is ended
//! here is refused from the app's next request on.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::consent::Consent;
use domain::grant::{Mode, RevokeReason};
use domain::id::{ConsentId, GrantId, UserId};
use domain::partner_key::{EndedWhy, PartnerKey};
use domain::time::Timestamp;
use domain::webhook::Event;
use protocol::scope::ScopeName;
use serde_json::json;
use store::{Tx, apps, audit, consents, grants, partner_keys, usage, webhooks};

use super::connected_view::{Connected, Known};
use super::taking_back::TakingBack;
use crate::actor::{SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views::{ConnectedApps, ReportApp, Section};
use crate::provider::Shared;
use crate::view;

/// The page suggests to end what was not used for this long.
pub const UNUSED_AFTER: Duration = Duration::from_secs(90 * 24 * 3600);
/// Audit entries on the page of one app.
const HISTORY_MAX: u32 = 50;
/// Of a report, in characters.
const REPORT_MAX: usize = 2000;

pub async fn list(
    State(provider): State<Shared>,
    user: SignedInUser,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let id = user.user.id;
    let known = provider
        .store
        .db
        .read(async move |tx| {
            let mut known = Vec::new();
            for consent in consents::list_given_by(tx, id).await? {
                known.extend(look_up(tx, consent).await?);
            }
            Ok::<_, PageError>((known, partner_keys::list_of_user(tx, id).await?))
        })
        .await?;
    let (now, policy) = (provider.now(), provider.policy());
    let (mut known, keys): (Vec<Known>, Vec<PartnerKey>) = known;
    let key_of = |app| keys.iter().find(|key| key.app_id == app);
    // What was used last comes first; what never was, by when it was let in.
    known.sort_by_key(|known| std::cmp::Reverse(known.last_seen_at()));
    let page = ConnectedApps {
        layout: user.layout().in_section(Section::Connected).with_flash(flash),
        apps: known
            .iter()
            .map(|one| {
                let key = key_of(one.app.id).filter(|_| one.consent.mode == Mode::Live);
                one.card(&policy, key, now)
            })
            .collect(),
    };
    view::page(&provider, &page)
}

pub async fn show(
    State(provider): State<Shared>,
    user: SignedInUser,
    Path(id): Path<String>,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let (id, user_id, now) = (parse_id(&id)?, user.user.id, provider.now());
    let connected = provider
        .store
        .db
        .read(async move |tx| {
            let consent = given(tx, id, user_id).await?;
            Ok::<_, PageError>(Connected {
                grants: grants::list_live_of_consent(tx, id, now).await?,
                key: partner_keys::find_of_consent(tx, &consent).await?,
                known: look_up(tx, consent).await?.ok_or(PageError::NotFound)?,
                history: audit::list_of_consent(tx, id, HISTORY_MAX).await?,
            })
        })
        .await?;
    let layout = user.layout().in_section(Section::Connected).with_flash(flash);
    view::page(&provider, &connected.page(layout, &provider.policy(), now))
}

/// End all access of the app.
pub async fn revoke(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let (id, user_id) = (parse_id(&id)?, form.user.user.id);
    let back = taking_back(user_id, address, provider.now());
    let entropy = provider.entropy.clone();
    provider
        .store
        .db
        .write(async move |tx| {
            let consent = given(tx, id, user_id).await?;
            Ok::<_, PageError>(back.withdraw(tx, consent, &*entropy).await?)
        })
        .await?;
    Ok(Done::AccessRevoked.redirect("/connected").into_response())
}

/// Take one scope back; with the one by which the app got a key goes the key. Without one that it
/// cannot do without, or without any, nothing is left to grant: that ends the access, as the page
/// says beforehand.
pub async fn remove_scope(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let (id, user_id) = (parse_id(&id)?, form.user.user.id);
    let scope = form.params.one("scope")?.and_then(|name| ScopeName::parse(name).ok());
    let scope = scope.ok_or(PageError::BadRequest("No permission was named.".into()))?;
    let back = taking_back(user_id, address, provider.now());
    let policy = provider.policy();
    let takes_key = policy.partner_keys.as_ref().is_some_and(|terms| terms.create == scope);
    let entropy = provider.entropy.clone();
    let done = provider
        .store
        .db
        .write(async move |tx| {
            let consent = given(tx, id, user_id).await?;
            let app = apps::find_in_mode(tx, consent.app_id, consent.mode).await?;
            let app = app.ok_or(PageError::NotFound)?;
            if consent.scopes.contains(scope.as_str()) && ends_access(&app, &consent, &scope) {
                back.withdraw(tx, consent, &*entropy).await?;
                return Ok(Done::AccessRevoked);
            }
            let key = match takes_key {
                true => partner_keys::find_of_consent(tx, &consent).await?,
                false => None,
            };
            if !back.narrow(tx, consent, &scope, &*entropy).await? {
                return Err(PageError::Conflict("The app no longer has this permission.".into()));
            }
            if let Some(key) = key {
                partner_keys::end(tx, &key, EndedWhy::User, back.actor, back.now).await?;
            }
            Ok(Done::ScopeTakenBack)
        })
        .await?;
    Ok(match done {
        Done::AccessRevoked => done.redirect("/connected"),
        _ => done.redirect(&format!("/connected/{id}")),
    }
    .into_response())
}

/// Whether taking `scope` back leaves the app without what it cannot do without, or with nothing.
pub fn ends_access(app: &App, consent: &Consent, scope: &ScopeName) -> bool {
    let is_last = consent.scopes.iter().all(|name| name == scope);
    is_last || app.required_scopes().contains(scope.as_str())
}

/// End one sign-in of the app; others stay.
pub async fn end_grant(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Redirect, PageError> {
    let (id, user_id) = (parse_id(&id)?, form.user.user.id);
    let grant_id = form.params.one("grant")?.and_then(|text| text.parse::<GrantId>().ok());
    let grant_id = grant_id.ok_or(PageError::NotFound)?;
    let back = taking_back(user_id, address, provider.now());
    provider
        .store
        .db
        .write(async move |tx| {
            let consent = given(tx, id, user_id).await?;
            let grant = grants::find(tx, grant_id).await?;
            let own =
                grant.filter(|grant| grant.consent_id() == Some(id) && grant.is_live(back.now));
            let grant = own.ok_or(PageError::NotFound)?;
            Ok::<_, PageError>(back.end_grant(tx, &consent, grant).await?)
        })
        .await?;
    Ok(Done::GrantEnded.redirect(&format!("/connected/{id}")))
}

/// Away with the key of the app, active or disabled; what else it may do stays.
pub async fn remove_key(
    State(provider): State<Shared>,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Redirect, PageError> {
    let (id, user_id, now) = (parse_id(&id)?, form.user.user.id, provider.now());
    let remove = async move |tx: &mut Tx<'_>| {
        let consent = given(tx, id, user_id).await?;
        let key = partner_keys::find_of_consent(tx, &consent).await?;
        let key = key.ok_or(PageError::NotFound)?;
        partner_keys::end(tx, &key, EndedWhy::User, AuditActor::User(user_id), now).await?;
        Ok::<_, PageError>(())
    };
    provider.store.db.write(remove).await?;
    Ok(Done::KeyRemoved.redirect(&format!("/connected/{id}")))
}

pub async fn report_form(
    State(provider): State<Shared>,
    user: SignedInUser,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (id, user_id) = (parse_id(&id)?, user.user.id);
    let read = async move |tx: &mut Tx<'_>| {
        let consent = given(tx, id, user_id).await?;
        apps::find(tx, consent.app_id).await?.ok_or(PageError::NotFound)
    };
    let app = provider.store.db.read(read).await?;
    view::page(&provider, &report_page(&user, id, app.name, String::new(), None))
}

fn report_page(
    user: &SignedInUser,
    id: ConsentId,
    name: String,
    what: String,
    error: Option<String>,
) -> ReportApp {
    let layout = user.layout().in_section(Section::Connected);
    ReportApp { layout, id: id.to_string(), name, what, error }
}

/// Tell staff about the app, and end its access if wished.
pub async fn report(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let (id, user_id, now) = (parse_id(&id)?, form.user.user.id, provider.now());
    let what = form.params.one("what")?.unwrap_or_default().trim().to_owned();
    let also_revoke = form.params.one("revoke")? == Some("yes");
    let error = match what.chars().count() {
        0 => Some("Write a sentence about what happened.".to_owned()),
        length if length > REPORT_MAX => Some(format!("Use at most {REPORT_MAX} characters.")),
        _ => None,
    };
    let (back, entropy) = (taking_back(user_id, address, now), provider.entropy.clone());
    let (is_good, text) = (error.is_none(), what.clone());
    let app = provider
        .store
        .db
        .write(async move |tx| {
            let consent = given(tx, id, user_id).await?;
            let app = apps::find(tx, consent.app_id).await?.ok_or(PageError::NotFound)?;
            if is_good {
                let event = AuditEvent::new(now, AuditKind::AppReported, AuditActor::User(user_id))
                    .app(app.id)
                    .consent(id)
                    .address(address)
                    .detail(json!({ "text": text }));
                audit::record(tx, &event).await?;
                webhooks::queue(tx, app.id, &Event::AppReported {}, now).await?;
                if also_revoke {
                    back.withdraw(tx, consent, &*entropy).await?;
                }
            }
            Ok::<_, PageError>(app)
        })
        .await?;
    if error.is_some() {
        return view::page_again(&provider, &report_page(&form.user, id, app.name, what, error));
    }
    Ok(match also_revoke {
        true => Done::ReportedAndRevoked.redirect("/connected"),
        false => Done::Reported.redirect(&format!("/connected/{id}")),
    }
    .into_response())
}

fn taking_back(user: UserId, address: IpAddr, now: Timestamp) -> TakingBack {
    TakingBack {
        actor: AuditActor::User(user),
        reason: RevokeReason::User,
        address: Some(address),
        now,
    }
}

fn parse_id(text: &str) -> Result<ConsentId, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}

/// The consent `id` of `user`. Other people's do not exist, withdrawn ones are gone.
async fn given(tx: &mut Tx<'_>, id: ConsentId, user: UserId) -> Result<Consent, PageError> {
    let found = consents::find(tx, id).await?;
    found.filter(|c| c.user_id == user && c.is_given()).ok_or(PageError::NotFound)
}

/// `None`: the app was deleted meanwhile.
async fn look_up(tx: &mut Tx<'_>, consent: Consent) -> Result<Option<Known>, PageError> {
    let found = apps::find_in_mode(tx, consent.app_id, consent.mode).await?;
    let Some(app) = found else { return Ok(None) };
    let families = usage::list_of(tx, consent.user_id, consent.app_id).await?;
    Ok(Some(Known { app, consent, families }))
}
