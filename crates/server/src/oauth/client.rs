//! The actors of the token endpoints: an app that proved who it is, and a resource server with its
//! own credentials. Made before a code or a refresh token is looked at, so that a wrong client uses
//! nothing up (attack C2).

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use domain::app::{App, ClientSecret};
use domain::id::CredentialId;
use domain::keyring::Keyring;
use domain::throttle::{PER_CLIENT, ThrottleOutcome, ThrottleState};
use domain::time::Timestamp;
use http::header::AUTHORIZATION;
use protocol::client_auth::{Candidate, PresentedClient};
use protocol::error::OAuthError;
use protocol::params::Params;
use store::{DbError, apps, client_secrets, throttles};

use crate::address::ClientAddress;
use crate::form::{self, FormError};
use crate::noted::Noted;
use crate::oauth::answer::{TokenError, Unauthenticated};
use crate::provider::{Provider, Shared};

/// `last_used_at` of a secret is written when it is older than this: not a write per call.
const TOUCH_AFTER: std::time::Duration = std::time::Duration::from_secs(3600);

/// An app that proved who it is, or a public app that said so. Live, of this endpoint's dialect,
/// and calling from where it may.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    pub app: App,
    /// The secret that was shown; `None` for a public app.
    pub credential: Option<CredentialId>,
    pub address: IpAddr,
}

/// An API's own server.
#[derive(Clone, Debug)]
pub struct ResourceServer {
    /// The audience of the tokens it may ask about.
    pub resource: String,
}

/// A form that an app sent to a standard endpoint.
#[derive(Debug)]
pub struct AppCall {
    pub client: AuthenticatedClient,
    pub params: Params,
    pub noted: Noted,
}

impl FromRequest<Shared> for AppCall {
    type Rejection = Unauthenticated;

    async fn from_request(
        request: Request<Body>,
        provider: &Shared,
    ) -> Result<Self, Self::Rejection> {
        let call = PresentedCall::read(request, provider).await?;
        let client =
            AuthenticatedClient::authenticate(provider, &call.presented, call.address, None);
        match client.await {
            Ok(client) => {
                call.noted.set_app(client.app.id);
                Ok(Self { client, params: call.params, noted: call.noted })
            }
            Err(error) => Err(Unauthenticated { error, used_basic: call.used_basic }),
        }
    }
}

/// Whoever may ask about a token (RFC 7662 §2.1).
#[derive(Clone, Debug)]
pub enum Introspector {
    Resource(ResourceServer),
    App(Box<AuthenticatedClient>),
}

/// A form about a token, from someone who may ask.
#[derive(Debug)]
pub struct IntrospectionCall {
    pub caller: Introspector,
    pub params: Params,
}

impl FromRequest<Shared> for IntrospectionCall {
    type Rejection = Unauthenticated;

    async fn from_request(
        request: Request<Body>,
        provider: &Shared,
    ) -> Result<Self, Self::Rejection> {
        let call = PresentedCall::read(request, provider).await?;
        let reject = |error| Unauthenticated { error, used_basic: call.used_basic };
        if let Some(server) = ResourceServer::find(provider, call.presented.candidates()) {
            let caller = Introspector::Resource(server);
            return Ok(Self { caller, params: call.params });
        }
        let client =
            AuthenticatedClient::authenticate(provider, &call.presented, call.address, None)
                .await
                .map_err(reject)?;
        if client.credential.is_none() {
            // RFC 7662 §2.1: whoever asks must prove who they are, or tokens could be scanned for.
            return Err(reject(OAuthError::invalid_client().into()));
        }
        call.noted.set_app(client.app.id);
        Ok(Self { caller: Introspector::App(Box::new(client)), params: call.params })
    }
}

/// A form with what its sender says about itself, not checked yet.
struct PresentedCall {
    presented: PresentedClient,
    params: Params,
    address: IpAddr,
    used_basic: bool,
    noted: Noted,
}

impl PresentedCall {
    async fn read(request: Request<Body>, provider: &Shared) -> Result<Self, Unauthenticated> {
        let (mut parts, body) = request.into_parts();
        let noted = parts.extensions.get::<Noted>().cloned().unwrap_or_default();
        let used_basic = parts.headers.contains_key(AUTHORIZATION);
        let reject = |error: OAuthError| Unauthenticated { error: error.into(), used_basic };
        let ClientAddress(address) =
            match ClientAddress::from_request_parts(&mut parts, provider).await {
                Ok(address) => address,
                Err(never) => match never {},
            };
        let params = form::read(&parts.headers, body).await.map_err(|error| match error {
            FormError::Params(error) => reject(error.into()),
            other => reject(OAuthError::invalid_request(other.to_string())),
        })?;
        let presented = PresentedClient::decode(&parts.headers, parts.uri.query(), &params)
            .map_err(|error| reject(error.into()))?;
        Ok(Self { presented, params, address, used_basic, noted })
    }
}

impl AuthenticatedClient {
    /// Check what a client presented. `dialect` is the endpoint's; the app must be registered for
    /// exactly that one (attack B1). Every failure is the same `invalid_client`.
    pub async fn authenticate(
        provider: &Provider,
        presented: &PresentedClient,
        address: IpAddr,
        dialect: Option<&str>,
    ) -> Result<Self, TokenError> {
        let now = provider.now();
        let found = Found::read(provider, presented.candidates(), address).await?;
        if let Some(ThrottleOutcome::Wait(wait)) =
            found.throttle.map(|state| state.attempt(&PER_CLIENT, now))
        {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
            return Err(OAuthError::slow_down(seconds).into());
        }
        let proven = found.app.as_ref().and_then(|app| {
            prove(&provider.keyring(), presented.candidates(), app, &found.secrets, now)
                .filter(|_| app.is_live() && app.speaks(dialect))
        });
        let (Some(credential), Some(app)) = (proven, found.app.clone()) else {
            found.count_failure(provider, now).await?;
            return Err(OAuthError::invalid_client().into());
        };
        if !app.admits(address) {
            // Whoever gets here has the secret; the developer needs to know what is wrong.
            return Err(OAuthError::unauthorized_client(
                "this app may not call from this address; see its list of allowed addresses",
            )
            .into());
        }
        found.note_success(provider, credential, now).await;
        Ok(Self { app, credential, address })
    }
}

/// `Some` when one reading of what was presented is right: with the secret that matched, or without
/// one for a public app, which has none to show.
#[expect(clippy::option_option, reason = "the outer one is the decision")]
fn prove(
    keyring: &Keyring,
    candidates: &[Candidate],
    app: &App,
    secrets: &[ClientSecret],
    now: Timestamp,
) -> Option<Option<CredentialId>> {
    let of_app = candidates.iter().filter(|candidate| candidate.client_id == app.client_id);
    let mut proven = None;
    for candidate in of_app {
        match (&candidate.secret, app.kind.is_confidential()) {
            (None, false) => proven = Some(None),
            (Some(shown), true) => {
                // Every secret is compared, whichever matches (attack X2).
                for secret in secrets.iter().filter(|secret| secret.is_live(now)) {
                    if keyring.secret_matches(shown.expose().as_bytes(), &secret.mac) {
                        proven = Some(Some(secret.id));
                    }
                }
            }
            _ => {}
        }
    }
    proven
}

/// What the database knows about a client that presented itself.
struct Found {
    app: Option<App>,
    secrets: Vec<ClientSecret>,
    throttle_key: String,
    throttle: Option<ThrottleState>,
}

impl Found {
    async fn read(
        provider: &Provider,
        candidates: &[Candidate],
        address: IpAddr,
    ) -> Result<Self, TokenError> {
        let ids: Vec<String> = candidates.iter().map(|one| one.client_id.clone()).collect();
        let read = async move |tx: &mut store::Tx<'_>| {
            let mut app = None;
            for id in &ids {
                if app.is_none() {
                    app = apps::find_by_client_id(tx, id).await?;
                }
            }
            let secrets = match &app {
                Some(app) => client_secrets::list_of_app(tx, app.id).await?,
                None => Vec::new(),
            };
            // One row for all names that nobody has: made-up names must not fill the table.
            let name = app.as_ref().map_or("unknown", |app| app.client_id.as_str());
            let throttle_key = format!("client {name} from {address}");
            let throttle = throttles::find(tx, &throttle_key).await?;
            Ok::<_, DbError>(Self { app, secrets, throttle_key, throttle })
        };
        Ok(provider.store.db.read(read).await?)
    }

    /// Failures are counted, successes are not: a token request of an honest app writes nothing.
    async fn count_failure(&self, provider: &Provider, now: Timestamp) -> Result<(), TokenError> {
        let key = self.throttle_key.clone();
        let write = async move |tx: &mut store::Tx<'_>| {
            let state = throttles::find(tx, &key).await?.unwrap_or_default();
            if let ThrottleOutcome::Admitted(state) = state.attempt(&PER_CLIENT, now) {
                let forgotten_at = now.after(PER_CLIENT.forget_after);
                throttles::save(tx, &key, &state, forgotten_at).await?;
            }
            Ok::<_, DbError>(())
        };
        Ok(provider.store.db.write(write).await?)
    }

    /// Forget failures, and remember coarsely that the secret is in use. Neither is worth failing a
    /// request for.
    async fn note_success(
        &self,
        provider: &Provider,
        credential: Option<CredentialId>,
        now: Timestamp,
    ) {
        let touched = self
            .secrets
            .iter()
            .find(|secret| Some(secret.id) == credential)
            .filter(|secret| secret.last_used_at.is_none_or(|at| now > at.after(TOUCH_AFTER)))
            .map(|secret| secret.id);
        if touched.is_none() && self.throttle.is_none() {
            return;
        }
        let key = self.throttle.map(|_| self.throttle_key.clone());
        let write = async move |tx: &mut store::Tx<'_>| {
            if let Some(id) = touched {
                client_secrets::touch(tx, id, now).await?;
            }
            if let Some(key) = &key {
                throttles::clear(tx, key).await?;
            }
            Ok::<_, DbError>(())
        };
        if let Err(error) = provider.store.db.write(write).await {
            tracing::warn!(%error, "the last use of a client secret was not noted");
        }
    }
}

impl ResourceServer {
    /// The resource whose introspection credentials these are.
    fn find(provider: &Provider, candidates: &[Candidate]) -> Option<Self> {
        let (policy, keyring) = (provider.policy(), provider.keyring());
        let mut found = None;
        for resource in &policy.resources {
            let Some(credentials) = &resource.introspection else { continue };
            for candidate in candidates.iter().filter(|one| one.client_id == credentials.id) {
                let shown = candidate.secret.as_ref().map(|secret| secret.expose().as_bytes());
                if shown.is_some_and(|s| keyring.secret_matches(s, &credentials.secret_mac)) {
                    found = Some(Self { resource: resource.identifier.clone() });
                }
            }
        }
        found
    }
}
