//! The authorization endpoint: a browser comes from an app and goes back with a code or an error,
//! over sign-in and consent. Nothing is redirected before app and redirect URI are known to be good
//! (attacks R1–R6); no answer is without `state` and `iss` (attack M1).

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use domain::app::App;
use domain::authorization::{Given, NextStep, Visit, Wire};
use domain::consent::Consent;
use domain::grant::Mode;
use domain::mail::Seen;
use domain::policy::Policy;
use domain::seal::Purpose;
use domain::session::Session;
use domain::time::Timestamp;
use http::HeaderMap;
use protocol::authorize::{
    AuthorizeError, AuthorizeErrorCode, AuthorizeRequest, ClientPolicy, DirectError,
    RawAuthorizeRequest,
};
use protocol::authorize_response::{AuthorizeResponse, NamedKey};
use protocol::params::Params;
use protocol::scope::ScopeSet;
use store::{Tx, consents, grants};

use crate::account::second_step::find_enrolled;
use crate::actor::{SignedInUser, Visitor};
use crate::address::{ClientAddress, user_agent};
use crate::error::PageError;
use crate::form;
use crate::noted::Noted;
use crate::oauth::consent_page;
use crate::oauth::deliver::{deliver, form_target};
use crate::oauth::key_consent;
use crate::oauth::pending::{Pending, Reply, Stage};
use crate::oauth::user_limits::find_full;
use crate::oauth::{test_mode, user_cap};
use crate::provider::{Provider, Shared};
use crate::user_codes;

/// Scopes travel in every token; longer lists would not fit one (1.5 KB of content).
const SCOPES_BYTES_MAX: usize = 1200;
/// What an error page repeats of a request, in characters.
const QUOTED_MAX: usize = 200;

/// `GET /oauth/authorize`
pub async fn start(
    State(provider): State<Shared>,
    visitor: Visitor,
    noted: Noted,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| direct(&error.into(), &RawAuthorizeRequest::default()))?;
    let (pending, app) = receive(&provider, &params, None).await?;
    noted.set_app(app.id);
    step(&provider, &visitor, pending, &app).await
}

/// A request that came to a dialect's endpoint, in the standard's words. It goes the same way.
pub(crate) async fn start_in_dialect(
    provider: &Provider,
    visitor: &Visitor,
    params: &Params,
    dialect: &str,
) -> Result<Response, PageError> {
    let (pending, app) = receive(provider, params, Some(dialect)).await?;
    step(provider, visitor, pending, &app).await
}

/// `POST /oauth/authorize` (OpenID Connect Core §3.1.2.1). A browser sends our cookies with no form
/// of another site, so it is sent on to look at the request with them.
pub async fn start_by_form(
    State(provider): State<Shared>,
    request: Request,
) -> Result<Response, PageError> {
    let (parts, body) = request.into_parts();
    let params = form::read(&parts.headers, body).await?;
    let (pending, _) = receive(&provider, &params, None).await?;
    Ok(Redirect::to(&pending.continue_path(&provider)?).into_response())
}

/// `GET /oauth/authorize/continue`: the user has signed in, or shown a second factor.
pub async fn proceed(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    visitor: Visitor,
    noted: Noted,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params =
        Params::parse(query.unwrap_or_default().as_bytes()).map_err(|_| PageError::RequestOver)?;
    let sealed = params.one("request")?.ok_or(PageError::RequestOver)?;
    let pending = Pending::open(&provider, sealed)?;
    if pending.reply != Reply::Redirect {
        return user_codes::proceed(&provider, &visitor, pending).await;
    }
    if let Stage::SecondFactor { .. } = pending.stage {
        let seen = Seen { address, user_agent: user_agent(&headers) };
        return key_consent::finish(&provider, &visitor, seen, &pending).await;
    }
    let app = find_app(&provider, &pending.raw, pending.dialect.as_deref()).await?;
    noted.set_app(app.id);
    step(&provider, &visitor, pending, &app).await
}

/// What came in, and the app that it says it comes from.
async fn receive(
    provider: &Provider,
    params: &Params,
    dialect: Option<&str>,
) -> Result<(Pending, Arc<App>), PageError> {
    let raw = RawAuthorizeRequest::decode(params).map_err(|error| {
        let client_id = params.all("client_id").next().unwrap_or_default().to_owned();
        direct(&error, &RawAuthorizeRequest { client_id, ..RawAuthorizeRequest::default() })
    })?;
    let app = find_app(provider, &raw, dialect).await?;
    let pending = Pending::new(raw, &app, &*provider.entropy, provider.now());
    Ok((Pending { dialect: dialect.map(str::to_owned), ..pending }, app))
}

/// The app of a request: registered for this wire format, and live (attack B1).
pub(crate) async fn find_app(
    provider: &Provider,
    raw: &RawAuthorizeRequest,
    dialect: Option<&str>,
) -> Result<Arc<App>, PageError> {
    let client = provider.store.client(&raw.client_id).await?;
    let app = client.map(|client| client.app).filter(|app| app.speaks(dialect));
    let app = app.ok_or_else(|| direct(&DirectError::UnknownClient, raw))?;
    if !app.is_live() {
        return Err(PageError::Authorize {
            what_happened: format!("{} cannot be used here at the moment.", app.name),
            for_developers: format!("unauthorized_client: {} is not live.", app.client_id),
        });
    }
    Ok(app)
}

/// What the request means for this app as it stands now.
pub(super) fn understand(
    Pending { raw, dialect, .. }: &Pending,
    app: &App,
    policy: &Policy,
    now: Timestamp,
) -> Result<AuthorizeRequest, AuthorizeError> {
    let mut allowed_scopes = app.approved_at(now).intersection(&policy.scope_names());
    // A partner key is for the real API, whoever made it.
    if let (Mode::Test, Some(terms)) = (app.mode, &policy.partner_keys) {
        allowed_scopes.remove(terms.create.as_str());
    }
    let mut default_scopes = app.default_scopes(now).intersection(&allowed_scopes);
    if let Some(terms) =
        policy.partner_keys.as_ref().filter(|_| !asks_for_key(raw, dialect, policy))
    {
        default_scopes.remove(terms.create.as_str());
    }
    let known_resources: Vec<String> =
        policy.resources.iter().map(|resource| resource.identifier.clone()).collect();
    let relaxed = policy.relaxed(dialect.as_deref());
    let console = test_mode::console_uri(raw, app, &policy.issuer);
    raw.validate(&ClientPolicy {
        redirect_uris: console.as_ref().map_or(&*app.redirect_uris, std::slice::from_ref),
        allowed_scopes: &allowed_scopes,
        default_scopes: &default_scopes,
        require_pkce: !(relaxed.pkce && app.kind.is_confidential()),
        any_loopback_port: relaxed.loopback_port,
        may_use_code: app.kind.has_redirects(),
        known_resources: &known_resources,
    })
}

/// Whether a request that names no scopes is for a key too. In the standard it never is: a key is
/// asked for by name.
fn asks_for_key(raw: &RawAuthorizeRequest, dialect: &Option<String>, policy: &Policy) -> bool {
    let dialect = dialect.as_deref().and_then(|name| policy.dialect(name));
    let keys = dialect.and_then(|dialect| dialect.partner_keys.as_ref());
    keys.and_then(|keys| keys.asked_by.as_deref()).is_some_and(|asked_by| raw.has(asked_by))
}

/// One step on the way: to sign-in, to the consent page, or back to the app.
async fn step(
    provider: &Provider,
    visitor: &Visitor,
    pending: Pending,
    app: &App,
) -> Result<Response, PageError> {
    let may_answer = test_mode::may_answer(provider, visitor.signed_in.as_ref(), app).await?;
    let mut request = match understand(&pending, app, &provider.policy(), provider.now()) {
        Ok(request) => request,
        Err(AuthorizeError::Direct(error)) => return Err(direct(&error, &pending.raw)),
        Err(AuthorizeError::Redirect(_)) if !may_answer => {
            return Err(test_mode::only_developers(app));
        }
        Err(AuthorizeError::Redirect(error)) => {
            let issuer = pending.issuer(provider);
            return deliver(provider, &app.name, &error.into_response(issuer.as_deref()));
        }
    };
    let full = match &visitor.signed_in {
        Some(user) => find_full(provider, app, user.user.id, &request.scopes).await?,
        None => ScopeSet::new(),
    };
    request.scopes = request.scopes.difference(&full);
    let refuse = |code, description| {
        if !may_answer {
            return Err(test_mode::only_developers(app));
        }
        let answer = request.refused(code, description, pending.issuer(provider).as_deref());
        deliver(provider, &app.name, &answer)
    };
    if pending.stage == Stage::Declined {
        // RFC 9470 §5, and OpenID Connect's error of the same name.
        let code = AuthorizeErrorCode::UnmetAuthenticationRequirements;
        return refuse(code, "the user did not give the second factor that this takes");
    }
    if request.scopes.is_empty() && !full.is_empty() {
        let description = "the app has as many users as it is approved for";
        return refuse(AuthorizeErrorCode::AccessDenied, description);
    }
    if request.scopes.to_string().len() > SCOPES_BYTES_MAX {
        return refuse(AuthorizeErrorCode::InvalidScope, "too many scopes in one request");
    }
    // Only the consent form goes on from the consent page.
    let sign_in = pending.sign_in_asked().ok_or(PageError::RequestOver)?;
    let (started_at, dialect) = (pending.started_at, pending.dialect.clone());
    let dialect = dialect.as_deref();
    let session = visitor.signed_in.as_ref().map(|user| &user.session);
    let consent = find_consent(provider, session, app).await?;
    let wire = Wire {
        dialect,
        relaxed: provider.policy().relaxed(dialect),
        has_grant: has_grant(provider, dialect, consent.as_ref()).await?,
    };
    let policy = provider.policy();
    let makes_key = key_consent::terms_for(&policy, &request.scopes).is_some();
    // A key takes a second factor after the consent, and one is enough.
    let asks_second_factor =
        !makes_key && asks_second_factor(provider, &request.scopes, session).await?;
    let visit = Visit { app, request: &request, started_at, sign_in, asks_second_factor, wire };
    // What a key may do is picked anew for each: nothing that is remembered says it.
    let remembered = consent.as_ref().filter(|_| !makes_key);
    match visit.next_step(session, remembered, provider.now()) {
        NextStep::SignIn => {
            let refused_session = session.map(|session| session.id);
            let form_target = form_target(&request.redirect_uri);
            let pending = Pending { form_target, ..pending.at(Stage::SignIn { refused_session }) };
            Ok(Redirect::to(&pending.sign_in_path(provider)?).into_response())
        }
        // The stage stays: what the user has signed in for still counts afterwards.
        NextStep::StepUp => {
            let form_target = form_target(&request.redirect_uri);
            let pending = Pending { form_target, ..pending };
            Ok(Redirect::to(&pending.step_up_path(provider)?).into_response())
        }
        NextStep::Consent => {
            let user = visitor.signed_in.as_ref().ok_or(PageError::RequestOver)?;
            test_mode::admit(provider, user, app).await?;
            ask_user(provider, user, pending, (&visit, &full), consent.as_ref()).await
        }
        NextStep::Code(scopes) => {
            let (Some(session), Some(consent)) = (session, consent) else {
                return Err(PageError::RequestOver);
            };
            let user = visitor.signed_in.as_ref().ok_or(PageError::RequestOver)?;
            test_mode::admit(provider, user, app).await?;
            refuse_answered(provider, &pending).await?;
            send_code(provider, &pending, &visit, (session, &consent), scopes, None)
        }
        NextStep::Refuse { code, description } => refuse(code, description),
    }
}

/// The consent page, if there is anything that the user could decide.
async fn ask_user(
    provider: &Provider,
    user: &SignedInUser,
    pending: Pending,
    (visit, full): (&Visit<'_>, &ScopeSet),
    remembered: Option<&Consent>,
) -> Result<Response, PageError> {
    if let Some(max) = user_cap::users_max(provider, visit.app) {
        let (app, before) = (visit.app.id, remembered.cloned());
        let read = async move |tx: &mut Tx<'_>| {
            user_cap::is_full(tx, app, Some(max), before.as_ref()).await
        };
        if provider.store.db.read(read).await? {
            return Err(user_cap::refusal(visit.app));
        }
    }
    let request = visit.request;
    let parameter = key_parameter(&pending, &provider.policy());
    let obstacle = key_consent::find_obstacle(provider, user, visit, &parameter).await?;
    if let Some((code, description)) = obstacle {
        let answer = request.refused(code, description, pending.issuer(provider).as_deref());
        return deliver(provider, &visit.app.name, &answer);
    }
    let pending = Pending { form_target: form_target(&request.redirect_uri), ..pending };
    let destination = consent_page::destination(&request.redirect_uri);
    let asked = consent_page::Asked { question: visit.question(), full, destination };
    consent_page::show(provider, user, pending, asked, remembered)
}

/// Does the decision about `scopes` take a second factor of the session's user?
pub(super) async fn asks_second_factor(
    provider: &Provider,
    scopes: &ScopeSet,
    session: Option<&Session>,
) -> Result<bool, PageError> {
    let policy = provider.policy();
    // Who has none is asked only where everyone is, so most requests need no look.
    let Some(session) = session.filter(|_| policy.asks_second_factor(scopes, true)) else {
        return Ok(false);
    };
    let enrolled = find_enrolled(provider, session.user_id).await?;
    Ok(policy.asks_second_factor(scopes, !enrolled.is_empty()))
}

/// The page that asks for a second factor before the consent page of a code, if it takes one.
pub(crate) async fn step_up_before(
    provider: &Provider,
    scopes: &ScopeSet,
    session: &Session,
    pending: &Pending,
) -> Result<Option<Response>, PageError> {
    let asks = asks_second_factor(provider, scopes, Some(session)).await?;
    if !asks || session.has_fresh_second_factor(provider.now()) {
        return Ok(None);
    }
    let pending = pending.clone().at(Stage::StepUp { user: session.user_id });
    Ok(Some(Redirect::to(&pending.step_up_path(provider)?).into_response()))
}

pub(crate) async fn find_consent(
    provider: &Provider,
    session: Option<&Session>,
    app: &App,
) -> Result<Option<Consent>, PageError> {
    let Some(session) = session else { return Ok(None) };
    let (user, app, mode) = (session.user_id, app.id, app.mode);
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, PageError>(consents::find_of(tx, user, app, mode).await?)
    };
    provider.store.db.read(read).await
}

/// Whether `consent` stands behind a live grant that was made in this dialect.
async fn has_grant(
    provider: &Provider,
    dialect: Option<&str>,
    consent: Option<&Consent>,
) -> Result<bool, PageError> {
    let (Some(dialect), Some(consent)) = (dialect, consent) else { return Ok(false) };
    let (id, now) = (consent.id, provider.now());
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, PageError>(grants::list_live_of_consent(tx, id, now).await?)
    };
    let live = provider.store.db.read(read).await?;
    Ok(live.iter().any(|grant| grant.dialect.as_deref() == Some(dialect)))
}

/// A request whose grant exists is over: going back in the browser must not yield a code whose use
/// would look like a replay.
async fn refuse_answered(provider: &Provider, pending: &Pending) -> Result<(), PageError> {
    let id = pending.grant_id(&provider.keyring());
    let read = async move |tx: &mut Tx<'_>| Ok::<_, PageError>(grants::find(tx, id).await?);
    match provider.store.db.read(read).await? {
        None => Ok(()),
        Some(_) => Err(PageError::RequestOver),
    }
}

/// Back to the app with a code for `scopes`, which the consent covers.
pub(super) fn send_code(
    provider: &Provider,
    pending: &Pending,
    visit: &Visit<'_>,
    (session, consent): (&Session, &Consent),
    scopes: ScopeSet,
    public_key: Option<String>,
) -> Result<Response, PageError> {
    let keyring = provider.keyring();
    let ids = (pending.code_id, pending.grant_id(&keyring));
    let given =
        Given { scopes, resources: resources(&visit.request.resources, &provider.policy()) };
    let code = visit.code(ids, session, consent, given, provider.now());
    let sealed = keyring
        .seal(Purpose::Code, &code, &*provider.entropy)
        .ok_or_else(|| PageError::Internal("a code could not be sealed".to_owned()))?;
    let answer = visit.request.granted(sealed, pending.issuer(provider).as_deref());
    let name = |public| NamedKey { parameter: key_parameter(pending, &provider.policy()), public };
    let answer = AuthorizeResponse { partner_key: public_key.map(name), ..answer };
    deliver(provider, &visit.app.name, &answer)
}

/// What the redirect calls the public key.
fn key_parameter(pending: &Pending, policy: &Policy) -> String {
    let dialect = pending.dialect.as_deref().and_then(|name| policy.dialect(name));
    let keys = dialect.and_then(|dialect| dialect.partner_keys.as_ref());
    keys.map_or_else(|| "partner_key".to_owned(), |keys| keys.redirect_parameter.clone())
}

/// What a request without `resource` means: the operator's first one (RFC 8707 §2).
pub(crate) fn resources(asked: &[String], policy: &Policy) -> Vec<String> {
    match asked {
        [] => policy.resources.first().map(|first| first.identifier.clone()).into_iter().collect(),
        asked => asked.to_vec(),
    }
}

/// The error page of a request that nothing may be redirected for.
pub(crate) fn direct(error: &DirectError, raw: &RawAuthorizeRequest) -> PageError {
    let quoted = |text: &str| text.chars().take(QUOTED_MAX).collect::<String>();
    let client_id = quoted(&raw.client_id);
    let (what_happened, for_developers) = match error {
        DirectError::UnknownClient => (
            "The app that sent you here is not registered with us. We stopped, because a stranger \
             could be behind it.",
            format!("invalid_request: there is no client {client_id}."),
        ),
        DirectError::RedirectUriMismatch => (
            "The app asked us to send you to an address that it has not registered. We stopped, \
             because a stranger could be behind it.",
            format!(
                "invalid_request: redirect_uri {} is not registered for client {client_id}. \
                 Redirect URIs are compared exactly.",
                quoted(raw.redirect_uri.as_deref().unwrap_or_default()),
            ),
        ),
        _ => (
            "The app sent you here with a request that we cannot read.",
            format!("invalid_request: {error}."),
        ),
    };
    PageError::Authorize { what_happened: what_happened.to_owned(), for_developers }
}
