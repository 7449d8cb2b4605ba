//! `/step-up`: a signed-in user gives a second factor, because of what they are about to do
//! (RFC 9470). Who has none is led to where one is set up, and back.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authentication::{Acr, FRESH_FOR, Methods};
use domain::second_factor::Enrolled;
use domain::session::Session;
use domain::time::Timestamp;
use http::HeaderMap;
use protocol::params::Params;
use serde_json::json;
use store::{Tx, audit, sessions};

use super::hand_off;
use super::limits::Limits;
use super::links::seen;
use super::proof::{self, Check, Checked, Presented};
use super::second_step::{self, Outcome, answer, continue_of};
use super::sign_in::Attempt;
use crate::actor::{SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::error::{PageError, form_query};
use crate::oauth::pending::{self, AskingForProof, Reply, Stage};
use crate::pages::views::{FormField, SecondFactor};
use crate::provider::{Provider, Shared};

/// `GET /step-up?continue=PATH`: asks, however fresh the last proof is. Whoever sends users here
/// looks at the session when they come back.
pub async fn show(
    State(provider): State<Shared>,
    user: SignedInUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let enrolled = second_step::find_enrolled(&provider, user.user.id).await?;
    render(&provider, &user, &continue_of(&params)?, &enrolled, Outcome::Asked).await
}

async fn render(
    provider: &Provider,
    user: &SignedInUser,
    continue_to: &str,
    enrolled: &Enrolled,
    outcome: Outcome,
) -> Result<Response, PageError> {
    let asking = pending::asking_for_proof(provider, continue_to);
    let wants_passkey =
        asking.as_ref().is_some_and(|asking| asking.least == Acr::PhishingResistant);
    let has_app = !enrolled.totps.is_empty() && !wants_passkey;
    let takes_code = (has_app || enrolled.recovery_codes_left > 0) && !wants_passkey;
    let passkey = proof::ask(provider, &user.csrf, Some((user.user.id, enrolled)))?;
    // Setting one up is giving it: the user goes on from there without coming back here.
    // A provider that asks itself is asked; what it has seen is no passkey of ours.
    let elsewhere = match wants_passkey {
        true => None,
        false => hand_off::for_second_factor(provider, user.user.id, continue_to).await?,
    };
    let has_none = passkey.is_none() && !takes_code && elsewhere.is_none();
    let set_up = has_none.then(|| form_query(&[("continue", continue_to)]));
    let page = SecondFactor {
        layout: user.layout(),
        action: "/step-up".to_owned(),
        hidden: vec![FormField { name: "continue".to_owned(), value: continue_to.to_owned() }],
        is_sign_in: false,
        wants_passkey,
        takes_code,
        has_app,
        passkey,
        elsewhere,
        set_up,
        offers_passkeys: proof::relying_party(&provider.issuer()).is_some(),
        ..of_app(provider, asking.as_ref())?
    };
    let form_target = asking.as_ref().and_then(|asking| asking.pending.form_target.clone());
    answer(provider, page.after(&outcome), form_target.as_deref(), outcome)
}

/// What the page says when an app asks, and the way back to it.
fn of_app(provider: &Provider, asking: Option<&AskingForProof>) -> Result<SecondFactor, PageError> {
    let Some(asking) = asking else { return Ok(SecondFactor::default()) };
    let cancel_url = asking.pending.clone().at(Stage::Declined).continue_path(provider)?;
    Ok(SecondFactor {
        app_name: Some(asking.pending.app_name.clone()),
        // A device or a page of ours waits for the others: nobody has to be told.
        cancel_url: (asking.pending.reply == Reply::Redirect).then_some(cancel_url),
        ..SecondFactor::default()
    })
}

/// `POST /step-up`
pub async fn submit(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    let continue_to = continue_of(&params)?;
    let attempt = Attempt::new(&provider, &user.user.email, address, &headers);
    let device = attempt.known_device(&provider);
    let now = provider.now();
    let check = Check {
        presented: Arc::new(Presented::read(&provider, &params, &user.csrf)?),
        user: Some(user.user.id),
        limits: Limits::of_second_factor(user.user.id, address, device),
        seen: seen(address, &headers),
        now,
        provider: provider.clone(),
    };
    let session = user.session.clone();
    let write = async move |tx: &mut Tx<'_>| {
        let checked = check.run(tx).await?;
        if let Checked::Right { method, .. } = &checked {
            record(tx, &session, (*method, address), now).await?;
        }
        Ok::<_, PageError>(checked)
    };
    let outcome = match provider.store.db.write(write).await? {
        Checked::Right { .. } => return Ok(Redirect::to(&continue_to).into_response()),
        Checked::Wrong => Outcome::Wrong,
        Checked::Wait(wait) => Outcome::Wait(wait),
    };
    let enrolled = second_step::find_enrolled(&provider, user.user.id).await?;
    render(&provider, &user, &continue_to, &enrolled, outcome).await
}

/// The session has seen a second factor, in a request from `address`.
pub(super) async fn record(
    tx: &mut Tx<'_>,
    session: &Session,
    (method, address): (Methods, IpAddr),
    now: Timestamp,
) -> Result<(), PageError> {
    let session = session.clone().stepped_up(method, now);
    sessions::step_up(tx, &session).await?;
    let event = AuditEvent::new(now, AuditKind::SteppedUp, AuditActor::User(session.user_id));
    let event = event.address(address).detail(json!({ "amr": method.amr() }));
    audit::record(tx, &event).await?;
    Ok(())
}

/// Changing what protects an account takes a proof of a moment ago: a second factor, or the
/// password of whoever has none. `Err` leads to the page that asks for it, and back to `path`.
pub(crate) fn need_fresh(
    user: &SignedInUser,
    enrolled: &Enrolled,
    path: &str,
    now: Timestamp,
) -> Result<(), PageError> {
    let query = form_query(&[("continue", path)]);
    if enrolled.is_empty() {
        let is_fresh = now.since(user.session.auth_time) < FRESH_FOR;
        let to = format!("/sign-in?again=yes&{query}");
        return if is_fresh { Ok(()) } else { Err(PageError::ProofNeeded { to }) };
    }
    let is_fresh = user.session.has_fresh_second_factor(now);
    if is_fresh { Ok(()) } else { Err(PageError::ProofNeeded { to: format!("/step-up?{query}") }) }
}

/// The same for whoever has not looked at what is enrolled.
pub(crate) async fn need_fresh_proof(
    provider: &Provider,
    user: &SignedInUser,
    path: &str,
) -> Result<(), PageError> {
    let enrolled = second_step::find_enrolled(provider, user.user.id).await?;
    need_fresh(user, &enrolled, path, provider.now())
}

/// Where the password is asked anyway: whoever has a second factor has shown it a moment ago.
pub(super) async fn need_second_factor(
    provider: &Provider,
    user: &SignedInUser,
    path: &str,
) -> Result<(), PageError> {
    let enrolled = second_step::find_enrolled(provider, user.user.id).await?;
    match enrolled.is_empty() {
        true => Ok(()),
        false => need_fresh(user, &enrolled, path, provider.now()),
    }
}
