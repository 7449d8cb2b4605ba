//! Signing in with a password. Attempts are counted before they are looked at, and given back when
//! the password was right; a wrong password, an unknown address and a blocked account look and take
//! the same (attack X2). The session is always a new one (attack S1).

use std::net::IpAddr;

use axum::extract::{RawQuery, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::entropy::random_bytes;
use domain::id::SessionId;
use domain::session::{SESSION_LIFETIME_MAX, Session, session_id_of};
use domain::time::Timestamp;
use domain::user::{User, normalize_email};
use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER, SET_COOKIE};
use protocol::params::Params;
use store::{Tx, audit, sessions, users};

use super::device::{Device, REMEMBERED_FOR};
use super::hand_off;
use super::limits::Limits;
use crate::actor::{Visitor, VisitorForm};
use crate::address::{ClientAddress, user_agent};
use crate::cookie;
use crate::error::{PageError, duration_words};
use crate::oauth::pending;
use crate::pages::views::{Layout, SignIn};
use crate::provider::{Provider, Shared};
use crate::view;

/// The same words whichever of the two was wrong.
const WRONG: &str = "That e-mail address and password do not match an account here.";

pub async fn show(
    State(provider): State<Shared>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let form = Form::new(&provider, &params)?;
    if visitor.signed_in.is_some() && !form.reauthenticate {
        return Ok(Redirect::to(&form.continue_to).into_response());
    }
    // A browser whose form led here would not go on: `form-action` holds for all that follows.
    let goes_on = params.one("after")?.is_none();
    if let Some(only) = provider.policy().sign_in.only_provider().filter(|_| goes_on) {
        return hand_off::leave(&provider, &visitor, only, &form.continue_to).await;
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
            let seconds = wait.as_millis().div_ceil(1000).max(1).to_string();
            return Ok((AppendHeaders([(RETRY_AFTER, seconds)]), page).into_response());
        }
    };
    let stored = user.as_ref().and_then(|user| user.password.as_ref());
    let is_right = provider.passwords.verify(place, password, stored).await;
    let Some(user) = user.filter(|user| is_right && user.is_active()) else {
        attempt.fail(&provider).await?;
        form.error = Some(WRONG.to_owned());
        return form.render(&provider, &visitor, StatusCode::UNAUTHORIZED);
    };
    let old = visitor.signed_in.as_ref().map(|signed_in| signed_in.session.id);
    let secret = attempt.succeed(&provider, user, old, user_agent(&headers)).await?;
    let names = &provider.cookies;
    let device = attempt.device(&provider).to_cookie();
    let cookies =
        [names.set(&names.session, &secret), names.set_for(&names.device, &device, REMEMBERED_FOR)];
    let cookies = cookies.into_iter().flatten().map(|value| (SET_COOKIE, value));
    Ok((AppendHeaders(cookies), Redirect::to(&form.continue_to)).into_response())
}

/// The sign-in form and what it says.
struct Form {
    continue_to: String,
    app_name: Option<String>,
    form_target: Option<String>,
    reauthenticate: bool,
    email: String,
    error: Option<String>,
    wait: Option<String>,
}

impl Form {
    fn new(provider: &Provider, params: &Params) -> Result<Self, PageError> {
        Ok(Self::of(provider, safe_path(params.one("continue")?.unwrap_or("/"))))
    }

    fn of(provider: &Provider, continue_to: &str) -> Self {
        let asking = pending::describe(provider, continue_to);
        Self {
            reauthenticate: asking.as_ref().is_some_and(|app| app.needs_reauthentication),
            email: asking.as_ref().and_then(|app| app.login_hint.clone()).unwrap_or_default(),
            form_target: asking.as_ref().and_then(|app| app.form_target.clone()),
            app_name: asking.map(|app| app.name),
            continue_to: continue_to.to_owned(),
            error: None,
            wait: None,
        }
    }

    fn render(
        self,
        provider: &Provider,
        visitor: &Visitor,
        status: StatusCode,
    ) -> Result<Response, PageError> {
        let page = SignIn {
            // Never the signed-in layout: the form's token is the visitor's.
            layout: Layout::signed_out(visitor.csrf()),
            action: "/sign-in".to_owned(),
            password: provider.policy().sign_in.password,
            choices: hand_off::choices(provider, &self.continue_to),
            continue_to: self.continue_to,
            app_name: self.app_name,
            email: self.email,
            error: self.error,
            wait: self.wait,
        };
        let target = self.form_target.as_deref();
        let mut response = view::page_with_form_action(provider, &page, target)?;
        *response.status_mut() = status;
        Ok(visitor.remember(provider, response))
    }
}

/// Where to go after signing in: a path of ours, or the start page. Anything that a browser could
/// read as another origin (`//host`, `/\host`, tabs and line ends) is not one.
pub(super) fn safe_path(path: &str) -> &str {
    let is_ours = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours { path } else { "/" }
}

struct Attempt {
    /// Normalized.
    email: String,
    address: IpAddr,
    /// What this browser says to be, proven for the account or not.
    claimed: Option<Device>,
    limits: Limits,
    now: Timestamp,
}

enum Begun {
    Admitted(Option<User>),
    Wait(std::time::Duration),
}

impl Attempt {
    fn new(provider: &Provider, email: &str, address: IpAddr, headers: &HeaderMap) -> Self {
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

    /// This browser, as one that has signed in to the account.
    fn device(&self, provider: &Provider) -> Device {
        let device = self.claimed.clone().unwrap_or_else(|| Device::random(&*provider.entropy));
        device.remember(&provider.keyring(), &self.email, self.now)
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

    /// Store a new session and give its cookie's value.
    async fn succeed(
        &self,
        provider: &Provider,
        user: User,
        old: Option<SessionId>,
        user_agent: String,
    ) -> Result<String, PageError> {
        let secret = URL_SAFE_NO_PAD.encode(random_bytes::<32>(&*provider.entropy));
        let session = Session {
            id: session_id_of(secret.as_bytes()),
            user_id: user.id,
            auth_time: self.now,
            created_at: self.now,
            last_seen_at: self.now,
            expires_at: self.now.after(SESSION_LIFETIME_MAX),
            address: self.address,
            user_agent,
        };
        let event = AuditEvent::new(self.now, AuditKind::SignedIn, AuditActor::User(user.id))
            .address(self.address);
        let limits = self.limits.clone();
        let write = async move |tx: &mut Tx<'_>| {
            if let Some(old) = old {
                sessions::delete(tx, old).await?;
            }
            sessions::insert(tx, &session).await?;
            limits.give_back(tx).await?;
            audit::record(tx, &event).await?;
            Ok::<_, PageError>(())
        };
        provider.store.db.write(write).await?;
        Ok(secret)
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
