//! The second step of signing in, after the password; and signing in with a passkey, which is both
//! steps in one. There is no session before the last step is done (attack S2).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::id::UserId;
use domain::second_factor::Enrolled;
use domain::user::User;
use http::StatusCode;
use http::header::HeaderMap;
use protocol::params::Params;
use store::{Tx, second_factors, used_once, users};

use super::forgotten::too_often;
use super::hand_off;
use super::held::{HELD_FOR, HalfWay};
use super::limits::Limits;
use super::links::seen;
use super::opening::Opening;
use super::proof::{self, Check, Checked, Presented};
use super::sign_in::{Attempt, Form};
use crate::actor::{Visitor, VisitorForm};
use crate::address::ClientAddress;
use crate::error::{PageError, duration_words};
use crate::pages::views::{FormField, Layout, SecondFactor};
use crate::provider::{Provider, Shared};
use crate::view;

/// The same words for every code that is none.
pub(super) const WRONG_CODE: &str =
    "That code is not right, or it was used before. Wait for the next one and type it.";
const WRONG_PASSKEY: &str = "That passkey does not open an account here.";

/// What the user has besides a password.
pub(crate) async fn find_enrolled(
    provider: &Provider,
    user: UserId,
) -> Result<Enrolled, PageError> {
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, PageError>(second_factors::find_enrolled(tx, user).await?)
    };
    provider.store.db.read(read).await
}

/// What came before.
pub(super) enum Outcome {
    Asked,
    Wrong,
    Wait(std::time::Duration),
}

/// The page that asks for the second factor.
pub(super) struct SecondStep<'a> {
    pub(super) form: &'a Form,
    pub(super) half_way: &'a HalfWay,
    pub(super) enrolled: &'a Enrolled,
}

impl SecondStep<'_> {
    pub(super) fn render(
        &self,
        provider: &Provider,
        visitor: &Visitor,
        outcome: Outcome,
    ) -> Result<Response, PageError> {
        let Self { form, half_way, enrolled } = self;
        let field = |name: &str, value: String| FormField { name: name.to_owned(), value };
        let page = SecondFactor {
            layout: Layout::signed_out(visitor.csrf()),
            action: "/sign-in/second-factor".to_owned(),
            hidden: vec![
                field("continue", form.continue_to.clone()),
                field("half_way", half_way.seal(provider)?),
            ],
            app_name: form.app_name.clone(),
            is_sign_in: true,
            takes_code: !enrolled.totps.is_empty() || enrolled.recovery_codes_left > 0,
            has_app: !enrolled.totps.is_empty(),
            passkey: proof::ask(provider, visitor.csrf(), Some((half_way.user, enrolled)))?,
            ..SecondFactor::default()
        };
        answer(provider, page.after(&outcome), form.form_target.as_deref(), outcome)
    }
}

impl SecondFactor {
    pub(super) fn after(self, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Asked => self,
            Outcome::Wrong => Self { error: Some(WRONG_CODE.to_owned()), ..self },
            Outcome::Wait(wait) => Self { wait: Some(duration_words(*wait)), ..self },
        }
    }
}

/// The page with the status of what came before.
pub(super) fn answer(
    provider: &Provider,
    page: SecondFactor,
    form_target: Option<&str>,
    outcome: Outcome,
) -> Result<Response, PageError> {
    let mut response = view::page_with_form_action(provider, &page, form_target)?;
    match outcome {
        Outcome::Asked => {}
        Outcome::Wrong => *response.status_mut() = StatusCode::UNAUTHORIZED,
        Outcome::Wait(wait) => return too_often(wait, response),
    }
    Ok(response)
}

/// `POST /sign-in/second-factor`
pub async fn submit(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    VisitorForm { visitor, params }: VisitorForm,
) -> Result<Response, PageError> {
    let sealed = params.one("half_way")?.unwrap_or_default();
    let half_way = HalfWay::open(&provider, sealed, visitor.csrf())?;
    let form = Form::new(&provider, &params)?;
    let attempt = Attempt::new(&provider, &half_way.email, address, &headers);
    let device = attempt.known_device(&provider);
    let check = Check {
        presented: Arc::new(Presented::read(&provider, &params, visitor.csrf())?),
        user: Some(half_way.user),
        limits: Limits::of_second_factor(half_way.user, address, device),
        seen: seen(address, &headers),
        now: provider.now(),
        provider: provider.clone(),
    };
    let opening = Opening::new(&provider, &visitor, address, &headers).with(attempt.limits.clone());
    let opening = match &half_way.elsewhere {
        Some(elsewhere) => opening.elsewhere(&elsewhere.provider, elsewhere.auth_time),
        None => opening,
    };
    let finish = Finish { half_way: half_way.clone(), check, opening: opening.clone() };
    let outcome = match provider.store.db.write(async move |tx| finish.write(tx).await).await? {
        Finished::Done => {
            let device = opening.device(&provider, &half_way.email);
            return Ok(opening.answer(&provider, &device, &form.continue_to));
        }
        Finished::Over => return Err(PageError::StaleForm),
        Finished::Not(outcome) => outcome,
    };
    let enrolled = find_enrolled(&provider, half_way.user).await?;
    let step = SecondStep { form: &form, half_way: &half_way, enrolled: &enrolled };
    step.render(&provider, &visitor, outcome)
}

enum Finished {
    Done,
    Not(Outcome),
    /// Blocked, another password, or it became a session before.
    Over,
}

#[derive(Clone)]
struct Finish {
    half_way: HalfWay,
    check: Check,
    opening: Opening,
}

impl Finish {
    async fn write(&self, tx: &mut Tx<'_>) -> Result<Finished, PageError> {
        let half_way = &self.half_way;
        let user = users::find(tx, half_way.user).await?.filter(User::is_active);
        let keyring = self.check.provider.keyring();
        let is_so = |user: &User| half_way.is_of_password(&keyring, user.password.as_ref());
        if !user.as_ref().is_some_and(is_so) {
            return Ok(Finished::Over);
        }
        let method = match self.check.run(tx).await? {
            Checked::Right { method, .. } => method,
            Checked::Wrong => return Ok(Finished::Not(Outcome::Wrong)),
            Checked::Wait(wait) => return Ok(Finished::Not(Outcome::Wait(wait))),
        };
        let gone_at = half_way.at.after(HELD_FOR);
        if !used_once::take(tx, "half-way", half_way.id.as_bytes(), gone_at).await? {
            return Ok(Finished::Over);
        }
        if let Some(elsewhere) = &half_way.elsewhere
            && !hand_off::link(tx, elsewhere, half_way.user, self.check.now).await?
        {
            return Ok(Finished::Over);
        }
        let methods = half_way.methods.union(method);
        self.opening.write(tx, half_way.user, methods).await?;
        Ok(Finished::Done)
    }
}

/// `POST /sign-in/passkey`: a passkey is something the user has and, because the device asked for
/// it, something they know or are.
pub async fn with_passkey(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    VisitorForm { visitor, params }: VisitorForm,
) -> Result<Response, PageError> {
    if !provider.policy().sign_in.password {
        return Err(PageError::Forbidden("Nobody signs in with a passkey alone here.".into()));
    }
    let mut form = Form::new(&provider, &params)?;
    let presented = Presented::read(&provider, &params, visitor.csrf())?;
    let check = Check {
        presented: Arc::new(presented),
        user: None,
        limits: Limits::of_passkeys(address),
        seen: seen(address, &headers),
        now: provider.now(),
        provider: provider.clone(),
    };
    let opening = Opening::new(&provider, &visitor, address, &headers);
    let begun = opening.clone();
    let write = async move |tx: &mut Tx<'_>| open_with_passkey(tx, &check, &begun).await;
    match provider.store.db.write(write).await? {
        Ok(user) => {
            let device = opening.device(&provider, &user.email);
            Ok(opening.answer(&provider, &device, &form.continue_to))
        }
        Err(Checked::Wait(wait)) => {
            form.wait = Some(duration_words(wait));
            too_often(wait, form.render(&provider, &visitor, StatusCode::TOO_MANY_REQUESTS)?)
        }
        Err(_) => {
            form.error = Some(WRONG_PASSKEY.to_owned());
            form.render(&provider, &visitor, StatusCode::UNAUTHORIZED)
        }
    }
}

/// The inner `Err` is a refusal, which commits.
async fn open_with_passkey(
    tx: &mut Tx<'_>,
    check: &Check,
    opening: &Opening,
) -> Result<Result<User, Checked>, PageError> {
    let (id, method) = match check.run(tx).await? {
        Checked::Right { user, method } => (user, method),
        refusal => return Ok(Err(refusal)),
    };
    let Some(user) = users::find(tx, id).await?.filter(User::is_active) else {
        return Ok(Err(Checked::Wrong));
    };
    opening.write(tx, id, method).await?;
    Ok(Ok(user))
}

/// A page that wants to know how fresh a proof is names what it wants to do afterwards.
pub(super) fn continue_of(params: &Params) -> Result<String, PageError> {
    Ok(super::sign_in::safe_path(params.one("continue")?.unwrap_or("/")).to_owned())
}
