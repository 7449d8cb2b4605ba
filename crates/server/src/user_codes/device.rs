//! `/device`: the user types the code that a device shows, says whether it is theirs, and decides
//! on the consent page. A link with the code in it fills in the field and no more (attack D1).

use std::net::IpAddr;

use axum::extract::{RawQuery, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authorization::Question;
use domain::id::CodeId;
use domain::time::Timestamp;
use domain::user_code::{AskingDevice, UserCode, UserCodeText};
use http::StatusCode;
use http::header::RETRY_AFTER;
use protocol::authorize::RawAuthorizeRequest;
use protocol::params::Params;
use serde_json::json;
use store::{DbError, Tx, apps, audit, used_once, user_codes};

use crate::account::limits::Limits;
use crate::actor::{SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::display;
use crate::error::{PageError, duration_words};
use crate::oauth::authorize::{find_app, find_consent, step_up_before};
use crate::oauth::consent_page;
use crate::oauth::pending::{Pending, REQUEST_LIFETIME, Reply, Stage};
use crate::oauth::test_mode;
use crate::oauth::user_limits::{FULL, find_full};
use crate::pages::views;
use crate::provider::{Provider, Shared};
use crate::view;

/// The same words for every code that is none.
const WRONG: &str = "That is not a code that a device shows right now. Codes are good for ten \
                     minutes; compare the letters, or let the device show a new one.";
/// Of a code that is repeated in the field, in characters.
const TYPED_MAX: usize = 20;

/// `GET /device`
pub async fn show(
    State(provider): State<Shared>,
    user: SignedInUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let typed = params.one("user_code")?.unwrap_or_default();
    // Only what reads as a code is put into the field: a link must not put words there.
    let code = UserCodeText::parse(typed).map(|code| code.to_string()).unwrap_or_default();
    view::page(&provider, &entry(&user, code))
}

fn entry(user: &SignedInUser, code: String) -> views::EnterCode {
    views::EnterCode { layout: user.layout(), code, error: None, wait: None }
}

/// `POST /device`: a code was typed.
pub async fn enter(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    let typed = params.one("user_code")?.unwrap_or_default();
    let attempt = Attempt {
        mac: UserCodeText::parse(typed).map(|text| text.mac(&provider.keyring())),
        limits: Limits::of_user_with_codes(user.user.id, address),
        user: user.user.id,
        address,
        now: provider.now(),
    };
    let look = async move |tx: &mut Tx<'_>| attempt.look(tx).await;
    let shown: String = typed.chars().take(TYPED_MAX).collect();
    match provider.store.db.write(look).await? {
        Looked::Found(code, app) => ask(&provider, &user, &code, &app).await,
        Looked::Wrong => {
            let page = views::EnterCode { error: Some(WRONG.to_owned()), ..entry(&user, shown) };
            view::page_again(&provider, &page)
        }
        Looked::Wait(wait) => {
            let wait_words = Some(duration_words(wait));
            let page = views::EnterCode { wait: wait_words, ..entry(&user, shown) };
            let mut response = view::page(&provider, &page)?;
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            let seconds = wait.as_millis().div_ceil(1000).max(1).to_string();
            Ok((AppendHeaders([(RETRY_AFTER, seconds)]), response).into_response())
        }
    }
}

enum Looked {
    Found(Box<UserCode>, Box<App>),
    Wrong,
    Wait(std::time::Duration),
}

#[derive(Clone)]
struct Attempt {
    mac: Option<[u8; 16]>,
    limits: Limits,
    user: domain::id::UserId,
    address: IpAddr,
    now: Timestamp,
}

impl Attempt {
    /// Counted before it is looked at; a good code gives back its own attempt (attack X2).
    async fn look(&self, tx: &mut Tx<'_>) -> Result<Looked, DbError> {
        if let Some(wait) = self.limits.count(tx, self.now).await? {
            return Ok(Looked::Wait(wait));
        }
        let found = match &self.mac {
            Some(mac) => user_codes::find_by_user_code(tx, mac).await?,
            None => None,
        };
        // A code that a dialect's user was shown has no device (attack B1).
        let waiting = found.filter(|code| code.is_waiting(self.now) && code.device.is_some());
        let app = match &waiting {
            Some(code) => {
                apps::find_in_mode(tx, code.app_id, code.mode).await?.filter(App::is_live)
            }
            None => None,
        };
        let event = |kind| {
            AuditEvent::new(self.now, kind, AuditActor::User(self.user)).address(self.address)
        };
        let (Some(code), Some(app)) = (waiting, app) else {
            audit::record(tx, &event(AuditKind::UserCodeWrong)).await?;
            return Ok(Looked::Wrong);
        };
        self.limits.give_back(tx).await?;
        let device = code.device.as_ref().map(|device| device.address);
        let entered = event(AuditKind::UserCodeEntered).app(app.id);
        audit::record(tx, &entered.detail(json!({ "device": device }))).await?;
        Ok(Looked::Found(Box::new(code), Box::new(app)))
    }
}

/// The page that asks whether the user started this.
async fn ask(
    provider: &Provider,
    user: &SignedInUser,
    code: &UserCode,
    app: &App,
) -> Result<Response, PageError> {
    let raw = RawAuthorizeRequest {
        client_id: app.client_id.clone(),
        scope: Some(code.asked.to_string()),
        ..RawAuthorizeRequest::default()
    };
    let pending = Pending::new(raw, app, &*provider.entropy, provider.now());
    let pending = Pending { code_id: code.id, reply: Reply::Device, ..pending };
    ask_about(provider, user, pending, code, app).await
}

/// The same after the user has signed in as somebody else.
pub(super) async fn ask_again(
    provider: &Provider,
    user: &SignedInUser,
    pending: Pending,
) -> Result<Response, PageError> {
    let code = find_waiting(provider, pending.code_id).await?;
    let app = find_app(provider, &pending.raw, pending.dialect.as_deref()).await?;
    ask_about(provider, user, pending, &code, &app).await
}

async fn ask_about(
    provider: &Provider,
    user: &SignedInUser,
    pending: Pending,
    code: &UserCode,
    app: &App,
) -> Result<Response, PageError> {
    test_mode::admit(provider, user, app).await?;
    let now = provider.now();
    let AskingDevice { address, user_agent, .. } =
        code.device.as_ref().ok_or(PageError::RequestOver)?;
    let session = user.session.id;
    let switch = pending.clone().at(Stage::SignIn { refused_session: Some(session) });
    let page = views::ConfirmDevice {
        layout: user.layout(),
        request: pending.at(Stage::Device { session }).seal(provider)?,
        app: consent_page::describe(app, now),
        code: UserCodeText::of(&provider.keyring(), code.id).to_string(),
        address: address.to_string(),
        user_agent: Some(user_agent.clone()).filter(|text| !text.is_empty()),
        asked_at: display::moment(now, code.created_at),
        account: user.account(),
        switch_url: switch.sign_in_path(provider)?,
    };
    view::page(provider, &page)
}

/// `POST /device/confirm`: it is the user's own device, or not.
pub async fn confirm(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    let sealed = params.one("request")?.ok_or(PageError::RequestOver)?;
    let pending = Pending::open(&provider, sealed)?;
    // No stage can be skipped, and nobody answers for somebody else (attack S5).
    if pending.stage != (Stage::Device { session: user.session.id }) {
        return Err(PageError::StaleForm);
    }
    let app = find_app(&provider, &pending.raw, pending.dialect.as_deref()).await?;
    match params.one("decision")? {
        Some("mine") => ask_consent(&provider, &user, pending).await,
        Some("not-mine") => {
            let denial =
                Denial { pending, app: app.id, user: user.user.id, address, now: provider.now() };
            let deny = async move |tx: &mut Tx<'_>| denial.write(tx).await;
            match provider.store.db.write(deny).await? {
                true => super::done(&provider, &user, &app, false),
                false => Err(PageError::RequestOver),
            }
        }
        _ => Err(PageError::BadRequest("Say whether you started this.".into())),
    }
}

/// On to the consent page, whatever was allowed before: anybody can start a device (attack D1).
pub(super) async fn ask_consent(
    provider: &Provider,
    user: &SignedInUser,
    pending: Pending,
) -> Result<Response, PageError> {
    let code = find_waiting(provider, pending.code_id).await?;
    let app = &*find_app(provider, &pending.raw, pending.dialect.as_deref()).await?;
    let device = code.device.as_ref().ok_or(PageError::RequestOver)?;
    test_mode::admit(provider, user, app).await?;
    let scopes = pending.asked_scopes(app, &provider.policy(), provider.now())?;
    let full = find_full(provider, app, user.user.id, &scopes).await?;
    let scopes = scopes.difference(&full);
    if scopes.is_empty() {
        return Err(PageError::Conflict(FULL.into()));
    }
    if let Some(step_up) = step_up_before(provider, &scopes, &user.session, &pending).await? {
        return Ok(step_up);
    }
    let question = Question { app, scopes: &scopes, dialect: None };
    let destination = views::Destination {
        kind: views::DestinationKind::Device,
        place: device.address.to_string(),
    };
    let remembered = find_consent(provider, Some(&user.session), app).await?;
    let asked = consent_page::Asked { question, full: &full, destination };
    consent_page::show(provider, user, pending, asked, remembered.as_ref())
}

async fn find_waiting(provider: &Provider, id: CodeId) -> Result<UserCode, PageError> {
    let read = async move |tx: &mut Tx<'_>| Ok::<_, PageError>(user_codes::find(tx, id).await?);
    let found = provider.store.db.read(read).await?;
    found.filter(|code| code.is_waiting(provider.now())).ok_or(PageError::RequestOver)
}

#[derive(Clone)]
struct Denial {
    pending: Pending,
    app: domain::id::AppId,
    user: domain::id::UserId,
    address: IpAddr,
    now: Timestamp,
}

impl Denial {
    /// `false`: it was decided before, otherwise.
    async fn write(&self, tx: &mut Tx<'_>) -> Result<bool, DbError> {
        let id = self.pending.code_id;
        let gone_at = self.pending.started_at.after(REQUEST_LIFETIME);
        if !user_codes::deny(tx, id).await? {
            let found = user_codes::find(tx, id).await?;
            let denied = domain::user_code::UserCodeStatus::Denied;
            return Ok(found.is_some_and(|code| code.status == denied));
        }
        // A consent page of it that is open in another window has nothing to decide any more.
        used_once::take(tx, "consent", id.as_bytes(), gone_at).await?;
        let event =
            AuditEvent::new(self.now, AuditKind::ConsentDenied, AuditActor::User(self.user));
        let event = event.app(self.app).address(self.address);
        audit::record(tx, &event.detail(json!({ "device": "not theirs" }))).await?;
        Ok(true)
    }
}
