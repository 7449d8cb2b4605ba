//! Who may do a thing, as a type. A handler takes an actor; without one there is no access
//! (ARCHITECTURE.md, invariant 4). Actors of the token endpoints are in `oauth::client`.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::response::{AppendHeaders, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use domain::app::App;
use domain::entropy::random_bytes;
use domain::id::{AppId, TeamId, UserId};
use domain::policy::Developers;
use domain::session::{Session, browser_mark, session_id_of};
use domain::team::{Team, TeamError, TeamRole};
use domain::user::{Role, User};
use http::Method;
use http::header::SET_COOKIE;
use http::request::Parts;
use protocol::params::Params;
use store::{Tx, apps, sessions, teams, users};

use crate::error::PageError;
use crate::pages::views::{Account, Layout, Roles};
use crate::provider::{Provider, Shared};
use crate::{cookie, csrf, form};

/// How exactly a session remembers when it was last used: not a write per request.
const SEEN_EVERY: Duration = Duration::from_secs(5 * 60);

/// A user with a live session.
#[derive(Clone, Debug)]
pub struct SignedInUser {
    pub user: User,
    pub session: Session,
    /// What this session's forms carry.
    pub csrf: String,
    /// Whether the operator's policy has a place for this user's apps.
    pub is_developer: bool,
}

impl SignedInUser {
    pub fn account(&self) -> Account {
        Account { name: self.user.name.clone(), email: self.user.email.clone() }
    }

    pub fn layout(&self) -> Layout {
        let roles =
            Roles { developer: self.is_developer, staff: self.user.has_role(Role::Reviewer) };
        Layout::signed_in(self.account(), roles, self.csrf.clone())
    }

    /// The user of the session cookie, if it is live and the account is not blocked.
    pub async fn find(provider: &Provider, parts: &Parts) -> Result<Option<Self>, PageError> {
        let Some(secret) = cookie::read(&parts.headers, &provider.cookies.session) else {
            return Ok(None);
        };
        let (id, now) = (session_id_of(secret.as_bytes()), provider.now());
        let found = provider
            .store
            .db
            .read(async move |tx| {
                let Some(session) = sessions::find(tx, id).await? else { return Ok(None) };
                let user = users::find(tx, session.user_id).await?;
                Ok::<_, PageError>(user.map(|user| (session, user)))
            })
            .await?;
        let live = found.filter(|(session, user)| session.is_live(now) && user.is_active());
        let Some((session, user)) = live else { return Ok(None) };
        if now.since(session.last_seen_at) >= SEEN_EVERY {
            let touch = async move |tx: &mut Tx<'_>| sessions::touch(tx, id, now).await;
            provider.store.db.write_one(touch).await?;
        }
        let csrf = csrf::token(&provider.keyring(), secret);
        let is_developer = user.is_developer(provider.policy().accounts.developers);
        Ok(Some(Self { user, session, csrf, is_developer }))
    }
}

impl FromRequestParts<Shared> for SignedInUser {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, PageError> {
        let found = Self::find(provider, parts).await?;
        found.ok_or_else(|| PageError::SignInNeeded { continue_to: return_path(parts) })
    }
}

/// Where to come back to after signing in: the page itself, or the start when a form was sent.
fn return_path(parts: &Parts) -> String {
    match (parts.method == Method::GET, parts.uri.path_and_query()) {
        (true, Some(path)) => path.as_str().to_owned(),
        _ => "/".to_owned(),
    }
}

/// Whoever looks at a public page: signed in or not.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub signed_in: Option<SignedInUser>,
    /// The value of the visitor cookie, made now if there was none.
    secret: String,
    is_new: bool,
    csrf: String,
}

impl Visitor {
    pub fn layout(&self) -> Layout {
        match &self.signed_in {
            Some(user) => user.layout(),
            None => Layout::signed_out(self.csrf.clone()),
        }
    }

    /// The token of this browser's sign-in form, whoever is signed in.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// What a link in a message remembers of this browser.
    pub fn mark(&self) -> String {
        browser_mark(&self.secret)
    }

    /// `Set-Cookie` when this browser has no visitor cookie yet. Put it on every page that holds a
    /// form for visitors.
    pub fn remember(&self, provider: &Provider, response: Response) -> Response {
        let cookie = provider.cookies.set(&provider.cookies.visitor, &self.secret);
        match cookie.filter(|_| self.is_new) {
            Some(value) => (AppendHeaders([(SET_COOKIE, value)]), response).into_response(),
            None => response,
        }
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, PageError> {
        let signed_in = SignedInUser::find(provider, parts).await?;
        let sent = cookie::read(&parts.headers, &provider.cookies.visitor)
            .filter(|value| value.len() == 22)
            .map(str::to_owned);
        let is_new = sent.is_none();
        let fresh = || URL_SAFE_NO_PAD.encode(random_bytes::<16>(&*provider.entropy));
        let secret = sent.unwrap_or_else(fresh);
        let csrf = csrf::token(&provider.keyring(), &secret);
        Ok(Self { signed_in, secret, is_new, csrf })
    }
}

/// A form that a signed-in user sent from one of our pages.
#[derive(Debug)]
pub struct SignedForm {
    pub user: SignedInUser,
    pub params: Params,
}

impl FromRequest<Shared> for SignedForm {
    type Rejection = PageError;

    async fn from_request(request: Request<Body>, provider: &Shared) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let user = SignedInUser::from_request_parts(&mut parts, provider).await?;
        if csrf::is_cross_site(&parts.headers, &provider.policy.load().issuer) {
            return Err(PageError::StaleForm);
        }
        let params = form::read(&parts.headers, body).await?;
        check_token(provider, &parts, &params)?;
        Ok(Self { user, params })
    }
}

/// Whether the form carries the token of this session.
fn check_token(provider: &Provider, parts: &Parts, params: &Params) -> Result<(), PageError> {
    let presented = params.one("csrf")?.unwrap_or_default();
    let secret = cookie::read(&parts.headers, &provider.cookies.session).unwrap_or_default();
    let matches = csrf::matches(&provider.keyring(), secret, presented);
    matches.then_some(()).ok_or(PageError::StaleForm)
}

/// The same with a file, if there is one.
#[derive(Debug)]
pub struct SignedUpload {
    pub user: SignedInUser,
    pub params: Params,
    pub file: Option<Bytes>,
}

impl FromRequest<Shared> for SignedUpload {
    type Rejection = PageError;

    async fn from_request(request: Request<Body>, provider: &Shared) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let user = SignedInUser::from_request_parts(&mut parts, provider).await?;
        if csrf::is_cross_site(&parts.headers, &provider.policy.load().issuer) {
            return Err(PageError::StaleForm);
        }
        let (params, file) = form::read_upload(&parts.headers, body).await?;
        check_token(provider, &parts, &params)?;
        Ok(Self { user, params, file })
    }
}

/// A form that anyone sent from one of our pages: the sign-in form.
#[derive(Debug)]
pub struct VisitorForm {
    pub visitor: Visitor,
    pub params: Params,
}

impl FromRequest<Shared> for VisitorForm {
    type Rejection = PageError;

    async fn from_request(request: Request<Body>, provider: &Shared) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, provider).await?;
        if csrf::is_cross_site(&parts.headers, &provider.policy.load().issuer) {
            return Err(PageError::StaleForm);
        }
        let params = form::read(&parts.headers, body).await?;
        let presented = params.one("csrf")?.unwrap_or_default();
        if visitor.is_new || !csrf::matches(&provider.keyring(), &visitor.secret, presented) {
            return Err(PageError::StaleForm);
        }
        Ok(Self { visitor, params })
    }
}

/// A signed-in user who may register apps.
#[derive(Clone, Debug)]
pub struct Developer(pub SignedInUser);

impl FromRequestParts<Shared> for Developer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, PageError> {
        let user = SignedInUser::from_request_parts(parts, provider).await?;
        if user.is_developer || user.user.has_role(Role::Admin) {
            return Ok(Self(user));
        }
        Err(PageError::Forbidden(match provider.policy().accounts.developers {
            Developers::Verified => "Confirm your e-mail address first: see your account.".into(),
            Developers::StaffOnly => "Only our staff register apps here.".into(),
            Developers::Invited | Developers::Anyone => {
                "This account is not registered as a developer.".into()
            }
        }))
    }
}

/// Staff who review apps (admins may too).
#[derive(Clone, Debug)]
pub struct Reviewer(pub SignedInUser);

impl FromRequestParts<Shared> for Reviewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, PageError> {
        let user = SignedInUser::from_request_parts(parts, provider).await?;
        if user.user.has_role(Role::Reviewer) {
            return Ok(Self(user));
        }
        Err(PageError::Forbidden("This page is for the staff who review apps.".into()))
    }
}

/// Whoever may change the app that the path parameter `id` names: its owner, or anybody in its
/// team. To everyone else the app does not exist (attack A2).
#[derive(Clone, Debug)]
pub struct AppOwner {
    pub user: SignedInUser,
    pub app: App,
}

impl FromRequestParts<Shared> for AppOwner {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, PageError> {
        let Developer(user) = Developer::from_request_parts(parts, provider).await?;
        let (id, user_id) = (path_id::<AppId>(parts, provider).await?, user.user.id);
        let app = provider
            .store
            .db
            .read(async move |tx| find_app(tx, id, user_id).await)
            .await?
            .map(|(app, _)| app)
            .ok_or(PageError::NotFound)?;
        Ok(Self { user, app })
    }
}

/// The app, if `user` may change it, and what they are to it.
pub(crate) async fn find_app(
    tx: &mut Tx<'_>,
    id: AppId,
    user: UserId,
) -> Result<Option<(App, TeamRole)>, PageError> {
    let Some(app) = apps::find(tx, id).await? else { return Ok(None) };
    let role = teams::role_for(tx, &app, user).await?;
    Ok(role.map(|role| (app, role)))
}

/// Whoever may do what cannot be taken back with the app that `id` names, as deleting it or giving
/// it away: its owner, or an owner of its team.
#[derive(Clone, Debug)]
pub struct AppHolder {
    pub user: SignedInUser,
    pub app: App,
}

impl FromRequestParts<Shared> for AppHolder {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, PageError> {
        let AppOwner { user, app } = AppOwner::from_request_parts(parts, provider).await?;
        let (id, user_id) = (app.id, user.user.id);
        let read = async move |tx: &mut Tx<'_>| find_app(tx, id, user_id).await;
        match provider.store.db.read(read).await? {
            Some((app, TeamRole::Owner)) => Ok(Self { user, app }),
            Some(_) => Err(PageError::Forbidden(TeamError::NotOwner.to_string().into())),
            None => Err(PageError::NotFound),
        }
    }
}

/// Somebody of the team that the path parameter `id` names. To everyone else it does not exist
/// (attack A2).
#[derive(Clone, Debug)]
pub struct TeamMember {
    pub user: SignedInUser,
    pub team: Team,
    pub role: TeamRole,
}

impl FromRequestParts<Shared> for TeamMember {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, PageError> {
        let Developer(user) = Developer::from_request_parts(parts, provider).await?;
        let (id, user_id) = (path_id::<TeamId>(parts, provider).await?, user.user.id);
        let read = async move |tx: &mut Tx<'_>| {
            let role = teams::role_of(tx, id, user_id).await?;
            Ok::<_, PageError>(teams::find(tx, id).await?.zip(role))
        };
        let found = provider.store.db.read(read).await?;
        found.map(|(team, role)| Self { user, team, role }).ok_or(PageError::NotFound)
    }
}

/// An owner of the team that the path parameter `id` names.
#[derive(Clone, Debug)]
pub struct TeamOwner {
    pub user: SignedInUser,
    pub team: Team,
}

impl FromRequestParts<Shared> for TeamOwner {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, PageError> {
        match TeamMember::from_request_parts(parts, provider).await? {
            TeamMember { user, team, role: TeamRole::Owner } => Ok(Self { user, team }),
            _ => Err(PageError::Forbidden(TeamError::NotOwner.to_string().into())),
        }
    }
}

/// The path parameter `id`.
async fn path_id<I: std::str::FromStr>(
    parts: &mut Parts,
    provider: &Shared,
) -> Result<I, PageError> {
    let params = RawPathParams::from_request_parts(parts, provider)
        .await
        .map_err(|_| PageError::NotFound)?;
    let found = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value);
    found.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)
}
