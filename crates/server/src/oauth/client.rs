//! The actors of the token endpoints: an app that proved who it is, and a resource server with its
//! own credentials. Made before a code or a refresh token is looked at, so that a wrong client uses
//! nothing up (attack C2).

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use domain::app::{App, ClientSecret, SecretProof};
use domain::grant::Mode;
use domain::id::{AppId, CredentialId};
use domain::keyring::Keyring;
use domain::throttle::{PER_CLIENT, ThrottleOutcome, ThrottleState};
use domain::time::Timestamp;
use http::header::AUTHORIZATION;
use protocol::client_auth::{Candidate, PresentedClient};
use protocol::error::OAuthError;
use protocol::params::Params;
use store::{DbError, client_secrets, throttles};

use crate::address::{ClientAddress, network_of};
use crate::form::{self, FormError};
use crate::noted::Noted;
use crate::oauth::answer::{TokenError, Unauthenticated};
use crate::oauth::app_keys::{self, credential_of};
use crate::oauth::failures::Seen;
use crate::oauth::first_use::FirstUse;
use crate::provider::{Provider, Shared};

/// `last_used_at` of a secret is written when it is older than this: not a write per call.
const TOUCH_AFTER: std::time::Duration = std::time::Duration::from_secs(3600);

/// An app that proved who it is, or a public app that said so. Live, of this endpoint's dialect,
/// and calling from where it may.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    pub app: Arc<App>,
    /// The secret that was shown; `None` for a public app.
    pub credential: Option<CredentialId>,
    pub address: IpAddr,
}

impl AuthenticatedClient {
    /// Is it this app, and called by the client id of this mode? Tests and the real thing see
    /// nothing of each other.
    pub fn is(&self, app: AppId, mode: Mode) -> bool {
        self.app.id == app && self.app.mode == mode
    }
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
            Err(error) => {
                note_named(provider, &call.presented, &call.noted).await;
                Err(Unauthenticated { error, used_basic: call.used_basic })
            }
        }
    }
}

/// Which app a refused request names: its developer wants to know.
pub(crate) async fn note_named(provider: &Provider, presented: &PresentedClient, noted: &Noted) {
    for candidate in presented.candidates() {
        // From memory, where the check has just looked.
        if let Ok(Some(client)) = provider.store.client(&candidate.client_id).await {
            noted.set_named(client.app.id);
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
        let known = found.client.as_ref();
        let admitted =
            known.map(|client| &*client.app).filter(|app| app.is_live() && app.speaks(dialect));
        let shown = match presented.assertion() {
            None => None,
            Some(assertion) => match admitted.filter(|app| app.kind.is_confidential()) {
                Some(app) => app_keys::verify(provider, app, assertion).await,
                None => None,
            },
        };
        let fast = known.filter(|_| presented.assertion().is_none()).and_then(|client| {
            prove(&provider.keyring(), presented.candidates(), &client.app, &client.secrets, now)
                .filter(|_| admitted.is_some())
        });
        // Slow, and counts and notes by itself.
        let first_use = admitted
            .filter(|_| fast.is_none() && presented.assertion().is_none())
            .and_then(|app| FirstUse::of(app, presented.candidates(), found.secrets(), now));
        let proven = match &first_use {
            Some(first_use) => {
                first_use.prove(provider, &found.throttle_key, address).await?.map(Some)
            }
            None => match (&shown, admitted) {
                // The last look: what is refused for anything else has not used it up.
                (Some(shown), Some(app)) if app.admits(address) => {
                    let credential = credential_of(&provider.keyring(), app.id, app.mode);
                    app_keys::use_up(provider, app, shown).await?.then_some(Some(credential))
                }
                (Some(_), Some(app)) => {
                    Some(Some(credential_of(&provider.keyring(), app.id, app.mode)))
                }
                _ => fast,
            },
        };
        let (Some(credential), Some(client)) = (proven, known) else {
            if first_use.is_none() {
                found.count_failure(provider, now).await?;
            }
            return Err(OAuthError::invalid_client().into());
        };
        let app = Arc::clone(&client.app);
        if !app.admits(address) {
            // Whoever gets here has the secret; the developer needs to know what is wrong.
            return Err(OAuthError::unauthorized_client(
                "this app may not call from this address; see its list of allowed addresses",
            )
            .into());
        }
        if first_use.is_none() {
            found.note_success(provider, credential, now).await;
        }
        Ok(Self { app, credential, address })
    }
}

/// `Some` when one reading of what was presented is right: with the secret that matched, or without
/// one for a public app, which has none to show.
#[expect(clippy::option_option, reason = "the outer one is the decision")]
pub(super) fn prove(
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
                    // A hash from elsewhere is none of this fast path: see `first_use`.
                    if let SecretProof::Mac(mac) = &secret.proof
                        && keyring.secret_matches(shown.expose().as_bytes(), mac)
                    {
                        proven = Some(Some(secret.id));
                    }
                }
            }
            _ => {}
        }
    }
    proven
}

/// What is known about a client that presented itself.
struct Found {
    client: Option<store::Client>,
    throttle_key: String,
    throttle: Option<ThrottleState>,
}

impl Found {
    async fn read(
        provider: &Provider,
        candidates: &[Candidate],
        address: IpAddr,
    ) -> Result<Self, TokenError> {
        let mut client = None;
        for candidate in candidates {
            if client.is_none() {
                client = provider.store.client(&candidate.client_id).await?;
            }
        }
        // One row for all names that nobody has: made-up names must not fill the table.
        let name = client.as_ref().map_or("unknown", |client| client.app.client_id.as_str());
        let throttle_key = format!("client {name} from {}", network_of(address, 32, 64));
        let throttle = match provider.seen_failures.of(&throttle_key) {
            Seen::None => None,
            Seen::State(state) => Some(state),
            Seen::Unclear => {
                let key = throttle_key.clone();
                let read = async move |tx: &mut store::Tx<'_>| throttles::find(tx, &key).await;
                provider.store.db.read(read).await?
            }
        };
        Ok(Self { client, throttle_key, throttle })
    }

    fn secrets(&self) -> &[ClientSecret] {
        self.client.as_ref().map(|client| &*client.secrets).unwrap_or_default()
    }

    /// Failures are counted, successes are not: a token request of an honest app writes nothing.
    async fn count_failure(&self, provider: &Provider, now: Timestamp) -> Result<(), TokenError> {
        let key = self.throttle_key.clone();
        let write = async move |tx: &mut store::Tx<'_>| {
            let state = throttles::find(tx, &key).await?.unwrap_or_default();
            let ThrottleOutcome::Admitted(state) = state.attempt(&PER_CLIENT, now) else {
                // Counted up by another node.
                return Ok(state);
            };
            let forgotten_at = now.after(PER_CLIENT.forget_after);
            throttles::save(tx, &key, &state, forgotten_at).await?;
            Ok::<_, DbError>(state)
        };
        let state = provider.store.db.write(write).await?;
        provider.seen_failures.note(&self.throttle_key, state, now);
        Ok(())
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
            .secrets()
            .iter()
            .find(|secret| Some(secret.id) == credential)
            .filter(|secret| secret.last_used_at.is_none_or(|at| now > at.after(TOUCH_AFTER)))
            .map(|secret| (secret.id, secret.app_id, secret.mode));
        if touched.is_none() && self.throttle.is_none() {
            return;
        }
        let key = self.throttle.map(|_| self.throttle_key.clone());
        let write = async move |tx: &mut store::Tx<'_>| {
            if let Some((id, ..)) = touched {
                client_secrets::touch(tx, id, now).await?;
            }
            if let Some(key) = &key {
                throttles::clear(tx, key).await?;
            }
            Ok::<_, DbError>(())
        };
        if let Err(error) = provider.store.db.write(write).await {
            tracing::warn!(%error, "the last use of a client secret was not noted");
            return;
        }
        provider.seen_failures.forget(&self.throttle_key);
        if let Some((_, app_id, mode)) = touched {
            provider.store.forget_secrets(app_id, mode);
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
