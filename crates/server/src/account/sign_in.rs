//! Signing in with a password. Attempts are counted before they are looked at, and given back when
//! the password was right; a wrong password, an unknown address and a blocked account look and take
//! the same (attack X2). The session is always a new one (attack S1).

use std::net::IpAddr;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authentication::Methods;
use domain::time::Timestamp;
use domain::user::{User, normalize_email};
use http::StatusCode;
use http::header::HeaderMap;
use protocol::params::Params;
use store::{Tx, audit, second_factors, users};

use super::device::Device;
use super::forgotten::too_often;
use super::hand_off;
use super::held::HalfWay;
use super::limits::Limits;
use super::opening::Opening;
use super::proof;
use super::second_step::{self, Outcome, SecondStep};
use super::sign_up;
use crate::actor::{Visitor, VisitorForm};
use crate::address::ClientAddress;
use crate::cookie;
use crate::error::{PageError, duration_words};
use crate::flash::Told;
use crate::oauth::pending;
use crate::pages::views::{Flash, Layout, SignIn};
use crate::provider::{Provider, Shared};
use crate::view;

/// The same words whichever of the two was wrong.
const WRONG: &str = "That e-mail address and password do not match an account here.";

pub async fn show(
    State(provider): State<Shared>,
    visitor: Visitor,
    Told(flash): Told,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let form = Form { flash, ..Form::new(&provider, &params)? };
    if visitor.signed_in.is_some() && !form.reauthenticate {
        return Ok(Redirect::to(&form.continue_to).into_response());
    }
    // A browser whose form led here would not go on: `form-action` holds for all that follows.
    let goes_on = params.one("after")?.is_none();
    if let Some(only) = provider.policy().sign_in.only_provider().filter(|_| goes_on) {
        let travel =
            hand_off::Travel::to_sign_in(&provider, only, &form.continue_to, form.reauthenticate);
        return hand_off::leave(&provider, &visitor, only, travel).await;
    }
    form.render(&provider, &visitor, StatusCode::OK)
}

/// The page once more, for somebody who came back from elsewhere without success.
pub(super) fn show_again(
    provider: &Provider,
    visitor: &Visitor,
    continue_to: &str,
    (status, error): (StatusCode, String),
) -> Result<Response, PageError> {
    let mut form = Form::of(provider, continue_to);
    form.error = Some(error);
    form.render(provider, visitor, status)
}

pub async fn submit(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    VisitorForm { visitor, params }: VisitorForm,
) -> Result<Response, PageError> {
    if !provider.policy().sign_in.password {
        return Err(PageError::Forbidden("Nobody signs in with a password here.".into()));
    }
    let mut form = Form::new(&provider, &params)?;
    let email = params.one("email")?.unwrap_or_default().trim().to_owned();
    let password = params.one("password")?.unwrap_or_default();
    form.email.clone_from(&email);
    let place = provider.passwords.place().map_err(|_| PageError::Busy)?;
    let attempt = Attempt::new(&provider, &email, address, &headers);
    let user = match attempt.begin(&provider).await? {
        Begun::Admitted(user) => user,
        Begun::Wait(wait) => {
            form.wait = Some(duration_words(wait));
            let page = form.render(&provider, &visitor, StatusCode::TOO_MANY_REQUESTS)?;
            return too_often(wait, page);
        }
    };
    let stored = user.as_ref().and_then(|user| user.password.as_ref());
    let is_right = provider.passwords.verify(place, password, stored).await;
    let Some(user) = user.filter(|user| is_right && user.is_active()) else {
        attempt.fail(&provider).await?;
        form.error = Some(WRONG.to_owned());
        return form.render(&provider, &visitor, StatusCode::UNAUTHORIZED);
    };
    let enrolled = second_step::find_enrolled(&provider, user.id).await?;
    if !enrolled.is_empty() {
        // No session before the second factor was given (attack S2).
        let half_way =
            HalfWay::new(&provider, &user, &attempt.email, visitor.csrf(), Methods::PASSWORD);
        let step = SecondStep { form: &form, half_way: &half_way, enrolled: &enrolled };
        return step.render(&provider, &visitor, Outcome::Asked);
    }
    let opening = Opening::new(&provider, &visitor, address, &headers).with(attempt.limits.clone());
    let begun = opening.clone();
    let write = async move |tx: &mut Tx<'_>| {
        // The password was checked while others could write: a session of one that is no longer
        // right, of a blocked account or past a new second factor would outlive the change.
        let now = users::find(tx, user.id).await?.filter(User::is_active);
        let is_so = now.is_some_and(|now| now.password == user.password);
        if !is_so || !second_factors::find_enrolled(tx, user.id).await?.is_empty() {
            return Ok(false);
        }
        begun.write(tx, user.id, Methods::PASSWORD).await?;
        Ok::<_, PageError>(true)
    };
    if !provider.store.db.write(write).await? {
        return Err(PageError::StaleForm);
    }
    let device = opening.device(&provider, &attempt.email);
    Ok(opening.answer(&provider, &device, &form.continue_to))
}

/// The sign-in form and what it says.
pub(super) struct Form {
    pub(super) continue_to: String,
    pub(super) app_name: Option<String>,
    pub(super) form_target: Option<String>,
    reauthenticate: bool,
    pub(super) email: String,
    pub(super) error: Option<String>,
    pub(super) wait: Option<String>,
    flash: Option<Flash>,
}

impl Form {
    pub(super) fn new(provider: &Provider, params: &Params) -> Result<Self, PageError> {
        let form = Self::of(provider, safe_path(params.one("continue")?.unwrap_or("/")));
        let reauthenticate = form.reauthenticate || params.one("again")?.is_some();
        Ok(Self { reauthenticate, ..form })
    }

    pub(super) fn of(provider: &Provider, continue_to: &str) -> Self {
        let asking = pending::describe(provider, continue_to);
        Self {
            reauthenticate: asking.as_ref().is_some_and(|app| app.needs_reauthentication),
            email: asking.as_ref().and_then(|app| app.login_hint.clone()).unwrap_or_default(),
            form_target: asking.as_ref().and_then(|app| app.form_target.clone()),
            app_name: asking.map(|app| app.name),
            continue_to: continue_to.to_owned(),
            error: None,
            wait: None,
            flash: None,
        }
    }

    pub(super) fn render(
        self,
        provider: &Provider,
        visitor: &Visitor,
        status: StatusCode,
    ) -> Result<Response, PageError> {
        let page = SignIn {
            // Never the signed-in layout: the form's token is the visitor's.
            layout: Layout::signed_out(visitor.csrf()).with_flash(self.flash),
            action: "/sign-in".to_owned(),
            password: provider.policy().sign_in.password,
            choices: hand_off::choices(provider, &self.continue_to, self.reauthenticate),
            continue_to: self.continue_to,
            app_name: self.app_name,
            passkey: proof::ask(provider, visitor.csrf(), None)?,
            email: self.email,
            error: self.error,
            wait: self.wait,
            can_sign_up: sign_up::is_open(provider),
        };
        let target = self.form_target.as_deref();
        let mut response = view::page_with_form_action(provider, &page, target)?;
        *response.status_mut() = status;
        Ok(visitor.remember(provider, response))
    }
}

/// Where to go after signing in: a path of ours, or the start page. Anything that a browser could
/// read as another origin (`//host`, `/\host`, tabs and line ends) is not one.
pub(crate) fn safe_path(path: &str) -> &str {
    let is_ours = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours { path } else { "/" }
}

pub(super) struct Attempt {
    /// Normalized.
    pub(super) email: String,
    address: IpAddr,
    /// What this browser says to be, proven for the account or not.
    claimed: Option<Device>,
    pub(super) limits: Limits,
    now: Timestamp,
}

enum Begun {
    Admitted(Option<User>),
    Wait(std::time::Duration),
}

impl Attempt {
    pub(super) fn new(
        provider: &Provider,
        email: &str,
        address: IpAddr,
        headers: &HeaderMap,
    ) -> Self {
        let (email, now) = (normalize_email(email), provider.now());
        let claimed = cookie::read(headers, &provider.cookies.device).and_then(Device::parse);
        let known = claimed.as_ref().filter(|own| own.knows(&provider.keyring(), &email, now));
        let limits = Limits::new(&email, address, known.map(Device::name));
        Self { email, address, claimed, limits, now }
    }

    /// Count this attempt, or say how long to wait.
    async fn begin(&self, provider: &Provider) -> Result<Begun, PageError> {
        let (limits, email, now) = (self.limits.clone(), self.email.clone(), self.now);
        let write = async move |tx: &mut Tx<'_>| match limits.count(tx, now).await? {
            Some(wait) => Ok(Begun::Wait(wait)),
            None => Ok::<_, PageError>(Begun::Admitted(users::find_by_email(tx, &email).await?)),
        };
        provider.store.db.write(write).await
    }

    /// The name of this browser, if it has signed in to the account before.
    pub(super) fn known_device(&self, provider: &Provider) -> Option<&str> {
        let claimed = self.claimed.as_ref();
        let known = claimed.filter(|own| own.knows(&provider.keyring(), &self.email, self.now));
        known.map(Device::name)
    }

    async fn fail(&self, provider: &Provider) -> Result<(), PageError> {
        let event = AuditEvent::new(self.now, AuditKind::SignInFailed, AuditActor::System)
            .address(self.address)
            .detail(serde_json::json!({ "email": self.email }));
        let write = async move |tx: &mut Tx<'_>| {
            audit::record(tx, &event).await?;
            Ok::<_, PageError>(())
        };
        provider.store.db.write(write).await
    }
}

#[cfg(test)]
mod tests {
    use super::safe_path;

    #[test]
    fn only_paths_of_ours_are_followed_after_signing_in() {
        assert_eq!(safe_path("/connected?x=1"), "/connected?x=1");
        let foreign = [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "",
            "x",
        ];
        for path in foreign {
            assert_eq!(safe_path(path), "/", "{path:?}");
        }
    }
}
